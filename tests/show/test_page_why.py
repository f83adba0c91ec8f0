"""Why two works are similar, on the page: the places that match are Python's."""

import base64
import json
import re
import zlib
from contextlib import ExitStack
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
from browser import SCREENS, ids, open_menu, part, query, served, visit, works
from scripts import run_script

from artsearch.gallery.answers import _in_whole
from artsearch.gallery.session import Session
from artsearch.gallery.session_table import make_table
from artsearch.networks.registry import NETWORKS
from artsearch.search.answer import cut
from artsearch.search.experiment import CHANGES
from artsearch.search.matches import Matcher, choose_pairs
from artsearch.search.searches import Searches
from artsearch.show.site import write_site
from artsearch.works.images import open_image

LITE = "efficientnet_lite0"
DONE = ".artsearch:not(.as-waiting)"
FEW = 5
slow = pytest.mark.slow

PAIRS = """async ([first, second, side]) => {
  const maps = ({ length }, values) => (
    { values: Float32Array.from(values), side, channels: length / side / side });
  return choosePairs(maps(first, first), maps(second, second), MOST);
}"""
MATCH = """async ([names, crop, region]) => {
  const site = await load("works").then(readWorks);
  const eyes = createEyes(site, load, () => {});
  const asked = { network: site.networks[0].name, crop };
  const found = [];
  for (const [one, other] of names) found.push(await eyes.match(asked, one, region, other));
  return found;
}"""


@pytest.fixture(scope="module")
def site(collection, out, one_thread, tmp_path_factory):
    """The page of the shipped paintings."""
    searches = Searches(collection, LITE, "no_crop", out, progress=False, precision="exact")
    folder = tmp_path_factory.mktemp("why") / "site"
    return write_site(collection, searches, folder, progress=False, dial=False)


@pytest.fixture(scope="module")
def page(browser, site):
    with visit(browser, viewport={"width": 1280, "height": 900}) as page:
        page.goto(site.as_uri())
        page.wait_for_selector(DONE)
        yield page


@pytest.fixture
def picture(site, collection):
    """What brings the picture of a work that the page has, as the bytes of a JPEG file."""

    def find(work_id):
        shown = json.loads(zlib.decompress(base64.b64decode(read(site, "works")["works"])))
        place = 12 * shown["id"].index(work_id)
        name = shown["picture"][place : place + 12]
        return base64.b64decode(read(site, f"picture--{name}")["jpeg"])

    return find


def read(site, name):
    text = (site.parent / "data" / f"{name}.js").read_text(encoding="ascii")
    return json.loads(f"[{text[text.index('(') + 1 : text.rindex(')')]}]")[1]


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_of_python(tmp_path, seed):
    """Of maps in which some places of the one come again in the other."""
    random, side = np.random.default_rng(seed), 9
    first, second = random.random((2, side, side, 8)).astype(np.float32)
    second[2:7, 1:6] = 0.9 * first[1:6, 3:8] + 0.1 * second[2:7, 1:6]
    expected = [
        [one[0] * side + one[1], other[0] * side + other[1], pytest.approx(strength, abs=1e-5)]
        for one, other, strength in choose_pairs(first, second, 5)
    ]
    given = [first.ravel().tolist(), second.ravel().tolist(), side]
    assert run_script(PAIRS, given, tmp_path) == expected and expected


def test_places_are_those_of_python(page, collection, picture):
    matcher = Matcher(NETWORKS[LITE], "no_crop")
    names = list(combinations(collection.ids[:FEW], 2))
    expected = [matcher.match(picture(one), picture(other)) for one, other in names]
    assert common(expected, page.evaluate(MATCH, [names, "no_crop", None])) >= 0.85


def test_places_of_a_part_and_of_the_middle(page, collection, picture):
    matcher, region = Matcher(NETWORKS[LITE], "center_crop"), (0.1, 0.3, 0.8, 0.95)
    names = list(combinations(collection.ids[:FEW], 2))[:4]
    expected = []
    for one, other in names:
        found = matcher.match(cut(open_image(picture(one)), region), picture(other))
        expected.append([_in_whole(match, region) for match in found])
    found = page.evaluate(MATCH, [names, "center_crop", list(region)])
    assert common(expected, found) >= 0.75


@slow
def test_places_in_all_paintings_are_those_of_python(page, collection, picture):
    matcher = Matcher(NETWORKS[LITE], "no_crop")
    names = list(combinations(collection.ids, 2))
    expected = [matcher.match(picture(one), picture(other)) for one, other in names]
    assert common(expected, page.evaluate(MATCH, [names, "no_crop", None])) >= 0.9


def common(expected, found):
    """Return what share of Python's pairs of places the page has."""
    has = [
        any(np.abs(box_of(asdict(one)) - box_of(other)).max() < 0.02 for other in theirs)
        for mine, theirs in zip(expected, found, strict=True)
        for one in mine
    ]
    return np.mean(has)


