"""Questions put to Milvus: the same answers, to the note, as by rows in memory."""

import numpy as np
import pandas as pd
import pytest
from asking import (
    check_values_agree,
    make_blend_search,
    make_collection,
    make_search,
    make_spelt_collection,
    make_vectors,
)
from tiers import slow

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.index.factory import construct_exact_index
from artsearch.index.milvus.blend import MilvusBlendIndex
from artsearch.index.milvus.fields import to_expression
from artsearch.index.milvus.index import MilvusIndex
from artsearch.search.results import Described
from artsearch.search.search import Search
from artsearch.works.conditions import Columns, WhereError, parse

pytest.importorskip("milvus_lite")
pytestmark = pytest.mark.usefixtures("milvus_at_once")
COUNT = 400
QUESTIONS = [
    {},
    {"k": 30, "negative": "work 00009.png"},
    {"where": 'style == "Pointillism"'},
    {"where": 'style == "Pointillism" and kind == "painting"'},
    {"where": "not year >= 1700", "k": 40},
    {"where": 'artist == "" or title contains "İMG"', "exclude": ["work 00022.png"]},
    {"where": 'only == "this one"', "exclude_same": "artist"},
    {"exclude_same": ["artist", "style"], "k": 5},
    {"exclude_same": "only"},
    {"group_by": "artist", "group_size": 2},
    {"group_by": "style", "group_size": 3, "where": "year > 1600", "exclude_same": "artist"},
    {"group_by": "only"},
    {"group_by": "kind", "where": 'style == "Pointillism" and kind == "painting"'},
]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("works") / "many", COUNT)


@pytest.fixture(scope="module")
def vectors():
    vectors = make_vectors(COUNT)
    vectors[50:53] = vectors[0] * 1.5  # near-duplicates
    return vectors


#: What other metrics, structures and ends of the dial change is tested without conditions too.
MORE = map(slow, ("hnsw", "euclidean", "dot", 0))


@pytest.fixture(scope="module", params=["flat", 0.3, *MORE])
def searches(request, collection, vectors, tmp_path_factory):
    """A search by Milvus, and one in memory; numbers are content-style weights of a blend."""
    uri, works, kind = tmp_path_factory.mktemp("milvus") / "w.db", collection.works, request.param
    if not isinstance(kind, str):
        expected = make_blend_search(collection, kind)
        index = MilvusBlendIndex.of(expected.blend, works, uri, "blend").at(kind)
    else:
        metric = "angular" if kind in ("flat", "hnsw") else kind
        expected = make_search(collection, "exact", metric, vectors)
        features = Features(vectors, tuple(collection.ids))
        structure = kind if kind == "hnsw" else "flat"
        options = {"structure": structure, "works": works}
        index = MilvusIndex.build(metric, features, uri=uri, **options)
    yield Search(collection, index), expected
    index.close()


def check_same(answer, expected) -> None:
    assert answer.ids == expected.ids and answer.notes == expected.notes
    np.testing.assert_allclose(answer.distances, expected.distances, rtol=1e-6, atol=1e-6)
    said = [[(work.group, work.caption) for work in one] for one in (answer, expected)]
    assert said[0] == said[1]


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_milvus_answers_as_memory_does(searches, collection, question):
    search, expected = searches
    check_same(
        search.ask(collection.ids[0], **question), expected.ask(collection.ids[0], **question)
    )
    several = [collection.ids[3], (collection.ids[5], 0.5)]
    check_same(search.ask(several, **question), expected.ask(several, **question))


def test_values_are_the_same_to_groups_conditions_and_exclusions(tmp_path):
    collection = make_spelt_collection(tmp_path / "works")
    features = Features(make_vectors(len(collection)), tuple(collection.ids))
    index = MilvusIndex.build("angular", features, uri=tmp_path / "w.db", works=collection.works)
    check_values_agree(Search(collection, index))
    index.close()


