"""How much memory an extraction takes at most, and that it does not grow with the collection."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import report
from speed import Settings
from worker import WorkerError, last_words, peak_mb

WORKS = (2_000, 20_000)
DIMS = 1280
COLUMNS = {"precision": "precision", "works": "works", "peak_mb": "peak MB", "ratio": "times"}


def measure(settings: Settings) -> None:
    """Extract small and large collections, each in a new process; print and write memory.json."""
    rows, left_out = [], {}
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folders = {}
        for works in (20, 200) if settings.quick else WORKS:
            folders[works] = make_works(Path(scratch, str(works)), works)
        for precision in ("exact", "fast"):
            try:
                found = [extract_apart(folders[works], precision, works) for works in folders]
            except WorkerError as error:
                left_out[precision] = str(error)
                continue
            rows += [row | {"ratio": row["peak_mb"] / found[0]["peak_mb"]} for row in found]
    print("Peak memory (a network of one layer, so that nothing hides what the works take)")
    print(report.table(rows, COLUMNS))
    for precision, reason in left_out.items():
        print(f"{precision} left out: {reason}")
    report.write(settings.out / "memory.json", rows=rows, left_out=left_out)


def make_works(folder: Path, number: int) -> Path:
    """Fill a folder with small pictures, made from 50 and all different to the last byte."""
    sys.path.append(str(Path(__file__).parents[1]))
    from madeup import make_folder

    return make_folder(folder, ["made up"] * number)


def extract_apart(folder: Path, precision: str, works: int) -> dict:
    """Return the peak memory of a process that extracts a folder and does nothing else."""
    command = [sys.executable, __file__, str(folder), precision]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise WorkerError(last_words(done.stderr))
    return {"precision": precision, "works": works, "peak_mb": float(done.stdout)}


def extract_here(folder: str, precision: str) -> None:
    """Extract a folder with a network that costs nothing but has as many numbers as a real one."""
    from torch import nn

    from artsearch.features.extract import extract
    from artsearch.features.extractor import FeatureExtractor
    from artsearch.works.collection import Collection

    tiny = nn.Sequential(nn.Conv2d(3, DIMS, 16, stride=64), nn.AdaptiveAvgPool2d(1))
    options = {"layers": "1", "model": tiny, "precision": precision, "compile": False}
    extractor = FeatureExtractor("efficientnet_lite0", **options)
    with tempfile.TemporaryDirectory() as out:
        extract(Collection(folder), [extractor], out, progress=False)


if __name__ == "__main__":
    extract_here(*sys.argv[1:])
    print(peak_mb())
