"""Every kind of file that calls itself an image, and what becomes of it."""

import io
import os
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from artsearch.errors import ImageError
from artsearch.images import open_image, thumbnail, to_jpeg
from artsearch.transforms import CROPS, transform_for

# Pillow warns of what is broken in a file, which here is on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def encode(image: Image.Image, format: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def png(width: int, height: int, depth: int, kind: int, rows: bytes, *chunks: bytes) -> bytes:
    """Build a PNG by hand, for the kinds that Pillow does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"".join([b"\x89PNG\r\n\x1a\n", header, *chunks, data, chunk(b"IEND", b"")])


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def pixels(source) -> list:
    image = open_image(source)
    assert image.mode == "RGB"
    return np.asarray(image).reshape(-1, 3).tolist()


WHITE, BLACK = [255, 255, 255], [0, 0, 0]


# Sources


def test_a_path_its_bytes_and_its_picture_are_the_same(paint):
    path = paint("a.png", color=(10, 20, 30))
    data = path.read_bytes()
    sources = [path, str(path), data, bytearray(data), memoryview(data), Image.open(path)]
    for source in sources:
        assert pixels(source) == [[10, 20, 30]] * 48, type(source)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "MPO"])
def test_every_format_whatever_its_ending(tmp_path, format):
    path = tmp_path / "wrong.jpg"
    options = {"format": format}
    Image.new("RGB", (16, 16), (250, 120, 10)).save(path, **options)
    assert open_image(path).size == (16, 16)
    assert np.abs(np.array(pixels(path)) - (250, 120, 10)).max() < 8


def test_the_picture_given_is_left_as_it_was(noise):
    image = noise(5, 7)
    image.getexif()[0x0112] = 6
    before = image.tobytes()
    opened = open_image(image)
    assert opened.size == (7, 5)
    opened.paste("white", (0, 0, 7, 5))
    assert (image.size, image.tobytes(), image.getexif()[0x0112]) == ((5, 7), before, 6)


@pytest.mark.parametrize("source", [None, 3, 2.5, ["a.png"], io.BytesIO(b"x"), object()])
def test_what_is_no_source_at_all(source):
    with pytest.raises(ImageError, match=f"{type(source).__name__}.*give a path, the bytes"):
        open_image(source)


# Orientation

# For each value of the EXIF tag: how a file stores the upright picture (EXIF 2.32, 4.6.4 A).
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


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_orientations_come_out_upright(noise, orientation, format):
    blocks = np.asarray(noise(3, 2)).repeat(32, axis=0).repeat(32, axis=1)
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](blocks)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    opened = open_image(encode(stored, format, exif=exif))
    assert opened.size == (96, 64)
    middles = np.asarray(opened)[16::32, 16::32].astype(int)
    tolerance = 0 if format in ("PNG", "TIFF") else 70  # of noise, JPEG and WebP keep the rough
    assert np.abs(middles - np.asarray(noise(3, 2))).max() <= tolerance


def test_broken_exif_does_not_lose_the_picture():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x03\0" + b"\x12\x01\x07\0\xff\xff\xff\x7f\0\0\0\0" * 3
    for data in (exif, b"Exif\0\0", b"Exif\0\0rubbish", b"Exif\0\0MM\0*\xff\xff\xff\xff"):
        for format in ("JPEG", "PNG", "WEBP"):
            assert open_image(encode(Image.new("RGB", (4, 2)), format, exif=data)).size == (4, 2)


def test_orientation_counts_even_if_the_rest_of_the_exif_is_broken():
    turned = struct.pack("<HHII", 0x0112, 3, 1, 6)
    beyond = struct.pack("<HHII", 0x829A, 5, 1, 0xFFFFFFFF)  # a value far behind the end
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + turned + beyond + b"\0\0\0\0"
    assert open_image(encode(Image.new("RGB", (4, 2)), "JPEG", exif=exif)).size == (2, 4)


# Depths and modes


@pytest.mark.parametrize(
    "value, expected", [(0, 0), (200, 1), (257, 1), (32768, 128), (65535, 255)]
)
def test_grey_of_16_bits_is_scaled(value, expected):
    grey = np.full((2, 3), value, np.uint16)
    for format in ("PNG", "TIFF"):
        assert pixels(encode(Image.fromarray(grey), format)) == [[expected] * 3] * 6


def test_grey_of_16_bits_keeps_all_its_steps():
    grey = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    opened = np.asarray(open_image(encode(Image.fromarray(grey), "PNG")))[..., 0]
    assert (opened == np.rint(grey / 257)).all()


def test_colours_of_16_bits():
    row = b"\0" + struct.pack(">6H", 65535, 32768, 0, 256, 512, 65280)
    assert pixels(png(2, 1, 16, 2, row)) == [[255, 128, 0], [1, 2, 255]]


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0, 1e6])
def test_floating_point_is_scaled_to_its_white(top):
    grey = np.array([[0, 0.5, 1]], np.float32) * top
    black, middle, white = pixels(encode(Image.fromarray(grey), "TIFF"))
    assert (black, white) == (BLACK, WHITE) and middle[0] in (127, 128)


def test_floating_point_that_is_no_number():
    grey = np.array([[np.nan, -np.inf, np.inf, -5, 0.5]], np.float32)
    assert pixels(encode(Image.fromarray(grey), "TIFF")) == [BLACK, BLACK, WHITE, BLACK, [128] * 3]


@pytest.mark.parametrize("top", [255, 65535, 2**31 - 1])
def test_whole_numbers_of_32_bits(top):
    grey = np.array([[0, top // 2, top]], np.int32)
    for source in (Image.fromarray(grey), encode(Image.fromarray(grey), "TIFF")):
        black, middle, white = pixels(source)
        assert (black, white) == (BLACK, WHITE) and middle[0] in (127, 128)


def test_two_colours_and_palettes(noise):
    bits = Image.fromarray(np.array([[0, 255, 255]], np.uint8)).convert("1")
    assert pixels(encode(bits, "PNG")) == [BLACK, WHITE, WHITE]
    colours = Image.new("P", (2, 1))
    colours.putpalette([9, 8, 7, 200, 100, 50])
    colours.putpixel((1, 0), 1)
    assert pixels(encode(colours, "PNG")) == [[9, 8, 7], [200, 100, 50]]


def test_transparency_is_laid_over_white():
    half = Image.new("RGBA", (1, 1), (0, 100, 200, 128))
    for format in ("PNG", "WEBP", "TIFF"):
        assert (
            np.abs(np.array(pixels(encode(half, format, **lossless(format)))) - EXPECTED).max() < 2
        )
    assert pixels(encode(Image.new("LA", (1, 1), (0, 0)), "PNG")) == [WHITE]
    assert pixels(Image.new("PA", (1, 1), (0, 0))) == [WHITE]


EXPECTED = 255 + (np.array([0, 100, 200]) - 255) * 128 / 255


def lossless(format: str) -> dict:
    return {"lossless": True} if format == "WEBP" else {}


def test_a_transparent_colour_is_laid_over_white():
    grey = b"\0" + bytes([0, 128])
    assert pixels(png(2, 1, 8, 0, grey, chunk(b"tRNS", b"\0\0"))) == [WHITE, [128] * 3]
    colours = b"\0" + bytes([1, 2, 3, 4, 5, 6])
    assert pixels(png(2, 1, 8, 2, colours, chunk(b"tRNS", b"\0\1\0\2\0\3"))) == [WHITE, [4, 5, 6]]
    deep = b"\0" + struct.pack(">2H", 1000, 32768)
    assert pixels(png(2, 1, 16, 0, deep, chunk(b"tRNS", struct.pack(">H", 1000)))) == [
        WHITE,
        [128] * 3,
    ]
    palette = chunk(b"PLTE", bytes([9, 8, 7, 200, 100, 50])), chunk(b"tRNS", b"\0\xff")
    assert pixels(png(2, 1, 8, 3, b"\0\0\1", *palette)) == [WHITE, [200, 100, 50]]


def test_cmyk():
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow make red
    for format in ("TIFF", "JPEG"):
        assert np.abs(np.array(pixels(encode(inks, format))) - (255, 0, 0)).max() < 6


def test_adobes_ycck():
    """Photoshop's CMYK JPEGs: luma and chroma of the inverted inks, told by one byte."""
    red, green, blue = 200, 90, 30
    inverted = Image.new("RGB", (16, 16), (255 - red, 255 - green, 255 - blue)).convert("YCbCr")
    stored = [255 - value for value in inverted.getpixel((0, 0))] + [0]
    data = encode(Image.new("CMYK", (16, 16), tuple(stored)), "JPEG", quality=95)
    place = data.index(b"Adobe") + 11
    assert data[place] == 0
    ycck = data[:place] + b"\2" + data[place + 1 :]
    assert np.abs(np.array(pixels(ycck)) - (red, green, blue)).max() < 6


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_taken(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **lossless(format))
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert pixels(data) == [[255, 0, 0]] * 64


