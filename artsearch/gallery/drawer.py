"""The drawer: works to choose from, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from artsearch.base.text import fold
from artsearch.works.collection import COLUMNS, Collection


class Drawer:
    """Works of a collection, in random order or those that are searched, so many on a page."""

    def __init__(self, collection: Collection, ids: Sequence[str], size: int):
        self._collection, self._ids, self._size = collection, ids, size
        self._shuffled = lru_cache(2)(self._shuffle)

    def __len__(self) -> int:
        return len(self._ids)

    def open(
        self, search: str = "", page: int = 0, seed: int = 0, machine_made: bool = True
    ) -> dict:
        """Return the works on a page, which page that is, how many there are, and how many works.

        A page beyond the ends is the last at that end.
        """
        found, wanted = self._shuffled(seed), fold(search).split()
        if wanted:  # those that have all the words, in their own order
            known = self._captions.items()
            found = [id for id, caption in known if all(word in caption for word in wanted)]
        if not machine_made:
            found = [id for id in found if id not in self._collection.machines]
        pages = max(1, -(-len(found) // self._size))
        page = max(0, min(int(page), pages - 1))
        works = found[page * self._size :][: self._size]
        return {"works": works, "page": page, "pages": pages, "matches": len(found)}

    def _shuffle(self, seed: int) -> list[str]:
        """Return all works in random order, those made by a machine after the others."""
        order = np.random.default_rng(seed).permutation(np.array(self._ids, object)).tolist()
        return self._collection.by_hand_first(order)

    @cached_property
    def _captions(self) -> dict[str, str]:
        """What a search looks through, by id."""
        works = self._collection.works.set_index("id").loc[list(self._ids), list(COLUMNS)]
        return {row[0]: fold(" ".join(row[1:])) for row in works.itertuples()}
