"""Finding the nearest rows: Annoy as in the article, and an exact search beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from artsearch.annoy_index import AnnoyIndex
from artsearch.distances import METRICS, check_features
from artsearch.errors import ArtsearchError, MismatchError, check_whole, unknown
from artsearch.exact_index import ExactIndex
from artsearch.features import Features
from artsearch.index_base import FORMAT, MEDIANS, NOTE, Index, hash_index

__all__ = [
    "METRICS",
    "AnnoyIndex",
    "ExactIndex",
    "Index",
    "construct_ann_index",
    "construct_exact_index",
    "load_index",
]
_KINDS: dict[str, type[Index]] = {cls.kind: cls for cls in (AnnoyIndex, ExactIndex)}


def construct_ann_index(
    metric: str = "angular",
    num_trees: int = 25,
    features: Features | np.ndarray | None = None,
    *,
    seed: int = 0,
) -> AnnoyIndex:
    """Build the article's index: Annoy with a number of trees over the features.

    `metric` is one of METRICS. Features may be a plain array, whose rows then get their numbers as
    ids. Raises ArtsearchError for an unknown metric, and for features that hold no work or numbers
    that are not finite.

    >>> index = construct_ann_index("angular", 5, np.eye(3))
    >>> index.search("0", k=2)[0]
    ['1', '2']
    """
    check_whole("num_trees", num_trees)
    check_whole("seed", seed, least=0)
    return AnnoyIndex.build(metric, int(num_trees), check_features(metric, features), int(seed))


def construct_exact_index(
    metric: str = "angular", features: Features | np.ndarray | None = None
) -> ExactIndex:
    """Build an index that computes every distance, with the same interface."""
    return ExactIndex.build(metric, check_features(metric, features))


def load_index(
    folder: str | os.PathLike, features: Features | None = None, metric: str | None = None
) -> Index:
    """Open a saved index; refuse it when it does not belong to the features or metric given.

    Raises MismatchError, with both values, when metric, dimension, ids, or what made the features
    is not the same, and ArtsearchError when the folder holds no index.
    """
    if metric is not None and metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    folder = Path(folder)
    try:
        note, kind, medians = _read_note(folder)
    # json and NumPy raise their own for a broken file; a KeyError is a note without an entry.
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        known = MismatchError if isinstance(error, MismatchError) else ArtsearchError
        reason = getattr(error, "strerror", None) or error
        raise known(
            f"{str(folder)!r} holds no index that can be read ({reason}); build it again"
        ) from None
    _refuse("metric", note["metric"], metric)
    if features is not None:
        _compare_notes(note, features)
    return kind.read(folder, note, medians)


def _read_note(folder: Path) -> tuple[dict, type[Index], np.ndarray | None]:
    """Read what an index says of itself, and see that all of it is as it was written."""
    note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    if note["format"] != FORMAT:
        raise MismatchError(f"its format is {note['format']!r}, this version has {FORMAT}")
    # Without this Annoy would map any file of a fitting size, and follow what it finds in it.
    stated, kind = note.pop("sha256"), _KINDS[note["kind"]]
    if hash_index(folder, note, kind.file) != stated:
        raise MismatchError("its files are not as they were written")
    medians = None
    if note["metric"] == "hamming":
        medians = np.load(folder / MEDIANS, allow_pickle=False)
    return note, kind, medians


def _compare_notes(note: dict, features: Features) -> None:
    for key in sorted(note["made_by"].keys() | features.made_by.keys()):
        _refuse(key, note["made_by"].get(key, ""), features.made_by.get(key, ""))
    _refuse("dimension", note["dims"], features.dims)
    _refuse("number of works", len(note["ids"]), len(features))
    for mine, theirs in zip(note["ids"], features.ids, strict=True):
        _refuse("work", mine, theirs)


def _refuse(what: str, mine: object, theirs: object) -> None:
    if theirs is not None and mine != theirs:
        raise MismatchError(
            f"this index was made with {what} {mine!r}, asked for is {theirs!r}; "
            "build it again from the features at hand"
        )
