"""The near-duplicates of a collection as a page to look through, and as a table."""

from __future__ import annotations

import os
from pathlib import Path

import artsearch
from artsearch.base.disk import write_whole
from artsearch.search.duplicates import Duplicates
from artsearch.search.wording import distance_text
from artsearch.show.html import Pictures, render, works
from artsearch.works.collection import Collection
from artsearch.works.table import to_safe_csv

PAGE, TABLE = "duplicates.html", "duplicates.csv"
#: Works with a picture on the page; those behind them are in the table alone.
PICTURES = 1500


def write_duplicates(
    duplicates: Duplicates, collection: Collection, folder: str | os.PathLike
) -> Path:
    """Write duplicates.html and duplicates.csv into a folder; return the path of the page.

    The table has a row a work: group, id, its nearest of the group and the distance, and what is
    known of the work. Raises ArtsearchError where it cannot be written.
    """
    folder = Path(folder)
    table = duplicates.table().merge(collection.works, on="id", how="left")
    # The byte order mark tells Excel that a table is UTF-8.
    write_whole(folder / TABLE, to_safe_csv(table).encode("utf-8-sig"))
    pictures, groups, shown = Pictures(collection, 160), [], 0
    for group in duplicates.groups:
        if shown + len(group) > PICTURES:
            break
        shown += len(group)
        notes = [(id, distance_text(duplicates.nearest[id][1])) for id in group]
        groups.append((len(group), works(pictures, notes)))
    left = len(duplicates) - len(groups)
    page = render(
        "duplicates.html",
        "page.css",
        name=collection.name,
        sentence=duplicates.sentence,
        groups=groups,
        more=f"{left:,} more groups are in {TABLE}." if left else "",
        version=artsearch.__version__,
    )
    return write_whole(folder / PAGE, page.encode())
