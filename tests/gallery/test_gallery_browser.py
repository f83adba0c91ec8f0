"""The app in a browser with a kernel behind: the gallery, its dial and questions, and the map.

All of it stands on one page and in one kernel (see stage.py): every test begins with a new gallery.
"""

import csv
import io
import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from apps import (
    IMPORTS,
    IMPORTS_MAP,
    LITE,
    MADE_UP,
    PATIENCE,
    ROOT,
    SHOW,
    SHOW_MADE_UP,
    SHOW_MAP,
    WAVE,
    compare,
    map_pictures,
    map_ready,
    opened,
    press,
    ready,
    select,
    served,
    settled,
    values,
    wait_for_place,
    wait_for_query,
    write_notebook,
)
from browser import (
    begin_part,
    ids,
    open_menu,
    part,
    put_away,
    query,
    screenshot,
    slider_of,
    tool,
    works,
)
from judging import asked, enter, made_up_questions, vote
from madeup import HOSTILE, make_folder, searches_by_colour

from artsearch.judge.votes import read_votes
from artsearch.works.collection import Collection
from artsearch.works.years import dated

STAGE = f"""\
import sys

sys.path.insert(0, {str(ROOT / "tests")!r})
from stage import Stage"""
# While there is a file GATE, no answer comes: a drag is always faster than the kernel.
SHOW_DIAL = """\
import time
from dataclasses import replace
from pathlib import Path

collection = Collection(COLLECTION)
gallery = Gallery(collection, searches_by_colour(collection, dial=True), query=QUERY, out=OUT)
asked = []

def answer(put, answer=gallery._answers.answer):
    asked.append(put.dial)
    while Path(GATE).exists():
        time.sleep(0.01)
    return replace(answer(put), notes=(f"asked {asked}",))

gallery._answers.answer = answer
gallery"""
COUNT = 400  # works on the map
RAW = 8 * 1024 * 1024  # bytes of a file that the browser must make smaller: see widget.js
# The element of jupyter-scatter that has its api.
API = """() => [...document.querySelectorAll("div[id]")].find((one) => one.api).api"""


# ---- one page, one kernel --------------------------------------------------------------------


@pytest.fixture(scope="module")
def stage(browser, out):
    """A page on which nothing is shown yet."""
    with stage_opened(browser, out) as page:
        yield page


@contextmanager
def stage_opened(browser, folder):
    notebook = write_notebook(folder / "stage.ipynb", {}, STAGE, "Stage()")
    with served(notebook, folder) as address, opened(browser, address) as page:
        page.wait_for_function("window.stage", timeout=PATIENCE)
        yield page


def put_on(page, imports, parameters, show):
    """Show what the cells of a notebook show, as on a page that was opened just now."""
    page.mouse.up()
    page.mouse.move(1, 1)
    page.set_viewport_size({"width": 1280, "height": 1000})
    run(page, "")
    page.wait_for_function("!document.querySelector('.artsearch')")
    page.received = 0
    page.wrong.clear()
    run(page, "\n".join([imports, values(parameters), show]))


def run(page, code):
    """Let the stage show what code stands for; None only waits until the kernel answers."""
    page.evaluate("code => stage.run(code)", code)
    page.wait_for_function("stage.said !== null", timeout=PATIENCE)
    said = page.evaluate("stage.said")
    assert not said, said


@pytest.fixture(scope="module")
def gate(out):
    return out / "gate"


@pytest.fixture(scope="module")
def scenes(paintings, out, gate):
    """What can be shown: cells of a notebook, and what to wait for."""
    titles = [*HOSTILE, *(f"Title {number}" for number in range(COUNT - len(HOSTILE)))]
    known = {"COLLECTION": str(paintings), "QUERY": WAVE, "OUT": str(out)}
    on_map = {
        "COLLECTION": str(make_folder(out / "works", titles)),
        "COLUMN": "title",
        "OUT": str(out / "map"),
    }
    return {
        "gallery": (ready, IMPORTS, known | {"NETWORKS": LITE}, SHOW),
        "dial": (ready, MADE_UP, known | {"GATE": str(gate)}, SHOW_DIAL),
        "map": (map_ready, IMPORTS_MAP, on_map, SHOW_MAP),
    }


def shows(scene):
    """Show another scene than the gallery."""
    return pytest.mark.parametrize("page", [scene], indirect=True)


