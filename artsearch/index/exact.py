"""Exact search: every distance is computed, among all works or among some."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.folder import VECTORS, Written
from artsearch.index.metrics import (
    check_features,
    distances_between,
    distances_to,
    find_medians,
    prepare_all,
    prepare_rows,
    unit_rows,
)

#: Rows that are compared at a time, so that what is computed in between stays in the cache.
CHUNK = 256
#: Queries and rows of one product where there are many queries: 32 MB of distances.
QUERIES, ROWS = 256, 32_768
#: Single precision, and the fast form of a Euclidean distance, are inexact near zero: so many more
#: candidates than asked for are compared again.
SPARE = 16


class ExactIndex(Index):
    """Every distance is computed: nothing is missed, and time grows with the collection."""

    kind = "exact"
    can_follow = True
    #: How much each column counts in a product; None where all count the same.
    _weights: np.ndarray | None = None

    def __init__(self, *args, vectors: np.ndarray, **kwargs):
        super().__init__(*args, **kwargs)
        self._vectors = vectors
        if self.metric == "euclidean":
            parts = (vectors[start : start + ROWS] for start in range(0, len(vectors), ROWS))
            self._squares = np.concatenate([np.einsum("ij,ij->i", part, part) for part in parts])

    @classmethod
    def build(cls, metric: str, features: Features) -> ExactIndex:
        """Keep the vectors in the form that the metric compares."""
        medians = find_medians(metric, features)
        vectors = prepare_all(features.vectors, metric, medians)
        made_by, ids, dims = features.made_by, features.ids, features.dims
        return cls(metric, ids, dims, made_by, medians, vectors=vectors)

    def follow(self, features: Features, same: np.ndarray) -> ExactIndex:
        """Take over the rows that are the same, and prepare only the others."""
        # The medians of Hamming are those of all works, and so are its bits.
        if self.metric == "hamming" or not len(features):
            return self.rebuild(features)
        fresh = np.flatnonzero(~same)
        new = Features(features.vectors[fresh], [features.ids[row] for row in fresh])
        vectors = np.empty((len(features), self.dims), self._vectors.dtype)
        vectors[same] = self._vectors[[self._row[features.ids[row]] for row in same.nonzero()[0]]]
        if len(fresh):
            new = check_features(self.metric, new)
            vectors[fresh] = prepare_rows(new.vectors, self.metric, None)
        return ExactIndex(
            self.metric, features.ids, self.dims, features.made_by, None, vectors=vectors
        )

    def rebuild(self, features: Features) -> ExactIndex:
        """Prepare all rows of other features."""
        return self.build(self.metric, check_features(self.metric, features))

    def exact(self) -> ExactIndex:
        """Return the index itself."""
        return self

    def row(self, id: str) -> np.ndarray:
        """Return the row of a work as it is compared; raises ArtsearchError for an unknown id."""
        return np.asarray(self._vectors[self.row_of(id)])

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows of those works that the index holds."""
        return np.array([self._row[id] for id in ids if id in self._row], np.int64)

    def distances(self, vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the distances of some rows to a vector, in double precision."""
        vector = self.prepare(vector)
        chunks = (rows[at : at + 4096] for at in range(0, len(rows), 4096))
        found = [self._measure(chunk, vector) for chunk in chunks]
        return np.concatenate(found) if found else np.zeros(0)

    def between(self, rows: np.ndarray) -> np.ndarray:
        """Return the distances between some rows, rows × rows, in double precision."""
        return distances_between(np.asarray(self._vectors[rows]), self.metric)

    def nearest_of(
        self, vector: np.ndarray, rows: np.ndarray, k: int, groups: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest among some rows, nearest first.

        With `groups`, a number for each of the rows, these are the k nearest of each group, group
        by group, the one with the nearest work first. Nothing is missed, however few rows there
        are; where there are fewer than k, all of them come.
        """
        vector = self.prepare(vector)
        groups = np.zeros(len(rows), np.int64) if groups is None else groups
        # As in a plain search: a few more by the fast form, which are then compared exactly.
        most = _first_of_each(groups, self._compare(vector)[rows], k + 16)
        rows, groups = rows[most], groups[most]
        exact = self._measure(rows, vector)
        best = _first_of_each(groups, exact, k)
        rows, groups, exact = rows[best], groups[best], exact[best]
        starts = dict(zip(groups[::-1].tolist(), exact[::-1].tolist(), strict=True))
        nearest = np.array([starts[group] for group in groups.tolist()])
        order = np.lexsort((exact, groups, nearest))
        return rows[order], exact[order]

    def answers_among(self, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return every work's k nearest among some rows, itself left out: places in `rows`, and
        distances (both works × k). Of the rows there are more than k.
        """
        part = copy.copy(self)
        vars(part).pop("_row", None)
        part.ids, part._vectors = tuple(self.ids[row] for row in rows), self._vectors[rows]
        if self.metric == "euclidean":
            part._squares = self._squares[rows]
        found, distances = part._nearest_many(self._vectors, k + 1)
        # One more than asked for: each loses itself, or the last where it is not among them.
        lost = rows[found] == np.arange(len(self))[:, None]
        lost[~lost.any(axis=1), -1] = True
        return found[~lost].reshape(-1, k), distances[~lost].reshape(-1, k)

    @property
    def memory(self) -> int:
        """The bytes of the rows; those of a saved index stay on disk until they are compared."""
        return 0 if isinstance(self._vectors, np.memmap) else self._vectors.nbytes

    @classmethod
    def read(cls, saved: Written) -> ExactIndex:
        """Map saved vectors into memory."""
        vectors = np.load(saved.folder / VECTORS, mmap_mode="r", allow_pickle=False)
        return cls(*saved.basics, vectors=vectors)

    def _nearest(self, vector, row, k, search_k):
        vector = self._vectors[row] if row is not None else self.prepare(vector)
        rough = self._compare(vector)
        most = min(k + SPARE, len(self))
        rows = np.sort(np.argpartition(rough, most - 1)[:most])
        return self._settle(rows, vector, k)

    def _settle(
        self, rows: np.ndarray, vector: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the k nearest of some candidates, compared exactly; ties are settled by row."""
        exact = self._measure(rows, vector)
        order = np.argsort(exact, kind="stable")[:k]
        return rows[order], exact[order]

    def _nearest_many(self, vectors, k):
        if self.metric in ("manhattan", "hamming"):  # which are no product of matrices
            return super()._nearest_many(vectors, k)
        parts = [
            self._nearest_block(vectors[start : start + QUERIES], k)
            for start in range(0, len(vectors), QUERIES)
        ]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def _nearest_block(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        vectors = np.stack([self.prepare(vector) for vector in vectors])
        weighed = vectors if self._weights is None else vectors * self._weights
        most = min(k + SPARE, len(self))
        near, best = np.empty((len(vectors), 0), np.float32), np.empty((len(vectors), 0), np.int64)
        for start in range(0, len(self), ROWS):
            rough = self._products(weighed, slice(start, start + ROWS))
            found = _smallest(rough, most)
            near = np.hstack([near, np.take_along_axis(rough, found, axis=1)])
            best = np.hstack([best, found + start])
            kept = _smallest(near, most)
            near, best = (np.take_along_axis(one, kept, axis=1) for one in (near, best))
        found = [
            self._settle(np.sort(rows), vector, k)
            for rows, vector in zip(best, vectors, strict=True)
        ]
        rows, distances = zip(*found, strict=True)
        return np.stack(rows), np.stack(distances)

    def _products(self, vectors: np.ndarray, rows: slice) -> np.ndarray:
        """Return what orders some rows, for each of several prepared vectors, as _compare does."""
        products = vectors @ self._vectors[rows].T
        return self._squares[rows] - 2 * products if self.metric == "euclidean" else -products

    def prepare(self, vector: np.ndarray) -> np.ndarray:
        """Return a row as it is compared: of unit length where directions are."""
        return unit_rows(vector[None])[0] if self.metric == "angular" else vector

    def _measure(self, rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return distances_to(self._vectors[rows], vector, self.metric)

    def _compare(self, vector: np.ndarray) -> np.ndarray:
        if self.metric in ("angular", "dot"):
            return -(self._vectors @ vector)
        if self.metric == "euclidean":
            return self._squares - 2 * (self._vectors @ vector)
        differ = np.not_equal if self.metric == "hamming" else np.subtract
        chunks = (self._vectors[row : row + CHUNK] for row in range(0, len(self), CHUNK))
        return np.concatenate([np.abs(differ(chunk, vector)).sum(axis=1) for chunk in chunks])

    def _write(self, folder: Path) -> None:
        np.save(folder / VECTORS, self._vectors, allow_pickle=False)


def _smallest(values: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the smallest values of each row, `most` at most, in any order."""
    most = min(most, values.shape[1])
    return np.argpartition(values, most - 1, axis=1)[:, :most]


def _first_of_each(groups: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the smallest values of each group, `most` at most; ties by place."""
    order = np.lexsort((values, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return order[place < most]
