"""TIFF of every layout, depth and kind of colour, by an independent writer, held to its pixels."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hostile import encode
from imagecodecs import lzw_encode, packbits_encode
from PIL import Image, ImageCms

from artsearch.base.errors import ImageError
from artsearch.works.images import open_image

SIZE = HEIGHT, WIDTH = 37, 53
LAYOUTS = {
    "strips": {"rowsperstrip": 5},
    "one strip": {"rowsperstrip": HEIGHT},
    "tiles": {"tile": (16, 32)},
}
ORDERS = {"little": "<", "big": ">"}


def ramp(channels: int) -> np.ndarray:
    """Values from 0 to 1 that differ from pixel to pixel and from channel to channel."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    bands = [(x / (WIDTH - 1) + step * y / (HEIGHT - 1)) % 1.0001 for step in range(channels)]
    return np.stack(bands, axis=-1).clip(0, 1)


def write(values: np.ndarray, planar: bool = False, order: str = "<", **options) -> bytes:
    """Write values of height × width × channels as a TIFF."""
    out = io.BytesIO()
    if values.shape[2] == 1:
        values = values[..., 0]
    else:
        options["planarconfig"] = "separate" if planar else "contig"
        values = np.ascontiguousarray(np.moveaxis(values, -1, 0)) if planar else values
    with tifffile.TiffWriter(out, byteorder=order, bigtiff=options.pop("bigtiff", False)) as tif:
        tif.write(values, metadata=None, **options)
    return out.getvalue()


def quantize(values: np.ndarray, bits: int) -> np.ndarray:
    """Return values from 0 to 1 as whole numbers of so many bits."""
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    return np.rint(values * (2**bits - 1)).astype(dtype)


def build(strips: list[bytes], order: str = "<", **tags: int | list[int]) -> bytes:
    """Build a TIFF by hand, for what tifffile does not write; tags are named as in t256=9."""
    data, sizes = b"".join(strips), [len(strip) for strip in strips]
    places = [8 + sum(sizes[:number]) for number in range(len(strips))]
    tags = {"t256": WIDTH, "t257": HEIGHT, "t259": 1, "t273": places, "t279": sizes} | tags
    entries, values = b"", b""
    place = 8 + len(data) + 2 + 12 * len(tags) + 4
    for name in sorted(tags, key=lambda name: int(name[1:])):
        value = tags[name] if isinstance(tags[name], list) else [tags[name]]
        kind, letter = (3, "H") if max(value) < 65536 else (4, "I")
        packed = struct.pack(f"{order}{len(value)}{letter}", *value)
        entries += struct.pack(order + "HHI", int(name[1:]), kind, len(value))
        if len(packed) > 4:
            entries += struct.pack(order + "I", place + len(values))
            values += packed
        else:
            entries += packed.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    return head + data + struct.pack(order + "H", len(tags)) + entries + bytes(4) + values


def pack(values: np.ndarray, bits: int) -> bytes:
    """Pack values into bits, each row from a new byte on, as TIFF 6.0 has it in either order."""
    rows = values.reshape(len(values), -1, 1)
    shifted = rows >> np.arange(bits - 1, -1, -1)
    return np.packbits((shifted & 1).astype(np.uint8).reshape(len(values), -1), axis=1).tobytes()


def levels_off(data: bytes, expected: np.ndarray) -> float:
    """Return by how many of 255 levels a picture is off values from 0 to 1, at most."""
    opened = open_image(data)
    assert (opened.mode, opened.size) == ("RGB", (WIDTH, HEIGHT))
    return np.abs(np.asarray(opened) - np.broadcast_to(expected, (*SIZE, 3)) * 255).max()


