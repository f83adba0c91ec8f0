"""Bringing what Milvus holds up to date: what is new or changed goes in, what is gone goes out."""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.vectors import chunks_of
from artsearch.features.features import Features
from artsearch.index.metrics import check_features, prepare_rows
from artsearch.index.milvus.fields import CHECKSUM, ID, PK, Attributes, fitting_columns, key_of
from artsearch.index.milvus.store import MilvusStore, page_rows
from artsearch.index.stored import checksum_rows

FORMAT = 3
#: What of the metadata changes when works do; all else says which features there are.
CHANGES = {"collection", "neighbours", "reading"}


def bring_up_to_date(
    store: MilvusStore,
    features: Mapping[str, Features],
    metric: str,
    works: pd.DataFrame | None,
    graph: Mapping | None,
    replace: bool = False,
) -> dict:
    """Make a collection hold features, and what a table knows of the works; return its metadata.

    Rows carry a checksum of themselves, so that only what is not there as it should be is written,
    also after a run that was killed. A column that is new to the table, or an older format (of
    which it warns), makes all be written again, by Milvus alone: nothing is computed anew. Raises
    MismatchError, with both values, for other features than are there.
    """
    features = {name: check_features(metric, part) for name, part in features.items()}
    _check_same_works(features)
    columns = [] if works is None else fitting_columns(list(works.columns), len(features))
    metadata = {
        "format": FORMAT,
        "metric": metric,
        "vectors": {name: part.dims for name, part in features.items()},
        # As it is read again: what made features may hold tuples.
        "provenance": json.loads(json.dumps(next(iter(features.values())).provenance)),
        "columns": columns,
        "graph": dict(graph) if graph else None,
        "whole": True,
    }
    stored = store.read_metadata()  # which refuses what somebody else made
    if replace:
        stored = None
    elif stored is not None and stored["format"] < FORMAT:
        warnings.warn(f"{_name_format(store, stored)}; it is written again", stacklevel=3)
        stored = None
    if stored is not None:
        _check_format(store, stored)
        # A component of a blend has fewer numbers where there are fewer works.
        compared = ("metric", "graph") if len(features) > 1 else ("metric", "graph", "vectors")
        _refuse_others(store, stored, metadata, compared)
        if set(columns) <= set(stored["columns"]):
            metadata["columns"] = stored["columns"]
    attributes = Attributes(metadata["columns"])
    fields = ("columns", "vectors")
    if stored is not None and any(stored[key] != metadata[key] for key in fields):
        stored = None
    if stored is None or not store.has_works():
        store.drop()
        # Noted first: a collection without metadata is taken for somebody else's.
        store.write_metadata(metadata | {"whole": False})
        dims = {f"vector_{n}": part.dims for n, part in enumerate(features.values())}
        store.create(attributes, dims, metric, graph)
        stored = None
    table = {} if works is None else {work["id"]: work for work in works.to_dict("records")}
    checksums = _checksums(features, attributes, table)
    keys = [key_of(id) for id in checksums]
    known = {record[PK]: record[CHECKSUM] for record in store.records([CHECKSUM])}
    fresh = [row for row, value in enumerate(checksums.values()) if known.get(keys[row]) != value]
    gone = sorted(known.keys() - set(keys))
    if fresh or gone or stored != metadata:
        store.write_metadata(metadata | {"whole": False})
        _write_works(store, features, metric, fresh, checksums, attributes, table)
        store.delete(gone)
        store.flush()
        store.write_metadata(metadata)
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


def _checksums(
    features: Mapping[str, Features], attributes: Attributes, table: Mapping[str, Mapping]
) -> dict[str, int]:
    """Return a checksum of each work by its id: of its vectors, and of what is known of it."""
    vectors = np.stack([checksum_rows(part) for part in features.values()], axis=1)
    ids = next(iter(features.values())).ids
    return {
        id: (attributes.checksum(table.get(id, {})) & 0x7FFF_FFFF) << 32 | zlib.crc32(row)
        for id, row in zip(ids, vectors, strict=True)
    }


def _write_works(store, features, metric, rows, checksums, attributes, table) -> None:
    """Write some rows of features, with their checksums and what the table knows of the works."""
    ids, dims = list(checksums), sum(part.dims for part in features.values())
    for page in chunks_of(rows, min(1000, page_rows(dims))):
        records = [
            {PK: key_of(ids[row]), ID: ids[row], CHECKSUM: checksums[ids[row]]}
            | attributes.record(table.get(ids[row], {}))
            for row in page
        ]
        for n, part in enumerate(features.values()):
            vectors = prepare_rows(part.vectors[page], metric, None).astype(np.float32)
            for record, vector in zip(records, vectors, strict=True):
                record[f"vector_{n}"] = vector
        store.upsert(records)


def _check_same_works(features: Mapping[str, Features]) -> None:
    first, *others = features.values()
    if any(other.ids != first.ids for other in others):
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


def _refuse_others(store: MilvusStore, stored: dict, wanted: dict, compared: Iterable[str]) -> None:
    has, asked = (
        metadata["provenance"] | {key: metadata[key] for key in compared}
        for metadata in (stored, wanted)
    )
    for key in sorted((has.keys() | asked.keys()) - CHANGES):
        if has.get(key, "") != asked.get(key, ""):
            raise MismatchError(
                f"the collection {store.name!r} in {store.uri!r} was made with {key} "
                f"{has.get(key, '')!r}, asked for is {asked.get(key, '')!r}; take another name, or "
                "build it with replace=True"
            )
