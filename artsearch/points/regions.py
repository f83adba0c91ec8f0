"""What a network sees where: the map of a picture, its regions, and the maps of a collection."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate, normalize
from torchvision.ops import roi_align

from artsearch.base.vectors import unit_rows
from artsearch.features.extract import extract, store_folder
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.networks.forward import Forward, Runner
from artsearch.networks.loading import choose_layer
from artsearch.networks.maps import channels_first
from artsearch.networks.pooling import directions
from artsearch.works.collection import Collection
from artsearch.works.images import READING

#: A picture goes in with as many pixels as a square of so many times the side that the network was
#: trained with, and in its own proportions: a region of a tenth still has some positions.
ZOOM = 2
#: Both sides are multiples of so many pixels.
STEP = 32
#: Proportions beyond this are squeezed.
LONGEST = 8.0
#: Channels that are kept of a map; more are projected onto so many random directions.
CHANNELS = 256
#: A picture is decoded to this many pixels at least.
SIDE = 640


#: Left, top, right and bottom, as shares of a picture's width and height.
Region = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """What a network gives at each position of a picture.

    `cells` is float32, rows × columns × channels. `shape` is the width of the picture divided by
    its height. Lengths are shares of the root of the picture's area, so that works of different
    proportions are compared at one scale.
    """

    cells: np.ndarray
    shape: float

    def scaled(self, side: float) -> np.ndarray:
        """Return unit rows of positions of another side: rows × columns × channels."""
        root = math.sqrt(self.shape)
        rows, columns, channels = self.cells.shape
        high, wide = max(1, round(1 / root / side)), max(1, round(root / side))
        cells = _resizing(rows, high) @ self.cells.reshape(rows, -1)
        cells = _resizing(columns, wide) @ cells.reshape(high, columns, channels)
        return unit_rows(cells.reshape(-1, channels)).reshape(cells.shape)

    def cut(self, region: Region, long: int) -> tuple[np.ndarray, float]:
        """Return a region with `long` positions along its longer side, and the side of these."""
        left, top, right, bottom = region
        root = math.sqrt(self.shape)
        width, height = (right - left) * root, (bottom - top) / root
        side = max(width, height) / long
        size = max(1, round(height / side)), max(1, round(width / side))
        rows, columns = self.cells.shape[:2]
        box = torch.tensor([[0, left * columns, top * rows, right * columns, bottom * rows]])
        maps = torch.from_numpy(np.ascontiguousarray(self.cells.transpose(2, 0, 1)))[None]
        part = normalize(roi_align(maps, box, size, aligned=True)[0], dim=0)
        return part.permute(1, 2, 0).numpy(), side

    def pack(self, most: int) -> np.ndarray:
        """Return it as one row of bytes in the clothes of float32; `most` positions have room.

        A number takes 8 bits, and each position a scale of 16.
        """
        rows, columns, channels = self.cells.shape
        cells = self.cells.reshape(-1, channels)
        scales = np.maximum(np.abs(cells).max(axis=1, keepdims=True) / 127, 1e-4).astype("<f2")
        packed = np.zeros((most, channels + 2), np.int8)
        packed[: len(cells), :channels] = np.rint(cells / scales.astype(np.float32))
        packed[: len(cells), channels:] = scales.view(np.int8)
        data = np.pad(packed.reshape(-1), (0, -packed.size % 4))
        head = np.array([rows, columns, channels, self.shape], "<f4")
        return np.concatenate([head, data.view("<f4")])

    @classmethod
    def unpack(cls, row: np.ndarray) -> FeatureMap:
        """Return the map of a packed row."""
        rows, columns, channels = (int(one) for one in row[:3])
        data = np.ascontiguousarray(row[4:]).view(np.int8)
        packed = data[: rows * columns * (channels + 2)].reshape(-1, channels + 2)
        scales = np.ascontiguousarray(packed[:, channels:]).view("<f2").astype(np.float32)
        cells = packed[:, :channels].astype(np.float32) * scales
        return cls(cells.reshape(rows, columns, channels), float(row[3]))


@lru_cache(maxsize=512)
def _resizing(positions: int, wanted: int) -> np.ndarray:
    """Return what resizes one side of a map, wanted × positions: bilinear, and with antialiasing.

    As torch does it, but for all channels in one product.
    """
    one = torch.eye(positions)[None, None]
    size = wanted, positions
    return interpolate(one, size, mode="bilinear", antialias=True)[0, 0].numpy()


class _Maps(Forward):
    """A network of which a layer's map is taken as it is."""

    def _pool(self, layer: str, grid: int) -> torch.Tensor:
        return channels_first(self.hook[layer]).float()