@pytest.fixture
def page(request, stage, scenes):
    """The page, with a new gallery on it."""
    wait, *cells = scenes[getattr(request, "param", "gallery")]
    put_on(stage, *cells)
    wait(stage)
    yield stage
    assert not stage.wrong, stage.wrong


# ---- the gallery -----------------------------------------------------------------------------


def error(page, text):
    page.locator("[data-part=error]", has_text=text).wait_for()


def in_drawer(page, text):
    page.locator("[data-part=drawer]").get_by_text(text, exact=True).wait_for()


def test_a_visit(page, paintings):
    assert query(page) == WAVE and len(ids(page, "neighbours")) == 10
    assert page.locator("text=A story that the app leaves out").count() == 0
    assert page.title() == "Visually similar artworks"

    # Pick from the drawer, and see it as each network does.
    first = select(page, "drawer", 4)
    seen = []
    for name in LITE:
        press(page, "networks", name)
        seen.append(ids(page, "neighbours"))
    assert seen[0] != seen[1] and seen[1] != seen[2]
    press(page, "crops", "center_crop")
    assert ids(page, "neighbours") != seen[2]

    # Follow three results, go back, and forward again.
    path = [WAVE, first] + [select(page, "neighbours", place) for place in (2, 0, 5)]
    assert ids(page, "history") == path
    for button, id in (("Back", path[3]), ("Back", path[2]), ("Forward", path[3])):
        page.get_by_label(button, exact=True).click()
        wait_for_query(page, id)
    works(page, "history").first.click()
    wait_for_query(page, WAVE)
    assert ids(page, "history") == path

    before = ids(page, "drawer")
    page.click("[data-part=refresh]")
    page.wait_for_function(
        "id => document.querySelector('[data-part=drawer] [data-part=work]').dataset.id !== id",
        arg=before[0],
    )
    assert sorted(ids(page, "drawer")) == sorted(before)

    page.fill("[data-part=drawer] input", "durer")
    in_drawer(page, "1 work")
    assert ids(page, "drawer") == ["albrecht-durer_lion.jpg"]


def test_captions_on_hover_and_focus(page, paintings):
    collection = Collection(paintings)
    card = page.locator("[data-part=caption]")
    assert card.is_hidden()
    for place, show in ((1, "hover"), (2, "focus")):
        one = works(page, "neighbours").nth(place)
        getattr(one, show)()
        work = collection.work(one.get_attribute("data-id"))
        card.get_by_text(work["title"], exact=True).wait_for()
        for column in ("artist", "year", "style"):
            assert work[column] in card.inner_text()
    page.keyboard.press("Escape")
    assert card.is_hidden()
    assert all(image.get_attribute("alt") for image in page.locator("img").all())


def test_side_by_side(page):
    compare(page)
    rows = page.locator("[data-part=neighbours] [data-network]").all()
    lists = [ids_in(row) for row in rows]
    common = len(set.intersection(*map(set, lists)))
    said = page.locator("[data-part=overlap]").inner_text()
    assert f"{10 * common} %" in said and f"{common} of 10 works" in said
    for row, mine in zip(rows, lists, strict=True):
        others = {id for other in lists if other is not mine for id in other}
        marked = row.locator(".as-alone [data-part=work]")
        assert set(ids_in(row, ".as-alone ")) == set(mine) - others
        assert all("In this row only" in one for one in alts(marked))
    # Resting on a work shows where the other networks have it.
    shared = next(id for id in lists[0] if id in lists[1])
    rows[0].locator(f'[data-id="{shared}"]').hover()
    assert page.locator(".as-same").first.get_attribute("data-id") == shared


def ids_in(row, above=""):
    found = row.locator(f"{above}[data-part=work]")
    return found.evaluate_all("all => all.map((one) => one.dataset.id)")


def alts(found):
    return found.evaluate_all("all => all.map((one) => one.firstElementChild.alt)")


def test_number_of_neighbours(page):
    slider = tool(page, "k").locator("input")
    slider.fill("4")
    page.wait_for_function(
        "document.querySelectorAll('[data-part=neighbours] [data-part=work]').length === 4"
    )
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "document.querySelectorAll('[data-part=neighbours] [data-part=work]').length === 5"
    )


