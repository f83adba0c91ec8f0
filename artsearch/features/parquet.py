"""A store in the form in which museums publish vectors: Parquet, and a passport beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from artsearch.base.disk import sync, write_folder
from artsearch.base.vectors import CHUNK, SHARD_ROWS
from artsearch.features.features import Features

#: What lies in such a folder; one with anything else in it is not replaced.
PASSPORT, DATA = "passport.json", "data"
#: The columns of the Met's datasets; what is known of the works comes behind them.
FIRST = ("objectID", "embedding", "model", "dim")


def write_parquet(
    folder: str | os.PathLike,
    features: Features,
    works: pd.DataFrame,
    passport: Mapping,
    shard_rows: int = SHARD_ROWS,
) -> Path:
    """Write vectors as Parquet, in shards, with what is known of the works and a passport.

    `works` is the table of the collection, with a column `id`. Rows go through the memory in
    batches, and are written as they are, bit by bit. The folder appears whole or not at all.
    """
    model = str(passport["model"])
    table = works.set_index("id").reindex(features.ids).fillna("").astype(str)
    table = table.drop(columns=[name for name in FIRST if name in table])
    starts = range(0, len(features), shard_rows)

    def write(new: Path) -> None:
        (new / DATA).mkdir()
        for number, start in enumerate(starts):
            name = f"train-{number:05}-of-{len(starts):05}.parquet"
            _write_shard(
                new / DATA / name,
                features,
                table,
                model,
                start,
                min(start + shard_rows, len(table)),
            )
        text = json.dumps(dict(passport), indent=1, allow_nan=False)
        (new / PASSPORT).write_text(text, encoding="utf-8")
        sync(new / PASSPORT)

    return write_folder(folder, write, (PASSPORT, DATA))


def _write_shard(
    path: Path, features: Features, table: pd.DataFrame, model: str, start: int, stop: int
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = (pa.string(), pa.list_(pa.float32()), pa.string(), pa.int32())
    fields = [*zip(FIRST, kinds, strict=True), *((name, pa.string()) for name in table)]
    schema = pa.schema(fields)
    words = [name for name in schema.names if name != "embedding"]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=words) as file:
        for at in range(start, stop, CHUNK):
            part = slice(at, min(at + CHUNK, stop))
            rows = np.ascontiguousarray(features.vectors[part], np.float32)
            ends = np.arange(0, rows.size + 1, features.dims, dtype=np.int32)
            vectors = pa.ListArray.from_arrays(ends, rows.ravel())
            said = [features.ids[part], vectors, [model] * len(rows), [features.dims] * len(rows)]
            said += [table[name].iloc[part].tolist() for name in table]
            file.write_table(pa.table(said, schema=schema))
    sync(path)
