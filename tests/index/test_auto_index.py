"""The index that is chosen by measurement says what it measured, and what it says is so."""

import numpy as np
import pytest

from artsearch.base.errors import ArtsearchError
from artsearch.base.vectors import ShardedRows
from artsearch.features.features import Features
from artsearch.index import auto as auto_index
from artsearch.index.auto import Recall, choose_index, lower_bound, measure_recall
from artsearch.index.factory import METRICS, construct_exact_index, construct_index, load_index


def make(rows: int = 1500, dims: int = 32, groups: int = 40, seed: int = 0) -> Features:
    """Make features of works in groups, as a network gives them."""
    rng = np.random.default_rng(seed)
    centres = np.maximum(rng.normal(size=(groups, dims)), 0)
    vectors = centres[rng.integers(groups, size=rows)] + 0.3 * rng.random((rows, dims))
    return Features(vectors, tuple(f"{row:04}.jpg" for row in range(rows)))


@pytest.fixture
def small(monkeypatch):
    """Take 1,500 works for many, and a graph for faster than exact search, which it is not here."""
    monkeypatch.setattr(auto_index, "SMALL", 1000)
    monkeypatch.setattr(auto_index, "_time_both", lambda *given: (1.0, 20.0))


@pytest.mark.parametrize("metric", METRICS)
def test_a_small_collection_is_searched_exactly(metric):
    index = construct_index("auto", metric, make(rows=50))
    assert index.kind == "exact" and index.chosen.startswith("exact search for 50 works: ")
    assert construct_index(features=make(rows=50)).chosen.endswith("finds all of the nearest.")


@pytest.mark.parametrize("metric", ["angular", "euclidean", "dot"])
def test_a_large_one_gets_a_graph_that_reaches_the_recall(small, metric):
    features = make()
    index = choose_index(metric, features, recall=0.95)
    assert index.kind == "faiss" and index.settings["compress"] == "int8"
    exact = construct_exact_index(metric, features)
    shares = [
        len(set(index.search(id, 10)[0]) & set(exact.search(id, 10)[0])) / 10
        for id in features.ids[::7]
    ]
    assert np.mean(shares) >= 0.95
    for part in (
        "for 1,500 works: it finds ",
        "on 500 questions, half of them works",
        "95.0% was asked for",
    ):
        assert part in index.chosen
    assert "in 1 ms a query beside 20 ms of exact search." in index.chosen


def test_half_of_the_questions_are_no_works_of_the_collection(small):
    index = choose_index("angular", make(), recall=0.9)
    queries, nearest = auto_index._ask_exactly(index, np.arange(500))
    assert [type(one) for one in queries] == [str] * 250 + [np.ndarray] * 250
    exact = index.exact()
    for number in (0, 249, 250, 499):
        assert nearest[number] == pytest.approx(exact.search(queries[number], 10)[1])


def test_a_very_large_one_gets_clusters(small, monkeypatch):
    monkeypatch.setattr(auto_index, "CLUSTERS_FROM", 1500)
    monkeypatch.setattr(auto_index, "CLUSTERS", auto_index.CLUSTERS | {"nlist": 16})
    index = choose_index("angular", make(), recall=0.95)
    assert (index.settings["structure"], index.settings["nlist"]) == ("ivf", 16)
    assert f"nlist 16, nprobe {index.effort}) for 1,500 works" in index.chosen


def test_it_looks_as_far_as_the_recall_asks_for_and_no_further(small, monkeypatch):
    def measure(graph, queries, nearest, effort):
        return Recall(found=effort / 400, least=effort / 500)

    monkeypatch.setattr(auto_index, "measure_recall", measure)
    efforts = [choose_index("angular", make(), recall).effort for recall in (0.08, 0.09, 0.5)]
    assert efforts == [40, 80, 320]


