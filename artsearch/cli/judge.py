"""`python -m artsearch judge`: ask people what is similar, in the app or on a page; their votes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from artsearch.base.text import count_of


@click.group()
def judge() -> None:
    """Ask people which works are similar, and read what they say."""


def _choice(command: Callable) -> Callable:
    """Add the options that say which questions are asked."""
    for option in reversed(
        (
            click.option("--collection", default="data", help="Folder of images."),
            click.option("--networks", default="auto", help="auto, or names with commas between."),
            click.option("--count", default=300, type=click.IntRange(0), help="Triplets to ask."),
            click.option(
                "--rows", default=0, type=click.IntRange(0), help="Whole rows to compare."
            ),
            click.option(
                "--questions",
                default="what,how",
                help="Of what, how and whole, with commas between.",
            ),
            click.option("--seed", default=0, help="The same one gives the same questions."),
            click.option("--out", default="build", help="Folder where features are kept."),
        )
    ):
        command = option(command)
    return command


@judge.command(context_settings={"ignore_unknown_options": True})
@_choice
@click.option("--votes", default="build/votes.csv", help="File into which all votes are written.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def app(votes: str, out: str, options: tuple[str, ...], **choice) -> None:
    """Serve the judging room in the browser, to several judges at once.

    OPTIONS go to Voilà, such as --no-browser, --port=8866, and --Voila.ip=0.0.0.0 for judges at
    other machines of a network that you trust.
    """
    from artsearch.gallery.app import serve, write_judging
    from artsearch.judge.questions import name_of, save_questions
    from artsearch.judge.votes import Votes

    Votes(votes)  # a file of something else is said now
    works, chosen = _choose(out=out, **choice)
    file = save_questions(chosen, Path(out, "judge", f"{name_of(chosen)}.json"))
    notebook = write_judging(file.with_suffix(".ipynb"), works.folder, file, votes, out)
    click.echo(f"Votes are written to {votes}.")
    serve(notebook, options=options)


@judge.command()
@click.argument("folder")
@_choice
def page(folder: str, out: str, **choice) -> None:
    """Write the judging room to FOLDER as a page, also beside a site: judge.html.

    It opens by double click and keeps the votes in the browser; each judge saves them as a file,
    and `artsearch judge merge` puts the files together.
    """
    from artsearch.show.judge_page import write_judge_page

    works, chosen = _choose(out=out, **choice)
    click.echo(write_judge_page(works, chosen, folder))


@judge.command()
@click.argument("votes", nargs=-1, required=True, metavar="VOTES…")
@click.option("--out", required=True, help="File for the votes of all; a datasheet goes beside it.")
def merge(votes: tuple[str, ...], out: str) -> None:
    """Put files of votes together, each vote once, with a datasheet beside."""
    from artsearch.judge.votes import merge_votes

    held = merge_votes(votes, out)
    judges = count_of(held["judge"].nunique(), "judge")
    click.echo(f"{count_of(len(held), 'vote')} by {judges} in:")
    click.echo(f"  {out}\n  {Path(out).with_suffix('.md')}")


def _choose(
    collection: str, networks: str, count: int, rows: int, questions: str, seed: int, out: str
):
    """Return a collection and the questions to ask of it, and say how many these are."""
    from artsearch.evaluate.repaint import ensure_demo_data
    from artsearch.judge.questions import choose_questions
    from artsearch.networks.transforms import NO_CROP
    from artsearch.search.searches import Searches
    from artsearch.works.collection import Collection

    works = Collection(ensure_demo_data(collection))
    searches = Searches(works, networks, [NO_CROP], out=out)
    click.echo(f"{count_of(len(works), 'work')} in {collection}. {searches.sentence}")
    searches.extract()  # the final layers and those of the dials, in one pass
    named = [one.strip() for one in questions.split(",") if one.strip()]
    chosen = choose_questions(searches, count, named, rows, seed)
    click.echo(f"{count_of(len(chosen), 'question')} on {count_of(len(works), 'work')}.")
    return works, chosen
