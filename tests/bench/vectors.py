"""How long published vectors take to fetch, to open and to answer, in processes of their own."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import report
from speed import Settings

ROWS, DIMS = (100_000, 500_000), 1_152
NETWORK = "vectors:dinov2-giant", "as_published"
COLUMNS = {
    "rows": "works",
    "fetch_s": "fetch s",
    "fetch_mb": "its peak MB",
    "works_s": "table s",
    "build_s": "index s",
    "store_s": "store s",
    "open_s": "open s",
    "gallery_s": "gallery s",
    "nearest_ms": "nearest ms",
    "where_ms": "where ms",
    "each_ms": "in each ms",
    "open_mb": "peak MB",
}


def measure(settings: Settings) -> None:
    """Fetch, open and ask made-up vectors in the form of the Met; print and write vectors.json."""
    rows, left_out = [], {}
    for count in (1_000,) if settings.quick else ROWS:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            # The Parquet file, the rows on their way, the store and the index.
            if shutil.disk_usage(scratch).free < 5 * 4 * count * DIMS:
                left_out[str(count)] = "the disk has no room for it"
                continue
            done = {"rows": count, "dims": DIMS}
            for step in ("make", "fetch", "build", "ask"):
                done |= run_apart(step, scratch, count)
        rows.append(done)
    print(f"Published vectors of {DIMS:,} numbers: fetched once, then opened in a new process")
    print(report.table(rows, COLUMNS))
    for count, reason in left_out.items():
        print(f"{count} works left out: {reason}")
    report.write(settings.out / "vectors.json", rows=rows, left_out=left_out)


def run_apart(step: str, folder: str, count: int) -> dict:
    """Return what a new process measured of a step."""
    command = [sys.executable, __file__, step, folder, str(count)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def make(folder: Path, count: int) -> dict:
    """Write the file that a museum would publish."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from published import write_many

    write_many(folder / "met.parquet", count, DIMS)
    return {}


def fetch(folder: Path, count: int) -> dict:
    """Bring it into a folder."""
    from worker import peak_mb

    from artsearch.fetch.vectors import fetch_vectors

    seconds, _ = timed(lambda: fetch_vectors(str(folder / "met.parquet"), folder / "works"))
    return {"fetch_s": seconds, "fetch_mb": peak_mb()}


def build(folder: Path, count: int) -> dict:
    """Make the index, which is kept."""
    searches = open_searches(folder)
    return {"build_s": timed(lambda: searches[NETWORK])[0]}


def ask(folder: Path, count: int) -> dict:
    """Open all anew, and ask."""
    from worker import peak_mb

    from artsearch.gallery.widget import Gallery
    from artsearch.works.collection import Collection

    works_s, collection = timed(lambda: Collection(folder / "works"))
    searches = open_searches(folder, collection)
    store_s, _ = timed(lambda: searches.features(*NETWORK))
    open_s, search = timed(lambda: searches[NETWORK])
    gallery_s, _ = timed(lambda: Gallery(collection, searches, out=folder / "build"))
    ids = collection.sample(20)
    asked = {
        "nearest_ms": lambda id: search.ask(id, 10),
        "where_ms": lambda id: search.ask(id, 10, where="year > 1900"),
        "each_ms": lambda id: search.ask(id, group_by="source"),
    }
    times = {"works_s": works_s, "store_s": store_s, "open_s": open_s, "gallery_s": gallery_s}
    for name, question in asked.items():
        question(ids[0])
        times[name] = 1000 * statistics.median(timed(lambda: question(id))[0] for id in ids)  # noqa: B023
    return times | {"open_mb": peak_mb()}


def open_searches(folder: Path, collection=None):
    """Return the searches of the folder, exact."""
    from artsearch.search.searches import Searches
    from artsearch.works.collection import Collection

    works = collection or Collection(folder / "works")
    return Searches(works, out=folder / "build", index="exact", progress=False)


def timed(function: Callable):
    """Return the seconds that a function takes, and what it returns."""
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
