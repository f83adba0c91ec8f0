"""Debian's Chromium for the tests, and a page in it that may ask no other host."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

CHROMIUM = "/usr/bin/chromium"
SCREENS = Path(__file__).parents[1] / "build" / "screens"
ARGUMENTS = [
    "--no-sandbox",  # which root may not have
    "--disable-dev-shm-usage",  # small in containers
    "--disable-background-networking",
]


@contextmanager
def chromium() -> Iterator:
    """Start Chromium; skip the test where there is none, but never in CI."""
    if not Path(CHROMIUM).exists():
        said = f"no {CHROMIUM}; `apt-get install chromium` for the tests in a browser"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(said)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def visit(browser, hosts: tuple[str, ...] = (), **options) -> Iterator:
    """Open an empty page; fail if it asks a host not in `hosts`, or if a script in it fails."""
    context = browser.new_context(**options)
    page = context.new_page()
    wrong = []
    local = ("file:", "data:", "blob:", *(f"http://{host}" for host in hosts))

    def check(request):
        if not request.url.startswith(local):
            wrong.append(f"asked {request.url}")

    def heed(message):
        if message.type == "error":
            wrong.append(message.text)

    page.on("request", check)
    page.on("pageerror", lambda error: wrong.append(f"failed: {error}"))
    page.on("console", heed)
    page.wrong = wrong
    yield page
    context.close()
    assert not wrong, wrong


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Hand out a folder by a plain web server; give its host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield "{}:{}".format(*server.server_address)
    server.shutdown()
    thread.join()
    server.server_close()


def works(page, part):
    """Find the works in one part of the gallery."""
    return page.locator(f"[data-part={part}] [data-part=work]")


def ids(page, part):
    """Return the ids of the works in one part of the gallery."""
    return works(page, part).evaluate_all("all => all.map((one) => one.dataset.id)")


def query(page):
    """Return the id of the selected work."""
    return page.locator("[data-part=query]").get_attribute("data-id")


def part(page, name):
    """Find a part of the gallery."""
    return page.locator(f"[data-part={name}]")


def tool(page, name):
    """Find a tool of the gallery, and open "…" where it stands behind that."""
    found = part(page, name)
    if not found.is_visible():
        part(page, "more").click()
    return found


def put_away(page):
    """Close what "…" has opened."""
    if part(page, "sheet").is_visible():
        page.keyboard.press("Escape")


def open_menu(page, list_, place):
    """Open the menu of a work; return its items."""
    item = page.locator(f"[data-part={list_}] li").nth(place)
    item.hover()
    item.locator(".as-more").click()
    return page.get_by_role("menuitem")


def slider_of(page):
    """Find the slider of the dial."""
    return page.get_by_role("slider", name="Dial")


def begin_part(page):
    """Begin to draw a part of the selected work."""
    page.locator(".as-mat").first.hover()
    part(page, "draw").click()


def screenshot(page, name, selector=".artsearch"):
    """Keep a picture of the page for whoever wants to look; no test reads it."""
    page.mouse.move(1, 1)
    page.locator(selector).screenshot(path=SCREENS / f"{name}.png")
