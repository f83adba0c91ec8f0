"""An index on disk that follows its features: what changed is changed in it, too."""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.features.store import write_folder
from artsearch.index.factory import Index, check_options, construct_index, load_index, options_of

#: Beside the index: a checksum of each row as it was when the index took it.
MARKS = "marks.npy"
INDEX = "index"
#: What was asked for, such as the kind "auto" with a recall.
WANTED = "wanted.json"


def stored_index(
    features: Features,
    folder: str | os.PathLike,
    kind: str = "annoy",
    metric: str = "angular",
    num_trees: int = 25,
    seed: int = 0,
    **options,
) -> Index:
    """Return an index over features, kept in a folder for the next time.

    `kind` is "auto" or one of KINDS whose index is a folder; `options` are its own, and it gets
    `num_trees` and `seed` if it has such. When the features have changed since, an exact index
    takes over the rows that are the same; another is built again from the rows of the store, and
    "auto" chooses again. Nothing is computed by a network for that. One that is damaged, or was
    asked for with other settings, is built again.

    Raises what construct_index raises, and ArtsearchError where the folder cannot be written.
    """
    if kind == "milvus":
        raise ArtsearchError(
            "an index of Milvus is kept by Milvus, in no folder; build it with "
            "construct_index('milvus', metric, features, uri=…)"
        )
    check_options(kind, options)
    given = {"num_trees": num_trees, "seed": seed}
    options = {name: given[name] for name in options_of(kind) if name in given} | options
    folder, wanted = Path(folder), {"kind": kind, "metric": metric} | options
    marks = mark_rows(features)
    index = None
    with suppress(Exception):  # NumPy raises whatever a broken file leads it to
        index, before = _read(folder, wanted, features)
    if index is not None:
        same = _same(index, before, features, marks)
        if same.all() and index.ids == features.ids and index.made_by == features.made_by:
            return index
    if index is not None and index.can_follow and kind != "auto":
        index = index.follow(features, same)
    else:
        index = construct_index(kind, metric, features, **options)
    _write(folder, index, marks, wanted)
    return index


def mark_rows(features: Features) -> np.ndarray:
    """Return a checksum of each row: it tells a changed row from one that is the same."""
    rows = (features.vectors[row] for row in range(len(features)))
    return np.array([zlib.crc32(np.ascontiguousarray(row)) for row in rows], dtype=np.uint32)


def _read(folder: Path, wanted: dict, features: Features) -> tuple[Index, np.ndarray]:
    if json.loads((folder / WANTED).read_text(encoding="utf-8")) != wanted:
        raise ArtsearchError("an index with other settings")
    index = load_index(folder / INDEX, metric=wanted["metric"])
    if index.dims != features.dims:
        raise ArtsearchError("an index of other features")
    marks = np.load(folder / MARKS, allow_pickle=False)
    if marks.shape != (len(index),):
        raise ArtsearchError("marks of another index")
    return index, marks


def _same(index: Index, before: np.ndarray, features: Features, marks: np.ndarray) -> np.ndarray:
    """Tell for each row of the features whether the index has it unchanged."""
    known = dict(zip(index.ids, before.tolist(), strict=True))
    found = zip(features.ids, marks.tolist(), strict=True)
    return np.array([known.get(id) == mark for id, mark in found], dtype=bool)


def _write(folder: Path, index: Index, marks: np.ndarray, wanted: dict) -> None:
    def write(new: Path) -> None:
        index.save(new / INDEX)
        np.save(new / MARKS, marks, allow_pickle=False)
        # NumPy's whole numbers are welcome as settings, and json does not know them.
        (new / WANTED).write_text(json.dumps(wanted, default=int), encoding="utf-8")

    write_folder(folder, write, (INDEX, MARKS, WANTED))
