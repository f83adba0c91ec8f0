"""What kind of picture a file is, by its first bytes; and which kinds are read."""

from __future__ import annotations

import importlib.util
import io
import mimetypes
from pathlib import Path

from PIL import Image

from artsearch.works.storage import RemoteFile

#: Suffixes of the files that a collection takes for images, in any case.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp"),
    *(".gif", ".avif", ".jp2", ".j2k", ".jpf", ".jpx", ".heic", ".heif"),
)
HEIC = (".heic", ".heif")
#: Of cameras: a TIFF by its content, of which no picture has been made yet.
RAW = (".dng", ".nef", ".nrw", ".cr2", ".arw", ".orf", ".pef", ".rw2", ".srw")
#: A kind that says by nothing but its name what it is.
TARGA = ".tga"
WANTS_PACKAGE = "a HEIC picture wants the package pillow-heif: pip install 'artsearch[heic]'"
#: Of pictures that are not read and that Python's own table of endings does not have.
OTHERS = (".psd", ".psb", ".jxl", ".exr", ".xcf", ".djvu")
#: The kinds that are read, for messages.
NAMED = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF, JPEG 2000 or HEIC"

# Named one by one: Pillow also knows formats that start other programs (EPS) or fetch parts. A
# camera's MPO counts as a JPEG, as Pillow has it; TIFF and HEIC are read elsewhere.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "AVIF", "JPEG2000")

#: What these kinds' files end in.
READ = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp", "TIFF": ".tif", "BMP": ".bmp",
        "GIF": ".gif", "AVIF": ".avif", "JPEG 2000": ".jp2", "HEIC": ".heic"}  # fmt: skip

#: Bytes by which a file is known.
HEAD = 512
#: How files of each kind begin; first those that are read.
MAGIC = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "JPEG XL": (b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"),
    "JPEG XR": (b"II\xbc\x01",),
    "Photoshop": (b"8BPS",),
    "GIMP": (b"gimp xcf",),
    "OpenEXR": (b"v/1\x01",),
    "Radiance": (b"#?RADIANCE",),
    "DjVu": (b"AT&TFORM",),
    "QOI": (b"qoif",),
    "BPG": (b"BPG\xfb",),
    "icon": (b"\0\0\1\0", b"icns"),
    "PostScript": (b"%!PS-Adobe-", b"\xc5\xd0\xd3\xc6"),
    "PCX": (b"\n\5\1",),
    "SGI": (b"\1\xda\0\1", b"\1\xda\1\1"),
    "DirectDraw": (b"DDS |",),
    "Netpbm": tuple(b"P%d\n" % number for number in range(1, 7)),
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "raw"}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def kind_of(head: bytes) -> str:
    """Return the kind of picture that a file is by its first bytes; "" for anything else.

    >>> kind_of(b"\\xff\\xd8\\xff\\xe0")
    'JPEG'
    """
    for kind, beginnings in MAGIC.items():
        if head.startswith(beginnings):
            return kind
    if head.lstrip().startswith((b"<svg", b"<?xml")) and b"<svg" in head:
        return "SVG"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "BMP"
    if head[4:8] == b"ftyp":
        # A brand of its own, or one for any kind and then those that it goes with.
        brands = head[8 : int.from_bytes(head[:4], "big")]
        for brand, kind in _BRANDS.items():
            if brand in brands:
                return kind
        return "HEIC" if head[8:12] in _HEIC_BRANDS else ""
    return ""


def reads_heic() -> bool:
    """Tell whether the package is there that reads HEIC."""
    return importlib.util.find_spec("pillow_heif") is not None


def open_heic(file: io.BufferedIOBase) -> Image.Image:
    """Open a HEIC file as Pillow opens others; raises ValueError without the package for it."""
    if not reads_heic():
        raise ValueError(WANTS_PACKAGE)
    import pillow_heif

    pillow_heif.register_heif_opener()
    return Image.open(file, formats=["HEIF"])


def why_not(kind: str) -> str:
    """Return why a file of some kind, or of "" for none that is known, could not be opened.

    >>> why_not("HEIC")
    'it begins as a HEIC file does, and cannot be decoded'
    """
    if kind in READ:
        return f"it begins as {_a(kind)} file does, and cannot be decoded"
    return (f"it is {_a(kind)} picture, " if kind else "") + f"not a {NAMED} file"


def why_left_out(path: Path | RemoteFile) -> str:
    """Return why a file is no work although it is a picture; "" where it is one, or no picture.

    Of a file in object storage only the name is looked at: asking for each would take a journey.
    """
    ending = Path(path.name).suffix.lower()
    wants_package = ending in HEIC and not reads_heic()
    if ending in SUFFIXES and not wants_package:
        return ""
    kind = _kind_by_name(path.name) if isinstance(path, RemoteFile) else _kind_of_file(path)
    if kind == "HEIC" and wants_package:
        return WANTS_PACKAGE
    kind = "Targa" if ending == TARGA else kind
    if ending in SUFFIXES or not kind:
        return ""
    kind = "raw" if ending in RAW else kind
    if kind in READ:
        return f"{_a(kind)} picture by its content; give it an ending such as {READ[kind]}"
    return f"{_a(kind)} picture, which is not read; save it as TIFF, PNG or JPEG"


def _a(kind: str) -> str:
    return f"{'an' if kind.startswith(('A', 'E', 'O', 'SGI', 'SVG', 'i')) else 'a'} {kind}"


def _kind_by_name(name: str) -> str:
    ending = Path(name).suffix.lower()
    is_picture = (mimetypes.guess_type(name)[0] or "").startswith("image/")
    if ending in HEIC:
        return "HEIC"
    return ending[1:].upper() if is_picture or ending in (*RAW, *OTHERS) else ""


def _kind_of_file(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return kind_of(file.read(HEAD))
    except OSError:
        return ""


def find_jp2_profile(file: io.BufferedIOBase) -> bytes | None:
    """Return the colour profile in a JPEG 2000 file, which Pillow does not tell."""
    file.seek(0)
    head = file.read(2**21)
    place = head.find(b"colr")
    # A box is its length, its name, how colours are told (2 and 3: by a profile), and two numbers.
    if place < 4 or head[place + 4 : place + 5] not in (b"\2", b"\3"):
        return None
    return head[place + 7 : place - 4 + int.from_bytes(head[place - 4 : place], "big")]
