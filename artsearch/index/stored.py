"""An index on disk that is kept up to date with its features."""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.base.sealed import read_manifest
from artsearch.base.vectors import chunks_of
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.factory import check_options, construct_index, load_index, options_of
from artsearch.index.folder import CHECKSUMS, KIND


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
    wanted = json.loads(json.dumps({"kind": kind, "metric": metric} | options, default=int))
    checksums = checksum_rows(features)
    index = None
    with suppress(OSError, ValueError):  # there is none, it is damaged, or another was wanted
        index, before = _read(Path(folder), wanted, features)
    if index is not None:
        known = dict(zip(index.ids, before.tolist(), strict=True))
        found = zip(features.ids, checksums.tolist(), strict=True)
        same = np.array([known.get(id) == checksum for id, checksum in found], dtype=bool)
        if same.all() and index.ids == features.ids and index.provenance == features.provenance:
            return index
    if index is not None and kind == "exact":
        index = index.update(features, same)
    else:
        index = construct_index(kind, metric, features, **options)
    index.save(folder, checksums, wanted)
    return index


def checksum_rows(features: Features) -> np.ndarray:
    """Return a checksum of each row: it tells a changed row from one that is the same."""
    chunks = map(
        np.ascontiguousarray, chunks_of(features.vectors)
    )  # a row of a map is slow to take
    return np.array([zlib.crc32(row) for chunk in chunks for row in chunk], dtype=np.uint32)


def _read(folder: Path, wanted: dict, features: Features) -> tuple[Index, np.ndarray]:
    if read_manifest(folder, KIND)["wanted"] != wanted:
        raise ArtsearchError("an index with other settings")
    index = load_index(folder)
    if index.dims != features.dims:
        raise ArtsearchError("an index of other features")
    return index, np.load(folder / CHECKSUMS, allow_pickle=False)
