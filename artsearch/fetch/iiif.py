"""Works of any library or museum that offers them by IIIF: a manifest, or a collection of many."""

from __future__ import annotations

from collections.abc import Container, Iterator

from artsearch.base.errors import ArtsearchError
from artsearch.base.http import Client, FetchError
from artsearch.fetch.column_names import usual_column
from artsearch.fetch.iiif_image import address_image
from artsearch.fetch.iiif_parts import (
    MOST_PAIRS,
    as_dict,
    as_list,
    by_language,
    id_of,
    is_web,
    join,
    kind_of,
    strip_markup,
    text_of,
)
from artsearch.fetch.items import Item

#: Collections within collections are followed so deep, and so many documents of them are read.
DEEPEST = 8
MOST_COLLECTIONS = 10_000
#: Of one document, no more works or pages than these are looked at.
MOST_PARTS = 100_000

#: Columns that every work has.
OWN = ("artist", "title", "year", "style", "licence", "source")


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
