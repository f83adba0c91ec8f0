"""Answering a question: exactly, among the works that match it, however few they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from artsearch.errors import ArtsearchError
from artsearch.images import open_image
from artsearch.index import ExactIndex
from artsearch.question import Part, Question
from artsearch.results import Neighbour, Results
from artsearch.where import Both, as_tree, count_without_number

if TYPE_CHECKING:
    from artsearch.search import Search


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
SAMPLE = 200
#: Metrics in which rows can be added, and their sum be compared.
ADDABLE = ("angular", "euclidean", "manhattan", "dot")


def answer(search: Search, question: Question, given: Mapping[str, Described]) -> Results:
    """Return the works that answer a question; see Search.answer."""
    exact, known = search.exact, describe_all(search, question, given)
    vector = combine(exact, question, {id: one.row for id, one in known.items()})
    candidates = find_candidates(search, question, known)
    if question.per:
        names, among, groups = candidates.group(question.per)
        found, distances = exact.nearest_of(vector, among, question.each, groups)
        group_of = dict(zip(among.tolist(), names[groups].tolist(), strict=True))
    else:
        found, distances = exact.nearest_of(vector, candidates.rows, question.k)
        group_of = {}
        candidates.say_if_few(question.k)
    ids = [exact.ids[row] for row in found]
    captions = map(search.collection.caption, ids)
    values = [group_of.get(row, "") for row in found.tolist()]
    neighbours = map(Neighbour, ids, distances.tolist(), captions, values)
    one = question.works[0] if len(question.works) == 1 else None
    return Results(
        one if one in search.collection else None,
        tuple(neighbours),
        exact.metric,
        search.index.made_by,
        question,
        tuple(candidates.notes),
    )


class Candidates:
    """The works of a search that may answer a question, and what is to be said of them.

    `notes` are sentences: how many match, what was left out.
    """

    def __init__(self, search: Search):
        self._search, self._columns = search, search.collection.columns
        self._keep = np.ones(len(search.index), bool)
        self.notes: list[str] = []

    @property
    def rows(self) -> np.ndarray:
        """The rows of the index that are left."""
        return np.flatnonzero(self._keep)

    def require(self, where: str) -> None:
        """Keep the works that match a condition."""
        tree = as_tree(where)
        if tree is None:
            return
        mask = self._match(tree)
        self._keep &= mask
        self.notes.append(f"{_share(mask)} {'matches' if mask.sum() == 1 else 'match'} {where}.")
        if not mask.any() and isinstance(tree, Both):
            alone = ", ".join(f"{self._match(part).sum():,}" for part in tree.parts)
            self.notes.append(f"Its parts match, each alone: {alone}.")
        for column, count in count_without_number(tree, self._columns).items():
            self.notes.append(f"Not compared: {_works(count)} without a number in {column}.")

    def leave_out(self, ids: tuple[str, ...]) -> None:
        """Leave out works by their ids; those that the index does not hold are none of it."""
        self._keep[self._search.exact.rows_of(ids)] = False

    def leave_out_same(self, column: str, ids: tuple[str, ...]) -> None:
        """Leave out works that have the same in a column as one of these."""
        texts = self._columns.folded(column).str.strip()
        collection = self._search.collection
        values = {texts.iloc[collection.row(id)] for id in ids if id in collection} - {""}
        if not values:
            self.notes.append(f"No {column} is known of what is asked for: none is left out.")
            return
        self._drop(texts.isin(values).to_numpy(bool)[self._search.places], f"of the same {column}")

    def leave_out_copies(self, vectors: list[np.ndarray]) -> None:
        """Leave out works that are nearer to one of these rows than two works usually are."""
        plain, rows, near = self._search.plain, self.rows, copy_distance(self._search)
        copies = np.zeros_like(self._keep)
        for vector in vectors:
            copies[rows[plain.distances(vector, rows) < near]] = True
        self._drop(copies, f"as near-duplicates (nearer than {near:.3g})")

    def group(self, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the values of a column, the rows that have one, and which of them each has."""
        texts = self._columns.texts(column).str.strip().to_numpy(str)
        rows = self.rows
        values = texts[self._search.places[rows]]
        if unknown := int((values == "").sum()):
            self.notes.append(f"In no group: {_works(unknown)} without {column}.")
        rows = rows[values != ""]
        names, groups = np.unique(values[values != ""], return_inverse=True)
        self.notes.append(f"{len(names):,} different in {column}.")
        return names, rows, groups

    def say_if_few(self, k: int) -> None:
        """Note when fewer works are left than were asked for."""
        left = int(self._keep.sum())
        if left < k:
            self.notes.append(f"{_works(left)} left to show, of {k} asked for.")

    def _match(self, tree) -> np.ndarray:
        return tree.mask(self._columns)[self._search.places]

    def _drop(self, mask: np.ndarray, why: str) -> None:
        count = int((mask & self._keep).sum())
        self._keep &= ~mask
        self.notes.append(f"Left out {why}: {_works(count)}.")


