"""What a vote costs: keys, and milliseconds from the key to the next pictures on the screen.

    .venv/bin/python tests/bench/voting.py --collection data/paintings

A browser walks through the app, with a kernel that writes each vote to the disk, and through the
page, which keeps them itself. The clock is the browser's, from the key to the frame in which the
next question is painted (see judge.js); pauses between blocks are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))

from apps import opened, served  # noqa: E402
from browser import chromium, visit  # noqa: E402
from judging import enter, made_up_questions, vote  # noqa: E402

from artsearch.gallery.app import write_judging  # noqa: E402
from artsearch.judge.questions import save_questions  # noqa: E402
from artsearch.judge.votes import read_votes  # noqa: E402
from artsearch.show.judge_page import write_judge_page  # noqa: E402
from artsearch.works.collection import Collection  # noqa: E402


def measure(folder: str, count: int) -> None:
    """Print what `count` votes cost in the app and on the page."""
    collection = Collection(folder)
    questions = made_up_questions(collection, count)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, chromium() as browser:
        scratch = Path(scratch)
        file = save_questions(questions, scratch / "questions.json")
        votes = scratch / "votes.csv"
        notebook = write_judging(scratch / "judge.ipynb", folder, file, votes, scratch)
        with served(notebook, scratch) as address, opened(browser, address) as page:
            page.wait_for_selector("[data-screen=name]", timeout=300_000)
            say("app", walk(page, len(questions)))
        if len(read_votes(votes)) != len(questions):
            raise SystemExit("votes are missing in the file")
        with visit(browser, viewport={"width": 1280, "height": 1000}) as page:
            page.goto(write_judge_page(collection, questions, scratch, progress=False).as_uri())
            say("page", walk(page, len(questions)))


def walk(page, count: int) -> list[float]:
    """Answer all questions, a key each; return the milliseconds of each."""
    enter(page, "bench")
    for number in range(count):
        vote(page, ("ArrowLeft", "ArrowRight", "e", "n")[number % 4])
    return page.evaluate("performance.getEntriesByName('vote').map((one) => one.duration)")


def say(name: str, took: list[float]) -> None:
    """Print a line on the votes of a walk."""
    slow = statistics.quantiles(took, n=10)[-1]
    print(
        f"{name:5} {len(took)} votes, 1 key each: {statistics.median(took):.0f} ms in the middle, "
        f"{slow:.0f} ms for nine of ten, {max(took):.0f} ms at most"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--collection", default="data/paintings")
    parser.add_argument("--votes", type=int, default=60)
    settings = parser.parse_args()
    measure(settings.collection, settings.votes)
