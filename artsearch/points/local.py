"""The local features of a picture: points that are found again, and what is around each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
from PIL import Image

from artsearch.base.errors import EngineError
from artsearch.base.vectors import unit_rows

#: The longer side, in pixels, to which a picture is brought, smaller ones too: a detail of a work
#: has its points at several times their size.
SIDE = 640
#: Points of a work that are kept, and of a query.
MOST, MOST_OF_QUERY = 600, 900
#: Points are drawn evenly from so many parts of a side, and from so many classes of sizes: a detail
#: has its share of them, and a blurred picture its large ones.
CELLS, SIZES = 6, 3
#: Bytes of a packed point: its descriptor, and place, size and angle of two bytes each.
PACKED = 128 + 8
#: The largest size of a point, as a share of the longer side, that can be packed.
LARGEST = 0.5


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a picture, n of them.

    `places` is float32, n × 4: x and y, the size (each as a share of the picture's longer side) and
    the angle in degrees. `descriptors` is uint8, n × 128: RootSIFT (Lowe 2004, IJCV 60;
    Arandjelović and Zisserman 2012, CVPR, section 2). `extent` is width and height as shares of the
    longer side.
    """

    places: np.ndarray
    descriptors: np.ndarray
    extent: tuple[float, float]

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def rows(self) -> np.ndarray:
        """The descriptors as rows of length 1."""
        return unit_rows(self.descriptors.astype(np.float32))

    def mirrored(self) -> Points:
        """Return the points of the picture with left and right swapped, without looking again.

        A descriptor is 4 × 4 cells of 8 directions, laid out along the point's own angle: mirrored,
        its rows change places, and its directions their sign.
        """
        places = self.places.copy()
        places[:, 0] = self.extent[0] - places[:, 0]
        places[:, 3] = (180 - places[:, 3]) % 360
        cells = self.descriptors.reshape(-1, 4, 4, 8)[:, ::-1]
        turned = cells[..., -np.arange(8) % 8].reshape(-1, 128)
        return Points(places, turned, self.extent)

    def pack(self, most: int = MOST) -> np.ndarray:
        """Return the points as one row of bytes in the clothes of float32, as stores keep rows."""
        kept = min(len(self), most)
        scaled = self.places[:kept] / (1, 1, LARGEST, 360)
        packed = np.zeros((most, PACKED), np.uint8)
        packed[:kept, :128] = self.descriptors[:kept]
        words = np.rint(np.clip(scaled, 0, 1) * 65535).astype("<u2")
        packed[:kept, 128:] = words.view(np.uint8).reshape(kept, 8)
        head = np.array([kept, *self.extent], "<f4")
        return np.concatenate([head, packed.reshape(-1).view("<f4")])

    @classmethod
    def unpack(cls, row: np.ndarray) -> Points:
        """Return the points of a packed row."""
        kept, *extent = (float(one) for one in row[:3])
        packed = np.ascontiguousarray(row[3:]).view(np.uint8).reshape(-1, PACKED)[: int(kept)]
        words = np.ascontiguousarray(packed[:, 128:]).view("<u2").astype(np.float32)
        places = words / np.float32(65535) * np.float32([1, 1, LARGEST, 360])
        return cls(places, packed[:, :128], tuple(extent))


def find_points(image: Image.Image, most: int = MOST) -> Points:
    """Return the points of an RGB image, the strongest of each part and size first.

    Raises EngineError where OpenCV is not installed.
    """
    cv2 = library("cv2")
    scale = SIDE / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BICUBIC))
    extent = tuple(side / max(size) for side in size)
    sift = cv2.SIFT_create(nfeatures=4 * most, contrastThreshold=0.01)
    found = sift.detect(grey, None)
    kept = [found[number] for number in _spread(found, size, most)]
    kept, descriptors = sift.compute(grey, kept) if kept else ((), None)
    if descriptors is None:
        return Points(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8), extent)
    places = [(*point.pt, point.size, point.angle) for point in kept]
    longer = max(size)
    return Points(
        np.array(places, np.float32) / np.float32([longer, longer, longer, 1]),
        _root(descriptors),
        extent,
    )


def library(name: str) -> ModuleType:
    """Return "cv2" or "faiss"; raises EngineError, which says how to install it, if missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise EngineError(
            "to know a work again wants OpenCV and faiss: pip install 'artsearch[identify]'"
        ) from None


def check_libraries() -> None:
    """Raise EngineError, which says how to install them, where OpenCV or faiss is missing."""
    for name in ("cv2", "faiss"):
        library(name)


def _spread(found, size: tuple[int, int], most: int) -> np.ndarray:
    """Return which points are kept: of each part and class of sizes the strongest, in turns."""
    if not found:
        return np.zeros(0, int)
    places = np.array([(*point.pt, point.size, point.response) for point in found])
    parts = np.minimum((places[:, :2] / size * CELLS).astype(int), CELLS - 1) @ (1, CELLS)
    # Sizes double from class to class: those below 4 pixels, below 8, and above.
    classes = np.clip(np.log2(places[:, 2] / 2), 0, SIZES - 1).astype(int)
    strongest = np.argsort(-places[:, 3], kind="stable")
    group = (parts * SIZES + classes)[strongest]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    turn = np.empty(len(found), int)
    turn[order] = np.arange(len(found)) - np.repeat(starts, np.diff([*starts, len(found)]))
    return strongest[np.argsort(turn, kind="stable")[:most]]


def _root(descriptors: np.ndarray) -> np.ndarray:
    """Return SIFT as RootSIFT in bytes: the root of each share, times 512."""
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    return np.minimum(np.rint(np.sqrt(shares) * 512), 255).astype(np.uint8)
