"""Works of any library or museum that offers them by IIIF: a manifest, or a collection of many."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from html.parser import HTMLParser
from itertools import islice

from artsearch.base.errors import ArtsearchError
from artsearch.base.http import LOCKED, Client, FetchError
from artsearch.fetch.column_names import usual_column
from artsearch.fetch.items import Item

#: Collections within collections are followed so deep, and so many documents of them are read.
DEEPEST = 8
MOST_COLLECTIONS = 10_000
#: Of one document, no more works or pages than these are looked at.
MOST_PARTS = 100_000
#: No more of the sizes that a service lists are tried, one after the other.
MOST_SIZES = 3
#: After so many locked pages in a row the server is asked whether it still serves us at all.
ASK_AFTER = 20

#: Where a collection lists its parts: in version 3, and in version 2.
PARTS = ("items", "collections", "manifests", "members")
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

    Pictures are asked for at `side` pixels, or what the server's limits allow, if it can do that;
    else at the smallest listed size that is not smaller, else whole. Where it refuses, they are
    asked for at the sizes that it lists, then at the image's own address. Metadata becomes columns:
    the artist, title, year, style and licence under whatever usual name they have in six languages,
    and all others as they are called. A manifest whose address is in `known` is not asked for,
    except for every page.

    A document that cannot be had is an item without a picture, with the reason; for the first one
    of all FetchError is raised, and ArtsearchError where it is no manifest or collection. Locked
    pages (401, 403) are passed over, as long as the server still gives that first document.

    https://iiif.io/api/presentation/3.0, https://iiif.io/api/presentation/2.1
    """
    first = client.json(address)
    if kind_of(first) not in ("Manifest", "Collection"):
        raise ArtsearchError(
            f"{address} is neither a IIIF manifest nor a IIIF collection; look for an address that "
            "ends in manifest.json, or for the IIIF sign on the work's page"
        )
    client.absent |= LOCKED
    for place, manifest, trouble in _walk(client, address, first, () if every_page else known):
        reason, status = str(trouble), getattr(trouble, "status", 0)
        if manifest is None:
            works = [(place, None, {})]
        else:
            works, reason = _read_manifest(manifest, place, every_page), "it shows no image"
        for key, image, about in works:
            if client.refusals >= ASK_AFTER:
                client.json(address)  # raises FetchError where nothing is given any more
            if image is None:
                yield Item(key, "", about, reason, status=status if status in LOCKED else 0)
            elif key in known:
                yield Item(key, "", about)
            else:
                best, *others = list_addresses(client, image, side) or [""]
                missing = "" if best else "its image has no web address"
                yield Item(key, best, about, missing, others)


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
) -> Iterator[tuple[str, dict | None, str | FetchError]]:
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
            yield place, None, error
            continue
        if kind_of(document) == "Manifest":
            yield place, document, ""
        elif kind_of(document) != "Collection":
            yield place, None, "it is neither a IIIF manifest nor a IIIF collection"
        elif depth > DEEPEST or collections >= MOST_COLLECTIONS:
            yield place, None, "it lies too deep in collections, or there are too many of them"
        else:
            collections += 1
            waiting += reversed(_list_parts(document, place, depth))


def _list_parts(collection: dict, place: str, depth: int) -> list[tuple[str, dict | None, int]]:
    """Return the parts of a collection: address, the document if it is written out, and depth."""
    parts = [(part, depth + 1) for name in PARTS for part in as_list(collection.get(name))]
    # The pages of a collection lie beside each other, not one in the other.
    parts = parts[:MOST_PARTS] + [(collection.get(name), depth) for name in ("first", "next")]
    inner = []
    for number, (part, deep) in enumerate(parts, start=1):
        document = part if _is_written_out(part) else None
        where = id_of(part)
        if document and not is_web(where):
            where = f"{place}#{number}"
        if is_web(where):
            inner.append((where, document, deep))
    return inner


def _is_written_out(part: object) -> bool:
    """Tell whether a part of a collection is there itself, not just its address."""
    if kind_of(part) == "Collection":
        return any(as_list(part.get(name)) for name in (*PARTS, "first"))
    return kind_of(part) == "Manifest" and bool(_list_pages(part))


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


def list_addresses(client: Client, image: dict, side: int) -> list[str]:
    """Return the addresses of an image: at some `side` pixels, then others if that is refused.

    https://iiif.io/api/image/3.0, https://iiif.io/api/image/2.1
    """
    sized, whole = [], []
    for service in map(as_dict, as_list(image.get("service"))[:MOST_PAIRS]):
        if _version(service) and is_web(id_of(service)):
            *found, last = _ask_service(client, service, image, side)
            sized += found
            whole.append(last)
    return list(dict.fromkeys(filter(is_web, [*sized, id_of(image), *whole])))


def _ask_service(client: Client, service: dict, image: dict, side: int) -> list[str]:
    """Return addresses of the Image API, that of the whole image last."""
    base = id_of(service).removesuffix("/info.json").rstrip("/")
    info: dict = {}
    if "protocol" not in service:  # else the whole info.json is written out
        with suppress(FetchError):  # then what the manifest says of it will have to do
            info = as_dict(client.json(f"{base}/info.json"))
    said = _ImageService(info, service, image)
    quality = "native" if said.version == 1 else "default"
    return [f"{base}/full/{size}/0/{quality}.jpg" for size in said.choose_sizes(side)]


