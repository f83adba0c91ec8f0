"""What came before a work: the nearest that is surely earlier, held to plain loops."""

import csv

import numpy as np
import pytest
from asking import distances_by_hand, make_blend_search, make_search, make_vectors
from madeup import make_folder

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.index.factory import METRICS
from artsearch.index.milvus.index import MilvusIndex
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.years import read_years

COUNT = 90
YEARS = ("1831", "c. 1890–95", "17th century", "", "undated", "300 BC", "after 1650", "-500",
         "500–480 v. Chr.", "1893", "1896", "before 1700", "1650", "189-?")  # fmt: skip


def write_years(folder, years, machine=()):
    make_folder(folder, [f"Work {n}" for n in range(len(years))], side=8, alike=True)
    with open(folder / "works.csv", newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    at = head.index("year")
    with open(folder / "works.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*head, "kind", "machine_made"])
        for n, (row, year) in enumerate(zip(rows, years, strict=True)):
            row[at] = year
            writer.writerow([*row, ("print", "painting")[n % 2], "a tool" if n in machine else ""])
    return Collection(folder)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    dice = np.random.default_rng(0)
    years = [YEARS[n] for n in dice.integers(0, len(YEARS), COUNT)]
    return write_years(tmp_path_factory.mktemp("works") / "dated", years, range(0, COUNT, 9))


@pytest.fixture(scope="module")
def search(collection):
    return make_search(collection, "annoy", "angular", make_vectors(COUNT))


def by_hand(collection, far, may=lambda row: True):
    """Return for each work the row and the distance of the nearest one that is surely earlier."""
    years = [read_years(collection.work(id)["year"]) for id in collection.ids]
    found = {}
    for row, id in enumerate(collection.ids):
        older = [
            (far(row)[other], other)
            for other in range(len(years))
            if years[row] and years[other] and years[other].last < years[row].first and may(other)
        ]
        found[id] = min(older) if older else None
    return found


def check(found, expected, collection):
    assert list(found) == list(expected)
    for id, before in found.items():
        if expected[id] is None:
            assert before.work is None
            continue
        far, row = expected[id]
        assert before.work.id == collection.ids[row], id
        assert before.work.distance == pytest.approx(far, rel=1e-4, abs=1e-4)
        assert before.work.caption == collection.caption(before.work.id)
        assert before.work.caption in str(before)


@pytest.mark.parametrize("kind", [*METRICS, 0.0, 0.3, 1.0])
def test_it_is_the_nearest_of_those_that_are_surely_earlier(collection, kind):
    if isinstance(kind, float):
        search = make_blend_search(collection, kind)
        blend = search.index
        expected = by_hand(
            collection, lambda row: blend.distances(blend.fetch(row), np.arange(COUNT))
        )
    else:
        rows = make_vectors(COUNT)
        search = make_search(collection, "annoy", kind, rows)
        expected = by_hand(collection, lambda row: distances_by_hand(kind, rows, rows[row]))
    check(search.earlier(collection.ids), expected, collection)
    assert any(expected.values()) and not all(expected.values())


def test_what_else_was_asked_holds(search, collection):
    rows = make_vectors(COUNT)
    out = {collection.ids[row] for row in range(0, COUNT, 7)}

    def may(row):
        work = collection.work(collection.ids[row])
        return work["kind"] == "print" and not work["machine_made"] and work["id"] not in out

    expected = by_hand(collection, lambda row: distances_by_hand("angular", rows, rows[row]), may)
    asked = {"where": 'kind == "print"', "machine_made": False, "exclude": sorted(out)}
    check(search.earlier(collection.ids, **asked), expected, collection)


def test_uncertain_dates_are_earlier_only_where_they_are_surely(tmp_path):
    years = ["1893", "c. 1890–95", "1896", "1889", "19th century", "n.d.", "44 BC", "43 BC"]
    collection = write_years(tmp_path / "works", years)
    rows = np.array([[1, 0.01 * n] for n in range(len(years))], np.float32)
    search = make_search(collection, "exact", "euclidean", rows)
    ids = dict(zip(years, collection.ids, strict=True))
    before = {year: search.earlier(id)[id] for year, id in ids.items()}
    nearest = {year: one.work and one.work.id for year, one in before.items()}
    assert nearest == {
        "1893": ids["1889"],  # not the one that may be of 1890
        "c. 1890–95": ids["1889"],
        "1896": ids["c. 1890–95"],
        "1889": ids["44 BC"],  # of the 19th century it may well be the first
        "19th century": ids["44 BC"],
        "n.d.": None,
        "44 BC": None,
        "43 BC": ids["44 BC"],
    }
    assert str(before["n.d."]) == "no year" and before["n.d."].years is None
    assert str(before["44 BC"]) == "nothing earlier here" and before["44 BC"].years == (-44, -44)


def test_a_copy_that_is_earlier_came_before_and_ties_go_by_row(tmp_path):
    collection = write_years(tmp_path / "works", ["1900", "1800", "1700", "1900"])
    rows = np.ones((4, 3), np.float32)
    search = make_search(collection, "exact", "euclidean", rows)
    first, second, third, last = collection.ids
    found = search.earlier([last, first, second, last])
    assert list(found) == [last, first, second]
    assert [one.work.id for one in found.values()] == [second, second, third]
    assert found[last].work.distance == 0


def test_what_cannot_be_asked_is_said(search, collection):
    assert search.earlier([]) == {}
    with pytest.raises(ArtsearchError, match="unknown work 'gone.jpg'"):
        search.earlier("gone.jpg")
    with pytest.raises(ArtsearchError, match="unknown column 'colour'"):
        search.earlier(collection.ids[0], where="colour == 3")
    with pytest.raises(ArtsearchError, match="unknown work 'gone.jpg'"):
        search.earlier(collection.ids[0], exclude="gone.jpg")


@pytest.mark.usefixtures("milvus_at_once")
def test_milvus_answers_as_rows_in_memory_do(search, collection, tmp_path):
    pytest.importorskip("milvus_lite")
    features = Features(make_vectors(COUNT), tuple(collection.ids))
    works = collection.works
    index = MilvusIndex.build("angular", features, uri=tmp_path / "w.db", works=works)
    asked = {"where": "year > -400", "machine_made": False}
    found = Search(collection, index).earlier(collection.ids[:40], **asked)
    expected = search.earlier(collection.ids[:40], **asked)
    index.close()
    assert {id: one.years for id, one in found.items()} == {
        id: one.years for id, one in expected.items()
    }
    for id, one in found.items():
        assert (one.work and one.work.id) == (expected[id].work and expected[id].work.id)
        if one.work:
            assert one.work.distance == pytest.approx(expected[id].work.distance, abs=1e-5)
