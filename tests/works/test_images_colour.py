"""Colours that come with a profile are brought to sRGB, and what is saved says that it is."""

import io
import struct
import warnings

import numpy as np
import pytest
import tifffile
from hostile import encode
from PIL import Image, ImageCms

from artsearch.works.collection import Collection
from artsearch.works.colour import SRGB
from artsearch.works.images import ImageNote, open_image, thumbnail, to_jpeg
from artsearch.works.thumbnails import Thumbnails, to_webp

# Chromaticities of the primaries, x and y of red, green and blue, and the white (Adobe RGB (1998)
# 4.2; ROMM RGB, ISO 22028-2; SMPTE EG 432-1), and the exponent.
D50, D65 = (0.3457, 0.3585), (0.3127, 0.3290)
SPACES = {
    "Adobe RGB": ((0.64, 0.33, 0.21, 0.71, 0.15, 0.06), D65, 563 / 256),
    "ProPhoto": ((0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), D50, 1.8),
    "Display P3": ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06), D65, 2.2),
    "linear": ((0.64, 0.33, 0.30, 0.60, 0.15, 0.06), D65, 1.0),
}
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def to_xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1, (1 - x - y) / y])


def matrix_of(primaries: tuple, white: tuple) -> np.ndarray:
    """Return the matrix from linear RGB to the XYZ of D50."""
    columns = np.stack([to_xyz(*primaries[n : n + 2]) for n in (0, 2, 4)], axis=1)
    matrix = columns * np.linalg.solve(columns, to_xyz(*white))
    cones = (BRADFORD @ to_xyz(*D50)) / (BRADFORD @ to_xyz(*white))
    return np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ matrix


