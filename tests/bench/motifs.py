"""The benchmark of motifs: `python tests/bench/motifs.py --collection FOLDER --sizes 895,10000`.

A collection, and larger ones made of its maps, are asked for parts of works: by a work, whose map
is there, and by a mirrored image of it, which goes through the network first. A table is printed,
and build/bench/motifs.json has all rows.

What larger ones are made of: the works as they are, and made ones. A made work has the map of a
real one, moved around and perhaps mirrored, with a quarter of its numbers from another one's. So
maps on disk and regions in the index are as many, and spread as real ones are; but nothing is told
of how often a motif is found in as many real works, and made works that have most of the map of the
work asked for may come before it.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import click
import numpy as np
import report
from extract import warn_if_busy
from PIL import ImageOps

from artsearch.base.errors import ArtsearchError
from artsearch.evaluate.motifs import draw_region
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.points.motifs import Motifs
from artsearch.points.pyramid import Pyramid
from artsearch.points.regions import FeatureMap, MapExtractor, stored_maps
from artsearch.works.collection import Collection

ASKED = ("work", "mirrored image")
COLUMNS = {
    "works": "works",
    "asked": "asked by",
    "first": "own work first",
    "ms": "ms",
    "cpu_ms": "of a core",
    "build_s": "index built, s of a core",
    "open_s": "open s",
    "map_bytes": "bytes a map",
    "region_bytes": "bytes a work in the index",
    "regions": "regions",
}


@click.command()
@click.option("--collection", default="data", help="A folder of works; the shipped one is `data`.")
@click.option("--network", default="efficientnet_lite0", help="The network whose maps are taken.")
@click.option("--sizes", default="895,10000", help="Works, with commas between them.")
@click.option("--queries", default=20, type=click.IntRange(1), help="Parts that are asked for.")
@click.option("--stores", default="build", help="Where the maps of the collection are kept.")
@click.option("--out", default="build/bench", help="Where the results go.")
def main(collection, network, sizes, queries, stores, out):
    """Measure what it takes to find a motif, at several sizes."""
    folder = Path(out, "motifs")
    try:
        works, making = Collection(collection), MapExtractor(FeatureExtractor(network))
        warn_if_busy()
        maps, rows = stored_maps(works, making, stores), []
        for size in map(int, sizes.split(",")):
            larger = enlarge(maps, size, folder / str(size))
            regions, built = build(larger, folder / f"{size}-regions")
            motifs = Motifs(larger, making, regions)
            rows += [built | row for row in ask(works, maps.ids[:size], motifs, queries)]
            shutil.rmtree(folder)
    except ArtsearchError as error:
        sys.exit(f"Error: {error}")
    print(report.table(rows, COLUMNS))
    report.write_rows(Path(out, "motifs.json"), rows)


def enlarge(maps: Features, size: int, folder: Path) -> Features:
    """Return maps of so many works, real and made ones, on disk."""
    folder.mkdir(parents=True)
    file, dims = folder / "maps.npy", maps.vectors.shape[1]
    rows = np.lib.format.open_memmap(file, "w+", np.float32, (size, dims))
    for row in range(size):
        rows[row] = maps.vectors[row] if row < len(maps) else make(maps, row)
    rows.flush()
    ids = (*maps.ids[:size], *(f"made {row}" for row in range(size - len(maps))))
    return Features(np.load(file, mmap_mode="r"), ids, maps.provenance)


def make(maps: Features, row: int) -> np.ndarray:
    """Return a packed map that is made of two real ones."""
    random = np.random.default_rng(row)
    first, second = (
        FeatureMap.unpack(maps.vectors[one]) for one in random.integers(len(maps), size=2)
    )
    cells = np.roll(first.cells, random.integers(first.cells.shape[:2]), axis=(0, 1))
    cells = cells[:, :: random.choice([-1, 1])]
    other = random.random(cells.shape[2]) < 0.25
    mixed = np.where(other, np.resize(second.cells, cells.shape), cells)
    dims = maps.vectors.shape[1]
    # A position takes so many bytes; what a row has room for is what it holds of them.
    return FeatureMap(mixed, first.shape).pack(4 * (dims - 4) // (cells.shape[2] + 2))[:dims]


def build(maps: Features, folder: Path) -> tuple[Pyramid, dict]:
    """Build the index of regions, and open it; return it and what that took."""
    cpu = time.process_time()
    Pyramid.build(maps).save(folder, {})
    built, started = time.process_time() - cpu, time.perf_counter()
    regions = Pyramid.open(folder, {})
    size = sum(path.stat().st_size for path in folder.iterdir())
    return regions, {
        "works": len(maps),
        "build_s": built,
        "open_s": time.perf_counter() - started,
        "map_bytes": 4 * maps.vectors.shape[1],
        "region_bytes": size / len(maps),
        "regions": regions.count,
    }


def ask(works: Collection, ids: list[str], motifs: Motifs, queries: int) -> list[dict]:
    """Ask for parts of works, by each way; return medians."""
    random, told = np.random.default_rng(0), {name: [] for name in ASKED}
    drawn = [str(id) for id in random.choice(ids, min(queries, len(ids)), replace=False)]
    for number, id in enumerate([drawn[0], *drawn]):
        image = works.open(id)
        left, top, right, bottom = draw_region(image.size, random)
        mirrored = 1 - right, top, 1 - left, bottom
        questions = (id, (left, top, right, bottom)), (ImageOps.mirror(image), mirrored)
        for name, question in zip(ASKED, questions, strict=True):
            start, cpu = time.perf_counter(), time.process_time()
            first = motifs.find(*question)[0].id
            taken = time.perf_counter() - start, time.process_time() - cpu
            told[name] += [(first == id, *taken)] if number else []  # the first loads what is used
    medians = {name: np.median(rows, axis=0) for name, rows in told.items()}
    return [
        {
            "asked": name,
            "first": float(np.mean([row[0] for row in told[name]])),
            "ms": float(1000 * wall),
            "cpu_ms": float(1000 * cpu),
            "asked_times": len(told[name]),
        }
        for name, (_, wall, cpu) in medians.items()
    ]


if __name__ == "__main__":
    main()