def test_copies_and_paths_are_those_of_memory(searches, collection):
    search, expected = searches
    if search.index.metric == "dot":
        return
    first, last = collection.ids[0], collection.ids[77]
    for question in (
        {"near_duplicates": False},
        {"near_duplicates": False, "where": 'kind == "painting"'},
    ):
        check_same(search.ask(first, **question), expected.ask(first, **question))
    for where in ("", 'kind == "print"', 'only == "this one"'):
        check_same(search.path(first, last, where=where), expected.path(first, last, where=where))
    assert search.by_work(first, 5).ids == expected.by_work(first, 5).ids


def test_csls_is_refused(searches, collection):
    for ask in (searches[0].ask, searches[0].by_work):
        with pytest.raises(
            ArtsearchError, match="those of 'milvus.*' are on a server; take another"
        ):
            ask(collection.ids[0], normalise="csls")


def test_an_experiment_has_the_ranks_of_memory(searches, collection, monkeypatch):
    first, where = collection.ids[0], 'kind == "print"'
    row, found = searches[1].exact.row(first), []
    answer = searches[1].ask(first, 5, where=where).ids[-1]

    def look(image):  # no network: near the first work, by how light the picture is
        random = np.random.default_rng(int(np.sum(image, dtype=np.int64)))
        return Described(*[row + random.normal(0, np.abs(row).mean() / 2, len(row))] * 2)

    for search in searches:
        monkeypatch.setattr(search, "look", look)
        found.append(search.experiment(first, answer, where=where))
    assert found[0] == found[1] and found[0].rank == 5
    assert len({trial.rank for trial in found[0].trials}) > 1
    assert found[0].trials[0].limit is not None


def test_no_rows_are_read_into_memory_for_it(searches, collection, monkeypatch):
    search, _ = searches
    monkeypatch.setattr(type(search.index), "exact", lambda self: pytest.fail("all rows were read"))
    search = Search(collection, search.index)
    search.ask(collection.ids[0], where="year > 1600", group_by="style")
    if search.index.metric != "dot":
        search.path(*collection.ids[:2])


def test_an_unknown_value_is_named_with_the_nearest(searches, collection):
    with pytest.raises(WhereError, match="unknown style 'Pointilism'; did you mean 'Pointillism'?"):
        searches[0].ask(collection.ids[0], where='style == "Pointilism"')


@pytest.mark.slow
@pytest.mark.parametrize("structure", ["flat", "hnsw"])
def test_recall_under_filters_is_held(tmp_path, structure):
    """Rows in clusters, of which a condition leaves few: where a graph by itself loses works."""
    count, random = 3000, np.random.default_rng(1)
    centres = random.normal(size=(30, 32))
    rows = centres[random.integers(30, size=count)] + 0.7 * random.normal(size=(count, 32))
    works = pd.DataFrame({"id": [f"{n:04}" for n in range(count)]})
    share = random.permutation(count)
    works["place"] = share.astype(str)
    features = Features(rows, works["id"].tolist())
    options = {"uri": tmp_path / "w.db", "works": works, "structure": structure}
    index = MilvusIndex.build("angular", features, **options)
    exact, queries = construct_exact_index("angular", features), range(0, count, 150)
    for match in (3, 30, 300, 1500):
        expression = to_expression(parse(f"place < {match}"), Columns(works), index.attributes)
        kept, ours, raw = np.flatnonzero(share < match), 0, 0
        for query in queries:
            vector = exact.row(exact.ids[query])
            right, _ = exact.nearest_of(vector, kept, 10)
            ours += len(np.intersect1d(right, index.nearest(vector, 10, expression)[0]))
            (hits,) = index.store.search(vector[None], ["vector_0", "id"], 10, expression)
            raw += len({exact.ids[row] for row in right} & {hit["id"] for hit in hits})
        wanted = len(queries) * min(10, match)
        assert ours / wanted >= 0.99, match
        if structure == "hnsw" and match == 30:
            assert raw / wanted < 0.9, "Milvus's own settings would do: ENOUGH and FEW are too much"
    index.close()
