"""The dial between content and style, in the gallery's state, in the widget and in a browser."""

import io

import numpy as np
import pandas as pd
import pytest
from browser import chromium, ids
from madeup import MadeUpDial, searches_by_colour
from PIL import Image
from test_gallery_browser import MADE_UP, opened, ready, screenshot, served, settled, write_notebook

from artsearch.errors import ArtsearchError
from artsearch.gallery import Gallery
from artsearch.gallery_state import GalleryState, dial_place
from artsearch.gallery_view import dial_text

WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection, dial=True)


@pytest.fixture
def state(collection, searches, out):
    return GalleryState(collection, searches, query=WAVE, out=out)


def shown(state):
    """The ids of the rows."""
    return [[work["id"] for work in row["works"]] for row in state.view()["rows"]]


# ---- the state -------------------------------------------------------------------------------


def test_turning_shows_what_the_dial_finds(state, searches):
    final = shown(state)
    assert state.view()["dial"] == {
        "available": True,
        "place": None,
        "text": "the network's final layer",
    }
    for place in (0, 0.25, 0.5, 1):
        state.turn_dial(place)
        expected = searches.dial(LITE, "no_crop", place).by_work(WAVE, 10)
        assert shown(state) == [expected.ids] != final
        assert state.view()["dial"]["place"] == place and state.view()["unit"] == expected.unit
    assert state.view()["dial"]["text"] == "style alone"
    state.turn_dial(None)
    assert shown(state) == final and state.view()["dial"]["place"] is None


def test_the_other_choices_keep_the_dial(state, searches, collection):
    state.turn_dial(0.3)
    state.use_network("efficientnet_lite2")
    state.use_crop("center_crop")
    state.select(collection.ids[0])
    state.set_k(4)
    expected = searches.dial("efficientnet_lite2", "center_crop", 0.3)
    assert shown(state) == [expected.by_work(collection.ids[0], 4).ids]


def test_side_by_side_all_networks_are_at_the_same_place(state, searches):
    state.turn_dial(0.7)
    state.compare()
    names = [network.name for network in searches.networks]
    expected = [searches.dial(name, "no_crop", 0.7).by_work(WAVE, 10).ids for name in names]
    assert shown(state) == expected and state.view()["overlap"] is not None


@pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan"), float("inf"), "half", True, [0.5]])
def test_wrong_places_leave_everything_as_it_was(state, wrong):
    state.turn_dial(0.5)
    before = state.view()
    state.turn_dial(wrong)
    error = state.view()["error"]
    assert error.startswith(f"the dial is {wrong!r}; take a number from 0 (content) to 1 (style)")
    assert state.view() == before | {"error": error}


@pytest.mark.parametrize("place, rounded", [(0.333, 0.33), (np.float32(0.7), 0.7), (1, 1.0)])
def test_places_are_rounded(place, rounded):
    assert dial_place(place) == rounded and type(dial_place(place)) is float


@pytest.mark.parametrize(
    "place, said",
    [(0, "content alone"), (0.5, "half way"), (0.55, "more style than content (0.55)")],
)
def test_places_in_words(place, said):
    assert dial_text(place).startswith(said)


def test_beginning_at_a_place(collection, searches, out):
    state = GalleryState(collection, searches, query=WAVE, dial=0.251, out=out)
    assert shown(state) == [searches.dial(LITE, "no_crop", 0.25).by_work(WAVE, 10).ids]
    with pytest.raises(ArtsearchError, match="the dial is 2; take"):
        GalleryState(collection, searches, dial=2, out=out)


def test_searches_without_a_dial(collection, out):
    without = searches_by_colour(collection)
    state = GalleryState(collection, without, query=WAVE, out=out)
    before = state.view()
    assert not before["dial"]["available"]
    state.turn_dial(0.5)
    assert "these searches have none" in state.view()["error"]
    assert state.view()["rows"] == before["rows"]
    state.turn_dial(None)
    assert not state.view()["error"]
    with pytest.raises(ArtsearchError, match="have none; take None"):
        GalleryState(collection, without, dial=0.5, out=out)


def test_a_network_without_a_blend_leaves_the_dial_out(collection, out):
    searches = searches_by_colour(collection, dial=True)
    searches.has_dial = False  # as Searches says it
    assert not GalleryState(collection, searches, out=out).view()["dial"]["available"]


def test_an_upload_is_described_once_for_all_places(state, searches, collection):
    data = io.BytesIO()
    Image.new("RGB", (30, 40)).save(data, "PNG")
    state.turn_dial(0.5)
    before = MadeUpDial.described
    state.upload(data.getvalue(), "mine.png")
    found = []
    for place in (0, 0.4, 1):
        state.turn_dial(place)
        found += shown(state)
        assert found[-1][0] == collection.ids[0]  # which every image is taken for
    assert found[0] != found[-1] and not state.view()["error"]
    assert MadeUpDial.described == before + 1
    # The final layer, another crop and another upload are other rows.
    searches[LITE, "no_crop"].describe = lambda image: searches[LITE, "no_crop"].index._vectors[5]
    state.turn_dial(None)
    assert shown(state)[0][0] == collection.ids[5]
    state.turn_dial(0)
    assert shown(state)[0] == found[0] and MadeUpDial.described == before + 1
    state.use_crop("center_crop")
    state.upload(data.getvalue(), "again.png")
    assert MadeUpDial.described == before + 3


def test_the_table_says_the_place(state):
    assert state.results()["dial"].isna().all()
    assert pd.read_csv(io.StringIO(state.to_csv()), keep_default_na=False)["dial"].eq("").all()
    state.turn_dial(0.25)
    table = pd.read_csv(io.StringIO(state.to_csv()))
    assert table.columns.tolist()[:5] == ["query", "network", "crop", "dial", "rank"]
    assert table["dial"].eq(0.25).all() and len(table) == 10


