"""Answering a question: exactly, among the works that match it, however few they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from artsearch.errors import ArtsearchError
from artsearch.exact_index import ExactIndex
from artsearch.images import open_image
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
SAMPLE = 100
#: A distance that only rounding leaves between two rows that are the same.
SAME = 1e-6
#: Metrics in which rows can be added, and their sum be compared.
ADDABLE = ("angular", "euclidean", "manhattan", "dot")
#: What can be liked besides a list of it.
THING = str | bytes | bytearray | memoryview | os.PathLike | np.ndarray | Image.Image


def answer(search: Search, question: Question, given: Mapping[str, object]) -> Results:
    """Return the works that answer a question; see Search.answer.

    `given` has by its name what is no work of the collection: an image, a row, or a Described.
    """
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
            copies[_nearer_than(near, plain, vector, rows)] = True
        self._drop(copies, f"as near-duplicates (nearer than {near:.3g})")

    def group(self, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the values of a column, the rows that have one, and which of them each has."""
        rows = self.rows
        values = self._columns.texts(column).str.strip().iloc[self._search.places[rows]]
        known = (values != "").to_numpy(bool)
        if unknown := int((~known).sum()):
            self.notes.append(f"In no group: {_works(unknown)} without {column}.")
        rows = rows[known]
        groups, names = pd.factorize(values[known].to_numpy(object), sort=True)
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

    COPY times the median distance of a work to its nearest that is not the same to the digit, over
    SAMPLE works drawn by chance.
    """
    plain = search.plain
    if plain.metric == "dot":
        raise ArtsearchError(
            "an inner product does not tell copies; leave them out in the metric angular"
        )
    if "copy" not in search.learnt:
        drawn = np.random.default_rng(0).permutation(len(plain))[: SAMPLE if len(plain) > 1 else 0]
        near = [plain.search(plain.ids[row], min(5, len(plain) - 1))[1] for row in drawn]
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
    if isinstance(thing, np.ndarray):
        if part is not None:
            raise ArtsearchError("a row of numbers has no parts; like a work, or an image")
        row = search.exact.check_vector(thing)
        return Described(row, row)
    work = thing if isinstance(thing, str) else None
    if work is not None and part is None:
        return Described(search.exact.row(work), search.plain.row(work))
    image = thing if work is None else search.collection.path(work)
    row, plain = search.look(image if part is None else cut(open_image(image), part))
    row, plain = search.exact.check_vector(row), search.plain.check_vector(plain)
    if work is not None and len(search.plain.rows_of([work])):
        plain = search.plain.row(work)  # copies are those of the whole work
    return Described(row, plain)


def _nearer_than(
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


def _share(mask: np.ndarray) -> str:
    found = f"{mask.sum():,}" if mask.any() else "None"
    return f"{found} of {len(mask):,} works"


def _works(count: int) -> str:
    return f"{count:,} work{'' if count == 1 else 's'}"
