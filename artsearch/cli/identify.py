"""`python -m artsearch identify`: which works of a collection some photographs show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from artsearch.base.errors import ArtsearchError, ImageError
from artsearch.base.text import count_of, printable


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO…")
@click.option("--collection", default="data", help="Folder of images, with or without works.csv.")
@click.option("--out", default="build", help="Folder where the points of the works are kept.")
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON.")
def identify(photos: Sequence[str], collection: str, out: str, as_json: bool) -> None:
    """Say which work of the collection each PHOTO shows, or that it is none of them.

    PHOTO is a picture, or a folder of pictures: photographs of works on a wall, details, prints in
    black and white, mirrored ones. What cannot be read is named; the others are answered.
    """
    from artsearch.points.identify import Identifier
    from artsearch.works.collection import Collection

    files = list(_files(photos))
    works = Collection(collection)
    identifier = Identifier.of(works, out)
    said, known = [], 0
    for file in files:
        try:
            found = identifier.identify(file)
        except ImageError as error:
            said.append({"photo": str(file), "error": str(error)})
            if not as_json:
                click.echo(printable(f"{file}: {error}"))
            continue
        known += found.work is not None
        said.append({"photo": str(file), **asdict(found)})
        if not as_json:
            click.echo(printable(f"{file}: {found.sentence(works)}"))
            if found.work is not None:
                click.echo(printable(f"   {found.work}"))
    if as_json:
        click.echo(json.dumps(said, indent=1))
    else:
        least = f"it takes {identifier.threshold} points that agree"
        click.echo(f"{known} of {count_of(len(files), 'photo')} known again; {least}.")


def _files(photos: Sequence[str]) -> Iterator[Path]:
    from artsearch.works.collection import Collection

    for photo in photos:
        path = Path(photo).expanduser()
        if path.is_dir():
            folder = Collection(path)
            yield from (Path(folder.path(id)) for id in folder)
        elif path.is_file():
            yield path
        else:
            raise ArtsearchError(f"{photo!r} is no file and no folder; name a picture")