def upload(page, path):
    page.set_input_files("[data-part=upload] input", path)


def test_uploads(page, paintings, noise, tmp_path):
    # One of the paintings, smaller: it finds itself.
    upload(page, paintings / WAVE)
    page.wait_for_selector("[data-part=query][data-id^='your image']", timeout=180_000)
    settled(page)
    assert page.locator("[data-part=query] h2").inner_text() == WAVE
    assert ids(page, "neighbours")[0] == WAVE
    assert page.locator("[data-part=keep]").is_hidden()  # a session keeps works of the collection
    mine = query(page)

    big = tmp_path / "big.png"
    noise(1900, 1600).save(big, compress_level=0)
    assert big.stat().st_size > RAW
    upload(page, big)
    page.locator("[data-part=query] h2", has_text="big.png").wait_for(timeout=180_000)
    settled(page)

    text = tmp_path / "notes.txt"
    text.write_text("no image at all")
    upload(page, text)
    error(page, "notes.txt cannot be a query")
    assert page.locator("[data-part=query] h2").inner_text() == "big.png"
    text.write_bytes(b"no image " * 1_000_000)
    upload(page, text)
    error(page, "notes.txt is not an image this browser can read")

    # The next step takes the error away; what was uploaded stays in the history.
    page.get_by_label("Back", exact=True).click()
    wait_for_query(page, mine)
    assert page.locator("[data-part=error]").is_hidden()
    press(page, "networks", LITE[1])
    assert ids(page, "neighbours")[0] == WAVE

    # And by drag and drop.
    page.evaluate(
        """async () => {
          const data = new DataTransfer();
          const canvas = Object.assign(document.createElement("canvas"), {width: 60, height: 40});
          const blob = await new Promise((done) => canvas.toBlob(done));
          data.items.add(new File([blob], "dropped.png", { type: "image/png" }));
          const target = document.querySelector("[data-part=query]");
          for (const kind of ["dragover", "drop"]) {
            const init = { dataTransfer: data, bubbles: true, cancelable: true };
            target.dispatchEvent(new DragEvent(kind, init));
          }
        }"""
    )
    page.locator("[data-part=query] h2", has_text="dropped.png").wait_for(timeout=180_000)


def test_export(page, paintings):
    collection = Collection(paintings)
    with page.expect_download() as download:
        page.click("[data-part=export]")
    assert download.value.suggested_filename == "similar-works.csv"
    text = Path(download.value.path()).read_text("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == ids(page, "neighbours")
    distances = [float(row["distance"]) for row in rows]
    assert distances == sorted(distances)
    for row in rows:
        assert row["caption"] == collection.caption(row["id"])
        assert (row["network"], row["crop"], row["licence"]) == (
            LITE[0],
            "no_crop",
            "public domain",
        )
    with page.expect_download() as download:
        page.click("[data-part=picture]")
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def tab_to(page, part):
    """Press Tab until the focus is in a part; return what is focused."""
    for _ in range(90):
        page.keyboard.press("Tab")
        if page.evaluate("p => !!document.activeElement.closest(`[data-part=${p}]`)", part):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return page.evaluate("document.activeElement.dataset.id")
    raise AssertionError(f"no way by keyboard to {part}")


def test_the_keyboard_is_enough(page):
    tab_to(page, "networks")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"[data-name={LITE[1]}][aria-pressed=true]", timeout=180_000)
    settled(page)
    if part(page, "compare").is_hidden():
        tab_to(page, "more")
        page.keyboard.press("Enter")
        part(page, "sheet").wait_for()
    tab_to(page, "compare")
    page.keyboard.press("Space")
    page.wait_for_selector("[data-part=overlap]", timeout=180_000)
    settled(page)
    page.keyboard.press("Space")
    page.locator("[data-part=overlap]").wait_for(state="hidden")
    put_away(page)

    first = tab_to(page, "work")
    for key in ("ArrowRight", "End", "ArrowLeft", "Home", "ArrowRight"):
        page.keyboard.press(key)
    second = page.evaluate("document.activeElement.dataset.id")
    assert second == ids(page, "neighbours")[1] != first
    for _ in range(3):  # down the rabbit hole: the focus stays where it is among the neighbours
        id = page.evaluate("document.activeElement.dataset.id")
        page.keyboard.press("Enter")
        wait_for_query(page, id)
        assert page.evaluate("document.activeElement.dataset.id") == ids(page, "neighbours")[1]
        assert page.locator("[data-part=caption]").is_visible()
    tab_to(page, "history")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "id => document.querySelector('[data-part=query]').dataset.id !== id", arg=id
    )
    tab_to(page, "drawer")
    page.keyboard.type("lion")
    in_drawer(page, "1 work")
    tab_to(page, "refresh")
    page.keyboard.press("Enter")
    in_drawer(page, "21 works")