def test_what_does_not_reach_the_recall_is_not_taken(small, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(3000, 64))
    features = Features(rows, [str(row) for row in range(3000)])
    monkeypatch.setattr(auto_index, "EFFORTS", {"hnsw": (1,)})
    index = choose_index("angular", features, recall=0.999)
    assert index.kind == "exact"
    assert "which is not surely the 99.9% asked for; it finds all" in index.chosen


def test_what_is_not_faster_is_not_taken(small, monkeypatch):
    monkeypatch.setattr(auto_index, "_time_both", lambda *given: (3.0, 2.0))
    index = choose_index("angular", make(), recall=0.9)
    assert index.kind == "exact"
    assert "it takes 2 ms a query, and faiss, looking far enough, 3 ms" in index.chosen


def test_it_is_measured_against_exact_search(monkeypatch):
    """Really measured: whichever is taken, the sentence has both times."""
    monkeypatch.setattr(auto_index, "SMALL", 1000)
    index = choose_index("angular", make(rows=2000, dims=256), recall=0.9)
    assert index.chosen.count(" ms") == 2
    assert index.kind == ("faiss" if "beside" in index.chosen else "exact")


@pytest.mark.parametrize("metric", ["manhattan", "hamming"])
def test_metrics_of_no_graph_are_searched_exactly(small, metric):
    index = choose_index(metric, make())
    assert index.kind == "exact" and f"no graph compares by {metric}" in index.chosen


def test_all_of_them_are_found_by_exact_search_alone(small):
    assert "only it is sure to find all" in choose_index("angular", make(), recall=1).chosen


@pytest.mark.parametrize("recall", [0, -1, 1.01, 99, "0.9", None, True, float("nan")])
def test_a_recall_that_is_none(recall):
    with pytest.raises(ArtsearchError, match="recall is .*; take a share above 0"):
        choose_index("angular", make(rows=50), recall=recall)


def test_the_same_seed_draws_the_same_sample(small):
    first, again = (choose_index("angular", make(), recall=0.9, seed=3) for _ in range(2))
    assert first.chosen == again.chosen and first.settings == again.settings


def test_the_choice_is_kept_with_a_saved_index(small, tmp_path):
    index = choose_index("angular", make(), recall=0.9)
    again = load_index(index.save(tmp_path / "index"))
    assert (again.chosen, again.settings) == (index.chosen, index.settings)
    assert again.search("0003.jpg", 10)[0] == index.search("0003.jpg", 10)[0]


def test_rows_in_shards_are_not_brought_into_memory(small, monkeypatch):
    features = make()
    shards = Features(ShardedRows(np.array_split(features.vectors, 4)), features.ids)

    def whole(*given, **options):
        pytest.fail("all rows in memory")

    monkeypatch.setattr(ShardedRows, "__array__", whole)
    monkeypatch.setattr(ShardedRows, "__array_ufunc__", whole)
    assert choose_index("euclidean", shards, recall=0.9).kind == "faiss"


# The measure


def test_copies_that_are_as_near_as_the_last_are_no_misses():
    features = Features(np.vstack([np.eye(4), np.ones((30, 4))]), [str(row) for row in range(34)])
    index = construct_index("faiss", "angular", features)
    rows, distances = index.exact().search_many(index.rows[[10]], 11)
    measured = measure_recall(index, ["10"], distances[:, 1:], 80)
    assert measured.found == 1 and rows.shape == (1, 11)


def test_the_bound_holds_as_often_as_it_says():
    """Of 400 samples of queries that are all right or half wrong, at most one in twenty or so."""
    rng, truth, wrong = np.random.default_rng(0), 0.97, 0
    for _ in range(400):
        shares = np.where(rng.random(200) < 0.06, 0.5, 1.0)
        wrong += lower_bound(shares, 10) > truth
    assert wrong / 400 < 0.09


def test_a_larger_sample_gives_a_closer_bound():
    bounds = [lower_bound(np.tile([1, 1, 0.9, 1], number), 10) for number in (5, 50, 500)]
    assert bounds[0] < bounds[1] < bounds[2] < 0.975
    assert lower_bound(np.zeros(10), 10) == pytest.approx(0, abs=1e-12)
