"""A part of a picture in the works of a collection: which have it, where, and how like it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.nn.functional import conv2d

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

#: Works that are looked at closely: those with the nearest regions.
CANDIDATES = 200
#: Seconds that the regions of a work take in the index (two cores).
A_BUILD = 0.01
#: Positions along the longer side of a motif that are compared.
LONG = 5
#: How many times as large a motif may be in another work, as a share of the root of its area.
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

    def find(
        self,
        image: Image.Image,
        region: Region,
        k: int = 10,
        among: Iterable[str] | None = None,
    ) -> list[Motif]:
        """Return the k works that have a region of an RGB image most clearly, and where.

        `among` are the works that may answer, all if None. Mirrored motifs are found, too.
        """
        left, top, right, bottom = region
        mirrored = 1 - right, top, 1 - left, bottom
        straight, side = self._see(image).cut(region, LONG)
        other, _ = self._see(ImageOps.mirror(image)).cut(mirrored, LONG)
        parts = torch.stack([straight, other])
        rows = None if among is None else [self._row[id] for id in among if id in self._row]
        works = self._regions.nearest(parts, max(k, CANDIDATES), rows)
        found = look_ahead(lambda row: self._look(row, parts, side), works, count_workers())
        return sorted(found, key=lambda one: -one.likeness)[:k]

    def _see(self, image: Image.Image) -> FeatureMap:
        return self._regions.whiten(self._extractor.map(image))

    def _look(self, row: int, parts: torch.Tensor, side: float) -> Motif:
        """Return where a work has one of the parts most clearly."""
        work = self._regions.whiten(FeatureMap.unpack(self._maps.vectors[row]))
        places = [
            (*_best(scaled, parts), scaled)
            for scaled in (work.scaled(side * ratio) for ratio in RATIOS)
        ]
        _, way, top, left, scaled = max(places, key=lambda one: one[0])
        (rows, columns), (height, width) = parts.shape[2:], scaled.shape[1:]
        ends = left / width, top / height, (left + columns) / width, (top + rows) / height
        region = tuple(min(1.0, float(end)) for end in ends)
        agreeing = _found_again(scaled, parts[way], top, left)
        share, likeness = len(agreeing) / (rows * columns), float(agreeing.sum()) / (rows * columns)
        return Motif(self._maps.ids[row], region, likeness, share, bool(way))


def _regions_folder(collection: Collection, making: MapExtractor, out: str | os.PathLike) -> Path:
    return Path(out, "indexes", f"{maps_folder(collection, making, out).name}-motifs")


def _best(scaled: torch.Tensor, parts: torch.Tensor) -> tuple[float, int, int, int]:
    """Return the greatest mean cosine of parts to a map, of which part, and where.

    It is −1 where the map has no room for them.
    """
    rows, columns = parts.shape[2:]
    if scaled.shape[1] < rows or scaled.shape[2] < columns:
        return -1.0, 0, 0, 0
    cosines = conv2d(scaled[None], parts)[0] / (rows * columns)
    way, top, left = np.unravel_index(int(cosines.argmax()), cosines.shape)
    return float(cosines[way, top, left]), int(way), int(top), int(left)


def _found_again(scaled: torch.Tensor, part: torch.Tensor, top: int, left: int) -> torch.Tensor:
    """Return the cosines of a part's positions that are found again where it is taken to be.

    A position and the one of the work that is nearest to it are each other's nearest (best buddies;
    Dekel et al. 2015, CVPR, section 3), and lie at the same place of the part, or beside it.
    """
    rows, columns = part.shape[1:]
    width = scaled.shape[2]
    cosines = part.flatten(1).T @ scaled.flatten(1)
    (nearest, there), ours = cosines.max(dim=1), torch.arange(rows * columns)
    mutual = cosines.argmax(dim=0)[there] == ours
    down = there // width - top - ours // columns
    across = there % width - left - ours % columns
    near = (down.abs() <= 1) & (across.abs() <= 1)
    return nearest[mutual & near]
