"""A process of its own for each index that is measured: none is helped by another's memory."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from index_bench_data import FILTERS, QUERIES, ROWS
from index_bench_libraries import make_way
from index_bench_ways import Way

from artsearch.base.errors import ArtsearchError

#: The note that lies in the folder of what was built.
BUILT = "built.json"


class Apart:
    """A fresh process that calls functions for us, one after the other, and remembers an index.

    Raises ArtsearchError where it ends by itself, takes longer than it may, or cannot do it.
    """

    def __enter__(self) -> Apart:
        # Spawned, not forked: it begins with nothing of ours in its memory.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self

    def __exit__(self, *error: object) -> None:
        # It ends by itself, as some libraries write to the end, unless it is at work or hangs.
        self._pipe.close()
        self._process.join(10)
        self._process.kill()
        self._process.join()

    def ask(self, function: Callable, *args: object, seconds: float | None = None):
        """Return what a function of this module returns there."""
        try:
            self._pipe.send((function, args))
            if not self._pipe.poll(seconds):
                raise ArtsearchError(f"it took longer than {seconds:.0f} s")
            done, answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            hint = " (out of memory?)" * (code == -9)
            raise ArtsearchError(f"its process ended by itself with {code}{hint}") from None
        if not done:
            raise ArtsearchError(answer)
        return answer


def _serve(pipe) -> None:
    # A build goes on for minutes; it does not when the benchmark is ended.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    kept: dict = {}
    while True:
        try:
            function, args = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send((True, function(kept, *args)))
        except Exception as error:  # whatever a library raises is a reason to leave it out
            kind = "" if isinstance(error, ArtsearchError) else f"{type(error).__name__}: "
            pipe.send((False, " ".join(f"{kind}{error}".split())[:300]))


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def build(kept: dict, way: str, options: dict, data: Path, folder: Path) -> dict:
    """Build an index in a folder that appears when it is whole; return its seconds and bytes."""
    new = folder.with_name(f"{folder.name}.part")
    new.mkdir(parents=True)
    rows, filters = _map(data, ROWS), _map(data, FILTERS)
    builder = make_way(way, **options)
    start = time.perf_counter()
    builder.build(rows, filters, new)
    note = {"build_s": time.perf_counter() - start, "bytes": count_bytes(new)}
    (new / BUILT).write_text(json.dumps(note), encoding="utf-8")
    os.replace(new, folder)
    return note


def open_built(kept: dict, way: str, options: dict, data: Path, folder: Path) -> dict:
    """Open the index that is to be asked; return the seconds that it took, and what it says."""
    opened = make_way(way, **options)
    opened.filters = np.array(_map(data, FILTERS))
    queries = np.array(_map(data, QUERIES))
    gc.collect()
    kept["before"] = memory()
    start = time.perf_counter()
    opened.open(folder)
    seconds = time.perf_counter() - start
    kept.update(way=opened, queries=queries)
    return {"open_s": seconds, "settings": opened.settings}


def grown(kept: dict) -> int:
    """Return by how many bytes the process has grown since it opened its index."""
    return max(0, memory() - kept["before"])


def ask_plain(kept: dict, setting: dict, k: int, seconds: float | None) -> dict:
    """Ask all queries one at a time ("one"), then all at once ("many").

    Returns for each milliseconds a query, and for "one" the rows found; with `seconds` it goes on
    for so long at most, and rows are left out.
    """
    way, queries = kept["way"], kept["queries"]
    way.set(**setting)
    one = _ask_each(lambda query: way.one(query, k), queries, k, seconds)
    start = time.perf_counter()
    way.many(queries, k)
    return {"one": one, "many": {"ms": 1000 * (time.perf_counter() - start) / len(queries)}}


def ask_filtered(kept: dict, setting: dict, k: int, most: int, seconds: float | None) -> dict:
    """Ask the first `most` queries under each filter; returns the same by number of filter."""
    way, queries = kept["way"], kept["queries"][:most]
    way.set(**setting)
    numbers = range(len(way.filters))
    asks = {number: partial(_among, way, number, k) for number in numbers}
    return {number: _ask_each(ask, queries, k, seconds) for number, ask in asks.items()}


def _among(way: Way, number: int, k: int, query: np.ndarray) -> Sequence[int]:
    return way.among(query, number, k)


def _ask_each(ask: Callable, queries: np.ndarray, k: int, seconds: float | None) -> dict:
    found, start = [], time.perf_counter()
    for query in queries:
        found.append(ask(query))
        if seconds is not None and time.perf_counter() - start > seconds:
            break
    ms = 1000 * (time.perf_counter() - start) / len(found)
    rows = [np.asarray(one, np.int64)[:k].tolist() for one in found]
    return {"ms": ms, "rows": rows if seconds is None else []}


def memory() -> int:
    """Return the bytes that this process and its children hold in memory (their resident sets)."""
    import psutil  # which comes with Jupyter

    total = psutil.Process().memory_info().rss
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += child.memory_info().rss
    return total


def count_bytes(folder: Path) -> int:
    """Return how many bytes the files below a folder have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _map(data: Path, name: str) -> np.ndarray:
    return np.load(data / name, mmap_mode="r", allow_pickle=False)
