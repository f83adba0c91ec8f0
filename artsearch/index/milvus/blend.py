"""A blend in Milvus: a vector for each component, and the dial weighs a hybrid search."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError
from artsearch.features.blend import Blend, dial_weights
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.blend import BlendIndex
from artsearch.index.exact import ExactIndex
from artsearch.index.metrics import distances_to, rerank
from artsearch.index.milvus.index import MARGIN, MilvusIndex


class MilvusBlendIndex(MilvusIndex):
    """A blend's rows in Milvus; the dial turns without anything being written again.

    Distances are those of BlendIndex. What the blend learnt, and its rows before averaging, by
    which copies are told, stay with the Blend itself.
    """

    kind = "milvus-blend"
    _widths_change = True  # a component has fewer numbers where there are fewer works

    def __init__(self, *basics, blend: Blend | None = None, alpha: float = 0.5):
        super().__init__(*basics)
        self.dims = sum(self.vectors.values())
        self._basics, self._blend, self.alpha = basics, blend, float(alpha)
        weights = dial_weights(alpha).items()
        self._weights = {component: weight for component, weight in weights if weight > 0}
        if blend is not None:
            self.provenance = blend.metadata | {"dial": self.alpha}

    @classmethod
    def of(
        cls,
        blend: Blend,
        works: pd.DataFrame | None,
        uri: str | os.PathLike,
        name: str,
        **options: Any,
    ) -> MilvusBlendIndex:
        """Bring a collection of Milvus up to date with a blend, half way on the dial.

        `options` are those of MilvusIndex.build; raises what that raises.
        """
        widths = [component.basis.shape[1] for component in blend.components.values()]
        rows = np.split(blend.vectors, np.cumsum(widths)[:-1], axis=1)
        features = {
            component: Features(vectors, blend.ids, blend.metadata)
            for component, vectors in zip(blend.components, rows, strict=True)
        }
        index = cls.build("angular", features, uri=uri, name=name, works=works, **options)
        return cls(*index._basics, blend=blend)

    def at(self, alpha: float) -> MilvusBlendIndex:
        """Return the index at another content-style weight; it shares the collection."""
        return MilvusBlendIndex(*self._basics, blend=self._blend, alpha=alpha)

    def raw(self) -> BlendIndex:
        """Return the blend's rows before averaging, in which copies stand out; they are at hand."""
        return BlendIndex(self._blend, self.alpha, raw=True)

    def exact(self) -> BlendIndex:
        """Return the blend's own index, which computes every distance."""
        return BlendIndex(self._blend, self.alpha)

    def part(self, rows: np.ndarray) -> ExactIndex:
        """Read some rows into an index of these works, at this weight."""
        vectors = self.fetch(rows) * np.sqrt(self._blend.column_weights(self.alpha))
        return self._exact_over([self.ids[row] for row in rows], vectors)

    def rebuild(self, features: object) -> None:
        """Refuse: what a blend is made of is not in its own rows."""
        raise ArtsearchError("a blend is made again from the features of its layers: Blend.fit")

    def _near(self, vector, k, expression="", count=None):
        ends = np.cumsum(list(self.vectors.values()))[:-1]
        split = dict(zip(self.vectors, np.split(vector, ends), strict=True))
        asked = {name: split[name] for name in self._weights}
        rows, found = self.propose(asked, self._weights, k + MARGIN, expression, count)
        distances = distances_to(self._weigh(found), self._weigh(asked), self.metric)
        return rerank(rows, distances, k)

    def nearest_in_each(self, vector, each, field, groups, expression, count):
        """Return nothing: a hybrid search groups by ranks, so each group is asked by itself."""
        return {}

    def _nearest_many(self, vectors, k):
        return Index._nearest_many(self, vectors, k)

    def _weigh(self, parts: dict[str, np.ndarray]) -> np.ndarray:
        weighed = [parts[name] * np.sqrt(weight) for name, weight in self._weights.items()]
        return np.concatenate(weighed, axis=-1)

    @property
    def _fields(self) -> list[str]:
        return [self._field(name) for name in self.vectors]
