"""A question put to Milvus: conditions become its filter, groups its grouping search."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np

from artsearch.index.base import Index
from artsearch.index.candidates import Candidates, nearer_than
from artsearch.index.exact import ExactIndex
from artsearch.index.milvus.fields import PK, all_of, key_of, one_of, spell
from artsearch.works.collection import Collection


class InMilvus(Candidates):
    """Candidates whose rows are in Milvus: an expression says which of them are left."""

    def __init__(self, index: Index, collection: Collection):
        super().__init__(index, collection)
        self._conditions: list[str] = []
        self._left: int | None = len(index)  # None where it is to be counted

    def leave_out(self, ids):
        rows = self.index.rows_of(ids)
        if len(rows):
            self._forbid(self._named(rows))

    def nearest_in_each(self, vector, column, each):
        field = self.index.attributes.field("text", column)
        names = {spell(text): text.strip() for text in self._columns.known(column)}
        blank = one_of(field, sorted(spelt for spelt, name in names.items() if not name))
        among = all_of([*self._conditions, f"not ({blank})"])
        spelt = Counter(self.index.values(field, among))
        sizes: Counter[str] = Counter()
        for value, count in spelt.items():
            sizes[names[value]] += count
        self._note_groups(self._count_left() - sizes.total(), len(sizes), column)
        found = self.index.nearest_in_each(vector, each, field, len(spelt), among, sizes.total())
        groups = self._complete(vector, field, each, names, spelt, found)
        order = sorted(groups, key=lambda name: (groups[name][1][0], name))
        if not order:
            return np.zeros(0, np.int64), np.zeros(0), []
        rows, distances = (np.concatenate([groups[name][n] for name in order]) for n in (0, 1))
        return rows, distances, [name for name in order for _ in groups[name][0]]

    def on_the_way(self, start, end, most):
        index = self.index
        ends = index.rows_of([start, end])
        # The sum of a work's squared distances to both is smallest where it is nearest to their
        # middle, in directions as in straight lines.
        middle = index.fetch(ends).mean(axis=0)
        rows, _ = self._nearest(middle, most + 2)
        part = index.part(np.unique(np.concatenate([ends, rows])))
        return part, part.rows_of([index.ids[row] for row in rows])

    def _count(self, tree):
        return self.index.count(self.index.expression(tree, self._columns))

    def _keep_matching(self, tree):
        count = self._count(tree)
        self._left = None if self._conditions else count
        self._conditions.append(self.index.expression(tree, self._columns))
        return count

    def _drop_texts(self, column, those):
        texts = self._columns.texts(column)[those.to_numpy(bool)].unique()
        field = self.index.attributes.field("text", column)
        return self._leave_out_matching(one_of(field, sorted({spell(text) for text in texts})))

    def _drop_near(self, vectors, raw, near):
        if isinstance(raw, ExactIndex):  # a blend's, which is at hand
            nearest = partial(raw.nearest_of, rows=np.arange(len(raw)))
        else:
            nearest = self._nearest
        rows = [nearer_than(near, partial(nearest, vector)) for vector in vectors]
        return self._leave_out_matching(self._named(np.unique(np.concatenate(rows))))

    def _nearest(self, vector, k):
        return self.index.nearest(vector, k, self._expression, self._left)

    def _complete(self, vector, field: str, each: int, names: dict, spelt: Counter, found: dict):
        """Return rows and distances by group; groups that lack works are asked for one by one."""
        spellings: dict[str, list[str]] = {}
        for value in sorted(spelt):
            spellings.setdefault(names[value], []).append(value)
        groups = {}
        for name, values in spellings.items():
            size = sum(spelt[value] for value in values)
            parts = [found[value] for value in values if value in found]
            if sum(len(rows) for rows, _ in parts) < min(each, size) or len(values) > 1:
                only = all_of([*self._conditions, one_of(field, values)])
                parts = [self.index.nearest(vector, each, only, size)]
            groups[name] = parts[0]
        return groups

    def _leave_out_matching(self, expression: str) -> int:
        before = self._count_left()
        self._forbid(expression)
        return before - self._count_left()

    def _forbid(self, expression: str) -> None:
        self._conditions.append(f"not ({expression})")
        self._left = None

    def _count_left(self) -> int:
        if self._left is None:
            self._left = self.index.count(self._expression)
        return self._left

    def _named(self, rows: np.ndarray) -> str:
        return one_of(PK, [key_of(self.index.ids[row]) for row in rows])

    @property
    def _expression(self) -> str:
        return all_of(self._conditions)