WHOLE = [8, 16, 32]
KINDS = {"miniswhite": 0, "minisblack": 1, "rgb": 2, "palette": 3, "ycbcr": 6}
COMPRESSIONS = [None, "lzw", "zlib", "adobe_deflate", "zstd", "packbits", "lzma"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("colours, channels", [("minisblack", 1), ("rgb", 3), ("separated", 4)])
def test_every_layout_depth_and_compression(colours, channels, compression):
    plain = ramp(channels)
    for bits, planar, layout, order in itertools.product(
        WHOLE, (False, True) if channels > 1 else (False,), LAYOUTS, ORDERS.values()
    ):
        stored = quantize(plain, bits)
        data = write(stored, planar, order, photometric=colours, compression=compression,
                     **LAYOUTS[layout])  # fmt: skip
        seen = stored / (2.0**bits - 1)
        assert levels_off(data, paint(seen, colours)) <= 1.5, (bits, planar, layout, order)


def paint(values: np.ndarray, colours: str) -> np.ndarray:
    """Return the RGB from 0 to 1 that values of some kind of colour stand for."""
    if colours == "miniswhite":
        return 1 - values[..., :1]
    if colours == "separated":
        return (1 - values[..., :3]) * (1 - values[..., 3:4])
    return values[..., : 3 if colours == "rgb" else 1]


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8, 10, 12, 14, 16, 32])
@pytest.mark.parametrize("colours, channels", [("minisblack", 1), ("miniswhite", 1), ("rgb", 3)])
def test_every_depth_is_scaled_to_its_full_range(colours, channels, bits):
    stored = quantize(ramp(channels), bits)
    for planar, order in itertools.product((False, True), ORDERS.values()):
        if bits in WHOLE:
            data = write(stored, planar and channels > 1, order, photometric=colours)
        else:
            parts = [
                pack(band, bits) for band in (np.moveaxis(stored, -1, 0) if planar else [stored])
            ]
            data = build(parts, order, t258=[bits] * channels, t277=channels,
                         t262=KINDS[colours], t284=1 + planar)  # fmt: skip
        assert levels_off(data, paint(stored / (2.0**bits - 1), colours)) <= 0.51, (planar, order)


@pytest.mark.parametrize("bits", [1, 2, 4, 12])
def test_packed_numbers_compressed_and_from_the_other_end(bits):
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
    ways = {5: lzw_encode, 8: zlib.compress, 32773: packbits_encode, 1: bytes}
    for channels, colours in ((1, "minisblack"), (3, "rgb")):
        stored = quantize(ramp(channels), bits)
        expected = paint(stored / (2.0**bits - 1), colours)
        tags = {"t258": [bits] * channels, "t262": KINDS[colours], "t277": channels}
        packed = pack(stored, bits)
        for compression, encode_strip in ways.items():
            data = build([bytes(encode_strip(packed))], t259=compression, **tags)
            assert levels_off(data, expected) <= 0.51, compression
        assert levels_off(build([packed.translate(turned)], t266=2, **tags), expected) <= 0.51


def test_what_the_tags_do_not_say():
    for channels, colours in ((1, "minisblack"), (3, "rgb")):
        stored = quantize(ramp(channels), 8)
        expected = paint(stored / 255, colours)
        data = build([stored.tobytes()], t258=8, t277=channels)  # for all, and of which kind?
        assert levels_off(data, expected) == 0


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", ["lzw", "zlib", "zstd"])
def test_differences_between_pixels(bits, compression):
    stored = quantize(ramp(3), bits)
    for planar, layout, order in itertools.product((False, True), LAYOUTS, ORDERS.values()):
        data = write(stored, planar, order, photometric="rgb", compression=compression,
                     predictor=2, **LAYOUTS[layout])  # fmt: skip
        assert levels_off(data, stored / (2.0**bits - 1)) <= 0.51, (planar, layout, order)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("colours, channels", [("minisblack", 1), ("miniswhite", 1), ("rgb", 3)])
def test_floating_point(colours, channels, dtype):
    stored = ramp(channels).astype(dtype)
    expected = paint(stored.astype(float), colours)
    for predictor, planar, layout, order in itertools.product(
        (None, 3), (False, True), LAYOUTS, ORDERS.values()
    ):
        options = {"compression": "zlib", "predictor": predictor} if predictor else {}
        data = write(stored, planar and channels > 1, order, photometric=colours,
                     **options, **LAYOUTS[layout])  # fmt: skip
        assert levels_off(data, expected) <= 0.6, (predictor, planar, layout, order)


