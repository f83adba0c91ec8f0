"""Files that harm a careless reader, and sound ones that look like it: one painting, many ways."""

import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp", "GIF": "gif"}

# How a file stores an upright picture, by the EXIF tag Orientation (EXIF 2.32, 4.6.4 A).
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}

# The first one has three entries of an unknown kind with values far behind its end.
BROKEN_EXIF = (
    b"Exif\0\0II*\0\x08\0\0\0\x03\0" + b"\x12\x01\x07\0\xff\xff\xff\x7f\0\0\0\0" * 3,
    b"Exif\0\0",
    b"Exif\0\0rubbish",
    b"Exif\0\0MM\0*\xff\xff\xff\xff",
    b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0",  # goes in a circle
)

NAMES = (
    "with spaces .png",
    'it\'s "quoted" `here` $HOME.png',
    "two\nlines.png",
    "tab\tand\rreturn.png",
    "🎨🖼️ 星月夜.png",
    "امرأة \u202edesrever\u2028.png",
    "<b onclick='x'>&amp;</b>.png",
    "-rf %s {} \\.png",
    "LOUD.PNG",
    "dot.in.name.jpg.png",
    "cafe\u0301.png",
    "caf\xe9.png",
    "x" * 251 + ".png",
    "some/folders/below/it.png",
    "a folder.jpg/with a picture.png",
    os.fsdecode(b"no \xff\xfe UTF-8.png"),
)


def write_corpus(folder: Path, painting: Image.Image) -> tuple[dict[str, str], set[str]]:
    """Fill a folder; return the verdict on each id of its collection, and the names left out.

    A verdict is "same" (a good file that shows the painting), "good" (another good file), "bad",
    or "either", where it is up to the decoder. It is also the folder in which the file lies.
    """
    verdicts = {}
    for verdict, makers in MAKERS.items():
        for name, data in (file for make in makers for file in make(painting)):
            path = folder / verdict / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert not path.exists(), f"there are two of {path}"
            path.write_bytes(data)
            verdicts[id_of(path, folder)] = verdict
    verdicts |= {id_of(path, folder): verdict for path, verdict in odd_files(folder)}
    return verdicts, {path.name for path in no_files(folder)}


def id_of(path: Path, folder: Path) -> str:
    """Return the id that a collection gives a file: bytes that are no UTF-8 become `\\xff`."""
    return os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")


