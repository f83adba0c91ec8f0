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
from browser import begin_part, part, put_away, tool, visit, works
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


FOCUSED = """() => {
  const one = document.activeElement;
  const seen = getComputedStyle(one).outlineStyle !== "none";
  return one !== document.body && (seen || one.matches("[role=menuitem], [role=dialog], dialog"));
}"""


def answered(page):
    page.wait_for_selector(".artsearch:not(.as-waiting) [data-part=query][data-id]")


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


def press(page, *keys):
    """Press keys; after each the focus is somewhere, and seen unless it is on a whole dialog."""
    for key in keys:
        page.keyboard.press(key)
        answered(page)
        assert page.evaluate(FOCUSED), (key, page.evaluate("document.activeElement.outerHTML")[:99])


def tab_to(page, wanted):
    """Press Tab until the focus is in what a selector means."""
    for _ in range(90):
        page.keyboard.press("Tab")
        if page.evaluate("one => !!document.activeElement.closest(one)", wanted):
            return
    raise AssertionError(f"no way by keyboard to {wanted}")


def is_focused(page, wanted):
    return page.evaluate("one => document.activeElement.matches(one)", wanted)


def choose(page, text):
    """Choose in the menu that is open."""
    items = page.get_by_role("menuitem").all_inner_texts()
    press(page, *["ArrowDown"] * items.index(text), "Enter")


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


@pytest.mark.parametrize("width", [1280, 360])
def test_the_keyboard_is_enough_for_everything(browser, site, width):
    with visit(browser, viewport={"width": width, "height": 900}) as page:
        page.goto(f"{site.as_uri()}#network={NETWORKS[0]}")
        answered(page)
        neighbour = "[data-part=neighbours] [data-part=work]"
        tab_to(page, neighbour)
        press(page, "ArrowRight", "Enter", "ArrowRight", "Enter")
        assert is_focused(page, neighbour)
        tab_to(page, "[data-part=history] [aria-label=Back]")
        press(page, "Enter", "Enter")  # and there is nothing to go back to
        assert is_focused(page, "[aria-label=Forward]")

        for part_of, keys in (("k", ["ArrowRight"]), ("slider", ["ArrowRight", "Home", "End"])):
            tool_by_keys(page, f".as-{part_of} input")
            press(page, *keys)
            press(page, "Escape")
        tool_by_keys(page, "[data-part=ask-more]")
        press(page, "Enter")
        tab_to(page, "[data-part=where] input")
        page.keyboard.type("sty")
        press(page, "ArrowDown", "Enter")
        page.keyboard.type('!= "Ukiyo-e"')
        press(page, "Escape", "Enter")
        page.locator(".as-chip").wait_for()
        press(page, "Escape")
        assert is_focused(page, "[data-part=ask-more]")
        press(page, "Escape")
        tab_to(page, ".as-chip button")
        press(page, "Enter")
        assert not page.locator(".as-chip").count()

        tab_to(page, neighbour)
        press(page, "m", "ArrowUp", "Escape")
        assert is_focused(page, neighbour)
        press(page, "m")
        choose(page, "Like this too")
        tab_to(page, ".as-chip input")
        press(page, "ArrowUp")
        tab_to(page, "[data-part=clear]")
        press(page, "Enter")
        tab_to(page, neighbour)
        press(page, "c", "Tab", "s", "ArrowRight", "g", "n")
        press(page, *["+"] * 6, "0", "Escape")
        assert is_focused(page, neighbour)

        press(page, "m")
        choose(page, "Why similar?")
        part(page, "why").wait_for()
        tab_to(page, "[data-part=why-large]")
        press(page, "Enter", "Escape")
        tab_to(page, "[data-part=why-try]")
        press(page, "Enter")
        page.locator(".as-trials").wait_for(timeout=120_000)
        assert is_focused(page, "[data-part=why-close]")
        press(page, "Enter")
        assert is_focused(page, neighbour)

        tab_to(page, ".as-word")
        press(page, "Enter", "Escape")
        assert is_focused(page, ".as-word")
        press(page, "Enter", "Tab", "Enter")
        assert is_focused(page, ".as-word")
        tab_to(page, "[data-part=clear]")
        press(page, "Enter")
        tab_to(page, "[data-part=draw]")
        press(page, "Enter", "ArrowRight", "Shift+ArrowDown", "Enter")
        tab_to(page, "[data-part=whole]")
        press(page, "Enter")
        assert is_focused(page, "[data-part=draw]")
        tab_to(page, "[data-part=session-menu]")
        press(page, "Enter", "ArrowUp", "Escape")
        assert is_focused(page, "[data-part=session-menu]")


def tool_by_keys(page, wanted):
    """Go to a tool of the gallery, by way of "…" where it stands behind that."""
    if not page.locator(wanted).is_visible():
        tab_to(page, "[data-part=more]")
        press(page, "Enter")
    tab_to(page, wanted)


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
