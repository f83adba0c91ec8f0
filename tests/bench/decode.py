"""Museum scans: what opening them at a reduced scale saves, and what it does to the features."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import report
from PIL import Image
from speed import Settings

from artsearch.features.extractor import FeatureExtractor
from artsearch.networks.precision import fast_is_possible
from artsearch.works.collection import Collection
from artsearch.works.images import open_image, to_jpeg

NETWORK = "efficientnet_lite0"
SIDES = (3_000, 8_000)
COLUMNS = {
    "side": "longer side",
    "scans": "scans",
    "full_ms": "full ms",
    "reduced_ms": "reduced ms",
    "times": "times",
    "mean_cosine": "mean cosine",
    "lowest_cosine": "lowest",
}


def measure(settings: Settings) -> None:
    """Open enlarged paintings both ways; print the table and write decode.json."""
    extractor = FeatureExtractor(NETWORK, precision="exact", compile=False)
    # The side that a fast extraction asks for; an exact one opens everything in full.
    fast = FeatureExtractor(NETWORK, precision="fast") if fast_is_possible() else None
    reduced = fast.side if fast else 640
    number = 2 if settings.quick else 8
    rows = []
    for side in (1_500,) if settings.quick else SIDES:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            paths = list(make_scans(Collection(settings.collection), number, side, Path(scratch)))
            rounds = 1 if settings.quick else 3
            rows.append({"side": side, **compare(paths, reduced, extractor, rounds)})
    print(f"Opening scans, one thread, in full and at {reduced} pixels or more a side")
    print(report.table(rows, COLUMNS))
    report.write(settings.out / "decode.json", rows=rows, reduced_side=reduced, network=NETWORK)


def compare(paths: list[Path], reduced: int, extractor: FeatureExtractor, rounds: int) -> dict:
    """Return milliseconds and cosines of both ways to open the same files, file after file."""
    times = {None: [], reduced: []}
    for _ in range(rounds):
        for path in paths:
            for side, found in times.items():
                found.append(time_opening(path, side))
    full, less = (rows_of(paths, side, extractor) for side in times)
    cosines = cosine(full, less)
    full_ms, reduced_ms = (statistics.median(found) for found in times.values())
    return {
        "scans": len(paths),
        "full_ms": full_ms,
        "reduced_ms": reduced_ms,
        "times": full_ms / reduced_ms,
        "mean_cosine": float(cosines.mean()),
        "lowest_cosine": float(cosines.min()),
    }


def time_opening(path: Path, side: int | None) -> float:
    """Return how many milliseconds it takes to open a file."""
    start = time.perf_counter()
    open_image(path, side)
    return 1000 * (time.perf_counter() - start)


def rows_of(paths: list[Path], side: int | None, extractor: FeatureExtractor) -> np.ndarray:
    """Return the features of files that are opened at a scale, one at a time."""
    squares = (extractor.preprocess(open_image(path, side)) for path in paths)
    return np.concatenate([extractor.rows([square])[extractor.layers[0]] for square in squares])


def make_scans(collection: Collection, number: int, side: int, folder: Path) -> Iterator[Path]:
    """Enlarge paintings to JPEG files with a fine grain, as a scanned canvas has it."""
    random = np.random.default_rng(0)
    # A tile of noise in place of a new one for each: 64 million normal numbers take seconds.
    grain = random.normal(0, 6, (1024, 1024, 1))
    for id in collection.sample(min(number, len(collection)), seed=0):
        image = collection.open(id)
        scale = side / max(image.size)
        large = image.resize([round(scale * length) for length in image.size], Image.LANCZOS)
        path = folder / f"{len(list(folder.iterdir())):03}.jpg"
        path.write_bytes(to_jpeg(add_grain(large, grain), quality=92))
        yield path


def add_grain(image: Image.Image, grain: np.ndarray) -> Image.Image:
    """Return an image with a tile of noise laid over it again and again."""
    pixels = np.array(image)
    tile = len(grain)
    for top in range(0, len(pixels), tile):
        for left in range(0, pixels.shape[1], tile):
            part = pixels[top : top + tile, left : left + tile]
            noisy = part + grain[: part.shape[0], : part.shape[1]]
            part[:] = np.clip(noisy, 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine between the rows of two arrays."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.minimum(1, (first * second).sum(axis=1) / lengths)
