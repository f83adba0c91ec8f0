"""usearch: the same kind of graph, over numbers of fewer bits, and mapped from its file."""

from __future__ import annotations

import os

import numpy as np

from artsearch.features.features import Features
from artsearch.index.graph import GraphIndex, check_settings, import_library

#: The numbers in the graph's own copy of the rows: half as many bytes, or a quarter.
NUMBERS = {None: "f32", "half": "bf16", "int8": "i8"}
METRICS = {"angular": "ip", "dot": "ip", "euclidean": "l2sq"}


class UsearchIndex(GraphIndex):
    """A graph (HNSW) that is opened without being read, and can keep its rows in fewer bits.

    `compress` is None, "half" (bfloat16) or "int8": what the graph compares is coarser then, but
    what it proposes is compared again with the rows themselves, and as many are found (0.9905 of
    the ten nearest with each of the three among 30,000 × 512 mixed from real rows). The others are
    those of HnswIndex; usearch takes no seed, and one thread always builds the same graph.
    """

    kind = "usearch"

    @classmethod
    def build(
        cls,
        metric: str,
        features: Features,
        M: int = 16,
        ef_construction: int = 128,
        ef: int = 80,
        compress: str | None = None,
        threads: int = 0,
    ) -> UsearchIndex:
        """Build the graph; raises ArtsearchError for metrics other than angular, euclidean, dot."""
        settings = check_settings(
            ("half", "int8"),
            M=M,
            ef_construction=ef_construction,
            ef=ef,
            compress=compress,
            threads=threads,
        )
        return cls._build(metric, features, settings)

    @property
    def memory(self) -> int:
        """The bytes of the graph and its numbers; of a saved one they come in as it is asked."""
        return self._library.memory_usage

    def _plant(self, threads):
        self._settings = self._settings | {"scale": self._find_scale()}
        library = self._make()
        start = 0
        for chunk in self._rows.chunks():
            keys = np.arange(start, start + len(chunk), dtype=np.uint64)
            library.add(keys, self._encode(chunk), threads=threads)
            start += len(chunk)
        return library

    def _make(self):
        usearch = import_library("usearch.index")
        compress, metric = self._settings["compress"], METRICS[self.metric]
        return usearch.Index(
            ndim=self.dims,
            # Rows of whole numbers have no length 1.
            metric="cos" if compress == "int8" and self.metric == "angular" else metric,
            dtype=NUMBERS[compress],
            connectivity=self._settings["M"],
            expansion_add=self._settings["ef_construction"],
            enable_key_lookups=False,  # rows are numbered, nobody looks up by another key
        )

    def _find_scale(self) -> float:
        """Return what takes the largest number to 127; where only directions count each row's."""
        if self._settings["compress"] != "int8" or self.metric == "angular":
            return 0.0
        largest = max(float(np.abs(chunk).max()) for chunk in self._rows.chunks())
        return 127 / largest if largest else 1.0

    def _encode(self, rows: np.ndarray) -> np.ndarray:
        """Return rows as the graph compares them."""
        if self._settings["compress"] != "int8":
            return rows
        # usearch itself would take the length of a row to 127, and the most of its numbers to 0.
        scale = self._settings["scale"]
        if not scale:
            largest = np.abs(rows).max(axis=1, keepdims=True)
            scale = 127 / np.where(largest > 0, largest, 1)
        return np.clip(np.rint(rows * scale), -127, 127).astype(np.int8)

    def _propose(self, queries, k, depth):
        self._library.expansion_search = depth
        threads = 1 if len(queries) == 1 else os.cpu_count() or 1
        found = self._library.search(self._encode(queries), k, threads=threads)
        counts = np.atleast_1d(getattr(found, "counts", len(found.keys)))
        rows = np.atleast_2d(found.keys).astype(np.int64)
        missing = np.full((len(queries), k - rows.shape[1]), -1)
        rows = np.hstack([rows, missing])
        return np.where(np.arange(k) < counts[:, None], rows, -1)

    def _save(self, path):
        self._library.save(path)

    def _open(self, path):
        library = self._make()
        library.view(path)
        return library
