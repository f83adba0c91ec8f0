"""A question put to Milvus: conditions become its filter, groups its grouping search."""

from __future__ import annotations

from collections import Counter

import numpy as np

from artsearch.index.base import Index
from artsearch.index.candidates import Candidates
from artsearch.index.milvus.fields import PK, all_of, encode_text, key_of, one_of, to_expression
from artsearch.works.collection import Collection


class InMilvus(Candidates):
    """Candidates whose rows are in Milvus: an expression says which of them are left."""

    def __init__(self, index: Index, collection: Collection):
        super().__init__(index, collection)
        self._conditions: list[str] = []
        self._counts = {"": len(index)}

    def nearest_in_each(self, vector, column, each):
        field = self.index.attributes.field("text", column)
        names = {encode_text(text): text.strip() for text in self._columns.known(column)}
        blank = one_of(field, sorted(value for value, name in names.items() if not name))
        among = all_of([*self._conditions, f"not ({blank})"])
        sizes = Counter(record[field] for record in self.index.store.records([field], among))
        known = sizes.total()
        spellings: dict[str, list[str]] = {}
        for value in sorted(sizes):
            spellings.setdefault(names[value], []).append(value)
        self._note_groups(self._count(self._left) - known, len(spellings), column)
        found = self.index.nearest_in_each(vector, each, field, len(sizes), among, known)
        groups = {}
        for name, values in spellings.items():
            size = sum(sizes[value] for value in values)
            groups[name] = found.get(values[0], ((), ()))
            # A group that lacks works is asked for by itself.
            if len(groups[name][0]) < min(each, size) or len(values) > 1:
                only = all_of([*self._conditions, one_of(field, values)])
                groups[name] = self.index.nearest(vector, each, only, size)
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

    def _select_matching(self, tree):
        return to_expression(tree, self._columns, self.index.attributes)

    def _select_same(self, column, those):
        texts = self._columns.texts(column)[those.to_numpy(bool)].unique()
        field = self.index.attributes.field("text", column)
        return one_of(field, sorted({encode_text(text) for text in texts}))

    def _select_rows(self, rows):
        return one_of(PK, [key_of(self.index.ids[row]) for row in rows])

    def _count(self, selection):
        if selection not in self._counts:
            self._counts[selection] = self.index.store.count(selection)
        return self._counts[selection]

    def _keep(self, selection):
        self._conditions.append(selection)

    def _drop(self, selection):
        self._conditions.append(f"not ({selection})")

    def _nearest(self, vector, k):
        return self.index.nearest(vector, k, self._left, self._counts.get(self._left))

    @property
    def _left(self) -> str:
        return all_of(self._conditions)
