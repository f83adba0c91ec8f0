"""The gallery in a browser: as an app by Voilà, and in JupyterLab."""

import csv
import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from browser import chromium, ids, query, visit, works
from madeup import HOSTILE, make_folder

from artsearch.collection import Collection

ROOT = Path(__file__).parents[1]
SCREENS = ROOT / "build" / "screens"
WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
LITE = [f"efficientnet_lite{number}" for number in range(3)]

# A notebook like notebooks/04, as short as can be.
IMPORTS = """\
from artsearch.collection import Collection
from artsearch.gallery import Gallery
from artsearch.search import Searches"""
SHOW = """\
collection = Collection(COLLECTION)
searches = Searches(collection, NETWORKS, out=OUT)
gallery = Gallery(collection, searches, query=QUERY, out=OUT)
gallery"""
MADE_UP = f"""\
import sys

import numpy as np

sys.path.insert(0, {str(ROOT / "tests")!r})
from madeup import MadeUpSearches

from artsearch.collection import Collection
from artsearch.gallery import Gallery"""
SHOW_MADE_UP = """\
collection = Collection(COLLECTION)
vectors = np.random.default_rng(0).normal(size=(len(collection), 16))
gallery = Gallery(collection, MadeUpSearches(collection, vectors), query=QUERY, out=OUT)
gallery"""


# ---- servers ---------------------------------------------------------------------------------


