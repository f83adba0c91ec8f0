"""Answering a question: exactly, among the works that match it, however few they are."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.index.base import Index
from artsearch.index.exact import ExactIndex
from artsearch.search.question import Part, Question
from artsearch.search.results import Neighbour, Results
from artsearch.works.collection import MACHINE_MADE
from artsearch.works.conditions import Both, Tree, as_tree, count_without_number
from artsearch.works.images import open_image
from artsearch.works.storage import RemoteFile

if TYPE_CHECKING:
    from artsearch.search.search import Search


class Described(NamedTuple):
    """What a search knows of an image: its row, and the one by which copies of it are told."""

    row: np.ndarray
    plain: np.ndarray


#: A work is taken for a near-duplicate when it is nearer than this share of what usually lies
#: between a work of the collection and its nearest (see `copy_distance`). Of the 21 shipped
#: paintings (final layer of EfficientNet-Lite0) noise, heavy JPEG, a crop, other colours and a
#: mirror stay below it, and no two of them lie nearer than 0.94.
COPY = 0.7
#: Works from which that is learnt.
SAMPLE = 100
#: A distance that only rounding leaves between two rows that are the same.
SAME = 1e-6
#: Metrics in which rows can be added, and their sum be compared.
ADDABLE = ("angular", "euclidean", "manhattan", "dot")
#: What can be liked besides a list of it.
THING = str | bytes | bytearray | memoryview | os.PathLike | RemoteFile | np.ndarray | Image.Image


def answer(search: Search, question: Question, given: Mapping[str, object]) -> Results:
    """Return the works that answer a question; see Search.answer.

    `given` has by its name what is no work of the collection: an image, a row, or a Described.
    """
    index, known = comparing(search), describe_all(search, question, given)
    vector = combine(index, question, {id: one.row for id, one in known.items()})
    candidates = find_candidates(search, question, known)
    if question.per:
        found, distances, values = candidates.nearest_in_each(vector, question.per, question.each)
    else:
        found, distances = candidates.nearest(vector, question.k)
        values = [""] * len(found)
    ids = [index.ids[row] for row in found]
    captions = map(search.collection.caption, ids)
    neighbours = map(Neighbour, ids, distances.tolist(), captions, values)
    one = question.works[0] if len(question.works) == 1 else None
    return Results(
        one if one in search.collection else None,
        tuple(neighbours),
        index.metric,
        search.index.made_by,
        question,
        tuple(candidates.notes),
    )


def comparing(search: Search) -> Index:
    """Return what compares a search's rows: Milvus where it keeps them, else rows in memory."""
    return search.index if _is_kept_elsewhere(search) else search.exact


def comparing_plain(search: Search) -> Index:
    """Return what tells copies of a work from works that are alike, see Search.plain."""
    return search.index.plain if _is_kept_elsewhere(search) else search.plain


def candidates_of(search: Search) -> Candidates:
    """Return all works of a search as candidates."""
    if _is_kept_elsewhere(search):
        from artsearch.index.milvus.candidates import InMilvus

        return InMilvus(search)
    return InMemory(search)


def _is_kept_elsewhere(search: Search) -> bool:
    return getattr(search.index, "answers_questions", False)


