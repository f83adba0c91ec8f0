"""The one door for pixels: every image of the project is opened here, and comes out as RGB."""

import io
import os
import stat
import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from artsearch.base.errors import ImageError, VectorsAloneError, check_whole, reason_of
from artsearch.base.text import count_of
from artsearch.works.cards import Card
from artsearch.works.colour import SRGB, ProfileError, find_white, scale, to_srgb
from artsearch.works.formats import FORMATS, HEAD, find_jp2_profile, kind_of, open_heic, why_not
from artsearch.works.storage import RemoteFile, address_name, as_local, is_address
from artsearch.works.tiff import read_tiff

#: Tells features of pictures that were read otherwise from those of today: 2 brings colours to sRGB
#: by their profiles, and reads TIFF of every kind.
READING = 2

# A scan of 12,000 × 14,000 px is welcome, so Pillow's warning from 89 million pixels is not; from
# twice that on Pillow refuses (Image.MAX_IMAGE_PIXELS), which open_image reports as an ImageError.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# Nor is what it says of crooked metadata: either the pixels are sound, or there is an ImageError.
# One filter for good, since `warnings.catch_warnings` gets muddled where threads open images.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

#: So many notes on the pictures of a run are said, and so many kinds of them counted.
MOST_NOTES = 5
#: A larger file is not even read: a scan of 178 million pixels has 1.4 GB at 64 bits a pixel.
MAX_BYTES = 2 * 1024**3

#: Longest side and quality of a picture that is kept after it was seen at its address.
SEEN = 1024, 90

ImageSource = str | os.PathLike | RemoteFile | Card | bytes | Image.Image

_BYTES = (bytes, bytearray, memoryview)

# What Pillow says of a JPEG that ends too early.
_CUT_OFF = ("truncated", "Truncated", "cannot load this image")

# How each value of the EXIF tag Orientation is turned upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class NoPictureError(ImageError, VectorsAloneError):
    """A work of which no picture is at hand."""


class ImageNote(UserWarning):
    """What is to be known of a picture that could be opened all the same."""


def open_image(source: ImageSource, side: int | None = None) -> Image.Image:
    """Open an image and return it upright, as sRGB with 8 bits a channel.

    `source` is a path, an address that fsspec knows (a text such as "s3://bucket/a.jpg", or a
    RemoteFile), the bytes of a file, or a PIL image. EXIF rotation is applied, transparency
    is laid over white, deeper channels are scaled to 8 bits, all kinds of colour are converted, by
    the profile that comes with them, and of an animation the first frame is taken, of the pages of
    a TIFF the first that is no reduced copy. A profile that cannot be used is ignored, and of a
    JPEG that ends too early the rest is grey; both are said in an ImageNote, which is a warning.

    With `side`, a JPEG file may come out at a half, a quarter or an eighth of its size, which takes
    less time and memory, as long as both its sides keep `side` pixels or more; paintings of 3,000
    pixels, halved so and resized to 224, are 0.7 of 255 levels off on average and 28 at most, and
    where the size can be divided without a rest, 0.1 and 2.

    Raises ImageError with the reason when the source is not a readable image, or a file larger than
    MAX_BYTES.

    >>> open_image(Image.new("LA", (2, 1), (0, 0))).getpixel((0, 0))
    (255, 255, 255)
    """
    name = _name(source)
    if side is not None:
        check_whole("side", side)
    try:
        return _read(source, side, name)
    except ImageError:
        raise
    except FileNotFoundError:
        # A web address may end in what signs it.
        shown = name if is_address(source) else repr(str(source))
        raise ImageError(f"no such image file: {shown}; name one that exists") from None
    except Image.DecompressionBombError:
        limit = 2 * Image.MAX_IMAGE_PIXELS // 1_000_000
        raise ImageError(f"{name} has more than {limit} million pixels; make it smaller") from None
    # Pillow's decoders raise whatever the broken bytes lead them to (OSError, SyntaxError,
    # struct.error, ValueError, …), and all of it means the same here.
    except Exception as error:
        raise ImageError(f"cannot read {name} as an image: {_reason(error)}") from None


