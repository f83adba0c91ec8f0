"""Two works large, and a view on paper, on the static page as a visitor uses it."""

import pytest
from browser import ids, open_menu, part, visit, works
from madeup import searches_by_colour

from artsearch.show.site import write_site

ALONE = "#network=efficientnet_lite0"
HOKUSAI = '&where=artist contains "Hokusai"'
#: Where the pictures are cut by the curtain, and whether they have colours.
LOOK = """() => [...document.querySelectorAll(".as-pane")].map((pane) => (
  [getComputedStyle(pane).clipPath, getComputedStyle(pane.firstChild).filter]))"""


@pytest.fixture(scope="module")
def address(collection, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair") / "site"
    return write_site(collection, searches_by_colour(collection), folder, progress=False).as_uri()


@pytest.fixture
def page(browser, address):
    with visit(browser, viewport={"width": 1280, "height": 900}) as page:
        page.goto(address + ALONE)
        works(page, "neighbours").first.wait_for()
        yield page


def titles(page):
    return part(page, "pair").get_by_role("heading").all_inner_texts()


def test_two_works_by_keys(page, collection):
    near = ids(page, "neighbours")
    selected = collection.work(page.locator("[data-part=query]").get_attribute("data-id"))["title"]
    works(page, "neighbours").nth(1).focus()
    page.keyboard.press("c")
    assert titles(page) == [selected, collection.work(near[1])["title"]]
    first, second = (pane.bounding_box() for pane in page.locator(".as-pane").all())
    assert first["height"] == pytest.approx(second["height"], abs=1)
    assert first["x"] + first["width"] <= second["x"]
    said = part(page, "pair").inner_text()
    distance = works(page, "neighbours").nth(1).locator("xpath=../p/span").first.text_content()
    assert f"Distance {distance}" in said and "public domain" in said

    page.keyboard.press("s")
    curtain = page.get_by_role("slider", name="Curtain")
    assert page.locator(".as-pane").nth(0).bounding_box() == (
        page.locator(".as-pane").nth(1).bounding_box()
    )
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert curtain.get_attribute("aria-valuetext").startswith(f"60 % {selected}, 40 % ")
    page.keyboard.press("g")
    assert page.evaluate(LOOK) == [
        ["inset(0px 40% 0px 0px)", "grayscale(1)"],
        ["inset(0px 0px 0px 60%)", "grayscale(1)"],
    ]
    page.keyboard.press("n")
    assert titles(page) == [selected, collection.work(near[2])["title"]]
    page.keyboard.press("s")
    page.keyboard.press("ArrowLeft")
    assert titles(page) == [selected, collection.work(near[1])["title"]]
    page.keyboard.press("Escape")
    assert not part(page, "pair").is_visible()
    assert page.evaluate("document.activeElement.dataset.id") == near[1]


def test_two_works_by_mouse(page):
    works(page, "neighbours").first.hover()
    open_menu(page, "neighbours", 0).get_by_text("Compare large").click()
    page.get_by_role("button", name="Over each other").click()
    box = page.locator(".as-pane").first.bounding_box()
    x, y = box["x"], box["y"] + box["height"] / 2
    page.mouse.move(x + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] / 4, y)
    page.mouse.up()
    assert page.get_by_role("slider", name="Curtain").input_value() == "25"
    # Where the pointer is, both pictures stay in their place.
    page.mouse.wheel(0, -400)
    images = page.locator(".as-pane img")
    page.wait_for_function("() => document.querySelector('.as-pane img').style.transform !== ''")
    for image in images.all():
        seen = image.bounding_box()
        assert seen["width"] > 1.5 * box["width"]
        share = (x + box["width"] / 4 - seen["x"]) / seen["width"]
        assert share == pytest.approx(0.25, abs=0.01)
    page.get_by_role("button", name="Whole").click()
    assert images.first.bounding_box()["width"] == pytest.approx(box["width"], abs=1)
    part(page, "pair-close").click()
    assert not part(page, "pair").is_visible()


def test_no_work_stands_beside_itself(page):
    current = page.locator("[data-part=drawer] [aria-current]")
    current.focus()
    page.keyboard.press("c")
    assert not part(page, "pair").is_visible()


def test_a_view_on_paper(browser, address, collection):
    with visit(browser, color_scheme="dark") as page:
        page.goto(address + ALONE + HOKUSAI)
        works(page, "neighbours").first.wait_for()
        sheet = page.locator("[data-part=neighbours] li .as-print")
        assert not sheet.first.is_visible()
        page.emulate_media(media="print")
        for id, said in zip(ids(page, "neighbours"), sheet.all(), strict=True):
            work = collection.work(id)
            assert said.is_visible()
            for column in ("title", "artist", "year", "licence", "source"):
                assert work[column] in said.inner_text()
        text = page.locator("body").inner_text()
        assert f"{address}#like=" in text
        assert 'artist contains "Hokusai"' in text and "EfficientNet-Lite0" in text
        controls = "button:not([data-part=work], .as-word), input, select, summary"
        assert not any(one.is_visible() for one in page.locator(controls).all())
        for name in ("drawer", "history", "networks", "dial", "export"):
            assert not part(page, name).is_visible()
        colours = page.locator(".artsearch").evaluate(
            "(one) => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]"
        )
        assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
        assert page.pdf(format="A4").startswith(b"%PDF")
