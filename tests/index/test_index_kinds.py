"""faiss behind the same interface: candidates by it, distances and order by the rows."""

import shutil
import sys

import numpy as np
import pytest
from apart import same_apart
from tiers import slow

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.vectors import ShardedRows
from artsearch.features.features import Features
from artsearch.index.factory import (
    KINDS,
    construct_exact_index,
    construct_index,
    find_kind,
    load_index,
    options_of,
)
from artsearch.index.faiss import METRICS

MADE_BY = {"network": "made up", "pool": 1, "collection": "before"}
#: Each structure, and each compression with one of them.
WAYS = {
    "flat": {"structure": "flat"},
    "ivf-half": {"structure": "ivf", "nprobe": 14, "compress": "half"},
    "hnsw-int8": {"structure": "hnsw", "compress": "int8"},
}
ways = pytest.mark.parametrize("way", WAYS)
every = pytest.mark.parametrize("metric", METRICS)
with_effort = pytest.mark.parametrize("way", ["hnsw-int8", slow("ivf-half")])
# What a metric changes is the same code in all structures.
ways_and_metrics = pytest.mark.parametrize(
    "way, metric",
    [*((way, "angular") for way in WAYS), *(("hnsw-int8", metric) for metric in METRICS[1:])],
)


def make(rows: int = 600, dims: int = 24, seed: int = 0, **note) -> Features:
    """Make features as a network gives them: not negative, of uneven length."""
    rng = np.random.default_rng(seed)
    vectors = np.maximum(rng.normal(size=(rows, dims)), 0) * rng.uniform(0.5, 2, (rows, 1))
    return Features(vectors, tuple(f"{row:03}.jpg" for row in range(rows)), MADE_BY | note)


def build(
    way: str = "hnsw-int8", metric: str = "angular", features: Features | None = None, **options
):
    features = make() if features is None else features
    return construct_index("faiss", metric, features, **WAYS[way] | options)


def recall(index, exact, ids, k: int = 10) -> float:
    shares = [len(set(index.search(id, k)[0]) & set(exact.search(id, k)[0])) / k for id in ids]
    return float(np.mean(shares))


# Right answers


@ways
@every
def test_nearly_all_of_the_true_neighbours_are_found(way, metric):
    features = make()
    exact = construct_exact_index(metric, features)
    index = build(way, metric, features)
    assert recall(index, exact, features.ids[:100]) > 0.95
    everything = index.search("007.jpg", 10, search_k=600)
    assert everything[0] == exact.search("007.jpg", 10)[0]


@ways
@every
def test_distances_are_those_of_an_exact_index_to_the_last_bit(way, metric):
    features = make()
    exact, index = construct_exact_index(metric, features), build(way, metric, features)
    known = dict(zip(*exact.search("003.jpg", 599), strict=True))
    ids, distances = index.search("003.jpg", 30)
    assert [known[id] for id in ids] == distances.tolist()
    assert (np.diff(distances) >= 0).all() and distances.dtype == np.float64


@ways
def test_a_work_is_its_own_nearest_neighbour(way):
    features = make()
    index = build(way, features=features)
    for id in features.ids[::50]:
        ids, distances = index.search(features.vector(id), 1)
        assert ids == [id] and distances[0] == pytest.approx(0, abs=1e-3)
        assert id not in index.search(id, 20)[0]


@ways
def test_a_batch_is_answered_as_its_queries_are(way):
    index, queries = build(way), make(rows=30, seed=1).vectors
    rows, distances = index.search_many(queries, 7)
    assert rows.shape == distances.shape == (30, 7)
    assert (rows.dtype, distances.dtype) == (np.int64, np.float64)
    for query, found, near in zip(queries, rows, distances, strict=True):
        ids, expected = index.search(query, 7)
        assert [index.ids[row] for row in found] == ids and near.tolist() == expected.tolist()


