"""Notebooks served by Voilà and JupyterLab, and what a visitor does in the gallery."""

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
from browser import ids, put_away, tool, visit, works

ROOT = Path(__file__).parents[1]
WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
LITE = [f"efficientnet_lite{number}" for number in range(3)]
PATIENCE = 180_000  # milliseconds, on a busy machine

# A notebook like notebooks/04, as short as can be. What it shows stands in its last line.
IMPORTS = """\
from artsearch.works.collection import Collection
from artsearch.gallery.widget import Gallery
from artsearch.search.searches import Searches"""
SHOW = """\
collection = Collection(COLLECTION)
searches = Searches(collection, NETWORKS, out=OUT)
gallery = Gallery(collection, searches, query=QUERY, out=OUT)
gallery"""
# And one that needs no network.
MADE_UP = f"""\
import sys

import numpy as np

sys.path.insert(0, {str(ROOT / "tests")!r})
from madeup import MadeUpSearches, searches_by_colour

from artsearch.works.collection import Collection
from artsearch.gallery.widget import Gallery"""
SHOW_MADE_UP = """\
collection = Collection(COLLECTION)
vectors = np.random.default_rng(0).normal(size=(len(collection), 16))
gallery = Gallery(collection, MadeUpSearches(collection, vectors), query=QUERY, out=OUT)
gallery"""
IMPORTS_MAP = f"""{MADE_UP}
from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.gallery.map_widget import ArtMap
from artsearch.search.results import Neighbour, Results
"""
# What is found are the first works of all; of several selected ones the kernel says the ids.
SHOW_MAP = """\
collection = Collection(COLLECTION)
points = np.random.default_rng(0).uniform(-1, 1, (len(collection), 2)) * [1, 0.7]

def ask(ids):
    if len(ids) > 1:
        raise ArtsearchError(f"the kernel has {sorted(ids)}")
    found = [Neighbour(id, 0.5, collection.caption(id)) for id in collection.ids[:4]]
    return Results(ids[0], tuple(found), "angular", {})

art_map = ArtMap(collection, Features(points, collection.ids), COLUMN, ask=ask, out=OUT)
art_map"""


# ---- servers ---------------------------------------------------------------------------------


def values(parameters):
    """Return the cell that sets parameters."""
    return "\n".join(f"{name} = {value!r}" for name, value in parameters.items())


def write_notebook(path, parameters, imports=IMPORTS, show=SHOW):
    """Write a notebook that shows a gallery, and return its path."""
    cells = [
        nbformat.v4.new_code_cell(source, metadata={"tags": [tag]})
        for source, tag in (
            (imports, "app"),
            (values(parameters), "parameters"),
            (show, "gallery"),
        )
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


def wait_for(address, process, log, seconds=180):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            return urllib.request.urlopen(address, timeout=5)
        except OSError:
            time.sleep(0.1)  # until the next try
    pytest.fail(f"no answer from {address}:\n{log.read_text()[-2000:]}")


def served(notebook, folder):
    """Serve the app of a notebook."""
    # Voilà's static files answer without starting a kernel, as the page itself would.
    return server("artsearch", "app", str(notebook), folder=folder, path="/voila/static/voila.js")


def lab(folder, root, **environment):
    """Serve JupyterLab on the notebooks of a folder; its own files lie in another."""
    return server(
        "jupyterlab",
        "--allow-root",
        "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        f"--ServerApp.root_dir={root}",
        folder=folder,
        path="/api",
        **environment,
    )


@contextmanager
def opened(browser, address, path="", **options):
    """Open an app in a new page; `page.received` counts the bytes that came by websocket."""
    host = address.removeprefix("http://")
    with visit(
        browser, hosts=(host,), **{"viewport": {"width": 1280, "height": 1000}} | options
    ) as page:
        page.received = 0
        page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda frame: count(page, frame))
        )
        page.goto(address + path, timeout=PATIENCE)
        yield page
        assert not page.wrong, page.wrong


def count(page, frame):
    page.received += len(frame if isinstance(frame, bytes) else frame.encode())


# ---- what a visitor does ---------------------------------------------------------------------


def ready(page):
    """Wait until the gallery is there, with all pictures that are in sight."""
    page.wait_for_selector("[data-part=query] img[src^=blob]", timeout=PATIENCE)
    settled(page)


def settled(page):
    """Wait until every answer and every picture in sight has come."""
    page.wait_for_selector(".artsearch:not(.as-waiting)", timeout=PATIENCE)
    page.wait_for_function(
        """() => [...document.querySelectorAll("[data-part=work] img, [data-part=query] img")]
          .filter((img) => {
            const box = img.getBoundingClientRect();
            return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) === img;
          })
          .every((img) => img.complete && img.naturalWidth)""",
        timeout=PATIENCE,
    )


def wait_for_query(page, id):
    page.wait_for_function(
        "id => document.querySelector('[data-part=query]').dataset.id === id",
        arg=id,
        timeout=PATIENCE,
    )
    settled(page)


def select(page, part, place):
    id = ids(page, part)[place]
    works(page, part).nth(place).click()
    wait_for_query(page, id)
    return id


def press(page, part, name):
    tool(page, part).locator(f"button[data-name={name}]").click()
    button = f"[data-part={part}] button[data-name={name}]"
    page.wait_for_selector(f"{button}[aria-pressed=true]", timeout=PATIENCE)
    put_away(page)
    settled(page)


def compare(page):
    tool(page, "compare").click()
    put_away(page)
    page.wait_for_selector("[data-part=overlap]", timeout=PATIENCE)
    settled(page)


def wait_for_place(page, text):
    """Wait until the headings say a place of the dial."""
    page.locator("[data-part=neighbours] h3", has_text=text).wait_for()
    settled(page)


def map_ready(page):
    """Wait until the map is there, stands still, and has all pictures that it shows."""
    page.wait_for_selector(".am-layer[data-shown]", timeout=PATIENCE)
    # Pictures are chosen when it has stood still for 0.12 s: seven frames, or fewer slow ones.
    page.evaluate(
        """async () => {
          const layers = () => [...document.querySelectorAll(".am-layer")]
            .map((one) => one.dataset.shown + one.innerHTML).join();
          let before = "";
          for (let still = 0; still < 20; still += 1) {
            await new Promise(requestAnimationFrame);
            const now = layers();
            if (now !== before) still = 0;
            before = now;
          }
        }"""
    )
    page.wait_for_function(
        """() => [...document.querySelectorAll(".am-layer img")]
          .every((img) => img.complete && img.naturalWidth)""",
        timeout=PATIENCE,
    )


def map_pictures(page):
    """Return the pictures shown on the map: row → left, top, right, bottom."""
    found = page.locator(".am-layer img").evaluate_all(
        """all => all.map((one) => {
          const {left, top, right, bottom} = one.getBoundingClientRect();
          return [Number(one.dataset.row), [left, top, right, bottom]];
        })"""
    )
    return dict(found)


def run_all(page):
    """Run all cells in JupyterLab when the kernel is ready; sooner, it loses the command."""
    page.wait_for_function(
        """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel
          ?.status === "idle" """,
        timeout=PATIENCE,
    )
    page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
