"""Exact search: every distance is computed, among all works or among some."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from artsearch.base.vectors import chunks_of, knn, unit_rows
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.folder import VECTORS, Basics, Saved
from artsearch.index.metrics import (
    check_features,
    csls,
    distances_between,
    distances_to,
    prepare_all,
    prepare_rows,
    rerank,
    stack_answers,
    to_similarities,
)

#: Rows that are compared at a time, so that what is computed in between stays in the cache.
CHUNK = 256
#: Queries and rows of one product where there are many queries: 32 MB of distances.
QUERIES, ROWS = 256, 32_768
#: Single precision, and the fast form of a Euclidean distance, are inexact near zero: so many more
#: candidates than asked for are compared again.
MARGIN = 16


class ExactIndex(Index):
    """Every distance is computed: nothing is missed, and time grows with the collection.

    `vectors` are the rows as the metric compares them. `weights` say how much each column counts in
    a product; None where all count the same.
    """

    kind = "exact"

    def __init__(self, basics: Basics, vectors: np.ndarray, weights: np.ndarray | None = None):
        super().__init__(basics)
        self._vectors, self._weights = vectors, weights
        if self.metric == "euclidean":
            squares = [np.einsum("ij,ij->i", part, part) for part in chunks_of(vectors, ROWS)]
            self._squares = np.concatenate(squares)

    @classmethod
    def build(cls, metric: str, features: Features) -> ExactIndex:
        """Keep the vectors in the form that the metric compares."""
        basics = Basics.of(metric, features)
        return cls(basics, prepare_all(features.vectors, metric, basics.medians))

    def update(self, features: Features, same: np.ndarray) -> ExactIndex:
        """Return an index over features as they are now; `same` tells which rows it has already."""
        features = check_features(self.metric, features)
        if self.metric == "hamming":  # its medians are those of all works, and so are its bits
            return self.build(self.metric, features)
        kept, fresh = np.flatnonzero(same), np.flatnonzero(~same)
        vectors = np.empty(features.vectors.shape, np.float32)
        vectors[kept] = self._vectors[self.rows_of([features.ids[row] for row in kept])]
        if len(fresh):
            vectors[fresh] = prepare_rows(features.vectors[fresh], self.metric, None)
        return ExactIndex(Basics.of(self.metric, features), vectors)

    @property
    def memory(self) -> int:
        """The bytes of the rows; those of a saved index stay on disk until they are compared."""
        return 0 if isinstance(self._vectors, np.memmap) else self._vectors.nbytes

    @classmethod
    def read(cls, saved: Saved) -> ExactIndex:
        """Map saved vectors into memory."""
        vectors = np.load(saved.folder / VECTORS, mmap_mode="r", allow_pickle=False)
        return cls(saved.basics, vectors)

    def exact(self) -> ExactIndex:
        return self

    def part(self, rows: np.ndarray) -> ExactIndex:
        basics = self.basics._replace(ids=[self.ids[row] for row in rows])
        return ExactIndex(basics, self.fetch(rows), self._weights)

    def with_rows(self, vectors: np.ndarray) -> ExactIndex:
        """Return an index of the same works with other rows, as the metric compares them."""
        return ExactIndex(self.basics, vectors, self._weights)

    def row(self, work_id: str) -> np.ndarray:
        """Return the row of a work as it is compared; raises ArtsearchError for an unknown id."""
        return self.fetch(self.row_of(work_id))

    def fetch(self, rows: int | np.ndarray) -> np.ndarray:
        """Return the vectors of some rows as they are compared."""
        return np.asarray(self._vectors[rows])

    def distances(self, vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the distances of some rows to a vector, in double precision."""
        vector = self.prepare(vector)
        found = [self._measure(chunk, vector) for chunk in chunks_of(rows)]
        return np.concatenate(found) if found else np.zeros(0)

    def between(self, rows: np.ndarray) -> np.ndarray:
        """Return the distances between some rows, rows × rows, in double precision."""
        return distances_between(self._scaled(self.fetch(rows)), self.metric)

    def similarities(self, vectors: np.ndarray) -> np.ndarray:
        """Return how similar vectors are to all rows, vectors × rows: see to_similarities.

        In single precision, which is quick, and near enough to compare pairs of works by.
        """
        rows, vectors = (self._scaled(one) for one in (self._vectors, vectors))
        if self.metric == "angular":
            return unit_rows(vectors) @ unit_rows(rows).T
        scores = self._scores(vectors)
        if self.metric == "euclidean":
            scores = (scores - np.einsum("ij,ij->i", vectors, vectors)[:, None]) / 2
        return scores

    def nearest_of(
        self,
        vector: np.ndarray,
        rows: np.ndarray,
        k: int,
        groups: np.ndarray | None = None,
        crowding: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest among some rows, nearest first.

        With `groups`, a number for each of the rows, these are the k nearest of each group, group
        by group, the one with the nearest work first. Nothing is missed, however few rows there
        are; where there are fewer than k, all of them come. With `crowding`, a number for each work
        of the index, the nearest are those by CSLS; the distances are what they are.
        """
        vector = self.prepare(vector)
        groups = np.zeros(len(rows), np.int64) if groups is None else groups
        if crowding is None:
            # As in a plain search: a few more by the fast form, which are then compared exactly.
            most = _first_of_each(groups, -self._scores(vector[None])[0, rows], k + MARGIN)
            rows, groups = rows[most], groups[most]
        far = exact = self.distances(vector, rows)
        if crowding is not None:
            far = -csls(to_similarities(exact, self.metric), 0, crowding[rows])
        best = _first_of_each(groups, far, k)
        rows, groups, exact, far = rows[best], groups[best], exact[best], far[best]
        starts = dict(zip(groups[::-1].tolist(), far[::-1].tolist(), strict=True))
        nearest = np.array([starts[group] for group in groups.tolist()])
        order = np.lexsort((far, groups, nearest))
        return rows[order], exact[order]

    def nearest_below(
        self, rows: np.ndarray, limits: np.ndarray, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return for each of some rows the nearest one whose value is below a limit, and how far.

        `limits` has a number for each of `rows`, `values` one for each row of the index; NaN is
        below nothing. Where there is none, -1 comes, and NaN.
        """
        found, distances = np.full(len(rows), -1), np.full(len(rows), np.nan)
        for places in chunks_of(np.arange(len(rows)), QUERIES):
            vectors, most = self.fetch(rows[places]), limits[places, None]

            def score(block: slice, vectors=vectors, most=most) -> np.ndarray:
                return np.where(values[block] < most, self._scores(vectors, block), -np.inf)

            candidates = knn(score, len(self), 1 + MARGIN, ROWS)
            for place, near, vector in zip(places, candidates, vectors, strict=True):
                near = near[values[near] < limits[place]]
                if len(near):
                    best = rerank(near, self._measure(near, vector), 1)
                    (found[place],), (distances[place],) = best
        return found, distances

    def all_neighbours(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances (both works × k) of every work's k nearest, itself left out."""
        return self._leave_out_own(np.arange(len(self)), *self._nearest_many(self._vectors, k + 1))

    def neighbours_among(self, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return every work's k nearest among some rows, itself left out: places in `rows`, and
        distances (both works × k). Of the rows there are more than k.
        """
        return self._leave_out_own(rows, *self.part(rows)._nearest_many(self._vectors, k + 1))

    def _leave_out_own(self, rows: np.ndarray, found: np.ndarray, distances: np.ndarray):
        """Of places in `rows`, one more than asked for, take out each work's own, or the last."""
        lost = rows[found] == np.arange(len(self))[:, None]
        lost[~lost.any(axis=1), -1] = True
        return found[~lost].reshape(len(self), -1), distances[~lost].reshape(len(self), -1)

    def _nearest(self, vector, row, k, search_k):
        vector = self.prepare(vector) if row is None else self._vectors[row]
        return next(self._nearest_to(vector[None], k))

    def _nearest_many(self, vectors, k):
        chunks = map(self.prepare, chunks_of(vectors, QUERIES))
        return stack_answers(answer for chunk in chunks for answer in self._nearest_to(chunk, k))

    def _nearest_to(self, vectors: np.ndarray, k: int):
        """Yield rows and distances of the k nearest to each of some prepared vectors."""
        candidates = knn(partial(self._scores, vectors), len(self), k + MARGIN, ROWS)
        for rows, vector in zip(candidates, vectors, strict=True):
            yield rerank(rows, self._measure(rows, vector), k)

    def _scores(self, vectors: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """Return what orders some rows for each of several prepared vectors: more is nearer."""
        vectors = vectors if self._weights is None else vectors * self._weights
        if self.metric in ("manhattan", "hamming"):  # which are no product of matrices
            differ = np.not_equal if self.metric == "hamming" else np.subtract
            scores = np.empty((len(vectors), len(self._vectors[rows])), np.float32)
            for start, chunk in enumerate(chunks_of(self._vectors[rows], CHUNK)):
                part = slice(start * CHUNK, (start + 1) * CHUNK)
                for row, vector in enumerate(vectors):
                    scores[row, part] = -np.abs(differ(chunk, vector)).sum(axis=1)
            return scores
        products = vectors @ self._vectors[rows].T
        return 2 * products - self._squares[rows] if self.metric == "euclidean" else products

    def _measure(self, rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return distances_to(self._scaled(self._vectors[rows]), self._scaled(vector), self.metric)

    def _scaled(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors whose plain product is the weighted one."""
        return vectors if self._weights is None else vectors * np.sqrt(self._weights)

    def _write(self, folder: Path) -> None:
        np.save(folder / VECTORS, self._vectors, allow_pickle=False)


def _first_of_each(groups: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the smallest values of each group, `most` at most; ties by place."""
    order = np.lexsort((values, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return order[place < most]
