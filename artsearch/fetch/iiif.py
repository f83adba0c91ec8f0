"""Works of any library or museum that offers them by IIIF: a manifest, or a collection of many."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from itertools import islice

from artsearch.base.errors import ArtsearchError
from artsearch.base.http import Client, FetchError
from artsearch.fetch.column_names import usual_column
from artsearch.fetch.items import Item

#: Collections within collections are followed so deep, and so many documents of them are read.
DEEPEST = 8
MOST_COLLECTIONS = 10_000
#: Of one document, no more works or pages than these are looked at.
MOST_PARTS = 100_000

#: Columns that every work has.
OWN = ("artist", "title", "year", "style", "licence", "source")
#: No more characters of a text, and entries of a list of texts, are looked at.
MOST_TEXT = 10_000
MOST_PAIRS = 100

_SPACED = frozenset({"br", "dd", "div", "dt", "li", "p", "td", "tr"})


def items(
    client: Client,
    address: str,
    *,
    side: int = 1024,
    every_page: bool = False,
    known: Container[str] = (),
) -> Iterator[Item]:
    """Yield the works behind the address of a IIIF manifest or collection.

    Presentation API 2 and 3 are read. A manifest is one work, as a museum means it: of a book or an
    album, the page that it says to start at, else the first one with a picture. With `every_page`,
    each page with a picture is a work. Collections are followed into those they name.

    Pictures are asked for at `side` pixels where the server can do that, else at the smallest
    listed size that is not smaller, else whole. Metadata becomes columns: the artist, title, year,
    style and licence under whatever usual name they have in six languages, and all others as they
    are called. A manifest whose address is in `known` is not asked for, except for every page.

    A document that cannot be had is an item without a picture, with the reason; for the first one
    of all FetchError is raised, and ArtsearchError where it is no manifest or collection.

    https://iiif.io/api/presentation/3.0, https://iiif.io/api/presentation/2.1
    """
    first = client.json(address)
    if kind_of(first) not in ("Manifest", "Collection"):
        raise ArtsearchError(
            f"{address} is neither a IIIF manifest nor a IIIF collection; look for an address that "
            "ends in manifest.json, or for the IIIF sign on the work's page"
        )
    for place, manifest, reason in _walk(client, address, first, () if every_page else known):
        if manifest is None:
            yield Item(place, "", {}, reason)
            continue
        for key, image, about in _read_manifest(manifest, place, every_page):
            if image is None:
                yield Item(key, "", about, "it shows no image")
            elif key in known:
                yield Item(key, "", about)
            else:
                found = address_image(client, image, side)
                yield Item(key, found, about, "" if found else "its image has no web address")


def describe(manifest: dict, place: str) -> dict[str, str]:
    """Return what a manifest says of its work, by columns; `place` is its address."""
    texts: dict[str, list[str]] = {name: [] for name in OWN}
    for pair in as_list(manifest.get("metadata"))[:MOST_PAIRS]:
        label, text = as_dict(pair).get("label"), text_of(as_dict(pair).get("value"))
        texts.setdefault(_name_column(label), []).append(text)
    texts.pop("", None)
    # The label is what a viewer shows as the title; the metadata may say the same at length.
    if label := text_of(manifest.get("label")):
        texts["title"] = [label]
    rights = [id_of(part) for name in ("rights", "license") for part in as_list(manifest.get(name))]
    statement = as_dict(manifest.get("requiredStatement")).get("value")
    said = [text_of(statement), text_of(manifest.get("attribution"))]
    texts["licence"] = [*rights, *said, *texts["licence"]]
    links = [link for name in ("homepage", "related") for link in as_list(manifest.get(name))]
    texts["source"] = [next(filter(is_web, map(id_of, links)), place)]
    return {name: join(parts) for name, parts in texts.items()}


def _walk(
    client: Client, address: str, first: object, known: Container[str]
) -> Iterator[tuple[str, dict | None, str]]:
    """Yield address and manifest of each work; or the address, None and why it cannot be had.

    The reason is "" where the work is known. No document is read twice.
    """
    waiting, seen, collections = [(address, first, 0)], set(), 0
    while waiting:
        place, document, depth = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        if document is None and place in known:
            yield place, None, ""
            continue
        try:
            document = client.json(place) if document is None else document
        except FetchError as error:
            yield place, None, str(error)
            continue
        if kind_of(document) == "Manifest":
            yield place, document, ""
        elif kind_of(document) != "Collection":
            yield place, None, "it is neither a IIIF manifest nor a IIIF collection"
        elif depth > DEEPEST or collections >= MOST_COLLECTIONS:
            yield place, None, "it lies too deep in collections, or there are too many of them"
        else:
            collections += 1
            waiting += reversed(_list_parts(document, depth))


def _list_parts(collection: dict, depth: int) -> list[tuple[str, None, int]]:
    """Return the addresses that a collection names, with the depth at which they lie."""
    names = ("items", "collections", "manifests", "members")
    parts = [part for name in names for part in as_list(collection.get(name))][:MOST_PARTS]
    inner = [(id_of(part), None, depth + 1) for part in parts]
    # The pages of a collection lie beside each other, not one in the other.
    inner += [(id_of(collection.get(name)), None, depth) for name in ("first", "next")]
    return [part for part in inner if is_web(part[0])]


def _read_manifest(
    manifest: dict, place: str, every_page: bool
) -> Iterator[tuple[str, dict | None, dict[str, str]]]:
    """Yield key, image and description of the work of a manifest, or of each of its pages."""
    about = describe(manifest, place)
    pages = list(enumerate(_list_pages(manifest), start=1))
    if not every_page:
        start = _find_start(manifest)
        pages.sort(key=lambda page: not start or id_of(page[1]) != start)
    shown = [(number, page, image) for number, page in pages if (image := _find_image(page))]
    if not shown:
        yield place, None, about
    elif every_page:
        for number, page, image in shown:
            label = text_of(page.get("label")) or str(number)
            yield f"{place}#{number}", image, about | {"page": label}
    else:
        yield place, shown[0][2], about


def _list_pages(manifest: dict) -> list[dict]:
    sequence = as_dict(next(iter(as_list(manifest.get("sequences"))), None))
    pages = as_list(manifest.get("items")) or as_list(sequence.get("canvases"))
    return [page for page in pages[:MOST_PARTS] if isinstance(page, dict)]


def _find_start(manifest: dict) -> str:
    """Return the id of the page that a manifest is to be opened at, or ""."""
    sequence = as_dict(next(iter(as_list(manifest.get("sequences"))), None))
    start = manifest.get("start")
    # A start within a page is a resource that has the page as its source.
    inner = as_dict(start).get("source")
    places = (inner, start, manifest.get("startCanvas"), sequence.get("startCanvas"))
    return next(filter(None, map(id_of, places)), "")


def _find_image(page: dict) -> dict | None:
    """Return the first image that is painted on a page."""
    bodies = [as_dict(note).get("resource") for note in as_list(page.get("images"))[:MOST_PAIRS]]
    for part in as_list(page.get("items"))[:MOST_PAIRS]:
        for note in as_list(as_dict(part).get("items"))[:MOST_PAIRS]:
            if "painting" in as_list(as_dict(note).get("motivation") or "painting"):
                bodies.append(as_dict(note).get("body"))
    return next(filter(None, map(_resolve, bodies)), None)


def _resolve(body: object) -> dict | None:
    """Return the image that a body is, offers as its first choice, or takes a part of."""
    for _ in range(DEEPEST):
        if isinstance(body, list):
            body = body[0] if body else None
        elif kind_of(body) == "Choice":
            offered = map(as_dict(body).get, ("default", "items", "item"))
            body = next(filter(None, offered), None)
        elif kind_of(body) == "SpecificResource":
            body = as_dict(body).get("source") or as_dict(body).get("full")
        elif isinstance(body, str):
            return {"id": body}
        else:
            return body if isinstance(body, dict) and kind_of(body) in ("Image", "") else None
    return None


def _name_column(label: object) -> str:
    """Return the column of a pair of metadata, whatever the language of its label."""
    names = [strip_markup(text) for texts in by_language(label).values() for text in texts]
    usual = [name for name in map(usual_column, names) if name in OWN and name != "source"]
    if usual:
        return usual[0]
    name = text_of(label).rstrip(" :")[:60]
    return f"{name} (of the source)" if name.casefold() in (*OWN, "file", "id") else name


def address_image(client: Client, image: dict, side: int) -> str:
    """Return the address of an image at a size of some `side` pixels, or "" if it has none.

    https://iiif.io/api/image/3.0, https://iiif.io/api/image/2.1
    """
    for service in as_list(image.get("service")):
        service = as_dict(service)
        if _version(service) and is_web(id_of(service)):
            try:
                return _address_service(client, service, image, side)
            except FetchError:
                break  # the image may still have an address of its own
    return id_of(image) if is_web(id_of(image)) else ""


def _address_service(client: Client, service: dict, image: dict, side: int) -> str:
    """Return an address of the Image API; the service is asked what it can do if it has to be."""
    base = id_of(service).removesuffix("/info.json").rstrip("/")
    if _level(service) != 2:
        # What a manifest says of a service may leave out all but its level.
        service = service | as_dict(client.json(f"{base}/info.json"))
    version = _version(service)
    limits = [
        service,
        *filter(lambda part: isinstance(part, dict), as_list(service.get("profile"))),
    ]
    most = [_number(part.get(name)) for part in limits for name in ("maxWidth", "maxHeight")]
    side = min([side, *filter(None, most)])
    size = _choose_size(service, image, side) or ("max" if version == 3 else "full")
    quality = "native" if version == 1 else "default"
    return f"{base}/full/{size}/0/{quality}.jpg"


def _choose_size(service: dict, image: dict, side: int) -> str:
    """Return the size to ask for in the words of the Image API, or "" for the whole image."""
    width, height = _sides(service) if all(_sides(service)) else _sides(image)
    # A server may enlarge what is smaller than the size asked for.
    if width and height and max(width, height) <= side:
        return ""
    level = _level(service)
    if level == 2:
        return f"!{side},{side}"
    if level == 1 and width and height:
        return f"{side}," if width >= height else f",{side}"
    sizes = [_sides(as_dict(size)) for size in as_list(service.get("sizes"))[:MOST_PAIRS]]
    enough = [size for size in sizes if all(size) and max(size) >= side]
    return "{},{}".format(*min(enough)) if enough else ""


def _version(service: dict) -> int:
    """Return the version of the Image API that a service has; 0 if it is another service."""
    said = [service.get(name) for name in ("type", "@type", "@context", "profile")]
    words = " ".join(word for part in said for word in as_list(part) if isinstance(word, str))
    found = re.search(r"ImageService([123])|/api/image/([123])|image-api/(1)", words)
    if found:
        return int(next(filter(None, found.groups())))
    if re.search(r"\blevel[012]\b|image-api", words):
        return 3 if "id" in service else 2
    return 0


def _level(service: dict) -> int | None:
    words = " ".join(word for word in as_list(service.get("profile")) if isinstance(word, str))
    found = re.search(r"level([012])\b", words)
    return int(found[1]) if found else None


def _sides(part: dict) -> tuple[int, int]:
    return _number(part.get("width")), _number(part.get("height"))


def _number(value: object) -> int:
    """Return a number of pixels, or 0 for what is none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 < value < 1_000_000 else 0


