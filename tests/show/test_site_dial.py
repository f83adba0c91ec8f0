"""The dial between content and style on the static page: its files, and in a browser."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from browser import SCREENS, ids, put_away, query, slider_of, tool, visit, works
from madeup import searches_by_colour
from test_site import head_of, read_rows
from test_site_browser import ALONE, ready, slow
from walks import Walk

from artsearch.base.errors import MismatchError
from artsearch.gallery.widget import Gallery
from artsearch.show.site import write_site
from artsearch.works.table import to_safe_csv

LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection, dial=True)


@pytest.fixture(scope="module")
def built(collection, searches, tmp_path_factory):
    return write_site(collection, searches, tmp_path_factory.mktemp("out") / "site", progress=False)


# ---- files -----------------------------------------------------------------------------------


def test_the_dial_has_its_rows(collection, searches, built):
    for one in head_of(built)["descriptors"]:
        blend, dial = searches.dial(one["network"], one["crop"]).blend, one["dial"]
        for rows, head in ((blend.vectors, dial), (blend.raw, dial["raw"])):
            found = read_rows(built.parent / "data", head)
            np.testing.assert_allclose(found, rows, atol=0.51 / 127)
        assert dial["near"][10] == searches.dial(one["network"], one["crop"], 0.5).copy_distance
        assert min(dial["recall"]) > 0.98


def test_without_a_dial(collection, searches, tmp_path):
    left_out = write_site(collection, searches, tmp_path / "a", progress=False, dial=False)
    without = searches_by_colour(collection)
    has_none = write_site(collection, without, tmp_path / "b", progress=False)
    partly = searches_by_colour(collection, dial=True)
    partly.has_dial = False  # as Searches says it where a network has no blend
    has_some = write_site(collection, partly, tmp_path / "c", progress=False)
    for site in (left_out, has_none, has_some):
        assert {one["dial"] for one in head_of(site)["descriptors"]} == {None}
        assert not list((site.parent / "data").glob("*dial*"))


def test_a_dial_over_other_works_is_refused(collection, tmp_path):
    searches = searches_by_colour(collection, dial=True)
    other = searches.dial(LITE, "no_crop")
    other.index.ids = other.index.ids[1:]
    searches.dial = lambda *_: other
    said = f"of {LITE} and no_crop and of the dial of {LITE} and no_crop are not over the same"
    with pytest.raises(MismatchError, match=said):
        write_site(collection, searches, tmp_path / "site", progress=False)


# ---- in a browser ----------------------------------------------------------------------------


@pytest.fixture
def page(browser, built):
    with visit(browser, viewport={"width": 1280, "height": 900}) as page:
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url.rpartition("/")[2]))
        page.goto(built.as_uri() + ALONE)
        ready(page)
        yield page


def dials_asked(page):
    return [name.removesuffix(".js") for name in page.asked if "--dial-0" in name]


def wait_for_place(page, text):
    page.locator("[data-part=neighbours] h3", has_text=text).wait_for()


def press(page, name):
    tool(page, "dial").locator(f"button[data-name={name}]").click()
    page.wait_for_selector(f"[data-part=dial] [data-name={name}][aria-pressed=true]")
    put_away(page)


def test_turning(page, searches):
    def found(place, network=LITE):
        return searches.dial(network, "no_crop", place).by_work(query(page), 10).ids

    final = ids(page, "neighbours")
    assert dials_asked(page) == [] and "dial" not in page.url
    press(page, "dial")
    wait_for_place(page, "half way: content and style alike")
    assert ids(page, "neighbours") == found(0.5) != final
    assert dials_asked(page) == [f"{LITE}--no_crop--dial-0"]
    assert page.url.endswith("&dial=0.5")

    # The keyboard turns it in steps, and the focus stays.
    slider = slider_of(page)
    slider.focus()
    for key, place, text in (
        ("ArrowRight", 0.55, "more style than content (0.55)"),
        ("ArrowUp", 0.6, "more style than content (0.60)"),
        ("End", 1, "style alone"),
        ("Home", 0, "content alone"),
    ):
        page.keyboard.press(key)
        wait_for_place(page, text)
        assert ids(page, "neighbours") == found(place)
        assert slider.get_attribute("aria-valuetext") == text
        assert page.evaluate("document.activeElement.ariaLabel") == "Dial"
    assert len(dials_asked(page)) == 1  # its rows are here
    page.locator("[data-part=networks] button").nth(2).click()
    page.wait_for_selector("[data-part=neighbours] [data-network=efficientnet_lite2]")
    assert ids(page, "neighbours") == found(0, "efficientnet_lite2")
    page.locator("[data-part=networks] button").nth(0).click()
    page.wait_for_selector(f"[data-part=neighbours] [data-network={LITE}]")

    press(page, "final")
    assert ids(page, "neighbours") == final and "dial" not in page.url
    assert slider.get_attribute("aria-valuetext") == "not in use: the network's final layer"
    assert len(dials_asked(page)) == 2  # each file once


def test_side_by_side(page, searches):
    press(page, "dial")
    tool(page, "compare").click()
    put_away(page)
    page.wait_for_selector("[data-part=overlap]", state="visible")
    slider_of(page).press("End")
    page.wait_for_selector("[aria-valuetext='style alone']")
    page.wait_for_selector(".artsearch:not(.as-waiting)")
    expected = [
        searches.dial(one.name, "no_crop", 1).by_work(query(page), 10).ids
        for one in searches.networks
    ]
    assert ids(page, "neighbours") == sum(expected, [])


def test_the_address_leads_back(browser, page):
    works(page, "neighbours").nth(2).click()
    final, before = page.url, page.evaluate("history.length")
    page.wait_for_url(lambda url: "back=" in url)  # asking in the page would want eval
    final = page.url
    press(page, "dial")
    for key, text in (("ArrowRight", "(0.55)"), ("End", "style alone")):
        slider_of(page).press(key)
        wait_for_place(page, text)
    page.wait_for_url("**&dial=1&**")
    with visit(browser) as other:
        other.goto(page.url)
        ready(other)
        assert ids(other, "neighbours") == ids(page, "neighbours")
        assert slider_of(other).input_value() == "1" and other.url == page.url
    # All the turning is one step of the browser's history.
    page.go_back()
    page.wait_for_selector("[data-part=dial] [data-name=final][aria-pressed=true]")
    assert page.url == final and page.evaluate("history.length") <= before + 2
    page.go_forward()
    wait_for_place(page, "style alone")


@pytest.mark.parametrize("gone", ["-1", "2"])
def test_links_to_a_place_that_is_not_there(browser, built, gone):
    with visit(browser) as page:
        page.goto(f"{built.as_uri()}{ALONE}&dial={gone}")
        page.get_by_role("alert").get_by_text(gone).wait_for()
        press(page, "dial")
        wait_for_place(page, "half way")
        assert page.get_by_role("alert").is_hidden()


def test_no_dial_no_control(browser, collection, tmp_path):
    without = searches_by_colour(collection)
    site = write_site(collection, without, tmp_path / "s", progress=False, image_side=0)
    with visit(browser) as page:
        page.goto(site.as_uri() + ALONE)
        ready(page)
        assert page.locator("[data-part=dial]").is_hidden()
        page.goto("about:blank")
        page.goto(f"{site.as_uri()}#dial=0.5")
        page.get_by_role("alert").get_by_text("“0.5”").wait_for()
        assert works(page, "neighbours").count() == 10


def test_a_missing_file_is_said(browser, collection, searches, tmp_path):
    site = write_site(collection, searches, tmp_path / "s", progress=False, image_side=0)
    (site.parent / "data" / f"{LITE}--no_crop--dial-0.js").unlink()
    with visit(browser) as page:
        page.goto(site.as_uri() + ALONE)
        ready(page)
        tool(page, "dial").locator("button[data-name=dial]").click()
        put_away(page)
        page.get_by_role("alert").get_by_text("is the folder of this page complete").wait_for()
        press(page, "final")
        assert page.get_by_role("alert").is_hidden()
        page.wrong.clear()  # Chromium says that the file is missing


def test_export(page, collection, searches):
    press(page, "dial")
    wait_for_place(page, "half way")
    with page.expect_download() as download:
        page.locator("[data-part=export]").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    walk = Walk(Gallery(collection, searches, query=query(page), crop="no_crop", dial=0.5))
    mine = csv.DictReader(io.StringIO(to_safe_csv(walk.gallery.table())))
    for exported, row in zip(csv.DictReader(io.StringIO(text)), mine, strict=True):
        distances = [float(one.pop("distance")) for one in (exported, row)]
        assert distances[0] == pytest.approx(distances[1], abs=5e-3)
        shares = [float(one.pop("share")) for one in (exported, row)]
        assert shares[0] == pytest.approx(shares[1], abs=0.02)
        assert exported == row


@pytest.mark.parametrize(
    "width, scheme",
    [
        (360, "dark"),
        pytest.param(360, "light", marks=slow),
        pytest.param(1280, "dark", marks=slow),
        pytest.param(1280, "light", marks=slow),
    ],
)
def test_by_touch_narrow_and_wide(browser, built, width, scheme):
    size = {"width": width, "height": 1000}
    with visit(browser, viewport=size, color_scheme=scheme, has_touch=True) as page:
        page.goto(built.as_uri() + ALONE)
        ready(page)
        page.screenshot(path=SCREENS / f"dial-site-{width}-{scheme}-off.png")
        box = slider_of(page).bounding_box()
        page.touchscreen.tap(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
        wait_for_place(page, "more style than content")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=SCREENS / f"dial-site-{width}-{scheme}.png")
