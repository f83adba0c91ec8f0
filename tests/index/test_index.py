"""Annoy and exact search, held against a brute force that SciPy counts out."""

import numpy as np
import pytest
from apart import same_apart
from scipy.spatial.distance import cdist
from tiers import slow

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.features import Features
from artsearch.index import exact as exact_index
from artsearch.index.factory import (
    METRICS,
    AnnoyIndex,
    construct_ann_index,
    construct_exact_index,
    load_index,
)
from artsearch.index.metrics import to_bits

MADE_BY = {
    "network": "efficientnet_lite0",
    "weights": "57934424",
    "layer": "global_pool",
    "pool": 1,
    "crop": "no_crop",
    "size": 224,
    "collection": "1234567890abcdef",
}


def make(rows: int = 60, dims: int = 24, seed: int = 0, **note) -> Features:
    """Make features as a network gives them: not negative, of uneven length."""
    rng = np.random.default_rng(seed)
    vectors = np.maximum(rng.normal(size=(rows, dims)), 0) * rng.uniform(0.5, 2, (rows, 1))
    return Features(vectors, tuple(f"{row:03}.jpg" for row in range(rows)), MADE_BY | note)


def brute_force(metric: str, vectors: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Return the distances of queries × vectors by SciPy, in the terms that METRICS states."""
    vectors, queries = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "angular":
        return np.sqrt(np.maximum(0, 2 * cdist(queries, vectors, "cosine")))
    if metric == "hamming":
        medians = np.median(vectors, axis=0)
        return cdist(queries > medians, vectors > medians, "hamming") * vectors.shape[1]
    if metric == "dot":
        return -queries @ vectors.T
    return cdist(queries, vectors, {"manhattan": "cityblock"}.get(metric, metric))


def build(kind: str, metric: str, features: Features, num_trees: int = 40):
    if kind == "exact":
        return construct_exact_index(metric, features)
    return construct_ann_index(metric, num_trees, features)


both = pytest.mark.parametrize("kind", ["exact", "annoy"])
every = pytest.mark.parametrize("metric", METRICS)


# Right answers


@both
@every
def test_neighbours_of_works_are_those_of_a_brute_force(kind, metric):
    features = make()
    index = build(kind, metric, features)
    distances = brute_force(metric, features.vectors, features.vectors)
    for row, id in enumerate(features.ids):
        others = np.delete(distances[row], row)
        ids, found = index.search(id, k=10, search_k=100_000)
        assert len(set(ids)) == 10 and id not in ids
        assert found == pytest.approx(np.sort(others)[:10], abs=1e-4)
        rows = [features.ids.index(other) for other in ids]
        assert found == pytest.approx(distances[row, rows], abs=1e-4)


@both
@every
def test_neighbours_of_vectors_are_those_of_a_brute_force(kind, metric):
    features = make()
    queries = make(rows=15, seed=1).vectors
    index = build(kind, metric, features)
    distances = brute_force(metric, features.vectors, queries)
    for query, expected in zip(queries, distances, strict=True):
        ids, found = index.search(query, k=60, search_k=100_000)
        assert sorted(ids) == list(features.ids)
        assert found == pytest.approx(np.sort(expected), abs=1e-4)


@both
@every
def test_a_batch_is_answered_as_its_queries_are(kind, metric, monkeypatch):
    """Also where queries and rows are compared block by block."""
    monkeypatch.setattr(exact_index, "QUERIES", 4)
    monkeypatch.setattr(exact_index, "ROWS", 25)
    index, queries = build(kind, metric, make()), make(rows=15, seed=1).vectors
    for k in (1, 10, 60):
        rows, distances = index.search_many(queries, k)
        assert (rows.dtype, distances.dtype) == (np.int64, np.float64)
        for query, found, near in zip(queries, rows, distances, strict=True):
            ids, expected = index.search(query, k)
            assert [index.ids[row] for row in found] == ids and near.tolist() == expected.tolist()


@both
def test_what_a_batch_cannot_be(kind):
    index = build(kind, "angular", make())
    with pytest.raises(ArtsearchError, match="many queries are an array of queries × 24 numbers"):
        index.search_many(make().vectors[0], 3)
    with pytest.raises(ArtsearchError, match="k is 61, but there are 60 works"):
        index.search_many(make().vectors, 61)


@both
def test_an_index_says_what_it_was_built_with_and_holds(kind, tmp_path):
    index = build(kind, "angular", make())
    own = {"num_trees": 40, "seed": 0} if kind == "annoy" else {}
    assert index.settings == {"kind": kind} | own
    assert index.memory == 60 * 24 * 4
    assert load_index(index.save(tmp_path / "index")).memory == 0


@both
@every
def test_distances_rise(kind, metric):
    _, distances = build(kind, metric, make()).search("000.jpg", k=59)
    assert (np.diff(distances) >= 0).all() and distances.dtype == np.float64
    if metric == "hamming":
        assert (distances == np.rint(distances)).all()
    elif metric == "dot":
        assert distances[0] < 0
    else:
        assert distances[0] > 0


def test_hamming_compares_bits_at_the_medians():
    vectors = np.array([[1, 10, 0], [2, 20, 0], [3, 30, 0], [4, 40, 9]])
    assert to_bits(vectors, np.median(vectors, axis=0)).tolist() == [
        [0, 0, 0],
        [0, 0, 0],
        [1, 1, 0],
        [1, 1, 1],
    ]
    for kind in ("exact", "annoy"):
        index = build(kind, "hamming", Features(vectors, tuple("abcd")))
        assert index.search("d", k=3)[1].tolist() == [1, 3, 3]
        assert index.search(np.array([9, 0, 9]), k=1)[0] == ["d"]


@both
@every
def test_a_duplicate_is_kept_and_the_work_itself_is_not(kind, metric):
    once = make(rows=20)
    features = Features(np.vstack([once.vectors, once.vectors[:3]]), [*once.ids, "a", "b", "c"])
    index = build(kind, metric, features)
    for copy, original in zip("abc", once.ids, strict=False):
        for query, other in ((copy, original), (original, copy)):
            ids, distances = index.search(query, k=22)
            assert query not in ids and other in ids
            if metric != "dot":
                nothing = pytest.approx(0, abs=1e-6 if kind == "exact" else 1e-3)
                assert (ids[0], distances[0]) == (other, nothing)


@both
def test_many_duplicates_at_once(kind):
    """More copies than asked for: none of them is the work itself."""
    features = Features(np.ones((50, 8)), [str(row) for row in range(50)])
    for metric in METRICS:
        ids, distances = build(kind, metric, features).search("7", k=10)
        assert len(set(ids)) == 10 and "7" not in ids and len(set(distances)) == 1


@both
def test_rows_of_zeros(kind):
    vectors = np.vstack([np.eye(4), np.zeros((1, 4))])
    ids, distances = build(kind, "angular", vectors).search("4", k=4)
    assert sorted(ids) == list("0123") and distances == pytest.approx(np.sqrt(2))


@both
def test_tiny_collections(kind):
    two = build(kind, "angular", np.eye(2))
    assert two.search("0", k=1)[0] == ["1"]
    one = build(kind, "angular", np.ones((1, 3)))
    assert one.search(np.ones(3), k=1)[0] == ["0"]
    with pytest.raises(ArtsearchError, match="no other work"):
        one.search("0", k=1)


@every
def test_more_trees_find_more(metric):
    """On features without structure, the hardest there are: recall is far from perfect here."""
    features = make(rows=600, dims=64)
    exact = construct_exact_index(metric, features)
    recalls = []
    for num_trees in (1, 10, 80):
        index = construct_ann_index(metric, num_trees, features)
        shares = [
            len(set(index.search(id, 10)[0]) & set(exact.search(id, 10)[0])) / 10
            for id in features.ids[:60]
        ]
        recalls.append(np.mean(shares))
    assert recalls[0] < recalls[1] < recalls[2] and recalls[2] > 0.6


def test_search_k_looks_at_more_nodes():
    features = make(rows=2000, dims=64)
    index = construct_ann_index("angular", 5, features)
    exact = construct_exact_index("angular", features).search("000.jpg", 10)[0]
    assert len(set(index.search("000.jpg", 10, search_k=10)[0]) & set(exact)) < 9
    assert index.search("000.jpg", 10, search_k=20_000)[0] == exact
    assert len(set(index.search("000.jpg", 1000, search_k=1)[0])) == 1000


def test_real_works_are_found_among_real_works(few_features):
    exact = construct_exact_index("angular", few_features)
    annoy = construct_ann_index("angular", 25, few_features)
    for id in few_features.ids:
        assert exact.search(few_features.vector(id), 1)[0] == [id]
        assert annoy.search(id, 4)[0] == exact.search(id, 4)[0]


@every
def test_exact_search_compares_only_the_nearest_exactly(metric, monkeypatch):
    """One row after the other, or in double precision, all of them would be too slow to be live."""
    counts, real = [], exact_index.distances_to

    def count(vectors, *given):
        counts.append(len(vectors))
        return real(vectors, *given)

    monkeypatch.setattr(exact_index, "distances_to", count)
    construct_exact_index(metric, make(rows=2000)).search("000.jpg", 10)
    assert counts == [11 + exact_index.MARGIN]


# Repeatable


@every
def test_the_same_seed_plants_the_same_forest(metric, tmp_path):
    features = make(rows=300)
    builds = [construct_ann_index(metric, 3, features, seed=seed) for seed in (0, 0, 1)]
    first, again, other = [index.save(tmp_path / str(n)) for n, index in enumerate(builds)]
    assert (first / "index.ann").read_bytes() == (again / "index.ann").read_bytes()
    assert (first / "index.ann").read_bytes() != (other / "index.ann").read_bytes()


def test_25_trees_and_angles_unless_asked_otherwise():
    index = construct_ann_index(features=make())
    assert (index.metric, index.num_trees, index.seed) == ("angular", 25, 0)
    assert index._trees.get_n_trees() == 25


@both
@every
def test_the_features_are_left_as_they_were(kind, metric):
    features = make()
    before = features.vectors.copy()
    index = build(kind, metric, features)
    index.search("000.jpg", 5)
    query = np.arange(24, dtype=np.float32)
    index.search(query, 5)
    assert np.array_equal(features.vectors, before)
    assert np.array_equal(query, np.arange(24))


# What cannot be asked


@both
@pytest.mark.parametrize("k", [0, -1, 60, 10_000, True, False, 2.0, 2.5, "3", None])
def test_a_k_that_does_not_fit(kind, k):
    index = build(kind, "angular", make())
    with pytest.raises(ArtsearchError, match=rf"k is {k!r}, .* 59 other works .* from 1 to 59"):
        index.search("000.jpg", k)
    if k != 60:
        with pytest.raises(ArtsearchError, match="60 works .* from 1 to 60"):
            index.search(make().vectors[0], k)


@both
def test_numpys_whole_numbers_are_welcome(kind):
    index = build(kind, "angular", make())
    assert len(index.search(np.str_("000.jpg"), np.int64(3))[0]) == 3


@pytest.mark.parametrize("search_k", [0, -1, 1.5, "all", True])
def test_a_search_k_that_is_none(search_k):
    for kind in ("exact", "annoy"):
        with pytest.raises(ArtsearchError, match=f"search_k is {search_k!r}; take a whole"):
            build(kind, "angular", make()).search("000.jpg", 3, search_k)


@both
def test_queries_that_do_not_fit(kind):
    index = build(kind, "euclidean", make())
    with pytest.raises(ArtsearchError, match="unknown work '0033.jpg'; did you mean '033.jpg'"):
        index.search("0033.jpg", 3)
    for shape in ((23,), (25,), (1, 24), (2, 24), ()):
        with pytest.raises(MismatchError, match="rows of 24 numbers by efficientnet_lite0"):
            index.search(np.ones(shape), 3)
    for value in (np.nan, np.inf):
        with pytest.raises(ArtsearchError, match="not finite"):
            index.search(np.full(24, value), 3)
    for query in (["a", "b"], np.array(["x"]), {"id": 1}, object()):
        with pytest.raises(ArtsearchError, match="no row of numbers"):
            index.search(query, 3)


@pytest.mark.parametrize("make_index", [construct_exact_index, construct_ann_index])
def test_features_that_cannot_be_indexed(make_index):
    with pytest.raises(ArtsearchError, match="unknown metric 'angula'; did you mean 'angular'"):
        make_index("angula", features=make())
    with pytest.raises(ArtsearchError, match="known: angular, euclidean, manhattan, hamming, dot"):
        make_index("cosine", features=make())
    with pytest.raises(ArtsearchError, match="no features given; make them with compute_features"):
        make_index("angular")
    with pytest.raises(ArtsearchError, match=r"not a dict; of several layers take one"):
        make_index("angular", features={"layer4": make()})
    for empty in (np.empty((0, 5)), np.empty((5, 0)), []):
        with pytest.raises(ArtsearchError, match="hold no work"):
            make_index("angular", features=empty)
    for value in (np.nan, np.inf):
        vectors = make().vectors.copy()
        vectors[[7, 9], 3] = value
        with pytest.raises(ArtsearchError, match="of 2 works .* first is '007.jpg'; compute"):
            make_index("angular", features=Features(vectors, make().ids))


@pytest.mark.parametrize("value", [0, -1, 2.5, "25", True, None])
def test_numbers_of_trees_that_are_none(value):
    with pytest.raises(ArtsearchError, match=f"num_trees is {value!r}; take a whole number from 1"):
        construct_ann_index("angular", value, make())


def test_seeds_that_are_none():
    for seed in (-1, 1.5, "a"):
        with pytest.raises(ArtsearchError, match=f"seed is {seed!r}; take a whole number from 0"):
            construct_ann_index("angular", 2, make(), seed=seed)


# Save and load


@pytest.mark.parametrize(
    "kind, metric",
    [
        ("annoy", "angular"),
        ("exact", "hamming"),
        *(slow("annoy", one) for one in METRICS if one != "angular"),
    ],
)
def test_a_fresh_process_answers_the_same(tmp_path, kind, metric):
    assert same_apart(build(kind, metric, make(), num_trees=5), tmp_path / "index")


@both
@every
def test_a_saved_index_is_the_same(tmp_path, kind, metric):
    features = make()
    index = build(kind, metric, features)
    before = index.search("003.jpg", 20)
    again = load_index(index.save(tmp_path / "index"), features, metric)
    for one in (index, again, load_index(again.save(tmp_path / "copy"))):
        ids, distances = one.search("003.jpg", 20)
        assert ids == before[0] and distances.tolist() == before[1].tolist()
    assert (again.metric, again.ids, again.dims) == (metric, features.ids, 24)
    assert again.provenance == features.provenance and len(again) == 60
    if isinstance(index, AnnoyIndex):
        assert (again.num_trees, again.seed) == (40, 0)


@both
@pytest.mark.parametrize(
    "other, says",
    [
        (make(network="resnet50"), "network 'efficientnet_lite0', asked for is 'resnet50'"),
        (make(weights="abcdef"), "weights '57934424', asked for is 'abcdef'"),
        (make(layer="blocks.2"), "layer 'global_pool', asked for is 'blocks.2'"),
        (make(crop="center_crop"), "crop 'no_crop', asked for is 'center_crop'"),
        (make(pool=2), "pool 1, asked for is 2"),
        (make(collection="0000"), "collection '1234567890abcdef', asked for is '0000'"),
        (make(whitened=True), "whitened '', asked for is True"),
        (make(dims=25), "dimension 24, asked for is 25"),
        (make(rows=61), "number of works 60, asked for is 61"),
        (Features(make().vectors, make().ids[::-1], MADE_BY), "work '000.jpg', asked for is '059"),
        (Features(make().vectors, make().ids), "made with .* asked for is ''"),
    ],
    ids=["network", "weights", "layer", "crop", "pool", "collection", "more", "dims", "rows",
         "ids", "no note"],
)  # fmt: skip
def test_an_index_of_something_else_is_refused(tmp_path, kind, other, says):
    folder = build(kind, "angular", make(), num_trees=2).save(tmp_path / "index")
    with pytest.raises(MismatchError, match=f"{says}.*; build it again"):
        load_index(folder, other)


def test_an_index_of_another_metric_is_refused(tmp_path):
    folder = construct_ann_index("angular", 2, make()).save(tmp_path / "index")
    with pytest.raises(MismatchError, match="metric 'angular', asked for is 'dot'"):
        load_index(folder, metric="dot")
    with pytest.raises(ArtsearchError, match="unknown metric 'angula'"):
        load_index(folder, metric="angula")


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def test_no_index_at_all(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ArtsearchError, match="holds no index.*No such file.*build it again"):
            load_index(folder)


def test_saving_again_replaces_only_an_index(tmp_path, paint):
    folder = construct_ann_index("angular", 2, make()).save(tmp_path / "index")
    construct_exact_index("dot", make()).save(folder)
    assert (load_index(folder).kind, load_index(folder).metric) == ("exact", "dot")
    paint("works/a.png")
    with pytest.raises(ArtsearchError, match="holds other things, such as 'a.png'"):
        construct_exact_index("dot", make()).save(tmp_path / "works")