class _ImageService:
    """What a service says that it can do: in its own info.json, or in the manifest."""

    def __init__(self, info: dict, service: dict, image: dict):
        self.version = _version(info) or _version(service)
        self.level = next((n for n in map(_level, (info, service)) if n is not None), None)
        self.width, self.height = next(filter(all, map(_sides, (info, service, image))), (0, 0))
        parts = [info, service]
        parts += [as_dict(part) for said in parts for part in as_list(said.get("profile"))]
        self.most_width = _least(parts, "maxWidth")
        self.most_height = _least(parts, "maxHeight", "maxWidth")
        self.most_area = _least(parts, "maxArea")
        features = [part.get(name) for part in parts for name in ("supports", "extraFeatures")]
        self.can_confine = self.level in (2, None) or _has(features, "sizeByConfinedWh")
        self.can_scale = self.level == 1 or _has(features, "sizeByW") and _has(features, "sizeByH")
        sizes = [_sides(as_dict(size)) for said in parts for size in as_list(said.get("sizes"))]
        self.sizes = sorted(size for size in sizes[:MOST_PAIRS] if all(size) and self.allows(*size))

    def allows(self, width: int, height: int) -> bool:
        """Tell whether an image of that size may be asked for."""
        within = width <= self.most_width and height <= self.most_height
        return within and width * height <= self.most_area

    def fit(self, side: int) -> tuple[int, int]:
        """Return the width and the height that an image of `side` pixels is to have at most."""
        wide, high = min(side, self.most_width), min(side, self.most_height)
        if not self.width:
            side = min(wide, high, math.isqrt(min(wide * high, self.most_area)))
            return (wide, high) if self.allows(wide, high) else (side, side)
        scale = min(1, wide / self.width, high / self.height)
        if self.width * self.height * scale**2 > self.most_area:
            scale = math.sqrt(self.most_area / (self.width * self.height))
            wide, high = (max(1, int(length * scale)) for length in (self.width, self.height))
        return wide, high

    def choose_sizes(self, side: int) -> list[str]:
        """Return sizes in the words of the Image API, the best first; the whole image is last."""
        wide, high = self.fit(side)
        is_known = self.width > 0
        # "max" keeps to limits; servers of version 2 that have none may know "full" alone.
        limit = min(self.most_width, self.most_height, self.most_area)
        whole = "max" if self.version == 3 or limit < math.inf else "full"
        enough = [size for size in self.sizes if max(size) >= max(wide, high)]
        smaller = [size for size in reversed(self.sizes) if size not in enough]
        listed = [f"{w},{h}" for w, h in (enough + smaller)[:MOST_SIZES]]
        scaled = f"{wide}," if wide * self.height <= high * self.width else f",{high}"
        if self.version == 2:  # some make files of level 0 by their width
            listed += [size.partition(",")[0] + "," for size in listed[:1]]
        if is_known and self.width <= wide and self.height <= high:
            best = [whole]  # a server may enlarge what is smaller than the size asked for
        elif self.can_confine:
            best = (
                [f"!{wide},{high}"] if is_known or self.version == 3 else [whole, f"!{wide},{high}"]
            )
        elif is_known and self.can_scale:
            best = [scaled]
        else:
            best = (
                [] if enough or (listed and not self.allows(self.width, self.height)) else [whole]
            )
        if is_known and self.level:  # not all of level 2 know "!"
            listed.append(scaled)
        return [*best, *listed, whole]


def _version(service: dict) -> int:
    """Return the version of the Image API that a service has; 0 if it is another service."""
    said = [service.get(name) for name in ("type", "@type", "@context", "profile")]
    words = " ".join(word for part in said for word in as_list(part) if isinstance(word, str))
    found = re.search(r"ImageService([123])|/api/image/([123])|iiif/image-api/(?:(1))?", words)
    if found:
        return int(next(filter(None, found.groups()), 1))
    if re.search(r"\blevel[012]\b|image-api", words):
        return 3 if "id" in service else 2
    return 0


def _level(service: dict) -> int | None:
    words = " ".join(word for word in as_list(service.get("profile")) if isinstance(word, str))
    found = re.search(r"level([012])\b", words)
    return int(found[1]) if found else None


def _sides(part: dict) -> tuple[int, int]:
    return _number(part.get("width")), _number(part.get("height"))


def _least(parts: list[dict], *names: str) -> float:
    """Return the least number that parts state under the first of the names that they have."""
    stated = [[_number(part.get(name)) for name in names] for part in parts]
    return min(next(filter(None, numbers), math.inf) for numbers in stated)


def _has(lists: list, word: str) -> bool:
    return any(word in as_list(found) for found in lists)


def _number(value: object) -> int:
    """Return a number of pixels, or 0 for what is none."""
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:20])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 < value < 10**12 else 0


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
    kinds = as_list(document.get("type")) + as_list(document.get("@type"))
    return next((kind.rpartition(":")[2] for kind in kinds if isinstance(kind, str)), "")


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
