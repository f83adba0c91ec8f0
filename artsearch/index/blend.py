"""Exact search in a blend: its dial turns without anything being built again."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.index.exact import ExactIndex
from artsearch.index.metrics import distances_between, distances_to

if TYPE_CHECKING:
    from artsearch.features.blend import Blend

#: Works whose answers are computed at a time.
CHUNK = 1024


class BlendIndex(ExactIndex):
    """Exact search in a blend; the dial turns without anything being built again."""

    kind = "blend"

    def __init__(self, blend: Blend, vectors: np.ndarray):
        super().__init__("angular", blend.ids, blend.dims, blend.note, vectors=vectors)
        self._blend = blend
        self._weights = blend.column_weights(0.5)

    def turn(self, place: float) -> BlendIndex:
        """Return the index at another place of the dial; it shares the rows."""
        other = copy.copy(self)
        other._weights = self._blend.column_weights(place)
        other.made_by = self._blend.note | {"dial": float(place)}
        return other

    def save(self, folder: str | os.PathLike) -> Path:
        """Refuse: a blend is kept as a whole, with all places of its dial (see Blend.save)."""
        raise ArtsearchError("a place of the dial is not saved by itself; save the Blend")

    def rebuild(self, features: Features) -> ExactIndex:
        """Refuse: what a blend is made of is not in its own rows."""
        raise ArtsearchError("a blend is made again from the features of its layers: Blend.fit")

    def answers(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances (both works × k) of every work's k nearest, itself left out."""
        rows, distances = np.zeros((len(self), k), np.int64), np.zeros((len(self), k))
        scaled = self._vectors * np.sqrt(self._weights)
        # Block by block: one matrix product is many times quicker than a work at a time.
        for start in range(0, len(self) if k else 0, CHUNK):
            block = slice(start, start + CHUNK)
            cosines = scaled[block] @ scaled.T
            np.fill_diagonal(cosines[:, block], -np.inf)
            found = np.sort(np.argpartition(-cosines, k - 1, axis=1)[:, :k], axis=1)
            near = np.sqrt(np.maximum(0, 2 - 2 * np.take_along_axis(cosines, found, axis=1)))
            order = np.argsort(near, axis=1, kind="stable")
            rows[block] = np.take_along_axis(found, order, axis=1)
            distances[block] = np.take_along_axis(near, order, axis=1)
        return rows, distances

    def between(self, rows: np.ndarray) -> np.ndarray:
        """Return the distances between some rows, rows × rows, in double precision."""
        return distances_between(self._vectors[rows] * np.sqrt(self._weights), self.metric)

    def _compare(self, vector: np.ndarray) -> np.ndarray:
        return -(self._vectors @ (vector * self._weights))

    def _measure(self, rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
        scale = np.sqrt(self._weights)
        return distances_to(self._vectors[rows] * scale, vector * scale, self.metric)
