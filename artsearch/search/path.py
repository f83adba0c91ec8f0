"""Ways from work to work: waypoints between two, each step small, and what came before each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from artsearch.base.errors import ArtsearchError, check_whole
from artsearch.index.candidates import Candidates
from artsearch.index.exact import ExactIndex
from artsearch.search.answer import candidates_of
from artsearch.search.question import Question
from artsearch.search.results import Before, Neighbour, Results, Searched
from artsearch.works.years import Years

#: A step counts as this power of its distance: the longest steps decide, as in a chain its weakest
#: links, and of two chains that are alike in these the smaller steps.
POWER = 16
#: Works between the two ends that are looked at: those with the smallest sum of squared distances
#: to both, among which a path of small steps is found.
POOL = 1500
#: The column that says when a work was made.
YEAR = "year"


def find_waypoints(search: Searched, question: Question, end: str, waypoints: int) -> Results:
    """Return the path from the one work liked to another; see Search.path."""
    start = question.positive[0][0]
    for id in (start, end):
        search.index.row_of(id)
    candidates = _permitted(search, question)
    exact, rows = candidates.on_the_way(start, end, POOL)
    rows, steps = find_path(exact, exact.row_of(start), exact.row_of(end), rows, waypoints)
    ids = [exact.ids[row] for row in rows[1:]]
    neighbours = map(Neighbour, ids, steps.tolist(), map(search.collection.caption, ids))
    (straight,) = exact.distances(exact.row(start), rows[-1:])
    said = f"The longest step is {steps.max():.3g}; in one step it would be {straight:.3g}."
    return Results(
        start,
        tuple(neighbours),
        exact.metric,
        search.index.provenance,
        question,
        (*candidates.notes, said),
    )


def find_earlier(search: Searched, question: Question, ids: Sequence[str]) -> dict[str, Before]:
    """Return what came before each of some works; see Search.earlier."""
    collection, index = search.collection, search.comparing
    rows = np.array([index.row_of(id) for id in ids], np.int64)
    years = collection.columns.years(YEAR)[[collection.row(id) for id in ids]]
    found, distances = _permitted(search, question).nearest_before(rows, YEAR)
    before = {}
    for id, known, row, far in zip(ids, years.tolist(), found, distances.tolist(), strict=True):
        nearest = index.ids[row] if row >= 0 else None
        work = nearest and Neighbour(nearest, far, collection.caption(nearest))
        before[id] = Before(None if np.isnan(known[0]) else Years(*known), work)
    return before


def _permitted(search: Searched, question: Question) -> Candidates:
    """Return the works that a question allows for, those that it names among them."""
    for id in question.exclude:
        search.collection.row(id)
    candidates = candidates_of(search)
    candidates.require(question.where)
    if not question.machine_made:
        candidates.leave_out_machine_made()
    candidates.leave_out(question.exclude)
    return candidates


def find_path(
    exact: ExactIndex, start: int, end: int, rows: np.ndarray, waypoints: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a path, both ends among them, and the distance of each step.

    Of all paths over `waypoints` works or fewer this is the one with the least sum of the steps'
    distances to the power of 16: Bellman's recursion over the number of steps. `rows` are the works
    that may be stepped on; where they are more than 1,500, the nearest to both ends.
    """
    check_whole("waypoints", waypoints)
    if exact.metric == "dot":
        raise ArtsearchError(
            "an inner product is no length of a step; ask for a path in the metric angular"
        )
    if start == end:
        raise ArtsearchError("a path leads from one work to another; these are the same")
    rows = rows[(rows != start) & (rows != end)]
    rows = np.concatenate([[start], _pool(exact, start, end, rows), [end]])
    steps = exact.between(rows)
    # On a scale of their own, so that neither large nor small distances run out of digits.
    costs = (steps / max(steps.max(), 1e-12)) ** POWER
    np.fill_diagonal(costs, np.inf)
    chosen = _cheapest(costs, waypoints + 1)
    return rows[chosen], steps[chosen[:-1], chosen[1:]]


def _pool(exact: ExactIndex, start: int, end: int, rows: np.ndarray) -> np.ndarray:
    if len(rows) <= POOL:
        return rows
    ends = (exact.row(exact.ids[row]) for row in (start, end))
    sums = sum(exact.distances(vector, rows) ** 2 for vector in ends)
    return np.sort(rows[np.argpartition(sums, POOL)[:POOL]])


def _cheapest(costs: np.ndarray, most: int) -> np.ndarray:
    """Return the cheapest path from the first to the last position in `most` steps or fewer."""
    best, came_from = costs[0].copy(), [np.zeros(len(costs), np.int64)]
    for _ in range(most - 1):
        through = best[:, None] + costs
        before = through.argmin(axis=0)
        further = through[before, np.arange(len(costs))]
        better = further < best
        if not better.any():
            break
        # Where no more steps help, a position keeps the path it has.
        came_from.append(np.where(better, before, -1))
        best = np.where(better, further, best)
    path, position = [len(costs) - 1], len(costs) - 1
    for before in reversed(came_from):
        if before[position] >= 0:
            position = int(before[position])
            path.append(position)
        if position == 0:
            break
    return np.array(path[::-1])
