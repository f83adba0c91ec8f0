"""The points of a whole collection on disk: found once, resumed, and grown with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.features.extract import extract, store_folder
from artsearch.features.features import Features
from artsearch.features.store import read_signatures
from artsearch.points.local import CELLS, MOST, SIDE, SIZES, find_points, library
from artsearch.works.collection import Collection
from artsearch.works.file_state import signature
from artsearch.works.images import READING

LAYER = "points"


class _Named(NamedTuple):
    name: str
    title: str


class _Whole(NamedTuple):
    crop: str


class PointExtractor:
    """What `extract` asks of a network, answered by OpenCV: a row of packed points a picture.

    So the store of points grows, is resumed and sealed as all others are. Points are found where
    other pictures are decoded and resized; no network is run. `told` is called after each picture.
    """

    layers = (LAYER,)
    network = _Named("sift", "Points")
    transform = _Whole("whole")
    fast = False
    #: A picture is decoded to this many pixels at least.
    side = SIDE
    runner = SimpleNamespace(batch_size=16, most=None)

    def __init__(self, told: Callable[[], None] = lambda: None):
        self._told = told

    def provenance(self, layer: str) -> dict:
        """Return what goes with the rows: what found the points."""
        return {
            "network": self.network.name,
            "weights": f"OpenCV {library('cv2').__version__.partition('.')[0]}",
            "layer": layer,
            "pool": MOST,
            "crop": self.transform.crop,
            "size": SIDE,
            "spread": [CELLS, SIZES],
            "precision": "exact",
            "reading": READING,
        }

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Return the packed points of an RGB image."""
        row = find_points(image).pack()
        self._told()
        return row

    def rows(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return what came in as rows."""
        return {LAYER: np.stack(inputs)}

    def wants_compiling(self, works: int, seconds_each: float | None) -> bool:
        """Tell that there is nothing to compile."""
        return False

    def load(self) -> None:
        """Say now, and not at the end, where OpenCV is missing."""
        library("cv2")


def stored_points(
    collection: Collection,
    out: str | os.PathLike = "build",
    progress: bool = True,
    told: Callable[[], None] = lambda: None,
) -> Features:
    """Return the points of a collection as packed rows; raises what `extract` raises.

    `told` is called each time the points of a work were found.
    """
    (features,) = extract(collection, [PointExtractor(told)], out, progress=progress).values()
    return features


def count_missing(collection: Collection, folder: Path) -> int:
    """Return how many works of a collection are not in a store yet."""
    known: dict = {}
    with suppress(ArtsearchError):  # there is no store yet, or it is made again
        known = read_signatures(folder)
    return sum(signature(collection.path(id)) != known.get(id, ()) for id in collection.ids)


def points_folder(collection: Collection, out: str | os.PathLike) -> Path:
    """Return the folder of a collection's points."""
    return store_folder(out, collection, PointExtractor(), LAYER)
