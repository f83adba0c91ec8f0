"""An index on disk that follows its features: what changed is changed in it, too."""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from artsearch.errors import ArtsearchError, unknown
from artsearch.features import Features
from artsearch.index import Index, construct_ann_index, construct_exact_index, load_index
from artsearch.store import write_folder

#: Beside the index: a checksum of each row as it was when the index took it.
MARKS = "marks.npy"
INDEX = "index"
KINDS = ("annoy", "exact")


def stored_index(
    features: Features,
    folder: str | os.PathLike,
    kind: str = "annoy",
    metric: str = "angular",
    num_trees: int = 25,
    seed: int = 0,
) -> Index:
    """Return an index over features, kept in a folder for the next time.

    When the features have changed since, an exact index takes over the rows that are the same;
    Annoy, which takes no works in later, is planted again from the rows of the store. Nothing is
    computed by a network for that. One that is damaged, or has other settings, is built again.

    Raises what construct_ann_index raises, and ArtsearchError where the folder cannot be written.
    """
    if kind not in KINDS:
        raise unknown("kind of index", kind, KINDS)
    folder = Path(folder)
    wanted = {"kind": kind, "metric": metric}
    wanted |= {"num_trees": num_trees, "seed": seed} if kind == "annoy" else {}
    marks = mark_rows(features)
    index = None
    with suppress(Exception):  # NumPy raises whatever a broken file leads it to
        index, before = _read(folder, wanted, features)
    if index is not None:
        same = _same(index, before, features, marks)
        if same.all() and index.ids == features.ids and index.made_by == features.made_by:
            return index
        index = index.follow(features, same)
    elif kind == "annoy":
        index = construct_ann_index(metric, num_trees, features, seed=seed)
    else:
        index = construct_exact_index(metric, features)
    _write(folder, index, marks)
    return index


def mark_rows(features: Features) -> np.ndarray:
    """Return a checksum of each row: it tells a changed row from one that is the same."""
    rows = (features.vectors[row] for row in range(len(features)))
    return np.array([zlib.crc32(np.ascontiguousarray(row)) for row in rows], dtype=np.uint32)


def _read(folder: Path, wanted: dict, features: Features) -> tuple[Index, np.ndarray]:
    index = load_index(folder / INDEX)
    if any(getattr(index, key) != value for key, value in wanted.items()):
        raise ArtsearchError("an index with other settings")
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


def _write(folder: Path, index: Index, marks: np.ndarray) -> None:
    def write(new: Path) -> None:
        index.save(new / INDEX)
        np.save(new / MARKS, marks, allow_pickle=False)

    write_folder(folder, write, (INDEX, MARKS))