@ways
def test_never_fewer_are_answered_than_asked_for(way):
    features = make()
    exact, index = construct_exact_index("angular", features), build(way, features=features)
    for k in (200, 598, 599):
        ids, distances = index.search("005.jpg", k)
        assert len(set(ids)) == k and "005.jpg" not in ids
    expected, right = exact.search("005.jpg", 599)
    assert ids == expected and distances.tolist() == right.tolist()
    rows, _ = index.search_many(features.vectors[:3], 600)
    assert all(sorted(row) == list(range(600)) for row in rows.tolist())


def test_copies_are_found_and_the_work_itself_is_left_out():
    once = make()
    features = Features(np.vstack([once.vectors, once.vectors[:3]]), [*once.ids, "a", "b", "c"])
    for metric in ("angular", "euclidean"):
        index = build(metric=metric, features=features)
        for copy, original in zip("abc", once.ids, strict=False):
            assert index.search(copy, 5)[0][0] == original
            assert index.search(original, 5)[0][0] == copy


def test_works_that_are_all_the_same():
    """To a graph there is no way from one to another; none is missed all the same."""
    features = Features(np.ones((300, 8)), [str(row) for row in range(300)])
    ids, distances = build(features=features).search("7", 250)
    assert len(set(ids)) == 250 and "7" not in ids and len(set(distances)) == 1


@every
def test_rows_of_zeros_are_as_far_as_in_an_exact_index(metric):
    vectors = np.vstack([make(rows=60).vectors, np.zeros((20, 24))])
    features = Features(vectors, [str(row) for row in range(80)])
    index = build(metric=metric, features=features)
    exact = construct_exact_index(metric, features)
    for id in ("3", "70"):
        assert index.search(id, 79)[1] == pytest.approx(exact.search(id, 79)[1], abs=1e-6)


@ways
def test_tiny_collections(way):
    options = {"nprobe": 1} if way.startswith("ivf") else {}
    two = build(way, features=Features(np.eye(2, 3), ["a", "b"]), **options)
    assert two.search("a", 1)[0] == ["b"]
    one = build(way, features=Features(np.ones((1, 3)), ["a"]), **options)
    assert one.search(np.ones(3), 1)[0] == ["a"]
    with pytest.raises(ArtsearchError, match="no other work"):
        one.search("a", 1)


def test_rows_of_any_size_keep_their_order():
    """8-bit numbers are stretched to the rows at hand."""
    for size in (1e-6, 1e6):
        features = Features(make().vectors * size, make().ids)
        for metric in METRICS:
            index = build(metric=metric, features=features)
            exact = construct_exact_index(metric, features)
            assert recall(index, exact, features.ids[:30]) > 0.9


def test_real_works_are_found_among_real_works(few_features):
    exact = construct_exact_index("angular", few_features)
    for way in WAYS:
        options = {"nprobe": 1} if way.startswith("ivf") else {}
        index = build(way, features=few_features, **options)
        assert all(index.search(id, 4)[0] == exact.search(id, 4)[0] for id in few_features.ids)


@with_effort
def test_it_looks_further_when_it_is_told_to(way):
    features = make(rows=3000, dims=64)
    exact = construct_exact_index("angular", features)
    index = build(way, features=features, **({"M": 3} if "hnsw" in way else {}))
    found = []
    for effort in (1, 1500 if "hnsw" in way else 70):
        index.effort = effort
        found.append(recall(index, exact, features.ids[:60]))
    assert found[0] < found[1] > 0.9
    assert index.settings["ef" if "hnsw" in way else "nprobe"] == effort


@ways
def test_rows_in_shards_are_as_good_as_in_one_array(way):
    features = make()
    shards = ShardedRows(np.array_split(features.vectors, 3))
    index = build(way, features=Features(shards, features.ids))
    expected = build(way, features=features).search("003.jpg", 10)
    ids, distances = index.search("003.jpg", 10)
    assert ids == expected[0] and distances.tolist() == expected[1].tolist()
    assert index.exact().search("003.jpg", 10)[0] == ids


@every
def test_an_exact_index_over_the_same_rows(metric):
    features = make()
    expected = construct_exact_index(metric, features).search("003.jpg", 20)
    exact = build(metric=metric, features=features).exact()
    ids, distances = exact.search("003.jpg", 20)
    assert (exact.kind, ids, distances.tolist()) == ("exact", expected[0], expected[1].tolist())