# What is no image


def test_files_that_are_no_images(tmp_path, paintings):
    jpeg = (paintings / "leonardo-da-vinci_mona-lisa.jpg").read_bytes()
    for content, says in {
        b"": "not a JPEG, PNG",
        b"just some text\n" * 100: "not a JPEG, PNG",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n": "not a JPEG, PNG",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>": "not a JPEG, PNG",
        jpeg[: len(jpeg) // 2]: "truncated",
        jpeg[:3]: "not a JPEG, PNG|truncated",
        encode(Image.new("RGB", (99, 99)), "PNG")[:-60]: "truncated|cannot read",
    }.items():
        path = tmp_path / "text.jpg"
        path.write_bytes(content)
        for source in (path, content):
            with pytest.raises(ImageError, match=says) as error:
                open_image(source)
            name = "'text.jpg'" if source is path else f"the {len(content):,} bytes given"
            assert f"cannot read {name} as an image" in str(error.value)
            assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP"])
def test_whatever_bytes_break_the_error_is_ours(noise, format):
    data = encode(noise(40, 40), format)
    rng = np.random.default_rng(0)
    for _ in range(60):
        broken = bytearray(data[: rng.integers(1, len(data) + 1)])
        for place in rng.integers(0, len(broken), 6):
            broken[place] = rng.integers(256)
        try:
            assert open_image(bytes(broken)).mode == "RGB"
        except ImageError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF"])
def test_a_decompression_bomb_is_refused_before_it_goes_off(kind):
    data = {
        "PNG": png(60_000, 60_000, 8, 2, b""),
        "GIF": b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0) + GIF_FRAME,
        "TIFF": encode(Image.new("L", (60, 60)), "TIFF").replace(SIXTY, SIXTY_THOUSAND),
    }[kind]
    with pytest.raises(ImageError, match="more than 178 million pixels; make it smaller"):
        open_image(data)


