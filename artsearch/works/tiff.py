"""TIFF as museums make it: of any layout, depth and kind of colour, made into 8 bits a channel.

Pixels are decoded by tifffile and imagecodecs; what these leave out (luma and chroma of different
sizes, JPEG as TIFF 6.0 had it) by libtiff, which comes with Pillow.
"""

from __future__ import annotations

import io
import itertools
import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

from artsearch.works.colour import ProfileError, deep_to_srgb, lab_to_srgb, to_levels

#: So many pages are looked at for the one that is the picture.
MOST_PAGES = 100

# PhotometricInterpretation (TIFF 6.0, pages 37, 87 and 110; the last two from Adobe's notes).
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, SEPARATED, YCBCR = range(7)
LABS = CIE_LAB, ICC_LAB, ITU_LAB = 8, 9, 10
#: Kinds of colour that are read, each with its number of channels.
CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, MASK: 1, SEPARATED: 4, YCBCR: 3}
CHANNELS |= dict.fromkeys(LABS, 3)
#: Compressions by which luma and chroma become RGB in decoding.
JPEG = (7, 33007, 34892)
OLD_JPEG = 6
#: ExtraSamples of an alpha channel: colours multiplied by it, or not.
ASSOCIATED, UNASSOCIATED = 1, 2
#: NewSubfileType of a page that is a reduced copy, one of a document's, or a mask.
REDUCED, OF_SEVERAL, IS_MASK = 1, 2, 4
_lock = threading.Lock()
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_COLOR_MAP, _ORIENTATION, _PROFILE = 320, 274, 34675


def read_tiff(file: io.BufferedIOBase, most_bytes: int) -> Image.Image:
    """Return the picture in a TIFF file, with its colour profile and its orientation.

    Of several pages it is the first that is no reduced copy. Raises DecompressionBombError for too
    many pixels, and else ValueError, with the reason.
    """
    import tifffile

    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # else it prints its troubles
    page = None
    try:
        with tifffile.TiffFile(file) as tif:
            first, page = _find_page(tif)
            _refuse_huge(page, most_bytes)
            profile, turn = _find_tag(_PROFILE, page, first), _find_tag(_ORIENTATION, page, first)
            profile = profile if isinstance(profile, bytes) else b""
            if _is_for_libtiff(page):
                image = _decode_by_libtiff(file, page)
                image.info = {"icc_profile": profile}
            else:
                image = _decode(page, profile)
    except Image.DecompressionBombError:
        raise
    except Exception as error:
        kind = f" ({_describe(page)})" if page else ""
        raise ValueError(f"it is a TIFF that cannot be decoded{kind}: {error}") from None
    if turn:
        image.getexif()[ExifTags.Base.Orientation] = turn
    return image


def _find_tag(code: int, *pages):
    """Return the value of a tag on the first page that has it."""
    return next((page.tags.valueof(code) for page in pages if code in page.tags), None)


def _find_page(tif) -> tuple:
    """Return the first page, and the one that is the picture: whole, and no mask."""
    pages = [page for page in _pages(tif) if page.imagewidth and page.imagelength]
    if not pages:
        raise ValueError("it has no pixels")
    whole = [page for page in pages if not page.subfiletype & (REDUCED | IS_MASK)] or pages
    # Some programs put a small copy first, and do not say so.
    larger = [page for page in whole if _is_copy(whole[0], page)]
    return pages[0], max(larger, key=lambda page: page.imagewidth, default=whole[0])


def _pages(tif) -> Iterator:
    """Yield the pages, each followed by its parts, as far as they can be read."""
    for number in range(MOST_PAGES):
        try:
            page = tif.pages[number]
            parts = list(itertools.islice(page.pages or (), MOST_PAGES))
        except Exception:
            if number == 0:
                raise
            return  # the picture may be there, whatever comes behind it
        yield from [page, *parts]


def _is_copy(small, large) -> bool:
    """Tell whether a page may be a copy of another one, of half its size or less."""
    if small.subfiletype & OF_SEVERAL:
        return False
    scale = small.imagewidth / large.imagewidth
    return scale < 0.6 and abs(small.imagelength - large.imagelength * scale) <= 1


def _refuse_huge(page, most_bytes: int) -> None:
    # A tile may take 2 GB, however small the picture in it.
    sizes = [page.imagewidth * page.imagelength * page.imagedepth]
    sizes += [page.tilewidth * page.tilelength * page.tiledepth]
    if max(sizes) > 2 * (Image.MAX_IMAGE_PIXELS or math.inf):
        raise Image.DecompressionBombError
    if max(sizes) * page.samplesperpixel * (page.dtype or np.dtype("u1")).itemsize > most_bytes:
        raise ValueError(
            f"its {page.samplesperpixel:,} channels take more than {most_bytes / 1024**3:.0f} GB; "
            "save it with fewer, or smaller"
        )


# From its values to 8 bits


