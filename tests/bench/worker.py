"""A method in a process of its own that runs when it is told to: both ends of the pipe."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path


class WorkerError(Exception):
    """A method that cannot be measured, and why."""


class Worker:
    """The near end: start the process, ask it to warm up or to run a round, end it.

    What it prints goes to a log file, whose last line is the reason when it ends by itself.
    """

    def __init__(self, command: Sequence[str], log: Path, env: dict[str, str] | None = None):
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        with open(log, "wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | (env or {}),
            )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            # Without its stdin it ends by itself, unless it is in the middle of a round.
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, word: str) -> dict:
        """Send "warm" or "round", and return the answer; raises WorkerError when it has ended."""
        try:
            print(word, file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise WorkerError(self._last_words())
        return json.loads(answer)

    def _last_words(self) -> str:
        code = self._process.wait(timeout=60)
        if code < 0:
            return f"it was ended by signal {-code}" + " (out of memory?)" * (code == -9)
        return last_words(self._log.read_text(encoding="utf-8", errors="replace"))


def last_words(text: str) -> str:
    """Return the error at the end of a traceback, without the notes that may follow it.

    >>> last_words("Traceback …\\n  File …\\nValueError: no such layer\\n\\nA note\\n")
    'ValueError: no such layer'
    """
    told = [line.strip() for line in text.split("\n") if ": " in line and line[0] != " "]
    last = told[-1] if told else "it ended without a word"
    return last.removeprefix("artsearch.base.errors.ArtsearchError: ")[:200]


def serve(prepare: Callable[[], tuple[Callable[[], int], dict]]) -> None:
    """The far end: answer each word on stdin with a line of JSON, until stdin is closed.

    `prepare` loads the model and warms it up; it returns what one round is (a function that gives
    the number of works) and notes. Rounds are timed here, so that all methods are timed alike.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print as they go, and stdout is for the answers
    run = None
    for word in sys.stdin:
        if word.strip() == "warm":
            run, answer = prepare()
        else:
            start = time.perf_counter()
            works = run()
            answer = {"works": works, "seconds": time.perf_counter() - start}
        print(json.dumps(answer | {"peak_mb": peak_mb()}), file=answers, flush=True)


def peak_mb() -> float:
    """Return the most memory (RSS) that this process has held, in MB; not its children's."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024**2 if sys.platform == "darwin" else peak / 1024