# Compression


@every
def test_compression_takes_less_memory_and_hardly_finds_less(metric):
    features = make(rows=1000, dims=256)
    exact = construct_exact_index(metric, features)
    plain = build("hnsw-int8", metric, features, compress=None)
    whole = recall(plain, exact, features.ids[:100])
    graph = build("hnsw-int8", metric, features)
    assert build("flat", metric, features, compress="int8").memory < 0.3 * plain.memory
    assert graph.memory < 0.4 * plain.memory
    assert recall(graph, exact, features.ids[:100]) > whole - 0.03


# Repeatable


@ways
def test_the_same_rows_give_the_same_index(way, tmp_path):
    first, again = (build(way).save(tmp_path / name) for name in "ab")
    assert (first / "index.ann").read_bytes() == (again / "index.ann").read_bytes()


def test_another_seed_gives_another_index(tmp_path):
    first, other = (build("ivf-half", seed=seed).save(tmp_path / str(seed)) for seed in (0, 1))
    assert (first / "index.ann").read_bytes() != (other / "index.ann").read_bytes()


def test_torch_keeps_its_threads():
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for way in WAYS:
            index = build(way, threads=1)
            index.search("003.jpg", 3)
            index.search_many(make().vectors[:5], 3)
            assert torch.get_num_threads() == 2, way
    finally:
        torch.set_num_threads(before)


# What cannot be built or asked


def test_every_kind_is_there_and_says_its_options():
    assert set(KINDS) == {"annoy", "exact", "faiss", "milvus"}
    for kind in ("annoy", "exact", "faiss"):
        assert find_kind(kind).kind == kind
    assert options_of("annoy") == ["num_trees", "seed"] and options_of("exact") == []


@pytest.mark.parametrize(
    "kind, metric, options, says",
    [
        ("fais", "angular", {}, "unknown kind of index 'fais'; did you mean 'faiss'"),
        ("faiss", "angula", {}, "unknown metric 'angula'; did you mean 'angular'"),
        ("faiss", "hamming", {}, "metric of the kind 'faiss' 'hamming'.*'annoy' and 'exact'"),
        ("faiss", "manhattan", {}, "known: angular, euclidean, dot.*have manhattan"),
        (
            "faiss",
            "angular",
            {"n": 3},
            "unknown option of the kind 'faiss' 'n'; known: structure, M",
        ),
        ("exact", "angular", {"num_trees": 3}, "kind 'exact' takes no options; got 'num_trees'"),
        ("auto", "angular", {"recal": 0.9}, "option of the kind 'auto' 'recal'; did you mean"),
        ("faiss", "angular", {"M": 2.5}, "M is 2.5; take a whole number from 2"),
        ("faiss", "angular", {"M": 1}, "M is 1; take a whole number from 2"),
        ("faiss", "angular", {"ef": "many"}, "ef is 'many'; take a whole number from 1"),
        ("faiss", "angular", {"compress": "int4"}, "compression 'int4'; did you mean 'int8'"),
        ("faiss", "angular", {"threads": -1}, "threads is -1; take a whole number from 0"),
        ("faiss", "angular", {"structure": "tree"}, "unknown structure of faiss 'tree'.*flat"),
        ("faiss", "angular", {"structure": "ivf", "nlist": 601}, "nlist is 601.* 600 works"),
        ("faiss", "angular", {"structure": "ivf", "nlist": "x"}, "nlist is 'x'; take a whole"),
        ("faiss", "angular", {"structure": "ivf", "seed": -1}, "seed is -1; take a whole"),
    ],
)
def test_what_cannot_be_built(kind, metric, options, says):
    with pytest.raises(ArtsearchError, match=says):
        construct_index(kind, metric, make(), **options)


def test_features_that_cannot_be_indexed():
    vectors = make().vectors.copy()
    vectors[[7, 9], 3] = np.nan
    for features, says in {
        Features(vectors, make().ids): "of 2 works .* first is '007.jpg'; compute",
        Features(np.empty((0, 5)), []): "hold no work",
    }.items():
        with pytest.raises(ArtsearchError, match=says):
            build(features=features)
    with pytest.raises(ArtsearchError, match="no features given"):
        construct_index("faiss")


