"""Newer formats and other endings; and pictures that are not read are named."""

import importlib.util
import io
import struct

import numpy as np
import pillow_heif
import pytest
from hostile import encode
from PIL import Image

import artsearch.works.formats
from artsearch.base.errors import CollectionError, ImageError
from artsearch.works.collection import Collection
from artsearch.works.colour import SRGB
from artsearch.works.formats import kind_of
from artsearch.works.images import open_image
from artsearch.works.storage import RemoteFile


@pytest.fixture
def blocks(noise) -> Image.Image:
    """A picture of large squares of colour."""
    return noise(4, 3, seed=1).resize((128, 96), Image.Resampling.NEAREST)


@pytest.fixture
def no_heif(monkeypatch):
    """Let the package that reads HEIC be missing."""
    find = importlib.util.find_spec

    def find_others(name, *rest):
        return None if name == "pillow_heif" else find(name, *rest)

    monkeypatch.setattr(artsearch.works.formats.importlib.util, "find_spec", find_others)


def to_heic(image: Image.Image) -> bytes:
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=95)
    return out.getvalue()


def write(format: str, image: Image.Image) -> bytes:
    options = {"JPEG": {"quality": 95}, "AVIF": {"quality": 95}, "MPO": {"quality": 95}}
    return to_heic(image) if format == "HEIC" else encode(image, format, **options.get(format, {}))


@pytest.mark.parametrize("format", ["JPEG", "MPO", "AVIF", "JPEG2000", "HEIC"])
def test_newer_formats(tmp_path, blocks, format):
    data = write(format, blocks)
    for name in ("work.jpg", "work.avif", "work.heic"):  # whatever it is called
        path = tmp_path / name
        path.write_bytes(data)
        for source in (path, data):
            opened = open_image(source, side=64)
            assert opened.mode == "RGB"
            middles = np.asarray(opened.resize((128, 96)))[16::32, 16::32].astype(int)
            assert np.abs(middles - np.asarray(blocks)[16::32, 16::32]).max() < 16


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_other_modes_of_jpeg_2000(mode):
    values = np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(values.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(values).convert(mode)
    opened = np.asarray(open_image(encode(image, "JPEG2000"))).astype(int)
    assert np.abs(opened - values[..., None]).max() <= 1


def with_profile(jp2: bytes, profile: bytes) -> bytes:
    """Return a JPEG 2000 whose colours are told by a profile (ISO 15444-1, I.5.3.3)."""
    place = jp2.index(b"colr") - 4
    (length,) = struct.unpack(">I", jp2[place : place + 4])
    box = struct.pack(">I4sBBB", 11 + len(profile), b"colr", 2, 0, 0) + profile
    header = jp2.index(b"jp2h") - 4
    (size,) = struct.unpack(">I", jp2[header : header + 4])
    whole = jp2[:place] + box + jp2[place + length :]
    return whole[:header] + struct.pack(">I", size - length + len(box)) + whole[header + 4 :]


def test_the_profile_of_a_jpeg_2000_counts(blocks):
    from test_images_colour import rgb_profile

    plain = encode(blocks, "JPEG2000")
    profile = rgb_profile("ProPhoto")
    by_png = open_image(encode(blocks, "PNG", icc_profile=profile))
    assert open_image(with_profile(plain, profile)).tobytes() == by_png.tobytes()
    assert open_image(with_profile(plain, SRGB)).tobytes() == blocks.tobytes()


def test_a_photo_of_a_telephone(blocks):
    from test_images_colour import rgb_profile

    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = rgb_profile("Display P3")
    opened = open_image(
        encode(blocks, "HEIF", exif=exif.tobytes(), icc_profile=profile, quality=95)
    )
    expected = open_image(encode(blocks, "PNG", icc_profile=profile))
    assert opened.size == (96, 128)
    off = np.asarray(opened).astype(int) - np.asarray(expected.rotate(-90, expand=True))
    assert np.abs(off[16::32, 16::32]).max() < 16


def test_a_heic_without_the_package_says_how_to_install_it(tmp_path, paint, blocks, no_heif):
    paint("a.png")
    (tmp_path / "phone.heic").write_bytes(to_heic(blocks))
    paint("in truth a JPEG.heic", format="JPEG")
    with pytest.raises(ImageError, match=r"'phone.heic'.*pip install 'artsearch\[heic\]'"):
        open_image(tmp_path / "phone.heic")
    with pytest.warns(UserWarning, match=r"1 left out.*'phone.heic' .*pip install 'artsearch\[hei"):
        collection = Collection(tmp_path)
    assert collection.ids == ["a.png", "in truth a JPEG.heic"]


def test_a_folder_of_nothing_but_heic_says_so(tmp_path, blocks, no_heif):
    (tmp_path / "phone.heic").write_bytes(to_heic(blocks))
    with pytest.raises(CollectionError, match=r"no images .*'phone.heic': .*pip install"):
        Collection(tmp_path)


# What is a picture and is not read


UNREAD = {
    "layers.psd": (b"8BPS\0\1" + bytes(99), "a Photoshop picture, which is not read; save it as"),
    "new.jxl": (b"\xff\x0a" + bytes(99), "a JPEG XL picture"),
    "boxed.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "a JPEG XL picture"),
    "light.exr": (b"v/1\x01" + bytes(99), "an OpenEXR picture"),
    "raw.cr3": (b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(99), "a raw picture"),
    "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG picture"),
    "window.ico": (b"\0\0\1\0\1\0" + bytes(99), "an icon picture"),
    "plate.eps": (b"%!PS-Adobe-3.0 EPSF-3.0" + bytes(99), "a PostScript picture"),
    "scan.tga": (bytes(99), "a Targa picture"),
    "old.sgi": (b"\1\xda\1\1" + bytes(99), "an SGI picture"),
    "old.pcx": (b"\n\5\1\x08" + bytes(99), "a PCX picture"),
    "x-ray.dcm": (bytes(128) + b"DICM" + bytes(99), "a DICOM picture"),
    "text.svg": (b"<?xml version='1.0'?>\n<!-- made by hand -->\n<svg/>", "an SVG picture"),
}


