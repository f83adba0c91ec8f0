"""How near is near: what share of pairs by different hands a pair of works is nearer than."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from artsearch.index.base import Index
from artsearch.index.candidates import copy_distance
from artsearch.index.exact import ExactIndex
from artsearch.index.metrics import LOCAL, csls
from artsearch.works.collection import Collection

#: Works drawn by chance whose pairs say what is usual: half a million pairs. Of more than 50,000
#: works more are drawn, so that there are ten pairs a work to tell one in ten from.
SAMPLE, PAIRS = 1_000, 10
#: Pairs that are told one by one where what is usual is handed on; of the others as many ranks.
RANKED = 200
#: With fewer works nothing is said of what is usual.
FEWEST = 20
#: The words for how many of all works would by chance be as near, from below. From one work on
#: that is what chance alone gives, and the last word is said.
WORDS = ((0.01, "very unusual"), (0.1, "unusual"), (1, "somewhat unusual"), (np.inf, "usual"))


class Rarity(NamedTuple):
    """How unusual it is that two works by different hands are as near as two are.

    `share` is the share of pairs by different hands that are less near, and `by_chance` how many of
    the works that might answer, those made by a machine aside, would be as near if all were by
    other hands: their number times the share of pairs that are as near, an E-value (Karlin and
    Altschul 1990, PNAS 87).

    >>> print(Rarity(0.99971, 0.024))
    unusual: nearer than 99.97 % of pairs by different hands; by chance 0.024 works would be
    """

    share: float
    by_chance: float

    @property
    def word(self) -> str:
        """How unusual it is in a word or two, see WORDS."""
        return next(word for most, word in WORDS if self.by_chance < most)

    @property
    def is_usual(self) -> bool:
        """Whether chance alone would give one work or more that is as near."""
        return self.by_chance >= 1

    @property
    def percent(self) -> str:
        """The share in per cent: '99.97 %'."""
        # As many digits as tell it from all pairs; cut, since no share is rounded up to all.
        digits = int(np.clip(np.ceil(-np.log10(max(1 - self.share, 1e-9)) - 2 - 1e-6), 0, 7))
        share = np.floor(self.share * 100 * 10**digits + 1e-6) / 10**digits
        return f"{share:.{digits}f} %"

    @property
    def brief(self) -> str:
        """The word and the share, which no line breaks: 'unusual, 99.97 %'."""
        return f"{self.word}, {self.percent}".replace(" %", "\N{NO-BREAK SPACE}%")

    def __str__(self) -> str:
        near = f"nearer than {self.percent} of pairs by different hands"
        works = f"{self.by_chance:,.0f}" if self.by_chance >= 10 else f"{self.by_chance:.2g}"
        works = "fewer than 0.001" if self.by_chance < 0.001 else works
        return f"{self.word}: {near}; by chance {works} works would be"


class Usual:
    """How near works by different hands usually are: the pairs of works drawn by chance.

    Two works are as near as CSLS says: their similarity, less how crowded the places of both are by
    works of other hands among those drawn, so that neither a hub nor a lonely work is misjudged. Of
    the pairs themselves each is left out of the crowding that it is judged by, so that a pair drawn
    and one met later are alike, and the shares of pairs by different hands are uniform.

    Hands are artists; works whose artist is not known count as by hands of their own. Works made by
    a machine are not drawn, and of near-duplicates only one is.
    """

    def __init__(self, index: Index, collection: Collection, seed: int = 0):
        self._index, self._collection = index, collection
        by_hand = [row for row, id in enumerate(index.ids) if id not in collection.machines]
        drawn = np.random.default_rng(seed).permutation(np.array(by_hand, np.int64))
        self._works, most = len(by_hand), max(SAMPLE, int(np.sqrt(2 * PAIRS * len(by_hand))))
        self._sample = _thin_out(index, np.sort(drawn[:most]))
        self._place = {id: place for place, id in enumerate(self._sample.ids)}
        hands = [self._hand(id) or id for id in self._sample.ids]
        codes, names = pd.factorize(np.array(hands, object))
        self._codes, self._code = codes, {name: code for code, name in enumerate(names)}
        similar = self._to_others(self._sample.fetch(slice(None)), [(id,) for id in self._place])
        self._local = min(LOCAL, int(np.isfinite(similar).sum(axis=1).min(initial=LOCAL + 1)) - 1)
        self._pairs = np.zeros(0, np.float32)
        if len(similar) >= FEWEST and self._local >= 1:
            crowding = self._crowding(self._nearest(similar)[:, None], similar)
            pairs = np.triu(np.isfinite(similar))
            self._pairs = np.sort(csls(similar, crowding, crowding.T)[pairs])

    def describe(self) -> dict | None:
        """Return what another reader of the same rows can rate by; None where too few are drawn.

        That is the `sample` as ids, from how many `near` ones of it crowding is learnt, how many
        `pairs` there are, and of some `ranks`, 0 for the nearest pair, the `values` of CSLS: all of
        the nearest, and ever fewer of the others.
        """
        count = len(self._pairs)
        if not count:
            return None
        far = np.geomspace(RANKED, count, RANKED).astype(np.int64) - 1
        ranks = np.unique(np.minimum(np.concatenate([np.arange(RANKED), far]), count - 1))
        values = self._pairs[::-1][ranks].astype(np.float64)
        described = {"near": self._local, "pairs": count, "ranks": ranks.tolist()}
        return described | {"values": values.round(6).tolist(), "sample": list(self._sample.ids)}

    def rate(
        self,
        ids: Sequence[str],
        vector: np.ndarray | None,
        liked: Sequence[str] = (),
        works: int | None = None,
    ) -> dict[str, Rarity | None]:
        """Return the rarity of works that were found, by id; None where too few are to compare.

        `vector` is the query's row as it is compared (if None, that of the one work `liked`),
        `liked` are the works that it was made of, and `works` is how many by hand might have been
        found: all others, if none are given.
        """
        if works is None:
            works = self._works - sum(id not in self._collection.machines for id in liked)
        # With fewer pairs than works, the nearest of all would seem usual.
        if not 0 < works < len(self._pairs) or not len(ids):
            return dict.fromkeys(ids)
        index = self._index
        found = index.part(index.rows_of(ids))
        if vector is None:
            vector = index.part(index.rows_of(liked)).fetch(0)
        query = self._to_others(vector[None], [liked])
        of_found = self._to_others(found.fetch(slice(None)), [(id,) for id in found.ids], liked)
        places = [self._place.get(id, -1) for id in found.ids]
        inside = np.where(np.array(places) < 0, -np.inf, query[0, places])
        nearness = csls(
            found.similarities(vector[None])[0],
            self._crowding(self._nearest(query), inside),
            self._crowding(self._nearest(of_found), -np.inf),
        )
        as_near = len(self._pairs) - np.searchsorted(self._pairs, nearness, side="left")
        shares = (1 + as_near) / (1 + len(self._pairs))
        return {
            id: Rarity(float(1 - share), float(works * share)) if np.isfinite(near) else None
            for id, share, near in zip(ids, shares, nearness, strict=True)
        }

    def _hand(self, work_id: str) -> str:
        collection = self._collection
        if work_id not in collection:  # an image of the visitor's own
            return ""
        return collection.columns.folded("artist").iloc[collection.row(work_id)]

    def _to_others(
        self, vectors: np.ndarray, works: Sequence[Sequence[str]], out: Sequence[str] = ()
    ) -> np.ndarray:
        """Return how similar vectors are to the sample, −∞ to the works of which they were made.

        So it is to works by the same hands, and to those that are to be left `out`.
        """
        similar = self._sample.similarities(vectors)
        for row, ids in zip(similar, works, strict=True):
            codes = [self._code.get(self._hand(id) or id, -1) for id in ids]
            row[np.isin(self._codes, codes)] = -np.inf
            row[[self._place[id] for id in (*ids, *out) if id in self._place]] = -np.inf
        return similar

    def _nearest(self, similar: np.ndarray) -> np.ndarray:
        """Return the similarities of the nearest, one more than crowding is learnt from."""
        most = np.partition(similar, -self._local - 1, axis=1)[:, -self._local - 1 :]
        return -np.sort(-most, axis=1)

    def _crowding(self, nearest: np.ndarray, similar: np.ndarray | float) -> np.ndarray:
        """Return mean similarities to the nearest without one work, whose similarity is given."""
        last = nearest[..., -1]
        out = np.where(similar >= nearest[..., -2], similar, last)
        return (nearest.sum(axis=-1) - out) / self._local


def _thin_out(index: Index, rows: np.ndarray) -> ExactIndex:
    """Return an index of rows of which no two are near-duplicates."""
    part, raw = index.part(rows), index.raw()
    if index.metric == "dot" or len(rows) < FEWEST:
        return part
    raw = part if raw is None else raw.part(rows)
    copies = np.triu(raw.between(np.arange(len(rows))) < copy_distance(raw), 1).any(axis=0)
    return part.part(np.flatnonzero(~copies)) if copies.any() else part
