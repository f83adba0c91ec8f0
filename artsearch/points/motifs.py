"""A part of a picture in the works of a collection: which have it, where, and how like it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided
from PIL import Image

from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.features.pipeline import look_ahead
from artsearch.networks.forward import count_workers
from artsearch.points import pyramid
from artsearch.points.local import library
from artsearch.points.pyramid import Pyramid
from artsearch.points.regions import (
    SIDE,
    FeatureMap,
    MapExtractor,
    Region,
    maps_folder,
    stored_maps,
)
from artsearch.points.store import count_missing
from artsearch.works.collection import Collection

#: Works over which the motif is laid roughly, those with the nearest regions; and of these the
#: ones that are looked at closely.
CANDIDATES, CLOSELY = 300, 30
#: Seconds that the regions of a work take in the index (two cores).
A_BUILD = 0.01
#: Positions along the longer side of a motif that are compared, roughly and closely.
ROUGH, LONG = 4, 5
#: How many times as large a motif may be in another work, as a share of the root of its area;
#: roughly every second one is tried.
RATIOS = tuple(2 ** (step / 3) for step in range(-3, 4))


@dataclass(frozen=True)
class Motif:
    """A work with the region in which it has a motif.

    A position of the motif is found again where it and one of the work are each other's nearest,
    at the same place of the motif: `share` tells how many are, `likeness` is their mean cosine,
    with 0 for the others. `mirrored` tells that left and right are swapped.
    """

    id: str
    region: Region
    likeness: float
    share: float
    mirrored: bool = False


class _Laid(NamedTuple):
    """Where one of several parts fits a map best.

    That is the mean cosine there, its top and left position, which part, and all cosines of the
    map's positions to that part's: height × width × rows × columns.
    """

    mean: float
    top: int
    left: int
    way: int
    cosines: np.ndarray


class Motifs:
    """What a network sees where in a collection's works, ready to be asked for motifs."""

    def __init__(self, maps: Features, extractor: MapExtractor, regions: Pyramid):
        self._maps, self._extractor, self._regions = maps, extractor, regions
        self._row = {id: row for row, id in enumerate(maps.ids)}

    @classmethod
    def of(
        cls,
        collection: Collection,
        extractor: FeatureExtractor,
        out: str | os.PathLike = "build",
        progress: bool = True,
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> Motifs:
        """Return what finds motifs in the works of a collection; it is kept below `out`.

        Computing the maps takes about four times as long as features do, once. `tell` hears in
        sentences how far it is. Raises EngineError where faiss is not installed, and what `extract`
        and choose_layer raise.
        """
        library("faiss")
        done = count(1)
        making = MapExtractor(
            extractor, lambda: tell(f"What is where in works: {next(done):,} of {missing:,}.")
        )
        missing = count_missing(collection, maps_folder(collection, making, out))
        maps = stored_maps(collection, making, out, progress)
        folder = _regions_folder(collection, making, out)
        learnt = [*pyramid.SIDES, pyramid.ACROSS, pyramid.DIMS, pyramid.SAMPLE, pyramid.SHRINK]
        made_of = maps.provenance | {"pyramid": learnt}
        regions = Pyramid.open(folder, made_of)
        if regions is None:
            regions = Pyramid.build(maps)
            regions.save(folder, made_of)
        return cls(maps, making, regions)

    @staticmethod
    def missing(
        collection: Collection, extractor: FeatureExtractor, out: str | os.PathLike = "build"
    ) -> tuple[int, float]:
        """Return of how many works maps are still to be made, and about how long `of` takes.

        The seconds are told from one work.
        """
        library("faiss")
        making = MapExtractor(extractor)
        works = count_missing(collection, maps_folder(collection, making, out))
        if not works:
            there = _regions_folder(collection, making, out).exists()
            return 0, 0.0 if there else len(collection) * A_BUILD
        picture = Image.new("RGB", (SIDE, SIDE))
        making.map(picture)  # the first one takes longer
        started = time.perf_counter()
        making.map(picture)
        seconds = (time.perf_counter() - started) / count_workers()
        return works, works * seconds + len(collection) * A_BUILD

    def __contains__(self, work_id: str) -> bool:
        return work_id in self._row

    def find(
        self,
        image: Image.Image | str,
        region: Region,
        k: int = 10,
        among: Iterable[str] | None = None,
    ) -> list[Motif]:
        """Return the k works that have a region of a work, or of an RGB image, and where.

        Those that have it most clearly come first. A work is named by its id. `among` are the works
        that may answer, all if None. Mirrored motifs are found, too.
        """
        seen = self._open(self._row[image]) if isinstance(image, str) else self._see(image)
        rough, close = (_cut(seen, region, long) for long in (ROUGH, LONG))
        rows = None if among is None else [self._row[id] for id in among if id in self._row]
        works = self._regions.nearest(close[0], max(k, CANDIDATES), rows)
        workers = count_workers()
        likely = look_ahead(lambda row: self._lay(row, *rough, RATIOS[::2]).mean, works, workers)
        best = np.argsort(-np.fromiter(likely, float), kind="stable")[: max(k, CLOSELY)]
        found = look_ahead(lambda at: self._look(works[at], *close), best, workers)
        return sorted(found, key=lambda one: -one.likeness)[:k]

    def _see(self, image: Image.Image) -> FeatureMap:
        return self._regions.whiten(self._extractor.map(image))

    def _open(self, row: int) -> FeatureMap:
        return self._regions.whiten(FeatureMap.unpack(self._maps.vectors[row]))

    def _lay(self, row: int, parts: np.ndarray, side: float, ratios: Iterable[float]) -> _Laid:
        """Lay parts over a work in several sizes; return where one of them fits best."""
        work = self._open(row)
        return max(
            (_lay_over(work.scaled(side * ratio), parts) for ratio in ratios),
            key=lambda one: one.mean,
        )

    def _look(self, row: int, parts: np.ndarray, side: float) -> Motif:
        """Return where a work has one of the parts most clearly."""
        best = self._lay(row, parts, side, RATIOS)
        height, width, rows, columns = best.cosines.shape
        left, top = best.left / width, best.top / height
        ends = left, top, left + columns / width, top + rows / height
        region = tuple(min(1.0, float(end)) for end in ends)
        agreeing = _found_again(best.cosines, best.top, best.left)
        share, likeness = len(agreeing) / (rows * columns), float(agreeing.sum()) / (rows * columns)
        return Motif(self._maps.ids[row], region, likeness, share, bool(best.way))


def _regions_folder(collection: Collection, making: MapExtractor, out: str | os.PathLike) -> Path:
    return Path(out, "indexes", f"{maps_folder(collection, making, out).name}-motifs")


def _cut(seen: FeatureMap, region: Region, long: int) -> tuple[np.ndarray, float]:
    """Return a region as it is and mirrored, and the side of its positions."""
    part, side = seen.cut(region, long)
    return np.stack([part, part[:, ::-1]]), side


def _lay_over(scaled: np.ndarray, parts: np.ndarray) -> _Laid:
    """Return where parts fit a map best; a map without room for them has a mean of −1."""
    (height, width, channels), (ways, rows, columns, _) = scaled.shape, parts.shape
    cosines = scaled.reshape(-1, channels) @ parts.reshape(-1, channels).T
    cosines = cosines.reshape(height, width, ways, rows, columns)
    if height < rows or width < columns:
        return _Laid(-1.0, 0, 0, 0, cosines[:, :, 0])
    # At each place the cosines of those positions that then lie on each other.
    high, wide, way, down, across = cosines.strides
    places = height - rows + 1, width - columns + 1, ways, rows, columns
    laid = as_strided(cosines, places, (high, wide, way, high + down, wide + across))
    means = laid.mean(axis=(3, 4))
    top, left, way = (int(one) for one in np.unravel_index(means.argmax(), means.shape))
    return _Laid(float(means[top, left, way]), top, left, way, cosines[:, :, way])


def _found_again(cosines: np.ndarray, top: int, left: int) -> np.ndarray:
    """Return the cosines of a part's positions that are found again where it is taken to be.

    A position and the one of the work that is nearest to it are each other's nearest (best buddies;
    Dekel et al. 2015, CVPR, section 3), and lie at the same place of the part, or beside it.
    """
    _, width, rows, columns = cosines.shape
    cosines = cosines.reshape(-1, rows * columns)
    there, ours = cosines.argmax(axis=0), np.arange(rows * columns)
    mutual = cosines[there].argmax(axis=1) == ours
    down = there // width - top - ours // columns
    across = there % width - left - ours % columns
    near = (np.abs(down) <= 1) & (np.abs(across) <= 1)
    return cosines[there, ours][mutual & near]
