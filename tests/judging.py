"""What a judge does in a browser, on the page and in the app alike."""

from dataclasses import replace

import numpy as np
from apps import PATIENCE

from artsearch.features.features import Features
from artsearch.index.factory import construct_exact_index
from artsearch.judge.triplets import ROW, choose_rows, choose_triplets
from artsearch.search.search import Search

#: What each key says.
SAYS = {"ArrowLeft": "left", "ArrowRight": "right", "e": "equal", "n": "neither"}


def made_up_questions(collection, count=8):
    """Return questions on works that random numbers describe: half on what, half on how, a row."""
    rng = np.random.default_rng(0)
    described = {
        name: Features(rng.normal(size=(len(collection), 8)), tuple(collection.ids))
        for name in ("resnet50 · no_crop · final", "vgg16 · no_crop · final")
    }
    searches = {
        name: Search(collection, construct_exact_index("angular", one))
        for name, one in described.items()
    }
    triplets = choose_triplets(described, count, again=0)
    kinds = ["what"] * (count // 2) + ["how"] * (count - count // 2)
    asked = [replace(one, question=kind) for one, kind in zip(triplets, kinds, strict=True)]
    return asked + choose_rows(searches, 1, k=min(ROW, len(collection) - 1))


def enter(page, name, skip=True):
    """Say who judges; then begin, past the examples."""
    page.get_by_label("Name or number").fill(name)
    page.keyboard.press("Enter")
    page.wait_for_selector(".aj[data-screen=intro] [data-part=go]", timeout=PATIENCE)
    if skip and page.locator("[data-part=skip]").count():
        page.locator("[data-part=skip]").click()
    if skip:
        page.locator("[data-part=go]").click()
        asked(page)


def asked(page):
    """Wait until an answer is heeded."""
    page.wait_for_selector(".aj[data-screen=question][data-state=open]", timeout=PATIENCE)


def settled(page):
    """Wait for the next question or whatever else comes after a vote; go on past a pause."""
    page.wait_for_selector(
        ".aj[data-screen=question][data-state=open], .aj[data-screen=pause], .aj[data-screen=end]",
        timeout=PATIENCE,
    )
    if page.locator(".aj[data-screen=pause]").count():
        page.keyboard.press("Enter")
        asked(page)


def vote(page, key):
    page.keyboard.press(key)
    settled(page)


def touch(page, answer):
    page.locator(f"[data-answer={answer}]").tap()
    settled(page)


def count(page):
    return page.locator("[data-part=count]").inner_text()


def everything(page):
    """Return all that the browser can read or that asked for something, as one text."""
    return page.evaluate(
        """() => [document.documentElement.outerHTML,
          ...performance.getEntriesByType("resource").map(({ name }) => name)].join("\\n")"""
    )