def find_candidates(
    search: Search, question: Question, known: Mapping[str, Described]
) -> Candidates:
    """Return the works that may answer a question; `known` describes what it names.

    Raises ArtsearchError for a condition, a column or a work that is not there.
    """
    for id in question.exclude:
        search.collection.row(id)
    candidates = Candidates(search)
    candidates.require(question.where)
    candidates.leave_out((*question.works, *question.exclude))
    liked = tuple(id for id, _ in question.like)
    for column in question.other:
        candidates.leave_out_same(column, liked)
    if not question.copies:
        candidates.leave_out_copies([known[id].plain for id in liked])
    return candidates


def combine(exact: ExactIndex, question: Question, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the row that a question is near to: the works liked, less those not liked, by weight.

    That is the weighted mean of the rows liked, less the rows not liked on the same scale, all of
    unit length where the metric compares directions (Rocchio's formula; Manning, Raghavan and
    Schütze 2008, Introduction to Information Retrieval, equation 9.3). Raises ArtsearchError where
    they cancel each other out, and for Hamming, whose bits cannot be added.
    """
    if len(question.works) == 1:
        return rows[question.works[0]]
    if exact.metric not in ADDABLE:
        raise ArtsearchError(
            f"several works cannot be put together in the metric {exact.metric!r}; take one of "
            f"{', '.join(ADDABLE)}"
        )
    total = sum(weight for _, weight in question.like)
    signed = [*question.like, *((id, -weight) for id, weight in question.unlike)]
    parts = [np.float32(weight / total) * exact.prepare(rows[id]) for id, weight in signed]
    vector = np.sum(parts, axis=0)
    if np.linalg.norm(vector) < 1e-3 * max(np.linalg.norm(part) for part in parts):
        raise ArtsearchError(
            "the works liked and not liked cancel each other out; give them other weights"
        )
    return vector


def copy_distance(search: Search) -> float:
    """Return the distance below which two works of a search are taken for the same work.

    COPY times the median distance of a work to its nearest, over SAMPLE works drawn by chance.
    """
    plain = search.plain
    if "copy" not in search.learnt and len(plain) > 1:
        drawn = np.random.default_rng(0).permutation(len(plain))[:SAMPLE]
        nearest = [plain.search(plain.ids[row], 1)[1][0] for row in drawn]
        search.learnt["copy"] = COPY * float(np.median(nearest))
    return search.learnt.get("copy", 0.0)


def describe_all(
    search: Search, question: Question, given: Mapping[str, Described]
) -> dict[str, Described]:
    """Return what is known of all that a question names: by the index, or by the network."""
    known = dict(given)
    if question.part is not None and question.works[0] not in given:
        id = question.like[0][0]
        known[id] = search.look(cut(open_image(search.collection.path(id)), question.part))
    for id in question.works:
        if id not in known:
            known[id] = Described(search.exact.row(id), search.plain.row(id))
    return known


def name_things(search: Search, sides: Mapping[str, object]) -> tuple[dict, dict]:
    """Return what is liked and not liked, with weights, and descriptions of what is no work.

    A text is a work's id; a path, bytes or a PIL image is an image; an array is a row.
    """
    works, given = {}, {}
    for side, things in sides.items():
        named = []
        for thing, weight in _pairs(things):
            if not isinstance(thing, str):
                name = f"image {len(given) + 1}"
                given[name] = _describe(search, thing)
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
    alone = str | bytes | os.PathLike | np.ndarray | Image.Image
    if isinstance(things, alone):
        things = [things]
    if isinstance(things, Mapping):
        things = list(things.items())
    if not isinstance(things, list | tuple):
        raise ArtsearchError(
            f"{things!r} cannot be liked; take a work's id, an image, a row of numbers, or a list "
            "of these"
        )
    for one in things:
        yield one if isinstance(one, tuple) and len(one) == 2 else (one, 1.0)


def _describe(search: Search, thing: object) -> Described:
    if not isinstance(thing, np.ndarray):
        return search.look(thing)
    row = search.exact.check_vector(thing)
    return Described(row, row)


def _share(mask: np.ndarray) -> str:
    found = f"{mask.sum():,}" if mask.any() else "None"
    return f"{found} of {len(mask):,} works"


def _works(count: int) -> str:
    return f"{count:,} work{'' if count == 1 else 's'}"