def _decode(page, profile: bytes) -> Image.Image:
    """Return a page, with its profile where its colours are not sRGB by now."""
    colours = _colours_of(page)
    if colours not in CHANNELS:
        raise ValueError("its colours are of a kind that is no picture's")
    if isinstance(page.bitspersample, int) and page.bitspersample not in (*range(17), 32, 64):
        raise ValueError("its numbers are of a size that is read in several ways")
    number = CHANNELS[colours]
    if page.samplesperpixel < number:
        raise ValueError(f"its colours want {number} channels, and it has {page.samplesperpixel}")
    missing = math.prod(page.chunked) - len(page.dataoffsets)
    if missing > 0:
        raise ValueError(f"{missing:,} of its strips or tiles are missing")
    values = page.asarray(maxworkers=1)  # works are read side by side already
    if "Z" in page.axes:
        values = values.take(0, page.axes.index("Z"))
    if page.axes.startswith("S"):
        values = np.moveaxis(values, 0, -1)
    values = values.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    pixels = _from_deep(values[..., :number], colours, page, profile) if profile else None
    in_srgb = pixels is not None
    if not in_srgb:
        pixels = _to_pixels(values[..., :number], colours, page)
    kind = _kind_of_alpha(page, page.samplesperpixel - number)
    if kind:
        alpha = to_levels(values[..., number : number + 1], page.bitspersample)
        pixels = _lay_over_white(pixels, alpha, kind, RGB if in_srgb else colours)
    number = pixels.shape[2]
    image = Image.fromarray(pixels[..., 0] if number == 1 else pixels, _MODES[number])
    image.info = {} if in_srgb or colours in LABS else {"icc_profile": profile}
    return image


def _from_deep(values: np.ndarray, colours: int, page, profile: bytes) -> np.ndarray | None:
    """Return deep colours as sRGB by their profile; None where 8 bits do, or it is of no use."""
    if values.dtype.itemsize == 1 or colours in (PALETTE, MASK, YCBCR, *LABS):
        return None
    deep = to_levels(values, page.bitspersample, 65535)
    with suppress(ProfileError):  # it is named when the same is tried with 8 bits
        return deep_to_srgb(65535 - deep if colours == WHITE_IS_ZERO else deep, profile)


def _colours_of(page) -> int:
    if 262 in page.tags:
        return page.photometric
    return RGB if page.samplesperpixel > 2 else BLACK_IS_ZERO  # it is not said, and libtiff's guess


def _to_pixels(values: np.ndarray, colours: int, page) -> np.ndarray:
    """Return colours as 8 bits: one channel of grey, RGB, or the four inks."""
    if colours == PALETTE:
        table = np.asarray(page.tags.valueof(_COLOR_MAP)).reshape(3, -1).T
        # Some programs fill in 8 bits where the format has 16.
        table = (table >> 8 if table.max() > 255 else table).astype(np.uint8)
        return np.take(table, values[..., 0], axis=0)
    if colours in LABS:
        return lab_to_srgb(*_to_lab(values, colours))
    pixels = to_levels(values, page.bitspersample)
    return 255 - pixels if colours == WHITE_IS_ZERO else pixels


def _to_lab(values: np.ndarray, colours: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return L* from 0 to 100, a* and b*, as each of the three kinds keeps them."""
    bands = np.moveaxis(values, -1, 0)
    if values.dtype.kind == "f":
        return tuple(bands)
    depth = values.dtype.itemsize
    unsigned, signed = (np.ascontiguousarray(bands).view(f"{kind}{depth}") for kind in "ui")
    most, unit = np.float32(256**depth - 1), np.float32(256 ** (depth - 1))
    light, a, b = unsigned
    if colours == CIE_LAB:
        return light * (100 / most), signed[1] / unit, signed[2] / unit
    if colours == ICC_LAB:
        return light * (100 / (255 * unit)), a / unit - 128, b / unit - 128
    return light * (100 / most), a * (170 / most) - 85, b * (200 / most) - 75


def _kind_of_alpha(page, extra: int) -> int:
    """Return how the first channel behind the colours is alpha; 0 where it is something else."""
    if not extra or not page.extrasamples:
        return UNASSOCIATED if extra == 1 else 0
    return page.extrasamples[0] if page.extrasamples[0] in (ASSOCIATED, UNASSOCIATED) else 0


def _lay_over_white(pixels: np.ndarray, alpha: np.ndarray, kind: int, colours: int) -> np.ndarray:
    if kind == UNASSOCIATED:
        pixels = ((pixels * alpha.astype(np.uint16) + 127) // 255).astype(np.uint8)
    if colours == SEPARATED:
        return pixels  # white is where no ink is
    return np.minimum(pixels, alpha) + (255 - alpha)


# What tifffile leaves to others


def _is_for_libtiff(page) -> bool:
    """Tell whether chroma may be of a smaller size, or JPEG is that of TIFF 6.0."""
    return page.compression == OLD_JPEG or (
        _colours_of(page) == YCBCR and page.compression not in JPEG
    )


def _decode_by_libtiff(file: io.BufferedIOBase, page) -> Image.Image:
    if page.is_subifd:
        raise ValueError("it is a part of another page")
    if page.bitspersample != 8:
        raise ValueError("luma and chroma are read with 8 bits alone")
    file.seek(0)
    with _all_by_libtiff(), Image.open(file, formats=["TIFF"]) as image:
        image.seek(page.index)
        image.load()
        return image if image.mode in ("L", "CMYK") else image.convert("RGB")


@contextmanager
def _all_by_libtiff() -> Iterator[None]:
    # Else Pillow decodes itself what is not compressed, and knows no chroma of a smaller size.
    with _lock:
        before, TiffImagePlugin.READ_LIBTIFF = TiffImagePlugin.READ_LIBTIFF, True
        try:
            yield
        finally:
            TiffImagePlugin.READ_LIBTIFF = before


def _describe(page) -> str:
    """Say what kind of TIFF a page is.

    It reads like "3 × 32 bits, IEEEFP, RGB, LZW".
    """
    facts = page.sampleformat, _colours_of(page), page.compression
    names = [str(getattr(fact, "name", fact)) for fact in facts]
    return ", ".join([f"{page.samplesperpixel} × {page.bitspersample} bits", *names])