def test_pictures_that_are_not_read_are_named_with_what_they_are(tmp_path, paint):
    paint("a.png")
    for name, (data, _) in UNREAD.items():
        (tmp_path / name).write_bytes(data)
    paint("no ending", format="JPEG")
    paint("negative.dng", format="TIFF")
    for name in ("notes.txt", "empty.dat", "BM.txt"):
        (tmp_path / name).write_bytes({"BM.txt": b"BMW, 1972"}.get(name, b""))
    (tmp_path / ".hidden.psd").write_bytes(UNREAD["layers.psd"][0])
    with pytest.warns(UserWarning, match="15 left out of .*; and 10 more"):
        collection = Collection(tmp_path)
    reasons = dict(collection.skipped)
    assert reasons.keys() == {*UNREAD, "no ending", "negative.dng"}
    for name, (_, says) in UNREAD.items():
        assert reasons[name].startswith(says), reasons[name]
    assert reasons["no ending"] == "a JPEG picture by its content; give it an ending such as .jpg"
    assert reasons["negative.dng"].startswith("a raw picture, which is not read")
    assert collection.ids == ["a.png"]


def test_far_away_the_name_decides(no_heif):
    def why(name: str) -> str:
        return artsearch.works.formats.why_left_out(RemoteFile.at(f"memory://bucket/{name}"))

    assert "pip install" in why("phone.HEIC")
    for name in ("drawing.svg", "layers.PSD", "new.jxl", "camera.nef"):
        assert "not read" in why(name), name
    for name in ("works.json", "a.jpg", "b.JP2", "no ending"):
        assert why(name) == ""


@pytest.mark.parametrize("format, kind", [
    ("JPEG", "JPEG"), ("PNG", "PNG"), ("GIF", "GIF"), ("TIFF", "TIFF"), ("BMP", "BMP"),
    ("WEBP", "WebP"), ("AVIF", "AVIF"), ("JPEG2000", "JPEG 2000"), ("HEIC", "HEIC"),
    ("MPO", "JPEG"), ("PPM", "Netpbm"),
])  # fmt: skip
def test_kinds_by_content(blocks, format, kind):
    assert kind_of(write(format, blocks)[:64]) == kind
