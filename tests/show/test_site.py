"""The static demo and the plain page, as files; test_site_browser.py opens them."""

import base64
import doctest
import hashlib
import json
import re
import zlib
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from madeup import HOSTILE, MadeUpSearches, RandomSearches, make_folder, searches_by_colour

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.features import Features
from artsearch.index.factory import construct_exact_index
from artsearch.index.metrics import unit_of
from artsearch.search.search import Search
from artsearch.show import site, site_rows
from artsearch.show.site import ASSETS, write_data, write_page, write_site
from artsearch.show.site_rows import from_bytes, to_bytes, write_final
from artsearch.works.collection import Collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return Collection(make_folder(tmp_path_factory.mktemp("art") / "works", HOSTILE * 4))


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection)


@pytest.fixture(scope="module")
def built(collection, searches, tmp_path_factory):
    return write_site(collection, searches, tmp_path_factory.mktemp("out") / "site", progress=False)


class Page(HTMLParser):
    """What a browser would find in a page: elements with their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def read_data(file):
    """Read a data file as its page would: the name and the data of the call in it."""
    script = file.read_text(encoding="ascii")
    return json.loads("[" + re.fullmatch(r"receive\((.*)\);\n", script, re.DOTALL)[1] + "]")


def unpack(text):
    return zlib.decompress(base64.b64decode(text))


def read_rows(folder, head):
    """Read rows as the page does: from columns of bytes, with their scales."""
    blocks = []
    for number, works in enumerate(head["blocks"]):
        _, data = read_data(folder / f"{head['file']}-{number}.js")
        kind = np.int8 if head["signed"] else np.uint8
        columns = np.frombuffer(unpack(data["packed"]), kind).reshape(-1, works)
        scales = np.frombuffer(unpack(data["scales"]), "<f4").reshape(works, -1)
        blocks.append(from_bytes(columns.T, scales, head["widths"]))
    return np.concatenate(blocks)


# ---- the plain page -------------------------------------------------------------------------


def test_page_shows_each_networks_answer(collection, searches, tmp_path):
    path = write_page(collection, searches, tmp_path / "new" / "gallery.html", queries=5, k=3)
    page = Page(path.read_text(encoding="utf-8"))
    shown = [attributes["data-id"] for _, attributes in page.elements if "data-id" in attributes]
    assert len(shown) == 5 * (1 + 3 * 3)
    for start in range(0, len(shown), 10):
        query, answers = shown[start], shown[start + 1 : start + 10]
        expected = [searches[name, "no_crop"].by_work(query, 3).ids for name in networks(searches)]
        assert answers == sum(expected, [])
    assert searches.sentence in page.text
    nearest = searches["efficientnet_lite0", "no_crop"].by_work(shown[0], 1)[0]
    assert f"{nearest.distance:.3f}" in page.text


def networks(searches):
    return [network.name for network in searches.networks]


def test_page_shows_titles_as_text(collection, searches, tmp_path):
    path = write_page(collection, searches, tmp_path / "gallery.html", queries=28)
    page = Page(path.read_text(encoding="utf-8"))
    for title in HOSTILE:
        assert " ".join(title.split()) in page.text
    assert not {tag for tag, _ in page.elements} & {"script", "svg"}
    assert not [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    pictures = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures)


def test_page_is_one_file_that_can_be_sent(tmp_path):
    collection = Collection("data/paintings")
    searches = searches_by_colour(collection)
    path = write_page(collection, searches, tmp_path / "gallery.html")
    assert path.stat().st_size < 1_500_000
    assert "site/index.html" not in path.read_text(encoding="utf-8")
    write_site(collection, searches, tmp_path / "site", image_side=0, progress=False)
    again = write_page(collection, searches, tmp_path / "gallery.html")
    assert 'href="site/index.html"' in again.read_text(encoding="utf-8")


def test_page_that_cannot_be_written(collection, searches, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtsearchError, match="name another place"):
        write_page(collection, searches, tmp_path / "file" / "gallery.html")


def test_one_work_alone(tmp_path):
    collection = Collection(make_folder(tmp_path / "works", ["Alone"]))
    searches = searches_by_colour(collection)
    assert "Alone" in write_page(collection, searches, tmp_path / "p.html").read_text("utf-8")
    write_site(collection, searches, tmp_path / "site", progress=False)
    assert read_data(tmp_path / "site" / "data" / "works.js")[1]["k"] == 0


# ---- the site -------------------------------------------------------------------------------


def test_site_holds_every_row(collection, searches, built):
    _, head = read_data(built.parent / "data" / "works.js")
    ids = json.loads(unpack(head["works"]))["id"]
    assert ids == collection.ids
    assert [(one["network"], one["crop"]) for one in head["descriptors"]] == list(searches)
    for one in head["descriptors"]:
        search, final = searches[one["network"], one["crop"]], one["final"]
        rows = read_rows(built.parent / "data", final)
        expected = np.stack([search.exact.row(id) for id in ids])
        assert np.abs(rows - expected).max() < 0.6 * expected.max() / 90
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
        assert final["near"] == [search.copy_distance] and 0.95 < final["recall"][0] <= 1


def test_rows_come_in_the_order_of_the_page_whatever_that_of_the_index(tmp_path):
    collection = Collection(make_folder(tmp_path / "works", list("abcde")))
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    turned = construct_exact_index("euclidean", Features(rows[::-1], collection.ids[::-1]))
    (tmp_path / "data").mkdir()
    put = partial(write_data, tmp_path)
    head = write_final(Search(collection, turned), collection.ids, "here", put)
    np.testing.assert_allclose(read_rows(tmp_path / "data", head), rows, atol=0.02)
    assert head["unit"] == unit_of("euclidean") and head["recall"] == [1]


def test_many_works_come_in_several_files(collection, searches, tmp_path, monkeypatch):
    monkeypatch.setattr(site_rows, "BLOCK", 10)
    head = head_of(write_site(collection, searches, tmp_path / "s", progress=False, image_side=0))
    one = head["descriptors"][0]["final"]
    assert one["blocks"] == [10, 10, 8]
    assert read_rows(tmp_path / "s" / "data", one).shape == (28, 24)


def head_of(index):
    return read_data(index.parent / "data" / "works.js")[1]


def test_what_a_browser_cannot_hold_is_refused(collection, searches, tmp_path, monkeypatch):
    monkeypatch.setattr(site_rows, "MOST", 600)
    with pytest.raises(ArtsearchError, match="24 of each of the 28 works.*or serve all of it with"):
        write_site(collection, searches, tmp_path / "site", progress=False)
    assert not (tmp_path / "site").exists()


def test_what_the_page_opens_on_comes_with_it(collection, searches, built):
    first = head_of(built)["first"]
    for name, answer in first["answers"].items():
        expected = searches[name, "no_crop"].by_work(first["id"], 10)
        assert answer["ids"] == expected.ids and not answer["notes"]
        assert answer["distances"] == expected.distances


def test_site_says_what_is_known_of_each_work(collection, built):
    works = json.loads(unpack(read_data(built.parent / "data" / "works.js")[1]["works"]))
    for column in ("title", "artist", "year", "style", "licence", "source"):
        assert works[column] == collection.works[column].tolist()
    for row, (width, height) in enumerate(zip(works["width"], works["height"], strict=True)):
        name = works["picture"][12 * row : 12 * row + 12]
        for folder in ("thumbs", "images"):
            assert (built.parent / folder / name[:2] / f"{name}.jpg").is_file()
        assert (width, height) == collection.open(works["id"][row]).size


def test_hostile_titles_stay_data(built):
    for file in (built.parent / "data").glob("*.js"):
        name, data = read_data(file)
        assert not set("<>&\u2028\u2029") & set(file.read_text(encoding="utf-8"))
    page = Page(built.read_text(encoding="utf-8"))
    assert "<made up> & nobody" in page.text
    names = {path.name for path in built.parent.rglob("*") if path.is_file()}
    assert all(re.fullmatch(r"[a-z0-9_.-]+", name) for name in names)


def test_policy_forbids_code_in_the_page_and_other_hosts(built):
    page = Page(built.read_text(encoding="utf-8"))
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy and "*" not in policy
    addresses = [a.get(name) for _, a in page.elements for name in ("src", "href") if a.get(name)]
    assert sorted(addresses) == sorted(["data:,", *ASSETS])
    for script in [a for tag, a in page.elements if tag == "script"]:
        assert script["src"]
    for asset in built.parent.glob("*.*s"):
        assert not re.search(r"""["'(]https?:""", asset.read_text(encoding="utf-8"))


