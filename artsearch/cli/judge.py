"""`python -m artsearch judge`: ask people what is similar, in the app or on a page; their votes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from artsearch.base.text import count_of, printable


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


@judge.command()
@click.argument("votes")
@click.option("--collection", default="data", help="Folder of images that was judged.")
@click.option("--networks", default="auto", help="auto, or names with commas between.")
@click.option("--crops", default="no_crop", help="Crops, with commas between.")
@click.option("--out", default="build", help="Folder for features, and the report in judged.")
@click.option("--seed", default=0, help="The same one gives the same intervals.")
def report(votes: str, collection: str, networks: str, crops: str, out: str, seed: int) -> None:
    """Say with which networks and places of the dial the votes in VOTES agree, as a page.

    Who judged and how much these people agree, shares of votes with their intervals, a ranking of
    whole rows, and what networks get wrong: judged.html and judged.csv.
    """
    from artsearch.judge.power import votes_needed
    from artsearch.judge.report import report_votes
    from artsearch.judge.triplets import descriptors_of
    from artsearch.judge.votes import read_votes
    from artsearch.show.judged_page import write_judged

    given = read_votes(votes)  # which is said before anything is computed
    works, searches = _open(collection, networks, crops, out)
    descriptors = {}
    for crop in searches.crops:
        descriptors |= descriptors_of(searches, crop)
    found = report_votes(given, descriptors, seed)
    sentences = [one.sentence for one in found.judges] + found.sentences
    for sentence in [*sentences, *(f"{note}." for note in found.notes)]:
        click.echo(printable(sentence))
    click.echo(
        f"To tell two apart of which people side with one in 60 % of the disputed triplets takes "
        f"{votes_needed(0.6):,} votes on these; in 70 %, {votes_needed(0.7):,}."
    )
    click.echo(write_judged(found, works, descriptors, Path(out, "judged")))


@judge.command()
@click.argument("votes", required=False)
@click.option("--column", default="", help="Learn from a column of the table, such as artist.")
@click.option("--base", default="", help="Rows of the map: final or blend.")
@click.option("--question", default="whole", help="Votes on what, how or whole.")
@click.option("--collection", default="data", help="Folder of images that was judged.")
@click.option("--network", default="auto", help="Network.")
@click.option("--crop", default="no_crop", help="Crop.")
@click.option("--out", default="build", help="Folder where features, and what is learnt, are kept.")
@click.option("--seed", default=0, help="The same one gives the same result.")
def learn(
    votes: str | None,
    column: str,
    base: str,
    question: str,
    collection: str,
    network: str,
    crop: str,
    out: str,
    seed: int,
) -> None:
    """Learn from VOTES a place of the dial ("your dial"), or with --base a map of rows.

    With --column, and no votes, the map is learnt from a column of the table, on half of the
    artists; the others judge what it gains. What is learnt is used by `similar --dial yours` and
    `similar --learnt`; the gallery has your dial as a place of its own.
    """
    from artsearch.judge.dial import fit_dial
    from artsearch.judge.judges import attending
    from artsearch.judge.learn import learn_from_column, learn_from_votes
    from artsearch.judge.votes import read_votes
    from artsearch.search.learnt import base_rows, keep_dial, learnt_folder

    if bool(votes) == bool(column):
        raise click.UsageError("name a file of VOTES, or a --column of the table")
    given = None
    if votes:
        given, absent = attending(read_votes(votes))
        if absent:
            click.echo(f"Left out, being no better than chance on what is easy: {absent}.")
    works, searches = _open(collection, network, crop, out)
    name = searches.networks[0].name
    if given is not None and not base:
        fitted = fit_dial(given, searches.dial(name, crop).blend, question, seed)
        keep_dial(out, works, name, crop, fitted.to_json())
        click.echo(f"{fitted.sentence}\nKept; use it with `artsearch similar --dial yours`.")
        return
    about = {"network": name, "crop": crop, "base": base or "blend"}
    rows = base_rows(searches, name, crop, about["base"])
    if given is None:
        learnt, metrics = learn_from_column(works.works, rows, column, about, seed=seed)
    else:
        table = works.works.set_index("id")
        artists = table["artist"].to_dict() if "artist" in table else {}
        learnt, metrics = learn_from_votes(given, rows, about, question, artists, seed)
    for row in metrics.table.itertuples():
        change = {"better": ", better", "worse": ", worse", "same": ", no more that can be told"}
        click.echo(
            f"{row.label}: {row.descriptor} {row.value:.3f} ({row.low:.2f} to {row.high:.2f})"
            f"{change.get(row.significance, '')}"
        )
    for note in metrics.notes:
        click.echo(f"{note}.")
    click.echo(learnt.save(learnt_folder(out, searches, name, crop)))
    click.echo("Kept; use it with `artsearch similar --learnt`.")


@judge.command("from-session")
@click.argument("session")
@click.option("--judge", "name", required=True, help="Whose likes and dislikes they are.")
@click.option("--question", default="whole", help="What they are about: what, how or whole.")
@click.option("--votes", default="build/votes.csv", help="File into which they are written.")
@click.option("--collection", default="data", help="Folder of images.")
def from_session(session: str, name: str, question: str, votes: str, collection: str) -> None:
    """Take the likes and dislikes of a saved SESSION as votes: liked is nearer than not liked."""
    from artsearch.gallery.session import Session
    from artsearch.judge.questions import session_votes
    from artsearch.judge.votes import Votes
    from artsearch.works.collection import Collection

    works, file = Collection(collection), Votes(votes)
    steps = Session.load(session, works).steps
    given = session_votes([(one.question, one.at) for one in steps], name, question, works.ids)
    known = set(file.table()["id"])
    new = [file.add(one) for one in given if one.id not in known]
    click.echo(f"{count_of(len(new), 'new vote')} of {session} in {votes}.")


def _open(collection: str, networks: str, crops: str, out: str):
    """Return a collection and searches over it."""
    from artsearch.evaluate.repaint import ensure_demo_data
    from artsearch.search.searches import Searches
    from artsearch.works.collection import Collection

    works = Collection(ensure_demo_data(collection))
    return works, Searches(works, networks, crops.split(","), out=out)


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
