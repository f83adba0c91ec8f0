"""Numbers of any depth made 8 bits, and colours brought to sRGB by the profile they come with."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

#: Spaces that a profile describes, each with the mode in which Pillow has its colours.
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
#: A profile that moves no colour by more levels than this is sRGB by another name.
SAME = 2


class ProfileError(ValueError):
    """A colour profile that cannot be used, with the reason."""


def make_srgb() -> bytes:
    """Return a profile that says sRGB: 588 bytes, always the same."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = b"\x07\xea\0\1\0\1" + bytes(6)  # the date in the header, else that of today
    return bytes(profile)


# From the XYZ of D50, each divided by the white's own, to linear sRGB.
_D50_TO_SRGB = np.float32(
    [[3.1338561, -0.9787684, 0.0719453], [-1.6168667, 1.9161415, -0.2289914],
     [-0.4906146, 0.0334540, 1.4052427]]
) * np.float32([[0.96422], [1], [0.82521]])  # fmt: skip

#: Goes with every picture that is saved.
SRGB = make_srgb()


def to_srgb(image: Image.Image) -> Image.Image:
    """Return an image with its colours in sRGB, by its own profile; the same if it has none.

    Grey with a profile of RGB is taken for RGB of three like values. Raises ProfileError for a
    profile that is broken, or for colours of another kind than the picture's.
    """
    profile = image.info.get("icc_profile")
    if not profile or image.mode == "LAB":
        return image
    mode, transform = _transform(profile)
    is_grey = image.mode in ("1", "L", "LA", "La")
    if (mode == "CMYK") != (image.mode == "CMYK") or (mode == "L" and not is_grey):
        raise ProfileError(f"is for {mode.replace('L', 'grey')}, and the picture is {image.mode}")
    if transform is None:
        return image
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    converted = ImageCms.applyTransform(image.convert(mode), transform)
    if alpha:
        converted.putalpha(alpha)
    # What is sRGB by now must not be converted once more.
    converted.info = {"exif": image.info["exif"]} if "exif" in image.info else {}
    return converted


@lru_cache(64)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """Return the mode of a profile's colours, and the way to sRGB; None for sRGB itself."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = MODES[source.profile.xcolor_space.strip()]
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except KeyError as error:
        raise ProfileError(f"is for {error.args[0]}, which no picture here has") from None
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        raise ProfileError("cannot be read") from None
    return mode, None if mode != "CMYK" and _changes_nothing(transform, mode) else transform


def deep_to_srgb(values: np.ndarray, profile: bytes) -> np.ndarray | None:
    """Return colours of 16 bits as sRGB of 8, by their profile; None where that changes nothing.

    Only so do dark tones keep their steps where a profile is linear. Raises ProfileError.
    """
    from imagecodecs import CmsError, cms_transform

    mode, transform = _transform(profile)
    if transform is None:
        return None
    values = np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values)
    spaces = {"colorspace": "gray" if mode == "L" else mode.lower(), "outcolorspace": "rgb"}
    try:
        return cms_transform(values, profile, SRGB, outdtype="uint8", intent=0, **spaces)
    except (CmsError, ValueError):
        raise ProfileError("is for other colours") from None


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    if mode == "RGB":
        probe = Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), -1).reshape(18, -1, 3))
    else:
        probe = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    seen = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int)
    return np.abs(seen - np.asarray(probe.convert("RGB"))).max() <= SAME


# Depths


def to_levels(values: np.ndarray, bits: int, most: int = 255) -> np.ndarray:
    """Return numbers of so many bits as 0 to 255, or to 65535, from black to white.

    >>> to_levels(np.array([0, 2048, 4095], np.uint16), 12)
    array([  0, 128, 255], dtype=uint8)
    """
    kind = values.dtype.kind
    if kind == "b":
        values, bits, kind = values.view(np.uint8), 1, "u"
    if kind not in "iuf":
        raise ValueError(f"numbers of the kind {values.dtype} are no picture")
    if kind == "f" or bits > 16:
        return scale(values, find_white(values), most)
    if kind == "i":
        half = 2 ** (bits - 1)
        if values.min(initial=0) >= -half // 2:  # a little below black
            return scale(values, half - 1, most)
        # Black is the least number, and not 0.
        values = values.astype(np.int32) + half
    if 2**bits - 1 == most:
        return values.astype(np.min_scalar_type(most), copy=False)
    levels = scale(np.arange(2**bits), 2**bits - 1, most)
    return _in_strips(lambda strip: levels[strip], values, levels.dtype)


def find_white(values: np.ndarray) -> float:
    """Return the value that stands for white: 1 (floating point), 255, 65535, or what fits best."""
    brightest = float(values.max(initial=0, where=np.isfinite(values)))
    if values.dtype.kind == "f":
        # Resampled pictures overshoot their white a little.
        return 1 if brightest <= 2 else _first_above(brightest, (255, 65535))
    most = np.iinfo(values.dtype).max
    return most if brightest > most / 8 else _first_above(brightest, (255, 65535))


def _first_above(brightest: float, whites: tuple[int, ...]) -> float:
    return next((white for white in whites if brightest <= white), brightest)


def scale(values: np.ndarray, white: float, most: int = 255) -> np.ndarray:
    """Return numbers of 0 to white as 0 to 255, or to 65535; what lies beyond is cut off."""

    def convert(values: np.ndarray) -> np.ndarray:
        scaled = values.astype(np.float32) * np.float32(most / white)
        scaled = np.nan_to_num(scaled, copy=False, nan=0, posinf=most, neginf=0)
        return np.clip(np.rint(scaled, out=scaled), 0, most, out=scaled)

    return _in_strips(convert, values, np.min_scalar_type(most))


def _in_strips(
    convert: Callable[[np.ndarray], np.ndarray], values: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    # What lies between takes up to eight bytes a value: 2.4 GB for a scan of 100 million pixels.
    new = np.empty(values.shape, dtype)
    rows = max(1, 2**20 // max(1, math.prod(values.shape[1:])))
    for top in range(0, len(values), rows):
        new[top : top + rows] = convert(values[top : top + rows])
    return new


def lab_to_srgb(light: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return L*, a* and b* of white D50, as TIFF and ICC have them, as sRGB of 8 bits.

    The formulas are those of CIE 15, the matrix is Bradford's adaptation with sRGB's primaries.

    >>> lab_to_srgb(*np.float32([100, 0, 0]))
    array([255, 255, 255], dtype=uint8)
    """
    y = (light.astype(np.float32) + 16) / 116
    lines = np.stack([y + a / np.float32(500), y, y - b / np.float32(200)], axis=-1)
    xyz = np.where(lines > 6 / 29, lines**3, (lines - 4 / 29) * np.float32(3 * (6 / 29) ** 2))
    linear = np.clip(xyz @ _D50_TO_SRGB, 0, 1)
    bright = 1.055 * linear ** np.float32(1 / 2.4) - 0.055
    return scale(np.where(linear <= 0.0031308, 12.92 * linear, bright), 1)
