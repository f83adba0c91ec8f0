"""From a painting to the square of numbers that a network wants."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from artsearch.base.errors import unknown

if TYPE_CHECKING:
    import torch

#: Take the largest square from the middle of the work, and lose its edges.
CENTER_CROP = "center_crop"
#: Squeeze the whole work into a square, and lose its proportions.
NO_CROP = "no_crop"
CROPS = (NO_CROP, CENTER_CROP)
#: The crop of vectors that came without their network: whichever it was.
AS_PUBLISHED = "as_published"


@dataclass(frozen=True)
class Transform:
    """One crop for one network: `resize` gives the square image, a call the normalised tensor.

    These are fastai's `Resize`, by crop or by squish, and its `Normalize` with the network's own
    mean and standard deviation, equal to the last bit.
    """

    crop: str
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str

    def __post_init__(self):
        if self.crop not in CROPS:
            raise unknown("crop", self.crop, CROPS)
        filters = [one.name.lower() for one in Image.Resampling]
        if self.interpolation.lower() not in filters:
            raise unknown("interpolation", self.interpolation, filters)

    def kept(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the part of a work that is kept: left, top, right, bottom in its pixels."""
        if self.crop == NO_CROP:
            return 0, 0, width, height
        # fastai's own arithmetic: some sides lose a pixel to rounding (61 px at 224). A side of one
        # pixel would at some sizes lose all it has, and fastai then fails.
        side = max(1, int(min(width, height) / self.size * self.size))
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side

    def resize(self, image: Image.Image) -> Image.Image:
        """Return the RGB image as a square of `size` pixels."""
        # Without fastai's `Resize`: on the way to the same pixels it pads by nothing, through
        # NumPy, which for a scan of 108 megapixels takes 5 s in place of 1.5 and 700 MB more.
        resample = Image.Resampling[self.interpolation.upper()]
        if self.crop == CENTER_CROP:
            image = image.crop(self.kept(*image.size))
        return image.resize((self.size, self.size), resample)

    def preprocess(self, image: Image.Image, fast: bool = False) -> np.ndarray:
        """Return the square as bytes, size × size × 3; `fast` takes torchvision's resizing.

        That is four times as fast as Pillow's, and differs from it by 0.04 of 255 levels on
        average (measured on 200 paintings of 500 pixels).
        """
        if not fast or self.interpolation not in ("bilinear", "bicubic"):
            return np.array(self.resize(image))
        import torch
        from torchvision.transforms.v2 import functional

        left, top, right, bottom = self.kept(*image.size)
        # A copy: torch warns of memory that it may not write to.
        pixels = torch.from_numpy(np.array(image)[top:bottom, left:right]).permute(2, 0, 1)
        mode = functional.InterpolationMode(self.interpolation)
        square = functional.resize_image(pixels, [self.size, self.size], mode, antialias=True)
        return square.permute(1, 2, 0).contiguous().numpy()

    def normalise(self, square: Image.Image) -> torch.Tensor:
        """Return a square image as a float32 tensor, 3 × size × size, normalised."""
        import torch

        TensorImage = _fastai("torch_core").TensorImage
        pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1).float().div_(255)
        return (
            _normaliser(self.mean, self.std)(TensorImage(pixels))
            .as_subclass(torch.Tensor)
            .contiguous()
        )

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return self.normalise(self.resize(image))


def default_crop(crops: Sequence[str], wanted: str | None = None) -> str:
    """Return the crop that a gallery begins with: the whole work, where that was computed.

    What is `wanted` comes first; but vectors as published have no other crop than theirs.
    """
    if wanted and list(crops) != [AS_PUBLISHED]:
        return wanted
    return NO_CROP if NO_CROP in crops else crops[0]


@lru_cache
def _normaliser(mean: tuple[float, ...], std: tuple[float, ...]):
    Normalize = _fastai("data.transforms").Normalize
    return Normalize.from_stats(mean, std, dim=0, ndim=3, cuda=False)


def _fastai(module: str):
    """Import a module of fastai without the warning that its first import brings."""
    with warnings.catch_warnings():
        # fastai asks torch for something that torch is giving up; no user can mend that.
        warnings.simplefilter("ignore", FutureWarning)
        return importlib.import_module(f"fastai.{module}")