def build_profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Build a profile of version 2 for a display, by hand (ICC.1:2001-04, 6.1)."""
    head = struct.pack(
        ">I4s4s4s4s4s12s4s4sI4s4s8sI12s48s", 0, b"none", b"\2\x40\0\0", b"mntr", space, b"XYZ ",
        bytes(12), b"acsp", bytes(4), 0, bytes(4), bytes(4), bytes(8), 0,
        struct.pack(">iii", 63190, 65536, 54061), bytes(48),
    )  # fmt: skip
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    whole = head + table + data
    return struct.pack(">I", len(whole)) + whole[4:]


def xyz_tag(xyz: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(value * 65536) for value in xyz))


def curve_tag(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


TEXTS = {
    b"desc": b"desc\0\0\0\0\0\0\0\x05test\0" + bytes(78),
    b"cprt": b"text\0\0\0\0none\0",
    b"wtpt": xyz_tag(to_xyz(*D50)),
}


def rgb_profile(name: str) -> bytes:
    primaries, white, gamma = SPACES[name]
    columns = matrix_of(primaries, white).T
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz_tag, columns), strict=True))
    return build_profile(
        b"RGB ", TEXTS | tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve_tag(gamma))
    )


def grey_profile(gamma: float) -> bytes:
    return build_profile(b"GRAY", TEXTS | {b"kTRC": curve_tag(gamma)})


def from_srgb(colours: np.ndarray, name: str) -> np.ndarray:
    """Return sRGB from 0 to 1 as values of another space."""
    primaries, white, gamma = SPACES[name]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    to_d50 = matrix_of((0.64, 0.33, 0.30, 0.60, 0.15, 0.06), D65)
    there = linear @ to_d50.T @ np.linalg.inv(matrix_of(primaries, white)).T
    return there.clip(0, 1) ** (1 / gamma)


CHART = np.array([[200, 30, 30], [90, 150, 90], [40, 60, 190], [230, 180, 40], [250, 250, 250],
                  [128, 128, 128], [90, 60, 50], [10, 10, 10]])  # fmt: skip


def chart(size: int = 16) -> np.ndarray:
    """The colours of the chart as squares in a row."""
    return np.repeat(np.repeat(CHART[None], size, 0), size, 1)


def middles(image: Image.Image, size: int = 16) -> np.ndarray:
    return np.asarray(image).astype(int)[size // 2, size // 2 :: size]


@pytest.mark.parametrize("name", ["Adobe RGB", "ProPhoto", "Display P3"])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_colours_come_out_as_srgb(name, format):
    there = Image.fromarray(np.rint(from_srgb(chart() / 255, name) * 255).astype(np.uint8))
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WEBP": {"lossless": True},
               "AVIF": {"quality": 98, "subsampling": "4:4:4"}}.get(format, {})  # fmt: skip
    opened = open_image(encode(there, format, icc_profile=rgb_profile(name), **options))
    tolerance = 8 if format in ("JPEG", "AVIF") else 3
    assert np.abs(middles(opened) - CHART)[:-1].max() <= tolerance
    assert np.abs(middles(there) - CHART).max() > 15  # else this would show nothing
    assert "icc_profile" not in opened.info


def test_a_profile_at_every_size_of_a_jpeg():
    there = Image.fromarray(np.rint(from_srgb(chart(64) / 255, "ProPhoto") * 255).astype(np.uint8))
    data = encode(there, "JPEG", quality=95, icc_profile=rgb_profile("ProPhoto"))
    for side, size in ((None, 64), (32, 32), (16, 16), (8, 8)):
        opened = open_image(data, side=side)
        assert opened.height == size
        assert np.abs(middles(opened, size) - CHART)[:-1].max() <= 8


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_of_another_gamma(gamma, mode):
    levels = np.array([20, 60, 128, 200, 255])
    linear = np.where(levels <= 10, levels / 255 / 12.92, ((levels / 255 + 0.055) / 1.055) ** 2.4)
    there = linear ** (1 / gamma)
    if mode == "I;16":
        image = Image.fromarray(np.rint(there * 65535).astype(np.uint16)[None])
    else:
        image = Image.fromarray(np.rint(there * 255).astype(np.uint8)[None]).convert(mode)
    opened = np.asarray(open_image(encode(image, "PNG", icc_profile=grey_profile(gamma)))).astype(
        int
    )
    # Linear grey of 8 bits has but 255 steps, which are 13 levels of sRGB in the dark.
    assert np.abs(opened[0] - levels[:, None]).max() <= (8 if gamma == 1 else 2)


def test_transparent_pixels_of_another_space_are_laid_over_white():
    there = np.rint(from_srgb(CHART[None] / 255, "ProPhoto") * 255).astype(np.uint8)
    alpha = np.array([255, 255, 255, 255, 255, 255, 0, 0], np.uint8)
    image = Image.fromarray(np.dstack([there, alpha[None]]))
    opened = np.asarray(open_image(encode(image, "PNG", icc_profile=rgb_profile("ProPhoto"))))
    expected = np.where(alpha[:, None] > 0, CHART, 255)
    assert np.abs(opened[0].astype(int) - expected).max() <= 3


def test_a_palette_of_another_space():
    there = np.rint(from_srgb(CHART / 255, "Adobe RGB") * 255).astype(int)
    image = Image.new("P", (8, 1))
    image.putpalette(there.ravel().tolist())
    image.putdata(range(8))
    opened = np.asarray(open_image(encode(image, "PNG", icc_profile=rgb_profile("Adobe RGB"))))
    assert np.abs(opened[0].astype(int) - CHART).max() <= 3


def test_grey_with_a_profile_for_colours():
    grey = Image.fromarray(np.array([[0, 99, 255]], np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ImageNote)
        same = open_image(encode(grey, "PNG", icc_profile=SRGB))
        moved = open_image(encode(grey, "PNG", icc_profile=rgb_profile("ProPhoto")))
    assert same.tobytes() == grey.convert("RGB").tobytes()
    assert moved.getpixel((1, 0))[1] > 110 and moved.getpixel((2, 0)) == (255,) * 3


# sRGB itself


def test_srgb_by_any_profile_keeps_every_pixel(noise):
    image = noise(64, 64)
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    primaries, white, _ = SPACES["linear"]
    columns = matrix_of(primaries, white).T
    steps = np.arange(1024) / 1023
    curve = np.where(steps <= 0.04045, steps / 12.92, ((steps + 0.055) / 1.055) ** 2.4)
    table = np.rint(curve * 65535).astype(">u2").tobytes()
    tags = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz_tag, columns), strict=True))
    trc = b"curv\0\0\0\0" + struct.pack(">I", 1024) + table
    camera = build_profile(b"RGB ", TEXTS | tags | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc))
    for profile in (own, camera, SRGB):
        assert open_image(encode(image, "PNG", icc_profile=profile)).tobytes() == image.tobytes()


# What cannot be used


@pytest.mark.parametrize("profile", [b"rubbish" * 9, SRGB[:200], rgb_profile("ProPhoto")[:300]])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_broken_profile_is_ignored_with_a_note(noise, tmp_path, format, profile):
    path = tmp_path / "work.img"
    image = noise(16, 16)
    path.write_bytes(encode(image, format, icc_profile=profile))
    with pytest.warns(ImageNote, match="'work.img': its colour profile cannot be read; it is ign"):
        opened = open_image(path)
    assert opened.tobytes() == open_image(encode(image, format)).tobytes()


@pytest.mark.parametrize("mode, profile, says", [
    ("CMYK", SRGB, "is for RGB, and the picture is CMYK"),
    ("RGB", grey_profile(2.2), "is for grey, and the picture is RGB"),
    ("RGB", build_profile(b"7CLR", TEXTS), "is for 7CLR, which no picture here has|cannot be read"),
])  # fmt: skip
def test_a_profile_for_other_colours_is_ignored_with_a_note(mode, profile, says):
    image = Image.new(mode, (8, 8), (9, 99, 200, 0)[: len(mode)])
    with pytest.warns(ImageNote, match=f"its colour profile ({says}); it is ignored"):
        opened = open_image(encode(image, "TIFF", icc_profile=profile))
    assert opened.tobytes() == image.convert("RGB").tobytes()


# CMYK


def lut_profile(inks_to_lab) -> bytes:
    """Build a profile of inks: a table of 9 steps for each (ICC.1:2001-04, 6.5.7)."""
    steps = np.linspace(0, 1, 9)
    inks = np.stack(np.meshgrid(*[steps] * 4, indexing="ij"), -1).reshape(-1, 4)
    lab = inks_to_lab(inks)
    coded = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], -1)
    identity = np.array([0, 65535], ">u2").tobytes()
    lut = b"mft2\0\0\0\0" + bytes([4, 3, 9, 0])
    lut += struct.pack(">9i", *[65536 if n % 4 == 0 else 0 for n in range(9)])
    lut += struct.pack(">HH", 2, 2) + identity * 4
    lut += np.rint(coded.clip(0, 65535)).astype(">u2").tobytes() + identity * 3
    whole = bytearray(build_profile(b"CMYK", TEXTS | {b"A2B0": lut}))
    whole[12:16], whole[20:24] = b"prtr", b"Lab "
    return bytes(whole)


def bright_inks(inks: np.ndarray) -> np.ndarray:
    """Inks of a press on which black alone makes dark, and the others only colour."""
    light = 100 - 60 * inks[:, 3] - 10 * inks[:, :3].sum(1)
    return np.stack([light, 60 * (inks[:, 1] - inks[:, 0]), 60 * (inks[:, 2] - inks[:, 1])], -1)


@pytest.mark.parametrize("format", ["TIFF", "JPEG", "TIFF of 16 bits"])
def test_inks_by_their_profile(format):
    inks = np.array(
        [[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255], [99, 50, 20, 40]]
    )
    squares = np.repeat(np.repeat(inks[None].astype(np.uint8), 16, 0), 16, 1)
    profile = lut_profile(bright_inks)
    if format == "TIFF of 16 bits":
        out = io.BytesIO()
        tifffile.imwrite(out, squares.astype(np.uint16) * 257, photometric="separated",
                         iccprofile=profile, metadata=None)  # fmt: skip
        data = out.getvalue()
    else:
        data = encode(Image.fromarray(squares, "CMYK"), format, icc_profile=profile,
                      **({"quality": 98} if format == "JPEG" else {}))  # fmt: skip
    light, a, b = (np.float32(band) for band in bright_inks(inks / 255).T)
    from artsearch.works.colour import lab_to_srgb

    assert np.abs(middles(open_image(data)) - lab_to_srgb(light, a, b)).max() <= 8


# Deeper


def test_colours_of_16_bits_keep_their_steps():
    colours = np.repeat(np.arange(4, 256, 4)[None, :, None], 3, -1) / 255
    out = io.BytesIO()
    there = np.rint(from_srgb(colours, "linear") * 65535).astype(np.uint16)
    tifffile.imwrite(out, there, photometric="rgb", iccprofile=rgb_profile("linear"), metadata=None)
    off = np.asarray(open_image(out.getvalue())).astype(int) - np.rint(colours * 255)
    assert np.abs(off).max() <= 2


# What is saved


def test_what_is_saved_says_that_it_is_srgb(tmp_path, paint):
    there = Image.fromarray(np.rint(from_srgb(chart() / 255, "ProPhoto") * 255).astype(np.uint8))
    there.save(tmp_path / "chart.png", icc_profile=rgb_profile("ProPhoto"))
    small = thumbnail(tmp_path / "chart.png")
    shown = Thumbnails(Collection(tmp_path), tmp_path / "thumbs").read("chart.png")
    for data in (to_jpeg(small, 95), to_webp(small, 95), shown):
        saved = Image.open(io.BytesIO(data))
        assert saved.info["icc_profile"] == SRGB
        assert np.abs(np.asarray(saved.convert("RGB")).astype(int) - np.asarray(small)).mean() < 6
        assert np.abs(middles(open_image(data)) - CHART).max() < 40
    name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(SRGB)))
    assert "sRGB" in name