GIF_FRAME = b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\2\0;"
SIXTY, SIXTY_THOUSAND = (struct.pack("<HII", 4, 1, side) for side in (60, 60_000))


def test_a_picture_as_large_as_a_museum_scan_does_not_warn(tmp_path):
    path = tmp_path / "scan.png"
    path.write_bytes(png(10_000, 10_000, 1, 0, zlib.compress(b"")))  # 100 megapixels announced
    code = f"from artsearch.images import *\ntry: open_image({str(path)!r})\nexcept ImageError: 0"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_places_that_hold_no_file(tmp_path):
    with pytest.raises(ImageError, match="no such image file.*nothing.jpg"):
        open_image(tmp_path / "nothing.jpg")
    with pytest.raises(ImageError, match="is a folder; name an image file in it"):
        open_image(tmp_path)
    with pytest.raises(ImageError, match="device"):
        open_image("/dev/zero")
    for name in ("nul\0.jpg", "x" * 300 + ".jpg", "", tmp_path / "a.jpg" / "b.jpg"):
        with pytest.raises(ImageError):
            open_image(name)


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    errors = []

    def ask():
        try:
            open_image(tmp_path / "pipe.jpg")
        except ImageError as error:
            errors.append(str(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert errors and "pipe" in errors[0]


def test_pictures_without_pixels():
    with pytest.raises(ImageError, match="no pixels: it is 0 × 5"):
        open_image(Image.new("RGB", (0, 5)))


# Extreme shapes, and what is made of an image


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (2, 3)])
@pytest.mark.parametrize("crop", CROPS)
def test_extreme_shapes_go_all_the_way(paint, size, crop):
    opened = open_image(paint("thin.png", size, (255, 0, 0)))
    tensor = transform_for("efficientnet_lite0", crop)(opened)
    assert tensor.shape == (3, 224, 224)
    assert tensor.mean(dim=(1, 2)).tolist() == [1, -1, -1]


@pytest.mark.parametrize("size, expected", [((400, 100), (100, 25)), ((1, 3000), (1, 100)),
                                            ((30, 20), (30, 20))])  # fmt: skip
def test_thumbnails_keep_the_proportions_and_never_grow(noise, size, expected):
    assert thumbnail(noise(*size), side=100).size == expected


def test_to_jpeg_gives_bytes_that_open_again(noise):
    image = noise(4, 4).resize((64, 64))
    again = open_image(to_jpeg(image, quality=95))
    assert np.abs(np.asarray(again).astype(int) - np.asarray(image)).mean() < 6