def test_the_dial_of_votes_is_a_place_of_the_page(collection, searches, tmp_path):
    key = next(iter(searches))
    built = write_site(collection, searches, tmp_path / "site", progress=False, yours={key: 0.62})
    _, head = read_data(built.parent / "data" / "works.js")
    places = {(one["network"], one["crop"]): one["yours"] for one in head["descriptors"]}
    assert places.pop(key) == 0.62 and set(places.values()) == {None}


def test_a_second_writing_changes_nothing(collection, searches, built, tmp_path, monkeypatch):
    write_site(collection, searches, tmp_path / "a", progress=False)
    assert contents(tmp_path / "a") == contents(built.parent)
    monkeypatch.setattr(site, "to_jpeg", lambda image: pytest.fail("made a picture again"))
    write_site(collection, searches, tmp_path / "a", progress=False)
    assert contents(tmp_path / "a") == contents(built.parent)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_changed_picture_is_made_again(tmp_path):
    folder = make_folder(tmp_path / "works", ["a", "b", "c"])
    first = pictures_of(folder, tmp_path / "site")
    (folder / "work 00001.png").write_bytes((folder / "work 00002.png").read_bytes())
    second = pictures_of(folder, tmp_path / "site")
    assert second == [first[0], first[2], first[2]]
    assert len(list((tmp_path / "site" / "thumbs").rglob("*.jpg"))) == 2
    assert not (tmp_path / "site" / "images").exists()


