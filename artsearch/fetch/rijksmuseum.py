"""The Rijksmuseum, whose works are described in Linked Art: each in three records."""

from __future__ import annotations

from collections.abc import Iterator

from artsearch.base.http import Client, FetchError
from artsearch.fetch.folder import clean
from artsearch.fetch.iiif import as_dict, id_of
from artsearch.fetch.items import Item
from artsearch.fetch.museum import Wanted, as_records, make_item, read_list

#: Rights of a picture that is free to use. https://data.rijksmuseum.nl/policy/
FREE = tuple(f"creativecommons.org/publicdomain/{name}/1.0" for name in ("mark", "zero"))
#: Kinds of names and statements: numbers of the Getty's Art & Architecture Thesaurus.
ENGLISH, PREFERRED = "300388277", "300404670"
MEDIUM, CREDIT = "300435429", "300026687"


def read_rijksmuseum(client: Client, base: str, wanted: Wanted) -> Iterator[Item]:
    """Yield works of the Rijksmuseum whose pictures it marks as public domain or CC0.

    The search knows words of the title (mostly Dutch), and for `department` the kind of work, such
    as painting. It answers with numbers, 100 at a time; behind each lie three records: the work,
    what it shows (with the rights), and the file. Years before our era are not found.
    https://data.rijksmuseum.nl/docs/search, https://data.rijksmuseum.nl/docs/http
    """
    asked = {"title": wanted.query, "type": wanted.department, "creator": wanted.artist}
    for years in list_years(*wanted.period) if wanted.period else [""]:
        given = {name: words for name, words in (asked | {"creationDate": years}).items() if words}
        for number in _search(client, base, {"imageAvailable": "true"} | given):
            key = f"rijksmuseum/{number}"
            if key in wanted.known:
                yield Item(key, "", {})
                continue
            try:
                yield _read_work(client, base, number, wanted.side)
            except FetchError as error:
                yield Item(key, "", {}, str(error))


def list_years(first: int, last: int) -> Iterator[str]:
    """Yield the years of a period as the search knows them, with ? for any digit.

    >>> list(list_years(1598, 1710))
    ['1598', '1599', '16??', '170?', '1710']
    """
    year = max(first, 1)
    while year <= last:
        digits = next(n for n in (3, 2, 1, 0) if not year % 10**n and year + 10**n - 1 <= last)
        yield str(year // 10**digits) + "?" * digits
        year += 10**digits


def _search(client: Client, base: str, params: dict) -> Iterator[str]:
    """Yield the numbers of works, page after page, until there is nothing new."""
    seen: set[str] = set()
    address = f"{base}/search/collection"
    while address:
        answer = client.json(address, params)
        found = [_number(part) for part in read_list(answer, "orderedItems")]
        new = [number for number in dict.fromkeys(found) if number and number not in seen]
        if not new:
            return
        yield from new
        seen.update(new)
        address, params = id_of(as_dict(answer).get("next")), {}


def _read_work(client: Client, base: str, number: str, side: int) -> Item:
    def ask(number: str) -> dict:
        return as_dict(client.json(f"{base}/{number}", {"_profile": "la-framed"})) if number else {}

    work = ask(number)
    shown = ask(next(map(_number, as_records(work.get("shows"))), ""))
    rights = [id_of(kind) for part in as_records(shown.get("subject_to"))
              for kind in as_records(part.get("classified_as"))]  # fmt: skip
    free = [right for right in rights if right.partition("//")[2].rstrip("/") in FREE]
    about = _describe(work) | {
        "licence": next(iter(free), ""),
        "source": f"https://id.rijksmuseum.nl/{number}",
    }
    # Not asked for where the picture is not free.
    file = ask(next(map(_number, as_records(shown.get("digitally_shown_by"))), "") if free else "")
    points = [id_of(point) for point in as_records(file.get("access_point"))]
    # IIIF Image API 3, in which no size enlarges.
    images = [point.replace("/full/max/", f"/full/!{side},{side}/", 1) for point in points]
    return make_item(f"rijksmuseum/{number}", images, about, bool(free))


def _describe(work: dict) -> dict[str, object]:
    """Return what the record of a work says of it."""
    names = [
        name | part
        for name in as_records(work.get("identified_by"))
        for part in as_records(name.get("part")) or [{}]
        if name.get("type") == "Name"
    ]
    names.sort(key=lambda name: not _has(name, "classified_as", PREFERRED))
    made = next(iter(as_records(work.get("produced_by"))), {})
    makers = [
        _text(maker.get("notation"))
        for part in as_records(made.get("part")) or [made]
        for maker in as_records(part.get("carried_out_by"))
    ]
    span = next(iter(as_records(made.get("timespan"))), {})
    ends = [clean(span.get(end))[:4] for end in ("begin_of_the_begin", "end_of_the_end")]
    return {
        "artist": list(filter(None, makers)) or _text(made.get("referred_to_by")),
        "title": _text(names),
        "year": _text(span.get("identified_by")) or "–".join(dict.fromkeys(filter(None, ends))),
        "medium": _text(work.get("referred_to_by"), MEDIUM),
        "classification": [
            _text(kind.get("notation")) for kind in as_records(work.get("classified_as"))
        ],
        "credit": _text(work.get("referred_to_by"), CREDIT),
    }


def _text(nodes: object, kind: str = "") -> str:
    """Return the first text of a kind in names, statements or notations: in English, or at all."""
    found = [node for node in as_records(nodes) if not kind or _has(node, "classified_as", kind)]
    english = [n for n in found if n.get("@language") == "en" or _has(n, "language", ENGLISH)]
    texts = (clean(node.get("content") or node.get("@value")) for node in [*english, *found])
    return next(filter(None, texts), "")


def _has(node: dict, name: str, kind: str) -> bool:
    return any(_number(part) == kind for part in as_records(node.get(name)))


def _number(part: object) -> str:
    """Return the number at the end of an identifier, such as https://id.rijksmuseum.nl/200107928."""
    number = id_of(part).rpartition("/")[2]
    return number if number.isascii() and number.isdecimal() else ""
