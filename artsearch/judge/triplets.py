"""Which triplets to ask: those on which descriptors disagree, some easy ones, some twice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError, TooFewWorks, check_whole, unknown
from artsearch.base.vectors import unit_rows
from artsearch.evaluate.experiments import name_alpha
from artsearch.features.features import Features
from artsearch.judge.votes import QUESTIONS
from artsearch.search.search import Search
from artsearch.search.searches import Searches

#: Works that are compared at most; of a larger collection so many are drawn.
POOL = 5_000
#: The nearest works by each descriptor, of which the two others are taken.
NEAR = 20
#: Places of the dial that are asked about.
PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
#: Votes in a row on the same question: to change it each time is tiring.
BLOCK = 20
#: Works in a row, where whole rows are compared.
ROW = 8


@dataclass(frozen=True)
class Triplet:
    """A work and two others: which is more like it? `left` says which of the two stands left.

    Raises ArtsearchError for a work whose name has a line break: no vote on it could be written.
    """

    query: str
    first: str
    second: str
    question: str
    why: str
    left: str
    kind: str = "triplet"
    first_by: str = ""
    second_by: str = ""

    def __post_init__(self):
        for name in (self.query, self.first, self.second):
            if "\n" in name or "\r" in name:
                raise ArtsearchError(
                    f"the work {name!r} has a line break in its name, and a vote is one line; "
                    "rename it"
                )


def choose_triplets(
    descriptors: Mapping[str, Features],
    count: int,
    questions: Sequence[str] = ("what", "how"),
    easy: float = 0.1,
    again: float = 0.1,
    seed: int = 0,
) -> list[Triplet]:
    """Return triplets to ask people, in the order in which they are to be asked.

    `descriptors` are those that votes are to tell apart (see `descriptors_of`), rows of the same
    works. Most triplets are taken by a committee (query by committee: Seung, Opper and Sompolinsky
    1992, COLT): each pair of descriptors in turn gets the triplet of a query on which the two
    contradict each other most, by the smaller of their two ratios of ranks. That they differ is
    what makes a vote informative (active choice for triplets: Tamuz et al. 2011, Adaptively
    Learning the Crowd Kernel, ICML, section 4); unlike there, a triplet does not depend on the
    votes before it, so that all judges may get the same ones. Queries are balanced: none comes a
    second time for a question before all others had their turn.

    The share `easy` has a work near by all descriptors against one that is far by all: by these one
    sees whether a judge attends. The share `again` comes a second time, sides changed, at the end
    of the set: by these, whether she agrees with herself. Sides are drawn by chance. The same seed
    gives the same triplets.

    Raises TooFewWorks for fewer than four works, MismatchError for descriptors of other works,
    ArtsearchError for an unknown question, shares that leave none, and fewer than two descriptors.
    """
    check_whole("count", count)
    for question in questions:
        if question not in QUESTIONS:
            raise unknown("question", question, QUESTIONS)
    if not questions:
        raise ArtsearchError(f"no question; take some of {', '.join(QUESTIONS)}")
    if min(easy, again) < 0 or easy + again >= 1:
        raise ArtsearchError(
            f"easy is {easy!r} and again {again!r}; take shares that leave something, such as 0.1"
        )
    rows = _check_descriptors(descriptors)
    ids = next(iter(descriptors.values())).ids
    rng = np.random.default_rng(seed)
    pool = np.sort(rng.permutation(len(ids))[:POOL])
    units = [unit_rows(np.asarray(vectors[pool], np.float32)) for vectors in rows]

    repeated, simple = round(count * again), round(count * easy)
    fresh = count - repeated
    turns = _in_turn(rng, len(pool), fresh)
    rivals = _in_turn(rng, len(list(combinations(rows, 2))), fresh)
    is_easy = np.zeros(fresh, bool)
    is_easy[rng.permutation(fresh)[:simple]] = True
    chosen: list[Triplet] = []
    seen: set[tuple] = set()
    for at in range(fresh):
        question = questions[at // BLOCK % len(questions)]
        ranks = np.stack([_ranks(one, turns[at]) for one in units])
        pair = _easy_pair(ranks, rng) if is_easy[at] else None
        why = "easy" if pair else "disagree"
        if pair is None:
            pair = _disputed_pair(ranks, rivals[at], turns[at], question, seen)
        if pair is None:  # all agree on this query: then any two works tell as much
            pair, why = tuple(rng.permutation(np.argsort(ranks[0])[:-1])[:2]), "random"
        seen.add((turns[at], question, frozenset(pair)))
        names = (ids[pool[row]] for row in (turns[at], *pair))
        chosen.append(Triplet(*names, question, why, ("first", "second")[rng.integers(2)]))
    twice = [chosen[at] for at in np.sort(rng.permutation(fresh)[:repeated])]
    twice.sort(key=lambda one: questions.index(one.question))
    other = {"first": "second", "second": "first"}
    return chosen + [replace(one, why="again", left=other[one.left]) for one in twice]


def choose_rows(
    searches: Mapping[str, Search],
    count: int,
    question: str = "whole",
    k: int = ROW,
    seed: int = 0,
    queries: Sequence[str] = (),
) -> list[Triplet]:
    """Return pairs of whole rows to ask people: which row of k is better for this query?

    `searches` are any, by the names that the report will give them; no judge sees these. Pairs of
    searches come in turn, queries balanced, sides by chance. A query for which two searches find
    the same works is passed over. Raises TooFewWorks where none differ, ArtsearchError for fewer
    than two searches.
    """
    check_whole("count", count)
    if question not in QUESTIONS:
        raise unknown("question", question, QUESTIONS)
    if len(searches) < 2:
        raise ArtsearchError("one search cannot be compared with another; name two or more")
    first = next(iter(searches.values()))
    ids = list(queries) or list(first.index.ids)
    rng = np.random.default_rng(seed)
    pairs = list(combinations(searches, 2))
    k = min(k, len(first.index.ids) - 1)
    chosen: list[Triplet] = []
    # Twice as many as wanted are tried: two searches may find the same.
    tries = 2 * count + len(ids)
    turns = zip(_in_turn(rng, len(ids), tries), _in_turn(rng, len(pairs), tries), strict=True)
    for turn, rival in turns:
        names, query = pairs[rival], ids[turn]
        one, other = (list(searches[name].by_work(query, k).ids) for name in names)
        if one != other and len(chosen) < count:
            left = ("first", "second")[rng.integers(2)]
            row = (json.dumps(found, ensure_ascii=False) for found in (one, other))
            chosen.append(Triplet(query, *row, question, "disagree", left, "rows", *names))
    if not chosen:
        raise TooFewWorks("all searches find the same works; compare others, or more works")
    return chosen


def descriptors_of(
    searches: Searches, crop: str = "", places: Sequence[float] = PLACES
) -> dict[str, Features]:
    """Return what votes may tell apart: of each network the final layer and places of its dial.

    Names are "network · crop · descriptor", the descriptor as in the evaluation.
    """
    found: dict[str, Features] = {}
    for network, at in searches:
        if at != (crop or searches.crops[0]):
            continue
        found[f"{network} · {at} · final"] = searches.features(network, at)
        if any(one.name == network and one.blend is not None for one in searches.networks):
            blend = searches.dial(network, at).blend
            for alpha in places:
                found[f"{network} · {at} · {name_alpha(alpha)}"] = blend.at(alpha)
    return found


def searches_of(searches: Searches, crop: str = "") -> dict[str, Search]:
    """Return what rows may be compared: of each network the final layer and its blend half way.

    Names are those of descriptors_of.
    """
    found: dict[str, Search] = {}
    for network, at in searches:
        if at != (crop or searches.crops[0]):
            continue
        found[f"{network} · {at} · final"] = searches[network, at]
        if any(one.name == network and one.blend is not None for one in searches.networks):
            found[f"{network} · {at} · {name_alpha(0.5)}"] = searches.dial(network, at, 0.5)
    return found


def _check_descriptors(descriptors: Mapping[str, Features]) -> list[np.ndarray]:
    if len(descriptors) < 2:
        raise ArtsearchError(
            f"{len(descriptors)} descriptors; votes tell two or more apart, such as the final "
            "layer and the blend (see descriptors_of)"
        )
    first, *others = descriptors.values()
    if any(one.ids != first.ids for one in others):
        raise MismatchError("the descriptors are of different works; compute them together")
    if len(first) < 4:
        raise TooFewWorks(f"{len(first)} works; a triplet wants four works or more to choose from")
    return [one.vectors for one in descriptors.values()]


def _in_turn(rng: np.random.Generator, number: int, count: int) -> np.ndarray:
    """Return `count` numbers below `number`, each as often as any other, in a drawn order."""
    rounds = -(-count // number)
    return np.concatenate([rng.permutation(number) for _ in range(rounds)])[:count]


def _ranks(units: np.ndarray, query: int) -> np.ndarray:
    """Return the rank of each work by its cosine to one, 1 for the nearest; that one is last."""
    cosines = units @ units[query]
    cosines[query] = -np.inf
    ranks = np.empty(len(units))
    ranks[np.argsort(-cosines, kind="stable")] = np.arange(1, len(units) + 1)
    return ranks


def _easy_pair(ranks: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
    """Return the work nearest by all, and one that is far by all; None where there is none."""
    nearest = int(np.log(ranks).mean(axis=0).argmin())
    works = ranks.shape[1]
    far = np.flatnonzero((ranks > works / 2).all(axis=0) & (ranks < works).all(axis=0))
    if not len(far) or ranks[:, nearest].max() > works / 4:
        return None
    return nearest, int(rng.choice(far))


def _disputed_pair(
    ranks: np.ndarray, rival: int, query: int, question: str, seen: set[tuple]
) -> tuple[int, int] | None:
    """Return the two works on which two descriptors contradict each other most."""
    one, other = list(combinations(range(len(ranks)), 2))[rival]
    near = np.flatnonzero((ranks[[one, other]] <= NEAR).any(axis=0) & (ranks[0] < ranks.shape[1]))
    ahead, behind = (np.log(ranks[by, near]) for by in (one, other))
    # How much further the column is than the row by the first, and the row than the column by the
    # second: both are to be large.
    dispute = np.minimum(ahead[None] - ahead[:, None], behind[:, None] - behind[None])
    for first, second in _largest_first(dispute):
        pair = int(near[first]), int(near[second])
        if (query, question, frozenset(pair)) not in seen:
            return pair
    return None


def _largest_first(dispute: np.ndarray) -> Iterator[tuple[int, int]]:
    for at in np.argsort(-dispute, axis=None, kind="stable"):
        if dispute.flat[at] <= 0:
            return
        yield divmod(int(at), dispute.shape[1])