@pytest.mark.parametrize("top", [1, 1.03, 255, 65535, 1e6])
def test_colours_in_floating_point_have_one_white(top):
    stored = (ramp(3) * np.array([1, 0.5, 0.25]) * top).astype(np.float32)
    white = 1 if top < 2 else top
    assert levels_off(write(stored, photometric="rgb"), (stored / white).clip(0, 1)) <= 0.51


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_signed_numbers(bits):
    dtype, half = np.dtype(f"i{bits // 8}"), 2.0 ** (bits - 1)
    for channels in (1, 3):
        options = {"photometric": "rgb" if channels == 3 else "minisblack"}
        positive = np.rint(ramp(channels) * (half - 1)).clip(
            max=half - 1 if bits < 32 else 2**31 - 128
        )
        data = write(positive.astype(dtype), **options)
        assert levels_off(data, positive / (half - 1)) <= 0.51
        slightly_below = write(np.where(positive > 9, positive, -3).astype(dtype), **options)
        assert levels_off(slightly_below, np.where(positive > 9, positive / (half - 1), 0)) <= 0.51
    if bits < 32:
        centred = np.rint(ramp(3) * (2 * half - 1) - half)
        data = write(centred.astype(dtype), photometric="rgb")
        assert levels_off(data, (centred + half) / (2 * half - 1)) <= 0.51


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes(bits):
    stored = quantize(ramp(1), bits)
    colours = np.random.default_rng(0).integers(0, 256, (3, 2**bits)).astype(np.uint16)
    for table in (colours * 257, colours * 256, colours):  # as programs write it
        data = build([pack(stored, bits)], t258=bits, t262=3, t277=1, t320=table.ravel().tolist())
        assert levels_off(data, colours.T[stored[..., 0]] / 255) == 0


@pytest.mark.parametrize("colours, channels", [("minisblack", 1), ("rgb", 3), ("ycbcr", 3)])
def test_jpeg_within(colours, channels):
    smooth = np.repeat(ramp(1) * 0.8, channels, axis=-1) * [0.7, 1, 0.9][:channels]
    stored = quantize(smooth, 8)
    for planar, tile in itertools.product((False, True), (None, (16, 32))):
        for sampling in (
            ((1, 1), (2, 2), (2, 1)) if colours == "ycbcr" and not planar else ((1, 1),)
        ):
            more = {"subsampling": sampling} if colours == "ycbcr" else {}
            if planar and colours != "rgb":
                continue
            data = write(stored, planar, photometric="rgb" if more else colours, tile=tile,
                         rowsperstrip=None if tile else 16, compression="jpeg",
                         compressionargs={"level": 97}, **more)  # fmt: skip
            off = np.abs(np.asarray(open_image(data)) - stored.astype(int))
            assert off.mean() < 2 and off.max() < 30, (planar, tile, sampling)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [False, True])
