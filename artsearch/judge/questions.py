"""A set of questions: chosen once, kept in a file, and how far each judge has come in it."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields, replace
from itertools import product
from pathlib import Path

import pandas as pd

from artsearch.base.disk import write_whole
from artsearch.base.errors import ArtsearchError, unknown
from artsearch.judge.triplets import (
    ROW,
    Triplet,
    choose_rows,
    choose_triplets,
    descriptors_of,
    searches_of,
)
from artsearch.judge.votes import ANSWERS, Vote
from artsearch.search.question import Question
from artsearch.search.searches import Searches

#: What tells questions of a set apart: of one that comes twice the sides, or why it was asked.
ASKED = ("kind", "question", "query", "first", "second", "left", "why")
SIDES = {"first": "second", "second": "first"}


def choose_questions(
    searches: Searches,
    count: int = 300,
    questions: Sequence[str] = ("what", "how"),
    rows: int = 0,
    seed: int = 0,
    k: int = ROW,
) -> list[Triplet]:
    """Return `count` triplets, then `rows` comparisons of whole rows of k, of all that is there.

    That is the final layer of each network and the places of its dial (see descriptors_of), in the
    first crop; see choose_triplets and choose_rows for how, and for what they raise.
    """
    chosen = choose_triplets(descriptors_of(searches), count, questions, seed=seed) if count else []
    if rows:
        chosen += choose_rows(searches_of(searches), rows, k=k, seed=seed)
    if not chosen:
        raise ArtsearchError("no questions; ask for one triplet or row, or more")
    return chosen


def name_of(questions: Sequence[Triplet]) -> str:
    """Return the name of a set of questions: the same for the same questions in the same order."""
    text = json.dumps([asdict(one) for one in questions], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def save_questions(questions: Sequence[Triplet], path: str | os.PathLike) -> Path:
    """Write a set of questions as JSON, whole or not at all."""
    text = json.dumps([asdict(one) for one in questions], ensure_ascii=False, indent=1)
    return write_whole(path, text.encode())


def read_questions(path: str | os.PathLike) -> list[Triplet]:
    """Return the questions of a file; raises ArtsearchError for a file of something else."""
    wanted = {one.name for one in fields(Triplet)}
    try:
        rows = json.loads(Path(path).read_text("utf-8"))
        if not isinstance(rows, list) or any(set(row) != wanted for row in rows):
            raise ValueError("it holds something else")
    except (OSError, ValueError, TypeError) as error:
        raise ArtsearchError(f"cannot read the questions in {str(path)!r} ({error})") from None
    return [Triplet(**row) for row in rows]


def works_in(questions: Sequence[Triplet]) -> list[str]:
    """Return the works of a set of questions, in the order in which they are first seen."""
    found: dict[str, None] = {}
    for one in questions:
        found |= dict.fromkeys((one.query, *sides_of(one)[0], *sides_of(one)[1]))
    return list(found)


def sides_of(question: Triplet) -> tuple[list[str], list[str]]:
    """Return the works that stand left, and those that stand right."""
    both = {"first": question.first, "second": question.second}
    left, right = both[question.left], both[SIDES[question.left]]
    return (json.loads(left), json.loads(right)) if question.kind == "rows" else ([left], [right])


def to_vote(question: Triplet, judge: str, answer: str, **more: object) -> Vote:
    """Return an answer as a vote; it is "left", "right", "equal" or "neither".

    `more` are further fields of the vote. Raises ArtsearchError for any other answer.
    """
    known = {"left": question.left, "right": SIDES[question.left]}
    known |= {one: one for one in ANSWERS if one not in SIDES}
    if answer not in known:
        raise unknown("answer", answer, known)
    asked = {one.name: getattr(question, one.name) for one in fields(Triplet)}
    return Vote(**(asked | {"judge": judge, "answer": known[answer], **more}))


def session_votes(
    asked: Iterable[tuple[Question, str]], judge: str, question: str, known: Collection[str]
) -> list[Vote]:
    """Return the likes and dislikes of a visitor as votes: what was liked is nearer.

    `asked` are the questions of a session, each with its time. Each liked work and each disliked
    one make a triplet with the selected work; works that are not `known` are passed over. The same
    session gives votes of the same ids.
    """
    found: dict[str, Vote] = {}
    for one, time in asked:
        query, *liked = (id for id, _ in one.positive) if one.positive else ("",)
        for first, (second, _) in product(liked, one.negative):
            if not {query, first, second} <= set(known):
                continue
            key = f"{judge}\0{question}\0{query}\0{first}\0{second}"
            id = hashlib.sha256(key.encode()).hexdigest()[:32]
            vote = Vote(judge, question, query, first, second, "first", why="session")
            found.setdefault(id, replace(vote, time=time, id=id))
    return list(found.values())


def answered(questions: Sequence[Triplet], votes: pd.DataFrame) -> list[tuple[int, str]]:
    """Return which questions have votes, by their place, with the vote's id, in order of voting.

    `votes` are those of one judge on this set.
    """
    places: dict[tuple, list[int]] = defaultdict(list)
    for place, one in enumerate(questions):
        places[tuple(getattr(one, name) for name in ASKED)].append(place)
    found = []
    for vote in votes.to_dict("records"):
        if waiting := places.get(tuple(vote[name] for name in ASKED)):
            found.append((waiting.pop(0), vote["id"]))
    return found
