"""The open-access programmes of museums, as sources of works that they mark as free."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.http import Client, FetchError
from artsearch.fetch.folder import clean
from artsearch.fetch.items import Item

#: No more of one search is asked for; two of the three answer no further, the Art Institute often
#: only 1,000. https://github.com/art-institute-of-chicago/api-data/issues/5
WINDOW = 10_000
_MET_PAGE, _PAGE = 500, 100

#: What is asked of the Art Institute; `thumbnail` has the size of the whole picture.
_AIC_FIELDS = (
    "id,title,artist_title,date_display,style_title,medium_display,department_title,"
    "classification_title,place_of_origin,credit_line,is_public_domain,image_id,thumbnail"
)
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


def _read_met(client: Client, base: str, wanted: Wanted) -> Iterator[Item]:
    """Yield works of the Metropolitan Museum of Art that it marks as public domain.

    A search answers with numbers alone; each work is then asked for by its number. Of its two
    pictures the smaller one (600 to 800 pixels wide, as others report) is taken where `side` is 600
    or less. https://metmuseum.github.io (the search of version 1.1: that of version 1 has been
    retired since October 2026)
    """
    # The search wants words, and wants them last. https://github.com/metmuseum/openaccess/issues/36
    params: dict[str, object] = {"hasImages": "true"}
    if wanted.department:
        params["departmentId"] = _find_department(client, base, wanted.department)
    if wanted.period:
        params["dateBegin"], params["dateEnd"] = wanted.period
    params["q"] = " ".join(filter(None, (wanted.query, wanted.artist))) or "*"

    def read(page: int) -> list:
        where = {"offset": page * _MET_PAGE, "limit": _MET_PAGE}
        numbers = _list(client.json(f"{base}/v1.1/search", where | params), "objectIDs")
        return [{"id": number} for number in numbers]

    for number, _ in _pages(read, _MET_PAGE):
        key = f"met/{number}"
        if key in wanted.known:
            yield Item(key, "", {})
            continue
        try:
            work = _facts(client.json(f"{base}/v1/objects/{number}"))
        except FetchError as error:
            yield Item(key, "", {}, str(error))
            continue
        # There is no search by artist that can be relied upon: the words may be anywhere.
        if not _names(wanted.artist, work.get("artistDisplayName")):
            continue
        about = _columns(
            work,
            "artist=artistDisplayName title year=objectDate medium department classification "
            "culture period credit=creditLine",
            licence="CC0 (public domain)",
            source=f"https://www.metmuseum.org/art/collection/search/{number}",
        )
        sizes = ["primaryImage", "primaryImageSmall"]
        addresses = [work.get(name) for name in (sizes if wanted.side > 600 else reversed(sizes))]
        yield _free(key, addresses, about, work.get("isPublicDomain") is True)


def _read_aic(client: Client, base: str, wanted: Wanted) -> Iterator[Item]:
    """Yield works of the Art Institute of Chicago that it marks as public domain.

    The pictures are asked for at the size wanted (IIIF Image API 2). https://api.artic.edu/docs/
    """
    conditions: list[dict] = [
        {"term": {"is_public_domain": True}},
        {"exists": {"field": "image_id"}},
    ]
    for name in ("department", "artist"):
        if words := getattr(wanted, name):
            match = {f"{name}_title": {"query": words, "operator": "and"}}
            conditions.append({"match": match})
    if wanted.period:
        first, last = wanted.period
        conditions.append({"range": {"date_end": {"gte": first}}})
        conditions.append({"range": {"date_start": {"lte": last}}})
    search: dict[str, object] = {"query": {"bool": {"filter": conditions}}, "fields": _AIC_FIELDS}
    if wanted.query:
        search["q"] = wanted.query

    def read(page: int) -> list:
        params = json.dumps(search | {"limit": _PAGE, "page": page + 1})
        try:
            answer = client.json(f"{base}/artworks/search", {"params": params})
        except FetchError as error:
            if page and error.status == 403:
                return []  # "You have requested too many results"
            raise
        images = _facts(_facts(answer).get("config")).get("iiif_url")
        return [_facts(work) | {"iiif": images} for work in _list(answer, "data")]

    for number, work in _pages(read, _PAGE):
        about = _columns(
            work,
            "artist=artist_title title year=date_display style=style_title medium=medium_display "
            "department=department_title classification=classification_title "
            "culture=place_of_origin credit=credit_line",
            licence="CC0 (public domain)",
            source=f"https://www.artic.edu/artworks/{number}",
        )
        image, images = clean(work.get("image_id")), work.get("iiif")
        address = f"{images}/{quote(image, safe='')}" if image and images else ""
        address = _at_size(address, work.get("thumbnail"), wanted.side)
        yield _free(f"aic/{number}", [address], about, work.get("is_public_domain") is True)


def _read_cleveland(client: Client, base: str, wanted: Wanted) -> Iterator[Item]:
    """Yield works of the Cleveland Museum of Art that it shares under CC0.

    Of its pictures the smaller one is taken where it is large enough for `side`.
    https://openaccess-api.clevelandart.org
    """
    params: dict[str, object] = {"cc0": 1, "has_image": 1}
    asked = {"q": wanted.query, "department": wanted.department, "artists": wanted.artist}
    params |= {name: words for name, words in asked.items() if words}
    if wanted.period:
        first, last = wanted.period
        params["created_after"], params["created_before"] = first - 1, last + 1

    def read(page: int) -> list:
        where = {"skip": page * _PAGE, "limit": _PAGE}
        return _list(client.json(f"{base}/artworks/", params | where), "data")

    for number, work in _pages(read, _PAGE):
        # "Claude Monet (French, 1840–1926)"
        names = [clean(maker.get("description")) for maker in _records(work.get("creators"))]
        about = _columns(
            work,
            "title year=creation_date source=url medium=technique department classification=type "
            "culture credit=creditline",
            artist=[name.partition(" (")[0] for name in names],
            licence="CC0",
        )
        images = _facts(work.get("images"))
        found = sorted((_facts(images.get(name)) for name in ("web", "print")), key=_longer_side)
        enough = [image for image in found if _longer_side(image) >= wanted.side] or found[::-1]
        addresses = [image.get("url") for image in enough]
        is_free = work.get("share_license_status") == "CC0"
        yield _free(f"cleveland/{number}", addresses, about, is_free)


#: The Met documents 80 requests a second; its shield has shut out programs at two (reports of
#: 2025 and 2026, such as https://github.com/metmuseum/openaccess/issues/58). The Art Institute
#: documents one. Cleveland documents none.
MUSEUMS = {
    "met": Museum("https://collectionapi.metmuseum.org/public/collection", 0.5, _read_met),
    "aic": Museum("https://api.artic.edu/api/v1", 1.0, _read_aic),
    "cleveland": Museum("https://openaccess-api.clevelandart.org/api", 2.0, _read_cleveland),
}


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


def _columns(work: dict, names: str, **more: object) -> dict:
    """Return the columns of a work: `names` are ours, each with the museum's where it differs.

    >>> _columns({"title": "Lion", "objectDate": 1494}, "title year=objectDate", licence="CC0")
    {'title': 'Lion', 'year': 1494, 'licence': 'CC0'}
    """
    pairs = (pair.partition("=") for pair in names.split())
    return {ours: work.get(theirs or ours) for ours, _, theirs in pairs} | more


def _free(key: str, addresses: list, about: dict, is_free: bool) -> Item:
    """Return a work with its first address, or with the reason why it is left out."""
    if not is_free:
        return Item(key, "", about, "the museum does not mark it as free to use")
    found = [address for address in addresses if isinstance(address, str) and address.strip()]
    if not found:
        return Item(key, "", about, "the museum offers no picture of it")
    return Item(key, found[0], about)


def _at_size(service: object, picture: object, side: int) -> str:
    """Return the address of a IIIF service's picture (level 2) at a size, or "" without a service.

    `picture` may say its size: a server may enlarge what is smaller than the size asked for.
    """
    most = min(side, _longer_side(picture) or side)
    return f"{service}/full/!{most},{most}/0/default.jpg" if clean(service) else ""


def _find_department(client: Client, base: str, words: str) -> int:
    """Return the number of a department of the Met by its name, or a part of it."""
    found = _records(_list(client.json(f"{base}/v1/departments"), "departments"))
    numbers = {clean(one.get("displayName")): one.get("departmentId") for one in found}
    fitting = [name for name in numbers if words.casefold() in name.casefold()]
    exact = [name for name in fitting if words.casefold() == name.casefold()]
    if len(exact or fitting) != 1:
        raise unknown("department", words, fitting or numbers)
    return numbers[(exact or fitting)[0]]


def _pages(read: Callable[[int], list], size: int) -> Iterator[tuple[object, dict]]:
    """Yield the records of page after page by their ids, until there is nothing new."""
    seen: set = set()
    for page in range(WINDOW // size):
        records = read(page)
        before = len(seen)
        for record in _records(records):
            number = record.get("id")
            if isinstance(number, int) and number not in seen:
                seen.add(number)
                yield number, record
        if len(seen) == before or len(records) < size:
            return


def _list(answer: object, name: str) -> list:
    """Return a list out of an answer; null stands for an empty one."""
    if not isinstance(answer, dict) or not isinstance(found := answer.get(name), list | None):
        raise FetchError("the museum's answer is not of the form that it documents")
    return found or []


def _facts(value: object) -> dict:
    """Return what should be a record as one: of anything else, nothing is known."""
    return value if isinstance(value, dict) else {}


def _records(value: object) -> list[dict]:
    """Return what should be a list of records as one."""
    return [_facts(part) for part in value] if isinstance(value, list) else []


def _longer_side(image: object) -> int:
    """Return the longer side of a picture, or 0 where it is not said in digits."""
    sides = [clean(_facts(image).get(name)) for name in ("width", "height")]
    return max(int(text) if text.isdecimal() else 0 for text in sides)


def _names(words: str, name: object) -> bool:
    """Tell whether all words are in a name, whatever their accents.

    >>> _names("Durer", "Albrecht Dürer"), _names("Hans Holbein", "Hans Memling")
    (True, False)
    """
    from slugify import slugify

    return set(slugify(words).split("-")) - {""} <= set(slugify(clean(name)).split("-"))