def thumbnail(source: ImageSource, side: int = 240) -> Image.Image:
    """Return the image in its own proportions, its longer side at most `side` pixels.

    Of a Card it is the picture at its address, where that serves one, and else the card.
    """
    if isinstance(source, Card):
        source = source.read(_shrink) or source.draw(side)
    image = open_image(source)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return image


def to_jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """Encode an sRGB image as the bytes of a JPEG file, which says that it is one."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality, optimize=True, icc_profile=SRGB)
    return out.getvalue()


def _shrink(data: bytes) -> bytes:
    side, quality = SEEN
    return to_jpeg(thumbnail(data, side), quality)


def _read(source: ImageSource, side: int | None, name: str) -> Image.Image:
    if isinstance(source, Card):
        raise NoPictureError(
            f"{name} is known by its vector alone, and no picture of it is here; ask by the work "
            "itself, or fetch its picture into a folder (python -m artsearch fetch --help)"
        )
    if isinstance(source, Image.Image):
        return _to_rgb(source, name)
    if is_address(source):
        source = as_local(source) or RemoteFile.at(source)
    if isinstance(source, _BYTES):
        file = io.BytesIO(source)
    elif isinstance(source, RemoteFile):
        refuse_unread(source)
        file = io.BytesIO(source.read_bytes())
    else:
        refuse_unread(Path(source))
        file = open(source, "rb")
    with file:
        kind = kind_of(file.read(HEAD))
        file.seek(0)
        if kind == "TIFF":
            return _to_rgb(read_tiff(file, MAX_BYTES), name)
        if kind == "JPEG":
            return _read_jpeg(file, side, name)
        with _identify(file, kind) as image:
            if kind == "JPEG 2000":
                image.info["icc_profile"] = find_jp2_profile(file)
            return _to_rgb(image, name)


def _identify(file: io.BufferedIOBase, kind: str) -> Image.Image:
    try:
        return open_heic(file) if kind == "HEIC" else Image.open(file, formats=FORMATS)
    except Image.UnidentifiedImageError:
        raise ValueError(why_not(kind)) from None


def _read_jpeg(file: io.BufferedIOBase, side: int | None, name: str) -> Image.Image:
    """Decode a JPEG; of one without its last bytes what is there."""

    def decode(file: io.BufferedIOBase) -> Image.Image:
        with Image.open(file, formats=FORMATS) as image:
            return _to_rgb(image if side is None else _reduce(image, side), name)

    try:
        return decode(file)
    except OSError as error:
        if not any(sign in str(error) for sign in _CUT_OFF):
            raise
    file.seek(0)
    data = file.read()
    # It may end within a header between two scans, such as progressive ones have.
    for end in (len(data), max(data.rfind(b"\xff\xc4"), data.rfind(b"\xff\xda"))):
        with suppress(OSError):
            image = decode(io.BytesIO(data[:end] + b"\xff\xd9"))
            if any(low < high for low, high in image.getextrema()):
                _note(name, "the file ends before the picture does; the rest is grey")
                return image
    raise ValueError("the file is truncated: it ends before the picture begins")


def _note(name: str, text: str) -> None:
    if _run is not None and _run.has_said_enough_with(text):
        return
    warnings.warn(f"{name}: {text}", ImageNote, stacklevel=2)


class _Run:
    """The notes on the pictures of a run, counted; threads may add to them."""

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def has_said_enough_with(self, text: str) -> bool:
        """Count a note, and tell whether there were as many as are said one by one."""
        with self._lock:
            self.counts[text] += 1
            return self.counts.total() > MOST_NOTES


_run: _Run | None = None


@contextmanager
def few_notes() -> Iterator[None]:
    """Say the first notes on the pictures of a run one by one, and then how many there were."""
    global _run
    if _run is not None:  # within another run
        yield
        return
    run = _run = _Run()
    try:
        yield
    finally:
        _run = None
        if run.counts.total() > MOST_NOTES:
            kinds = "; ".join(f"{n:,} × {text}" for text, n in run.counts.most_common(MOST_NOTES))
            said = f"{count_of(run.counts.total(), 'note')} on pictures in all: {kinds}"
            warnings.warn(said, ImageNote, stacklevel=3)


def _reduce(image: Image.Image, side: int) -> Image.Image:
    """Return a JPEG as its decoder gives it at a half, a quarter or an eighth of the size."""
    drafted = image.draft(None, (side, side))  # with no mode named, the colours stay as they are
    if drafted is None:
        return image
    # Of a size that cannot be divided, the last row or column is partly picture, partly padding.
    # Kept when it is mostly padding, it would squeeze the picture the more.
    width, height = (round(length) for length in drafted[1][2:])
    return image if image.size == (width, height) else image.crop((0, 0, width, height))


def refuse_unread(path: Path | RemoteFile) -> None:
    """Raise ImageError for what must not be read at all: folders, pipes, devices, huge files."""
    size = path.size if isinstance(path, RemoteFile) else _size_of_file(path)
    if size > MAX_BYTES:
        raise ImageError(
            f"{path.name!r} has {size / 1024**3:,.1f} GB, more than the "
            f"{MAX_BYTES / 1024**3:.0f} GB an image file may have; save it smaller, or as a JPEG"
        )


def _size_of_file(path: Path) -> int:
    found = path.stat()
    mode = found.st_mode
    if stat.S_ISDIR(mode):
        raise ImageError(f"{path.name!r} is a folder; name an image file in it")
    if not stat.S_ISREG(mode):
        # Opening a pipe would wait for ever for somebody to write into it.
        raise ImageError(f"{path.name!r} is a pipe or a device; name an image file")
    return found.st_size


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    image.load()
    if 0 in image.size:
        raise ImageError(f"the image has no pixels: it is {image.width} × {image.height}")
    image = _turn_upright(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_deep_grey(image)
    try:
        image = to_srgb(image)
    except ProfileError as error:
        _note(name, f"its colour profile {error}; it is ignored")
    rgb = _lay_over_white(image) if image.has_transparency_data else image.convert("RGB")
    rgb.info.pop("icc_profile", None)  # it is sRGB by now
    return rgb


def _lay_over_white(image: Image.Image) -> Image.Image:
    # In strips of some 16 MB: 169 million pixels at once take 3.2 GB, for a PNG file of 0.7 MB.
    paper = Image.new("RGB", image.size)
    rows = max(1, 2**22 // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        strip = image.crop(box).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        paper.paste(Image.alpha_composite(white, strip).convert("RGB"), box)
    return paper


def _turn_upright(image: Image.Image) -> Image.Image:
    # Pillow's exif_transpose also writes the EXIF block anew, and fails where any part of it is
    # broken, although the pixels are sound.
    try:
        turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:
        turn = None
    if turn is None:
        return image
    upright = image.transpose(turn)
    # What is upright says so no more: opened once more, it would be turned again.
    upright.info = {key: value for key, value in upright.info.items() if key != "exif"}
    return upright


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """Return grey of 16 or 32 bits, or of floating point, as grey of 8 bits."""
    values = np.asarray(image)
    pixels = scale(values, 65535 if image.mode.startswith("I;16") else find_white(values))
    if isinstance(image.info.get("transparency"), int):
        pixels[values == image.info["transparency"]] = 255
    grey = Image.fromarray(pixels)
    grey.info = {"icc_profile": image.info.get("icc_profile")}
    return grey


def _name(source: ImageSource) -> str:
    if isinstance(source, _BYTES):
        return f"the {len(source):,} bytes given"
    if isinstance(source, Image.Image):
        return "the image given"
    if is_address(source):
        return repr(address_name(source))
    if isinstance(source, Card):
        return repr(source.id)
    if isinstance(source, RemoteFile):
        return repr(source.name)
    if isinstance(source, str | os.PathLike):
        return repr(Path(source).name)
    raise ImageError(
        f"cannot open a {type(source).__name__} as an image; "
        "give a path, the bytes of a file, or a PIL image"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return why_not("")
    if "MAX_TEXT_" in str(error):
        return "the texts or the colour profile in it are too large; save it without them"
    return reason_of(error)
