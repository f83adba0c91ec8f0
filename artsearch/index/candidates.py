"""The works that may answer a question: required, left out, and the nearest among what is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import count_of, shorten
from artsearch.index.base import Index
from artsearch.index.exact import ExactIndex
from artsearch.index.metrics import LOCAL, to_similarities
from artsearch.works.collection import MACHINE_MADE, Collection
from artsearch.works.conditions import Both, Tree, as_tree, count_unread

#: A work is taken for a near-duplicate when it is nearer than this share of what usually lies
#: between a work of the collection and its nearest (see `copy_distance`). Of the 21 shipped
#: paintings (final layer of EfficientNet-Lite0) noise, heavy JPEG, a crop, other colours and a
#: mirror stay below it, and no two of them lie nearer than 0.94.
COPY = 0.7
#: Works from which that is learnt.
SAMPLE = 100
#: Works among which CSLS looks for the nearest of each: with all of 100,000 it would take minutes.
CROWD = 4_000
#: A distance that only rounding leaves between two rows that are the same.
SAME = 1e-6


class Candidates:
    """The works of an index that may answer a question, and what is to be said of them.

    `notes` are sentences: how many match, what was left out. Works are selected by a condition, by
    what they have in a column, or by their rows, and `_left` selects those that are left. Here the
    rows are in memory, and a selection is a mask; InMilvus has another for rows in Milvus.
    """

    _left: Any

    def __init__(self, index: Index, collection: Collection, collection_rows: np.ndarray | None):
        self.index, self._collection = index, collection
        self._columns, self._collection_rows = collection.columns, collection_rows
        self._left = np.ones(len(index), bool)
        self._crowding: np.ndarray | None = None
        self.notes: list[str] = []

    def require(self, where: str) -> None:
        """Keep the works that match a condition."""
        tree = as_tree(where)
        if tree is None:
            return
        matching = self._select_matching(tree)
        count = self._count(matching)
        self._keep(matching)
        share = f"{f'{count:,}' if count else 'None'} of {len(self.index):,} works"
        self.notes.append(f"{share} {'matches' if count == 1 else 'match'} {where}.")
        if not count and isinstance(tree, Both):
            alone = [f"{self._count(self._select_matching(part)):,}" for part in tree.parts]
            self.notes.append(f"Its parts match, each alone: {', '.join(alone)}.")
        for column, texts in count_unread(tree, self._columns).items():
            blank = texts.pop("", 0)
            if blank:
                self.notes.append(f"Not compared: {count_of(blank, 'work')} without {column}.")
            if texts:
                named = ", ".join(repr(shorten(text, 40)) for text, _ in texts.most_common(5))
                more = f" and {len(texts) - 5:,} others" if len(texts) > 5 else ""
                self.notes.append(
                    f"Not compared: {count_of(texts.total(), 'work')}, whose {column} is not read "
                    f"as a number or as years: {named}{more}."
                )

    def normalise(self, crowding: np.ndarray) -> None:
        """Take for the nearest those by CSLS; `crowding` has a number for each row, see below."""
        self._crowding = crowding
        self.notes.append("Ordered by CSLS, which puts back works that are near to everything.")

    @property
    def ids(self) -> list[str]:
        """The works that are left."""
        return [self.index.ids[row] for row in np.flatnonzero(self._left)]

    def count_by_hand(self) -> int:
        """Return how many works may answer that no machine made."""
        left = self._left
        if self._collection.machines:
            self._drop(self._select_same(MACHINE_MADE, self._collection.is_machine_made))
        count, self._left = self._count(self._left), left
        return count

    def leave_out(self, ids: tuple[str, ...]) -> None:
        """Leave out works by their ids; those that the index does not hold are none of it."""
        rows = self.index.rows_of(ids)
        if len(rows):
            self._drop(self._select_rows(rows))

    def leave_out_same(self, column: str, ids: tuple[str, ...]) -> None:
        """Leave out works that have the same in a column as one of these."""
        texts = self._columns.folded(column)
        collection = self._collection
        values = {texts.iloc[collection.row(id)] for id in ids if id in collection} - {""}
        if not values:
            self.notes.append(f"No {column} is known of what is asked for: none is left out.")
            return
        self._drop_counted(self._select_same(column, texts.isin(values)), f"of the same {column}")

    def leave_out_machine_made(self) -> None:
        """Leave out works that a machine made, see Collection.machine_made."""
        collection = self._collection
        if collection.machines:
            made = self._select_same(MACHINE_MADE, collection.is_machine_made)
            self._drop_counted(made, "as made by a machine")

    def leave_out_near_duplicates(self, vectors: list[np.ndarray], raw: Index, near: float) -> None:
        """Leave out works that `raw` has nearer to one of these rows than a distance."""
        rows = np.concatenate([nearer_than(raw, vector, near) for vector in vectors])
        selected = self._select_rows(np.unique(rows))
        self._drop_counted(selected, f"as near-duplicates (nearer than {near:.3g})")

    def leave_out_behind(self, row: int, raw: Index, near: float) -> tuple[set[int], int]:
        """Leave out the near-duplicates of a work of the index, and keep the work itself.

        Returns the rows of all of them in the index, and how many were left until then.
        """
        rows = nearer_than(raw, raw.row(self.index.ids[row]), near)
        rows = rows[rows != row]
        count = self._drop_counted(self._select_rows(rows)) if len(rows) else 0
        return set(rows.tolist()), count

    def nearest(self, vector: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest, nearest first; all where there are fewer."""
        rows, distances = self._nearest(vector, k)
        if len(rows) < k:
            self.notes.append(f"{count_of(len(rows), 'work')} left to show, of {k} asked for.")
        return rows, distances

    def count(self) -> int:
        """Return how many works may answer."""
        return self._count(self._left)

    def rank(self, vector: np.ndarray, work_id: str) -> int:
        """Return at which place a work comes, 1 for the nearest to a vector.

        Raises ArtsearchError for a work that is none of those that may answer.
        """
        row, k = self.index.row_of(work_id), 64
        while True:  # the nearest are had in a part of the time of all
            rows, _ = self._nearest(vector, k)
            if row in rows:
                return int(np.flatnonzero(rows == row)[0]) + 1
            if len(rows) < k:
                raise ArtsearchError(f"{work_id!r} is none of the works that may answer")
            k *= 8

    def _note_groups(self, unknown: int, names: int, column: str) -> None:
        if unknown:
            self.notes.append(f"In no group: {count_of(unknown, 'work')} without {column}.")
        self.notes.append(f"{names:,} different in {column}.")

    def _drop_counted(self, selection: Any, why: str = "") -> int:
        """Leave out what is selected, for a reason to be noted; return how many were left of it."""
        before = self._count(self._left)
        self._drop(selection)
        count = before - self._count(self._left)
        if why:
            self.notes.append(f"Left out {why}: {count_of(count, 'work')}.")
        return count

    def nearest_in_each(
        self, vector: np.ndarray, column: str, each: int
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Return rows, distances and groups: the nearest works of each value of a column.

        Group by group, the one with the nearest work first; works without a value are in none.
        """
        rows = np.flatnonzero(self._left)
        values = self._columns.folded(column).iloc[self._collection_rows[rows]]
        known = (values != "").to_numpy(bool)
        rows = rows[known]
        groups, values = pd.factorize(values[known].to_numpy(object), sort=True)
        self._note_groups(int((~known).sum()), len(values), column)
        found, distances = self.index.nearest_of(vector, rows, each, groups, self._crowding)
        group_of = dict(zip(rows.tolist(), values[groups].tolist(), strict=True))
        names = self._columns.names(column)
        return found, distances, [names[group_of[row]] for row in found.tolist()]

    def nearest_before(self, rows: np.ndarray, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return for each of some rows the nearest that is surely of an earlier year, and how far.

        That is one whose last year is before the first of the other; -1 and NaN where there is
        none, or a row has no year.
        """
        first, last = self._columns.years(column)[self._collection_rows].T
        return self.index.nearest_below(rows, first[rows], np.where(self._left, last, np.nan))

    def on_the_way(self, start: str, end: str, most: int) -> tuple[ExactIndex, np.ndarray]:
        """Return an exact index that holds both works, and its rows that a path may lead over.

        Where there are more than `most`, it is enough that it holds those nearest to both.
        """
        return self.index, np.flatnonzero(self._left)

    def _select_matching(self, tree: Tree) -> Any:
        """Select the works that match a condition."""
        return tree.mask(self._columns)[self._collection_rows]

    def _select_same(self, column: str, those: pd.Series) -> Any:
        """Select works that have in a column what `those` works of the table have."""
        return those.to_numpy(bool)[self._collection_rows]

    def _select_rows(self, rows: np.ndarray) -> Any:
        return np.isin(np.arange(len(self.index)), rows)

    def _keep(self, selection: Any) -> None:
        self._left = self._left & selection

    def _drop(self, selection: Any) -> None:
        self._left = self._left & ~selection

    def _count(self, selection: Any) -> int:
        return int(selection.sum())

    def _nearest(self, vector: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(self._left)
        return self.index.nearest_of(vector, rows, k, crowding=self._crowding)


def crowding_of(exact: Index) -> np.ndarray:
    """Return for each work how crowded its place is: its mean similarity to its LOCAL nearest.

    Of more than CROWD works the nearest are those among so many drawn by chance. Raises
    ArtsearchError where the rows are not at hand.
    """
    if not exact.in_memory:
        raise ArtsearchError(
            f"CSLS compares all rows, and those of {exact.kind!r} are on a server; take another "
            "kind of index"
        )
    drawn = np.sort(np.random.default_rng(0).permutation(len(exact))[:CROWD])
    _, distances = exact.neighbours_among(drawn, min(LOCAL, len(drawn) - 1))
    return to_similarities(distances, exact.metric).mean(axis=1)


def copy_distance(raw: Index) -> float:
    """Return the distance below which two works of an index are taken for the same work.

    COPY times the median distance of a work to its nearest that is not the same to the digit, over
    SAMPLE works drawn by chance.
    """
    if raw.metric == "dot":
        raise ArtsearchError(
            "an inner product does not tell copies; leave them out in the metric angular"
        )
    drawn = np.random.default_rng(0).permutation(len(raw))[: SAMPLE if len(raw) > 1 else 0]
    if not len(drawn):
        return SAME
    # All at once: a server takes its time for each request.
    found = zip(drawn, *raw._nearest_many(raw.fetch(drawn), min(6, len(raw))), strict=True)
    near = [distances[rows != own] for own, rows, distances in found]
    apart = [distances[distances > SAME][0] for distances in near if distances[-1] > SAME]
    return max(SAME, COPY * float(np.median(apart))) if apart else SAME


def nearer_than(index: Index, vector: np.ndarray, limit: float) -> np.ndarray:
    """Return the rows nearer to a vector than a distance."""
    # There are few as a rule: the nearest are had in a tenth of the time of all distances.
    k = 64
    while True:
        found, distances = index._nearest(vector, None, k, None)
        if len(found) < k or distances[-1] >= limit:
            return found[distances < limit]
        k *= 8
