"""`python -m artsearch fetch SOURCE --out FOLDER`: works of a source into a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import click

from artsearch.base.errors import ArtsearchError

#: The museums by the names in artsearch.fetch.museums: to list them takes no import.
_MUSEUMS = {
    "met": "the Metropolitan Museum of Art",
    "aic": "the Art Institute of Chicago",
    "cleveland": "the Cleveland Museum of Art",
    "rijksmuseum": "the Rijksmuseum",
    "nga": "the National Gallery of Art in Washington",
    "smk": "the National Gallery of Denmark (SMK)",
}
#: Works of WikiArt if no number is given: it has 81,000.
_SAMPLE = 1000


@click.group()
def fetch() -> None:
    """Bring works, with what is known of them, into a folder that everything else takes.

    Stopped or killed, it goes on where it was when started again. What a source says of a work
    comes into the folder's works.csv, with the licence and where it is from.
    """


def _into_folder(command: Callable) -> Callable:
    """Add the options that all sources have."""
    for option in (
        click.option(
            "--side",
            default=1024,
            type=click.IntRange(1),
            help="Pixels of a picture's longer side, at most.",
        ),
        click.option("--count", type=click.IntRange(1), help="Works in the folder, in all."),
        click.option("--out", required=True, help="Folder for the works; a new one, or the same."),
    ):
        command = option(command)
    return command


def _add_museum(name: str, title: str) -> None:
    @click.option("--query", default="", help="Words to look for.")
    @click.option(
        "--department", default="", help="A department or kind of work, as the museum calls it."
    )
    @click.option("--artist", default="", help="An artist's name, or a part of it.")
    @click.option("--period", default="", help="Years, as in 1600-1700.")
    @_into_folder
    def command(out: str, count: int | None, side: int, **words: str) -> None:
        from artsearch.base.http import Client
        from artsearch.fetch.folder import known
        from artsearch.fetch.museums import MUSEUMS

        museum = MUSEUMS[name]
        client = Client(museum.rate)
        items = museum.items(client, side=side, known=known(out), **words)
        _bring(items, out, count, side, client)

    command.__doc__ = f"Works that {title} marks as free to use."
    fetch.command(name)(command)


for _name, _title in _MUSEUMS.items():
    _add_museum(_name, _title)


@fetch.command()
@click.option("--where", multiple=True, metavar="COLUMN=WORDS", help='As in style="Ukiyo-e".')
@click.option("--seed", default=0, type=click.IntRange(0), help="Another number, another sample.")
@click.option("--dataset", default="huggan/wikiart", help="A dataset like it, or its folder.")
@_into_folder
def wikiart(
    out: str, count: int | None, side: int, where: tuple[str, ...], seed: int, dataset: str
) -> None:
    """A sample of WikiArt, spread over its styles (1,000 works if no count is given)."""
    from artsearch.fetch.folder import known
    from artsearch.fetch.wikiart import items

    count = count or _SAMPLE
    wanted: dict[str, list[str]] = {}
    for column, words in _pairs(where):
        wanted.setdefault(column, []).append(words)
    _bring(items(count, seed, dataset, wanted, known(out)), out, count, side)


@fetch.command()
@click.argument("address")
@click.option("--every-page", is_flag=True, help="Each page of a book or album is a work.")
@_into_folder
def iiif(out: str, count: int | None, side: int, address: str, every_page: bool) -> None:
    """The works of a IIIF manifest or collection at ADDRESS."""
    from artsearch.base.http import Client
    from artsearch.fetch.folder import known
    from artsearch.fetch.iiif import items

    client = Client()
    found = items(client, address, side=side, every_page=every_page, known=known(out))
    _bring(found, out, count, side, client)


@fetch.command()
@click.argument("path")
@click.option("--table", default=None, help="What is known of them: a CSV, Excel or JSON file.")
@click.option("--columns", multiple=True, metavar="NAME=COLUMN", help='As in artist="Künstler".')
@_into_folder
def folder(
    out: str, count: int | None, side: int, path: str, table: str | None, columns: tuple[str, ...]
) -> None:
    """Your own pictures in the folder PATH, and a table of any form."""
    from artsearch.fetch.own_folder import items

    _refuse_inside(out, path)
    found, report = items(path, table, dict(_pairs(columns)))
    click.echo(report.sentence())
    lists = {
        "row without a file": report.without_file,
        "row whose file is not clear": report.unclear,
        "file without a row": report.without_row if report.table else [],
    }
    for what, names in lists.items():
        for name in names:
            click.echo(f"{what}: {name!r}")
    for name, reason in report.left_out:
        click.echo(f"left out: {name!r}: {reason}")
    _bring(found, out, count, side)


@fetch.command()
@click.argument("source")
@click.option("--out", required=True, help="Folder for the vectors; a new one, or the same.")
@click.option("--model", default="", help="The model that is meant, or that made them.")
@click.option("--source", "name", default="", help="What the works' column 'source' is to say.")
@click.option("--table", default=None, help="What is known of the works: a table with their ids.")
@click.option("--columns", multiple=True, metavar="NAME=COLUMN", help="As in vector=embedding.")
def vectors(
    out: str, source: str, model: str, name: str, table: str | None, columns: tuple[str, ...]
) -> None:
    """The vectors that others publish, with or without pictures: SOURCE is a file or folder of them
    (Parquet, JSON lines, .npy with a table), or a dataset of the Hugging Face hub.

    docs/vectors.md has the forms. Another source, or another model, is added to the same folder.
    """
    from artsearch.fetch.vectors import fetch_vectors

    pairs = [pair for text in columns for pair in re.split(r",(?=\w+=)", text)]
    fetched = fetch_vectors(source, out, model, name, table, dict(_pairs(tuple(pairs))))
    click.echo(fetched.report())


def _bring(items: Iterable, out: str, count: int | None, side: int, client=None) -> None:
    from artsearch.fetch.items import fetch as run_fetch

    fetched = run_fetch(items, out, count=count, client=client, side=side, say=click.echo)
    click.echo(fetched.report())


def _pairs(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """Split texts such as `artist=Künstler` at the first sign of equality."""
    for text in texts:
        if "=" not in text:
            raise ArtsearchError(f'{text!r} is not a pair; write it as in artist="Künstler"')
    return [(name.strip(), words.strip()) for name, _, words in (t.partition("=") for t in texts)]


def _refuse_inside(out: str, path: str) -> None:
    """Refuse a folder within the one that is read: its pictures would be found there again."""
    inner, outer = (Path(os.path.realpath(os.path.expanduser(name))) for name in (out, path))
    if inner.is_relative_to(outer):
        raise ArtsearchError(f"{out!r} lies in {path!r}, which is read; name a folder outside it")
