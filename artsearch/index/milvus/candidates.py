"""A question put to Milvus: conditions become its filter, groups its grouping search."""

from __future__ import annotations

from collections import Counter

import numpy as np

from artsearch.index.base import Index
from artsearch.index.candidates import Candidates
from artsearch.index.milvus.fields import PK, encode_text, key_of, one_of, to_expression
from artsearch.works.collection import Collection
from artsearch.works.conditions import parse, quote, quote_column


class InMilvus(Candidates):
    """Candidates whose rows are in Milvus: an expression says which of them are left."""

    def __init__(self, index: Index, collection: Collection):
        super().__init__(index, collection, None)
        self._left = ""
        self._counts = {"": len(index)}

    def nearest_in_each(self, vector, column, each):
        field = self.index.attributes.field("text", column)
        names = {encode_text(text): name for text, name in self._columns.names(column).items()}
        among = self._and(f'{field} != ""')
        sizes = Counter(record[field] for record in self.index.store.records([field], among))
        known = sizes.total()
        self._note_groups(self._count(self._left) - known, len(sizes), column)
        groups = self.index.nearest_in_each(vector, each, field, len(sizes), among, known)
        for value, size in sizes.items():
            # A group that lacks works is asked for by itself.
            if value not in groups or len(groups[value][0]) < min(each, size):
                only = self._and(one_of(field, [value]))
                groups[value] = self.index.nearest(vector, each, only, size)
        order = sorted(groups, key=lambda value: (groups[value][1][0], value))
        if not order:
            return np.zeros(0, np.int64), np.zeros(0), []
        rows, distances = (np.concatenate([groups[value][n] for value in order]) for n in (0, 1))
        return rows, distances, [names[value] for value in order for _ in groups[value][0]]

    def nearest_before(self, rows, column):
        found, distances = np.full(len(rows), -1), np.full(len(rows), np.nan)
        name, years = quote_column(column), self._columns.years(column)
        for place, row in enumerate(rows):
            first = years[self._collection.row(self.index.ids[row]), 0]
            if np.isnan(first):
                continue
            is_earlier = parse(f"{name} < {quote(first)} and not {name} >= {quote(first)}")
            among = self._and(self._select_matching(is_earlier))
            if count := self._count(among):
                best = self.index.nearest(self.index.fetch([row])[0], 1, among, count)
                (found[place],), (distances[place],) = best
        return found, distances

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
        return f"({to_expression(tree, self._columns, self.index.attributes)})"

    def _select_same(self, column, those):
        texts = self._columns.folded(column)[those.to_numpy(bool)].unique()
        return one_of(self.index.attributes.field("text", column), sorted(map(encode_text, texts)))

    def _select_rows(self, rows):
        return one_of(PK, [key_of(self.index.ids[row]) for row in rows])

    def _count(self, selection):
        if selection not in self._counts:
            self._counts[selection] = self.index.store.count(selection)
        return self._counts[selection]

    def _and(self, selection: str) -> str:
        return f"{self._left} and {selection}" if self._left else selection

    def _keep(self, selection):
        self._left = self._and(selection)

    def _drop(self, selection):
        self._left = self._and(f"not ({selection})")

    def _nearest(self, vector, k):
        return self.index.nearest(vector, k, self._left, self._counts.get(self._left))
