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
from hostile import BROKEN_EXIF, STORED, chunk, encode, gif, png, tiff, turned, ycck
from PIL import Image

from artsearch.base.errors import ArtsearchError, ImageError
from artsearch.networks.registry import transform_for
from artsearch.networks.transforms import CROPS
from artsearch.works.images import MAX_BYTES, ImageNote, open_image, thumbnail, to_jpeg

# Pillow warns of what is broken in a file, which here is on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
AS_IT_IS = pytest.mark.filterwarnings("ignore::artsearch.works.images.ImageNote")


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


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_orientations_come_out_upright(noise, orientation, format):
    blocks = noise(3, 2).resize((96, 64), Image.Resampling.NEAREST)
    opened = open_image(turned(blocks, orientation, format))
    assert opened.size == (96, 64)
    middles = np.asarray(opened)[16::32, 16::32].astype(int)
    tolerance = 0 if format in ("PNG", "TIFF") else 70  # of noise, JPEG and WebP keep the rough
    assert np.abs(middles - np.asarray(noise(3, 2))).max() <= tolerance


@pytest.mark.parametrize("orientation", STORED)
def test_what_was_turned_upright_is_not_turned_again(noise, orientation):
    once = open_image(turned(noise(6, 4), orientation, "PNG"))
    twice = open_image(once)
    assert (twice.size, twice.tobytes()) == (once.size, once.tobytes())


def test_broken_exif_does_not_lose_the_picture():
    for data in BROKEN_EXIF:
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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_strips_of_a_large_picture_join_without_a_seam(mode):
    values = np.random.default_rng(0).integers(0, 256, (2100, 2100, 4), dtype=np.uint8)
    image = Image.fromarray(values[..., : len(mode)], mode)
    white = Image.new("RGBA", image.size, "white")
    at_once = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    assert open_image(image).tobytes() == at_once.tobytes()


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
    red = (200, 90, 30)
    data = ycck(Image.new("RGB", (16, 16), red))
    assert np.abs(np.array(pixels(data)) - red).max() < 6


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_taken(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:], **lossless(format))
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert pixels(data) == [[255, 0, 0]] * 64


# A JPEG at a half, a quarter or an eighth


def jpeg_of(kind: str, image: Image.Image) -> bytes:
    """Encode an image as one of the kinds of JPEG."""
    mode = {"grey": "L", "CMYK": "CMYK"}.get(kind, "RGB")
    options = {"progressive": True} if kind == "progressive" else {}
    return encode(image.convert(mode), "MPO" if kind == "MPO" else "JPEG", quality=92, **options)


def enlarge(path, width: int, height: int) -> Image.Image:
    return open_image(path).resize((width, height), Image.Resampling.LANCZOS)


def levels(a: Image.Image, b: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(a).astype(int) - np.asarray(b))


@pytest.mark.parametrize("kind", ["plain", "progressive", "grey", "CMYK", "MPO"])
def test_a_jpeg_is_decoded_no_larger_than_asked_for(paintings, kind):
    data = jpeg_of(kind, enlarge(paintings / "leonardo-da-vinci_mona-lisa.jpg", 640, 960))
    whole = open_image(data)
    for side, size in {641: (640, 960), 321: (640, 960), 320: (320, 480), 81: (160, 240),
                       80: (80, 120), 1: (80, 120)}.items():  # fmt: skip
        reduced = open_image(data, side=side)
        assert (reduced.mode, reduced.size) == ("RGB", size), side
        assert levels(reduced, whole.resize(size, Image.Resampling.BOX)).mean() < 2


def test_both_sides_keep_what_was_asked_for(noise):
    for width, height in [(1, 1), (17, 9), (97, 64), (64, 97), (251, 203), (3, 1000), (1000, 3)]:
        data = encode(noise(width, height), "JPEG")
        for side in (1, 2, 3, 5, 9, 16, 25, 31, 32, 33, 64, 101):
            opened = open_image(data, side=side)
            scale = max(s for s in (1, 2, 4, 8) if s * side <= min(width, height) or s == 1)
            assert opened.size == (round(width / scale), round(height / scale))
            assert min(opened.size) >= min(side, width, height)