def write_notebook(path, parameters, imports=IMPORTS, show=SHOW):
    """Write a notebook that shows a gallery, and return its path."""
    values = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    cells = [
        nbformat.v4.new_code_cell(source, metadata={"tags": [tag]})
        for source, tag in ((imports, "app"), (values, "parameters"), (show, "gallery"))
    ]
    cells.insert(0, nbformat.v4.new_markdown_cell("A story that the app leaves out."))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, path)
    return path


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def server(module, *arguments, folder, path="", **environment):
    """Run a server as `python -m module`, and give its address when it answers."""
    port = free_port()
    places = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments, "--no-browser", f"--port={port}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **places, **environment},
        stdout=open(folder / "server.log", "w"),
        stderr=subprocess.STDOUT,
    )
    address = f"http://localhost:{port}"
    try:
        wait_for(f"{address}{path}", process, folder / "server.log")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(address, process, log, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=5)
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no answer from {address}:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def out(browser, tmp_path_factory):
    """A folder for features and thumbnails, common to all tests that have a browser."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def parameters(paintings, out):
    return {"COLLECTION": str(paintings), "NETWORKS": LITE, "OUT": str(out), "QUERY": WAVE}


@pytest.fixture(scope="module")
def app(parameters, out):
    """The address of the app over the 21 paintings."""
    notebook = write_notebook(out / "gallery.ipynb", parameters)
    with served(notebook, out) as address:
        yield address


def served(notebook, folder):
    # Voilà's static files answer without starting a kernel, as the page itself would.
    return server("artsearch.app", str(notebook), folder=folder, path="/voila/static/voila.js")


@contextmanager
def opened(browser, address, path="", **options):
    """Open the gallery in a new page; `page.received` counts the bytes that came by websocket."""
    host = address.removeprefix("http://")
    with visit(
        browser, hosts=(host,), **{"viewport": {"width": 1280, "height": 1000}} | options
    ) as page:
        page.received = 0
        page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda frame: count(page, frame))
        )
        page.goto(address + path, timeout=180_000)
        yield page
        assert not page.wrong, page.wrong


def count(page, frame):
    page.received += len(frame if isinstance(frame, bytes) else frame.encode())


@pytest.fixture
def page(browser, app):
    with opened(browser, app) as page:
        ready(page)
        yield page


# ---- what a visitor does ---------------------------------------------------------------------


def ready(page):
    """Wait until the gallery is there, with all pictures that are in sight."""
    page.wait_for_selector("[data-part=query] img[src^=blob]", timeout=180_000)
    settled(page)


def settled(page):
    """Wait until every answer and every picture in sight has come."""
    page.wait_for_selector(".artsearch:not(.as-waiting)", timeout=180_000)
    page.wait_for_function(
        """() => [...document.querySelectorAll("[data-part=work] img, [data-part=query] img")]
          .filter((img) => {
            const box = img.getBoundingClientRect();
            return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) === img;
          })
          .every((img) => img.complete && img.naturalWidth)""",
        timeout=60_000,
    )


def wait_for_query(page, id):
    page.wait_for_function(
        "id => document.querySelector('[data-part=query]').dataset.id === id", arg=id
    )
    settled(page)


def select(page, part, place):
    id = ids(page, part)[place]
    works(page, part).nth(place).click()
    wait_for_query(page, id)
    return id


def press(page, part, name):
    button = f"[data-part={part}] button[data-name={name}]"
    page.click(button)
    page.wait_for_selector(f"{button}[aria-pressed=true]", timeout=180_000)
    settled(page)


def compare(page):
    page.click("[data-part=compare]")
    page.wait_for_selector("[data-part=overlap]", timeout=180_000)
    settled(page)


def error(page, text):
    page.locator("[data-part=error]", has_text=text).wait_for()


def in_drawer(page, text):
    page.locator("[data-part=drawer]").get_by_text(text, exact=True).wait_for()


def screenshot(page, name, selector=".artsearch"):
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.mouse.move(1, 1)
    page.locator(selector).screenshot(path=SCREENS / f"{name}.png")


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
    assert ids(page, "trail") == path
    for button, id in (("Back", path[3]), ("Back", path[2]), ("Forward", path[3])):
        page.get_by_label(button, exact=True).click()
        wait_for_query(page, id)
    works(page, "trail").first.click()
    wait_for_query(page, WAVE)
    assert ids(page, "trail") == path

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
    slider = page.locator("[data-part=k] input")
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
    mine = query(page)

    big = tmp_path / "big.png"
    noise(2900, 2500).save(big, compress_level=0)
    assert big.stat().st_size > 20_000_000
    upload(page, big)
    page.locator("[data-part=query] h2", has_text="big.png").wait_for(timeout=180_000)
    settled(page)

    text = tmp_path / "notes.txt"
    text.write_text("no image at all")
    upload(page, text)
    error(page, "notes.txt cannot be a query")
    assert page.locator("[data-part=query] h2").inner_text() == "big.png"
    text.write_bytes(b"no image " * 2_000_000)
    upload(page, text)
    error(page, "notes.txt is not an image this browser can read")

    # The next step takes the error away; what was uploaded stays in the trail.
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
    tab_to(page, "compare")
    page.keyboard.press("Space")
    page.wait_for_selector("[data-part=overlap]", timeout=180_000)
    page.keyboard.press("Space")
    page.locator("[data-part=overlap]").wait_for(state="hidden")

    first = tab_to(page, "neighbours")
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
    tab_to(page, "trail")
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


def test_two_visitors_do_not_meet(browser, app, page):
    with opened(browser, app) as other:
        ready(other)
        select(other, "drawer", 0)
        assert query(other) != query(page) == WAVE


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_narrow_and_wide(browser, app, theme):
    with opened(browser, app, f"?theme={theme}", color_scheme=theme) as page:
        ready(page)
        for name, change in (("one", lambda: None), ("compare", lambda: compare(page))):
            change()
            for width in (400, 1600):
                page.set_viewport_size({"width": width, "height": 1000})
                assert page.evaluate("document.querySelector('.artsearch').scrollWidth") <= width
                see_all(page)
                screenshot(page, f"app-{name}-{width}-{theme}")


def see_all(page):
    """Scroll through the page, so that every picture comes into sight."""
    for image in page.locator("[data-part=work] img").all():
        image.scroll_into_view_if_needed()
    settled(page)
    page.locator("[data-part=networks]").scroll_into_view_if_needed()


def test_what_travels(browser, app, record_property):
    with opened(browser, app) as page:
        ready(page)
        page.wait_for_timeout(1000)
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
            page.wait_for_timeout(500)
            clicks.append(page.received - before)
        kilobytes = [round(count / 1000) for count in (first, *clicks)]
        record_property("kilobytes", kilobytes)
        print(f"first view {kilobytes[0]} kB, clicks {kilobytes[1:]} kB")
        assert first < 500_000 and max(clicks) < 150_000


# ---- other collections -----------------------------------------------------------------------


def test_ten_thousand_hostile_works(browser, out, tmp_path):
    """10,000 works with titles of markup, quotes, right-to-left and emoji."""
    folder = make_folder(
        tmp_path / "works", [*HOSTILE, *(f"Work {n}" for n in range(9993))], side=96
    )
    parameters = {
        "COLLECTION": str(folder),
        "OUT": str(tmp_path / "out"),
        "QUERY": "work 00000.png",
    }
    notebook = write_notebook(tmp_path / "many.ipynb", parameters, MADE_UP, SHOW_MADE_UP)
    with (
        served(notebook, tmp_path) as app,
        opened(browser, app) as page,
    ):
        ready(page)
        assert page.received < 500_000
        title = page.locator("[data-part=query] h2")
        for place, expected in enumerate(HOSTILE):
            name = f"work {place:05}.png"
            page.fill("[data-part=drawer] input", expected)
            works(page, "drawer").and_(page.locator(f'[data-id="{name}"]')).first.click()
            wait_for_query(page, name)
            shown = title.evaluate("node => node.textContent")
            assert shown.split() == expected.split()
        before = page.received
        started = time.monotonic()
        select(page, "neighbours", 3)
        print(f"click at 10,000 works: {1000 * (time.monotonic() - started):.0f} ms")
        assert page.received - before < 150_000
        harm = page.locator(".artsearch").locator("svg, script, iframe, [onerror], [onload]")
        assert harm.count() == 0
        assert page.title() == "Visually similar artworks"
        works(page, "trail").first.hover()
        assert HOSTILE[0] in page.locator("[data-part=caption]").inner_text()
        screenshot(page, "app-hostile")


def test_an_error_in_the_set_up_is_one_sentence(browser, out, tmp_path):
    parameters = {"COLLECTION": str(tmp_path / "nowhere"), "NETWORKS": LITE, "OUT": "", "QUERY": ""}
    notebook = write_notebook(tmp_path / "wrong.ipynb", parameters)
    with (
        served(notebook, tmp_path) as app,
        opened(browser, app) as page,
    ):
        page.get_by_text("does not exist; name a folder of images").wait_for(timeout=120_000)
        assert "Traceback" not in page.content()


def test_the_notebook_itself_is_the_app(browser, tmp_path):
    """What `make app` starts, on the shipped collection; the README's picture is taken here."""
    notebook = str(ROOT / "notebooks" / "04_compare_networks.ipynb")
    with (
        served(notebook, tmp_path) as app,
        opened(browser, app) as page,
    ):
        # The features of 462 works, unless they are there from an earlier run.
        page.wait_for_selector(".artsearch", timeout=400_000)
        ready(page)
        assert query(page).startswith("repainted/leonardo-da-vinci_mona-lisa--wassily-kandinsky")
        assert "Content or manner" not in page.locator("body").inner_text()
        for name in ("gallery", "gallery-side-by-side"):
            page.screenshot(path=SCREENS / f"{name}.jpg", type="jpeg", quality=85)
            if page.locator("[data-part=compare][aria-pressed=false]").is_visible():
                compare(page)


