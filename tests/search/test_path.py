"""Stepping waypoints, held to all paths that there are between few works."""

from itertools import permutations

import numpy as np
import pytest
from asking import (
    distances_by_hand,
    make_blend_search,
    make_collection,
    make_search,
    make_vectors,
)

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.index.factory import METRICS, construct_exact_index
from artsearch.search.path import POOL, find_path
from artsearch.works.conditions import WhereError

LENGTHS = [metric for metric in METRICS if metric != "dot"]
COUNT = 120


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("works") / "some", COUNT)


@pytest.fixture(scope="module")
def works(collection):
    return collection.works


@pytest.fixture(scope="module")
def search(collection):
    return make_search(collection, "annoy", "angular", make_vectors(COUNT))


def best_by_hand(steps: np.ndarray, start: int, end: int, allowed, waypoints: int):
    """Go through all paths; return the best one's sum of distances to the power of 16, and it."""
    paths = (
        [start, *between, end]
        for count in range(min(waypoints, len(allowed)) + 1)
        for between in permutations(allowed, count)
    )
    costs = (
        (sum(steps[a, b] ** 16 for a, b in zip(path, path[1:], strict=False)), path)
        for path in paths
    )
    return min(costs)


def steps_by_hand(metric: str, rows: np.ndarray) -> np.ndarray:
    return np.stack([distances_by_hand(metric, rows, row) for row in rows])


# The best of all paths


