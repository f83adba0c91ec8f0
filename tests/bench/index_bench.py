"""Which index for which size: recall against time, memory and disk, all measured in one run."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from index_bench_data import SHARES, prepare
from index_bench_turns import Candidate

from artsearch.base.disk import write_whole
from artsearch.base.errors import check_whole
from artsearch.features.features import Features


@dataclass(frozen=True)
class Method:
    """A library, how it builds, and the settings that it is asked with: points on one curve.

    `way` is a name of `index_bench_libraries.WAYS`, and `build` are its options; `most` is the
    largest collection that it is measured at.
    """

    name: str
    way: str
    build: dict = field(default_factory=dict)
    settings: tuple[dict, ...] = ({},)
    most: int | None = None

    @property
    def built(self) -> str:
        """How it is built, in words: "trees=25"."""
        return _tell({key: value for key, value in self.build.items() if key != "kind"})

    @property
    def title(self) -> str:
        """The method and how it is built."""
        return f"{self.name} {self.built}".strip()

    @property
    def ours(self) -> bool:
        """Whether it is an index of artsearch, and not a library alone."""
        return self.way == "kind"

    def tell(self, setting: dict, found: dict) -> str:
        """Say how it is built and asked: "trees=25, search_k=1000"; of "auto" what it `found`."""
        own = _tell(found) if self.build.get("kind") == "auto" else self.built
        return ", ".join(filter(None, (own, _tell(setting))))


def _tell(options: dict) -> str:
    """Say options in words: names, such as that of a structure, alone, and what is none not at all.

    >>> _tell({"dtype": "f32", "compress": None, "ef": 64})
    'f32, ef=64'
    """
    told = {name: value for name, value in options.items() if value}
    words = (
        f"{name}={value}" if not isinstance(value, str) else value for name, value in told.items()
    )
    return ", ".join(words).replace("{lists}", "")


def _each(name: str, *values: int) -> tuple[dict, ...]:
    return tuple({name: value} for value in values)


LOOKS = _each("ef", 16, 32, 64, 128, 256, 512)
PROBES = _each("nprobe", 4, 16, 64, 128)
#: Annoy looks at 10 works a tree when it is not told: that is what the article has.
NODES = ({}, *_each("search_k", 1_000, 5_000, 10_000, 15_000, 25_000, 100_000))
EFFORTS = _each("effort", 16, 32, 64, 128, 256, 512)
METHODS = (
    Method("exact", "kind", {"kind": "exact"}),
    Method("exact bfloat16", "half"),
    Method("auto", "kind", {"kind": "auto"}),
    Method("annoy", "annoy", {"trees": 25}, NODES),
    Method("annoy", "annoy", {"trees": 100}, NODES),
    Method("hnswlib", "hnswlib", {"M": 16}, LOOKS),
    Method("hnswlib", "hnswlib", {"M": 32}, LOOKS),
    Method("faiss", "faiss", {"factory": "Flat"}),
    Method("faiss", "faiss", {"factory": "IVF{lists},Flat"}, PROBES),
    Method("faiss", "faiss", {"factory": "IVF{lists},SQ8"}, PROBES),
    Method("faiss", "faiss", {"factory": "HNSW16"}, _each("efSearch", 16, 32, 64, 128, 256)),
    Method("artsearch faiss", "kind", {"kind": "faiss", "compress": "int8"}, EFFORTS),
    Method("usearch", "usearch", {"dtype": "f32"}, LOOKS),
    Method("usearch", "usearch", {"dtype": "bf16"}, LOOKS),
    Method("usearch", "usearch", {"dtype": "i8"}, LOOKS),
    Method("milvus", "milvus", {"index": "FLAT"}, most=100_000),
    Method("milvus", "milvus", {"index": "HNSW"}, _each("ef", 64, 256), most=100_000),
)
#: What the article does: 25 trees, and Annoy's own number of nodes to look at.
ARTICLE = ("annoy", "trees=25")


def measure(
    features: Features,
    methods: Sequence[Method],
    queries: np.ndarray,
    k: int = 10,
    rounds: int = 5,
    *,
    shares: Sequence[float] = SHARES,
    folder: str | os.PathLike | None = None,
    limit: float = 900,
    seconds: float = 1,
    seed: int = 0,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[list[dict], list[dict]]:
    """Build, save, open and ask each method; return a row a setting, and who is left out and why.

    All are asked the same queries (rows of numbers, of works that are not in the features) for the
    k nearest by angle, each method in a process of its own that has opened what was saved. They
    take turns, in another order in each round, for `seconds` at most at a time; what is stated is
    the median of the rounds. Recall is held against a float64 comparison with every work.

    A row holds `method`, `built`, `params`, `works`, `dims`, `recall_at_10` (with k for 10),
    `ms_per_query`, `ms_per_query_batch` (all queries at once), `build_s`, `open_s`, `bytes` (on
    disk) and `memory` (by how many bytes a fresh process grew when it had opened the index and
    answered all queries; parts of a mapped file that were read count). The same under a filter
    that 1 % of the works match: `recall_at_10_filter_1` and `ms_filter_1`; and for other `shares`.

    A `folder` keeps what is built, and a second call with the same features builds only what is
    missing. A build that takes longer than `limit` seconds is left out.
    """
    check_whole("rounds", rounds)
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="index-bench-"))
        data = prepare(Path(folder), features, queries, shares, k, seed)
        candidates = [Candidate(method, data, k) for method in methods]
        for one in candidates:
            say(f"{len(features):,} × {features.dims:,}: building {one.method.title}")
            one.build(limit)
        for one in candidates:
            say(f"opening {one.method.title}")
            one.open(stack)
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for one in random.Random(number).sample(candidates, len(candidates)):
                one.ask(seconds)
    rows = [row for one in candidates for row in one.rows()]
    return rows, [one.why_left_out() for one in candidates if one.reason]


def write_json(rows: Sequence[dict], path: str | os.PathLike, **notes: object) -> Path:
    """Write rows as JSON, with notes such as the machine before them, whole or not at all."""
    text = json.dumps(notes | {"rows": list(rows)}, indent=1, ensure_ascii=False)
    return write_whole(Path(path), f"{text}\n".encode())


def reach(rows: Sequence[dict]) -> list[str]:
    """Say in sentences how far artsearch's own indexes come: what was aimed at, and what is."""
    return [*_compare_with_annoy(rows), *_tell_of_a_million(rows)]


