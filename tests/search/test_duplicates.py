"""The near-duplicates of a collection, in groups; the rows are made up."""

import csv

import numpy as np
import pytest
from asking import make_blend_search, make_collection, make_search
from click.testing import CliRunner
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.cli.commands import main
from artsearch.search.duplicates import FIRST, find_duplicates
from artsearch.show.duplicates_page import write_duplicates

COUNT = 60


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("duplicates") / "works", COUNT)


@pytest.fixture
def rows():
    """Three of one work, twenty-eight of another, and works that have nothing in common."""
    rows = np.random.default_rng(0).normal(size=(COUNT, 24)).astype(np.float32)
    rows[[5, 40]] = rows[2] + 0.01 * rows[[5, 40]]
    rows[10:37] = rows[8]
    return rows


@pytest.mark.parametrize("kind", ["exact", "annoy"])
def test_each_group_is_found_whole_however_large(collection, rows, kind):
    found = find_duplicates(make_search(collection, kind, "angular", rows))
    large, small = (8, *range(10, 37)), (2, 5, 40)
    assert len(large) > FIRST + 1
    assert found.groups == tuple(tuple(collection.ids[n] for n in one) for one in (large, small))
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    work, distance = found.nearest[collection.ids[5]]
    assert work in (collection.ids[2], collection.ids[40])
    between = np.linalg.norm(units[5] - units[collection.row(work)])
    assert distance == pytest.approx(between, abs=1e-5)
    assert found.sentence.startswith("2 groups of near-duplicates, 31 works in all: nearer than ")
    table = found.table()
    assert table["group"].tolist() == [1] * 28 + [2] * 3
    assert (table["distance"] < found.near).all()


def test_the_distance_can_be_named(collection, rows):
    search = make_search(collection, "exact", "angular", rows)
    assert find_duplicates(search, 0.001).groups == find_duplicates(search).groups[:1]
    assert len(find_duplicates(search, 3.0).groups[0]) == COUNT
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ArtsearchError, match="take a number above 0"):
            find_duplicates(search, wrong)


def test_in_a_blend_they_are_those_before_averaging(collection):
    search = make_blend_search(collection, 0.5)
    assert find_duplicates(search).groups == ()
    assert find_duplicates(search).sentence.startswith("No near-duplicates: nearer than ")


def test_a_collection_of_one_work_has_none(tmp_path):
    search = make_search(
        make_collection(tmp_path / "works", 1), "exact", "angular", np.ones((1, 24))
    )
    assert find_duplicates(search).groups == ()


def test_page_and_table_have_every_group(collection, rows, tmp_path):
    found = find_duplicates(make_search(collection, "exact", "angular", rows))
    page = write_duplicates(found, collection, tmp_path).read_text("utf-8")
    assert page.count("<section>") == 2 and page.count("data:image/jpeg") == 31
    assert "<script>alert" not in page  # titles of these works are hostile
    with open(tmp_path / "duplicates.csv", encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["id"] for line in lines] == [id for group in found.groups for id in group]
    assert lines[0]["kind"] == "painting" and not any(
        value.startswith(("=", "@")) for line in lines for value in line.values()
    )


@pytest.mark.usefixtures("one_thread")
def test_the_command_names_what_shows_the_same_painting(paintings, tmp_path):
    for path in sorted(paintings.glob("*.jpg"))[:8]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with Image.open(path) as image:
        image.resize((image.width // 2, image.height // 2)).save(tmp_path / "again.png")
    out = ["--out", str(tmp_path / "out"), "--to", str(tmp_path / "found")]
    asked = ["duplicates", str(tmp_path), "--network", "efficientnet_lite0", *out]
    said = CliRunner().invoke(main, asked, catch_exceptions=False).output
    assert "One group, 2 works in all" in said
    assert "again.png (0." in said and f"{path.name} (0." in said
    assert (tmp_path / "found" / "duplicates.html").is_file()
