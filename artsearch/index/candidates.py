"""The works that may answer a question: required, left out, and the nearest among what is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import shorten
from artsearch.index.base import Index
from artsearch.index.exact import ExactIndex
from artsearch.works.collection import MACHINE_MADE, Collection
from artsearch.works.conditions import Both, Tree, as_tree, count_unread

#: A work is taken for a near-duplicate when it is nearer than this share of what usually lies
#: between a work of the collection and its nearest (see `copy_distance`). Of the 21 shipped
#: paintings (final layer of EfficientNet-Lite0) noise, heavy JPEG, a crop, other colours and a
#: mirror stay below it, and no two of them lie nearer than 0.94.
COPY = 0.7
#: Works from which that is learnt.
SAMPLE = 100
#: A distance that only rounding leaves between two rows that are the same.
SAME = 1e-6


class Candidates(ABC):
    """The works of an index that may answer a question, and what is to be said of them.

    `notes` are sentences: how many match, what was left out. What follows is the same wherever the
    rows are; how works are counted and compared is told by InMemory, and by an index that keeps its
    rows elsewhere.
    """

    def __init__(self, index: Index, collection: Collection):
        self.index, self._collection = index, collection
        self._columns = collection.columns
        self.notes: list[str] = []

    def require(self, where: str) -> None:
        """Keep the works that match a condition."""
        tree = as_tree(where)
        if tree is None:
            return
        count = self._keep_matching(tree)
        share = f"{count:,}" if count else "None"
        share = f"{share} of {len(self.index):,} works"
        self.notes.append(f"{share} {'matches' if count == 1 else 'match'} {where}.")
        if not count and isinstance(tree, Both):
            alone = ", ".join(f"{self._count(part):,}" for part in tree.parts)
            self.notes.append(f"Its parts match, each alone: {alone}.")
        for column, texts in count_unread(tree, self._columns).items():
            blank = texts.pop("", 0)
            if blank:
                self.notes.append(f"Not compared: {_works(blank)} without {column}.")
            if texts:
                named = ", ".join(repr(shorten(text, 40)) for text, _ in texts.most_common(5))
                more = f" and {len(texts) - 5:,} others" if len(texts) > 5 else ""
                self.notes.append(
                    f"Not compared: {_works(texts.total())}, whose {column} is not read as a "
                    f"number or as years: {named}{more}."
                )

    def leave_out_same(self, column: str, ids: tuple[str, ...]) -> None:
        """Leave out works that have the same in a column as one of these."""
        texts = self._columns.folded(column).str.strip()
        collection = self._collection
        values = {texts.iloc[collection.row(id)] for id in ids if id in collection} - {""}
        if not values:
            self.notes.append(f"No {column} is known of what is asked for: none is left out.")
            return
        self._note_left_out(self._drop_texts(column, texts.isin(values)), f"of the same {column}")

    def leave_out_machine_made(self) -> None:
        """Leave out works that a machine made, see Collection.machine_made."""
        collection = self._collection
        if collection.machines:
            count = self._drop_texts(MACHINE_MADE, collection.is_machine_made)
            self._note_left_out(count, "as made by a machine")

    def leave_out_near_duplicates(self, vectors: list[np.ndarray], raw: Index, near: float) -> None:
        """Leave out works that `raw` has nearer to one of these rows than a distance."""
        count = self._drop_near(vectors, raw, near)
        self._note_left_out(count, f"as near-duplicates (nearer than {near:.3g})")

    def nearest(self, vector: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest, nearest first; all where there are fewer."""
        rows, distances = self._nearest(vector, k)
        if len(rows) < k:
            self.notes.append(f"{_works(len(rows))} left to show, of {k} asked for.")
        return rows, distances

    def _note_groups(self, unknown: int, names: int, column: str) -> None:
        if unknown:
            self.notes.append(f"In no group: {_works(unknown)} without {column}.")
        self.notes.append(f"{names:,} different in {column}.")

    def _note_left_out(self, count: int, why: str) -> None:
        self.notes.append(f"Left out {why}: {_works(count)}.")

    @abstractmethod
    def leave_out(self, ids: tuple[str, ...]) -> None:
        """Leave out works by their ids; those that the index does not hold are none of it."""

    @abstractmethod
    def nearest_in_each(
        self, vector: np.ndarray, column: str, each: int
    ) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Return rows, distances and groups: the nearest works of each value of a column.

        Group by group, the one with the nearest work first; works without a value are in none.
        """

    @abstractmethod
    def on_the_way(self, start: str, end: str, most: int) -> tuple[ExactIndex, np.ndarray]:
        """Return an exact index that holds both works, and its rows that a path may lead over.

        Where there are more than `most`, it is enough that it holds those nearest to both.
        """

    @abstractmethod
    def _count(self, tree: Tree) -> int:
        """Return how many works of the index match a condition, whatever is left."""

    @abstractmethod
    def _keep_matching(self, tree: Tree) -> int:
        """Keep the works that match a condition; return how many of the index do."""

    @abstractmethod
    def _drop_texts(self, column: str, those: pd.Series) -> int:
        """Leave out works of which a column has the texts of `those` works of the table."""

    @abstractmethod
    def _drop_near(self, vectors: list[np.ndarray], raw: Index, near: float) -> int:
        """Leave out works nearer to one of these rows than a distance; return how many."""

    @abstractmethod
    def _nearest(self, vector: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest."""


