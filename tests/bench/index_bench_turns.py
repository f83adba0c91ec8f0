"""One method of the benchmark on its way: built, opened, asked in turns with the others."""

from __future__ import annotations

import json
import shutil
import statistics
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import TYPE_CHECKING

from index_bench_data import Data, recall
from index_bench_process import (
    BUILT,
    Apart,
    ask_filtered,
    ask_plain,
    build,
    grown,
    open_built,
)

from artsearch.base.errors import ArtsearchError

if TYPE_CHECKING:
    from index_bench import Method

#: Queries that are asked under a filter.
FILTERED = 50


def unless_left_out(step: Callable) -> Callable:
    """Make a step that is not taken by what is left out, and whose error is the reason for it."""

    @wraps(step)
    def take(self: Candidate, *args) -> None:
        if not self.reason:
            try:
                step(self, *args)
            except ArtsearchError as error:
                self.reason = str(error)

    return take


class Candidate:
    """A method, its process, and what came of it so far; `reason` says why it is left out."""

    def __init__(self, method: Method, data: Data, k: int):
        self.method, self.data, self.k = method, data, k
        self.reason = ""
        self.note: dict = {}
        self._settings = method.settings
        self._recalls: list[dict] = []
        self._times: list[dict] = [defaultdict(list) for _ in method.settings]
        slug = "".join(c if c.isalnum() else "-" for c in method.title)
        self._folder = data.folder / slug
        self._what = method.way, method.build, data.folder, self._folder
        if method.most is not None and data.works > method.most:
            self.reason = f"it is measured up to {method.most:,} works"

    @unless_left_out
    def build(self, limit: float) -> None:
        """Build it, unless that was done before."""
        try:
            self.note |= json.loads((self._folder / BUILT).read_text(encoding="utf-8"))
        except OSError:
            shutil.rmtree(self._folder.with_name(f"{self._folder.name}.part"), ignore_errors=True)
            with Apart() as process:
                self.note |= process.ask(build, *self._what, seconds=limit)

    @unless_left_out
    def open(self, stack: ExitStack) -> None:
        """Open it in a process that stays, and ask it everything once: that is its recall."""
        self._process = stack.enter_context(Apart())
        self.note |= self._process.ask(open_built, *self._what)
        self._recalls = [self._recall(ask_plain, setting, self.k) for setting in self._settings]
        # Before the filters: the memory stated is that of plain queries.
        self.note["memory"] = self._process.ask(grown)
        for recalls, setting in zip(self._recalls, self._settings, strict=True):
            recalls |= self._recall(ask_filtered, setting, self.k, FILTERED)

    @unless_left_out
    def ask(self, seconds: float) -> None:
        """Ask it everything, for so many seconds at a time, and remember how long it took."""
        for setting, times in zip(self._settings, self._times, strict=True):
            found = self._process.ask(ask_plain, setting, self.k, seconds)
            found |= self._process.ask(ask_filtered, setting, self.k, FILTERED, seconds)
            for what, one in found.items():
                times[what].append(one["ms"])

    def rows(self) -> list[dict]:
        """Return one row a setting, with the medians of all rounds; none of what is left out."""
        if self.reason:
            return []
        found = zip(self._settings, self._recalls, self._times, strict=True)
        return [self._row(*one) for one in found]

    def _row(self, setting: dict, recalls: dict, times: dict[str | int, list[float]]) -> dict:
        ms = {what: statistics.median(rounds) for what, rounds in times.items()}
        # What "auto" has chosen is known when it is open.
        params = self.method.tell(setting, self.note["settings"])
        row = self.what() | {"params": params, "ours": self.method.ours}
        row |= {f"recall_at_{self.k}": recalls["one"], "ms_per_query": ms["one"]}
        row |= {"ms_per_query_batch": ms["many"], **self.note}
        for number, share in enumerate(self.data.shares):
            percent = f"{100 * share:g}"
            row[f"recall_at_{self.k}_filter_{percent}"] = recalls[number]
            row[f"ms_filter_{percent}"] = ms[number]
        return row

    def what(self) -> dict:
        """Return what it is, and at which size."""
        size = {"works": self.data.works, "dims": self.data.dims}
        return {"method": self.method.name, "built": self.method.built} | size

    def why_left_out(self) -> dict:
        """Return what it is, and why it is left out."""
        return self.what() | {"reason": self.reason}

    def _recall(self, function: Callable, *args: object) -> dict[str | int, float]:
        found = self._process.ask(function, *args, None)
        nearest = {"one": self.data.nearest[0], **dict(enumerate(self.data.nearest[1:]))}
        return {
            what: recall(one["rows"], nearest[what]) for what, one in found.items() if "rows" in one
        }
