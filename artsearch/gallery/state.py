"""What a visitor of the gallery does, without widgets: the same walk could be made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import ArtsearchError, ImageError, unknown
from artsearch.base.text import fold
from artsearch.features.blend import dial_place
from artsearch.gallery.answers import Answers
from artsearch.gallery.moment import Asked, Moment
from artsearch.gallery.session import Session
from artsearch.networks.transforms import default_crop
from artsearch.search.matches import Match
from artsearch.search.question import Question, read_link
from artsearch.search.results import Results
from artsearch.search.search import Search
from artsearch.search.wording import has_dial
from artsearch.works.collection import COLUMNS, Collection
from artsearch.works.images import thumbnail, to_jpeg
from artsearch.works.thumbnails import SIDES, Thumbnails, small_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 20  # neighbours that can be asked for, where the collection has as many
HISTORY = 50  # queries that are remembered
UPLOADED = "your image: "  # how the id of a visitor's own image begins


class GalleryState:
    """A walk through a collection: the selected work, its neighbours, the way back.

    `searches` is a Searches, or any mapping from (network, crop) to Search that has its `networks`,
    `crops` and `sentence`. `drawer` is the number of works on a page of the drawer; `query` the
    first work selected, the drawer's first if none is given. `dial` is a weight from 0 (content)
    to 1 (style), for searches that have a dial; None is the article's recipe, the network's final
    layer. `machine_made` says whether works made by a machine are shown, where the collection has
    others too. `link` is a question to begin with (see Question.to_link). Thumbnails are kept below
    `out`.

    Its verbs are what a visitor can do. What goes wrong then is a sentence in `error`,
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
        self.asking = Answers(collection, searches)
        self.uploads = self.asking.uploads  # by id: name and JPEG
        self.error = ""
        self.listeners: list[Callable[[], None]] = []
        self._drawer = drawer
        self._captions: list[str] = []
        network = network or next(iter(self.titles))
        now = self._check(Moment(network, crop or default_crop(searches.crops), k, dial, seed=seed))
        self._ids = list(searches[now.network, now.crop].index.ids)
        self.k_max = min(max(MOST, k), len(self._ids) - 1)
        self.has_both = collection.has_both(self._ids)
        self.machines = sum(id in collection.machines for id in self._ids)
        self._order = self._shuffle(seed)
        history = (self._order[0] if query is None else query,)
        k, machine_made = min(k, self.k_max), bool(machine_made) or not self.has_both
        self.now = replace(now, k=k, machine_made=machine_made, history=history)
        self.answers = self._ask(self.now)
        self.session = Session(collection)
        self._note()
        if link:
            self.open_link(link)

    def __len__(self) -> int:
        return len(self._ids)

    # ---- what a visitor can do ------------------------------------------------------------------

    def select(self, work_id: str) -> None:
        """Make a work the query; what was asked about the one before is forgotten."""
        self._go(**({} if work_id == self.now.query else self._further(work_id)))

    def back(self) -> None:
        """Go back to the query before."""
        self.go_to(self.now.position - 1)

    def forward(self) -> None:
        """Go forward again, after going back."""
        self.go_to(self.now.position + 1)

    def go_to(self, position: int) -> None:
        """Go to a position of the history, counted from 0; beyond its ends, to the end."""
        position = max(0, min(position, len(self.now.history) - 1))
        self._go(position=position, asked=self.now.asked.of_another())

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

    def turn_dial(self, alpha: float | None) -> None:
        """Weigh content (0) against style (1); None goes back to the network's final layer."""
        self._go(dial=alpha)

    def show_machine_made(self, on: bool = True) -> None:
        """Show works made by a machine, or leave them out of drawer and answers."""
        self._go(machine_made=bool(on) or not self.has_both, page=0)

    def compare(self, on: bool = True) -> None:
        """Show the networks side by side, or one alone."""
        self._go(compare=bool(on) and len(self.titles) > 1)

    def require(self, where: str) -> None:
        """Ask for works that match a condition; an empty one asks for all."""
        self._ask_more(where=where)

    def exclude_same(self, column: str, on: bool = True) -> None:
        """Leave out works that have the same in a column as the selected one, or let them in."""
        others = tuple(one for one in self.now.asked.exclude_same if one != column)
        self._ask_more(exclude_same=(*others, column) if on else others)

    def allow_near_duplicates(self, on: bool = True) -> None:
        """Show near-duplicates of the selected work, or leave them out."""
        self._ask_more(near_duplicates=bool(on))

    def group_by(self, column: str) -> None:
        """Show the nearest in each of a column; "" shows the nearest of all."""
        self._ask_more(group_by=column, goal="")

    def set_group_size(self, size: int) -> None:
        """Show so many in each of the column that is grouped by."""
        self._ask_more(group_size=size)

    def like(self, work_id: str, weight: float = 1.0) -> None:
        """Ask for works that are like this one too, by weight; the selected one has a weight."""
        self._weigh("liked", work_id, weight)

    def unlike(self, work_id: str, weight: float = 1.0) -> None:
        """Ask for works that are not like this one, by weight."""
        self._weigh("unliked", work_id, weight)

    def exclude(self, work_id: str) -> None:
        """Leave a work out of the answers."""
        self._ask_more(
            exclude=(*(one for one in self.now.asked.exclude if one != work_id), work_id)
        )

    def drop(self, work_id: str) -> None:
        """Take a work out of those liked, not liked, and left out."""
        self._ask_more(**self._without(work_id))

    def set_region(self, region: tuple[float, float, float, float] | None) -> None:
        """Ask with a region of the selected work: left, top, right, bottom from 0 to 1; or all."""
        self._ask_more(region=None if region is None else tuple(region), goal="")

    def set_goal(self, work_id: str | None) -> None:
        """Show stepping stones from the selected work to this one; None shows neighbours again."""
        self._ask_more(goal=work_id or "")

    def explain(self, work_id: str | None) -> None:
        """Show the places that match in the selected work and this one; None stops that."""
        self._ask_more(why=work_id or "")

    def clear(self) -> None:
        """Ask for nothing but what is near the selected work."""
        self._go(asked=Asked())

    def open_link(self, link: str) -> None:
        """Ask what a link asks (see Question.to_link)."""
        try:
            self._go(**self._read(link))
        except ArtsearchError as error:
            self.fail(f"This link cannot be opened: {error}")

    def keep(self, work_id: str, on: bool = True) -> None:
        """Keep a work in the session, or let it go."""
        try:
            self.session.keep(work_id) if on else self.session.drop(work_id)
        except ArtsearchError as error:
            self.error = str(error)
        self._tell()

    def open_session(self, text: str | bytes) -> None:
        """Go on with a session that was saved: its JSON."""
        try:
            session = Session.from_json(text, self.collection)
            link = session.steps[-1].link() if session.steps else ""
            self.session = session
            self._go(**self._read(link) if link else {})
            if session.missing and not self.error:
                self.fail(session.missing)
        except ArtsearchError as error:
            self.fail(f"This session cannot be opened: {error}")

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

    def link(self) -> str:
        """Return the present question as the end of an address; "" where it has none."""
        now = self.now
        if not self.answers or any(id in self.uploads for id in self.question().works):
            return ""
        view = {"network": now.network, "crop": now.crop, "dial": now.dial}
        return self.question().to_link(**view, goal=now.asked.goal)

    def question(self) -> Question:
        """Return what is asked at present."""
        return self.now.question()

    def matches(self) -> list[Match]:
        """Return the regions that match in the selected work and the one that is explained."""
        return self.asking.matches(self.now)

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
                self.asking.matches(later)
            self.now, self.answers = later, answers
            self._note()
        except ArtsearchError as error:
            self.error = str(error)
        self._tell()

    def _note(self) -> None:
        """Write what was asked and found into the session."""
        for answer in self.answers.values():
            self.session.add(self.question(), answer, self.now.asked.goal)

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()

    def _read(self, link: str) -> dict:
        """Return the changes that a link asks for."""
        question, view = read_link(link)
        (query, weight), *liked = question.positive
        asked = Asked(
            question.where,
            question.exclude_same,
            question.near_duplicates,
            question.exclude,
            question.group_by,
            question.group_size,
            weight,
            tuple(liked),
            question.negative,
            question.region,
        )
        changes = {name: view[name] for name in ("network", "crop", "dial") if name in view}
        changes["asked"] = replace(asked, goal=view.get("goal", ""))
        changes["k"] = min(question.k, self.k_max)
        changes["machine_made"] = question.machine_made or not self.has_both
        return self._further(query) | changes

    def _ask_more(self, **changes) -> None:
        self._go(asked=replace(self.now.asked, **changes))

    def _weigh(self, side: str, work_id: str, weight: float) -> None:
        if work_id == self.now.query and side == "liked":
            return self._ask_more(weight=weight)
        if work_id == self.now.query:
            return self.fail("The selected work is what is asked for; select another one first.")
        rest = self._without(work_id)
        self._ask_more(**rest | {side: (*rest[side], (work_id, weight)), "goal": ""})

    def _without(self, work_id: str) -> dict:
        asked = self.now.asked
        liked, unliked = (
            tuple(pair for pair in side if pair[0] != work_id)
            for side in (asked.liked, asked.unliked)
        )
        exclude = tuple(one for one in asked.exclude if one != work_id)
        return {"liked": liked, "unliked": unliked, "exclude": exclude}

    def _check(self, now: Moment) -> Moment:
        """Return a moment that can be had, its weight of the dial rounded; raise otherwise."""
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
        return {name: self.asking.answer(name, now) for name in names}

    def _further(self, work_id: str) -> dict:
        """Return the history with one more work; what lay ahead is forgotten."""
        history = (*self.now.history[: self.now.position + 1], work_id)[-HISTORY:]
        return {
            "history": history,
            "position": len(history) - 1,
            "asked": self.now.asked.of_another(),
        }

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
