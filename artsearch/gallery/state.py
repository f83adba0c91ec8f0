"""What a visitor of the gallery does, without widgets: the same walk could be made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, ImageError, unknown
from artsearch.base.text import fold
from artsearch.gallery import view as gallery_view
from artsearch.gallery.ask_state import Asked, AskVerbs
from artsearch.gallery.session import Trail
from artsearch.gallery.view import distance_text, has_dial, words
from artsearch.networks.transforms import default_crop
from artsearch.search.matches import Match
from artsearch.search.results import Described, Results
from artsearch.search.search import Search
from artsearch.works.collection import COLUMNS, Collection
from artsearch.works.images import thumbnail, to_jpeg
from artsearch.works.thumbnails import SIDES, Thumbnails, small_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["GalleryState", "Moment", "distance_text", "words"]

MOST = 20  # neighbours that can be asked for, where the collection has as many
TRAIL = 50  # queries that the trail remembers
UPLOADED = "your image: "  # how the id of a visitor's own image begins


@dataclass(frozen=True)
class Moment:
    """All that the visitor has chosen; a later moment is a new one."""

    network: str
    crop: str
    k: int
    dial: float | None = None
    asked: Asked = Asked()
    compare: bool = False
    machine_made: bool = True
    trail: tuple[str, ...] = ()
    place: int = 0
    search: str = ""
    page: int = 0
    seed: int = 0

    @property
    def query(self) -> str:
        """The id of the selected work."""
        return self.trail[self.place]

    @property
    def depends(self) -> tuple:
        """All of it that the answers depend on."""
        asked = replace(self.asked, why="")
        where = self.network, self.crop, self.dial, self.compare, self.machine_made
        return self.query, self.k, *where, asked


class GalleryState(AskVerbs):
    """A walk through a collection: the selected work, its neighbours, the way back.

    `searches` is a Searches, or any mapping from (network, crop) to Search that has its `networks`,
    `crops` and `sentence`. `drawer` is the number of works on a page of the drawer; `query` the
    first work selected, the drawer's first if none is given. `dial` is a place from 0 (content) to
    1 (style), for searches that have a dial; None is the article's recipe, the network's final
    layer. `machine_made` says whether works made by a machine are shown, where the collection has
    others too. `link` is a question to begin with (see Question.to_link). Thumbnails are kept below
    `out`.

    Its verbs are what a visitor can do. What goes wrong then is a sentence in `view()["error"]`,
    and everything stays as it was. `now` is the present Moment, `answers` maps each network shown
    to its Results. `listeners` are called after every verb.
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
        dial: float | None = None,
        machine_made: bool = True,
        link: str = "",
        drawer: int = 24,
        seed: int = 0,
        out: str | os.PathLike = "build",
    ):
        self.collection = collection
        self.searches = searches
        self.thumbnails = Thumbnails(collection, Path(out, "thumbs"))
        self.titles = {network.name: network.title for network in searches.networks}
        self.uploads: dict[str, tuple[str, bytes]] = {}  # by id: name and JPEG
        self.error = ""
        self.listeners: list[Callable[[], None]] = []
        self._drawer = drawer
        self._captions: list[str] = []
        self._looked: dict[tuple, Described] = {}
        self._matches_of: dict[tuple, list[Match]] = {}
        network = network or next(iter(self.titles))
        now = self._check(Moment(network, crop or default_crop(searches.crops), k, dial, seed=seed))
        self._ids = list(searches[now.network, now.crop].index.ids)
        self.k_max = min(max(MOST, k), len(self._ids) - 1)
        self.has_both = collection.has_both(self._ids)
        self.machines = sum(id in collection.machines for id in self._ids)
        self._order = self._shuffle(seed)
        trail = (self._order[0] if query is None else query,)
        k, machine_made = min(k, self.k_max), bool(machine_made) or not self.has_both
        self.now = replace(now, k=k, machine_made=machine_made, trail=trail)
        self.answers = self._ask(self.now)
        self.diary = Trail(collection)
        self._note()
        if link:
            self.open_link(link)

    def __len__(self) -> int:
        return len(self._ids)

    # ---- what a visitor can do ------------------------------------------------------------------

    def select(self, id: str) -> None:
        """Make a work the query; what was asked about the one before is forgotten."""
        self._go(**({} if id == self.now.query else self._further(id)))

    def back(self) -> None:
        """Go back to the query before."""
        self.go_to(self.now.place - 1)

    def forward(self) -> None:
        """Go forward again, after going back."""
        self.go_to(self.now.place + 1)

    def go_to(self, place: int) -> None:
        """Go to a place of the trail, counted from 0; beyond its ends, to the end."""
        place = max(0, min(place, len(self.now.trail) - 1))
        self._go(place=place, asked=self.now.asked.of_another())

    def refresh(self) -> None:
        """Draw other works into the drawer."""
        self._order = self._shuffle(self.now.seed + 1)
        self._go(seed=self.now.seed + 1, search="", page=0)

    def search_drawer(self, text: str) -> None:
        """Show the works in the drawer whose caption has all the words."""
        self._go(search=text, page=0)

    def turn_page(self, page: int) -> None:
        """Show another page of the drawer, counted from 0; beyond its ends, the end."""
        self._go(page=max(0, min(page, self.drawer()[1] - 1)))

    def use_network(self, name: str) -> None:
        """See the query as one network does."""
        self._go(network=name, compare=False)

    def use_crop(self, name: str) -> None:
        """Use another crop."""
        self._go(crop=name)

    def set_k(self, k: int) -> None:
        """Show k neighbours."""
        self._go(k=k)

    def turn_dial(self, place: float | None) -> None:
        """Weigh content (0) against style (1); None goes back to the network's final layer."""
        self._go(dial=place)

    def show_machine_made(self, on: bool = True) -> None:
        """Show works made by a machine, or leave them out of drawer and answers."""
        self._go(machine_made=bool(on) or not self.has_both, page=0)

    def compare(self, on: bool = True) -> None:
        """Show the networks side by side, or one alone."""
        self._go(compare=bool(on) and len(self.titles) > 1)

    def upload(self, data: bytes, name: str = "") -> None:
        """Make an image of the visitor's own the query: the bytes of a file."""
        try:
            small = to_jpeg(thumbnail(data, 1024), quality=92)
        except ImageError as error:
            return self.fail(f"{name or 'This file'} cannot be a query: {error}")
        id = f"{UPLOADED}{len(self.uploads) + 1}"
        self.uploads[id] = (name, small)
        self._go(**self._further(id))

    def fail(self, sentence: str) -> None:
        """Say that something went wrong."""
        self.error = sentence
        self._tell()

    # ---- what there is to see -------------------------------------------------------------------

    @property
    def query(self) -> str:
        """The id of the selected work."""
        return self.now.query

    def view(self) -> dict:
        """Return all that is to be seen as plain data; pictures by name (see `picture_file`)."""
        return gallery_view.view(self)

    def picture_file(self, name: str) -> bytes:
        """Return a picture that a view names, as a WebP file; no bytes if there is none."""
        kind, _, id = name.partition("/")
        if kind not in SIDES:
            return b""
        if id in self.uploads:
            return small_picture(self.uploads[id][1], kind)
        return self.thumbnails.read(id, kind) if id in self.collection else b""

    def drawer(self) -> tuple[list[str], int, int]:
        """Return the works on the drawer's page, the number of pages, and of works on all."""
        found = self._matches(self.now.search)
        start = self.now.page * self._drawer
        pages = max(1, -(-len(found) // self._drawer))
        return list(found[start : start + self._drawer]), pages, len(found)

    def results(self) -> pd.DataFrame:
        """Return the current results as a table, a row a neighbour."""
        return gallery_view.results(self)

    def to_csv(self, path: str | os.PathLike | None = None) -> str:
        """Return the current results as CSV, and write them to `path` if one is given.

        Texts that a spreadsheet would take for a formula begin with an apostrophe.
        """
        text = gallery_view.to_csv(self.results())
        if path is not None:
            # The byte order mark tells Excel that the file is UTF-8.
            Path(path).write_text(text, encoding="utf-8-sig", newline="")
        return text

    def picture(self) -> Figure:
        """Draw the query and its neighbours, a row a network."""
        from artsearch.show.figures import show_results

        answers = {self.titles[name]: answer for name, answer in self.answers.items()}
        figure = show_results(self.collection, answers)
        if self.query in self.uploads:
            figure.axes[0].imshow(np.asarray(thumbnail(self.uploads[self.query][1])))
        return figure

    # ---- how ------------------------------------------------------------------------------------

    def _go(self, **changes) -> None:
        """Move to a new moment if it can be had; else stay, and say why not."""
        self.error = ""
        try:
            later, answers = self._check(replace(self.now, **changes)), self.answers
            if later.depends != self.now.depends:
                answers = self._ask(later)
            if later.asked.why:
                self.matches(later)
            self.now, self.answers = later, answers
            self._note()
        except ArtsearchError as error:
            self.error = str(error)
        self._tell()

    def _note(self) -> None:
        """Write what was asked and found into the trail."""
        for answer in self.answers.values():
            self.diary.add(self.question(), answer, self.now.asked.goal)

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()

    def _check(self, now: Moment) -> Moment:
        """Return a moment that can be had, its place of the dial rounded; raise otherwise."""
        if now.network not in self.titles:
            raise unknown("network", now.network, self.titles)
        if now.crop not in self.searches.crops:
            raise unknown("crop", now.crop, self.searches.crops)
        if now.dial is None:
            return now
        if not has_dial(self.searches):
            raise ArtsearchError(
                f"the dial is {now.dial!r}, but these searches have none; take None, the "
                "network's final layer"
            )
        return replace(now, dial=dial_place(now.dial))

    def _ask(self, now: Moment) -> dict[str, Results]:
        """Ask the network chosen, or all of them, for the neighbours of the query."""
        if now.query not in self.uploads:
            self.collection.row(now.query)
        if self.k_max < 1:
            return {}
        if not 1 <= now.k <= self.k_max:
            raise ArtsearchError(f"k is {now.k}; take 1 to {self.k_max}")
        names = list(self.titles) if now.compare else [now.network]
        return {name: self._answer(self._search(name, now), name, now) for name in names}

    def _search(self, network: str, now: Moment) -> Search:
        if now.dial is None:
            return self.searches[network, now.crop]
        return self.searches.dial(network, now.crop, now.dial)

    def _further(self, id: str) -> dict:
        """Return the trail with one more work; what lay ahead is forgotten."""
        trail = (*self.now.trail[: self.now.place + 1], id)[-TRAIL:]
        return {"trail": trail, "place": len(trail) - 1, "asked": self.now.asked.of_another()}

    def _matches(self, text: str) -> Sequence[str]:
        """Return the works of the drawer: all in random order, or those with all words."""
        wanted = fold(text).split()
        found = self._with_words(wanted) if wanted else self._order
        if self.now.machine_made:
            return found
        return [id for id in found if id not in self.collection.machines]

    def _with_words(self, wanted: Sequence[str]) -> list[str]:
        if not self._captions:
            works = self.collection.works.set_index("id").loc[self._ids, list(COLUMNS)]
            self._captions = [fold(" ".join(row)) for row in works.itertuples(index=False)]
        found = zip(self._ids, self._captions, strict=True)
        return [id for id, caption in found if all(word in caption for word in wanted)]

    def _shuffle(self, seed: int) -> list[str]:
        """Return all works in random order, those made by a machine after the others."""
        order = np.random.default_rng(seed).permutation(np.array(self._ids, object)).tolist()
        return self.collection.by_hand_first(order)


def dial_place(place: float) -> float:
    """Return a place of the dial, rounded; raise ArtsearchError if it is none.

    >>> dial_place(0.3333)
    0.33
    """
    # A truth value is a number to Python, and NaN is not within any bounds.
    if not isinstance(place, Real) or isinstance(place, bool) or not 0 <= place <= 1:
        raise ArtsearchError(f"the dial is {place!r}; take a number from 0 (content) to 1 (style)")
    return round(float(place), 2)
