"""The IIIF Image API: an image at the size wanted, from what its server says that it can do."""

from __future__ import annotations

import re

from artsearch.base.http import Client, FetchError
from artsearch.fetch.iiif_parts import MOST_PAIRS, as_dict, as_list, id_of, is_web


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