def test_by_time_what_came_before_is_asked_of_the_kernel(page, paintings):
    """On the page alone the lanes are looked at more closely: tests/show/test_time_browser.py."""
    page.get_by_role("button", name="By time").click()
    lanes = page.locator("[data-part=neighbours] .as-lane")
    lanes.nth(1).locator("img[src]").first.wait_for(timeout=PATIENCE)
    works = Collection(paintings)
    shown = lanes.evaluate_all(
        "all => all.map((one) => [...one.querySelectorAll('[data-id]')].map((it) => it.dataset.id))"
    )
    above, below = ([dated(works.work(id)["year"]) for id in row] for row in shown)
    assert above == sorted(above, key=lambda years: years or (9999, 0))
    assert WAVE in shown[0] and below and max(below) < max(filter(None, above))
    id = shown[1][0]
    lanes.nth(1).locator("[data-part=work]").first.click()
    wait_for_query(page, id)
    page.get_by_text("nothing earlier here").first.wait_for()
    screenshot(page, "widget-by-time")


def test_what_travels(page):
    answered(page)
    first, clicks = page.received, []
    for step in (
        lambda: select(page, "neighbours", 3),
        lambda: select(page, "neighbours", 7),
        lambda: press(page, "networks", LITE[2]),
        lambda: compare(page),
        lambda: select(page, "neighbours", 9),
    ):
        before = page.received
        step()
        answered(page)
        clicks.append(page.received - before)
    kilobytes = [round(count / 1000) for count in (first, *clicks)]
    print(f"first view {kilobytes[0]} kB, clicks {kilobytes[1:]} kB")
    assert min(first, *clicks) > 1000
    assert first < 500_000 and max(clicks) < 150_000


def answered(page):
    """Wait until all has come that the page has asked for, out of sight too."""
    for _ in range(2):  # frames, in which the browser sees what has come near
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    run(page, None)


@pytest.mark.parametrize("count", [21, pytest.param(10_000, marks=pytest.mark.slow)])
def test_hostile_works(stage, tmp_path, count):
    """Titles of markup, quotes, right-to-left and emoji, also among 10,000 works."""
    titles = [*HOSTILE, *(f"Work {number}" for number in range(count - len(HOSTILE)))]
    parameters = {
        "COLLECTION": str(make_folder(tmp_path / "works", titles, side=96)),
        "OUT": str(tmp_path / "out"),
        "QUERY": "work 00000.png",
    }
    put_on(stage, MADE_UP, parameters, SHOW_MADE_UP)
    ready(stage)
    assert stage.received < 500_000
    title = stage.locator("[data-part=query] h2")
    for place, expected in enumerate(HOSTILE):
        name = f"work {place:05}.png"
        stage.fill("[data-part=drawer] input", expected)
        works(stage, "drawer").and_(stage.locator(f'[data-id="{name}"]')).first.click()
        wait_for_query(stage, name)
        shown = title.evaluate("node => node.textContent")
        assert shown.split() == expected.split()
    before = stage.received
    select(stage, "neighbours", 3)
    assert stage.received - before < 150_000
    harm = stage.locator(".artsearch").locator("svg, script, iframe, [onerror], [onload]")
    assert harm.count() == 0
    assert stage.title() == "Visually similar artworks"
    works(stage, "history").first.hover()
    assert HOSTILE[0] in stage.locator("[data-part=caption]").inner_text()
    screenshot(stage, f"app-hostile-{count}")
    assert not stage.wrong, stage.wrong


def test_a_narrow_screen(page):
    for name, change in (("one", lambda: None), ("compare", lambda: compare(page))):
        change()
        page.set_viewport_size({"width": 400, "height": 1000})
        assert page.evaluate("document.querySelector('.artsearch').scrollWidth") <= 400
        screenshot(page, f"app-{name}-400")


