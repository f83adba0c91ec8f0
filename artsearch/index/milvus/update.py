"""Bringing what Milvus holds up to date: what is new or changed goes in, what is gone goes out."""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.vectors import chunks_of
from artsearch.features.features import Features
from artsearch.index.metrics import check_features, prepare_rows
from artsearch.index.milvus.fields import (
    CHECKSUM,
    ID,
    PK,
    Attributes,
    fitting_columns,
    key_of,
    works_by_id,
)
from artsearch.index.milvus.store import MilvusStore, page_rows
from artsearch.index.stored import checksum_rows

FORMAT = 3
#: What of the metadata changes when works do; all else says which features there are.
CHANGES = ("collection", "neighbours")


def bring_up_to_date(
    store: MilvusStore,
    features: Mapping[str, Features],
    metric: str,
    works: pd.DataFrame | None,
    graph: Mapping | None,
    replace: bool = False,
    widths_change: bool = False,
) -> dict:
    """Make a collection hold features, and what a table knows of the works; return its metadata.

    Rows carry a checksum of themselves, so that only what is not there as it should be is written,
    also after a run that was killed. A column that is new to the table, or an older format (of
    which it warns), makes all be written again, by Milvus alone: nothing is computed anew. Raises
    MismatchError, with both values, for other features than are there; with `widths_change` they
    may be as wide as they like.
    """
    features = {name: check_features(metric, one) for name, one in features.items()}
    _check_same_works(features)
    columns = [] if works is None else fitting_columns(list(works.columns), len(features))
    metadata = _describe(features, metric, columns, graph)
    there = store.read_metadata()  # which refuses what somebody else made
    if replace:
        there = None
    elif there is not None and there["format"] < FORMAT:
        warnings.warn(f"{_name_format(store, there)}; it is written again", stacklevel=3)
        there = None
    if there is not None:
        _refuse_others(store, there, metadata, ("vectors",) * widths_change)
        if set(columns) <= set(there["columns"]):
            metadata["columns"] = there["columns"]
    attributes = Attributes(metadata["columns"])
    same = there is not None and all(there[key] == metadata[key] for key in ("columns", "vectors"))
    if not same or not store.has_works():
        store.drop()
        # Noted first: a collection without metadata is taken for somebody else's.
        store.write_metadata(metadata | {"whole": False})
        dims = {f"vector_{n}": one.dims for n, one in enumerate(features.values())}
        store.create(attributes, dims, metric, graph)
        there = None
    _write_changes(store, features, metric, attributes, works, metadata, there)
    return metadata


def read_whole_metadata(store: MilvusStore) -> dict:
    """Return the metadata of a collection; raises ArtsearchError where there is none, or half."""
    metadata = store.read_metadata()
    if metadata is None:
        raise ArtsearchError(
            f"{store.uri!r} holds no collection {store.name!r}; build it from features"
        )
    _check_format(store, metadata)
    if not metadata["whole"] or not store.has_works():
        raise ArtsearchError(
            f"the collection {store.name!r} in {store.uri!r} was not written to its end; bring it "
            "up to date with its features, which goes on where it was"
        )
    return metadata


def _describe(features: Mapping[str, Features], metric: str, columns: list, graph) -> dict:
    first = next(iter(features.values()))
    return {
        "format": FORMAT,
        "metric": metric,
        "vectors": {name: one.dims for name, one in features.items()},
        # As it is read again: what made features may hold tuples.
        "provenance": json.loads(json.dumps(first.provenance)),
        "columns": columns,
        "graph": dict(graph) if graph else None,
        "whole": True,
    }


def _write_changes(store, features, metric, attributes, works, metadata, there) -> None:
    first = next(iter(features.values()))
    known = {record[PK]: record[CHECKSUM] for record in store.records([CHECKSUM])}
    table = works_by_id(works)
    checksums = _checksums(features, attributes, table)
    keys = [key_of(id) for id in first.ids]
    fresh = [row for row, key in enumerate(keys) if known.get(key) != checksums[row]]
    gone = sorted(known.keys() - set(keys))
    if not fresh and not gone and there == metadata:
        return
    store.write_metadata(metadata | {"whole": False})
    dims = sum(one.dims for one in features.values())
    for rows in chunks_of(fresh, min(1000, page_rows(dims))):
        vectors = {}
        for n, one in enumerate(features.values()):
            taken = np.stack([one.vectors[row] for row in rows])
            vectors[f"vector_{n}"] = prepare_rows(taken, metric, None).astype(np.float32)
        store.upsert(
            [
                {PK: keys[row], ID: first.ids[row], CHECKSUM: checksums[row]}
                | attributes.record(table.get(first.ids[row], {}))
                | {field: values[place] for field, values in vectors.items()}
                for place, row in enumerate(rows)
            ]
        )
    store.delete(gone)
    store.flush()
    store.write_metadata(metadata)


def _checksums(features: Mapping[str, Features], attributes: Attributes, table: dict) -> list[int]:
    """Return a checksum of each work: of its vectors, and of what is known of it."""
    vectors = np.stack([checksum_rows(one) for one in features.values()], axis=1)
    ids = next(iter(features.values())).ids
    return [
        (attributes.checksum(table.get(id, {})) & 0x7FFF_FFFF) << 32 | zlib.crc32(vectors[row])
        for row, id in enumerate(ids)
    ]


def _check_same_works(features: Mapping[str, Features]) -> None:
    first, *others = features.values()
    if any(one.ids != first.ids for one in others):
        raise MismatchError("the features are not of the same works; extract them together")
    for id in first.ids:
        try:
            id.encode()
        except UnicodeEncodeError:
            raise ArtsearchError(f"the id {id!r} holds bytes that are no text") from None


def _check_format(store: MilvusStore, metadata: dict) -> None:
    if metadata["format"] != FORMAT:
        raise MismatchError(f"{_name_format(store, metadata)}; build it from features")


def _name_format(store: MilvusStore, metadata: dict) -> str:
    return (
        f"the collection {store.name!r} in {store.uri!r} has the format {metadata['format']!r}, "
        f"this version {FORMAT}"
    )


def _refuse_others(store: MilvusStore, there: dict, wanted: dict, free: Collection[str]) -> None:
    _check_format(store, there)
    mine, theirs = there["provenance"], wanted["provenance"]
    pairs = [(key, mine.get(key, ""), theirs.get(key, "")) for key in mine.keys() | theirs.keys()]
    pairs = sorted(pair for pair in pairs if pair[0] not in CHANGES)
    named = [key for key in ("metric", "vectors", "graph") if key not in free]
    pairs += [(key, there[key], wanted[key]) for key in named]
    for key, has, asked in pairs:
        if has != asked:
            raise MismatchError(
                f"the collection {store.name!r} in {store.uri!r} was made with {key} {has!r}, "
                f"asked for is {asked!r}; take another name, or build it with replace=True"
            )
