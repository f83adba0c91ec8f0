"""A blend in Milvus: each part a vector of its own, and the dial the weights of a hybrid search."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError
from artsearch.features.blend import dial_weights
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.blend import BlendIndex
from artsearch.index.exact import ExactIndex
from artsearch.index.metrics import distances_to
from artsearch.index.milvus.index import SPARE, MilvusIndex

if TYPE_CHECKING:
    from artsearch.features.blend import Blend


class MilvusBlendIndex(MilvusIndex):
    """A blend's rows in Milvus; the dial turns without anything being written again.

    Distances are those of BlendIndex. What the blend learnt, and its rows before averaging, by
    which copies are told, stay with the Blend itself.
    """

    kind = "milvus-blend"
    _widths_change = True  # a part has fewer numbers where there are fewer works

    def __init__(self, *args):
        super().__init__(*args)
        self.dims = sum(self.vectors.values())
        self._blend: Blend
        self._place: float

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
        widths = [part.basis.shape[1] for part in blend.parts.values()]
        starts = np.cumsum([0, *widths])
        features = {
            part: Features(blend.vectors[:, start : start + width], blend.ids, blend.note)
            for part, start, width in zip(blend.parts, starts, widths, strict=False)
        }
        index = cls.build("angular", features, uri=uri, name=name, works=works, **options)
        index._blend = blend
        return index.turn(0.5)

    def turn(self, place: float) -> MilvusBlendIndex:
        """Return the index at another place of the dial; it shares the collection."""
        weights = dial_weights(place)
        other = copy.copy(self)
        other._place = float(place)
        other.made_by = self._blend.note | {"dial": other._place}
        other._weights = {part: weight for part, weight in weights.items() if weight > 0}
        return other

    @property
    def plain(self) -> Index:
        """The blend's rows before averaging, in which copies stand out; they are at hand."""
        return self._blend.plain_index(self._place)

    def exact(self) -> BlendIndex:
        """Return the blend's own index, which computes every distance."""
        return self._blend.index(self._place)

    def part(self, rows: np.ndarray) -> ExactIndex:
        """Read some rows into an index of these works, at this place of the dial."""
        vectors = self.fetch(rows) * np.sqrt(self._blend.column_weights(self._place))
        return self._exact_over([self.ids[row] for row in rows], vectors)

    def rebuild(self, features: object) -> None:
        """Refuse: what a blend is made of is not in its own rows."""
        raise ArtsearchError("a blend is made again from the features of its layers: Blend.fit")

    def _near(self, vector, k, expression="", count=None):
        ends = np.cumsum(list(self.vectors.values()))[:-1]
        split = dict(zip(self.vectors, np.split(vector, ends), strict=True))
        asked = {part: split[part] for part in self._weights}
        rows, found = self.propose(asked, self._weights, k + SPARE, expression, count)
        distances = distances_to(self._weigh(found), self._weigh(asked), self.metric)
        order = np.lexsort((rows, distances))[:k]
        return rows[order], distances[order]

    def nearest_in_each(self, vector, each, field, groups, expression, count):
        """Return nothing: a hybrid search groups by ranks, so each group is asked by itself."""
        return {}

    def _nearest_many(self, vectors, k):
        return Index._nearest_many(self, vectors, k)

    def _weigh(self, parts: dict[str, np.ndarray]) -> np.ndarray:
        weighed = [parts[part] * np.sqrt(weight) for part, weight in self._weights.items()]
        return np.concatenate(weighed, axis=-1)

    @property
    def _fields(self) -> list[str]:
        return [self._field(part) for part in self.vectors]