def text_of(value: object) -> str:
    """Return a text of either version without its markup: the English one, or what there is.

    >>> text_of({"fr": ["Le Chat"], "en": ["<i>The Cat</i>"]}), text_of([{"@value": "A"}, "B"])
    ('The Cat', 'A; B')
    """
    texts = by_language(value)
    english = [language for language in texts if language.lower().startswith("en")]
    chosen = next(iter([*english, *(name for name in ("none", "") if name in texts), *texts]), "")
    return join(map(strip_markup, texts.get(chosen, ())))


def strip_markup(text: str) -> str:
    """Return the text that a reader of a page would see.

    >>> strip_markup("<p>Oil &amp; gold<br>on wood<script>alert(1)</script>")
    'Oil & gold on wood'
    """
    if "<" in text or "&" in text:
        parser = _Markup()
        # What cannot be taken for markup, such as "<![x", stays as it is.
        with suppress(AssertionError):
            parser.feed(text)
            parser.close()
            text = "".join(parser.texts)
    return " ".join(text.split())


def kind_of(document: object) -> str:
    """Return the type of a document or a part of one: "Manifest" for sc:Manifest as well."""
    document = as_dict(document)
    kind = document.get("type") or document.get("@type")
    return kind.rpartition(":")[2] if isinstance(kind, str) else ""


