"""Finding the nearest rows: Annoy as in the article, exact search beside it, and others.

All kinds answer in the same way; KINDS is where another one is added.
"""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError, reason_of, unknown
from artsearch.base.sealed import open_sealed
from artsearch.features.features import Features
from artsearch.index.annoy import AnnoyIndex
from artsearch.index.auto import choose_index
from artsearch.index.base import Index
from artsearch.index.exact import ExactIndex
from artsearch.index.folder import IDS, KIND, MEDIANS, Basics, Saved
from artsearch.index.metrics import METRICS, check_features

#: Where the class of each kind is, imported when it is wanted: most need a library of their own.
KINDS = {
    "annoy": "artsearch.index.annoy:AnnoyIndex",
    "exact": "artsearch.index.exact:ExactIndex",
    "faiss": "artsearch.index.faiss:FaissIndex",
    "milvus": "artsearch.index.milvus.index:MilvusIndex",
}


def check_kind(kind: str) -> None:
    """Raise ArtsearchError unless a kind of index is "auto" or one of KINDS."""
    if kind != "auto":
        find_kind(kind)


def find_kind(kind: str) -> type[Index]:
    """Return the class of a kind of index; raises ArtsearchError for an unknown one.

    >>> find_kind("exact").__name__
    'ExactIndex'
    """
    if kind not in KINDS:
        raise unknown("kind of index", kind, ["auto", *KINDS])
    module, name = KINDS[kind].split(":")
    return getattr(import_module(module), name)


def options_of(kind: str) -> list[str]:
    """Return the names of the options that a kind, or "auto", is built with.

    >>> options_of("annoy"), options_of("auto")
    (['num_trees', 'seed'], ['recall', 'seed'])
    """
    # What every kind is built from is no option.
    parameters = inspect.signature(_builder(kind)).parameters
    return [name for name in parameters if name not in ("metric", "features")]


def _builder(kind: str) -> Callable[..., Index]:
    return choose_index if kind == "auto" else find_kind(kind).build


def check_options(kind: str, options: Iterable[str]) -> None:
    """Raise ArtsearchError for an option that a kind, or "auto", does not take."""
    known = options_of(kind)
    for name in options:
        if not known:
            raise ArtsearchError(f"an index of the kind {kind!r} takes no options; got {name!r}")
        if name not in known:
            raise unknown(f"option of the kind {kind!r}", name, known)


def construct_index(
    kind: str = "auto",
    metric: str = "angular",
    features: Features | np.ndarray | None = None,
    **options,
) -> Index:
    """Build an index of one of the KINDS, or the one that measures best for these features.

    `options` are those of the kind, such as `num_trees` of "annoy" or `compress` of "faiss";
    those of "auto" are `recall`, 0.99 unless asked otherwise, and `seed` (see choose_index). Raises
    ArtsearchError for an unknown kind, metric or option, for a metric that the kind does not have,
    and for features that hold no work or numbers that are not finite.

    >>> index = construct_index("exact", "euclidean", np.eye(3))
    >>> index.search("0", k=2)[0]
    ['1', '2']
    """
    check_options(kind, options)
    return _builder(kind)(metric, check_features(metric, features), **options)


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
    return AnnoyIndex.build(metric, check_features(metric, features), num_trees, seed)


def construct_exact_index(
    metric: str = "angular", features: Features | np.ndarray | None = None
) -> ExactIndex:
    """Build an index that computes every distance, with the same interface."""
    return ExactIndex.build(metric, check_features(metric, features))


def load_index(
    folder: str | os.PathLike, features: Features | None = None, metric: str | None = None
) -> Index:
    """Open a saved index; refuse it when it does not belong to the features or metric given.

    A large one is not read for that, unless its files were changed or copied since it was written.
    Raises MismatchError, with both values, when metric, dimension, ids, or what made the features
    is not the same, and ArtsearchError when the folder holds no index, or one of a library that is
    not installed.
    """
    if metric is not None and metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    folder = Path(folder)
    try:
        metadata = open_sealed(folder, KIND)
        settings = dict(metadata["settings"])
        kind = find_kind(settings.pop("kind"))
        ids = json.loads((folder / IDS).read_text(encoding="utf-8"))
        medians = np.load(folder / MEDIANS) if MEDIANS in metadata["files"] else None
    except (OSError, ValueError) as error:  # NumPy's, too, and our own errors
        known = type(error) if isinstance(error, ArtsearchError) else ArtsearchError
        raise known(
            f"{str(folder)!r} holds no index that can be read ({reason_of(error)}); build it again"
        ) from None
    provenance = metadata["provenance"]
    basics = Basics(metadata["metric"], ids, metadata["dims"], provenance, medians)
    _refuse("metric", basics.metric, metric)
    if features is not None:
        for key in sorted(provenance.keys() | features.provenance.keys()):
            _refuse(key, provenance.get(key, ""), features.provenance.get(key, ""))
        _refuse("dimension", basics.dims, features.dims)
        _refuse("number of works", len(ids), len(features))
        for has, asked in zip(ids, features.ids, strict=True):
            _refuse("work", has, asked)
    index = kind.read(Saved(folder, basics, settings))
    index.chosen = metadata["chosen"]
    return index


def _refuse(what: str, has: object, asked: object) -> None:
    if asked is not None and has != asked:
        raise MismatchError(
            f"this index was made with {what} {has!r}, asked for is {asked!r}; "
            "build it again from the features at hand"
        )
