"""Methods in processes of their own that take turns, and what comes of it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import report
from worker import Worker, WorkerError


@dataclass
class Turns:
    """What came of the methods that took turns: rounds by name, notes, and who failed and why."""

    works: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, dict] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def take_turns(
    commands: Mapping[str, Sequence[str]], rounds: int, logs: Path, scratch: Path
) -> Turns:
    """Start a process a method, warm up one after the other, then let them run in turns.

    All stay alive to the end, so that what one has loaded and compiled never serves another, and a
    machine that slows down for a while slows all of them. In each round the order is another one.
    """
    turns = Turns(seconds={method: [] for method in commands})
    with ExitStack() as stack:
        workers = {}
        for method, command in commands.items():
            # A cache of its own: what was compiled in an earlier run would cost nothing now.
            env = {"TORCHINDUCTOR_CACHE_DIR": str(scratch / "compiled" / method)}
            workers[method] = stack.enter_context(Worker(command, logs / f"{method}.log", env))
        for method in commands:
            _ask(turns, workers, method, "warm")
        for number in range(rounds):
            order = sorted(set(commands) - set(turns.failed))
            random.Random(number).shuffle(order)
            for method in order:
                _ask(turns, workers, method, "round")
    return turns


def _ask(turns: Turns, workers: Mapping[str, Worker], method: str, word: str) -> None:
    try:
        answer = workers[method].ask(word)
    except WorkerError as error:
        turns.failed[method] = str(error)
        return
    if word == "round":
        turns.works = answer.pop("works")
        turns.seconds[method].append(answer.pop("seconds"))
    turns.notes[method] = turns.notes.get(method, {}) | answer


def summarise(turns: Turns) -> list[dict]:
    """Return one row a method, with the works from which on compiling repays."""
    rows = {}
    for method, seconds in turns.seconds.items():
        if seconds and method not in turns.failed:
            row = {"method": method, **report.summarise(turns.works, seconds)}
            rows[method] = row | turns.notes[method]
    for method in ("exact", "fast"):
        row, eager = rows.get(method, {}), rows.get(f"{method}_eager")
        if eager and "compile_s" in row:
            speeds = eager["works_per_second"], row["works_per_second"]
            row["repays_from"] = report.repays_from(row["compile_s"], *speeds)
    return list(rows.values())
