"""The benchmark of indexes: `python tests/bench/index.py`, or `make bench-index`.

Features of a collection, and larger sets mixed from them, are searched by every method; tables are
printed, and build/bench/index.json has all rows. All of it, on two cores, takes hours, most of them
for the million; run it on a machine that does nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import zip_longest
from pathlib import Path

import click
import numpy as np
import report
from extract import warn_if_busy
from index_bench import METHODS, Method, measure, reach, write_json
from mixing import mix_features

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.evaluate.repaint import ensure_demo_data
from artsearch.features.features import Features
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection

NETWORK, CROP = "efficientnet_lite0", "no_crop"  # its trained weights come as a package
LIBRARIES = ("annoy", "faiss-cpu", "hnswlib", "milvus-lite", "numpy", "pymilvus", "usearch")
COLUMNS = {
    "method": "method",
    "params": "setting",
    "recall_at_10": "recall",
    "ms_per_query": "ms",
    "ms_per_query_batch": "in a batch",
    "build_s": "build s",
    "open_s": "open s",
    "disk_mb": "disk MB",
    "memory_mb": "memory MB",
    "recall_at_10_filter_1": "recall, 1 %",
    "ms_filter_1": "ms",
    "recall_at_10_filter_10": "10 %",
    "ms_filter_10": "ms",
    "recall_at_10_filter_50": "50 %",
    "ms_filter_50": "ms",
}


@dataclass(frozen=True)
class Settings:
    """What the user asked for."""

    out: Path
    methods: Sequence[Method]
    rounds: int
    queries: int
    limit: float
    seconds: float
    keep: bool


@click.command()
@click.option("--collection", default="data", help="A folder of works; the shipped one is `data`.")
@click.option("--sizes", default="10000,100000,1000000", help="Works, with commas between them.")
@click.option("--dims", default="1280,512,512", help="1280: the final layer; 512: the blend.")
@click.option("--methods", default="all", help="By name or build: 'exact; annoy; faiss HNSW16'.")
@click.option("--rounds", default=5, type=click.IntRange(1), help="Each method's turns.")
@click.option("--queries", default=200, type=click.IntRange(1), help="Works that are asked for.")
@click.option("--limit", default=900.0, help="Seconds that a method may build.")
@click.option("--seconds", default=1.0, help="How long a setting is asked at a time.")
@click.option("--stores", default="build", help="Where the features are kept.")
@click.option("--out", default="build/bench", help="Where the results go.")
@click.option("--resume", is_flag=True, help="Go on where a run was stopped.")
@click.option("--keep", is_flag=True, help="Keep what was built, for a run with --resume.")
def main(
    collection, sizes, dims, methods, rounds, queries, limit, seconds, stores, out, resume, keep
):
    """Measure which index finds how much, how quickly, and in how much memory."""
    try:
        chosen = choose(methods)
        settings = Settings(Path(out), chosen, rounds, queries, limit, seconds, keep)
        warn_if_busy()
        wanted = list(pair(numbers(sizes), numbers(dims)))
        works = Collection(ensure_demo_data(Path(collection)))
        searches = Searches(works, NETWORK, crops=[CROP], out=stores, progress=False)
        results = Results(settings, works.name, resume)
        for number, size in wanted:
            if results.lack(number, size):
                folder = settings.out / "index" / f"{number}-{size}"
                if not resume:
                    shutil.rmtree(folder, ignore_errors=True)
                measured = measure_size(searches, number, size, folder, settings)
                results.add(*measured, number, size)
            show(results.rows, number, size)
        print("\n".join(reach(results.rows)))
    except ArtsearchError as error:
        sys.exit(f"Error: {error}")
    print(f"Written to {results.path}")


class Results:
    """What is in index.json; it is written after every size, so that a run can be stopped."""

    def __init__(self, settings: Settings, collection: str, resume: bool):
        self.path = settings.out / "index.json"
        self._settings, self._collection = settings, collection
        before = json.loads(self.path.read_text("utf-8")) if resume and self.path.exists() else {}
        self.rows: list[dict] = before.get("rows", [])
        self.left_out: list[dict] = before.get("left_out", [])
        self._load = os.getloadavg()[0]

    def lack(self, works: int, dims: int) -> bool:
        """Tell whether a method that is asked for was not measured, or left out, at a size."""
        keys = ("method", "built", "works", "dims")
        known = {tuple(row[key] for key in keys) for row in (*self.rows, *self.left_out)}
        return any((m.name, m.built, works, dims) not in known for m in self._settings.methods)

    def add(self, rows: list[dict], left_out: list[dict], works: int, dims: int) -> None:
        """Take the rows of a size, in place of older ones, and write all."""
        # Those of another run do not stay beside them: they were taken at another time.
        self.rows = [row for row in self.rows if (row["works"], row["dims"]) != (works, dims)]
        self.left_out = [
            row for row in self.left_out if (row["works"], row["dims"]) != (works, dims)
        ]
        self.rows, self.left_out = self.rows + rows, self.left_out + left_out
        notes = {
            "machine": report.describe_machine() | versions() | {"load": self._load},
            "collection": self._collection,
            "network": NETWORK,
            "queries": self._settings.queries,
            "rounds": self._settings.rounds,
            "left_out": self.left_out,
        }
        write_json(self.rows, self.path, **notes)


def measure_size(
    searches: Searches, works: int, dims: int, folder: Path, settings: Settings
) -> tuple[list[dict], list[dict]]:
    """Mix so many works, and as many again as are asked for, and measure all methods on them."""
    real = find_features(searches, dims)
    mixed = mix_features(real, works + settings.queries, path=folder / "mixed.npy")
    features = Features(mixed.vectors[:works], mixed.ids[:works], mixed.provenance)
    queries = np.array(mixed.vectors[works:])
    measured = measure(
        *(features, settings.methods, queries),
        rounds=settings.rounds,
        folder=folder / "built",
        limit=settings.limit,
        seconds=settings.seconds,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    if not settings.keep:
        shutil.rmtree(folder)
    return measured


def find_features(searches: Searches, dims: int) -> Features:
    """Return the features of the final layer or of the blend, whichever has so many numbers."""
    network = searches.networks[0]
    if dims == searches.features(network.name, CROP).dims:
        return searches.features(network.name, CROP)
    blend = searches.descriptors(network.name, CROP)["blend"].features
    if dims != blend.dims:
        raise ArtsearchError(
            f"dims is {dims}, but a row of the final layer has {network.dims} numbers, "
            f"and one of the blend {blend.dims}; take one of these"
        )
    return blend


def show(rows: Sequence[dict], works: int, dims: int) -> None:
    """Print the table of a size."""
    here = [row for row in rows if (row["works"], row["dims"]) == (works, dims)]
    sizes = {"disk_mb": "bytes", "memory_mb": "memory"}
    told = [row | {key: row[name] / 1e6 for key, name in sizes.items()} for row in here]
    print(f"\n{works:,} works, {dims:,} numbers each")
    print(f"{report.table(told, COLUMNS)}\n", flush=True)


def choose(names: str) -> list[Method]:
    """Return methods by their names, or names and builds; raises ArtsearchError for others."""
    known = list(dict.fromkeys(name for one in METHODS for name in (one.name, one.title)))
    wanted = known if names == "all" else [name.strip() for name in names.split(";")]
    for name in wanted:
        if name not in known:
            raise unknown("method", name, known)
    return [one for one in METHODS if one.name in wanted or one.title in wanted]


def numbers(text: str) -> list[int]:
    """Return the whole numbers of a list with commas.

    >>> numbers("10000, 512")
    [10000, 512]
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ArtsearchError(
            f"{text!r} is no list of whole numbers; write it as 10000,100000"
        ) from None


def pair(sizes: Sequence[int], dims: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Give each size its number of dimensions; the last one is that of all further sizes.

    >>> list(pair([100, 200, 300], [1280, 512]))
    [(100, 1280), (200, 512), (300, 512)]
    """
    return zip_longest(sizes, dims[: len(sizes)], fillvalue=dims[-1])


def versions() -> dict[str, str]:
    """Return the versions of the libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
