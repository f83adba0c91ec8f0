"""What a visitor sees first: a work whose answer is worth seeing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from artsearch.base.text import fold
from artsearch.search.question import Question
from artsearch.search.results import Results
from artsearch.search.search import Search
from artsearch.works.collection import Collection

#: Works that are looked at, drawn at random.
SAMPLE = 40
#: The nearest works of an answer that are to surprise: those that a visitor looks at first.
FIRST = 3
#: What tells that a neighbour is by another hand, and of another kind.
LABELS = ("artist", "style")


def choose_opening(
    collection: Collection, searches: Mapping[str, Search], k: int = 10, seed: int = 0
) -> str:
    """Return the id of a work to open on, chosen for its answer by some searches, named by network.

    Of at most 40 works, drawn at random from those made by hand, the one is taken that has the
    largest product of up to three shares, each from 0 to 1 and each the mean over the searches:

    * near: how many of the works drawn have their nearest three further away than it has;
    * other: how many of these three are by another artist, and in another style, as far as that is
      known; where nothing is known of any work this does not count;
    * between: 4 · c · (1 − c), where c is the share of the k nearest that all searches have in
      common: 1 where they agree on half, 0 where on all or none. One search alone has none.

    Answers hold works made by hand only, where there are two or more. The same seed gives the same
    work.
    """
    ids = next(iter(searches.values())).index.ids
    drawn = _draw(collection, ids, seed)
    k = min(k, len(ids) - 1)
    if k < 1 or len(drawn) == 1:
        return drawn[0]
    every = not collection.has_both(ids)
    questions = [Question(id, k=k, machine_made=every) for id in drawn]
    answers = [_ask(searches.values(), question) for question in questions]
    scores = _near(answers)
    others = [
        [_other(collection, id, answer) for answer in of_work]
        for id, of_work in zip(drawn, answers, strict=True)
    ]
    if not np.isnan(others).all():
        # Where nothing is known of one work alone, it is as surprising as the works usually are.
        scores *= np.nan_to_num(np.array(others), nan=np.nanmean(others)).mean(axis=1)
    if len(searches) > 1:
        scores *= list(map(_between, answers))
    return drawn[int(np.argmax(scores))]


def _draw(collection: Collection, ids: Sequence[str], seed: int) -> list[str]:
    by_hand = [id for id in ids if id not in collection.machines] or list(ids)
    return np.random.default_rng(seed).permutation(np.array(by_hand, object))[:SAMPLE].tolist()


def _ask(searches: Iterable[Search], question: Question) -> list[Results]:
    if question.is_plain:
        return [search.by_work(question.works[0], question.k) for search in searches]
    return [search.answer(question) for search in searches]


def _near(answers: Sequence[Sequence[Results]]) -> np.ndarray:
    """Return for each work what share of the others have their first neighbours further away."""
    means = np.array([[np.mean(one.distances[:FIRST]) for one in of_work] for of_work in answers])
    further = (means[None] > means[:, None]).sum(axis=1) / (len(means) - 1)
    return further.mean(axis=1)


def _other(collection: Collection, work_id: str, answer: Results) -> float:
    """Return what share of the first neighbours is known to differ in LABELS; NaN where unknown."""
    work, differ = collection.work(work_id), []
    for neighbour in answer.ids[:FIRST]:
        other = collection.work(neighbour)
        pairs = [(fold(work[label]), fold(other[label])) for label in LABELS]
        differ += [first != second for first, second in pairs if first and second]
    return float(np.mean(differ)) if differ else np.nan


def _between(answers: Sequence[Results]) -> float:
    times = Counter(id for answer in answers for id in answer.ids)
    most = max(len(answer) for answer in answers)
    common = sum(count == len(answers) for count in times.values()) / most
    return 4 * common * (1 - common)