def test_what_cannot_be_asked():
    index = build()
    for k in (0, -1, 600, True, 2.5, None):
        with pytest.raises(ArtsearchError, match=rf"k is {k!r}, .* from 1 to 599"):
            index.search("000.jpg", k)
    with pytest.raises(ArtsearchError, match="unknown work '0033.jpg'; did you mean '033.jpg'"):
        index.search("0033.jpg", 3)
    with pytest.raises(ArtsearchError, match="search_k is 0; take a whole number"):
        index.search("003.jpg", 3, search_k=0)
    with pytest.raises(ArtsearchError, match="is 0; take a whole number from 1"):
        index.effort = 0
    for queries in (np.ones(24), [[[1.0]]], 3):
        with pytest.raises(ArtsearchError, match="many queries are an array of queries × 24"):
            index.search_many(queries, 3)
    with pytest.raises(MismatchError, match="rows of 24 numbers"):
        index.search_many(np.ones((2, 25)), 3)
    with pytest.raises(ArtsearchError, match="not finite"):
        index.search_many(np.full((2, 24), np.nan), 3)
    assert [part.shape for part in index.search_many(np.empty((0, 24)), 3)] == [(0, 3), (0, 3)]


@pytest.mark.parametrize("kind", ["faiss", "auto"])
def test_a_library_that_is_not_installed_is_named_with_its_command(kind, monkeypatch):
    from artsearch.index import auto as auto_index

    monkeypatch.setattr(auto_index, "SMALL", 10)
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ArtsearchError, match=r"faiss.*pip install 'artsearch\[scale\]'"):
        construct_index(kind, "angular", make())


# Save and load


@with_effort
def test_a_fresh_process_answers_the_same(tmp_path, way):
    assert same_apart(build(way), tmp_path / "index")


@ways_and_metrics
def test_a_saved_index_is_the_same(tmp_path, way, metric):
    features = make()
    index = build(way, metric, features)
    before = index.search("003.jpg", 20)
    again = load_index(index.save(tmp_path / "index"), features, metric)
    for one in (index, again, load_index(again.save(tmp_path / "copy"))):
        ids, distances = one.search("003.jpg", 20)
        assert ids == before[0] and distances.tolist() == before[1].tolist()
    assert (again.kind, again.metric, again.ids) == ("faiss", metric, features.ids)
    assert again.settings == index.settings and again.provenance == features.provenance
    assert again.exact().search("003.jpg", 20)[0] == index.exact().search("003.jpg", 20)[0]


@with_effort
def test_an_open_index_outlives_its_folder(tmp_path, way):
    index = build(way)
    again = load_index(index.save(tmp_path / "index"))
    build(way, features=make(seed=1)).save(tmp_path / "index")
    shutil.rmtree(tmp_path / "index")
    assert again.search("003.jpg", 20)[0] == index.search("003.jpg", 20)[0]


@with_effort
def test_built_again_over_other_features_with_the_same_settings(way):
    index = build(way, threads=1)
    other = make(rows=500, seed=1)
    settings = {name: value for name, value in index.settings.items() if name != "kind"}
    again = construct_index("faiss", "angular", other, **settings)
    assert again.settings["threads"] == 1 and again.kind == index.kind
    assert recall(again, construct_exact_index("angular", other), other.ids[:50]) > 0.9


def test_a_folder_whose_name_is_not_utf8(tmp_path):
    with pytest.raises(ArtsearchError, match="a name that is not UTF-8"):
        build().save(tmp_path / "ind\udcffx")
    assert list(tmp_path.iterdir()) == []


def test_ids_of_any_kind_come_back(tmp_path):
    ids = ["line\nend", "nul\0", "undecodable \udcff", "🎨", " "]
    index = construct_exact_index("angular", Features(np.eye(5), ids))
    assert load_index(index.save(tmp_path / "index")).ids == tuple(ids)
