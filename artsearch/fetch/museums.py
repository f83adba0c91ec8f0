"""The open-access programmes of museums, as sources of works that they mark as free."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from urllib.parse import quote

import pandas as pd

from artsearch.base.errors import unknown
from artsearch.base.http import Client, FetchError
from artsearch.fetch.folder import clean
from artsearch.fetch.iiif import as_dict
from artsearch.fetch.items import Item
from artsearch.fetch.museum import (
    STRANGE,
    Museum,
    Wanted,
    as_records,
    has_words,
    longer_side,
    make_item,
    read_columns,
    read_list,
    read_pages,
    size_image,
)
from artsearch.fetch.rijksmuseum import read_rijksmuseum

_MET_PAGE, _PAGE = 500, 100
#: The columns that are read of the National Gallery's tables.
_NGA_IMAGES = "iiifurl viewtype width height openaccess depictstmsobjectid"
_NGA_OBJECTS = (
    "objectid title attribution displaydate beginyear endyear medium classification departmentabbr "
    "creditline"
)
#: What the SMK calls the language of an English title.
_ENGLISH = ("english", "engelsk")

#: What is asked of the Art Institute; `thumbnail` has the size of the whole picture.
_AIC_FIELDS = (
    "id,title,artist_title,date_display,style_title,medium_display,department_title,"
    "classification_title,place_of_origin,credit_line,is_public_domain,image_id,thumbnail"
)


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
        numbers = read_list(client.json(f"{base}/v1.1/search", where | params), "objectIDs")
        return [{"id": number} for number in numbers]

    for number, _ in read_pages(read, _MET_PAGE):
        key = f"met/{number}"
        if key in wanted.known:
            yield Item(key, "", {})
            continue
        try:
            work = as_dict(client.json(f"{base}/v1/objects/{number}"))
        except FetchError as error:
            yield Item(key, "", {}, str(error))
            continue
        # There is no search by artist that can be relied upon: the words may be anywhere.
        if not has_words(wanted.artist, work.get("artistDisplayName")):
            continue
        about = read_columns(
            work,
            "artist=artistDisplayName title year=objectDate medium department classification "
            "culture period credit=creditLine",
            licence="CC0 (public domain)",
            source=f"https://www.metmuseum.org/art/collection/search/{number}",
        )
        sizes = ["primaryImage", "primaryImageSmall"]
        addresses = [work.get(name) for name in (sizes if wanted.side > 600 else reversed(sizes))]
        yield make_item(key, addresses, about, work.get("isPublicDomain") is True)


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
        images = as_dict(as_dict(answer).get("config")).get("iiif_url")
        return [as_dict(work) | {"iiif": images} for work in read_list(answer, "data")]

    for number, work in read_pages(read, _PAGE):
        about = read_columns(
            work,
            "artist=artist_title title year=date_display style=style_title medium=medium_display "
            "department=department_title classification=classification_title "
            "culture=place_of_origin credit=credit_line",
            licence="CC0 (public domain)",
            source=f"https://www.artic.edu/artworks/{number}",
        )
        image, images = clean(work.get("image_id")), work.get("iiif")
        address = f"{images}/{quote(image, safe='')}" if image and images else ""
        address = size_image(address, work.get("thumbnail"), wanted.side)
        yield make_item(f"aic/{number}", [address], about, work.get("is_public_domain") is True)


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
        return read_list(client.json(f"{base}/artworks/", params | where), "data")

    for number, work in read_pages(read, _PAGE):
        # "Claude Monet (French, 1840–1926)"
        names = [clean(maker.get("description")) for maker in as_records(work.get("creators"))]
        about = read_columns(
            work,
            "title year=creation_date source=url medium=technique department classification=type "
            "culture credit=creditline",
            artist=[name.partition(" (")[0] for name in names],
            licence="CC0",
        )
        images = as_dict(work.get("images"))
        found = sorted((as_dict(images.get(name)) for name in ("web", "print")), key=longer_side)
        enough = [image for image in found if longer_side(image) >= wanted.side] or found[::-1]
        addresses = [image.get("url") for image in enough]
        is_free = work.get("share_license_status") == "CC0"
        yield make_item(f"cleveland/{number}", addresses, about, is_free)


def _read_nga(client: Client, base: str, wanted: Wanted) -> Iterator[Item]:
    """Yield works of the National Gallery of Art (Washington) whose pictures are open access, CC0.

    Its two tables, some 150 MB, are read whole and searched here; `department` is what it calls
    the classification, such as Painting. https://github.com/NationalGalleryOfArt/opendata
    """
    images = _read_table(client, f"{base}/published_images.csv", _NGA_IMAGES)
    images = images[(images["openaccess"] == "1") & (images["viewtype"] == "primary")]
    images = images.drop_duplicates("depictstmsobjectid").rename(
        columns={"depictstmsobjectid": "objectid"}
    )
    works = _read_table(client, f"{base}/objects.csv", _NGA_OBJECTS).merge(images, on="objectid")
    if wanted.period:
        years = works[["beginyear", "endyear"]].apply(pd.to_numeric, errors="coerce")
        first, last = wanted.period
        works = works[(years["endyear"] >= first) & (years["beginyear"] <= last)]
    for work in works.to_dict("records"):
        if not (
            has_words(wanted.query, f"{work['title']} {work['attribution']}")
            and has_words(wanted.artist, work["attribution"])
            and has_words(wanted.department, work["classification"])
        ):
            continue
        number = work["objectid"]
        about = read_columns(
            work,
            "artist=attribution title year=displaydate medium department=departmentabbr "
            "classification credit=creditline",
            licence="CC0",
            source=f"https://www.nga.gov/collection/art-object-page.{number}.html",
        )
        address = size_image(work["iiifurl"], work, wanted.side)
        yield make_item(f"nga/{number}", [address], about, True)


def _read_smk(client: Client, base: str, wanted: Wanted) -> Iterator[Item]:
    """Yield works of the SMK (Copenhagen) that it marks as public domain.

    For `department` it knows the kind of work, in Danish, such as maleri.
    https://www.smk.dk/en/article/smk-api, https://api.smk.dk/api/v1/docs/
    """
    filters = "[public_domain:true],[has_image:true]"
    filters += f",[object_names:{wanted.department}]" if wanted.department else ""
    keys = " ".join(filter(None, (wanted.query, wanted.artist))) or "*"
    params: dict[str, object] = {"keys": keys, "filters": filters, "lang": "en"}
    if wanted.period:
        first, last = (f"{max(year, 1):04}" for year in wanted.period)
        params["range"] = (
            f"[production_dates_start:{{*;{last}-12-31T23:59:59Z}}],"
            f"[production_dates_end:{{{first}-01-01T00:00:00Z;*}}]"
        )

    def read(page: int) -> list:
        where = {"offset": page * _PAGE, "rows": _PAGE}
        found = as_records(read_list(client.json(f"{base}/art/search/", params | where), "items"))
        return [work | {"id": work.get("object_number")} for work in found]

    for number, work in read_pages(read, _PAGE):
        # The words may be anywhere, as at the Met.
        if not has_words(wanted.artist, work.get("artist")):
            continue
        titles = as_records(work.get("titles"))
        titles.sort(key=lambda title: clean(title.get("language")).lower() not in _ENGLISH)
        about = read_columns(
            work,
            "artist medium=techniques department=responsible_department licence=rights "
            "source=frontend_url",
            title=next((title.get("title") for title in titles), ""),
            year=next((date.get("period") for date in as_records(work.get("production_date"))), ""),
            classification=[kind.get("name") for kind in as_records(work.get("object_names"))],
        )
        sides = {"width": work.get("image_width"), "height": work.get("image_height")}
        sized = size_image(work.get("image_iiif_id"), sides, wanted.side)
        addresses = [sized, work.get("image_native"), work.get("image_thumbnail")]
        yield make_item(f"smk/{number}", addresses, about, work.get("public_domain") is True)


#: The Met documents 80 requests a second; its shield has shut out programs at two (reports of
#: 2025 and 2026, such as https://github.com/metmuseum/openaccess/issues/58). The Art Institute
#: documents one. The others document none.
MUSEUMS = {
    "met": Museum("https://collectionapi.metmuseum.org/public/collection", 0.5, _read_met),
    "aic": Museum("https://api.artic.edu/api/v1", 1.0, _read_aic),
    "cleveland": Museum("https://openaccess-api.clevelandart.org/api", 2.0, _read_cleveland),
    "rijksmuseum": Museum("https://data.rijksmuseum.nl", 2.0, read_rijksmuseum),
    "nga": Museum(
        "https://raw.githubusercontent.com/NationalGalleryOfArt/opendata/main/data", 2.0, _read_nga
    ),
    "smk": Museum("https://api.smk.dk/api/v1", 2.0, _read_smk),
}


def _read_table(client: Client, address: str, columns: str) -> pd.DataFrame:
    """Return columns of a CSV, all as texts; raises FetchError where it has not all of them."""
    data = io.BytesIO(client.get(address))
    try:
        return pd.read_csv(data, usecols=columns.split(), dtype=str, keep_default_na=False)
    except ValueError:  # of pandas, and of bytes that are no UTF-8
        raise FetchError(STRANGE) from None


def _find_department(client: Client, base: str, words: str) -> int:
    """Return the number of a department of the Met by its name, or a part of it."""
    found = as_records(read_list(client.json(f"{base}/v1/departments"), "departments"))
    numbers = {clean(one.get("displayName")): one.get("departmentId") for one in found}
    fitting = [name for name in numbers if words.casefold() in name.casefold()]
    exact = [name for name in fitting if words.casefold() == name.casefold()]
    if len(exact or fitting) != 1:
        raise unknown("department", words, fitting or numbers)
    return numbers[(exact or fitting)[0]]
