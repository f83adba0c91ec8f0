"""From files to rows: threads read, decode and resize ahead of the network, which never waits."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from artsearch.base.errors import check_whole
from artsearch.base.progress import Progress
from artsearch.features.extractor import FeatureExtractor
from artsearch.works.file_state import FileState, read_steadily
from artsearch.works.images import few_notes, open_image

#: More threads than this gained nothing where it was measured.
MOST_WORKERS = 16
#: Full batches after which the time of one is known well enough to decide about compiling.
TIMED_BATCHES = 3

Item = TypeVar("Item")
Value = TypeVar("Value")
#: Given the SHA-256 of a file, the extractors whose rows of it are still missing.
Wanted = Callable[[str], Collection[FeatureExtractor]]


@dataclass(frozen=True)
class Work:
    """A file that was read: its state, and a square for each extractor or the reason for none."""

    id: str
    state: FileState
    inputs: dict[FeatureExtractor, np.ndarray]
    reason: str = ""


@dataclass(frozen=True)
class Rows:
    """The rows of a batch of works by one extractor: a float32 array, works × dims, by layer."""

    extractor: FeatureExtractor
    works: Sequence[Work]
    by_layer: dict[str, np.ndarray]


def run(
    paths: dict[str, Path],
    extractors: Sequence[FeatureExtractor],
    wanted: Wanted | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> Iterator[Work | Rows]:
    """Read each file once; yield every Work in order, and Rows as soon as a batch is full.

    `paths` are files by id. `wanted` says by a file's content who wants it (all, if not given).
    Within an extractor, rows come in the order of the works. Raises what the networks raise; a file
    that cannot be read is a Work with a reason.
    """
    extractors = list(dict.fromkeys(extractors))
    wanted = wanted or (lambda sha256: extractors)

    def read(item: tuple[str, Path]) -> Work:
        return read_work(*item, wanted)

    with (
        Progress(len(paths), title_of(extractors), show=progress) as bar,
        few_notes(),
        Passes(extractors, batch_size, len(paths), bar) as passes,
    ):
        for work in look_ahead(read, paths.items(), _number_of(workers)):
            yield work
            yield from passes.add(work)
            bar.update(1)
        yield from passes.finish()


def title_of(extractors: Iterable[FeatureExtractor]) -> str:
    """Return the titles of the networks, each once, with commas between."""
    return ", ".join(dict.fromkeys(extractor.network.title for extractor in extractors))


def read_work(work_id: str, path: Path, wanted: Wanted) -> Work:
    """Read a file and make the inputs of it that are wanted; a Work with a reason if it cannot."""

    def inputs(sha256: str) -> dict[FeatureExtractor, np.ndarray]:
        return _preprocess(path, wanted(sha256))

    state, found, reason = read_steadily(path, inputs)
    return Work(work_id, state, found or {}, reason)


def look_ahead(
    function: Callable[[Item], Value], items: Iterable[Item], workers: int
) -> Iterator[Value]:
    """Yield function(item) for each item in order, worked out by threads a little ahead.

    >>> list(look_ahead(str.upper, "abc", workers=2))
    ['A', 'B', 'C']
    """
    # Threads, since Pillow and torch free Python's lock while they work, and pixels need not be
    # copied from process to process. Few ahead, so that memory does not grow.
    pool = ThreadPoolExecutor(workers, thread_name_prefix="artsearch-read")
    pending: deque = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 8 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class Passes:
    """The forward passes of some extractors over works that come one by one, batch by batch.

    `works` is how many are to come, as far as that is known; `bar` says when a network is compiled.
    Several passes run side by side (see count_workers); rows come in the order of the works. To be
    used in a `with` block.
    """

    def __init__(
        self,
        extractors: Iterable[FeatureExtractor],
        batch_size: int | None,
        works: int,
        bar: Progress,
    ):
        self._batches = [_Batch(extractor, batch_size, works) for extractor in extractors]
        self._bar = bar
        self._pending: deque = deque()
        self._seconds: dict[FeatureExtractor, list[float]] = {}

    def __enter__(self) -> Passes:
        from artsearch.networks.forward import count_workers, thread_limit

        self._workers = count_workers()
        with ExitStack() as stack:
            stack.enter_context(thread_limit(self._workers))
            self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="artsearch-forward")
            stack.callback(self._pool.shutdown, cancel_futures=True)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def add(self, work: Work) -> Iterator[Rows]:
        """Take a work; yield the rows that are there by now."""
        for batch in self._batches:
            if batch.add(work):
                self._compile_if_it_repays(batch)
                yield from self._submit(batch)

    def finish(self) -> Iterator[Rows]:
        """Compute what waits, full batch or not, and yield all rows that are still to come."""
        for batch in self._batches:
            yield from self._submit(batch)
        while self._pending:
            yield self._pending.popleft().result()

    def _submit(self, batch: _Batch) -> Iterator[Rows]:
        """Begin a pass; yield the rows of the oldest ones when there are as many as workers."""
        if works := batch.take():
            self._pending.append(self._pool.submit(self._forward, batch.extractor, works))
        while len(self._pending) > self._workers:
            yield self._pending.popleft().result()

    def _compile_if_it_repays(self, batch: _Batch) -> None:
        """Compile a network when it is asked for, or when what is left takes long enough."""
        seconds = self._seconds.get(batch.extractor, [])
        # The quickest pass counts, once a work's time is well known.
        each = min(seconds) if len(seconds) >= TIMED_BATCHES else None
        if batch.extractor.wants_compiling(batch.left, each):
            wait(self._pending)
            self._bar.set_postfix_str("compiling")
            batch.extractor.runner.compile(batch.size)
            self._bar.set_postfix_str("")

    def _forward(self, extractor: FeatureExtractor, works: list[Work]) -> Rows:
        started = time.perf_counter()
        rows = extractor.rows([work.inputs.pop(extractor) for work in works])
        seconds = (time.perf_counter() - started) / len(works) / self._workers
        self._seconds.setdefault(extractor, []).append(seconds)
        return Rows(extractor, works, rows)


class _Batch:
    """What waits for one extractor until there is enough for a forward pass."""

    def __init__(self, extractor: FeatureExtractor, size: int | None, left: int):
        if size is not None:
            check_whole("batch_size", size)
        self.extractor = extractor
        self._size = size
        self.left = left
        self._works: list[Work] = []

    @property
    def size(self) -> int:
        runner = self.extractor.runner
        size = self._size or runner.batch_size
        return min(size, runner.most or size)

    def add(self, work: Work) -> bool:
        """Take a work, and tell whether that makes the batch full."""
        self.left -= 1
        if self.extractor in work.inputs:
            self._works.append(work)
        # Asked only then: a network that nobody wants is not loaded. And here, in the thread of the
        # pass over the files: loading it by several workers at once would take it several times.
        return self.extractor in work.inputs and len(self._works) >= self.size

    def take(self) -> list[Work]:
        """Return the works that wait, and begin anew."""
        if self._works:
            self.extractor.load()  # here, in the thread of the pass over the files: see `add`
        works, self._works = self._works, []
        return works


def _preprocess(path: Path, extractors: Iterable[FeatureExtractor]) -> dict:
    """Decode a file once for all extractors that can use the same picture."""
    images, inputs, found = {}, {}, {}
    for extractor in extractors:
        side = extractor.side
        if side not in images:
            images[side] = open_image(path, side)
        key = extractor.transform, extractor.fast
        if key not in inputs:
            inputs[key] = extractor.preprocess(images[side])
        found[extractor] = inputs[key]
    return found


def _number_of(workers: int | None) -> int:
    if workers is not None:
        check_whole("workers", workers)
        return workers
    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return min(len(allowed), MOST_WORKERS)
