"""A server on 127.0.0.1 that answers as six museums document it, well or badly."""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from loopback import Answer, Loopback

#: What goes wrong in turn where every so-many-th answer is to fail.
FAILURES = (
    Answer(status=500),
    Answer(b"half of a longer answer", way="truncated"),
    Answer(status=429, headers={"Retry-After": "0"}),
    Answer(status=503),
)
MUSEUMS = ("met", "aic", "cleveland", "rijksmuseum", "nga", "smk")
DEPARTMENTS = {1: "Asian Art", 2: "European Paintings", 3: "European Sculpture"}


@dataclass
class Work:
    """A work of the made-up catalogue; all texts may be of any type, as JSON has them."""

    number: int
    artist: object
    title: object
    year: object
    picture: Answer
    free: bool = True
    more: dict = field(default_factory=dict)  # put over what a museum says of it


class Museum(Loopback):
    """Serves the shipped paintings: below each museum's name, with pictures in /images.

    `delay` is seconds before each answer; with `fail_every` 3, one answer in three fails.
    """

    def __init__(self, paintings: Path):
        super().__init__()
        with open(paintings / "works.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.works = [
            Work(
                100 + place,
                row["artist"],
                row["title"],
                row["year"],
                Answer((paintings / row["file"]).read_bytes()),
            )
            for place, row in enumerate(rows)
        ]
        self.answers = _Answers(self)
        self.delay = 0.0
        self.fail_every = 0
        self._answered = 0

    def base(self, museum: str) -> str:
        """Return the address that a museum's source takes as its base."""
        return f"{self.url}/{museum}"

    def pictures_asked(self) -> list[str]:
        """Return the paths of the pictures that were asked for, one by one."""
        return [line for line in self.asked if "/images/" in line]

    def answer(self, path: str) -> Answer | None:
        """Return what a path answers, after all that may go wrong."""
        time.sleep(self.delay)
        self._answered += 1
        if self.fail_every and self._answered % self.fail_every == 0:
            return FAILURES[self._answered // self.fail_every % len(FAILURES)]
        parts = urlsplit(path)
        _, first, *rest = parts.path.split("/")
        if first == "images":
            return self._work(rest[0].partition(".")[0], lambda work: work.picture)
        asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        answer = getattr(self, f"_{first}", None) if first in MUSEUMS else None
        found = answer(rest, asked) if answer else None
        return found if found is None or isinstance(found, Answer) else _json(found)

    def _work(self, number: str, read) -> object | None:
        return next((read(work) for work in self.works if str(work.number) == number), None)

    def _met(self, path: list[str], asked: dict[str, str]) -> object:
        match path:
            case ["v1", "departments"]:
                names = DEPARTMENTS.items()
                return {"departments": [{"departmentId": n, "displayName": d} for n, d in names]}
            case ["v1.1", "search"]:
                numbers = [work.number for work in self._fitting(asked["q"])]
                start, limit = int(asked["offset"]), int(asked["limit"])
                return {"total": len(numbers), "objectIDs": numbers[start : start + limit] or None}
            case ["v1", "objects", number]:
                return self._work(number, self._met_object)
        return None

    def _met_object(self, work: Work) -> dict:
        return {
            "objectID": work.number,
            "isPublicDomain": work.free,
            "primaryImage": f"{self.url}/images/{work.number}.jpg" if work.free else "",
            "primaryImageSmall": f"{self.url}/images/{work.number}.small.jpg" if work.free else "",
            "department": "Asian Art",
            "title": work.title,
            "artistDisplayName": work.artist,
            "objectDate": work.year,
            "medium": "Oil on canvas",
            "creditLine": "Rogers Fund, 1919",
        } | work.more

    def _aic(self, path: list[str], asked: dict[str, str]) -> object:
        if path != ["artworks", "search"]:
            return None
        search = json.loads(asked["params"])
        works = self._fitting(search.get("q", "*"))
        start = search["limit"] * (search["page"] - 1)
        if start >= 1000:
            return _json({"status": 403, "error": "Invalid number of results"}, 403)
        data = [self._aic_work(work) for work in works[start : start + search["limit"]]]
        return {"data": data, "config": {"iiif_url": f"{self.url}/images"}}

    def _aic_work(self, work: Work) -> dict:
        return {
            "id": work.number,
            "is_public_domain": work.free,
            "image_id": str(work.number),
            "thumbnail": {"width": 900, "height": 600},
            "title": work.title,
            "artist_title": work.artist,
            "date_display": work.year,
            "style_title": "Impressionism",
            "medium_display": None,
        } | work.more

    def _cleveland(self, path: list[str], asked: dict[str, str]) -> object:
        works = self._fitting(asked.get("q", "*"))
        start, limit = int(asked["skip"]), int(asked["limit"])
        data = [self._cleveland_work(work) for work in works[start : start + limit]]
        return {"info": {"total": len(works)}, "data": data}

    def _cleveland_work(self, work: Work) -> dict:
        sizes = {"web": 900, "print": 3400}
        images = {
            name: {"url": f"{self.url}/images/{work.number}.{name}.jpg", "width": str(width)}
            for name, width in sizes.items()
        }
        return {
            "id": work.number,
            "share_license_status": "CC0" if work.free else "Copyrighted",
            "title": work.title,
            "creators": [{"description": f"{work.artist} (of somewhere, 1800–1880)"}],
            "creation_date": work.year,
            "culture": ["France", "19th century"],
            "url": f"https://clevelandart.org/art/{work.number}",
            "images": images,
        } | work.more

    def _rijksmuseum(self, path: list[str], asked: dict[str, str]) -> object:
        if path == ["search", "collection"]:
            works = self._fitting(f"{asked.get('title', '')} {asked.get('creator', '')}")
            start = int(asked.get("pageToken", 0))
            items = [
                {"id": _identifier(work.number)} | work.more for work in works[start : start + 100]
            ]
            answer = {"type": "OrderedCollectionPage", "orderedItems": items}
            if start + 100 < len(works):
                query = urlencode(asked | {"pageToken": start + 100})
                answer["next"] = {"id": f"{self.url}/rijksmuseum/search/collection?{query}"}
            return answer
        assert asked == {"_profile": "la-framed"}
        kind, number = divmod(int(path[0]), 10**6)
        read = (self._rijksmuseum_work, self._rijksmuseum_image, self._rijksmuseum_file)[kind]
        return self._work(str(number), read)

    def _rijksmuseum_work(self, work: Work) -> dict:
        return {
            "type": "HumanMadeObject",
            "identified_by": [
                {"type": "Identifier", "content": f"SK-A-{work.number}"},
                _said("Een titel", "300388256", "300404670", type="Name"),
                _said("A long title", "300388277", type="Name"),
                _said(work.title, "300388277", "300404670", type="Name"),
            ],
            "produced_by": {
                "timespan": {"identified_by": [_said(work.year, "300388277")]},
                "part": [{"carried_out_by": [{"notation": _notation(work.artist)}]}],
            },
            "classified_as": [{"notation": _notation("painting")}],
            "referred_to_by": [
                _said("olieverf op doek", "300388256", "300435429"),
                _said("oil on canvas", "300388277", "300435429"),
                _said("Purchased with support", "300388277", "300026687"),
            ],
            "shows": [{"id": _identifier(10**6 + work.number), "type": "VisualItem"}],
        } | work.more

    def _rijksmuseum_image(self, work: Work) -> dict:
        free = "publicdomain/mark/1.0" if work.free else "licenses/by/4.0"
        right = {"id": f"https://creativecommons.org/{free}/", "type": "Type"}
        return {
            "type": "VisualItem",
            "subject_to": [{"type": "Right", "classified_as": [right]}],
            "digitally_shown_by": [{"id": _identifier(2 * 10**6 + work.number)}],
        } | work.more

    def _rijksmuseum_file(self, work: Work) -> dict:
        return {
            "type": "DigitalObject",
            "access_point": [{"id": f"{self.url}/images/{work.number}/full/max/0/default.jpg"}],
        } | work.more

    def _nga(self, path: list[str], asked: dict[str, str]) -> Answer | None:
        make = {"published_images.csv": self._nga_image, "objects.csv": self._nga_object}
        if path[0] not in make:
            return None
        rows = [make[path[0]](work) | work.more for work in self.works]
        text = io.StringIO()
        table = csv.DictWriter(text, rows[0], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
        return Answer(text.getvalue().encode("utf-8", "replace"))

    def _nga_image(self, work: Work) -> dict:
        return {
            "uuid": f"uuid-{work.number}",
            "iiifurl": f"{self.url}/images/{work.number}",
            "viewtype": "primary",
            "sequence": "0",
            "width": "900",
            "height": "600",
            "maxpixels": "" if work.free else "640",
            "openaccess": int(work.free),
            "depictstmsobjectid": work.number,
            "assistivetext": "A painting,\nin words",
        }

    def _nga_object(self, work: Work) -> dict:
        return {
            "objectid": work.number,
            "title": work.title,
            "displaydate": work.year,
            "beginyear": 1500,
            "endyear": 1500 + work.number,
            "medium": "oil on canvas",
            "attribution": work.artist,
            "creditline": "Gift",
            "classification": "Painting",
            "departmentabbr": "CG-E",
        }

    def _smk(self, path: list[str], asked: dict[str, str]) -> object:
        if path != ["art", "search", ""]:
            return None
        works = self._fitting(asked["keys"])
        start, rows = int(asked["offset"]), int(asked["rows"])
        items = [self._smk_work(work) for work in works[start : start + rows]]
        return {"offset": start, "rows": rows, "found": len(works), "items": items}

    def _smk_work(self, work: Work) -> dict:
        return {
            "object_number": f"KMS{work.number}",
            "public_domain": work.free,
            "has_image": True,
            "rights": "https://creativecommons.org/publicdomain/mark/1.0/",
            "titles": [
                {"title": "En titel", "language": "dansk"},
                {"title": work.title, "language": "Engelsk"},
            ],
            "artist": [work.artist],
            "production_date": [{"start": "1500-01-01T00:00:00.000Z", "period": work.year}],
            "techniques": ["Oil on canvas"],
            "object_names": [{"name": "Maleri"}],
            "responsible_department": "Collections",
            "frontend_url": f"https://open.smk.dk/artwork/image/KMS{work.number}",
            "image_iiif_id": f"{self.url}/images/{work.number}",
            "image_width": 900,
            "image_height": 600,
            "image_native": f"{self.url}/images/{work.number}.native.jpg",
        } | work.more

    def _fitting(self, words: str) -> list[Work]:
        wanted = words.casefold().split() if words != "*" else []
        return [
            work
            for work in self.works
            if all(word in f"{work.artist} {work.title}".casefold() for word in wanted)
        ]


class _Answers(dict):
    """What was put there by hand, else what the museum answers."""

    def __init__(self, museum: Museum):
        super().__init__()
        self._museum = museum

    def get(self, path: str, default: Answer) -> Answer:
        return super().get(path) or self._museum.answer(path) or default


def _identifier(number: int) -> str:
    return f"https://id.rijksmuseum.nl/{number}"


def _said(text: object, language: str, kind: str = "", **more: str) -> dict:
    """Return a text as Linked Art has it, with its language and kind by the numbers of the AAT."""
    kinds = [{"id": f"http://vocab.getty.edu/aat/{kind}"}] if kind else []
    languages = [{"id": f"http://vocab.getty.edu/aat/{language}"}]
    return {"content": text, "language": languages, "classified_as": kinds} | more


def _notation(text: object) -> list[dict]:
    return [{"@language": "nl", "@value": "iets"}, {"@language": "en", "@value": text}]


def _json(value: object, status: int = 200) -> Answer:
    return Answer(json.dumps(value).encode(), status)