# ---- the widget ------------------------------------------------------------------------------


def test_widget_turns(collection, searches, out):
    gallery = Gallery(collection, searches, query=WAVE, dial=0.5, out=out)
    half = [work["id"] for work in gallery.view["rows"][0]["works"]]
    assert gallery.view["dial"]["place"] == 0.5
    gallery._handle_custom_msg({"do": "dial", "place": 1}, [])
    assert gallery.view["dial"]["place"] == 1.0
    assert [work["id"] for work in gallery.view["rows"][0]["works"]] != half
    gallery._handle_custom_msg({"do": "dial", "place": "x"}, [])
    assert "the dial is 'x'" in gallery.view["error"] and gallery.view["dial"]["place"] == 1.0
    gallery._handle_custom_msg({"do": "dial", "place": None}, [])
    assert gallery.view["dial"]["place"] is None and not gallery.view["error"]


# ---- in a browser ----------------------------------------------------------------------------

IMPORTS = MADE_UP.replace("import MadeUpSearches", "import searches_by_colour")
# A slow answer, so that a drag is faster than the kernel.
SHOW = """\
import time

collection = Collection(COLLECTION)
gallery = Gallery(collection, searches_by_colour(collection, dial=True), query=QUERY, out=OUT)
asked = []

def turn(place, turn=gallery.state.turn_dial):
    asked.append(place)
    time.sleep(0.2)
    gallery.state.searches.sentence = f"asked {asked}"
    turn(place)

gallery.state.turn_dial = turn
gallery"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def app(browser, paintings, out):
    parameters = {"COLLECTION": str(paintings), "QUERY": WAVE, "OUT": str(out)}
    notebook = write_notebook(out / "dial.ipynb", parameters, IMPORTS, SHOW)
    with served(notebook, out) as address:
        yield address


@pytest.fixture
def page(browser, app):
    with opened(browser, app) as page:
        ready(page)
        yield page


def found(searches, place, k=10):
    return searches.dial(LITE, "no_crop", place).by_work(WAVE, k).ids


def wait_for_place(page, text):
    page.locator("[data-part=neighbours] h3", has_text=text).wait_for()
    settled(page)


def slider_of(page):
    return page.get_by_role("slider", name="Dial")


def press(page, name):
    button = f"[data-part=dial] button[data-name={name}]"
    page.click(button)
    page.wait_for_selector(f"{button}[aria-pressed=true]")
    settled(page)


def test_turning_in_the_browser(page, searches):
    final = ids(page, "neighbours")
    slider = slider_of(page)
    assert slider.get_attribute("aria-valuetext") == "not in use: the network's final layer"
    press(page, "dial")
    wait_for_place(page, "half way: content and style alike")
    assert ids(page, "neighbours") == found(searches, 0.5) != final
    assert slider.get_attribute("aria-valuetext") == "half way: content and style alike"
    slider.fill("0.05")
    wait_for_place(page, "more content than style (0.05)")
    assert ids(page, "neighbours") == found(searches, 0.05)

    # The keyboard turns on from there, and the focus stays.
    slider.focus()
    for key, place, text in (
        ("ArrowLeft", 0, "content alone"),
        ("End", 1, "style alone"),
        ("ArrowDown", 0.95, "more style than content (0.95)"),
    ):
        page.keyboard.press(key)
        wait_for_place(page, text)
        assert ids(page, "neighbours") == found(searches, place)
        assert slider.get_attribute("aria-valuetext") == text
        assert page.evaluate("document.activeElement.ariaLabel") == "Dial"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"

    press(page, "final")
    assert ids(page, "neighbours") == final
    # And from the final layer, the slider alone takes the dial up again, where it was.
    slider.press("ArrowRight")
    wait_for_place(page, "style alone")
    assert page.locator("[data-part=dial] [aria-pressed=true]").inner_text().lower() == "dial"


def test_while_an_answer_is_awaited_only_the_last_place_is_kept(page, searches):
    press(page, "dial")
    slider = slider_of(page)
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, middle, steps=40)
    assert slider.input_value() == "1"
    page.mouse.up()
    wait_for_place(page, "style alone")
    assert slider.input_value() == "1"
    asked = page.locator(".as-sentence").inner_text()
    assert 1 < asked.count("0.") <= 4 and asked.endswith("1]"), asked
    assert ids(page, "neighbours") == found(searches, 1)


def test_side_by_side_in_the_browser(page, searches):
    press(page, "dial")
    page.click("[data-part=compare]")
    page.wait_for_selector("[data-part=overlap]")
    slider_of(page).press("Home")
    page.wait_for_selector("[aria-valuetext='content alone']")
    page.wait_for_selector(".artsearch:not(.as-waiting)")
    settled(page)
    expected = [
        searches.dial(one.name, "no_crop", 0).by_work(WAVE, 10).ids for one in searches.networks
    ]
    assert ids(page, "neighbours") == sum(expected, [])


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_by_touch_narrow_and_wide(browser, app, width, theme):
    size = {"width": width, "height": 1000}
    with opened(
        browser, app, f"?theme={theme}", color_scheme=theme, viewport=size, has_touch=True
    ) as page:
        ready(page)
        screenshot(page, f"dial-widget-{width}-{theme}-off")
        box = slider_of(page).bounding_box()
        page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
        wait_for_place(page, "more style than content (0.")  # near 0.75: the thumb has a width
        assert page.evaluate("document.querySelector('.artsearch').scrollWidth") <= width
        screenshot(page, f"dial-widget-{width}-{theme}")