def pictures_of(folder, out):
    """Write a site and return its works' picture names."""
    collection = Collection(folder)
    write_site(collection, searches_by_colour(collection), out, image_side=0, progress=False)
    names = json.loads(unpack(read_data(out / "data" / "works.js")[1]["works"]))["picture"]
    return [names[start : start + 12] for start in range(0, len(names), 12)]


def test_a_folder_of_something_else_is_never_replaced(collection, searches, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("dear")
    for out in (tmp_path / "letters", tmp_path / "letters" / "mine.txt"):
        with pytest.raises(ArtsearchError, match="name a new folder"):
            write_site(collection, searches, out, progress=False)
    assert (tmp_path / "letters" / "mine.txt").read_text() == "dear"


def test_searches_over_different_works_are_refused(collection, searches, tmp_path):
    mixed = MadeUpSearches(collection, np.ones((len(collection), 1)))
    other = RandomSearches(collection)["efficientnet_lite0", "no_crop"]
    other.index.ids = collection.ids[1:]
    mixed._made = dict(searches) | {("efficientnet_lite2", "no_crop"): other}
    with pytest.raises(MismatchError, match="1 are in one only, the first is 'work 00000.png'"):
        write_site(collection, mixed, tmp_path / "site", progress=False)


def test_first_view_of_10_000_works_stays_under_600_kB(tmp_path, monkeypatch):
    words = "red river portrait woman landscape church harbour night madonna rain".split()
    draw = np.random.default_rng(0).choice
    titles = [" ".join(draw(words, 4)).capitalize() for _ in range(10_000)]
    collection = Collection(make_folder(tmp_path / "works", titles, side=16, alike=True))
    # Pictures take the most time and none of the size; their names, which do, differ.
    names = [hashlib.sha256(id.encode()).hexdigest()[:12] for id in collection]
    monkeypatch.setattr(site, "write_pictures", lambda *_: [(name, 240, 180) for name in names])
    searches = RandomSearches(collection, networks=["efficientnet_lite0"], crops=["no_crop"])
    write_site(collection, searches, tmp_path / "site", progress=False)
    sizes = {file.name: file.stat().st_size for file in (tmp_path / "site").rglob("*.js")}
    assert sizes["works.js"] < 350_000


def test_a_row_of_zeros_stays_one():
    rows = np.array([[0, 0, 3], [1, -2, 0]], np.float32)
    numbers, scales = to_bytes(rows, [2, 1])
    assert numbers.tolist() == [[0, 0, 127], [64, -127, 0]] and scales[0, 0] == scales[1, 1] == 0
    np.testing.assert_allclose(from_bytes(numbers, scales, [2, 1]), rows, atol=0.02)


def test_docstring_examples():
    assert doctest.testmod(site_rows).failed == 0
