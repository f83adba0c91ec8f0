"""What all museums have in common: what is asked of them, and how their answers are taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass

from artsearch.base.errors import ArtsearchError
from artsearch.base.http import Client, FetchError
from artsearch.fetch.folder import clean
from artsearch.fetch.iiif import as_dict, as_list
from artsearch.fetch.items import Item

#: No more of one search is asked for; two of the museums answer no further, the Art Institute often
#: only 1,000. https://github.com/art-institute-of-chicago/api-data/issues/5
WINDOW = 10_000
STRANGE = "the museum's answer is not of the form that it documents"
_YEARS = re.compile(r"\s*(-?\d{1,5})\s*(?:[-–—/]|to)\s*(-?\d{1,5})\s*")


@dataclass(frozen=True)
class Wanted:
    """Which works of a museum, by words and by years from first to last.

    Pictures are to have `side` pixels; works whose keys are in `known` need not be asked for.
    """

    query: str = ""
    department: str = ""
    artist: str = ""
    period: tuple[int, int] | None = None
    side: int = 1024
    known: Container[str] = ()


@dataclass(frozen=True)
class Museum:
    """A museum as a source: where it answers, requests a second we ask of it, how it is read."""

    base: str
    rate: float
    read: Callable[[Client, str, Wanted], Iterator[Item]]

    def items(self, client: Client, period: str = "", **wanted: object) -> Iterator[Item]:
        """Yield works that the museum marks as free; `wanted` are the other fields of Wanted.

        `period` is written as in 1600-1700; raises ArtsearchError at once where it is not.
        """
        years = read_period(period) if period else None
        return self.read(client, self.base, Wanted(period=years, **wanted))


def read_period(text: str) -> tuple[int, int]:
    """Return the first and the last year of a period; raises ArtsearchError for anything else.

    >>> read_period("1600-1700"), read_period("-500 to -400")
    ((1600, 1700), (-500, -400))
    """
    found = _YEARS.fullmatch(text)
    first, last = map(int, found.groups()) if found else (1, 0)
    if first > last:
        raise ArtsearchError(
            f"period {text!r} is not from one year to a later one; write it as in 1600-1700, or "
            "-500--400 for years before our era"
        )
    return first, last


def read_columns(work: dict, names: str, **more: object) -> dict:
    """Return the columns of a work: `names` are ours, each with the museum's where it differs.

    >>> read_columns({"title": "Lion", "objectDate": 1494}, "title year=objectDate", licence="CC0")
    {'title': 'Lion', 'year': 1494, 'licence': 'CC0'}
    """
    pairs = (pair.partition("=") for pair in names.split())
    return {ours: work.get(theirs or ours) for ours, _, theirs in pairs} | more


def make_item(key: str, addresses: list, about: dict, is_free: bool) -> Item:
    """Return a work with its first address, or with the reason why it is left out."""
    if not is_free:
        return Item(key, "", about, "the museum does not mark it as free to use")
    found = [address for address in addresses if isinstance(address, str) and address.strip()]
    if not found:
        return Item(key, "", about, "the museum offers no picture of it")
    return Item(key, found[0], about)


def size_image(service: object, picture: object, side: int) -> str:
    """Return the address of a IIIF service's picture (level 2) at a size, or "" without a service.

    `picture` may say its size: a server may enlarge what is smaller than the size asked for.
    """
    most = min(side, longer_side(picture) or side)
    return f"{service}/full/!{most},{most}/0/default.jpg" if clean(service) else ""


def read_pages(read: Callable[[int], list], size: int) -> Iterator[tuple[object, dict]]:
    """Yield the records of page after page by their ids, until there is nothing new."""
    seen: set = set()
    for page in range(WINDOW // size):
        records = read(page)
        before = len(seen)
        for record in as_records(records):
            number = record.get("id")
            if isinstance(number, int | str) and clean(number) and number not in seen:
                seen.add(number)
                yield number, record
        if len(seen) == before or len(records) < size:
            return


def read_list(answer: object, name: str) -> list:
    """Return a list out of an answer; null stands for an empty one."""
    if not isinstance(answer, dict) or not isinstance(found := answer.get(name), list | None):
        raise FetchError(STRANGE)
    return found or []


def as_records(value: object) -> list[dict]:
    """Return what should be a list of records as one: of anything else, nothing is known."""
    return [as_dict(part) for part in as_list(value)]


def longer_side(image: object) -> int:
    """Return the longer side of a picture, or 0 where it is not said in digits."""
    sides = [clean(as_dict(image).get(name)) for name in ("width", "height")]
    return max(int(text) if text.isdecimal() else 0 for text in sides)


def has_words(words: str, name: object) -> bool:
    """Tell whether all words are in a name, whatever their accents.

    >>> has_words("Durer", "Albrecht Dürer"), has_words("Hans Holbein", "Hans Memling")
    (True, False)
    """
    from slugify import slugify

    return not words or set(slugify(words).split("-")) - {""} <= set(
        slugify(clean(name)).split("-")
    )