def box_of(match):
    return np.array([*match["first"], *match["second"]])


# ---- the page ----------------------------------------------------------------------------------


@pytest.fixture(params=["file", pytest.param("server", marks=slow)])
def visitor(browser, site, request):
    """Somebody who opens the page by double click, or from a plain web server."""
    with ExitStack() as opened:
        host = opened.enter_context(served(site.parent)) if request.param == "server" else ""
        page = opened.enter_context(visit(browser, (host,) if host else ()))
        page.goto(f"http://{host}/" if host else site.as_uri())
        page.wait_for_selector(DONE)
        yield page


def ask_why(page, place, item="Why similar?"):
    open_menu(page, "neighbours", place).get_by_text(item).click()
    page.wait_for_selector("[data-part=why]:not([hidden])")
    page.wait_for_selector(DONE)


def test_a_visitor_asks_why_and_tries(visitor, collection):
    before, other = ids(visitor, "neighbours"), ids(visitor, "neighbours")[1]
    ask_why(visitor, 1)
    said = part(visitor, "why").locator(".as-said p").inner_text()
    found = re.fullmatch(r"EfficientNet-Lite0 finds (\d) places? in these two pictures .*", said)
    boxes = int(found[1])
    assert visitor.locator(".as-match").count() == 2 * boxes > 0
    assert collection.caption(other) in part(visitor, "why").locator("figcaption").inner_text()
    part(visitor, "why-try").press("Enter")
    visitor.wait_for_selector(".as-trials")
    visitor.wait_for_selector(DONE)
    assert visitor.evaluate("document.activeElement.dataset.part") == "why-close"
    rows = visitor.locator(".as-trials tr")
    assert rows.locator("th[scope=row]").all_inner_texts() == [
        "as it is",
        *(one.how for one in CHANGES),
    ]
    assert rows.nth(1).locator("td").first.inner_text() == "2"
    assert "Not repainted" in part(visitor, "why-tried").inner_text()
    assert part(visitor, "why-try").is_hidden()
    assert ids(visitor, "neighbours") == before
    visitor.screenshot(path=SCREENS / "site-why.png", full_page=True)
    part(visitor, "why-close").click()
    assert part(visitor, "why").is_hidden()


def test_why_with_a_picture_of_ones_own_which_is_not_kept(visitor, collection, tmp_path):
    assert part(visitor, "keep").is_visible()
    mine = tmp_path / "mine.png"
    open_image(collection.path(collection.ids[3])).crop((20, 10, 300, 280)).save(mine)
    part(visitor, "upload").locator("input").first.set_input_files(mine)
    visitor.wait_for_selector("[data-part=query][data-id='your image: 1']")
    visitor.wait_for_selector(DONE)
    assert part(visitor, "keep").is_hidden()
    assert open_menu(visitor, "history", 1).all_inner_texts() == ["What is asked"]
    visitor.keyboard.press("Escape")
    ask_why(visitor, 0)
    assert visitor.locator(".as-match").count() > 0
    part(visitor, "why-try").click()
    visitor.wait_for_selector(".as-trials")
    works(visitor, "neighbours").nth(2).click()
    visitor.wait_for_selector(DONE)
    assert part(visitor, "keep").is_visible()


def test_why_is_not_offered_where_there_are_no_pictures(browser, collection, out, tmp_path):
    searches = Searches(collection, LITE, "no_crop", out, progress=False, precision="exact")
    site = write_site(
        collection, searches, tmp_path / "site", progress=False, dial=False, image_side=0
    )
    with visit(browser) as page:
        page.goto(site.as_uri())
        page.wait_for_selector(DONE)
        said = open_menu(page, "neighbours", 1).all_inner_texts()
        assert "Keep" in said and "Why similar?" not in said


def test_the_session_is_exported(visitor, collection, tmp_path):
    works(visitor, "neighbours").nth(1).click()
    visitor.wait_for_selector(DONE)
    part(visitor, "keep").click()
    visitor.wait_for_selector("[data-part=keep][aria-pressed=true]")
    files = {kind: export(visitor, f"(.{kind})", tmp_path) for kind in ("json", "csv", "html")}
    session = Session.load(files["json"], collection)
    assert len(session.steps) == 2 and list(session.kept) == [query(visitor)]
    table = files["csv"].read_bytes().decode("utf-8-sig")
    assert table == make_table(session)
    page = files["html"].read_text("utf-8")
    assert page.count('<img src="data:image/jpeg;base64,') > 20
    assert f"<title>A session through {session.origin.name}</title>" in page


def export(page, item, folder):
    with page.expect_download() as waiting:
        part(page, "session-menu").click()
        page.get_by_role("menuitem").get_by_text(item).click()
    file = folder / waiting.value.suggested_filename
    waiting.value.save_as(file)
    return file
