"""How long it takes to open a store of a million works, in a process that has just begun."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import report
from speed import Settings

ROWS = 1_000_000
DIMS = (64, 1280)
GOAL_S = 1.0
COLUMNS = {
    "rows": "works",
    "dims": "dims",
    "open_s": "open s",
    "slowest_s": "slowest",
    "first_row_s": "first row s",
    "peak_mb": "peak MB",
    "goal": "goal s",
    "met": "met",
}


def measure(settings: Settings) -> None:
    """Write stores of a million made-up works and open them; print and write open.json."""
    rows, left_out = [], {}
    for dims in DIMS:
        number = 1_000 if settings.quick else ROWS
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            # The file has holes where the disk can do that; where not, it is as large as it says.
            if shutil.disk_usage(scratch).free < 2 * 4 * number * dims:
                left_out[str(dims)] = "the disk has no room for it"
                continue
            folder = make_store(Path(scratch, "store"), number, dims)
            opened = [open_apart(folder) for _ in range(1 if settings.quick else 5)]
        rows.append({"rows": number, "dims": dims, **summarise(opened)})
    print("Opening a store, each time in a new process (imports not counted)")
    print(report.table(rows, COLUMNS))
    for dims, reason in left_out.items():
        print(f"{dims} dims left out: {reason}")
    report.write(settings.out / "open.json", rows=rows, left_out=left_out)


def summarise(opened: list[dict]) -> dict:
    """Return the medians of what several processes found, and the slowest opening."""
    found = {key: statistics.median(one[key] for one in opened) for key in opened[0]}
    slowest = max(one["open_s"] for one in opened)
    return {**found, "slowest_s": slowest, "goal": GOAL_S, "met": found["open_s"] < GOAL_S}


def make_store(folder: Path, rows: int, dims: int) -> Path:
    """Write a store in the project's own format, whose numbers are zeros that take no room."""
    import numpy as np
    import pandas as pd

    from artsearch.base.disk import MANIFEST
    from artsearch.features.store import Contents, write_store

    ids = [f"an artist of some name/the title of work {row:07}.jpg" for row in range(rows)]

    def take(start: int, stop: int) -> np.ndarray:
        return np.zeros((stop - start, 1))

    write_store(folder, Contents(pd.DataFrame({"id": ids}), 1, take, {}))
    # Made wide afterwards: zeros that are written would fill the disk as well as any others.
    for path in (folder / "img_emb").iterdir():
        shape = len(np.load(path, mmap_mode="r")), dims
        np.lib.format.open_memmap(path, mode="w+", dtype="<f4", shape=shape).flush()
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | {"dims": dims}), encoding="utf-8")
    return folder


def open_apart(folder: Path) -> dict:
    """Return the times of a new process that opens a store and reads a row."""
    done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, check=True)
    return json.loads(done.stdout)


def open_here(folder: str) -> dict:
    """Return how many seconds it takes to open a store, and to read its first row."""
    from worker import peak_mb

    from artsearch.features.store import load_features

    start = time.perf_counter()
    features = load_features(folder)
    opened = time.perf_counter()
    features.vectors[0].sum()
    read = time.perf_counter()
    return {"open_s": opened - start, "first_row_s": read - opened, "peak_mb": peak_mb()}


if __name__ == "__main__":
    print(json.dumps(open_here(sys.argv[1])))
