"""Whether a part of a work is found in others: motifs whose places are known by construction."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from artsearch.base.errors import ImageError, check_whole
from artsearch.base.progress import Progress
from artsearch.evaluate.alterations import ALTERATIONS, chance
from artsearch.evaluate.estimates import MetricsTable, NotMeasurable, estimate_mean
from artsearch.evaluate.repaint import make_painter
from artsearch.features.pipeline import look_ahead
from artsearch.networks.transforms import default_crop
from artsearch.search.answer import cut
from artsearch.search.question import Region
from artsearch.search.results import Results
from artsearch.search.search import Search
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection
from artsearch.works.images import few_notes, open_image, thumbnail, to_jpeg

#: The longer side of all works, in pixels.
SIDE = 640
#: Shares of a work's area that a motif has, and how many times as large it is in others.
SHARES, SCALES = (0.05, 0.15), (0.7, 1.4)
#: The proportions of a motif: at most so many times as long as it is high, or the other way round.
LONGEST = 1.6
#: How far the edge of what is pasted is blended with what is around, of its shorter side.
BLENDED = 0.08
#: What is done to a motif, in turns, before it is pasted into a work: ten works have it.
KINDS = ("pasted",) * 4 + ("mirrored",) * 3 + ("repainted",) * 3
#: Motifs that are asked for.
QUERIES = 40
#: From how much of both on two regions are the same place.
SAME = 0.5
#: What is compared: works that have the motif, and whole works that are like the part.
MOTIF, PART = "motif", "part"
WORKERS = 2


@dataclass(frozen=True)
class Pasted:
    """A motif: a region of a work, and by id the works that have it, where, and how it was done."""

    work: str
    region: Region
    places: dict[str, tuple[Region, str]]


def motifs(
    searches: Searches, seed: int = 0, queries: int = QUERIES, progress: bool = True
) -> MetricsTable:
    """Measure how many of the ten works found for a motif have it, and whether the place is right.

    The works of a collection are copied at SIDE pixels, and parts of some are pasted into others,
    ten each: as they are, mirrored, or painted anew in the manner of the work with its colours
    shifted. Then each network is asked for the motif, and for whole works like the part. Metrics:
    precision at 10; recall at 10 for each kind of pasting (the label); "place", the share of the
    works found in which the region and the truth share half of both; "overlap", their mean ratio.
    Intervals draw motifs again. Raises NotMeasurable for fewer works than one motif wants.
    """
    check_whole("queries", queries)
    metrics, collection = MetricsTable(), searches.collection
    crop = default_crop(searches.crops)
    names = [network.name for network in searches.networks]
    with tempfile.TemporaryDirectory(prefix="artsearch-motifs-") as folder, few_notes():
        pasted = paste(collection, Path(folder, "works"), seed, queries, progress)
        out = Path(folder, "out")
        copies = Searches(Collection(Path(folder, "works")), names, [crop], out, progress=progress)
        for name in names:
            _measure(metrics, (name, crop), copies[name, crop], pasted, seed, progress)
    return metrics


def paste(
    collection: Collection, folder: Path, seed: int, queries: int = QUERIES, progress: bool = True
) -> list[Pasted]:
    """Copy the works of a collection into a folder, some with parts of others pasted in."""
    folder.mkdir(parents=True)
    names = _copy(collection, folder, progress)
    motifs = min(queries, len(names) // (1 + len(KINDS)))
    if not motifs:
        raise NotMeasurable(f"a motif wants {1 + len(KINDS)} works; here are {len(names)}")
    rng = np.random.default_rng(seed)
    names = [names[at] for at in rng.permutation(len(names))]
    sources, hosts = names[:motifs], names[motifs : motifs * (1 + len(KINDS))]
    regions = {name: draw_region(open_image(folder / name).size, rng) for name in sources}
    # Each host has its turn of the kinds, so that every motif is there in all of them.
    todo = [
        (host, sources[number // len(KINDS)], KINDS[number % len(KINDS)])
        for number, host in enumerate(hosts)
    ]
    paint = _painter(folder, regions, [one for one in todo if one[2] == "repainted"])

    def paste_one(one: tuple[str, str, str]) -> tuple[str, str, Region, str]:
        host, source, kind = one
        picture, detail = open_image(folder / host), _open_part(folder / source, regions[source])
        own = chance(seed, host, kind)
        if kind == "mirrored":
            detail = ImageOps.mirror(detail)
        if kind == "repainted":
            painted = paint(source, host).resize(detail.size, Image.Resampling.LANCZOS)
            detail = ALTERATIONS["colour shift"](painted, own)
        whole = open_image(folder / source).size
        larger = own.uniform(*SCALES) * math.sqrt(math.prod(picture.size) / math.prod(whole))
        picture, region = paste_part(picture, detail, larger, own)
        (folder / host).write_bytes(to_jpeg(picture, 92))
        return source, host, region, kind

    pasted = {name: Pasted(name, regions[name], {}) for name in sources}
    with Progress(len(todo), "Pasting motifs", show=progress) as bar:
        for source, host, region, kind in look_ahead(paste_one, todo, WORKERS):
            pasted[source].places[host] = region, kind
            bar.update(1)
    return list(pasted.values())


def paste_part(
    picture: Image.Image, detail: Image.Image, larger: float, rng: np.random.Generator
) -> tuple[Image.Image, Region]:
    """Return a picture with a detail in it, so many times as large, at a random place; and where.

    Its edge is blended with what is around. A detail too large for the picture is made smaller.
    """
    room = picture.width / detail.width, picture.height / detail.height
    larger = min(larger, *(0.9 * one for one in room))
    width, height = (max(2, round(side * larger)) for side in detail.size)
    left = int(rng.integers(picture.width - width, endpoint=True))
    top = int(rng.integers(picture.height - height, endpoint=True))
    blended = max(1, round(BLENDED * min(width, height)))
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (blended, blended, max(width - blended, 1), max(height - blended, 1)))
    mask = mask.filter(ImageFilter.GaussianBlur(blended / 2))
    picture = picture.copy()
    picture.paste(detail.resize((width, height), Image.Resampling.LANCZOS), (left, top), mask)
    ends = left / picture.width, top / picture.height
    return picture, (*ends, ends[0] + width / picture.width, ends[1] + height / picture.height)


def overlap(first: Region, second: Region) -> float:
    """Return how much of two regions is of both: intersection over union.

    >>> overlap((0, 0, 1, 1), (0.5, 0, 1, 1))
    0.5
    """
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = min(first[2], second[2]), min(first[3], second[3])
    both = max(0.0, right - left) * max(0.0, bottom - top)
    areas = ((one[2] - one[0]) * (one[3] - one[1]) for one in (first, second))
    return both / (sum(areas) - both)


def _copy(collection: Collection, folder: Path, progress: bool) -> list[str]:
    def copy(work_id: str) -> bytes:
        with suppress(ImageError):
            return to_jpeg(thumbnail(collection.path(work_id), SIDE), 92)
        return b""

    names = []
    with Progress(len(collection), "Copying works", show=progress) as bar:
        for data in look_ahead(copy, collection.ids, WORKERS):
            if data:
                names.append(f"{len(names):06}.jpg")
                (folder / names[-1]).write_bytes(data)
            bar.update(1)
    return names


def draw_region(size: tuple[int, int], rng: np.random.Generator) -> Region:
    """Return a random part of a picture of a size, of SHARES of its area."""
    share, shape = rng.uniform(*SHARES), LONGEST ** rng.uniform(-1, 1)
    ratio = size[0] / size[1]
    width = min(0.9, math.sqrt(share * shape / ratio))
    height = min(0.9, share / width)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return left, top, left + width, top + height


def _open_part(path: Path, region: Region) -> Image.Image:
    return cut(open_image(path), region)


def _painter(folder: Path, regions: dict, todo: list[tuple[str, str, str]]) -> Callable:
    """Return what paints the motif of a work in the manner of another one."""
    images = {host: thumbnail(folder / host, 256) for host, _, _ in todo}
    for source in {source for _, source, _ in todo}:
        part = _open_part(folder / source, regions[source])
        large = 256 / max(part.size)
        images[source] = part.resize([max(32, round(side * large)) for side in part.size])
    return make_painter(images)


def _measure(
    metrics: MetricsTable, key: tuple, search: Search, pasted: list[Pasted], seed: int, show: bool
) -> None:
    works, k = len(search.index), len(KINDS)
    found: dict[str, list[dict[str, float]]] = {MOTIF: [], PART: []}
    with Progress(len(pasted), "Motifs", show=show) as bar:
        for one in pasted:
            for name, rows in found.items():
                answer = search.ask(one.work, k, region=one.region, motif=name == MOTIF)
                rows.append(_score(one, answer))
            bar.update(1)
    ids = [one.work for one in pasted]
    by_chance = len(KINDS) / max(1, works - 1)
    for name, rows in found.items():
        for metric, label in dict.fromkeys(key for row in rows for key in row):
            chance_of = by_chance if metric in ("precision", "recall") else 0.0
            kept = [(id, row[metric, label]) for id, row in zip(ids, rows, strict=True)]
            kept = [(id, value) for id, value in kept if not math.isnan(value)]
            if kept:
                named, values = zip(*kept, strict=True)
                estimate = estimate_mean(metric, k, values, chance_of, named, named, seed)
                metrics.add((*key, name, label), estimate)


def _score(one: Pasted, answer: Results) -> dict[tuple[str, str], float]:
    """Return by metric and label what an answer is worth."""
    hits = [work for work in answer if work.id in one.places]
    scores = {("precision", "motif"): len(hits) / len(KINDS)}
    for kind in dict.fromkeys(KINDS):
        right = sum(one.places[work.id][1] == kind for work in hits)
        scores["recall", kind] = right / KINDS.count(kind)
    placed = [overlap(work.region, one.places[work.id][0]) for work in hits if work.region]
    if answer and answer[0].region:
        nothing = float("nan")
        scores["overlap", "motif"] = float(np.mean(placed)) if placed else nothing
        scores["place", "motif"] = float(np.mean(np.array(placed) >= SAME)) if placed else nothing
    return scores
