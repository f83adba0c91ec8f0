"""Annoy, as in the article."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError, check_whole
from artsearch.base.vectors import unit_rows
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.exact import ExactIndex
from artsearch.index.folder import Basics, Saved, library_file
from artsearch.index.metrics import to_bits


class AnnoyIndex(Index):
    """Annoy's forest of random-projection trees: approximate, fast, and fixed once built.

    A leaf holds about as many works as a work has numbers (for Hamming a thirtieth of it). A
    collection up to that size lies in one leaf, so every distance is computed, and recall is 1.
    """

    kind = "annoy"

    def __init__(self, basics: Basics, trees, num_trees: int, seed: int, mapped: bool = False):
        super().__init__(basics)
        self._trees, self.num_trees, self.seed = trees, num_trees, seed
        self._mapped = mapped  # from a file, and not in memory

    @classmethod
    def build(
        cls, metric: str, features: Features, num_trees: int = 25, seed: int = 0
    ) -> AnnoyIndex:
        """Build the trees; the same seed gives the same forest."""
        import annoy

        check_whole("num_trees", num_trees)
        check_whole("seed", seed, least=0)
        num_trees, seed = int(num_trees), int(seed)
        basics = Basics.of(metric, features)
        trees = annoy.AnnoyIndex(features.dims, metric)
        trees.set_seed(seed)
        for row, vector in enumerate(features.vectors):
            trees.add_item(row, to_bits(vector, basics.medians) if metric == "hamming" else vector)
        # One thread: with several, which thread builds which tree is left to chance.
        trees.build(num_trees, n_jobs=1)
        return cls(basics, trees, num_trees, seed)

    @property
    def settings(self):
        return super().settings | {"num_trees": self.num_trees, "seed": self.seed}

    @property
    def memory(self) -> int:
        """The bytes of the rows in its leaves, at least: Annoy does not say how large it is."""
        return 0 if self._mapped else 4 * len(self) * self.dims

    @classmethod
    def read(cls, saved: Saved) -> AnnoyIndex:
        """Map a saved forest into memory."""
        import annoy

        trees = annoy.AnnoyIndex(saved.basics.dims, saved.basics.metric)
        trees.load(library_file(saved.folder))
        num_trees, seed = saved.settings["num_trees"], saved.settings["seed"]
        return cls(saved.basics, trees, num_trees, seed, mapped=True)

    def exact(self) -> ExactIndex:
        """Read the rows back from the trees, which takes seconds where there are 100,000."""
        return self.part(np.arange(len(self)))

    def part(self, rows: np.ndarray) -> ExactIndex:
        # For Hamming these are the bits already; what is prepared twice stays as it is.
        dtype = np.uint8 if self.metric == "hamming" else np.float32
        vectors = np.empty((len(rows), self.dims), dtype)
        for place, row in enumerate(rows.tolist()):
            vectors[place] = self._trees.get_item_vector(row)
        basics = self.basics._replace(ids=[self.ids[row] for row in rows])
        return ExactIndex(basics, unit_rows(vectors) if self.metric == "angular" else vectors)

    def _nearest(self, vector, row, k, search_k):
        # Annoy's own default; a node holds several works, so fewer than k can come back.
        search_k = search_k or self.num_trees * k
        while True:
            if row is None:
                found = self._trees.get_nns_by_vector(vector, k, search_k, True)
            else:
                found = self._trees.get_nns_by_item(row, k, search_k, True)
            if len(found[0]) == k:
                break
            if search_k > len(self) * self.num_trees:
                raise ArtsearchError(
                    f"Annoy found {len(found[0])} of {k} works after looking at all of them: its "
                    "build does not fit this processor; install it again with "
                    "`pip install --no-cache-dir --force-reinstall annoy`"
                )
            search_k *= 4
        rows, distances = np.array(found[0], dtype=np.int64), np.array(found[1])
        return rows, -distances if self.metric == "dot" else distances

    def _write(self, folder: Path) -> None:
        self._trees.save(library_file(folder))
        self._mapped = True  # Annoy goes on with what it saved