# ---- its dial --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection, dial=True)


def found(searches, place, k=10):
    return searches.dial(LITE[0], "no_crop", place).by_work(WAVE, k).ids


@shows("dial")
def test_turning_in_the_browser(page, searches):
    final = ids(page, "neighbours")
    slider = slider_of(page)
    assert slider.get_attribute("aria-valuetext") == "not in use: the network's final layer"
    press(page, "dial", "dial")
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

    press(page, "dial", "final")
    assert ids(page, "neighbours") == final
    # And from the final layer, the slider alone takes the dial up again, where it was.
    slider.press("ArrowRight")
    wait_for_place(page, "style alone")
    assert page.locator("[data-part=dial] [aria-pressed=true]").inner_text().lower() == "dial"


@shows("dial")
def test_while_an_answer_is_awaited_only_the_last_place_is_kept(page, searches, gate):
    press(page, "dial", "dial")
    slider = slider_of(page)
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    gate.touch()
    try:
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 1, middle, steps=40)
        assert slider.input_value() == "1"
        page.mouse.up()
    finally:
        gate.unlink()
    wait_for_place(page, "style alone")
    assert slider.input_value() == "1"
    asked = json.loads(page.locator(".as-notes").inner_text().removeprefix("asked "))
    assert len(asked) == 3 and asked[0] == 0.5 < asked[1] < asked[2] == 1, asked
    assert ids(page, "neighbours") == found(searches, 1)


def test_sentences_that_are_copied_have_blanks_between_them(page):
    said = page.locator(".as-about").evaluate("one => one.textContent")
    assert ". Weights: " in said


@shows("dial")
def test_side_by_side_with_the_dial(page, searches):
    press(page, "dial", "dial")
    tool(page, "compare").click()
    put_away(page)
    page.wait_for_selector("[data-part=overlap]")
    slider_of(page).press("Home")
    page.wait_for_selector("[aria-valuetext='content alone']")
    page.wait_for_selector(".artsearch:not(.as-waiting)")
    settled(page)
    expected = [
        searches.dial(one.name, "no_crop", 0).by_work(WAVE, 10).ids for one in searches.networks
    ]
    assert ids(page, "neighbours") == sum(expected, [])


# ---- its questions ---------------------------------------------------------------------------


def test_questions_that_a_kernel_answers(page, scenes, tmp_path):
    part(page, "ask-more").click()
    field = page.get_by_role("combobox", name="Only where")
    ask(page, field, 'style == "Impresionism"', error="Impressionism")
    ask(page, field, 'style == "Impressionism"')
    found = ids(page, "neighbours")
    assert 1 < len(found) < 10
    page.get_by_label("Nearest in each").select_option("artist")
    settled(page)
    page.locator(".as-group").first.wait_for()
    assert (
        len(set(page.locator(".as-group").all_inner_texts())) == works(page, "neighbours").count()
    )
    part(page, "clear").click()
    settled(page)
    assert len(ids(page, "neighbours")) == 10

    first = ids(page, "neighbours")[0]
    choose(page, 0, "Like this too")
    page.get_by_label("Weight of").nth(1).fill("3")
    page.keyboard.press("Enter")
    settled(page)
    assert first not in ids(page, "neighbours")
    part(page, "clear").click()
    settled(page)

    choose(page, 1, "Why similar?")
    page.locator(".as-match").first.wait_for(timeout=120_000)
    settled(page)
    assert page.locator("[data-part=why] img[src^=blob]").count() == 1
    begin_part(page)
    for key in ("Shift+ArrowLeft", "Enter"):
        page.keyboard.press(key)
    page.locator(".as-text", has_text="part of the work").wait_for(timeout=120_000)
    settled(page)
    part(page, "clear").click()
    settled(page)

    end = ids(page, "neighbours")[9]
    choose(page, 9, "Stepping stones to here")
    part(page, "neighbours").get_by_role("heading", name="Stepping stones").wait_for()
    assert ids(page, "neighbours")[-1] == end
    choose(page, 0, "Keep")
    page.locator("[data-part=neighbours] .as-kept").wait_for()
    saved = {}
    for item, ending in (("Save", "json"), ("table", "csv"), ("page", "html")):
        part(page, "session-menu").click()
        with page.expect_download() as download:
            page.get_by_role("menuitem", name=item).click()
        assert download.value.suggested_filename.endswith(ending)
        saved[ending] = tmp_path / f"session.{ending}"
        download.value.save_as(saved[ending])
        settled(page)
    assert json.loads(saved["json"].read_text("utf-8"))
    assert list(csv.DictReader(saved["csv"].open(encoding="utf-8-sig", newline="")))
    assert "<html" in saved["html"].read_text("utf-8")

    _, *cells = scenes["gallery"]
    put_on(page, *cells)
    ready(page)
    part(page, "session-menu").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Open…").click()
    chooser.value.set_files(saved["json"])
    page.wait_for_function("document.querySelector('.as-kept')")
    settled(page)
    assert query(page) == WAVE and part(page, "error").is_hidden()


