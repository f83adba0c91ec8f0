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
from artsearch.index.exact import MARGIN, ExactIndex
from artsearch.index.metrics import distances_to, rerank
from artsearch.index.milvus.fields import PK
from artsearch.index.milvus.index import MilvusIndex
from artsearch.index.milvus.store import MOST_EF, MOST_ROWS


class MilvusBlendIndex(MilvusIndex):
    """A blend's rows in Milvus; the dial turns without anything being written again.

    Distances are those of BlendIndex. What the blend learnt, and its rows before averaging, by
    which copies are told, stay with the Blend itself.
    """

    kind = "milvus-blend"
    _widths_change = True  # a component has fewer numbers where there are fewer works

    def __init__(self, *given, blend: Blend | None = None, alpha: float = 0.5):
        super().__init__(*given)
        self._given, self._blend, self.alpha = given, blend, float(alpha)
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
        return cls(*index._given, blend=blend)

    def at(self, alpha: float) -> MilvusBlendIndex:
        """Return the index at another content-style weight; it shares the collection."""
        return MilvusBlendIndex(*self._given, blend=self._blend, alpha=alpha)

    def raw(self) -> BlendIndex:
        """Return the blend's rows before averaging, in which copies stand out; they are at hand."""
        return BlendIndex(self._blend, self.alpha, raw=True)

    def exact(self) -> BlendIndex:
        """Return the blend's own index, which computes every distance."""
        return BlendIndex(self._blend, self.alpha)

    def part(self, rows: np.ndarray) -> ExactIndex:
        """Read some rows into an index of these works, at this weight."""
        basics = self.basics._replace(ids=[self.ids[row] for row in rows])
        return ExactIndex(basics, self.fetch(rows), self._blend.column_weights(self.alpha))

    def update(self, features: Features) -> MilvusIndex:
        """Refuse: what a blend is made of is not in its own rows."""
        raise ArtsearchError("a blend is made again from the features of its layers: Blend.fit")

    def _near(self, vector, k, expression="", count=None):
        ends = np.cumsum(list(self.vectors.values()))[:-1]
        split = dict(zip(self.vectors, np.split(vector, ends), strict=True))
        query = {name: split[name] for name in self._weights}
        rows, found = self._candidates(query, k + MARGIN, expression, count)
        distances = distances_to(self._weigh(found), self._weigh(query), self.metric)
        return rerank(rows, distances, k)

    def _candidates(
        self, query: dict[str, np.ndarray], k: int, expression: str, count: int | None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return rows and their vectors by component; the k of the largest weighted sum are there.

        Of each component's own nearest so many are asked for that the sum of the last of them is no
        more than the k-th sum (the threshold algorithm: Fagin, Lotem and Naor 2003, Journal of
        Computer and System Sciences 66, section 4).
        """
        if count is None:
            count = self.count(expression) if expression else len(self)
        fields = {self._field(name): name for name in query}
        queries = {field: query[name] for field, name in fields.items()}
        weights = {field: self._weights[name] for field, name in fields.items()}
        most, limit = min(count, MOST_ROWS // len(fields)), max(64, 4 * k)
        while most:
            limit = min(limit, most)
            ef = self._effort(limit, expression, count)
            hits = self._store.search_hybrid(
                queries, weights, limit, expression, min(ef, MOST_EF) if ef else None
            )
            rows = np.array([self._row_of_key[hit[PK]] for hit in hits], np.int64)
            found = {name: np.array([hit[field] for hit in hits]) for field, name in fields.items()}
            products = {name: found[name] @ query[name].astype(np.float64) for name in query}
            sums = sum(self._weights[name] * values for name, values in products.items())
            last = sum(
                self._weights[name] * np.sort(products[name])[-limit:][0] for name in products
            )
            if limit == most or np.sort(sums)[-k:][0] >= last:
                return rows, found
            limit *= 4
        return np.zeros(0, np.int64), {name: np.zeros((0, self.vectors[name])) for name in query}

    def nearest_in_each(self, vector, each, field, groups, expression, count):
        """Return none: a hybrid search groups by ranks, so each group is asked by itself."""
        return {}

    def _nearest_many(self, vectors, k):
        return Index._nearest_many(self, vectors, k)

    def _weigh(self, parts: dict[str, np.ndarray]) -> np.ndarray:
        weighed = [parts[name] * np.sqrt(weight) for name, weight in self._weights.items()]
        return np.concatenate(weighed, axis=-1)

    def _field(self, name: str) -> str:
        return f"vector_{list(self.vectors).index(name)}"

    @property
    def _fields(self) -> list[str]:
        return [self._field(name) for name in self.vectors]