def test_lab(bits, planar):
    rgb = Image.fromarray(quantize(ramp(3) * 0.6 + 0.2, 8))
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    flags = ImageCms.Flags.HIGHRESPRECALC
    seen = ImageCms.profileToProfile(
        rgb, srgb, lab, outputMode="LAB", renderingIntent=1, flags=flags
    )
    light, a, b = np.moveaxis(np.asarray(seen).astype(np.int32) ^ [0, 128, 128], -1, 0)
    unit = 2 ** (bits - 8)
    cie = [light * (2**bits - 1) // 255, (a - 128) * unit, (b - 128) * unit]
    icc = [light * (255 * unit) // 255, a * unit, b * unit]
    expected = np.asarray(rgb) / 255
    for colours, bands in {"cielab": cie, "icclab": icc}.items():
        stored = np.stack(bands, -1).astype(np.int32).astype(f"u{bits // 8}")
        data = write(stored, planar, photometric=colours)
        assert levels_off(data, expected) <= 6, colours  # 8 bits of Lab are coarse
    floats = np.stack([light / 2.55, a - 128, b - 128], -1).astype(np.float32)
    assert levels_off(write(floats, planar, photometric="cielab"), expected) <= 6


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("colours, channels", [("minisblack", 1), ("rgb", 3), ("separated", 4)])
def test_more_channels_than_colours(colours, channels, planar, bits):
    plain = ramp(channels)
    alpha = ramp(1)[:, ::-1]
    white = 0 if colours == "separated" else 1
    for kind, stored in {
        "unspecified": plain, "unassalpha": plain, "assocalpha": plain * alpha
    }.items():  # fmt: skip
        values = quantize(np.concatenate([stored, alpha, ramp(1), ramp(1)], axis=-1), bits)
        laid = plain * alpha + white * (1 - alpha) if kind != "unspecified" else plain
        for extra in (1, 3):
            kinds = [kind, *["unspecified"] * (extra - 1)]
            taken = values[..., : channels + extra]
            data = write(taken, planar, photometric=colours, extrasamples=kinds)
            assert levels_off(data, paint(laid, colours)) <= 2, (kind, extra)


def test_a_fourth_channel_of_which_nothing_is_said_is_alpha():
    data = encode(Image.new("RGBA", (2, 1), (0, 100, 200, 0)), "TIFF")
    assert 338 in tifffile.TiffFile(io.BytesIO(data)).pages[0].tags
    assert open_image(data.replace(b"\x52\x01", b"\x53\x01", 1)).getpixel((0, 0)) == (255,) * 3


# Luma and chroma


def subsample(ycc: np.ndarray, across: int, down: int) -> bytes:
    """Return luma and chroma as TIFF 6.0 (page 93) keeps them: blocks of luma, then Cb and Cr."""
    data = bytearray()
    for y in range(0, HEIGHT, down):
        for x in range(0, WIDTH, across):
            block = ycc[y : y + down, x : x + across]
            luma = np.pad(block[..., 0], [(0, down - block.shape[0]), (0, across - block.shape[1])])
            data += luma.tobytes() + block[0, 0, 1:].tobytes()
    return bytes(data)


def test_luma_and_chroma_without_jpeg():
    rgb = quantize(np.repeat(ramp(1), 3, -1) * 0.5 + [0.4, 0.2, 0.1], 8)
    ycc = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    tags = {"t258": [8] * 3, "t262": 6, "t277": 3}
    files = {
        (across, down, order): build(
            [subsample(ycc, across, down)], order, t530=[across, down], **tags
        )
        for across, down in [(1, 1), (2, 1), (2, 2), (4, 2)]
        for order in ORDERS.values()
    }
    files["not said, which is 2 by 2"] = build([subsample(ycc, 2, 2)], **tags)
    files["LZW"] = build([lzw_encode(subsample(ycc, 2, 2))], t259=5, t530=[2, 2], **tags)
    planes = [ycc[..., band].tobytes() for band in range(3)]
    files["planes"] = build(planes, t284=2, t530=[1, 1], **tags)
    for kind, data in files.items():
        off = np.abs(np.asarray(open_image(data)) - rgb.astype(int))
        assert off.max() <= 3, kind
    deep = build([(ycc * np.uint16(257)).tobytes()], t530=[1, 1], **tags | {"t258": [16] * 3})
    with pytest.raises(ImageError, match="3 × 16 bits.* read with 8 bits alone"):
        open_image(deep)


# Which page


def several(*pages: tuple[np.ndarray, dict]) -> bytes:
    """Write a TIFF of several pages."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as tif:
        for values, options in pages:
            tif.write(values, **{"photometric": "rgb", "metadata": None} | options)
    return out.getvalue()


def flat(size: tuple[int, int], level: int) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


BIG, SMALL = (64, 96), (16, 24)
REDUCED, PAGE, TILED = {"subfiletype": 1}, {"subfiletype": 2}, {"tile": (16, 16)}
MASK = {"subfiletype": 4, "photometric": "mask"}


@pytest.mark.parametrize("pages, expected", [
    ([(flat(SMALL, 9), REDUCED), (flat(BIG, 200), {})], BIG),  # said to be reduced
    ([(flat(SMALL, 9), {}), (flat(BIG, 200), {})], BIG),  # not said, and alike in shape
    ([(flat((16, 17), 9), {}), (flat(BIG, 200), {})], (16, 17)),  # another picture
    ([(flat(BIG, 9), {}), (flat(SMALL, 200), REDUCED)], BIG),
    ([(flat(BIG, 9), PAGE), (flat(BIG, 200), PAGE)], BIG),
    ([(flat(SMALL, 9), PAGE), (flat(BIG, 200), PAGE)], SMALL),  # of a document
    ([(flat(SMALL, 9), REDUCED), (np.ones(BIG, bool), MASK), (flat(BIG, 200), {})], BIG),
    ([(flat(SMALL, 9), REDUCED)], SMALL),
    ([(flat(SMALL, 9), REDUCED), (flat((32, 48), 9), REDUCED), (flat(BIG, 200), TILED)], BIG),
])  # fmt: skip
def test_the_full_page_is_taken(pages, expected):
    opened = open_image(several(*pages))
    level = next(values.max() for values, options in pages
                 if values.shape == (*expected, 3))  # fmt: skip
    assert (opened.height, opened.width, opened.getpixel((5, 5))[0]) == (*expected, level)


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_pyramid_of_parts(bigtiff):
    out = io.BytesIO()
    with tifffile.TiffWriter(out, bigtiff=bigtiff) as tif:
        options = {"photometric": "rgb", "metadata": None}
        tif.write(flat(BIG, 200), subifds=2, tile=(16, 16), **options)
        tif.write(flat((32, 48), 9), subfiletype=1, **options)
        tif.write(flat(SMALL, 9), subfiletype=1, **options)
    assert open_image(out.getvalue()).tobytes() == flat(BIG, 200).tobytes()


def test_a_small_copy_with_the_picture_as_its_part():
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as tif:
        options = {"photometric": "rgb", "metadata": None}
        tif.write(flat(SMALL, 9), subifds=1, subfiletype=1, **options)
        tif.write(flat(BIG, 200), compression="zlib", **options)
    assert open_image(out.getvalue()).tobytes() == flat(BIG, 200).tobytes()


def test_a_large_tiff_and_one_turned():
    stored = quantize(ramp(3), 16)
    assert levels_off(write(stored, bigtiff=True, photometric="rgb"), stored / 65535) <= 0.51
    turned = write(stored, photometric="rgb", extratags=[(274, 3, 1, 6, True)])
    upright = np.asarray(open_image(turned))
    assert (upright == np.rot90(np.asarray(open_image(write(stored, photometric="rgb"))), -1)).all()


# What cannot be decoded


@pytest.mark.parametrize("values, options, says", [
    (np.zeros((9, 9, 2), np.uint8), {"photometric": "rgb"}, r"2 × 8 bits.*RGB"),
    (np.zeros((9, 9, 1), np.complex64), {"photometric": "minisblack"}, r"1 × 64 bits.*COMPLEX"),
    (np.zeros((9, 9, 1), np.uint16), {"photometric": "cfa"}, r"1 × 16 bits.*CFA"),
    (np.zeros((9, 9, 1), np.uint16), {"photometric": "logl"}, r"1 × 16 bits.*LOGL"),
])  # fmt: skip
def test_what_cannot_be_decoded_says_why(values, options, says):
    if options["photometric"] == "rgb":
        data = build([bytes(162)], t256=9, t257=9, t258=[8, 8], t262=2, t277=2)
    else:
        data = write(values, **options)
    with pytest.raises(ImageError, match=f"a TIFF that cannot be decoded .{says}.*: "):
        open_image(data)


def test_an_unknown_compression_says_so():
    data = build([bytes(99)], t258=8, t262=1, t277=1, t259=4242)
    with pytest.raises(ImageError, match="a TIFF that cannot be decoded .*4242"):
        open_image(data)


def test_whole_numbers_of_24_bits_are_not_guessed_at():
    data = build([bytes(3 * WIDTH * HEIGHT)], t258=24, t262=1, t277=1)
    with pytest.raises(ImageError, match="a TIFF that cannot be decoded .1 × 24 bits"):
        open_image(data)


def test_a_tiff_that_is_not_all_there():
    data = write(quantize(ramp(3), 8), photometric="rgb", compression="lzw", rowsperstrip=1)
    for says, broken in {
        "it is a TIFF that cannot be decoded": data[: len(data) // 2],
        "1,048,539 of its strips or tiles are missing": data.replace(
            struct.pack("<HHII", 257, 4, 1, HEIGHT), struct.pack("<HHII", 257, 4, 1, 2**20)
        ),
    }.items():
        with pytest.raises(ImageError, match=f"cannot read the .* bytes given as an .*{says}"):
            open_image(broken)


def test_channels_that_take_too_much_are_refused_before_decoding():
    data = build([bytes(9)], t256=12_000, t257=12_000, t258=8, t262=1, t277=60_000)
    with pytest.raises(ImageError, match="60,000 channels take more than 2 GB; save it with fewer"):
        open_image(data)