@pytest.mark.parametrize("metric", LENGTHS)
@pytest.mark.parametrize("waypoints", [1, 2, 3, 5])
def test_it_is_the_best_of_all_paths(metric, waypoints):
    for seed in range(6):
        random = np.random.default_rng(seed)
        rows = (random.normal(size=(7, 5)) + 3).astype(np.float32)
        steps = steps_by_hand(metric, rows)
        exact = construct_exact_index(metric, rows)
        start, end = 6, 2
        cost, _ = best_by_hand(steps, start, end, [0, 1, 3, 4, 5], waypoints)
        found, lengths = find_path(exact, start, end, np.arange(7), waypoints)
        assert found[0] == start and found[-1] == end and len(found) <= waypoints + 2
        assert len(set(found.tolist())) == len(found) == len(lengths) + 1
        assert np.sum(lengths**16) == pytest.approx(cost, rel=1e-4)
        np.testing.assert_allclose(lengths, steps[found[:-1], found[1:]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_rows_does_not_matter(scale):
    rows = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    paths = [
        find_path(construct_exact_index("euclidean", rows * size), 0, 1, np.arange(40), 4)[0]
        for size in (1, scale)
    ]
    assert paths[0].tolist() == paths[1].tolist()


def test_works_on_a_line_are_stepped_on_in_order():
    """Of eleven works on a line those at equal distances are the best, as far as there are any."""
    rows = np.stack([np.arange(11), np.zeros(11)], axis=1).astype(np.float32)
    exact = construct_exact_index("euclidean", rows)
    assert find_path(exact, 0, 10, np.arange(11), 4)[0].tolist() == [0, 2, 4, 6, 8, 10]
    assert find_path(exact, 10, 0, np.arange(11), 4)[0].tolist() == [10, 8, 6, 4, 2, 0]
    assert find_path(exact, 0, 10, np.arange(11), 99)[0].tolist() == list(range(11))
    assert find_path(exact, 0, 10, np.arange(11), 1)[0].tolist() == [0, 5, 10]


def test_more_waypoints_never_make_a_longer_longest_step(search, collection):
    longest = [
        max(search.path(*collection.ids[:2], waypoints).distances) for waypoints in range(1, 12)
    ]
    # The sum of powers decides, so that the longest step may grow by a hair when others shrink.
    assert all(after < before * 1.05 for before, after in zip(longest, longest[1:], strict=False))
    assert longest[-1] < longest[0]


# As a user asks


@pytest.mark.parametrize("kind", [*LENGTHS, 0.0, 0.5, 1.0])
def test_each_distance_is_that_to_the_work_before(collection, kind):
    if isinstance(kind, float):
        search = make_blend_search(collection, kind)
        rows, metric = search.blend.at(kind).vectors, "angular"
    else:
        rows, metric = make_vectors(COUNT), kind
        search = make_search(collection, "annoy", metric, rows)
    start, end = collection.ids[4], collection.ids[90]
    answer = search.path(start, end)
    assert (answer.query, answer.ids[-1], answer.metric) == (start, end, metric)
    assert 1 <= len(answer) <= 6 and start not in answer.ids
    steps = steps_by_hand(metric, rows)
    places = [collection.row(id) for id in (start, *answer.ids)]
    np.testing.assert_allclose(
        answer.distances, steps[places[:-1], places[1:]], rtol=1e-4, atol=1e-4
    )
    said = f"The longest step is {max(answer.distances):.3g}; in one step it would be "
    assert answer.notes[-1].startswith(said)
    assert float(answer.notes[-1].split()[-1].rstrip(".")) == pytest.approx(steps[4, 90], rel=6e-3)
    assert [one.caption for one in answer] == [collection.caption(id) for id in answer.ids]


def test_the_waypoints_match_and_are_not_those_left_out(search, collection, works):
    start, end = "work 00004.png", "work 00090.png"  # two paintings
    where = 'kind == "print" and style != "Style 1"'
    exclude = []
    for _ in range(3):
        answer = search.path(start, end, where=where, exclude=exclude)
        waypoints = answer.ids[:-1]
        assert waypoints and not set(waypoints) & {*exclude, start, end}
        table = works.set_index("id").loc[waypoints]
        assert set(table["kind"]) == {"print"} and "Style 1" not in set(table["style"])
        exclude += waypoints
    count = ((works["kind"] == "print") & (works["style"] != "Style 1")).sum()
    assert answer.notes[0] == f"{count} of {COUNT} works match {where}."
    assert answer.question.where == where


def test_a_filtered_path_is_the_best_among_those_that_match(search, collection, works):
    allowed = [7, 13, 27, 57]
    where = {"id": [collection.ids[row] for row in allowed]}
    steps = steps_by_hand("angular", make_vectors(COUNT))
    for start, end in ((0, 1), (50, 60), (7, 90)):
        cost, path = best_by_hand(steps, start, end, [row for row in allowed if row != start], 3)
        answer = search.path(collection.ids[start], collection.ids[end], 3, where=where)
        assert answer.ids == [collection.ids[row] for row in path[1:]]
        assert sum(np.array(answer.distances) ** 16) == pytest.approx(cost, rel=1e-4)


def test_where_no_stone_is_allowed_it_is_one_step(search, collection):
    start, end = collection.ids[:2]
    for options in (
        {"where": "year > 3000"},
        {"exclude": collection.ids[2:]},
        {"exclude": collection.ids},
        {"where": {"id": [start, end]}},
    ):
        answer = search.path(start, end, **options)
        assert answer.ids == [end]
        length = distances_by_hand("angular", make_vectors(COUNT)[1:2], make_vectors(COUNT)[0])
        assert answer.distances == pytest.approx(length, abs=1e-4)


def test_two_works_are_a_collection(tmp_path):
    collection = make_collection(tmp_path / "works", 2)
    search = make_search(collection, "exact", "euclidean", make_vectors(2))
    assert search.path(*collection.ids).ids == [collection.ids[1]]


def test_copies_of_the_ends_are_no_detour(tmp_path):
    collection = make_collection(tmp_path / "works", 8)
    rows = np.repeat(make_vectors(2), 4, axis=0)
    search = make_search(collection, "exact", "angular", rows)
    answer = search.path(collection.ids[0], collection.ids[7], 99)
    assert answer.ids[-1] == collection.ids[7]
    assert max(answer.distances) == pytest.approx(max(steps_by_hand("angular", rows)[0]), abs=1e-4)
    same = search.path(collection.ids[0], collection.ids[3])
    assert same.ids[-1] == collection.ids[3] and max(same.distances) < 1e-3


# Many works


def test_of_many_works_those_between_the_ends_are_looked_at():
    count = 5000
    rows = np.random.default_rng(1).normal(size=(count, 12)).astype(np.float32)
    exact = construct_exact_index("angular", Features(rows, tuple(map(str, range(count)))))
    for start, end in ((count - 1, 0), (2500, 10)):
        found, lengths = find_path(exact, start, end, np.arange(count), 4)
        assert (found[0], found[-1]) == (start, end) and 2 < len(found) <= 6
        true = [
            distances_by_hand("angular", rows[[a]], rows[b])[0]
            for a, b in zip(found, found[1:], strict=False)
        ]
        np.testing.assert_allclose(lengths, true, rtol=1e-4, atol=1e-5)
        assert lengths.max() < distances_by_hand("angular", rows[[start]], rows[end])[0]
        # The waypoints are among the works with the smallest sum of squared distances to both ends.
        sums = sum(distances_by_hand("angular", rows, rows[one]) ** 2 for one in (start, end))
        order = [row for row in np.argsort(sums) if row not in (start, end)]
        assert set(found[1:-1].tolist()) <= set(order[:POOL])


@pytest.mark.parametrize("ends", [(0, 4999), (4999, 0), (1500, 1501)])
def test_the_works_looked_at_may_be_just_as_many_as_there_is_room_for(ends):
    rows = np.random.default_rng(1).normal(size=(5000, 4)).astype(np.float32)
    exact = construct_exact_index("euclidean", rows)
    for allowed in (POOL - 1, POOL, POOL + 1, POOL + 2, POOL + 3):
        found, _ = find_path(exact, *ends, np.arange(allowed), 2)
        assert (found[0], found[-1]) == ends
        assert all(row < allowed for row in found[1:-1])


def test_a_number_of_waypoints_beyond_all_works_ends(search, collection):
    answer = search.path(*collection.ids[:2], waypoints=10**9)
    assert answer.ids[-1] == collection.ids[1]


# What cannot be asked


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"start": "nothing.png"}, "unknown work 'nothing.png'"),
        ({"end": "nothing.png"}, "unknown work 'nothing.png'"),
        ({"end": "work 00000.png"}, "these are the same"),
        ({"waypoints": 0}, "waypoints is 0; take a whole number from 1 on"),
        ({"waypoints": 1.5}, "waypoints is 1.5"),
        ({"waypoints": True}, "waypoints is True"),
        ({"exclude": "work"}, "unknown work 'work'"),
        ({"exclude": ["work 00003.png", "gone.png"]}, "unknown work 'gone.png'"),
        ({"where": "year =>"}, "cannot read the condition"),
        ({"start": []}, "nothing is liked"),
    ],
)
def test_what_cannot_be_asked_is_named(search, question, message):
    asked = {"start": "work 00000.png", "end": "work 00001.png"} | question
    with pytest.raises(ArtsearchError, match=message):
        search.path(**asked)


def test_a_wrong_condition_is_one_and_an_inner_product_no_length(search, collection):
    with pytest.raises(WhereError, match="unknown style 'Stile 1'; did you mean 'Style 1'"):
        search.path(*collection.ids[:2], where='style == "Stile 1"')
    dot = make_search(collection, "exact", "dot", make_vectors(COUNT))
    with pytest.raises(ArtsearchError, match="no length of a step; .* in the metric angular"):
        dot.path(*collection.ids[:2])
