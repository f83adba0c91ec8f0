"""Small pictures of works for the browser, made when first wanted and kept on disk."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from PIL import Image

from artsearch.base.disk import write_whole
from artsearch.base.errors import ArtsearchError, ImageError
from artsearch.works.cards import HEIGHT, WIDTH, Card
from artsearch.works.collection import Collection
from artsearch.works.colour import SRGB
from artsearch.works.file_state import is_proof
from artsearch.works.images import READING, ImageSource, few_notes, thumbnail
from artsearch.works.storage import RemoteFile

#: Longest side in pixels: in the drawer and where many works are shown, among a few neighbours,
#: of the selected work, and of works to be judged.
SIDES = {"small": 144, "thumb": 256, "image": 640, "large": 1024}


class Thumbnails:
    """The small pictures of a collection, as WebP files below a folder.

    A picture is known by its work's path, size and time of change, so that a file which is changed
    gets a new one; where a remote store cannot tell that, pictures are made anew for each of these
    objects. Several processes may use the same folder at once.
    """

    def __init__(self, collection: Collection, folder: str | os.PathLike):
        self.collection = collection
        self.folder = Path(folder)
        self._sizes: dict[str, tuple[int, int]] = {}
        self._only_here = uuid.uuid4().hex

    def read(self, work_id: str, kind: str = "thumb") -> bytes:
        """Return a work's picture of a kind of SIDES; no bytes where the work cannot be read."""
        path = self._file(work_id, kind)
        try:
            return path.read_bytes()
        except OSError:
            return self._make(work_id, kind)

    def size(self, work_id: str) -> tuple[int, int]:
        """Return width and height of a work's thumbnail, which has the work's proportions.

        Those of a work that was not seen yet are a card's: a view does not wait for its address.
        """
        if work_id not in self._sizes:
            path = self.collection.path(work_id)
            if isinstance(path, Card) and not path.is_here:
                return WIDTH, HEIGHT
            data = self.read(work_id)
            # A work that cannot be read is shown as an empty square with its caption.
            self._sizes[work_id] = Image.open(io.BytesIO(data)).size if data else (1, 1)
        return self._sizes[work_id]

    def prepare(self, ids: Iterable[str]) -> None:
        """Make the thumbnails of several works at once, where they are not there yet."""
        missing = [id for id in dict.fromkeys(ids) if id not in self._sizes]
        # Decoding and scaling run outside Python's lock.
        with ThreadPoolExecutor(os.cpu_count()) as pool, few_notes():
            list(pool.map(self.size, missing))

    def _make(self, work_id: str, kind: str) -> bytes:
        path = self.collection.path(work_id)
        try:
            picture = thumbnail(path, SIDES[kind])
            data = to_webp(picture)
            if isinstance(path, Card) and not path.is_here:
                return data  # a card: the next time its address may answer
            _keep(self._file(work_id, kind), data)
            if kind == "thumb":
                # The small one comes from the same decoding, which takes most of the time.
                _keep(self._file(work_id, "small"), to_webp(thumbnail(picture, SIDES["small"])))
            return data
        except ImageError:
            return b""

    def _file(self, work_id: str, kind: str) -> Path:
        place, state = self._state(self.collection.path(work_id))
        key = f"{place}\0{state}\0{SIDES[kind]}\0{READING}"
        name = hashlib.sha256(os.fsencode(key)).hexdigest()[:24]
        return self.folder / name[:2] / f"{name}.webp"

    def _state(self, path: Path | RemoteFile | Card) -> tuple[object, str]:
        """Return where a file is, and what changes with it."""
        if isinstance(path, Card):
            return path, "seen" if path.is_here else "not seen yet"
        if isinstance(path, RemoteFile):
            return path, str(path.listed) if is_proof(path.listed) else self._only_here
        try:
            stat = path.stat()
            return path.resolve(), f"{stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            return path.resolve(), "gone"


def small_picture(source: ImageSource, kind: str) -> bytes:
    """Return any image as a picture of a kind of SIDES."""
    return to_webp(thumbnail(source, SIDES[kind]))


def to_webp(image: Image.Image, quality: int = 75) -> bytes:
    """Encode an sRGB image as the bytes of a WebP file: a quarter smaller than a like JPEG."""
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality, method=4, icc_profile=SRGB)
    return out.getvalue()


def _keep(path: Path, data: bytes) -> None:
    with suppress(ArtsearchError):  # a full or locked disk costs time, not the gallery
        write_whole(path, data, durable=False)
