"""Works whose pictures are not at hand: an address where one may be, and a card in its place."""

from __future__ import annotations

import hashlib
import textwrap
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image, ImageDraw, ImageFont

from artsearch.base.disk import write_whole
from artsearch.base.errors import ArtsearchError
from artsearch.base.text import shorten

#: Where the pictures that were seen are kept, within the folder of the works.
KEPT = "pictures"
#: How a server is asked for pictures while somebody waits for them.
MANNERS = {"rate": 8, "retries": 1, "timeout": 5, "most_seconds": 15, "most_bytes": 64 * 1024**2}
#: Seconds for which a server that does not serve us is left in peace.
REST = 60
#: Colours of paper and ink of a card, and its proportions.
PAPER, INK, QUIET = "#f1eee7", "#25221d", "#7a746a"
WIDTH, HEIGHT = 4, 5

#: Addresses that gave no picture, until when a host is left in peace, and hosts of which that was
#: said: for this process alone.
_nothing: set[str] = set()
_resting: dict[str, float] = {}
_said: set[str] = set()


@dataclass(frozen=True, slots=True)
class Card:
    """What stands for a work without a picture at hand.

    `address` is where there may be one, "" if nowhere; `folder` is where those that were seen are
    kept. `artist`, `title`, `year` and `link` are what its card says. With `asks` off no server is
    asked, and only what is kept already is shown.
    """

    id: str
    folder: Path
    address: str = ""
    artist: str = ""
    title: str = ""
    year: str = ""
    link: str = ""
    asks: bool = True

    def __str__(self) -> str:
        return self.address or self.id

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.id

    @property
    def kept(self) -> Path:
        """Where its picture is kept once it was seen."""
        name = hashlib.sha256(self.address.encode()).hexdigest()[:24]
        return self.folder / KEPT / name[:2] / f"{name}.jpg"

    @property
    def content(self) -> str:
        """What changes with what is shown."""
        words = self.id, self.artist, self.title, self.year, self.link, self.address
        return repr((*words, self.is_here))

    @property
    def is_here(self) -> bool:
        """Whether its picture was seen before, and kept."""
        return bool(self.address) and self.kept.is_file()

    def read(self, shrink: Callable[[bytes], bytes]) -> bytes:
        """Return its picture, as `shrink` makes it of what the address serves; b"" for none.

        It is fetched once and kept. What cannot be fetched, and what `shrink` refuses with an
        ArtsearchError, is none.
        """
        with suppress(OSError):
            return self.kept.read_bytes() if self.address else b""
        data = _fetch(self.address) if self.asks else None
        if data is None:
            return b""
        try:
            data = shrink(data)
        except ArtsearchError as error:
            _note_nothing(self.address, str(error))
            return b""
        with suppress(ArtsearchError):  # a full or locked disk costs time, not the picture
            write_whole(self.kept, data, durable=False)
        return data

    def draw(self, side: int) -> Image.Image:
        """Draw its card: artist, title and year, and below them where it is from.

        >>> Card("met/1", Path(), title="The Harvesters").draw(250).size
        (200, 250)
        """
        width, height = max(1, side * WIDTH // HEIGHT), side
        card = Image.new("RGB", (width, height), PAPER)
        pen, size = ImageDraw.Draw(card), max(8, height // 14)
        pen.rectangle((0, 0, width - 1, height - 1), outline=QUIET)
        y, margin = size, size * 3 // 4
        letters = max(6, int((width - 2 * margin) / (0.56 * size)))
        where = _host(self.link) or self.link
        said = (self.artist, QUIET, 3), (self.title, INK, 6), (self.year, QUIET, 1)
        for text, ink, most in said:
            lines = textwrap.wrap(shorten(text, 200), letters, max_lines=most, placeholder=" …")
            for line in lines:
                pen.text((margin, y), line, ink, _font(size))
                y += size * 5 // 4
            y += size // 2 if lines else 0
        small = max(7, size * 2 // 3)
        if self.address in _nothing:
            where = f"no picture at {_host(self.address) or 'its address'}"
        foot = shorten(where or self.id, max(6, int((width - 2 * margin) / (0.6 * small))))
        pen.text((margin, height - 2 * small), foot, QUIET, _font(small))
        return card


def _fetch(address: str) -> bytes | None:
    """Return what an http(s) address serves; None where it serves nothing now."""
    # Here, since importing requests takes a seventh of a second.
    from artsearch.base.http import LOCKED, FetchError, ShutOutError, is_offline

    host = _host(address)
    if address in _nothing or is_offline() or time.monotonic() < _resting.get(host, 0):
        return None
    try:
        return _client().get(address)
    except FetchError as error:
        if isinstance(error, ShutOutError) and error.status not in LOCKED:
            _resting[host] = time.monotonic() + REST
        _note_nothing(address, str(error), host not in _resting)
        return None


def _note_nothing(address: str, reason: str, for_good: bool = True) -> None:
    """Keep in mind that an address gives no picture; say so for the first one of its host."""
    if for_good:
        _nothing.add(address)
    host = _host(address)
    if host not in _said:
        _said.add(host)
        warnings.warn(
            f"no picture at {shorten(address, 200)!r} ({reason}): a card is shown; correct the "
            "column 'image' of works.csv, or come back later. No more is said of "
            f"{host or 'such addresses'}",
            stacklevel=2,
        )


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


@lru_cache(maxsize=1)
def _client():
    from artsearch.base.http import Client

    return Client(**MANNERS)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    # matplotlib brings it along: it has the letters of more languages than Pillow's own.
    fonts = Path(find_spec("matplotlib").origin).parent / "mpl-data/fonts/ttf"
    return ImageFont.truetype(fonts / "DejaVuSans.ttf", size)
