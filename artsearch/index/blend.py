"""Exact search in a blend, at any weight of content and style without being built again."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.base.vectors import largest
from artsearch.features.blend import Blend
from artsearch.features.features import Features
from artsearch.index.exact import ExactIndex

#: Works whose answers are computed at a time.
CHUNK = 1024


class BlendIndex(ExactIndex):
    """Exact search in a blend at one content-style weight; `at` gives another, sharing the rows.

    `raw` takes the rows before they were averaged with their neighbours' (database-side
    augmentation), in which series and copies stand out.
    """

    kind = "blend"

    def __init__(self, blend: Blend, alpha: float = 0.5, raw: bool = False):
        vectors, weights = blend.raw if raw else blend.vectors, blend.column_weights(alpha)
        provenance = blend.metadata | {"dial": float(alpha)}
        basics = "angular", blend.ids, blend.dims, provenance
        super().__init__(*basics, vectors=vectors, weights=weights)
        self._blend, self.alpha, self._is_raw = blend, float(alpha), raw

    def at(self, alpha: float) -> BlendIndex:
        """Return the index at another content-style weight."""
        return BlendIndex(self._blend, alpha, self._is_raw)

    def raw(self) -> BlendIndex:
        """Return an index of the rows before averaging, at the same weight."""
        return BlendIndex(self._blend, self.alpha, raw=True)

    def save(self, folder: str | os.PathLike) -> Path:
        """Refuse: a blend is kept as a whole, with all its weights (see Blend.save)."""
        raise ArtsearchError("a place of the dial is not saved by itself; save the Blend")

    def rebuild(self, features: Features) -> ExactIndex:
        """Refuse: what a blend is made of is not in its own rows."""
        raise ArtsearchError("a blend is made again from the features of its layers: Blend.fit")

    def all_neighbours(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances (both works × k) of every work's k nearest, itself left out."""
        rows, distances = np.zeros((len(self), k), np.int64), np.zeros((len(self), k))
        scaled = self._scaled(self._vectors)
        # Block by block: one matrix product is many times quicker than a work at a time.
        for start in range(0, len(self) if k else 0, CHUNK):
            block = slice(start, start + CHUNK)
            cosines = scaled[block] @ scaled.T
            np.fill_diagonal(cosines[:, block], -np.inf)
            rows[block] = largest(cosines, k)
            near = np.take_along_axis(cosines, rows[block], axis=1)
            distances[block] = np.sqrt(np.maximum(0, 2 - 2 * near))
        return rows, distances
