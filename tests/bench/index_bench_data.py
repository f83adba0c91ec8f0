"""What all indexes are measured on: rows, queries, filters, and what is to be found."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.vectors import write_rows
from artsearch.features.features import Features
from artsearch.index.metrics import check_features, unit_rows

#: The shares of the works that match a filter.
SHARES = (0.01, 0.1, 0.5)
#: The files that every process maps, and the note of what they were made from.
ROWS, QUERIES, FILTERS, NOTE = "rows.npy", "queries.npy", "filters.npy", "data.json"
#: Rows that are compared at a time.
CHUNK = 16_384
#: Single precision is inexact: so many more than asked for are compared again in double.
MORE = 16


@dataclass(frozen=True, eq=False)
class Data:
    """A folder with rows, queries and filters in it, and the rows that each query should find.

    `nearest` holds queries × k numbers of rows, first of all works, then of each filter's.
    """

    folder: Path
    works: int
    dims: int
    shares: tuple[float, ...]
    nearest: list[np.ndarray]


def prepare(
    folder: Path,
    features: Features,
    queries: np.ndarray,
    shares: Sequence[float],
    k: int,
    seed: int = 0,
) -> Data:
    """Write rows and queries of unit length and random filters; drop what was built of others.

    Raises ArtsearchError for features or queries that do not fit, and for a folder with other
    things in it.
    """
    features = check_features("angular", features)
    queries = np.atleast_2d(np.asarray(queries, np.float32))
    if queries.shape[1] != features.dims or not len(queries):
        raise MismatchError(
            f"the queries have the shape {queries.shape}, the features rows of {features.dims} "
            "numbers; give one row a query"
        )
    if len(features) < k:
        raise ArtsearchError(f"k is {k}, but there are {len(features)} works to choose from")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / NOTE).exists():
        raise ArtsearchError(f"{str(folder)!r} has other things in it; name an empty folder")
    filters = draw_filters(len(features), shares, seed)
    note = {"works": len(features), "dims": features.dims, "rows": _checksum(features)}
    note |= {"filters": zlib.crc32(filters)}
    if not _is_there(folder, note):
        shutil.rmtree(folder)
        folder.mkdir()
        # First, so that a folder that is half written is known as ours; the note comes last.
        (folder / NOTE).touch()
        units = (unit_rows(chunk) for chunk in _chunks(features))
        write_rows(folder / ROWS, (len(features), features.dims), units)
        np.save(folder / FILTERS, filters)
        (folder / NOTE).write_text(json.dumps(note), encoding="utf-8")
    np.save(folder / QUERIES, unit_rows(queries))
    rows = np.load(folder / ROWS, mmap_mode="r")
    nearest = find_nearest(rows, unit_rows(queries), filters, k)
    return Data(folder, len(features), features.dims, tuple(shares), nearest)


def draw_filters(works: int, shares: Sequence[float], seed: int = 0) -> np.ndarray:
    """Return for each share, and each work, whether it matches: so many of them, drawn at random.

    >>> draw_filters(10, [0.1, 0.5]).sum(axis=1).tolist()
    [1, 5]
    """
    rng = np.random.default_rng(seed)
    filters = np.zeros((len(shares), works), bool)
    for mask, share in zip(filters, shares, strict=True):
        mask[rng.choice(works, max(1, round(share * works)), replace=False)] = True
    return filters


def find_nearest(
    rows: np.ndarray, queries: np.ndarray, filters: Sequence[np.ndarray], k: int
) -> list[np.ndarray]:
    """Return the k nearest rows of each query, of all and of those that each filter keeps.

    Rows and queries have unit length. Each answer is queries × k numbers of rows, nearest first;
    where fewer match, the last ones are -1.

    >>> nearest, kept = find_nearest(np.eye(3), np.eye(3)[:1], [np.array([False, True, False])], 2)
    >>> int(nearest[0, 0]), kept.tolist()
    (0, [[1, -1]])
    """
    masks = [np.ones(len(rows), bool), *filters]
    best = [(np.empty((len(queries), 0)), np.empty((len(queries), 0), np.int64)) for _ in masks]
    for start in range(0, len(rows), CHUNK):
        scores = queries @ np.asarray(rows[start : start + CHUNK]).T
        numbers = np.arange(start, start + scores.shape[1])
        for place, mask in enumerate(masks):
            kept = mask[numbers]
            new = scores[:, kept], np.broadcast_to(numbers[kept], (len(queries), kept.sum()))
            best[place] = _keep(*map(np.hstack, zip(best[place], new, strict=True)), k + MORE)
    return [_settle(rows, queries, numbers, k) for _, numbers in best]


def recall(found: Sequence[Sequence[int]], nearest: np.ndarray) -> float:
    """Return the share of the nearest rows that were found; `nearest` may have more queries.

    >>> recall([[1, 2], [5]], np.array([[2, 3], [5, -1], [8, 9]]))
    0.6666666666666666
    """
    wanted = [set(row[row >= 0].tolist()) for row in nearest[: len(found)]]
    hits = sum(len(want & set(have)) for want, have in zip(wanted, found, strict=True))
    return hits / max(1, sum(map(len, wanted)))


def _keep(scores: np.ndarray, numbers: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best scores of each query, and their rows."""
    if scores.shape[1] <= most:
        return scores, numbers
    best = np.argpartition(-scores, most - 1, axis=1)[:, :most]
    return np.take_along_axis(scores, best, 1), np.take_along_axis(numbers, best, 1)


def _settle(rows: np.ndarray, queries: np.ndarray, found: np.ndarray, k: int) -> np.ndarray:
    """Return the k nearest of the candidates of each query, compared in double precision."""
    nearest = np.full((len(queries), k), -1)
    for place, (query, numbers) in enumerate(zip(queries, np.sort(found, axis=1), strict=True)):
        scores = np.asarray(rows[numbers], np.float64) @ query.astype(np.float64)
        best = numbers[np.argsort(-scores, kind="stable")[:k]]
        nearest[place, : len(best)] = best
    return nearest


def _chunks(features: Features) -> Iterator[np.ndarray]:
    starts = range(0, len(features), CHUNK)
    return (np.asarray(features.vectors[start : start + CHUNK]) for start in starts)


def _checksum(features: Features) -> int:
    total = 0
    for chunk in _chunks(features):
        total = zlib.crc32(np.ascontiguousarray(chunk), total)
    return total


def _is_there(folder: Path, note: dict) -> bool:
    try:
        return json.loads((folder / NOTE).read_text(encoding="utf-8")) == note
    except (OSError, ValueError):
        return False