class InMemory(Candidates):
    """Candidates whose rows are at hand: a mask says which of them are left."""

    def __init__(self, index: ExactIndex, collection: Collection, collection_rows: np.ndarray):
        super().__init__(index, collection)
        self._collection_rows = collection_rows
        self._keep = np.ones(len(index), bool)

    @property
    def rows(self) -> np.ndarray:
        """The rows of the index that are left."""
        return np.flatnonzero(self._keep)

    def leave_out(self, ids):
        self._keep[self.index.rows_of(ids)] = False

    def nearest_in_each(self, vector, column, each):
        rows = self.rows
        values = self._columns.texts(column).str.strip().iloc[self._collection_rows[rows]]
        known = (values != "").to_numpy(bool)
        rows = rows[known]
        groups, names = pd.factorize(values[known].to_numpy(object), sort=True)
        self._note_groups(int((~known).sum()), len(names), column)
        found, distances = self.index.nearest_of(vector, rows, each, groups)
        group_of = dict(zip(rows.tolist(), names[groups].tolist(), strict=True))
        return found, distances, [group_of[row] for row in found.tolist()]

    def on_the_way(self, start, end, most):
        return self.index, self.rows

    def _count(self, tree):
        return int(self._match(tree).sum())

    def _keep_matching(self, tree):
        mask = self._match(tree)
        self._keep &= mask
        return int(mask.sum())

    def _drop_texts(self, column, those):
        return self._drop(those.to_numpy(bool)[self._collection_rows])

    def _drop_near(self, vectors, raw, near):
        copies = np.zeros_like(self._keep)
        for vector in vectors:
            copies[nearer_than(near, partial(raw.nearest_of, vector, self.rows))] = True
        return self._drop(copies)

    def _nearest(self, vector, k):
        return self.index.nearest_of(vector, self.rows, k)

    def _match(self, tree: Tree) -> np.ndarray:
        return tree.mask(self._columns)[self._collection_rows]

    def _drop(self, mask: np.ndarray) -> int:
        count = int((mask & self._keep).sum())
        self._keep &= ~mask
        return count


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
    k = min(5, len(raw) - 1)
    if isinstance(raw, ExactIndex):
        near = [raw.search(raw.ids[row], k)[1] for row in drawn]
    else:  # a server takes its time for each request, so it is asked once
        near = raw.distances_from(drawn, k)
    apart = [distances[distances > SAME][0] for distances in near if distances[-1] > SAME]
    return max(SAME, COPY * float(np.median(apart))) if apart else SAME


def nearer_than(limit: float, nearest: Callable[..., tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the rows nearer than a distance; `nearest(k=k)` gives the k nearest, and distances."""
    # There are few as a rule: the nearest are had in a tenth of the time of all distances.
    k = 64
    while True:
        found, distances = nearest(k=k)
        if len(found) < k or distances[-1] >= limit:
            return found[distances < limit]
        k *= 8


def _works(count: int) -> str:
    return f"{count:,} work{'' if count == 1 else 's'}"
