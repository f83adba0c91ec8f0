"""hnswlib: a graph of near works with shortcuts (Malkov and Yashunin 2016, arXiv:1603.09320)."""

from __future__ import annotations

import os

import numpy as np

from artsearch.features.features import Features
from artsearch.index.graph import GraphIndex, check_settings, import_library


class HnswIndex(GraphIndex):
    """The graph of the article's authors, in full precision; all of it is in memory.

    A work has up to `M` neighbours (twice as many on the lowest level), found by looking at
    `ef_construction` works; a query looks at `ef`. The same seed gives the same graph as long as
    one thread builds it: `threads` is how many do, 0 for one in a collection of up to 200,000 works
    and all cores beyond.
    """

    kind = "hnswlib"

    @classmethod
    def build(
        cls,
        metric: str,
        features: Features,
        M: int = 16,
        ef_construction: int = 200,
        ef: int = 80,
        seed: int = 0,
        threads: int = 0,
    ) -> HnswIndex:
        """Build the graph; raises ArtsearchError for metrics other than angular, euclidean, dot."""
        settings = check_settings(
            M=M, ef_construction=ef_construction, ef=ef, seed=seed, threads=threads
        )
        return cls._build(metric, features, settings)

    @property
    def memory(self) -> int:
        """The bytes of the graph and of the rows in it."""
        return self._library.index_file_size()

    def _plant(self, threads):
        self._settings = self._settings | {"scale": self._find_scale()}
        library = self._make()
        library.init_index(
            len(self),
            M=self._settings["M"],
            ef_construction=self._settings["ef_construction"],
            random_seed=self._settings["seed"] + 1,  # 0 would be the same as 1
        )
        for chunk in self._rows.chunks():
            # -1 are all cores.
            library.add_items(self._encode(chunk), num_threads=threads or -1)
        return library

    def _find_scale(self) -> float:
        """Return what makes the longest row 1 long, where lengths count; else 1."""
        if self.metric != "dot":
            return 1.0
        longest = max(float(np.linalg.norm(chunk, axis=1).max()) for chunk in self._rows.chunks())
        return 1 / longest if longest else 1.0

    def _encode(self, rows: np.ndarray) -> np.ndarray:
        # hnswlib takes a product from 1 in single precision: of tiny ones nothing would be left.
        return rows * np.float32(self._settings["scale"]) if self.metric == "dot" else rows

    def _make(self):
        hnswlib = import_library("hnswlib")
        return hnswlib.Index("l2" if self.metric == "euclidean" else "ip", self.dims)

    def _propose(self, queries, k, depth):
        self._library.set_ef(depth)
        threads = 1 if len(queries) == 1 else os.cpu_count() or 1
        try:
            rows, _ = self._library.knn_query(self._encode(queries), k, num_threads=threads)
        except RuntimeError:  # it found fewer than k
            return np.full((len(queries), k), -1)
        return rows.astype(np.int64)

    def _save(self, path):
        self._library.save_index(path)

    def _open(self, path):
        library = self._make()
        library.load_index(path)
        return library
