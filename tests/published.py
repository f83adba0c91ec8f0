"""Made-up vectors in the forms in which museums and tools publish theirs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def rows(count: int, dims: int = 8, seed: int = 0) -> np.ndarray:
    """Return made-up rows, float32."""
    return np.random.default_rng(seed).normal(size=(count, dims)).astype(np.float32)


def write_met(path: Path, vectors, model="dinov2-giant", **columns) -> Path:
    """Write Parquet in the form of the Met's datasets; `columns` are more, or others."""
    count = len(vectors)
    table = {
        "objectID": list(range(count)),
        "embedding": [None if one is None else list(map(float, one)) for one in vectors],
        "model": [model] * count if isinstance(model, str) else model,
        "dim": [0 if one is None else len(one) for one in vectors],
        **columns,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = pa.list_(pa.float32())
    arrays = {name: pa.array(values) for name, values in table.items() if name != "embedding"}
    pq.write_table(pa.table({**arrays, "embedding": pa.array(table["embedding"], kind)}), path)
    return path


def write_many(path: Path, count: int, dims: int, chunk: int = 10_000) -> Path:
    """Write many rows in the form of the Met's datasets, a chunk at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("objectID", "embedding", "model", "dim", "title", "artistDisplayName", "objectDate")
    kinds = (pa.int64(), pa.list_(pa.float32()), pa.string(), pa.int64(), *[pa.string()] * 3)
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    with pq.ParquetWriter(path, schema) as file:
        for start in range(0, count, chunk):
            ids = np.arange(start, min(start + chunk, count))
            ends = np.arange(0, len(ids) * dims + 1, dims, dtype=np.int32)
            vectors = pa.ListArray.from_arrays(ends, rows(len(ids), dims, start).ravel())
            words = [f"Work {id}" for id in ids], [f"Artist {id % 997}" for id in ids]
            said = (["dinov2-giant"] * len(ids), [dims] * len(ids), *words)
            years = [str(1400 + id % 600) for id in ids]
            file.write_table(pa.table([ids, vectors, *said, years], schema=schema))
    return path


def write_records(path: Path, vectors, provider: str = "sfomuseum", **fields) -> Path:
    """Write go-embeddingsdb's records, a JSON object a line."""
    with open(path, "w", encoding="utf-8") as file:
        for number, vector in enumerate(vectors):
            record = {
                "provider": provider,
                "depiction_id": str(1_000 + number),
                "subject_id": str(number),
                "model": "apple/mobileclip_s0",
                "embeddings": [float(one) for one in vector],
                "created": 1_780_000_000,
                "attributes": {
                    "title": f"Flight bag {number}",
                    "image_url": f"https://x.org/{number}",
                },
            }
            file.write(json.dumps(record | fields) + "\n")
    return path
