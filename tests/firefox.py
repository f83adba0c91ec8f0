"""Firefox for the tests, by WebDriver BiDi: Playwright drives none but a Firefox of its own."""

import itertools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BEGINS = "WebDriver BiDi listening on "
SECONDS = 120


@contextmanager
def firefox(folder: Path) -> Iterator[Callable]:
    """Start Firefox; give a function that opens an address and calls JavaScript there.

    `folder` is for its profile. Skips the test where there is no Firefox.
    """
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        pytest.skip("no Firefox; `apt-get install firefox-esr` for what it makes of the page")
    from websocket import create_connection

    words = ["--headless", "--no-remote", "--remote-debugging-port", "0", "--profile", folder]
    process = subprocess.Popen(
        [program, *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        address = next(line for line in process.stderr if BEGINS in line)
        url = f"{address.partition(BEGINS)[2].strip()}/session"
        socket = create_connection(url, timeout=SECONDS, suppress_origin=True)
        yield _driver(socket)
        socket.close()
    finally:
        process.terminate()
        process.wait()


def _driver(socket) -> Callable:
    numbers = itertools.count()

    def ask(method: str, **params):
        number = next(numbers)
        socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(socket.recv())).get("id") != number:
            pass  # an event
        assert answer["type"] == "success", answer
        return answer["result"]

    ask("session.new", capabilities={})
    context = ask("browsingContext.getTree")["contexts"][0]["context"]

    def call(code: str, argument: object = None, address: str = "") -> object:
        """Call a function of one argument on a page, opened first where it has an address."""
        if address:
            ask("browsingContext.navigate", context=context, url=address, wait="complete")
        given = f"await ({code})(JSON.parse(text))"
        done = ask(
            "script.callFunction",
            functionDeclaration=f"async (text) => JSON.stringify({given} ?? null)",
            arguments=[{"type": "string", "value": json.dumps(argument)}],
            target={"context": context},
            awaitPromise=True,
        )
        assert done["type"] == "success", done["exceptionDetails"]["text"]
        return json.loads(done["result"]["value"])

    return call