def ask(page, field, text, error=""):
    field.fill(text)
    page.keyboard.press("Enter")
    if error:
        part(page, "panel").get_by_role("alert").filter(has_text=error).wait_for()
    else:
        page.locator(".as-text").get_by_text(text, exact=True).wait_for()
    settled(page)


def choose(page, place, item):
    """Choose from the menu of a neighbour."""
    open_menu(page, "neighbours", place).filter(has_text=item).click()
    settled(page)


# ---- the map ---------------------------------------------------------------------------------


def middle(box):
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def places(page, rows):
    """Return where jupyter-scatter has the points of some works, in pixels of the page."""
    return page.evaluate(
        f"""rows => {{
          const api = ({API})();
          const {{left, top}} = api.get("canvas").getBoundingClientRect();
          const places = rows.map((row) => api.getScreenPosition(row));
          return places.map(([x, y]) => [x + left, y + top]);
        }}""",
        rows,
    )


def count_made(out):
    """Return of how many works pictures were made, each in two sizes."""
    return len(list((out / "map" / "thumbs").rglob("*.webp"))) // 2


def said(page, text):
    page.locator(".am-said", has_text=text).wait_for()


def zoom(page, x, y):
    page.mouse.move(x, y)
    for _ in range(6):
        page.mouse.wheel(0, -120)
    map_ready(page)


@shows("map")
def test_pictures_are_shown_where_there_is_room_and_more_as_one_zooms(page, out):
    first = map_pictures(page)
    assert 30 < len(first) < COUNT
    made = count_made(out)
    sides = np.array(list(first.values()))
    left, top, right, bottom = sides.T
    over = (left[:, None] < right) & (right[:, None] > left)
    over &= (top[:, None] < bottom) & (bottom[:, None] > top)
    assert over.sum() == len(sides), "a picture lies over another"
    middles = np.array([middle(box) for box in first.values()])
    assert np.abs(middles - places(page, list(first))).max() < 1.5, "a picture is not at its point"

    zoom(page, *middle(next(iter(first.values()))))
    nearer = map_pictures(page)
    new = set(nearer) - set(first)
    assert len(new) > 5
    wide = [np.mean([box[2] - box[0] for box in one.values()]) for one in (first, nearer)]
    assert wide[1] > wide[0]
    # Only what came into sight was asked for.
    assert made < 0.8 * COUNT and count_made(out) - made <= len(new)
    middles = np.array([middle(box) for box in nearer.values()])
    assert np.abs(middles - places(page, list(nearer))).max() < 1.5

    switch = page.get_by_role("button", name="pictures")
    switch.click()
    assert not map_pictures(page)
    switch.click()
    map_ready(page)
    assert set(map_pictures(page)) == set(nearer)


@shows("map")
def test_what_the_lasso_caught_is_known_in_python(page):
    page.get_by_title("Activate lasso selection").click()
    x, y = 400, 200
    page.mouse.move(x, y)
    page.mouse.down()
    for corner in ((x + 160, y), (x + 160, y + 120), (x, y + 120), (x, y + 4)):
        page.mouse.move(*corner, steps=12)
    page.mouse.up()
    said(page, "the kernel has")
    rows = sorted(page.evaluate(f"() => [...({API})().get('selectedPoints')]"))
    around = places(page, list(range(COUNT)))
    inside = [r for r, (a, b) in enumerate(around) if x < a < x + 160 and y < b < y + 120]
    border = 6  # the line was drawn in steps
    surely = [r for r in inside if x + border < around[r][0] < x + 160 - border]
    surely = [r for r in surely if y + border < around[r][1] < y + 120 - border]
    assert len(rows) > 3 and set(surely) <= set(rows)
    text = page.locator(".am-said").inner_text()
    assert f"{len(rows)} works selected; the kernel has" in text
    assert [f"work {row:05}.png" for row in rows] == eval(text.partition("has ")[2])
    map_ready(page)
    assert page.locator(".am-layer .am-selected").count() > 0


