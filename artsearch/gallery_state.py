"""What the gallery knows and does, without widgets: the same questions could be asked by hand."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from artsearch.collection import COLUMNS, Collection
from artsearch.errors import ArtsearchError, ImageError, unknown
from artsearch.images import thumbnail, to_jpeg
from artsearch.search import Results, Search
from artsearch.thumbnails import SIDES, Thumbnails, small_picture
from artsearch.transforms import NO_CROP

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Columns of an exported table.
EXPORTED = ("caption", "artist", "title", "year", "style", "licence", "source")
MOST = 20  # neighbours that can be asked for, where the collection has as many
FEW = 12  # works at once up to which their larger thumbnails are shown
TRAIL = 50  # queries that the trail remembers
UPLOADED = "your image: "  # how the id of a visitor's own image begins


@dataclass(frozen=True)
class Moment:
    """All that the visitor has chosen; a later moment is a new one."""

    network: str
    crop: str
    k: int
    compare: bool = False
    trail: tuple[str, ...] = ()
    place: int = 0
    search: str = ""
    page: int = 0
    seed: int = 0

    @property
    def query(self) -> str:
        """The id of the selected work."""
        return self.trail[self.place]


class GalleryState:
    """A walk through a collection: the selected work, its neighbours, the way back.

    `searches` is a Searches, or any mapping from (network, crop) to Search that has its `networks`,
    `crops` and `sentence`. `drawer` is the number of works on a page of the drawer; `query` the
    first work selected, the drawer's first if none is given. Thumbnails are kept below `out`.

    Its methods are what a visitor can do. What goes wrong then is a sentence in
    `view()["error"]`, and everything stays as it was. `listeners` are called after each of them.
    """

    def __init__(
        self,
        collection: Collection,
        searches: Mapping[tuple[str, str], Search],
        k: int = 10,
        *,
        query: str | None = None,
        network: str | None = None,
        crop: str | None = None,
        drawer: int = 24,
        seed: int = 0,
        out: str | os.PathLike = "build",
    ):
        self.collection = collection
        self.searches = searches
        self.thumbnails = Thumbnails(collection, Path(out, "thumbs"))
        self.listeners: list[Callable[[], None]] = []
        self.error = ""
        self._drawer = drawer
        self._titles = {network.name: network.title for network in searches.networks}
        self._captions: list[str] = []
        self._uploads: dict[str, tuple[str, bytes]] = {}
        self._vectors: dict[tuple[str, str, str], np.ndarray] = {}
        crop = crop or (NO_CROP if NO_CROP in searches.crops else searches.crops[0])
        now = Moment(network or next(iter(self._titles)), crop, k, seed=seed)
        self._check(now)
        self._ids = list(searches[now.network, now.crop].index.ids)
        self.k_max = min(max(MOST, k), len(self._ids) - 1)
        self._order = self._shuffle(seed)
        trail = (self._order[0] if query is None else query,)
        self._now = replace(now, k=min(k, self.k_max), trail=trail)
        self._answers = self._ask(self._now)

    # ---- what a visitor can do ------------------------------------------------------------------

    def select(self, id: str) -> None:
        """Make a work the query."""
        self._go(**({} if id == self._now.query else self._further(id)))

    def back(self) -> None:
        """Go back to the query before."""
        self.go_to(self._now.place - 1)

    def forward(self) -> None:
        """Go forward again, after going back."""
        self.go_to(self._now.place + 1)

    def go_to(self, place: int) -> None:
        """Go to a place of the trail, counted from 0; beyond its ends, to the end."""
        self._go(place=max(0, min(place, len(self._now.trail) - 1)))

    def refresh(self) -> None:
        """Draw other works into the drawer."""
        self._order = self._shuffle(self._now.seed + 1)
        self._go(seed=self._now.seed + 1, search="", page=0)

    def search_drawer(self, text: str) -> None:
        """Show the works in the drawer whose caption has all the words."""
        self._go(search=text, page=0)

    def turn_page(self, page: int) -> None:
        """Show another page of the drawer, counted from 0; beyond its ends, the end."""
        last = self._pages(len(self._matches(self._now.search))) - 1
        self._go(page=max(0, min(page, last)))

    def use_network(self, name: str) -> None:
        """See the query as one network does."""
        self._go(network=name, compare=False)

    def use_crop(self, name: str) -> None:
        """Use another crop."""
        self._go(crop=name)

    def set_k(self, k: int) -> None:
        """Show k neighbours."""
        self._go(k=k)

    def compare(self, on: bool = True) -> None:
        """Show the networks side by side, or one alone."""
        self._go(compare=bool(on) and len(self._titles) > 1)

    def upload(self, data: bytes, name: str = "") -> None:
        """Make an image of the visitor's own the query: the bytes of a file."""
        try:
            small = to_jpeg(thumbnail(data, 1024), quality=92)
        except ImageError as error:
            return self.fail(f"{name or 'This file'} cannot be a query: {error}")
        id = f"{UPLOADED}{len(self._uploads) + 1}"
        self._uploads[id] = (name, small)
        self._go(**self._further(id))

    def fail(self, sentence: str) -> None:
        """Say that something went wrong."""
        self.error = sentence
        self._tell()

    # ---- what there is to see -------------------------------------------------------------------

    @property
    def query(self) -> str:
        """The id of the selected work."""
        return self._now.query

    def view(self) -> dict:
        """Return all that is to be seen as plain data; pictures by name (see `picture_file`)."""
        now = self._now
        found = self._matches(now.search)
        page = found[now.page * self._drawer : (now.page + 1) * self._drawer]
        self.thumbnails.prepare(
            id
            for ids in (now.trail, page, *(answer.ids for answer in self._answers.values()))
            for id in ids
            if id in self.collection
        )
        return {
            "sentence": self.searches.sentence,
            "count": len(self._ids),
            "networks": self._choices(self._titles, now.network),
            "crops": self._choices({crop: words(crop) for crop in self.searches.crops}, now.crop),
            "k": now.k,
            "k_max": self.k_max,
            "compare": now.compare,
            "compare_available": len(self._titles) > 1,
            "can_upload": True,
            "query": self._work(now.query, "image"),
            "rows": self._rows(),
            "unit": next((answer.unit for answer in self._answers.values()), ""),
            "overlap": self._overlap() if now.compare else None,
            "drawer": {
                "works": [self._work(id, "small") for id in page],
                "search": now.search,
                "page": now.page,
                "pages": self._pages(len(found)),
                "matches": len(found),
            },
            "trail": {
                "works": [self._work(id, "small") for id in now.trail],
                "place": now.place,
                "back": now.place,
                "forward": len(now.trail) - 1 - now.place,
            },
            "error": self.error,
            "busy": "",
        }

    def picture_file(self, name: str) -> bytes:
        """Return a picture that a view names, as a WebP file; no bytes if there is none."""
        kind, _, id = name.partition("/")
        if kind not in SIDES:
            return b""
        if id in self._uploads:
            return small_picture(self._uploads[id][1], kind)
        return self.thumbnails.read(id, kind) if id in self.collection else b""

    def results(self) -> pd.DataFrame:
        """Return the current results as a table, a row a neighbour."""
        now, rows = self._now, []
        for network, answer in self._answers.items():
            asked = {"query": now.query, "network": network, "crop": now.crop}
            for rank, one in enumerate(answer, 1):
                work = self.collection.work(one.id) | {"caption": one.caption}
                known = {column: work.get(column, "") for column in EXPORTED}
                rows.append(
                    {**asked, "rank": rank, "distance": one.distance, "id": one.id, **known}
                )
        columns = ["query", "network", "crop", "rank", "distance", "id", *EXPORTED]
        return pd.DataFrame(rows, columns=columns)

    def to_csv(self, path: str | os.PathLike | None = None) -> str:
        """Return the current results as CSV, and write them to `path` if one is given.

        Texts that a spreadsheet would take for a formula begin with an apostrophe.
        """
        table = self.results()
        texts = table.columns.difference(["rank", "distance"])
        table[texts] = table[texts].map(disarm)
        text = table.to_csv(index=False)
        if path is not None:
            # The byte order mark tells Excel that the file is UTF-8.
            Path(path).write_text(text, encoding="utf-8-sig", newline="")
        return text

    def picture(self) -> Figure:
        """Draw the query and its neighbours, a row a network."""
        from artsearch.plots import show_results

        answers = {self._titles[name]: answer for name, answer in self._answers.items()}
        figure = show_results(self.collection, answers)
        if self.query in self._uploads:
            figure.axes[0].imshow(np.asarray(thumbnail(self._uploads[self.query][1])))
        return figure

    # ---- how ------------------------------------------------------------------------------------

    def _go(self, **changes) -> None:
        """Move to a new moment if it can be had; else stay, and say why not."""
        self.error = ""
        try:
            later = replace(self._now, **changes)
            self._check(later)
            if _question(later) != _question(self._now):
                self._answers = self._ask(later)
            self._now = later
        except ArtsearchError as error:
            self.error = str(error)
        self._tell()

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()

    def _check(self, now: Moment) -> None:
        if now.network not in self._titles:
            raise unknown("network", now.network, self._titles)
        if now.crop not in self.searches.crops:
            raise unknown("crop", now.crop, self.searches.crops)

    def _ask(self, now: Moment) -> dict[str, Results]:
        """Ask the network chosen, or all of them, for the neighbours of the query."""
        if now.query not in self._uploads:
            self.collection.row(now.query)
        if self.k_max < 1:
            return {}
        if not 1 <= now.k <= self.k_max:
            raise ArtsearchError(f"k is {now.k}; take 1 to {self.k_max}")
        names = list(self._titles) if now.compare else [now.network]
        return {name: self._ask_one(name, now) for name in names}

    def _ask_one(self, network: str, now: Moment) -> Results:
        search = self.searches[network, now.crop]
        if now.query not in self._uploads:
            return search.by_work(now.query, now.k)
        key = (now.query, network, now.crop)
        if key not in self._vectors:
            self._vectors[key] = search.extractor(self._uploads[now.query][1])
        return search.by_vector(self._vectors[key], now.k)

    def _further(self, id: str) -> dict:
        """Return the trail with one more work; what lay ahead is forgotten."""
        trail = (*self._now.trail[: self._now.place + 1], id)[-TRAIL:]
        return {"trail": trail, "place": len(trail) - 1}

    def _rows(self) -> list[dict]:
        shown = sum(len(answer) for answer in self._answers.values())
        kind = "thumb" if shown <= FEW else "small"
        times = Counter(id for answer in self._answers.values() for id in answer.ids)
        rows = []
        for network, answer in self._answers.items():
            works = [
                self._work(one.id, kind)
                | {
                    "distance": one.distance,
                    "distance_text": distance_text(one.distance),
                    "only": self._now.compare and times[one.id] == 1,
                }
                for one in answer
            ]
            rows.append({"network": network, "title": self._titles[network], "works": works})
        return rows

    def _overlap(self) -> dict:
        """Return what share of the works all networks find, and a sentence about it."""
        lists = [set(answer.ids) for answer in self._answers.values()]
        common = len(set.intersection(*lists)) if lists else 0
        times = Counter(id for ids in lists for id in ids)
        alone = sum(n == 1 for n in times.values())
        k = self._now.k
        text = (
            f"in common: {common} of {k} works are in all {len(lists)} rows, "
            f"{alone} {'is' if alone == 1 else 'are'} in one row only."
        )
        return {"value": common / max(k, 1), "text": text}

    def _work(self, id: str, kind: str) -> dict:
        """Return what the view says of a work; `kind` is the kind of its picture."""
        if id in self._uploads:
            return self._upload_work(id, kind)
        work = self.collection.work(id)
        caption = self.collection.caption(id)
        width, height = self.thumbnails.size(id)
        return {
            "id": id,
            **{column: work.get(column, "") for column in (*COLUMNS, "licence", "source")},
            "caption": caption,
            "alt": caption,
            **_pictures(id, kind),
            "width": width,
            "height": height,
        }

    def _upload_work(self, id: str, kind: str) -> dict:
        name, data = self._uploads[id]
        width, height = thumbnail(data, SIDES["thumb"]).size
        caption = f"Your image {name}".strip()
        blank = dict.fromkeys(("artist", "year", "style", "licence", "source"), "")
        return {
            "id": id,
            **blank,
            "title": name or "Your image",
            "caption": caption,
            "alt": caption,
            **_pictures(id, kind),
            "width": width,
            "height": height,
        }

    def _choices(self, titles: Mapping[str, str], selected: str) -> list[dict]:
        return [
            {"name": name, "title": title, "selected": name == selected}
            for name, title in titles.items()
        ]

    def _matches(self, text: str) -> Sequence[str]:
        """Return the works of the drawer: all in random order, or those with all words."""
        wanted = fold(text).split()
        if not wanted:
            return self._order
        if not self._captions:
            works = self.collection.works.set_index("id").loc[self._ids, list(COLUMNS)]
            self._captions = [fold(" ".join(row)) for row in works.itertuples(index=False)]
        found = zip(self._ids, self._captions, strict=True)
        return [id for id, caption in found if all(word in caption for word in wanted)]

    def _shuffle(self, seed: int) -> list[str]:
        return np.random.default_rng(seed).permutation(np.array(self._ids, object)).tolist()

    def _pages(self, works: int) -> int:
        return max(1, -(-works // self._drawer))


def words(name: str) -> str:
    """Return a name as words.

    >>> words("no_crop")
    'no crop'
    """
    return name.replace("_", " ")


def distance_text(distance: float) -> str:
    """Return a distance with the digits that tell neighbours apart.

    >>> distance_text(0.61234), distance_text(1203.0), distance_text(52.345)
    ('0.612', '1,203', '52.3')
    """
    whole = float(distance).is_integer()
    digits = 3 if abs(distance) < 10 else 0 if whole else 1
    return f"{distance:,.{digits}f}"


def fold(text: str) -> str:
    """Return a text without case and accents.

    >>> fold("Dürer")
    'durer'
    """
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def disarm(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula.

    >>> disarm("=1+1"), disarm("Lion")
    ("'=1+1", 'Lion')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _question(now: Moment) -> tuple:
    return now.query, now.network, now.crop, now.k, now.compare


def _pictures(id: str, kind: str) -> dict[str, str]:
    """Return the names of a work's picture; only the selected work has a large one."""
    if kind == "image":
        return {"thumb": f"thumb/{id}", "image": f"image/{id}"}
    return {"thumb": f"{kind}/{id}"}