class Candidates(ABC):
    """The works of a search that may answer a question, and what is to be said of them.

    `notes` are sentences: how many match, what was left out. What follows is the same wherever the
    rows are; how works are counted and compared is told by InMemory and InMilvus. Rows are those of
    the search's index.
    """

    def __init__(self, search: Search):
        self._search, self._columns = search, search.collection.columns
        self.notes: list[str] = []

    def require(self, where: str) -> None:
        """Keep the works that match a condition."""
        tree = as_tree(where)
        if tree is None:
            return
        count = self._keep_matching(tree)
        share = f"{count:,}" if count else "None"
        share = f"{share} of {len(self._search.index):,} works"
        self.notes.append(f"{share} {'matches' if count == 1 else 'match'} {where}.")
        if not count and isinstance(tree, Both):
            alone = ", ".join(f"{self._count(part):,}" for part in tree.parts)
            self.notes.append(f"Its parts match, each alone: {alone}.")
        for column, without in count_without_number(tree, self._columns).items():
            self.notes.append(f"Not compared: {_works(without)} without a number in {column}.")

    def leave_out_same(self, column: str, ids: tuple[str, ...]) -> None:
        """Leave out works that have the same in a column as one of these."""
        texts = self._columns.folded(column).str.strip()
        collection = self._search.collection
        values = {texts.iloc[collection.row(id)] for id in ids if id in collection} - {""}
        if not values:
            self.notes.append(f"No {column} is known of what is asked for: none is left out.")
            return
        self._note_left_out(self._drop_texts(column, texts.isin(values)), f"of the same {column}")

    def leave_out_machine_made(self) -> None:
        """Leave out works that a machine made, see Collection.machine_made."""
        collection = self._search.collection
        if collection.machines:
            count = self._drop_texts(MACHINE_MADE, collection.is_machine_made)
            self._note_left_out(count, "as made by a machine")

    def leave_out_copies(self, vectors: list[np.ndarray]) -> None:
        """Leave out works that are nearer to one of these rows than two works usually are."""
        near = copy_distance(self._search)
        count = self._drop_near(vectors, near)
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
    def _drop_near(self, vectors: list[np.ndarray], near: float) -> int:
        """Leave out works nearer to one of these rows than a distance; return how many."""

    @abstractmethod
    def _nearest(self, vector: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest."""


class InMemory(Candidates):
    """Candidates whose rows are at hand: a mask says which of them are left."""

    def __init__(self, search: Search):
        super().__init__(search)
        self._keep = np.ones(len(search.index), bool)

    @property
    def rows(self) -> np.ndarray:
        """The rows of the index that are left."""
        return np.flatnonzero(self._keep)

    def leave_out(self, ids):
        self._keep[self._search.exact.rows_of(ids)] = False

    def nearest_in_each(self, vector, column, each):
        rows = self.rows
        values = self._columns.texts(column).str.strip().iloc[self._search.places[rows]]
        known = (values != "").to_numpy(bool)
        rows = rows[known]
        groups, names = pd.factorize(values[known].to_numpy(object), sort=True)
        self._note_groups(int((~known).sum()), len(names), column)
        found, distances = self._search.exact.nearest_of(vector, rows, each, groups)
        group_of = dict(zip(rows.tolist(), names[groups].tolist(), strict=True))
        return found, distances, [group_of[row] for row in found.tolist()]

    def on_the_way(self, start, end, most):
        return self._search.exact, self.rows

    def _count(self, tree):
        return int(self._match(tree).sum())

    def _keep_matching(self, tree):
        mask = self._match(tree)
        self._keep &= mask
        return int(mask.sum())

    def _drop_texts(self, column, those):
        return self._drop(those.to_numpy(bool)[self._search.places])

    def _drop_near(self, vectors, near):
        copies = np.zeros_like(self._keep)
        for vector in vectors:
            copies[nearer_than(near, self._search.plain, vector, self.rows)] = True
        return self._drop(copies)

    def _nearest(self, vector, k):
        return self._search.exact.nearest_of(vector, self.rows, k)

    def _match(self, tree: Tree) -> np.ndarray:
        return tree.mask(self._columns)[self._search.places]

    def _drop(self, mask: np.ndarray) -> int:
        count = int((mask & self._keep).sum())
        self._keep &= ~mask
        return count


def find_candidates(
    search: Search, question: Question, known: Mapping[str, Described]
) -> Candidates:
    """Return the works that may answer a question; `known` describes what it names.

    Raises ArtsearchError for a condition, a column or a work that is not there.
    """
    for id in question.exclude:
        search.collection.row(id)
    candidates = candidates_of(search)
    candidates.require(question.where)
    if not question.machine_made:
        candidates.leave_out_machine_made()
    candidates.leave_out((*question.works, *question.exclude))
    liked = tuple(id for id, _ in question.like)
    for column in question.other:
        candidates.leave_out_same(column, liked)
    if not question.copies:
        candidates.leave_out_copies([known[id].plain for id in liked])
    return candidates


def combine(index: Index, question: Question, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the row that a question is near to: the works liked, less those not liked, by weight.

    That is the weighted mean of the rows liked, less the rows not liked on the same scale, all of
    unit length where the metric compares directions (Rocchio's formula; Manning, Raghavan and
    Schütze 2008, Introduction to Information Retrieval, equation 9.3). Raises ArtsearchError where
    they cancel each other out, and for Hamming, whose bits cannot be added.
    """
    if len(question.works) == 1:
        return rows[question.works[0]]
    if index.metric not in ADDABLE:
        raise ArtsearchError(
            f"several works cannot be put together in the metric {index.metric!r}; take one of "
            f"{', '.join(ADDABLE)}"
        )
    total = sum(weight for _, weight in question.like)
    signed = [*question.like, *((id, -weight) for id, weight in question.unlike)]
    parts = [np.float32(weight / total) * index.prepare(rows[id]) for id, weight in signed]
    vector = np.sum(parts, axis=0)
    if np.linalg.norm(vector) < 1e-3 * max(np.linalg.norm(part) for part in parts):
        raise ArtsearchError(
            "the works liked and not liked cancel each other out; give them other weights"
        )
    return vector


def copy_distance(search: Search) -> float:
    """Return the distance below which two works of a search are taken for the same work.

    COPY times the median distance of a work to its nearest that is not the same to the digit, over
    SAMPLE works drawn by chance.
    """
    plain = comparing_plain(search)
    if plain.metric == "dot":
        raise ArtsearchError(
            "an inner product does not tell copies; leave them out in the metric angular"
        )
    if "copy" not in search.learnt:
        drawn = np.random.default_rng(0).permutation(len(plain))[: SAMPLE if len(plain) > 1 else 0]
        k = min(5, len(plain) - 1)
        if isinstance(plain, ExactIndex):
            near = [plain.search(plain.ids[row], k)[1] for row in drawn]
        else:  # a server takes its time for each request, so it is asked once
            near = plain.distances_from(drawn, k)
        apart = [distances[distances > SAME][0] for distances in near if distances[-1] > SAME]
        search.learnt["copy"] = max(SAME, COPY * float(np.median(apart))) if apart else SAME
    return search.learnt["copy"]


def describe_all(
    search: Search, question: Question, given: Mapping[str, object]
) -> dict[str, Described]:
    """Return what is known of all that a question names: by the index, or by the network."""
    known = {}
    for id in question.works:
        part = question.part if id == question.like[0][0] else None
        known[id] = _describe(search, given.get(id, id), part)
    return known


def name_things(sides: Mapping[str, object]) -> tuple[dict, dict]:
    """Return what is liked and not liked, with weights, and by its name what is no work.

    A text is a work's id; a path, bytes or a PIL image is an image; an array is a row.
    """
    works, given = {}, {}
    for side, things in sides.items():
        named = []
        for thing, weight in _pairs(things):
            if not isinstance(thing, str):
                name = f"image {len(given) + 1}"
                given[name] = thing
                thing = name
            named.append((thing, weight))
        works[side] = tuple(named)
    return works, given


def cut(image: Image.Image, part: Part) -> Image.Image:
    """Return the part of an image, at least one pixel of it."""
    left, top, right, bottom = part
    box = [left * image.width, top * image.height, right * image.width, bottom * image.height]
    left, top, right, bottom = (round(end) for end in box)
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def _pairs(things: object) -> Iterator[tuple[object, object]]:
    if isinstance(things, THING):
        things = [things]
    if isinstance(things, Mapping):
        things = list(things.items())
    for one in things if isinstance(things, list | tuple) else [things]:
        pair = one if isinstance(one, tuple) and len(one) == 2 else (one, 1.0)
        if not isinstance(pair[0], THING):
            raise ArtsearchError(
                f"{pair[0]!r} cannot be liked; take a work's id, an image, a row of numbers, or a "
                "list of these"
            )
        yield pair


def _describe(search: Search, thing: object, part: Part | None) -> Described:
    """Describe a work, an image, a row, or a part of a work or an image."""
    if isinstance(thing, Described):
        return thing
    index, plain = comparing(search), comparing_plain(search)
    if isinstance(thing, np.ndarray):
        if part is not None:
            raise ArtsearchError("a row of numbers has no parts; like a work, or an image")
        row = index.check_vector(thing)
        return Described(row, row)
    work = thing if isinstance(thing, str) else None
    if work is not None and part is None:
        return Described(index.row(work), plain.row(work))
    image = thing if work is None else search.collection.path(work)
    row, plain_row = search.look(image if part is None else cut(open_image(image), part))
    row, plain_row = index.check_vector(row), plain.check_vector(plain_row)
    if work is not None and len(plain.rows_of([work])):
        plain_row = plain.row(work)  # copies are those of the whole work
    return Described(row, plain_row)


def nearer_than(
    limit: float, index: ExactIndex, vector: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return which of some rows are nearer to a vector than a distance."""
    # There are few as a rule: the nearest are had in a tenth of the time of all distances.
    k = 64
    while True:
        found, distances = index.nearest_of(vector, rows, k)
        if len(found) < k or distances[-1] >= limit:
            return found[distances < limit]
        k *= 8


def _works(count: int) -> str:
    return f"{count:,} work{'' if count == 1 else 's'}"