# ---- JupyterLab ------------------------------------------------------------------------------


def test_jupyterlab_in_the_dark(browser, parameters, out, tmp_path):
    """The same gallery in a notebook, in JupyterLab's dark theme, by mouse and by keyboard."""
    (tmp_path / "lab").mkdir()
    write_notebook(tmp_path / "lab" / "gallery.ipynb", parameters)
    settings = tmp_path / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "themes.jupyterlab-settings").write_text('{"theme": "JupyterLab Dark"}')
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    lab = server(
        "jupyterlab",
        "--allow-root",
        "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        f"--ServerApp.root_dir={tmp_path / 'lab'}",
        folder=tmp_path,
        path="/api",
        JUPYTERLAB_SETTINGS_DIR=str(tmp_path / "settings"),
    )
    with lab as address, opened(browser, address, "/lab/tree/gallery.ipynb") as page:
        run_all(page)
        ready(page)
        assert page.locator("body[data-jp-theme-light=false]").count() == 1
        select(page, "neighbours", 2)
        works(page, "neighbours").nth(1).focus()
        id = page.evaluate("document.activeElement.dataset.id")
        page.keyboard.press("Enter")  # which JupyterLab would take to edit the cell
        wait_for_query(page, id)
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.id") == ids(page, "neighbours")[2]
        page.locator("[data-part=networks]").scroll_into_view_if_needed()
        settled(page)
        screenshot(page, "lab-dark", "#jp-main-dock-panel")
        # A second look at the same widget is a gallery too, and follows the first.
        count = page.locator(".artsearch").count()
        page.evaluate("jupyterapp.commands.execute('notebook:create-output-view')")
        page.wait_for_function(f"document.querySelectorAll('.artsearch').length > {count}")


def run_all(page):
    """Run all cells when the kernel is ready; sooner, JupyterLab loses the command."""
    page.wait_for_function(
        """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel
          ?.status === "idle" """,
        timeout=120_000,
    )
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