def id_of(part: object) -> str:
    """Return the address that a part is, or has; or ""."""
    if isinstance(part, dict):
        part = part.get("id") or part.get("@id")
    return part.strip() if isinstance(part, str) else ""


def is_web(address: str) -> bool:
    """Tell whether an address can be asked for over the web."""
    return address.startswith(("http://", "https://"))


def as_list(value: object) -> list:
    """Return a list as it is, nothing as an empty one, and anything else as the only entry."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def as_dict(value: object) -> dict:
    """Return an object as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def by_language(value: object) -> dict[str, list[str]]:
    """Return texts by language; "" and "none" stand for those that do not say theirs."""
    texts: dict[str, list[str]] = {}
    for part in as_list(value)[:MOST_PAIRS]:
        if not isinstance(part, dict):
            pairs = [("", part)]
        elif "@value" in part:
            pairs = [(part.get("@language"), part["@value"])]
        else:
            languages = islice(part.items(), MOST_PAIRS)
            pairs = [(name, text) for name, found in languages for text in as_list(found)]
        for language, text in pairs[:MOST_PAIRS]:
            if isinstance(text, str | int | float) and not isinstance(text, bool):
                name = language if isinstance(language, str) else ""
                texts.setdefault(name, []).append(str(text)[:MOST_TEXT])
    return texts


def join(texts: Iterable[str]) -> str:
    """Return texts as one, each once."""
    return "; ".join(dict.fromkeys(filter(None, texts)))


class _Markup(HTMLParser):
    """Collects the text of a page, with spaces where there are blocks."""

    def __init__(self):
        super().__init__()
        self.texts: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in ("script", "style"):
            self._hidden = tag
        elif tag in _SPACED:
            self.texts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.texts.append(data)