def _compare_with_annoy(rows: Sequence[dict]) -> list[str]:
    """Compare the quickest of ours that finds 99 % with the quickest Annoy that finds 95 %."""
    said = []
    for works, dims in sorted({(row["works"], row["dims"]) for row in rows}):
        here = [row for row in rows if (row["works"], row["dims"]) == (works, dims)]
        ours = _quickest([row for row in here if row["ours"] and row["recall_at_10"] >= 0.99])
        annoy = [row for row in here if row["method"] == ARTICLE[0]]
        theirs = _quickest([row for row in annoy if row["recall_at_10"] >= 0.95])
        if ours and theirs:
            times = ours["ms_per_query"] / theirs["ms_per_query"]
            aim = " (the aim: under 0.7)" * (works == 10_000)
            said.append(
                f"{works:,} × {dims:,}: {_name(ours)} has recall {ours['recall_at_10']:.3f} in "
                f"{ours['ms_per_query']:.2f} ms, {times:.2f} × the {theirs['ms_per_query']:.2f} ms "
                f"that Annoy takes for {theirs['recall_at_10']:.3f}{aim}."
            )
    return said


def _tell_of_a_million(rows: Sequence[dict]) -> list[str]:
    """Tell of the quickest of ours that finds 95 % at a million works or more."""
    large = [row for row in rows if row["works"] >= 1_000_000 and row["ours"]]
    best = _quickest([row for row in large if row["recall_at_10"] >= 0.95])
    if best is None:
        return []
    return [
        f"{best['works']:,} × {best['dims']:,}: {_name(best)} has recall "
        f"{best['recall_at_10']:.3f} in {best['ms_per_query']:.2f} ms a query, holds "
        f"{best['memory'] / 1e9:.2f} GB and opens in {best['open_s']:.2f} s "
        "(the aims: 0.95, 5 ms, 3 GB, 2 s)."
    ]


def _quickest(rows: Sequence[dict]) -> dict | None:
    return min(rows, key=lambda row: row["ms_per_query"], default=None)


def _name(row: dict) -> str:
    return f"{row['method']} ({row['params']})" if row["params"] else row["method"]
