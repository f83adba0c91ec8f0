"""Exact search: every distance is computed, among all works or among some."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artsearch.base.vectors import chunks_of, knn, unit_rows
from artsearch.features.features import Features
from artsearch.index.base import VECTORS, Index, Saved
from artsearch.index.metrics import (
    check_features,
    distances_between,
    distances_to,
    find_medians,
    prepare_all,
    prepare_rows,
    rerank,
)

#: Rows that are compared at a time, so that what is computed in between stays in the cache.
CHUNK = 256
#: Queries and rows of one product where there are many queries: 32 MB of distances.
QUERIES, ROWS = 256, 32_768
#: Single precision, and the fast form of a Euclidean distance, are inexact near zero: so many more
#: candidates than asked for are compared again.
MARGIN = 16


class ExactIndex(Index):
    """Every distance is computed: nothing is missed, and time grows with the collection."""

    kind = "exact"
    can_update = True

    def __init__(self, *basics, vectors: np.ndarray, weights: np.ndarray | None = None):
        super().__init__(*basics)
        self._vectors = vectors
        #: How much each column counts in a product; None where all count the same.
        self._weights = weights
        if self.metric == "euclidean":
            squares = [np.einsum("ij,ij->i", part, part) for part in chunks_of(vectors, ROWS)]
            self._squares = np.concatenate(squares)

    @classmethod
    def build(cls, metric: str, features: Features) -> ExactIndex:
        """Keep the vectors in the form that the metric compares."""
        medians = find_medians(metric, features)
        vectors = prepare_all(features.vectors, metric, medians)
        provenance, ids, dims = features.provenance, features.ids, features.dims
        return cls(metric, ids, dims, provenance, medians, vectors=vectors)

    def update(self, features: Features, same: np.ndarray) -> ExactIndex:
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
            self.metric, features.ids, self.dims, features.provenance, None, vectors=vectors
        )

    def rebuild(self, features: Features) -> ExactIndex:
        """Prepare all rows of other features."""
        return self.build(self.metric, check_features(self.metric, features))

    def exact(self) -> ExactIndex:
        """Return the index itself."""
        return self

    def row(self, work_id: str) -> np.ndarray:
        """Return the row of a work as it is compared; raises ArtsearchError for an unknown id."""
        return np.asarray(self._vectors[self.row_of(work_id)])

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows of those works that the index holds."""
        return np.array([self._row[id] for id in ids if id in self._row], np.int64)

    def distances(self, vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the distances of some rows to a vector, in double precision."""
        vector = self.prepare(vector)
        found = [self._measure(chunk, vector) for chunk in chunks_of(rows)]
        return np.concatenate(found) if found else np.zeros(0)

    def between(self, rows: np.ndarray) -> np.ndarray:
        """Return the distances between some rows, rows × rows, in double precision."""
        return distances_between(self._scaled(np.asarray(self._vectors[rows])), self.metric)

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
        most = _first_of_each(groups, self._compare(vector)[rows], k + MARGIN)
        rows, groups = rows[most], groups[most]
        exact = self._measure(rows, vector)
        best = _first_of_each(groups, exact, k)
        rows, groups, exact = rows[best], groups[best], exact[best]
        starts = dict(zip(groups[::-1].tolist(), exact[::-1].tolist(), strict=True))
        nearest = np.array([starts[group] for group in groups.tolist()])
        order = np.lexsort((exact, groups, nearest))
        return rows[order], exact[order]

    def neighbours_among(self, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return every work's k nearest among some rows, itself left out: places in `rows`, and
        distances (both works × k). Of the rows there are more than k.
        """
        found, distances = self.subset(rows)._nearest_many(self._vectors, k + 1)
        # One more than asked for: each loses itself, or the last where it is not among them.
        lost = rows[found] == np.arange(len(self))[:, None]
        lost[~lost.any(axis=1), -1] = True
        return found[~lost].reshape(-1, k), distances[~lost].reshape(-1, k)

    def subset(self, rows: np.ndarray) -> ExactIndex:
        """Return an index of some of the rows."""
        ids, vectors = [self.ids[row] for row in rows], self._vectors[rows]
        basics = self.metric, ids, self.dims, self.provenance, self._medians
        return ExactIndex(*basics, vectors=vectors, weights=self._weights)

    @property
    def memory(self) -> int:
        """The bytes of the rows; those of a saved index stay on disk until they are compared."""
        return 0 if isinstance(self._vectors, np.memmap) else self._vectors.nbytes

    @classmethod
    def read(cls, saved: Saved) -> ExactIndex:
        """Map saved vectors into memory."""
        vectors = np.load(saved.folder / VECTORS, mmap_mode="r", allow_pickle=False)
        return cls(*saved.basics, vectors=vectors)

    def _nearest(self, vector, row, k, search_k):
        vector = self._vectors[row] if row is not None else self.prepare(vector)
        (rows,) = knn(
            lambda some: -self._compare(vector)[None, some], len(self), k + MARGIN, len(self)
        )
        return self._rerank(rows, vector, k)

    def _rerank(self, rows: np.ndarray, vector: np.ndarray, k: int):
        """Return the k nearest of some candidates, compared exactly."""
        return rerank(rows, self._measure(rows, vector), k)

    def _nearest_many(self, vectors, k):
        if self.metric in ("manhattan", "hamming"):  # which are no product of matrices
            return super()._nearest_many(vectors, k)
        found = [
            one for some in chunks_of(vectors, QUERIES) for one in self._nearest_of_each(some, k)
        ]
        rows, distances = zip(*found, strict=True)
        return np.stack(rows), np.stack(distances)

    def _nearest_of_each(self, vectors: np.ndarray, k: int):
        """Yield rows and distances of the k nearest to each of some vectors."""
        vectors = np.stack([self.prepare(vector) for vector in vectors])
        weighed = vectors if self._weights is None else vectors * self._weights
        best = knn(lambda some: -self._products(weighed, some), len(self), k + MARGIN, ROWS)
        return (self._rerank(*one, k) for one in zip(best, vectors, strict=True))

    def _products(self, vectors: np.ndarray, rows: slice) -> np.ndarray:
        """Return what orders some rows, for each of several prepared vectors, as _compare does."""
        products = vectors @ self._vectors[rows].T
        return self._squares[rows] - 2 * products if self.metric == "euclidean" else -products

    def prepare(self, vector: np.ndarray) -> np.ndarray:
        """Return a row as it is compared: of unit length where directions are."""
        return unit_rows(vector[None])[0] if self.metric == "angular" else vector

    def _measure(self, rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return distances_to(self._scaled(self._vectors[rows]), self._scaled(vector), self.metric)

    def _scaled(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors whose plain product is the weighted one."""
        return vectors if self._weights is None else vectors * np.sqrt(self._weights)

    def _compare(self, vector: np.ndarray) -> np.ndarray:
        if self.metric in ("angular", "dot"):
            return -(self._vectors @ (vector if self._weights is None else vector * self._weights))
        if self.metric == "euclidean":
            return self._squares - 2 * (self._vectors @ vector)
        differ = np.not_equal if self.metric == "hamming" else np.subtract
        chunks = chunks_of(self._vectors, CHUNK)
        return np.concatenate([np.abs(differ(chunk, vector)).sum(axis=1) for chunk in chunks])

    def _write(self, folder: Path) -> None:
        np.save(folder / VECTORS, self._vectors, allow_pickle=False)


def _first_of_each(groups: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the smallest values of each group, `most` at most; ties by place."""
    order = np.lexsort((values, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return order[place < most]
