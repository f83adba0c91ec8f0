"""Rows of numbers: their length, the nearest of them, and many files of them as one array."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

#: Rows of a shard: 335 MB of 1,280 numbers each.
SHARD_ROWS = 65_536
#: Rows that are in memory at a time while a shard is written.
CHUNK = 4_096


def chunks_of(rows: Sequence | np.ndarray, size: int = CHUNK) -> Iterator:
    """Yield all rows in order, `size` at a time: a large collection's stay on disk."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return rows of length 1 in the same direction; a row of zeros stays what it is.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def first_not_finite(vectors: np.ndarray) -> tuple[int, int]:
    """Return how many rows hold numbers that are not finite, and the first of them, or 0, -1."""
    bad = [~np.isfinite(chunk).all(axis=1) for chunk in chunks_of(vectors)]
    found = np.flatnonzero(np.concatenate(bad)) if bad else []
    return len(found), int(found[0]) if len(found) else -1


def largest(values: np.ndarray, k: int) -> np.ndarray:
    """Return the columns of the k largest values of each row, largest first, ties by column.

    >>> largest(np.array([[1, 3, 3, 2]]), 3).tolist()
    [[1, 2, 3]]
    """
    # All that tie with the k-th are candidates; sorting whole rows would take ten times as long.
    least = np.partition(values, -k, axis=1)[:, -k]
    found = np.empty((len(values), k), np.int64)
    for row, (ours, limit) in enumerate(zip(values, least, strict=True)):
        columns = np.flatnonzero(ours >= limit)
        found[row] = columns[np.argsort(-ours[columns], kind="stable")[:k]]
    return found


def knn(
    score: Callable[[slice], np.ndarray], rows: int, k: int, block: int = 16 * CHUNK
) -> np.ndarray:
    """Return for each query the numbers of k rows that score highest, in no order.

    `score` gives queries × rows for a block of rows, −∞ where a row is none to be found; so that
    not all scores are in memory at once. Where fewer are to be found, the last ones are any.
    """
    best = values = None
    for start in range(0, rows, block):
        new = score(slice(start, start + block))
        numbers = np.broadcast_to(np.arange(start, start + new.shape[1]), new.shape)
        values = new if values is None else np.hstack([values, new])
        best = numbers if best is None else np.hstack([best, numbers])
        if values.shape[1] > k:
            kept = np.argpartition(-values, k - 1, axis=1)[:, :k]
            best, values = (np.take_along_axis(one, kept, axis=1) for one in (best, values))
    return best


def names(number: int, of: int) -> tuple[str, str]:
    """Return the files of a shard, vectors and works, in the layout of clip-retrieval.

    >>> names(0, of=1)
    ('img_emb/img_emb_0.npy', 'metadata/metadata_0.parquet')
    >>> names(7, of=12)[0]
    'img_emb/img_emb_07.npy'
    """
    # Zeros in front, so that readers who sort by name see the rows in order.
    digits = str(number).zfill(len(str(of - 1)))
    return f"img_emb/img_emb_{digits}.npy", f"metadata/metadata_{digits}.parquet"


def write_rows(path: Path, shape: tuple[int, int], chunks: Iterable[np.ndarray]) -> None:
    """Write rows as a .npy file of float32, chunk by chunk, and see that they reach the disk."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, dtype="<f4"))
        file.flush()
        os.fsync(file.fileno())


def read_rows(paths: Sequence[Path]) -> np.ndarray | ShardedRows:
    """Map the rows of all shards into memory: one array, of which nothing is read yet."""
    shards = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    for shard in shards:
        if shard.ndim != 2 or shard.dtype != np.float32:
            raise ValueError(f"rows of {shard.dtype} in the shape {shard.shape}")
    return shards[0] if len(shards) == 1 else ShardedRows(shards)


class ShardedRows(np.lib.mixins.NDArrayOperatorsMixin):
    """Several arrays of rows that are used as one, without being copied.

    Rows are taken by a number, a slice, or an array of numbers or of truths, and only those are
    read. Whatever else an array can do is done with all rows in memory.

    >>> rows = ShardedRows([np.zeros((2, 3), "f"), np.ones((1, 3), "f")])
    >>> rows.shape, rows[2].tolist(), float(rows.sum())
    ((3, 3), [1.0, 1.0, 1.0], 3.0)
    """

    ndim = 2

    def __init__(self, shards: Sequence[np.ndarray]):
        self._shards = list(shards)
        self._ends = np.cumsum([len(shard) for shard in shards])
        self.shape = (int(self._ends[-1]), shards[0].shape[1])
        self.dtype = shards[0].dtype
        if {shard.shape[1] for shard in shards} != {self.shape[1]}:
            raise ValueError("the shards have rows of different lengths")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key):
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
            return self._row(int(rows))[rest]
        if isinstance(rows, slice):
            return self._slice(rows)[:, *rest]
        plain = all(isinstance(one, int | np.integer | slice) for one in rest)
        if plain and np.ndim(rows) and np.shape(rows) != self.shape:  # which may be truths
            numbers = np.arange(len(self))[rows]
            part = self._take(numbers.ravel())[:, *rest]
            return part.reshape(numbers.shape + part.shape[1:])
        return np.asarray(self)[key]

    def __array__(self, dtype=None, copy=None):
        if copy is False:
            raise ValueError("rows in several files become one array only by copying")
        return np.concatenate(self._shards).astype(dtype or self.dtype, copy=False)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if any(isinstance(one, ShardedRows) for one in options.get("out", ())):
            return NotImplemented  # files are not written to
        whole = [np.asarray(one) if isinstance(one, ShardedRows) else one for one in inputs]
        return getattr(ufunc, method)(*whole, **options)

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def _row(self, number: int) -> np.ndarray:
        if not -len(self) <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        number %= len(self)
        shard = int(np.searchsorted(self._ends, number, side="right"))
        return self._shards[shard][number - self._ends[shard]]

    def _slice(self, rows: slice) -> np.ndarray:
        start, stop, step = rows.indices(len(self))
        if step != 1:
            return self._take(np.arange(start, stop, step))
        starts = self._ends - [len(shard) for shard in self._shards]
        parts = [
            shard[max(0, start - first) : max(0, stop - first)]
            for shard, first in zip(self._shards, starts, strict=True)
        ]
        parts = [part for part in parts if len(part)]
        return parts[0] if len(parts) == 1 else np.concatenate([self._shards[0][:0], *parts])

    def _take(self, numbers: np.ndarray) -> np.ndarray:
        out = np.empty((len(numbers), self.shape[1]), self.dtype)
        where = np.searchsorted(self._ends, numbers, side="right")
        for shard in np.unique(where):
            here = where == shard
            first = self._ends[shard] - len(self._shards[shard])
            out[here] = self._shards[shard][numbers[here] - first]
        return out
