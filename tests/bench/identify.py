"""The benchmark of identify: `python tests/bench/identify.py`, or `make bench-identify`.

A collection, and larger ones made of its points, are asked which work a picture shows: by
photographs, details, and photographs of works that were taken out. A table is printed, and
build/bench/identify.json has all rows.

What larger ones are made of: the works of the collection as they are, and made works. A made work
has points drawn from all real ones, each with its size and angle, and a quarter of its numbers
taken from another one. So the clusters are as full, and votes go to as many works, as at that size;
but made works show nothing: no two of them agree on anything, as different paintings now and then
do. They are written into the index as codes, and their points are made anew when one is looked at,
which takes about as long as to read them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import report
from extract import warn_if_busy

from artsearch.base.errors import ArtsearchError
from artsearch.base.vectors import unit_rows
from artsearch.evaluate.alterations import ALTERATIONS, STRONG, alter_all
from artsearch.features.features import Features
from artsearch.points.identify import Identifier
from artsearch.points.local import MOST, MOST_OF_QUERY, Points, find_points, library
from artsearch.points.store import stored_points
from artsearch.points.votes import VOTING, Votes, empty_index, voting
from artsearch.works.collection import Collection

ASKED = ("photograph", "strong photograph", "detail of 10 %", "work not there")
PASSES = 3  # in which clusters are learnt: more make them little better, and take long
BLOCK = 32  # codes that faiss keeps side by side
COLUMNS = {
    "works": "works",
    "asked": "asked by",
    "right": "right",
    "finding_ms": "points ms",
    "deciding_ms": "work ms",
    "cpu_ms": "both, of a core",
    "open_s": "open s",
    "index_mb": "index MB",
}


@click.command()
@click.option("--collection", default="data", help="A folder of works; the shipped one is `data`.")
@click.option("--sizes", default="3669,100000", help="Works, with commas between them.")
@click.option("--queries", default=12, type=click.IntRange(1), help="Works asked for in a round.")
@click.option("--rounds", default=3, type=click.IntRange(1), help="Each size's turns.")
@click.option("--stores", default="build", help="Where the points of the collection are kept.")
@click.option("--out", default="build/bench", help="Where the results go.")
@click.option("--ask", default="", hidden=True)
@click.option("--seed", default=0, hidden=True)
def main(collection, sizes, queries, rounds, stores, out, ask, seed):
    """Measure what it takes to know a work again, at several sizes."""
    folder = Path(out, "identify")
    try:
        works = Collection(collection)
        if ask:
            return print(json.dumps(answer(works, int(ask), folder, stores, queries, seed)))
        warn_if_busy()
        known = {}
        for size in sizes.split(","):
            index_mb = enlarge(works, int(size), stores, folder / size)
            known[size] = {"works": int(size), "index_mb": index_mb}
        told = {size: [] for size in known}
        for seed in range(rounds):
            for size in known:  # in turns, each in a process of its own
                options = ["--ask", size, "--seed", str(seed), "--queries", str(queries)]
                places = ["--collection", collection, "--stores", stores, "--out", out]
                told[size] += ask_apart(*places, *options)
        rows = [known[size] | row for size in known for row in summarise(told[size])]
    except ArtsearchError as error:
        sys.exit(f"Error: {error}")
    print(report.table(rows, COLUMNS))
    report.write_rows(Path(out, "identify.json"), rows)
    shutil.rmtree(folder)


def enlarge(works: Collection, size: int, stores: str, folder: Path) -> float:
    """Write an index of so many works, real and made ones; return its size in MB."""
    threshold = Identifier.of(works, stores).threshold
    points = stored_points(works, stores, False)
    real = min(size, len(points))
    counts = np.minimum(points.vectors[:real][:, 0], VOTING).astype(int)
    descriptors, shapes = voting(points.vectors[:real])
    descriptors = descriptors.astype(np.float32)
    index = empty_index((size - real) * VOTING + len(shapes))
    index.cp.niter = PASSES
    index.train(descriptors)
    codes = index.pq.compute_codes(descriptors)
    lists = index.quantizer.search(descriptors, 1)[1][:, 0]
    owners, kinds, total = [np.repeat(np.arange(real), counts)], [shapes], len(shapes)
    random = np.random.default_rng(0)
    times = (size - real) * VOTING / len(shapes)
    for number in range(index.nlist):
        here = np.flatnonzero(lists == number)
        made = round(times * len(here)) if len(here) else 0
        first = random.choice(here, made) if made else here[:0]
        second = random.integers(len(codes), size=made)
        other = random.random((made, codes.shape[1]), dtype=np.float32) < 0.25
        rows = np.concatenate([codes[here], np.where(other, codes[second], codes[first])])
        ids = np.concatenate([here, np.arange(total, total + made)])
        put(index, number, rows, ids)
        owners.append(real + (np.arange(total, total + made) % max(1, size - real)))
        kinds.append(shapes[first])
        total += made
    index.ntotal = total
    owners = np.concatenate(owners).astype(np.int32)
    votes = Votes(index, owners, np.concatenate(kinds), size, threshold)
    votes.save(folder, {"made of": works.name})
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def put(index, number: int, codes: np.ndarray, ids: np.ndarray) -> None:
    """Put codes into a cluster, in the blocks in which faiss compares them."""
    faiss, packer = library("faiss"), index.get_CodePacker()
    flat = np.zeros((-(-len(codes) // BLOCK) * BLOCK, codes.shape[1]), np.uint8)
    flat[: len(codes)] = codes
    blocks = np.zeros_like(flat)
    for at in range(0, len(flat), BLOCK):
        packer.pack_all(faiss.swig_ptr(flat[at:]), faiss.swig_ptr(blocks[at:]))
    if len(codes):
        ids = np.ascontiguousarray(ids, np.int64)
        index.invlists.add_entries(number, len(codes), faiss.swig_ptr(ids), faiss.swig_ptr(blocks))


class Made:
    """Packed rows of works: the real ones, and for all others points drawn from theirs."""

    def __init__(self, points: Features, size: int):
        self.ids = [*points.ids[:size], *(f"made {row}" for row in range(size - len(points)))]
        self.vectors, self._points = self, points
        works = [Points.unpack(row) for row in points.vectors[:]]
        self._descriptors = np.concatenate([work.descriptors for work in works])
        self._places = np.concatenate([work.places for work in works])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> np.ndarray:
        if row < len(self._points):
            return self._points.vectors[row]
        random = np.random.default_rng(row)
        first, second = random.integers(len(self._places), size=(2, MOST))
        other = random.random((MOST, 32)).repeat(4, axis=1) < 0.25
        mixed = np.where(other, self._descriptors[second], self._descriptors[first])
        mixed = np.rint(512 * unit_rows(mixed.astype(np.float32))).clip(0, 255).astype(np.uint8)
        return Points(self._places[first], mixed, (1.0, 1.0)).pack()


def ask_apart(*options: str) -> list[dict]:
    """Ask a size in a process of its own; return what it tells."""
    command = [sys.executable, __file__, *options]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise ArtsearchError(f"{' '.join(options)} ended with {run.returncode}")
    return json.loads(run.stdout)


def answer(
    works: Collection, size: int, folder: Path, stores: str, queries: int, seed: int
) -> list[dict]:
    """Ask for some works by each picture; return what each took."""
    points = stored_points(works, stores, False)
    started = time.perf_counter()
    votes = Votes.open(folder / str(size), {"made of": works.name})
    opened = {"open_s": time.perf_counter() - started}
    identifier = Identifier(works, Made(points, size), votes)
    ids, told = points.ids[:size], []
    identifier.identify(works.open(ids[0]))  # what is loaded once
    for id in np.random.default_rng(seed).choice(ids, min(queries, len(ids)), replace=False):
        pictures = alter_all(works.open(id), id, ALTERATIONS | STRONG, (0.1,), seed)
        for name in ASKED:
            gone = name == ASKED[-1]
            picture, without = pictures[ASKED[0] if gone else name], [id] if gone else []
            start, cpu = time.perf_counter(), time.process_time()
            found = find_points(picture, MOST_OF_QUERY)
            middle = time.perf_counter()
            said = identifier.recognise(found, without=without).work
            taken = (middle - start, time.perf_counter() - middle, time.process_time() - cpu)
            times = dict(zip(("finding_ms", "deciding_ms", "cpu_ms"), taken, strict=True))
            right = said == (None if gone else id)
            told.append({"asked": name, "right": right} | {k: 1000 * v for k, v in times.items()})
    return [row | opened for row in told]


def summarise(told: list[dict]) -> Iterator[dict]:
    """Yield for each picture the share that was right, and medians."""
    for name in ASKED:
        rows = [row for row in told if row["asked"] == name]
        keys = rows[0].keys() - {"asked", "right"}
        medians = {key: float(np.median([row[key] for row in rows])) for key in keys}
        right = float(np.mean([row["right"] for row in rows]))
        yield {"asked": name, "right": right, "asked_times": len(rows)} | medians


if __name__ == "__main__":
    main()
