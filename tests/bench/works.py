"""The works that are measured: drawn from a collection, copied into one flat folder."""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

from artsearch.base.errors import ImageError
from artsearch.works.collection import Collection


def draw_works(collection: Collection, number: int, folder: Path) -> dict[str, str]:
    """Copy works drawn at random into a folder, flat; return their ids by the copies' names.

    Those that cannot be opened are passed over, and there are fewer in a smaller collection.
    """
    drawn = collection.sample(min(len(collection), 2 * number), seed=0)
    readable = (id for id in drawn if _can_open(collection, id))
    folder.mkdir(parents=True)
    ids = {}
    for row, id in enumerate(islice(readable, number)):
        path = collection.path(id)
        name = f"{row:05}{path.suffix.lower()}"
        shutil.copyfile(path, folder / name)
        ids[name] = id
    return ids


def whole_batches(number: int, collection: Collection) -> int:
    """Return how many works to measure: whole batches, where the collection has at least one."""
    number = min(number, len(collection))
    return number // 16 * 16 or number


def _can_open(collection: Collection, id: str) -> bool:
    try:
        collection.open(id)
    except ImageError:
        return False
    return True