def make_small(path: Path, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return a painting as a picture of few pixels."""
    return Image.open(path).convert("RGB").resize(size, Image.Resampling.LANCZOS)


def encode(image: Image.Image, format: str, **options) -> bytes:
    """Return an image as the bytes of a file."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a part of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *chunks: bytes) -> bytes:
    """Build a PNG by hand, for the kinds that Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *chunks, data, chunk(b"IEND", b"")])


def tiff(width: int, height: int, data: bytes, following: int = 0, **more: int) -> bytes:
    """Build a grey TIFF by hand; `more` are tags such as t322=9, `following` is the next page."""
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1}
    tags |= {int(name[1:]): value for name, value in more.items()}
    place, length = (324, 325) if 322 in tags else (273, 279)
    tags |= {place: 8 + 2 + 12 * (len(tags) + 2) + 4, length: len(data)}
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + rows + struct.pack("<I", following) + data


def gif(width: int, height: int) -> bytes:
    """Build a GIF by hand, with next to nothing in it."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\0;"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + frame


def bmp(width: int, height: int, bits: int = 24) -> bytes:
    """Build a BMP by hand, without its pixels."""
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + sizes


def ycck(image: Image.Image) -> bytes:
    """Return the JPEG that Photoshop writes of CMYK: luma and chroma of the inverted inks."""
    inverted = Image.fromarray(255 - np.asarray(image)).convert("YCbCr")
    inks = [255 - np.asarray(band) for band in inverted.split()]
    bands = [Image.fromarray(ink) for ink in (*inks, np.zeros_like(inks[0]))]
    data = encode(Image.merge("CMYK", bands), "JPEG", quality=95, subsampling=0)
    place = data.index(b"Adobe") + 11  # the byte "transform" of the segment APP14: 0 is CMYK
    assert data[place] == 0
    return data[:place] + b"\2" + data[place + 1 :]


def turned(image: Image.Image, orientation: int, format: str, **options) -> bytes:
    """Return a file whose pixels lie as EXIF says, so that it shows the image upright."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](np.asarray(image)))
    return encode(Image.fromarray(stored), format, exif=exif, **options)


def files_of_every_format(image: Image.Image) -> dict[str, bytes]:
    """Return a plain file by format."""
    return {format: encode(image, format) for format in FORMATS}


# The painting itself: "same"


def _formats(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    for format, data in files_of_every_format(image).items():
        yield f"plain.{FORMATS[format]}", data
        yield f"{format} as another.{'png' if format == 'JPEG' else 'jpg'}", data
        yield f"rubbish behind.{FORMATS[format]}", data + b"rubbish" * 99
    yield "progressive.jpg", encode(image, "JPEG", progressive=True)
    yield "camera.mpo.jpg", encode(image, "MPO")
    yield "all colours.jpg", encode(image, "JPEG", subsampling=0)
    yield "lossless.webp", encode(image, "WEBP", lossless=True)
    for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        yield f"{name}.tif", encode(image, "TIFF", compression=name)


def _orientations(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    for orientation in STORED:
        yield f"turned {orientation}.jpg", turned(image, orientation, "JPEG", quality=95)
        yield f"turned {orientation}.png", turned(image, orientation, "PNG")
        yield f"turned {orientation}.tif", turned(image, orientation, "TIFF")
        yield f"turned {orientation}.webp", turned(image, orientation, "WEBP", quality=95)


def _colours(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    yield "cmyk.jpg", encode(image.convert("CMYK"), "JPEG", quality=95)
    yield "cmyk.tif", encode(image.convert("CMYK"), "TIFF")
    yield "ycck.jpg", ycck(image)
    yield "ycbcr.tif", encode(image.convert("YCbCr"), "TIFF", compression="jpeg")
    yield "palette.bmp", encode(image.quantize(256), "BMP")
    yield "palette.png", encode(image.quantize(256), "PNG")
    yield "opaque.png", encode(image.convert("RGBA"), "PNG")
    lab = ImageCms.profileToProfile(
        image, SRGB, ImageCms.createProfile("LAB"), outputMode="LAB", renderingIntent=1
    )
    yield "lab.tif", encode(lab, "TIFF")
    deep = np.asarray(image).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    yield "16 bits.png", png(*image.size, 16, 2, rows)


def _frames(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    more = {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)]}
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        yield f"animated.{FORMATS[format]}", encode(image, format, **more)


def _metadata(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    profile = ImageCms.ImageCmsProfile(SRGB).tobytes()
    for format in ("JPEG", "PNG", "WEBP", "TIFF"):
        for number, icc in enumerate((profile, profile[:200], b"rubbish" * 9)):
            yield f"profile {number}.{FORMATS[format]}", encode(image, format, icc_profile=icc)
    for format in ("JPEG", "PNG", "WEBP"):
        for number, exif in enumerate(BROKEN_EXIF):
            yield f"broken exif {number}.{FORMATS[format]}", encode(image, format, exif=exif)
    yield "long comment.gif", encode(image, "GIF", comment=b"x" * 300_000)
    yield "long comment.jpg", encode(image, "JPEG", comment=b"x" * 60_000)


def _names(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    yield from ((name, encode(image, "PNG")) for name in NAMES)


# Other good files


def _shapes(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    for width, height in ((1, 1), (1, 30_000), (30_000, 1), (3, 2)):
        thin = image.resize((width, height))
        for format in ("JPEG", "PNG", "TIFF", "BMP", "GIF"):
            yield f"{width} x {height}.{FORMATS[format]}", encode(thin, format)
    yield "1 x 16383.webp", encode(image.resize((1, 16_383)), "WEBP")


def _depths(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    grey = np.asarray(image.convert("L"))
    yield "grey.jpg", encode(image.convert("L"), "JPEG")
    yield "grey and alpha.png", encode(image.convert("LA"), "PNG")
    yield "two tones.png", encode(image.convert("1"), "PNG")
    yield "fax.tif", encode(image.convert("1"), "TIFF", compression="group4")
    yield "16 bits.png", encode(Image.fromarray(grey.astype(np.uint16) * 257), "PNG")
    yield "16 bits.tif", encode(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF")
    yield "floating point.tif", encode(Image.fromarray(grey.astype(np.float32) / 255), "TIFF")
    yield "no numbers.tif", encode(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF")
    yield "transparent colour.png", encode(image.quantize(64), "PNG", transparency=3)
    yield "transparent colour.gif", encode(image.quantize(64), "GIF", transparency=3)
    yield "transparent.webp", encode(Image.new("RGBA", (9, 9)), "WEBP")


def _circles_in_tiffs(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    pixels = image.convert("L").tobytes()
    yield "page after itself.tif", tiff(*image.size, pixels, following=8)
    yield "exif in a circle.tif", tiff(*image.size, pixels, t34665=8)
    yield "exif far away.tif", tiff(*image.size, pixels, t34665=4_000_000_000)
    yield "gps in a circle.tif", tiff(*image.size, pixels, t34853=8)
    yield "parts in a circle.tif", tiff(*image.size, pixels, t330=8)


def _begun(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    for progressive in (False, True):
        data = encode(image, "JPEG", progressive=progressive)
        for part in (5, 6, 7):
            yield f"{part} eighths{' progressive' * progressive}.jpg", data[: len(data) * part // 8]


# Bad files


def _disguises(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    yield "empty.jpg", b""
    yield "zeros.jpg", bytes(5000)
    yield "ones.png", b"\xff" * 5000
    yield "text.jpg", b"just some text\n" * 100
    yield "zip.jpg", b"PK\3\4\x14\0\0\0\x08\0" + bytes(99) + b"PK\5\6" + bytes(18)
    yield "page.jpg", b"<!doctype html><title>404 Not Found</title>" + b"<p>x</p>" * 50
    yield "drawing.jpg", b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9e9'/></svg>"
    yield "postscript.jpg", encode(image, "EPS")
    yield "portable.jpg", encode(image, "PDF")
    for format, name in {"ICO": "icon", "TGA": "targa", "PPM": "netpbm", "PCX": "brush"}.items():
        yield f"{name}.png", encode(image, format)
    yield "two\nlines and no picture.jpg", b"<p>"
    yield os.fsdecode(b"no UTF-8 \xff and no picture.jpg"), b"<p>"


def _bombs(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    many = 60_000
    yield "bomb.png", png(many, many, 8, 2, b"")
    yield "bomb.tif", tiff(many, many, bytes(99))
    yield "bomb of tiles.tif", tiff(10, 10, bytes(99), t259=8, t322=40_000, t323=40_000)
    yield "bomb.gif", gif(many, many)
    yield "bomb.bmp", bmp(many, many)
    yield "bomb upside down.bmp", bmp(2, -(2**31))
    jpeg = encode(image, "JPEG")
    place = jpeg.index(b"\xff\xc0") + 5
    yield "bomb.jpg", jpeg[:place] + struct.pack(">HH", many, many) + jpeg[place + 4 :]
    webp = encode(image, "WEBP", lossless=True)
    yield "bomb.webp", webp[:21] + struct.pack("<I", 0x0FFFFFFF) + webp[25:]
    zeros = zlib.compress(bytes(50_000_000), 9)
    for name, head in {b"zTXt": b"x\0\0", b"iTXt": b"x\0\1\0\0\0", b"iCCP": b"x\0\0"}.items():
        yield f"bomb {name.decode()}.png", png(1, 1, 8, 0, b"\0\0", chunk(name, head + zeros))


def _cut_off(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    for format, data in files_of_every_format(image).items():
        places = [1, 3, 8, 13, 24, 40] + [len(data) * part // 8 for part in range(1, 8)]
        # Of a JPEG what comes behind its header is shown.
        last = data.index(b"\xff\xda") if format == "JPEG" else len(data)
        for place in sorted({min(place, last) for place in places}):
            yield f"cut off at {place}.{FORMATS[format]}", data[:place]


def _nothing_in_it(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    yield "0 x 5.png", png(0, 5, 8, 2, b"")
    yield "0 x 0.gif", gif(0, 0)
    yield "0 x 5.bmp", bmp(0, 5)
    yield "0 x 5.tif", tiff(0, 5, b"")
    yield "no rows.png", png(*image.size, 8, 2, b"")
    yield "no frame.gif", b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b";"
    yield "a kind that is none.png", png(9, 9, 7, 5, bytes(99))
    yield "more than fits in.tif", tiff(9, 9, bytes(9), t277=60_000)


# Files of which a decoder may make something or nothing


def _flipped(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    """Flip one bit at each of many places, more of them near the head."""
    random = np.random.default_rng(0)
    for format, data in files_of_every_format(image).items():
        for place in sorted({*random.integers(4, 64, 6), *random.integers(64, len(data), 6)}):
            broken = bytearray(data)
            broken[place] ^= 1 << random.integers(8)
            yield f"flipped at {place}.{FORMATS[format]}", bytes(broken)


def _spoilt(image: Image.Image) -> Iterator[tuple[str, bytes]]:
    files = files_of_every_format(image)
    for format, data in files.items():
        third = len(data) // 3
        ending = FORMATS[format]
        yield f"cut off at the end.{ending}", data[:-2]
        yield f"a hole.{ending}", data[:third] + bytes(third) + data[2 * third :]
        yield f"twice.{ending}", data[:third] + data
        yield f"two halves.{ending}", data[:third] + files["PNG"][third:]
    jpeg = files["JPEG"]
    place = jpeg.index(b"\xff\xc0") + 5
    yield "more than there is.jpg", jpeg[:place] + struct.pack(">HH", 900, 900) + jpeg[place + 4 :]


SRGB = ImageCms.createProfile("sRGB")
MAKERS = {
    "same": (_formats, _orientations, _colours, _frames, _metadata, _names),
    "good": (_shapes, _depths, _circles_in_tiffs, _begun),
    "bad": (_disguises, _bombs, _cut_off, _nothing_in_it),
    "either": (_flipped, _spoilt),
}


def odd_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Make what no bytes can say: links to a good file, a locked one, one of terabytes."""
    for place in ("same/a link.png", "same/a link to a link.png"):
        (folder / place).symlink_to("plain.png" if place.endswith("a link.png") else "a link.png")
        yield folder / place, "same"
    huge = folder / "bad" / "terabytes.tif"
    huge.write_bytes((folder / "same" / "plain.tif").read_bytes())
    _stretch(huge)
    yield huge, "bad"
    locked = folder / "same" / "locked.png"
    locked.write_bytes((folder / "same" / "plain.png").read_bytes())
    locked.chmod(0)
    yield locked, "same" if os.access(locked, os.R_OK) else "bad"  # root may read everything


def _stretch(path: Path) -> None:
    """Make a file huge that takes no room on the disk."""
    try:
        os.truncate(path, 10 * 1024**4)
    except OSError:
        os.truncate(path, 3 * 1024**3)


def no_files(folder: Path) -> Iterator[Path]:
    """Make what looks like an image but holds none, and what links nowhere."""
    links = {"circle.jpg": "circle.jpg", "there.jpg": "back.jpg", "back.jpg": "there.jpg",
             "nowhere.jpg": "nothing.jpg", "zero.jpg": "/dev/zero", "above": ".."}  # fmt: skip
    for name, target in links.items():
        (folder / name).symlink_to(target)
        yield folder / name
    os.mkfifo(folder / "pipe.jpg")
    yield folder / "pipe.jpg"
    os.mknod(folder / "socket.jpg", stat.S_IFSOCK | 0o600)
    yield folder / "socket.jpg"