class _Whole(NamedTuple):
    crop: str
    zoom: int


class _Pixels(NamedTuple):
    bytes: np.ndarray
    shape: float


class MapExtractor:
    """What `extract` asks of a network, answered with maps: a packed map a picture.

    So the store of maps grows, is resumed and sealed as all others are. The map is that of the
    layer by which two pictures are compared (see choose_layer), of the whole picture in its
    proportions; a network that takes squares of one size alone gets the picture squeezed into one.
    `told` is called after each picture. Raises what choose_layer raises.
    """

    transform = _Whole("whole", ZOOM)

    def __init__(self, extractor: FeatureExtractor, told: Callable[[], None] = lambda: None):
        self._extractor, self.network, self._told = extractor, extractor.network, told
        self.layer = choose_layer(self.network)
        self.layers = (f"{self.layer}:map",)
        self.side = SIDE

    @property
    def fast(self) -> bool:
        """Whether it computes in bfloat16."""
        return self._extractor.fast

    def provenance(self, layer: str) -> dict:
        """Return what goes with the rows: what made the maps."""
        made = self._extractor.provenance(self._extractor.layers[0])
        more = {"layer": layer, "pool": CHANNELS, "crop": self.transform.crop, "reading": READING}
        return made | more | {"zoom": ZOOM}

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Return the whole of an RGB image as the bytes that go in, and its proportions behind."""
        shape = image.width / image.height
        resample = Image.Resampling[self.network.interpolation.upper()]
        pixels = np.array(image.resize(self._size(shape), resample))
        return _Pixels(pixels, shape)

    def map(self, image: Image.Image) -> FeatureMap:
        """Return the map of an RGB image."""
        return self._run(self.preprocess(image))

    def rows(self, inputs: Sequence[_Pixels]) -> dict[str, np.ndarray]:
        """Return packed maps: of pictures of many proportions, one after the other."""
        packed = []
        for one in inputs:
            packed.append(self._run(one).pack(self._positions))
            self._told()
        return {self.layers[0]: np.stack(packed)}

    def wants_compiling(self, works: int, seconds_each: float | None) -> bool:
        """Tell that nothing is compiled: pictures of many proportions would be many programs."""
        return False

    def load(self) -> Runner:
        """Load the network where it is not loaded yet, and see what it takes."""
        _ = self.takes_any_size
        return self.runner

    @cached_property
    def runner(self) -> Runner:
        """The network with a hook, as the fast way runs it."""
        network = self.network
        forward = _Maps(
            self._extractor.model, {self.layer: 1}, network.size, network.mean, network.std
        )
        forward.check()
        return Runner(forward, self._extractor.precision)

    @cached_property
    def takes_any_size(self) -> bool:
        """Whether the network takes rectangles, larger than what it was trained with."""
        wide = torch.zeros(1, self.network.size + STEP, self.network.size + 2 * STEP, 3)
        try:
            self.runner(wide.byte())
        except (RuntimeError, AssertionError, ValueError):  # each network in its own way
            return False
        return True

    def _size(self, shape: float) -> tuple[int, int]:
        """Return width and height of what goes in."""
        side = self.network.size
        if not self.takes_any_size:
            return side, side
        side = ZOOM * side
        shape = min(max(shape, 1 / LONGEST), LONGEST)
        width = max(1, round(side * math.sqrt(shape) / STEP)) * STEP
        return width, max(1, side * side // width // STEP) * STEP

    @cached_property
    def _positions(self) -> int:
        """How many positions the map of a picture has at most."""
        width, height = self._size(1.0)
        (output,) = self.runner(torch.zeros(1, height, width, 3, dtype=torch.uint8))
        return output.shape[2] * output.shape[3]

    def _run(self, pixels: _Pixels) -> FeatureMap:
        (output,) = self.runner(torch.from_numpy(pixels.bytes)[None])
        cells = output[0].permute(1, 2, 0).numpy()
        if cells.shape[2] > CHANNELS:
            cells = cells @ directions(cells.shape[2], CHANNELS).numpy().T
        return FeatureMap(cells, pixels.shape)


def stored_maps(
    collection: Collection,
    extractor: MapExtractor,
    out: str | os.PathLike = "build",
    progress: bool = True,
) -> Features:
    """Return the maps of a collection as packed rows; raises what `extract` raises."""
    (features,) = extract(collection, [extractor], out, progress=progress).values()
    return features


def maps_folder(collection: Collection, extractor: MapExtractor, out: str | os.PathLike) -> Path:
    """Return the folder of a collection's maps."""
    return store_folder(out, collection, extractor, extractor.layers[0])
