"""What the benchmark of indexes asks of everything that it measures, and our own answers to it.

Rows and queries come with unit length; answers are numbers of rows, nearest first, and may be fewer
than asked for. What is imported in a constructor is not measured; what is done to a filter at a
query is, since a user's condition is another one each time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artsearch.features.features import Features
from artsearch.index.factory import construct_index, load_index

#: Where a library knows no filter, it is asked for so many times what would do on average.
OVERFETCH = 3


class Way(ABC):
    """How a library is built, opened and asked; `set` takes what can be chosen at a query."""

    def __init__(self, **options):
        self.options = options
        self.setting: dict = {}
        self.settings: dict = {}  # what an index says of itself when it is open
        self.filters: Sequence[np.ndarray] = ()

    @abstractmethod
    def build(self, rows: np.ndarray, filters: Sequence[np.ndarray], folder: Path) -> None:
        """Build an index of rows in a folder; `filters` tell for each row whether it matches."""

    @abstractmethod
    def open(self, folder: Path) -> None:
        """Open what was built."""

    @abstractmethod
    def one(self, query: np.ndarray, k: int) -> Sequence[int]:
        """Return the k nearest rows."""

    def many(self, queries: np.ndarray, k: int) -> Sequence[Sequence[int]]:
        """Return the k nearest rows of each query."""
        return [self.one(query, k) for query in queries]

    def among(self, query: np.ndarray, number: int, k: int) -> Sequence[int]:
        """Return the k nearest of the rows that a filter keeps: more are asked for, and sifted."""
        mask = self.filters[number]
        wanted = min(len(mask), round(OVERFETCH * k * len(mask) / max(1, mask.sum())))
        found = np.asarray(self.one(query, wanted), np.int64)
        return found[mask[found]][:k]

    def set(self, **setting) -> None:
        """Choose what is tried at a query."""
        self.setting = setting


class Kind(Way):
    """An index of artsearch, as `construct_index` makes it; its options are those of the kind."""

    def build(self, rows, filters, folder):
        ids = [str(row) for row in range(len(rows))]
        construct_index(features=Features(rows, ids), **self.options).save(folder / "index")

    def open(self, folder):
        self._index = load_index(folder / "index")
        self.settings = self._index.settings

    def set(self, **setting):
        if "effort" in setting:
            self._index.effort = setting["effort"]

    def one(self, query, k):
        ids, _ = self._index.search(query, k)
        return [self._index.row_of(id) for id in ids]

    def many(self, queries, k):
        return self._index.search_many(queries, k)[0]

    def among(self, query, number, k):
        rows = np.flatnonzero(self.filters[number])
        return self._index.exact().nearest_of(query, rows, k)[0]


class Half(Way):
    """Exact search by torch in bfloat16, half the bytes; the best are compared again in float32."""

    #: Candidates that are compared again: sums in bfloat16 keep three digits.
    MOST = 100

    def __init__(self, **options):
        super().__init__(**options)
        import torch

        self._torch = torch

    def build(self, rows, filters, folder):
        np.save(folder / "rows.npy", rows)
        half = np.lib.format.open_memmap(folder / "half.npy", "w+", np.int16, rows.shape)
        for start in range(0, len(rows), 4096):
            part = self._torch.from_numpy(np.array(rows[start : start + 4096])).bfloat16()
            half[start : start + 4096] = part.view(self._torch.int16).numpy()
        half.flush()

    def open(self, folder):
        self._rows = np.load(folder / "rows.npy", mmap_mode="r")
        half = self._torch.from_numpy(np.load(folder / "half.npy"))
        self._half = half.view(self._torch.bfloat16)

    def one(self, query, k):
        # A product with a single vector runs through other, quicker code than one with a matrix.
        return self._settle(query[None], (self._half @ self._to_half(query))[None], k)[0]

    def many(self, queries, k):
        return self._settle(queries, self._to_half(queries) @ self._half.T, k)

    def among(self, query, number, k):
        mask = self.filters[number]
        scores = self._half @ self._to_half(query)
        scores[self._torch.from_numpy(~mask)] = -self._torch.inf
        return self._settle(query[None], scores[None], k, mask.sum())[0]

    def _to_half(self, rows):
        return self._torch.from_numpy(np.ascontiguousarray(rows)).bfloat16()

    def _settle(self, queries, scores, k, matches=None):
        most = min(max(self.MOST, k), len(self._rows) if matches is None else matches)
        best = self._torch.topk(scores, int(most), sorted=False).indices.numpy()
        exact = np.einsum("qbd,qd->qb", self._rows[best], queries)
        return np.take_along_axis(best, np.argsort(-exact, axis=1)[:, :k], axis=1)