@shows("map")
def test_a_click_on_a_picture_asks_and_what_is_found_can_be_clicked(page):
    row, box = next(iter(map_pictures(page).items()))
    page.mouse.move(*middle(box))
    card = page.locator(".am-card.am-open")
    card.wait_for()
    assert card.inner_text().startswith(f"Artist {row // 10}, ")
    page.mouse.click(*middle(box))
    said(page, "1 work selected; nearest to it:")
    assert page.evaluate(f"() => [...({API})().get('selectedPoints')]") == [row]
    answers = page.locator(".am-answers button")
    assert answers.evaluate_all("all => all.map((one) => one.dataset.row)") == list("0123")
    page.wait_for_function(
        "[...document.querySelectorAll('.am-answers img')].every((img) => img.naturalWidth)"
    )
    answers.nth(2).click()
    page.wait_for_function(f"({API})().get('selectedPoints').join() === '2'")


@shows("map")
def test_hostile_texts_on_the_map(page):
    legend = page.locator(".am-legend li")
    assert legend.count() == 12 and not page.locator(".am-legend img, .am-legend svg").count()
    texts = [" ".join(text.split())[:20] for text in legend.all_inner_texts()]
    assert any(text.startswith("<img src=x onerror=") for text in texts)
    # The answer shows the first works, whose captions are hostile.
    row, box = next(iter(map_pictures(page).items()))
    page.mouse.click(*middle(box))
    page.wait_for_function("document.querySelectorAll('.am-answers img[src]').length === 4")
    captions = page.locator(".am-answers img").evaluate_all("all => all.map((one) => one.alt)")
    pairs = zip(captions[:3], HOSTILE, strict=False)
    assert all(title in caption for caption, title in pairs)
    for column, names in (("style", 1), ("year", 6), ("title", 12)):
        page.locator(".am-foot select").select_option(column)
        page.wait_for_function(f"document.querySelectorAll('.am-legend li').length === {names}")
        frames = page.locator(".am-layer img").evaluate_all(
            "all => all.map((one) => one.style.borderColor)"
        )
        dots = page.locator(".am-legend i").evaluate_all(
            "all => all.map((one) => one.style.backgroundColor)"
        )
        assert set(frames) <= set(dots)
        assert len(set(frames)) >= min(names, 2) or column == "title"  # most are of the others
    assert page.title() == "Visually similar artworks"


# ---- the judging room --------------------------------------------------------------------------

IMPORTS_JUDGE = f"""{MADE_UP}
from judging import made_up_questions

from artsearch.gallery.judge import Judge"""
SHOW_JUDGE = """\
collection = Collection(COLLECTION)
judge = Judge(collection, made_up_questions(collection), votes=VOTES, out=OUT)
judge"""


def test_a_judge_by_keys_and_by_mouse_and_again(stage, paintings, out):
    """Two judges, touch, and a disk that is full are in test_judge_browser.py."""
    votes = out / "votes.csv"
    cells = IMPORTS_JUDGE, {"COLLECTION": str(paintings), "VOTES": str(votes), "OUT": str(out)}
    put_on(stage, *cells, SHOW_JUDGE)
    enter(stage, "Ada")
    vote(stage, "e")
    stage.locator("[data-answer=right]").click()
    asked(stage)
    vote(stage, "n")
    vote(stage, "u")
    assert len(read_votes(votes)) == 2
    put_on(stage, *cells, SHOW_JUDGE)  # a widget that knows only what is on the disk
    enter(stage, "Ada")
    assert stage.locator("[data-part=count]").inner_text() == "3 of 9"
    vote(stage, "ArrowLeft")
    questions = made_up_questions(Collection(paintings))
    held = read_votes(votes)
    right = {"first": "second", "second": "first"}[questions[1].left]
    assert list(held["answer"]) == ["equal", right, questions[2].left]
    assert list(held["query"]) == [one.query for one in questions[:3]]
