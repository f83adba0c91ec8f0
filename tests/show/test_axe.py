"""axe-core finds nothing serious in page, app, judging, book and map, light and dark."""

import numpy as np
import pytest
from apps import (
    IMPORTS_MAP,
    SHOW_MAP,
    WAVE,
    map_ready,
    opened,
    ready,
    served,
    settled,
    write_notebook,
)
from axe import examine
from browser import begin_part, chromium, part, put_away, tool, visit, works
from judging import asked, enter, made_up_questions, vote
from madeup import make_folder, searches_by_colour

from artsearch.cli.book import write_book
from artsearch.features.features import Features
from artsearch.search.searches import Searches
from artsearch.show.judge_page import write_judge_page
from artsearch.show.site import write_site

NETWORKS = ["efficientnet_lite0", "efficientnet_lite1"]
ROOT = ".artsearch"  # what is around it in the app is Voilà's
# Nothing is looked at while it fades.
MODES = [
    {
        "viewport": {"width": width, "height": 900},
        "color_scheme": scheme,
        "reduced_motion": "reduce",
    }
    for scheme in ("light", "dark")
    for width in (1280, 360)
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(
    params=MODES, ids=lambda mode: f"{mode['color_scheme']}-{mode['viewport']['width']}"
)
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def searches(collection, out, one_thread):
    return Searches(collection, NETWORKS, "no_crop", out, progress=False)


@pytest.fixture(scope="module")
def site(collection, searches, tmp_path_factory):
    return write_site(collection, searches, tmp_path_factory.mktemp("axe") / "site", progress=False)


@pytest.fixture(scope="module")
def app(paintings, searches, out, tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    known = {"COLLECTION": str(paintings), "NETWORKS": NETWORKS, "OUT": str(out), "QUERY": WAVE}
    with served(write_notebook(folder / "gallery.ipynb", known), folder) as address:
        yield address


def answered(page):
    page.wait_for_selector(".artsearch:not(.as-waiting)")
    page.wait_for_function("document.querySelectorAll('[data-part=neighbours] li').length > 0")


def walk(page, root):
    """Go through all that the gallery can show, and examine each."""
    examine(page, "at first", root)
    part(page, "more").click()
    examine(page, "more choices", root)
    put_away(page)

    tool(page, "ask-more").click()
    field = page.get_by_role("combobox", name="Only where")
    field.fill('style != "Ukiyo-e"')
    page.keyboard.press("Enter")
    part(page, "clear").wait_for()
    answered(page)
    field.fill("sty")
    page.get_by_role("option").first.wait_for()
    examine(page, "a condition half written", root)
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(visible=True).wait_for()
    examine(page, "a condition that is none", root)
    field.press("Escape")
    put_away(page)

    open_menu(page)
    examine(page, "menu", root)
    page.get_by_role("menuitem", name="Like this too").click()
    page.locator(".as-chip input").first.wait_for()
    answered(page)
    works(page, "neighbours").nth(1).focus()
    examine(page, "two works and a caption", root)
    page.keyboard.press("c")
    for key in ("s", "g"):
        examine(page, "two works large", root)
        page.keyboard.press(key)
    page.keyboard.press("Escape")
    part(page, "clear").click()
    part(page, "clear").wait_for(state="hidden")
    answered(page)

    begin_part(page)
    examine(page, "drawing a part", root)
    page.keyboard.press("Enter")
    part(page, "whole").wait_for()
    answered(page)
    part(page, "session-menu").click()
    examine(page, "a part, and the menu of the session", root)
    page.keyboard.press("Escape")
    part(page, "clear").click()
    part(page, "clear").wait_for(state="hidden")
    answered(page)

    open_menu(page)
    page.get_by_role("menuitem", name="Why similar?").click()
    part(page, "why").wait_for()
    answered(page)
    examine(page, "why", root)
    part(page, "why-try").click()
    page.locator(".as-trials").wait_for(timeout=120_000)
    examine(page, "by experiment", root)
    part(page, "why-close").click()
    part(page, "why").wait_for(state="hidden")
    answered(page)

    part(page, "time").click()
    page.locator(".as-timeline").first.wait_for()
    examine(page, "by time", root)


def open_menu(page):
    works(page, "neighbours").nth(1).focus()
    page.keyboard.press("m")
    page.get_by_role("menu").wait_for()


def test_the_page(browser, site, mode):
    with visit(browser, **mode) as page:
        page.goto(site.as_uri())
        answered(page)
        examine(page, "side by side")
        page.goto("about:blank")
        page.goto(f"{site.as_uri()}#network={NETWORKS[0]}")
        answered(page)
        walk(page, "html")
        for summary in page.locator("summary").filter(visible=True).all():
            summary.click()
        examine(page, "all that is said below")


def test_the_app(browser, app, mode):
    with opened(browser, app, f"?theme={mode['color_scheme']}", **mode) as page:
        ready(page)
        walk(page, ROOT)
        settled(page)


def test_the_judging_page(browser, collection, mode, tmp_path):
    questions = made_up_questions(collection)
    page_of = write_judge_page(collection, questions, tmp_path, progress=False)
    with visit(browser, **mode) as page:
        page.goto(page_of.as_uri())
        page.wait_for_selector("[data-screen=name]")
        examine(page, "who judges")
        enter(page, "Ada", skip=False)
        examine(page, "examples")
        page.locator("[data-part=skip]").click()
        page.locator("[data-part=go]").click()
        asked(page)
        screens = set()
        for _ in questions:
            screen = page.locator(".aj").get_attribute("data-screen")
            if screen not in screens:
                examine(page, screen)
            screens.add(screen)
            vote(page, "e")
        examine(page, "thanks")


@pytest.fixture(scope="module")
def book(collection, tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    for name in ("notebooks", "docs"):
        (folder / name).mkdir()
    write_notebook(folder / "notebooks" / "04_compare.ipynb", {"K": 10})
    (folder / "docs" / "dial.md").write_text("# Dial\n\n[there](../notebooks/04_compare.ipynb)\n")
    layout = Features(np.random.default_rng(0).uniform(-1, 1, (len(collection), 2)), collection.ids)
    places = folder / "notebooks", folder / "docs", folder / "out"
    write_book(collection, searches_by_colour(collection), layout, *places, progress=False)
    return folder / "out"


def test_the_book(browser, book, mode):
    with visit(browser, **mode) as page:
        for name in ("index.html", "04_compare.html", "docs/dial.html", "map.html"):
            page.goto((book / name).as_uri())
            page.wait_for_load_state("networkidle")
            examine(page, name)


@pytest.fixture(scope="module")
def map_app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    works = make_folder(folder / "works", [f"Title {number}" for number in range(400)])
    known = {"COLLECTION": str(works), "COLUMN": "artist", "OUT": str(folder / "out")}
    with served(
        write_notebook(folder / "map.ipynb", known, IMPORTS_MAP, SHOW_MAP), folder
    ) as address:
        yield address


def test_the_map(browser, map_app, mode):
    with opened(browser, map_app, f"?theme={mode['color_scheme']}", **mode) as page:
        map_ready(page)
        examine(page, "the map", ".artsearch-map")
