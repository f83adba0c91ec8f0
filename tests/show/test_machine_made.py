"""Works made by a machine: told by their table, marked, and left out with one click."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from browser import ids, put_away, query, tool, visit, works
from madeup import make_folder, searches_by_colour
from scripts import run_script
from test_site import Page, head_of
from test_site_browser import ready
from walks import Walk

from artsearch.features.features import Features
from artsearch.gallery.session_table import describe
from artsearch.gallery.widget import Gallery
from artsearch.index.factory import construct_exact_index
from artsearch.index.metrics import METRICS
from artsearch.search.question import Question, read_link
from artsearch.search.search import Search
from artsearch.show.site import write_page, write_site
from artsearch.works.collection import Collection
from artsearch.works.table import to_safe_csv

LITE = "efficientnet_lite0"
#: A tool whose name would do harm if anything took it for more than text.
TOOL = "<img src=x onerror=\"document.title='broken in'\">"
#: What 24 works say in the column: every second one was made by a machine.
TOLD = [said for said in ("", TOOL, "No", "a tool", " none ", "yes") for _ in range(4)]
BY_HAND = [n for n, said in enumerate(TOLD) if said in ("", "No", " none ")]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = make_folder(
        tmp_path_factory.mktemp("both") / "works", [f"Work {n}" for n in range(24)]
    )
    with open(folder / "works.csv", newline="") as file:
        rows = list(csv.reader(file))
    with open(folder / "works.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [row + [said] for row, said in zip(rows, ["machine_made", *TOLD], strict=True)]
        )
    return Collection(folder)


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection, dial=True)


@pytest.fixture
def walk(collection, searches, out):
    return Walk(Gallery(collection, searches, query=collection.ids[0], out=out))


@pytest.fixture(scope="module")
def built(collection, searches, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "site"
    return write_site(collection, searches, folder, progress=False)


def by_hand(collection):
    return [collection.ids[n] for n in BY_HAND]


# ---- what is known -----------------------------------------------------------------------------


def test_the_table_tells_what_made_a_work(collection, paintings):
    provenance = [collection.machine_made(id) for id in collection]
    assert provenance == ["" if n in BY_HAND else said for n, said in enumerate(TOLD)]
    assert collection.caption(collection.ids[5]).endswith("Style, made by a machine")
    assert collection.caption(collection.ids[0]).endswith("Style")
    without = Collection(paintings)
    assert not without.machines and not without.has_both(without.ids)


@pytest.mark.parametrize(
    ("rows", "both"), [([0, 1, 5], True), ([0, 5, 6], False), ([0, 1, 2], False), ([5, 6], False)]
)
def test_leaving_them_out_takes_two_by_hand(collection, rows, both):
    assert collection.has_both([collection.ids[row] for row in rows]) is both


def test_a_question_leaves_them_out_and_says_how_many(collection, searches):
    search = searches[LITE, "no_crop"]
    for id in (collection.ids[0], collection.ids[5]):
        rest = [other for other in by_hand(collection) if other != id]
        answer = search.ask(id, 10, machine_made=False)
        every = search.by_work(id, 23)
        assert answer.ids == [other for other in every.ids if other in rest][:10]
        assert "Left out as made by a machine: 12 works." in answer.notes
    path = search.path(collection.ids[0], collection.ids[9], 20, machine_made=False)
    assert not set(path.ids[:-1]) & set(collection.machines)
    assert len(path) > 1


def test_a_link_and_a_session_say_that_they_are_left_out(collection):
    question = Question(collection.ids[0], machine_made=False)
    assert "&machine=no&" in question.to_link() and not question.is_plain
    assert read_link(question.to_link())[0] == question
    assert describe(question, collection).endswith("; without works made by a machine")


@pytest.mark.parametrize("metric", METRICS)
def test_answers_among_some_are_those_of_each_work(collection, metric):
    rows = np.random.default_rng(0).normal(size=(24, 12)).astype(np.float32)
    rows[9] = rows[3]  # a true duplicate
    search = Search(collection, construct_exact_index(metric, Features(rows, collection.ids)))
    among = np.array(BY_HAND)
    places, distances = search.exact.neighbours_among(among, 10)
    for row, id in enumerate(collection):
        expected = search.ask(id, 10, machine_made=False)
        np.testing.assert_allclose(distances[row], expected.distances, rtol=1e-5, atol=1e-5)
        if metric != "hamming":  # where many are equally far
            assert [collection.ids[one] for one in among[places[row]]] == expected.ids


# ---- the gallery -------------------------------------------------------------------------------


def drawn(walk):
    return [work["id"] for work in walk.view["drawer"]["works"]]


def test_works_by_hand_come_first_in_the_drawer(walk, collection):
    order = drawn(walk)
    assert set(order[:12]) == set(by_hand(collection)) and order[:12] != by_hand(collection)
    walk.refresh()
    again, matches = drawn(walk), walk.view["drawer"]["matches"]
    assert set(again[:12]) == set(order[:12]) and again[:12] != order[:12] and matches == 24


def test_one_switch_leaves_them_out_of_drawer_and_answers(collection, searches, out):
    walk = Walk(Gallery(collection, searches, query=collection.ids[0], drawer=10, out=out))
    walk.change(page=2)
    walk.change(machine_made=False)
    view = walk.view
    assert view["machine_made"] == {"available": True, "shown": False, "count": 12}
    shown = [work["id"] for work in (*view["drawer"]["works"], *view["rows"][0]["works"])]
    assert not set(shown) & set(collection.machines) and view["drawer"]["page"] == 0
    assert len(view["rows"][0]["works"]) == view["k"] == 10 and view["drawer"]["matches"] == 12
    # It holds for the works that are selected next, and is no part of what "Clear" takes back.
    walk.select(collection.ids[6])
    walk.clear()
    assert not walk.view["machine_made"]["shown"] and not walk.view["ask"]["active"]
    assert walk.view["query"]["machine_made"] == TOOL
    walk.change(search="work 14")
    assert walk.view["drawer"]["matches"] == 0
    walk.change(k=20)
    assert [len(row["works"]) for row in walk.view["rows"]] == [12]
    walk.change(machine_made=True)
    assert walk.view["drawer"]["matches"] == 1 and len(walk.view["rows"][0]["works"]) == 20


def test_the_switch_is_in_the_link_and_in_the_table(walk, collection, searches, out):
    assert list(walk.gallery.table()["left_out"]) == [""] * 10
    assert set(walk.gallery.table()["machine_made"]) & {TOOL, "a tool", "yes"}
    walk.change(machine_made=False)
    table = walk.gallery.table()
    assert set(table["left_out"]) == {"machine_made"} and set(table["machine_made"]) == {""}
    other = Walk(Gallery(collection, searches, link=walk.view["ask"]["link"], out=out))
    assert other.view["rows"] == walk.view["rows"] and not other.gallery.question.machine_made


def test_a_gallery_opens_without_them_unless_it_is_told(collection, searches, out):
    opened = Walk(Gallery(collection, searches, out=out))
    assert not opened.view["machine_made"]["shown"]
    assert opened.query in by_hand(collection)
    link = opened.view["ask"]["link"].replace("&machine=no", "")
    for options in ({"query": collection.ids[5]}, {"link": link}, {"machine_made": True}):
        assert Gallery(collection, searches, out=out, **options).question.machine_made
    opened.change(machine_made=True)
    assert opened.view["machine_made"]["shown"]


def test_where_there_are_none_there_is_no_switch(paintings, out):
    collection = Collection(paintings)
    walk = Walk(Gallery(collection, searches_by_colour(collection), out=out))
    assert not walk.view["machine_made"]["available"]
    assert walk.gallery.question.is_plain
    walk.change(machine_made=False)
    assert walk.gallery.question.is_plain and len(drawn(walk)) == 21
    assert not {"left_out", "machine_made"} & set(walk.gallery.table())


# ---- the page and the site ---------------------------------------------------------------------


def test_the_page_asks_for_works_by_hand_and_holds_both_answers(collection, searches, tmp_path):
    path = write_page(collection, searches, tmp_path / "gallery.html", queries=4, k=5)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    shown = [attributes["data-id"] for _, attributes in page.elements if "data-id" in attributes]
    assert len(shown) == 4 * (1 + 2 * 3 * 5)
    for start in range(0, len(shown), 31):
        asked, without, every = shown[start], shown[start + 1 :][:15], shown[start + 16 :][:15]
        searched = [searches[network.name, "no_crop"] for network in searches.networks]
        assert asked in by_hand(collection)
        assert without == sum((one.ask(asked, 5, machine_made=False).ids for one in searched), [])
        assert every == sum((one.by_work(asked, 5).ids for one in searched), [])
    marks = sum(attributes.get("class") == "machine" for _, attributes in page.elements)
    assert marks == sum(id in collection.machines for id in shown) > 0
    assert "Show the 12 works made by a machine too" in page.text
    assert "machine-made" not in plain_page(tmp_path)


def plain_page(folder):
    collection = Collection(make_folder(folder / "plain", ["a", "b", "c"]))
    path = write_page(collection, searches_by_colour(collection), folder / "plain.html", k=1)
    return path.read_text(encoding="utf-8").partition("</style>")[2]


def test_the_site_opens_on_an_answer_without_them(collection, searches, built):
    head = head_of(built)
    hand, first = set(by_hand(collection)), head["first"]
    assert head["has_both"] and first["id"] in hand
    for name, answer in first["answers"].items():
        expected = searches[name, "no_crop"].ask(first["id"], 10, machine_made=False)
        assert answer["ids"] == expected.ids and answer["notes"] == list(expected.notes)


# ---- in a browser ------------------------------------------------------------------------------


@pytest.fixture
def page(browser, built):
    with visit(browser, viewport={"width": 1280, "height": 900}) as page:
        page.goto(built.as_uri())
        ready(page)
        yield page


def switch(page, said):
    group = tool(page, "machine")
    group.get_by_role("button", name=said).click()
    group.locator(f"[aria-pressed=true]:text-is('{said}')").wait_for()
    put_away(page)


def test_a_visitor_shows_them_and_leaves_them_out(page, collection):
    hand = set(by_hand(collection))
    assert query(page) in hand and set(ids(page, "drawer")) == hand
    assert works(page, "neighbours").count() == 3 * 10 and set(ids(page, "neighbours")) <= hand
    assert "&machine=no&" in page.url and "&compare=1" in page.url
    switch(page, "shown")
    page.locator("[data-part=drawer]").get_by_text("24 works").wait_for()
    assert "machine=no" not in page.url
    for part in ("drawer", "neighbours"):
        for work in works(page, part).all():
            made = work.get_attribute("data-id") in collection.machines
            assert work.get_by_text("machine", exact=True).is_visible() == made
            assert work.locator("img").get_attribute("alt").startswith("Artist")
            assert ("made by a machine" in work.locator("img").get_attribute("alt")) == made
    # The name of the tool is text, in the caption and beside the selected work.
    id = next(id for id in ids(page, "drawer") if collection.machine_made(id) == TOOL)
    page.locator(f"[data-part=drawer] [data-id='{id}']").hover()
    page.locator("[data-part=caption]").get_by_text(f"Made by a machine: {TOOL}").wait_for()
    page.locator(f"[data-part=drawer] [data-id='{id}']").click()
    page.locator("[data-part=query]").get_by_text(f"Made by a machine: {TOOL}").wait_for()
    assert page.title() == "Visually similar artworks"
    switch(page, "left out")
    page.locator("[data-part=drawer]").get_by_text("12 works").wait_for()
    assert query(page) == id and set(ids(page, "neighbours")) <= hand
    page.go_back()
    page.locator("[data-part=drawer]").get_by_text("24 works").wait_for()


def test_a_lean_page_has_large_pictures_of_works_by_hand_alone(collection, searches, tmp_path):
    built = write_site(collection, searches, tmp_path / "site", progress=False, lean=True)
    assert len(list((built.parent / "thumbs").rglob("*.jpg"))) == 24
    assert len(list((built.parent / "images").rglob("*.jpg"))) == 12
    code = """async () => {
      const { works } = await load("works").then(readWorks);
      return works.map(({ id, image, large }) => [id, image.split("/")[0], large]);
    }"""
    for id, folder, large in run_script(code, None, tmp_path, built.parent / "data"):
        assert large == (folder == "images") == (id in by_hand(collection))


def test_a_link_from_before_shows_what_it_showed(browser, built, collection):
    with visit(browser) as page:
        page.goto(f"{built.as_uri()}#work={collection.ids[5]}&network={LITE}&crop=no_crop&k=10")
        page.locator("[data-part=drawer]").get_by_text("24 works").wait_for()
        assert query(page) == collection.ids[5] and works(page, "neighbours").count() == 10


def test_the_exported_table_is_the_same_in_python(page, collection, searches):
    with page.expect_download() as download:
        page.locator("[data-part=export]").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    options = {"query": query(page), "crop": "no_crop", "machine_made": False}
    walk = Walk(Gallery(collection, searches, **options))
    walk.change(compare=True)
    theirs, mine = (
        list(csv.DictReader(io.StringIO(one))) for one in (text, to_safe_csv(walk.gallery.table()))
    )
    for row in (*theirs, *mine):
        row["distance"] = f"{float(row['distance']):.2f}"
    theirs, mine = (
        [row | {"distance": "", "share": ""} for row in rows] for rows in (theirs, mine)
    )
    assert theirs == mine


def test_the_page_shows_them_with_one_click(browser, collection, searches, tmp_path):
    path = write_page(collection, searches, tmp_path / "gallery.html", queries=2, k=4)
    with visit(browser) as page:
        page.goto(path.as_uri())
        section = page.locator("section").first
        shown = section.locator("li:visible")
        assert shown.count() == 1 + 12 and section.get_by_text("machine", exact=True).count() > 0
        assert not section.locator(".machine:visible").count()
        page.get_by_label("made by a machine too").check()
        assert shown.count() == 1 + 12 and section.locator(".machine:visible").count()