@pytest.mark.parametrize("kind", ["small JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "picture"])
def test_what_cannot_be_reduced_is_as_ever(noise, kind):
    image = noise(64, 90)
    image = Image.open(io.BytesIO(encode(image, "JPEG"))) if kind == "picture" else image
    source = image if kind == "picture" else encode(image, kind.split()[-1])
    side = 33 if kind == "small JPEG" else 8
    assert open_image(source, side=side).tobytes() == open_image(source).tobytes()


def test_a_reduced_jpeg_is_turned_upright(paintings):
    upright = enlarge(paintings / "leonardo-da-vinci_mona-lisa.jpg", 242, 363)
    for orientation in STORED:
        opened = open_image(turned(upright, orientation, "JPEG", quality=95), side=60)
        assert opened.size == (60, 91)
        assert levels(opened, upright.resize((60, 91), Image.Resampling.BOX)).mean() < 4


@pytest.mark.parametrize("kind", ["plain", "progressive", "grey", "CMYK", "MPO"])
def test_a_jpeg_without_its_last_bytes_is_shown_with_a_note(paintings, tmp_path, kind):
    whole = Image.open(paintings / "leonardo-da-vinci_mona-lisa.jpg").resize((256, 384))
    data = jpeg_of(kind, whole)
    path = tmp_path / "cut.jpg"
    begins = data.rindex(b"\xff\xda" if kind != "progressive" else b"\xff\xc4")
    for part in (0.5, 0.9):
        path.write_bytes(data[: begins + int((len(data) - begins) * part)])
        for side in (None, 128):
            with pytest.warns(ImageNote, match="'cut.jpg': the file ends before the picture does"):
                opened = open_image(path, side=side)
            expected = open_image(data, side=side)
            assert opened.size == expected.size
            top = (0, 0, opened.width, opened.height // 4)
            assert levels(opened.crop(top), expected.crop(top)).mean() < 3


def test_a_progressive_jpeg_may_end_between_its_scans(paintings):
    data = jpeg_of("progressive", Image.open(paintings / "leonardo-da-vinci_mona-lisa.jpg"))
    for place in (data.rindex(b"\xff\xc4") + 9, data.rindex(b"\xff\xda") + 5):
        with pytest.warns(ImageNote, match="ends before the picture does"):
            assert levels(open_image(data[:place]), open_image(data)).mean() < 9


def test_a_jpeg_of_which_only_the_header_came_is_refused(noise):
    for options in ({}, {"progressive": True}):
        data = encode(noise(128, 128), "JPEG", **options)
        header = data.index(b"\xff\xda")
        for place in (3, 20, 200, header, header + 2, header + 10):
            for side in (None, 16):
                with pytest.raises(ImageError, match="[Tt]runcated|not a JPEG"):
                    open_image(data[:place], side=side)


@pytest.mark.parametrize("side", [0, -3, 2.5, True, "640"])
def test_sides_that_are_none(paint, side):
    with pytest.raises(ArtsearchError, match=f"side is {side!r}; take a whole number from 1 on"):
        open_image(paint("a.png"), side=side)


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("size, mean, most", [((3000, 2142), 3, 60), ((3008, 2144), 0.3, 4)])
def test_a_reduced_jpeg_is_close_to_the_whole_one(paintings, crop, size, mean, most):
    resize = transform_for("efficientnet_lite0", crop).resize
    for name in ("albrecht-durer_lion", "wassily-kandinsky_composition-viii"):
        data = encode(enlarge(paintings / f"{name}.jpg", *size), "JPEG", quality=92)
        assert open_image(data, side=640).size == (size[0] // 2, size[1] // 2)
        off = levels(resize(open_image(data)), resize(open_image(data, side=640)))
        signal_to_noise = 10 * np.log10(255**2 / (off**2).mean())
        assert (off.mean() < mean, off.max() < most, signal_to_noise > 33) == (True, True, True)


# What is no image


def test_files_that_are_no_images(tmp_path, paintings):
    jpeg = (paintings / "leonardo-da-vinci_mona-lisa.jpg").read_bytes()
    for content, says in {
        b"": "not a JPEG, PNG",
        b"just some text\n" * 100: "not a JPEG, PNG",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n": "not a JPEG, PNG",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>": "not a JPEG, PNG",
        jpeg[:300]: "truncated",
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


@AS_IT_IS
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


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "tiles"])
def test_a_decompression_bomb_is_refused_before_it_goes_off(kind):
    data = {
        "PNG": png(60_000, 60_000, 8, 2, b""),
        "GIF": gif(60_000, 60_000),
        "TIFF": tiff(60_000, 60_000, b""),
        "tiles": tiff(10, 10, b"", t259=8, t322=40_000, t323=40_000),
    }[kind]
    with pytest.raises(ImageError, match="more than 178 million pixels; make it smaller"):
        open_image(data)


def test_tiles_whose_size_is_no_number_are_no_picture():
    sides = tiff(10, 10, b"", t259=8, t322=40_000, t323=40_000)
    text = sides.replace(struct.pack("<HII", 4, 1, 40_000), struct.pack("<HI4s", 2, 4, b"abc"))
    with pytest.raises(ImageError, match="cannot read the .* bytes given as an image"):
        open_image(text)


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_bomb_of_text_is_refused(name):
    text = b"x\0\1\0\0\0" if name == b"iTXt" else b"x\0\0"
    bomb = chunk(name, text + zlib.compress(bytes(20_000_000)))
    with pytest.raises(ImageError, match="texts or the colour profile .* too large; save it witho"):
        open_image(png(1, 1, 8, 0, b"\0\0", bomb))


@pytest.mark.parametrize("size", [10 * 1024**4, MAX_BYTES + 2**27])
def test_a_file_of_gigabytes_is_not_even_read(tmp_path, size):
    path = tmp_path / "huge.tif"
    path.write_bytes(encode(Image.new("L", (9, 9)), "TIFF"))
    try:
        os.truncate(path, size)
    except OSError:
        pytest.skip("this file system holds no file of that size")
    says = f"'huge.tif' has {size / 1024**3:,.1f} GB, more than the 2 GB .*; save it smaller, or as"
    with pytest.raises(ImageError, match=says):
        open_image(path)
    os.truncate(path, 2**30)
    assert open_image(path).size == (9, 9)
    path.unlink()


def test_a_picture_as_large_as_a_museum_scan_does_not_warn(tmp_path):
    path = tmp_path / "scan.png"
    path.write_bytes(png(10_000, 10_000, 1, 0, zlib.compress(b"")))  # 100 megapixels announced
    assert stderr_of_opening(path) == ""


def test_crooked_metadata_of_a_sound_picture_does_not_warn(paint):
    path = paint("crooked.jpg", exif=BROKEN_EXIF[0])
    with pytest.warns(UserWarning, match="Tag data|Corrupt EXIF|Truncated"):
        Image.open(path).getexif()
    assert stderr_of_opening(path) == ""


def stderr_of_opening(path) -> str:
    """Open a file in another process, whose warnings no pytest has touched."""
    imports = "from artsearch.works.images import *"
    code = f"{imports}\ntry: open_image({str(path)!r})\nexcept ImageError: 0"
    done = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True)
    return done.stderr.decode() + "failed" * done.returncode


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
