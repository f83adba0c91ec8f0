"""A blend in Milvus: a vector for each component, and the dial weighs a hybrid search."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from artsearch.features.blend import Blend, dial_weights
from artsearch.features.features import Features
from artsearch.index.blend import BlendIndex
from artsearch.index.exact import MARGIN, ExactIndex
from artsearch.index.metrics import distances_to, rerank
from artsearch.index.milvus.index import MilvusIndex
from artsearch.index.milvus.store import MOST_EF, MOST_ROWS


class MilvusBlendIndex(MilvusIndex):
    """A blend's rows in Milvus; the dial turns without anything being written again.

    Distances are those of BlendIndex. What the blend learnt, and its rows before averaging, by
    which copies are told, stay with the Blend itself.
    """

    kind = "milvus-blend"

    def __init__(self, index: MilvusIndex, blend: Blend, alpha: float = 0.5):
        super().__init__(index.store, index._metadata, index.ids, index.works)
        self._blend, self.alpha = blend, float(alpha)
        self.provenance = blend.metadata | {"dial": self.alpha}
        weights = dial_weights(alpha)
        pairs = zip(self._fields, self.vectors, strict=True)
        self._weights = {field: weights[name] for field, name in pairs if weights[name] > 0}

    @classmethod
    def of(
        cls, blend: Blend, works: pd.DataFrame | None, uri: str | os.PathLike, name: str, **options
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
        options |= {"uri": uri, "name": name, "works": works}
        return cls(MilvusIndex.build("angular", features, **options), blend)

    def at(self, alpha: float) -> MilvusBlendIndex:
        """Return the index at another content-style weight; it shares the collection."""
        return MilvusBlendIndex(self, self._blend, alpha)

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

    def _near(self, vector, k, expression="", count=None):
        parts = np.split(vector, np.cumsum(list(self.vectors.values()))[:-1])
        query = dict(zip(self._fields, parts, strict=True))
        query = {field: query[field] for field in self._weights}
        rows, found = self._candidates(query, k + MARGIN, expression, count)
        return rerank(rows, distances_to(self._weigh(found), self._weigh(query), self.metric), k)

    def _candidates(
        self, query: dict[str, np.ndarray], k: int, expression: str, count: int | None
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return rows and their vectors by field; the k of the largest weighted sum are there.

        Of each component's own nearest so many are asked for that the sum of the last of them is no
        more than the k-th sum (the threshold algorithm: Fagin, Lotem and Naor 2003, Journal of
        Computer and System Sciences 66, section 4).
        """
        if count is None:
            count = self.store.count(expression) if expression else len(self)
        most, limit = min(count, MOST_ROWS // len(query)), max(64, 4 * k)
        while most:
            limit = min(limit, most)
            ef = min(self._search_effort(limit, expression, count), MOST_EF)
            hits = self.store.search_hybrid(query, self._weights, limit, expression, ef)
            found = {field: np.array([hit[field] for hit in hits]) for field in query}
            products = [
                weight * (found[field] @ query[field].astype(np.float64))
                for field, weight in self._weights.items()
            ]
            last = sum(np.sort(values)[-limit:][0] for values in products)
            if limit == most or np.sort(sum(products))[-k:][0] >= last:
                return self._rows_of(hits), found
            limit *= 4
        return self._rows_of([]), {field: np.zeros((0, len(query[field]))) for field in query}

    def _weigh(self, parts: dict[str, np.ndarray]) -> np.ndarray:
        weighed = [parts[field] * np.sqrt(weight) for field, weight in self._weights.items()]
        return np.concatenate(weighed, axis=-1)
