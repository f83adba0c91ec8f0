"""Exact search in a blend, at any weight of content and style without being built again."""

from __future__ import annotations

import os
from pathlib import Path

from artsearch.base.errors import ArtsearchError
from artsearch.features.blend import Blend
from artsearch.index.exact import ExactIndex
from artsearch.index.folder import Basics


class BlendIndex(ExactIndex):
    """Exact search in a blend at one content-style weight; `at` gives another, sharing the rows.

    `raw` takes the rows before they were averaged with their neighbours' (database-side
    augmentation), in which series and copies stand out.
    """

    kind = "blend"

    def __init__(self, blend: Blend, alpha: float = 0.5, raw: bool = False):
        vectors, weights = blend.raw if raw else blend.vectors, blend.column_weights(alpha)
        provenance = blend.metadata | {"dial": float(alpha)}
        super().__init__(Basics("angular", blend.ids, blend.dims, provenance), vectors, weights)
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
