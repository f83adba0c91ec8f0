"""What a visitor of the gallery does, without widgets: the same walk could be made by hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import ArtsearchError, ImageError, unknown
from artsearch.base.text import fold
from artsearch.features.blend import round_alpha
from artsearch.gallery.answers import Answers, Making
from artsearch.gallery.moment import IN_WORDS, Moment, near, tidy, words_of
from artsearch.gallery.session import Session
from artsearch.gallery.which import Which
from artsearch.networks.transforms import default_crop
from artsearch.search.learnt import your_dial
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
UPLOADED = "your image: "  # how the id of a visitor's own image begins
#: What cannot be asked of a path: where it is asked, the path ends.
NO_PATH = {"group_by", "region", "motif", "positive", "negative", "words", "negative_words"}


class GalleryState:
    """A walk through a collection: the selected work, its neighbours, the way back.

    `searches` is a Searches, or any mapping from (network, crop) to Search that has its `networks`,
    `crops` and `sentence`. `drawer` is the number of works on a page of the drawer; `query` the
    first work selected, the drawer's first if none is given. `dial` is a weight from 0 (content)
    to 1 (style), for searches that have a dial; None is the article's recipe, the network's final
    layer. `machine_made` says whether works made by a machine are shown, where the collection has
    others too. `link` is a question to begin with (see Question.to_link). Thumbnails are kept below
    `out`.

    Its verbs are what a visitor can do. Where they take a work's id they take words too, where the
    network does: `state.select(IN_WORDS + "a mountain lake")`. What goes wrong then is a sentence
    in `error`, and everything stays as it was. `now` is the present Moment, `answers` maps each
    network shown to its Results. `listeners` are called after every verb, and when `which` has
    found out which work an image of the visitor's own shows.
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
        self.which = Which(collection, out, self.asking.source, self._tell)
        self.making = Making(self._seek)
        self._wanted = ""  # the motif that is sought when what finds it is made
        self._drawer, self._out = drawer, out
        network, crop = network or next(iter(self.titles)), default_crop(searches.crops, crop)
        dial = self._check(network, crop, dial)
        self._ids = list(searches[network, crop].index.ids)
        self.k_max = min(max(MOST, k), len(self._ids) - 1)
        self.has_both = collection.has_both(self._ids)
        self.machines = sum(id in collection.machines for id in self._ids)
        self._order = self._shuffle(seed)
        query = self._order[0] if query is None else tidy(query)
        k, machine_made = min(k, max(self.k_max, 1)), bool(machine_made) or not self.has_both
        question = Question(**near(query), k=k, machine_made=machine_made)
        self.now = Moment(network, crop, question, (query,), dial=dial, seed=seed)
        self.answers = self._ask(self.now)
        self.session = Session(collection)
        self._note()
        if link:
            self.open_link(link)

    def __len__(self) -> int:
        return len(self._ids)

    # ---- what a visitor can do ------------------------------------------------------------------

    def change(self, **choices) -> None:
        """Choose or ask something else: fields of Moment and of its Question, by name.

            state.change(network="vgg16", k=5, dial=0.5)
            state.change(where='style == "Ukiyo-e"', exclude_same=["artist"])

        Where a network is chosen it stands alone; a path ends where something is asked that is not
        asked of paths. A page of the drawer beyond its ends is its end.
        """
        with self._telling():
            if "k" in choices and choices["k"] not in range(1, self.k_max + 1):
                raise ArtsearchError(f"k is {choices['k']!r}; take 1 to {self.k_max}")
            self._move(self.now.change(**self._complete(choices)))

    def select(self, work_id: str) -> None:
        """Make a work the query; what was asked about the one before is forgotten."""
        with self._telling():
            self._move(self.now if work_id == self.now.query else self.now.select(work_id))

    def back(self) -> None:
        """Go back to the query before."""
        self.go_to(self.now.position - 1)

    def forward(self) -> None:
        """Go forward again, after going back."""
        self.go_to(self.now.position + 1)

    def go_to(self, position: int) -> None:
        """Go to a position of the history, counted from 0; beyond its ends, to the end."""
        with self._telling():
            self._move(self.now.go_to(position))

    def refresh(self) -> None:
        """Draw other works into the drawer."""
        with self._telling():
            self._order = self._shuffle(self.now.seed + 1)
            self._move(replace(self.now, seed=self.now.seed + 1, search="", page=0))

    def like(self, work_id: str, weight: float = 1.0) -> None:
        """Ask for works that are like this one too, by weight; the selected one has a weight."""
        self.change(**self._with(work_id, weight, "positive", "words"))

    def unlike(self, work_id: str, weight: float = 1.0) -> None:
        """Ask for works that are not like this one, by weight."""
        if tidy(work_id) == self.now.query:
            return self.fail("The selected work is what is asked for; select another one first.")
        self.change(**self._with(work_id, weight, "negative", "negative_words"))

    def exclude(self, work_id: str) -> None:
        """Leave a work out of the answers."""
        self.change(exclude=(*self._without(work_id)["exclude"], work_id))

    def drop(self, work_id: str) -> None:
        """Take a work out of those liked, not liked, and left out."""
        self.change(**self._without(work_id) | {"goal": self.now.goal})

    def clear(self) -> None:
        """Ask for nothing but what is near the selected work."""
        with self._telling():
            self._move(replace(self.now, question=self.now.plain, goal="", why="", tried=False))

    def open_link(self, link: str) -> None:
        """Ask what a link asks (see Question.to_link)."""
        with self._telling("This link cannot be opened: "):
            self._move(self._read(link))

    def keep(self, work_id: str, on: bool = True) -> None:
        """Keep a work in the session, or let it go."""
        with self._telling():
            self.session.keep(work_id) if on else self.session.drop(work_id)

    def open_session(self, text: str | bytes) -> None:
        """Go on with a session that was saved: its JSON."""
        with self._telling("This session cannot be opened: "):
            self.session = Session.from_json(text, self.collection)
            link = self.session.steps[-1].link() if self.session.steps else ""
            with self._telling():
                if link:
                    self._move(self._read(link))
            self.error = self.error or self.session.missing

    def upload(self, data: bytes, name: str = "") -> None:
        """Make an image of the visitor's own the query: the bytes of a file."""
        try:
            small = to_jpeg(thumbnail(data, 1024), quality=92)
        except ImageError as error:
            return self.fail(f"{name or 'This file'} cannot be a query: {error}")
        id = f"{UPLOADED}{len(self.uploads) + 1}"
        self.uploads[id] = (name, small)
        self.select(id)
        if self.query == id:
            self._ask_which(at_any_cost=False)

    def identify(self) -> None:
        """Have it found out which work the selected image of the visitor's own shows.

        The answer comes later: see Which, and its `wait`.
        """
        with self._telling():
            if self.query not in self.uploads:
                raise ArtsearchError(
                    "that is known of a work of the collection; select your own image"
                )
            self._ask_which(at_any_cost=True)

    def make_motifs(self) -> None:
        """Have all works looked at for motifs, beside the gallery; what was drawn is sought then.

        See Making, and its `wait`.
        """
        with self._telling():
            self.making.begin(self._asked_of(self.now))

    def fail(self, sentence: str) -> None:
        """Say that something went wrong."""
        with self._telling():
            raise ArtsearchError(sentence)

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
        found, wanted = self._order, fold(self.now.search).split()
        if wanted:  # those that have all the words, in their own order
            known = self._captions.items()
            found = [id for id, caption in known if all(word in caption for word in wanted)]
        if not self.now.question.machine_made:
            found = [id for id in found if id not in self.collection.machines]
        start = self.now.page * self._drawer
        pages = max(1, -(-len(found) // self._drawer))
        return found[start : start + self._drawer], pages, len(found)

    @property
    def your_dial(self) -> float | None:
        """The place of the dial that was fitted to votes; None where there is none."""
        if not has_dial(self.searches):
            return None
        return your_dial(self._out, self.collection, self.now.network, self.now.crop)

    def link(self) -> str:
        """Return the present question as the end of an address; "" where it has none."""
        now = self.now
        if not self.answers or any(id in self.uploads for id in now.question.works):
            return ""
        view = {"network": now.network, "crop": now.crop, "dial": now.dial, "goal": now.goal}
        return now.question.to_link(**view)

    def picture(self) -> Figure:
        """Draw the query and its neighbours, a row a network."""
        from artsearch.show.figures import show_results, show_works

        if not self.answers:  # there is no other work
            return show_works(self.collection, [self.query])
        answers = {self.titles[name]: answer for name, answer in self.answers.items()}
        figure = show_results(self.collection, answers)
        if self.query in self.uploads:
            figure.axes[0].imshow(np.asarray(thumbnail(self.uploads[self.query][1])))
        return figure

    # ---- how ------------------------------------------------------------------------------------

    @contextmanager
    def _telling(self, trouble: str = "") -> Iterator[None]:
        """Say what goes wrong in a verb, as one sentence, and tell all who listen."""
        self.error = ""
        try:
            yield
        except ArtsearchError as error:
            self.error = f"{trouble}{error}"
        self._tell()

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()

    def _move(self, later: Moment) -> None:
        """Go on to a later moment; raise ArtsearchError where it cannot be had."""
        dial = self._check(later.network, later.crop, later.dial)
        later, answers = replace(later, dial=dial), self.answers
        if later.question.motif and not self.making.is_there(self._asked_of(later)):
            self._wanted = later.question.to_link()
            later = replace(later, question=replace(later.question, motif=False))
        if later.depends != self.now.depends:
            answers, later = self._ask(later), replace(later, tried=False)
        if later.why:
            self.asking.matches(later)
            if later.tried:
                self.asking.experiment(later)
        self.now, self.answers = later, answers
        self._note()

    def _ask_which(self, at_any_cost: bool) -> None:
        nearest = next(iter(self.answers.values())).ids[:10]
        self.which.ask(self.query, nearest, at_any_cost)

    def _complete(self, choices: dict) -> dict:
        """Return choices with what follows from them."""
        follows = {"compare": False} if "network" in choices else {}
        follows |= {"motif": False} if choices.get("region", "") is None else {}
        follows |= {"goal": ""} if choices.keys() & NO_PATH else {}
        follows |= {"page": 0} if choices.keys() & {"search", "machine_made"} else {}
        choices = follows | choices
        if "compare" in choices:
            choices["compare"] = bool(choices["compare"]) and len(self.titles) > 1
        if "machine_made" in choices:
            choices["machine_made"] = bool(choices["machine_made"]) or not self.has_both
        if choices.get("page"):
            choices["page"] = max(0, min(int(choices["page"]), self.drawer()[1] - 1))
        return choices

    def _read(self, link: str) -> Moment:
        """Return the moment that a link asks for."""
        question, view = read_link(link)
        k, machine_made = min(question.k, max(self.k_max, 1)), question.machine_made
        question = replace(question, k=k, machine_made=machine_made or not self.has_both)
        words = IN_WORDS + question.words[0][0] if question.words else ""
        query = question.works[0] if question.positive else words
        later = replace(self.now.select(query), question=question)
        return later.change(**view)

    def _with(self, work_id: str, weight: float, of_works: str, of_words: str) -> dict:
        """Return what is asked of works and words, with one more on the side that is its own."""
        others, words = self._without(work_id), words_of(work_id)
        side, one = of_words if words else of_works, (words or work_id, weight)
        if tidy(work_id) == self.now.query:  # it has its place already, the first
            others[side] = (one, *others[side][1:])
        else:
            others[side] += (one,)
        return others

    def _without(self, work_id: str) -> dict:
        """Return what is asked of works and words beside the selected one, without one of them."""
        now, words = self.now.question, words_of(work_id)

        def rest(side: str, name: str) -> tuple:
            pairs = getattr(now, side)
            return tuple(one for one in pairs if one[0] != name or tidy(work_id) == self.now.query)

        sides = {side: rest(side, work_id) for side in ("positive", "negative")}
        sides |= {side: rest(side, words) for side in ("words", "negative_words")}
        return sides | {"exclude": tuple(one for one in now.exclude if one != work_id)}

    def _check(self, network: str, crop: str, dial: float | None) -> float | None:
        """Return the weight of the dial, rounded; raise for what these searches do not have."""
        if network not in self.titles:
            raise unknown("network", network, self.titles)
        if crop not in self.searches.crops:
            raise unknown("crop", crop, self.searches.crops)
        if dial is not None and not has_dial(self.searches):
            raise ArtsearchError(
                f"the dial is {dial!r}, but these searches have none; take None, the network's "
                "final layer"
            )
        return None if dial is None else round_alpha(dial)

    def _ask(self, now: Moment) -> dict[str, Results]:
        """Ask the network chosen, or all of them, for the neighbours of the query."""
        if now.query not in self.uploads and not words_of(now.query):
            self.collection.row(now.query)
        if self.k_max < 1 and now.query not in self.uploads:
            return {}
        names = list(self.titles) if now.compare else [now.network]
        return {name: self.asking.answer(name, now) for name in names}

    def _asked_of(self, now: Moment) -> list[Search]:
        names = list(self.titles) if now.compare else [now.network]
        return [self.searches[name, now.crop] for name in names]

    def _seek(self) -> None:
        """Seek the motif for which all works were looked at, if it is still what is drawn."""
        wanted, self._wanted = self._wanted, ""
        same = wanted == replace(self.now.question, motif=True).to_link() if wanted else False
        self.change(motif=True) if same and not self.making.said.text else self._tell()

    def _note(self) -> None:
        """Write what was asked and found into the session."""
        for answer in self.answers.values():
            self.session.add(self.now.question, answer, self.now.goal)

    @cached_property
    def _captions(self) -> dict[str, str]:
        """What a search in the drawer looks through, by id."""
        works = self.collection.works.set_index("id").loc[self._ids, list(COLUMNS)]
        return {row[0]: fold(" ".join(row[1:])) for row in works.itertuples()}

    def _shuffle(self, seed: int) -> list[str]:
        """Return all works in random order, those made by a machine after the others."""
        order = np.random.default_rng(seed).permutation(np.array(self._ids, object)).tolist()
        return self.collection.by_hand_first(order)
