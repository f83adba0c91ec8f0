"""Answering a question: exactly, among the works that match it, however few they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import PurePath

import numpy as np
from PIL import Image

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import shorten
from artsearch.base.vectors import unit_rows
from artsearch.index.base import Index
from artsearch.index.candidates import Candidates
from artsearch.search.question import SIDES, Question, Region, Thing, Words
from artsearch.search.results import WORDY, Described, Neighbour, Results, Searched
from artsearch.works.formats import SUFFIXES
from artsearch.works.images import open_image
from artsearch.works.storage import RemoteFile

#: Metrics in which rows can be added, and their sum be compared.
ADDABLE = ("angular", "euclidean", "manhattan", "dot")
#: What can be liked besides a list of it.
THING = str | bytes | bytearray | memoryview | os.PathLike | RemoteFile | np.ndarray | Image.Image
THING |= Words
#: Works over which it is learnt how much the cosines of works and of words differ.
SAMPLE = 1_000


def answer(search: Searched, question: Question, given: Mapping[str, object]) -> Results:
    """Return the works that answer a question; see Search.answer.

    `given` has by its name what is no work of the collection: an image, a row, or a Described.
    """
    if question.motif:
        return answer_motif(search, question, given)
    index, known = search.comparing, describe_all(search, question, given)
    vector = combine(index, question, {thing: one.row for thing, one in known.items()})
    candidates = find_candidates(search, question, known)
    behind: dict[int, int] = {}
    notes = tuple(candidates.notes)
    while True:
        candidates.notes[:] = notes
        rows, distances, groups = _find(candidates, question, vector)
        if question.near_duplicates or not _leave_out_behind(search, candidates, rows, behind):
            break
    if count := sum(behind.values()):
        candidates.notes.append(f"Near-duplicates of the works shown, left out: {count:,}.")
    ids = [index.ids[row] for row in rows]
    captions = map(search.collection.caption, ids)
    duplicates = [behind.get(row, 0) for row in rows]
    told = zip(ids, distances.tolist(), captions, groups, duplicates, strict=True)
    # Nothing is known of how near works are to words, and to what is liked less what is not.
    rate = None
    if not question.words and not question.unliked:
        liked, works = [id for id, _ in question.positive], candidates.count_by_hand()
        rate = cache(lambda: search.usual.rate(ids, vector, liked, works))
    neighbours = (Neighbour(*one, rate=rate) for one in told)
    one = next(iter(known)) if len(known) == 1 else None
    return Results(
        one if isinstance(one, str) and one in search.collection else None,
        tuple(neighbours),
        index.metric,
        search.index.provenance,
        question,
        tuple(candidates.notes),
    )


def answer_motif(search: Searched, question: Question, given: Mapping[str, object]) -> Results:
    """Return the works that have a part of a work or an image somewhere, and where.

    The distance is that of the two places, position by position.
    """
    ((thing, _),) = question.positive
    is_work = thing in search.collection
    image = thing  # of a work that has a map, nothing more is looked at
    if thing not in search.motifs:
        image = open_image(search.collection.path(thing) if is_work else given[thing])
    # Of a condition nothing is asked but which works match, and those of a server are known here.
    candidates = Candidates(search.index, search.collection, search.collection_rows)
    known = {} if question.near_duplicates else describe_all(search, question, given)
    restrict(candidates, search, question, known)
    found = search.motifs.find(image, question.region, question.k, candidates.ids)
    neighbours = tuple(
        Neighbour(
            one.id,
            float(np.sqrt(max(0.0, 2 - 2 * one.likeness))),
            search.collection.caption(one.id),
            region=one.region,
            share=one.share,
        )
        for one in found
    )
    query, notes = thing if is_work else None, tuple(candidates.notes)
    made_of = search.index.provenance
    return Results(query, neighbours, "angular", made_of, question, notes)


def _find(candidates: Candidates, question: Question, vector: np.ndarray):
    """Return rows, distances and groups of the works that are nearest."""
    if question.group_by:
        return candidates.nearest_in_each(vector, question.group_by, question.group_size)
    rows, distances = candidates.nearest(vector, question.k)
    return rows, distances, [""] * len(rows)


def _leave_out_behind(
    search: Searched, candidates: Candidates, rows: np.ndarray, behind: dict[int, int]
) -> bool:
    """Leave out the near-duplicates of works found; tell whether some were among them.

    The first of several stands for all. `behind` gets how many stand behind each.
    """
    gone: set[int] = set()
    for row in rows.tolist():
        if row not in gone and row not in behind:
            copies, behind[row] = candidates.leave_out_behind(row, search.raw, search.copy_distance)
            gone |= copies
    return not gone.isdisjoint(rows.tolist())


def candidates_of(search: Searched) -> Candidates:
    """Return all works of a search as candidates."""
    if not search.index.in_memory:
        return search.index.candidates(search.collection)
    return Candidates(search.exact, search.collection, search.collection_rows)


def find_candidates(
    search: Searched, question: Question, known: Mapping[Thing, Described]
) -> Candidates:
    """Return the works that may answer a question; `known` describes what it names.

    Raises ArtsearchError for a condition, a column or a work that is not there.
    """
    candidates = candidates_of(search)
    restrict(candidates, search, question, known)
    if question.normalise:
        candidates.normalise(search.crowding)
    return candidates


def restrict(
    candidates: Candidates,
    search: Searched,
    question: Question,
    known: Mapping[Thing, Described],
) -> None:
    """Leave out the works that may not answer a question; raises what find_candidates raises."""
    for id in question.exclude:
        search.collection.row(id)
    candidates.require(question.where)
    if not question.machine_made:
        candidates.leave_out_machine_made()
    candidates.leave_out((*question.works, *question.exclude))
    liked = tuple(id for id, _ in question.positive)
    for column in question.exclude_same:
        candidates.leave_out_same(column, liked)
    if not question.near_duplicates and liked:
        vectors = [known[id].raw for id in liked]
        candidates.leave_out_near_duplicates(vectors, search.raw, search.copy_distance)


def combine(index: Index, question: Question, rows: Mapping[Thing, np.ndarray]) -> np.ndarray:
    """Return the row that a question is near to: what is liked, less what is not, by weight.

    That is the weighted mean of the rows liked, less the rows not liked on the same scale, all of
    unit length where the metric compares directions (Rocchio's formula; Manning, Raghavan and
    Schütze 2008, Introduction to Information Retrieval, equation 9.3). Where works and words are
    asked together, each row is first divided by `spread`. Raises ArtsearchError where they cancel
    each other out, and for Hamming, whose bits cannot be added.
    """
    signed = [*question.liked, *((thing, -weight) for thing, weight in question.unliked)]
    if len(signed) == 1:
        return rows[signed[0][0]]
    if index.metric not in ADDABLE:
        raise ArtsearchError(
            f"several works cannot be put together in the metric {index.metric!r}; take one of "
            f"{', '.join(ADDABLE)}"
        )
    total = sum(weight for _, weight in question.liked)
    prepared = {thing: index.prepare(rows[thing]) for thing, _ in signed}
    if len({isinstance(thing, Words) for thing in prepared}) == 2:
        spreads = spread(index, np.stack([*prepared.values()]), question.works)
        prepared = {
            thing: row / one for (thing, row), one in zip(prepared.items(), spreads, strict=True)
        }
    parts = [np.float32(weight / total) * prepared[thing] for thing, weight in signed]
    vector = np.sum(parts, axis=0)
    if np.linalg.norm(vector) < 1e-3 * max(np.linalg.norm(part) for part in parts):
        raise ArtsearchError(
            "the works liked and not liked cancel each other out; give them other weights"
        )
    return vector


def spread(index: Index, rows: np.ndarray, named: tuple[str, ...]) -> np.ndarray:
    """Return for each row by how much its cosines with the works differ: their deviation.

    Pictures and words lie in two narrow cones apart from each other (Liang et al. 2022, Mind the
    Gap, arXiv:2203.02053), and the cosines of words with pictures differ less than those of
    pictures with one another: in a plain sum the words would hardly count. Divided by the
    deviation, all that is asked for has the same say at the same weight, as where the scores of
    several searches are brought to variance one before they are added (Montague and Aslam 2001,
    Relevance Score Normalization for Metasearch). It is taken over up to SAMPLE works drawn by
    chance, without those that the question names.
    """
    drawn = np.random.default_rng(0).permutation(len(index))[:SAMPLE]
    drawn = drawn[~np.isin(drawn, index.rows_of(named))]
    if len(drawn) < 2:
        return np.ones((len(rows), 1), np.float32)
    cosines = unit_rows(index.fetch(np.sort(drawn))) @ rows.T
    return np.maximum(cosines.std(axis=0, dtype=np.float64), 1e-6).astype(np.float32)[:, None]


def describe_all(
    search: Searched, question: Question, given: Mapping[str, object]
) -> dict[Thing, Described]:
    """Return what is known of all that a question names: by the index, or by the network."""
    first = question.works[0] if question.positive else None
    known: dict[Thing, Described] = {}
    for thing, _ in (*question.liked, *question.unliked):
        if isinstance(thing, Words):
            known[thing] = Described(*map(search.comparing.check_vector, search.read(thing)))
            continue
        region = question.region if thing == first else None
        known[thing] = _describe(search, given.get(thing, thing), region)
    return known


def name_things(search: Searched, sides: Mapping[str, object]) -> tuple[dict, dict, list[str]]:
    """Return what is liked and not liked, with weights, by its name what is no work, and notes.

    A text is a work's id; a path, bytes or a PIL image is an image; an array is a row. A text that
    is no work's id is taken for words, and a note says so, where the network takes words and the
    text is not the name of a picture file. Raises ArtsearchError for another one.
    """
    asked: dict[str, list] = {side: [] for side in SIDES}
    given, notes = {}, []
    for side, things in sides.items():
        in_words = "words" if side == "positive" else "negative_words"
        for thing, weight in _pairs(things):
            if isinstance(thing, str) and thing not in search.collection:
                thing = _as_words(search, thing)
                notes.append(f"No work is called {shorten(thing.text, 80)!r}: asked in words.")
            if isinstance(thing, Words):
                asked[in_words].append((thing.text, weight))
                continue
            if not isinstance(thing, str):
                name = f"image {len(given) + 1}"
                given[name] = thing
                thing = name
            asked[side].append((thing, weight))
    return asked, given, notes


def _as_words(search: Searched, text: str) -> Words:
    """Return a text as words; raise ArtsearchError where it is more likely a work's id."""
    hint = f"; for words take a network that takes them, such as {WORDY!r}"
    if not search.no_words:
        if text.strip() and PurePath(text).suffix.lower() not in SUFFIXES:
            return Words(text)
        hint = "; words that look like a file are asked by as Words('…')"
    raise unknown("work", text, search.collection.ids, hint)


def cut(image: Image.Image, region: Region) -> Image.Image:
    """Return a region of an image, at least one pixel of it."""
    left, top, right, bottom = region
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
                f"{pair[0]!r} cannot be liked; take a work's id, an image, a row of numbers, "
                "words, or a list of these"
            )
        yield pair


def _describe(search: Searched, thing: object, region: Region | None) -> Described:
    """Describe a work, an image, a row, or a region of a work or an image."""
    if isinstance(thing, Described):
        return thing
    index, raw = search.comparing, search.raw
    if isinstance(thing, np.ndarray):
        if region is not None:
            raise ArtsearchError("a row of numbers has no parts; like a work, or an image")
        row = index.check_vector(thing)
        return Described(row, row)
    work = thing if isinstance(thing, str) else None
    if work is not None and region is None:
        return Described(index.row(work), raw.row(work))
    image = thing if work is None else search.collection.path(work)
    row, raw_row = search.look(image if region is None else cut(open_image(image), region))
    row, raw_row = index.check_vector(row), raw.check_vector(raw_row)
    if work is not None and len(raw.rows_of([work])):
        raw_row = raw.row(work)  # copies are those of the whole work
    return Described(row, raw_row)
