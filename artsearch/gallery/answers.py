"""Answering what a visitor asks, also of images of one's own and of regions of works."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Thread
from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import count_of, say_seconds
from artsearch.gallery.asked import Asked, words_of
from artsearch.search.answer import cut
from artsearch.search.experiment import Experiment, experiment
from artsearch.search.matches import Match
from artsearch.search.question import Region
from artsearch.search.results import Described, Results
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource, open_image

if TYPE_CHECKING:
    from artsearch.points.motifs import Motifs

#: Seconds that it may take until motifs can be asked for without being offered first.
SOON = 5
OFFER = "Look at all works"


@dataclass(frozen=True)
class Said:
    """What is said beside a work: a sentence, what a button offers, and whether it is under way."""

    text: str = ""
    offer: str = ""
    busy: bool = False


class Making:
    """Makes what finds motifs, on a thread of its own where that takes long.

    `tell` is called with a sentence on how far it is, `changed` when it is there; on that thread.
    """

    def __init__(self, changed: Callable[[], None]):
        self.tell: Callable[[str], None] = lambda sentence: None
        self.said = Said()
        self._changed, self._thread = changed, Thread()

    def is_there(self, searches: Sequence[Search]) -> bool:
        """Tell whether motifs can be asked for at once; else say what it takes."""
        if self.said.busy:
            return False
        missing = [_motifs().missing(one.collection, one.extractor, one.out) for one in searches]
        works, seconds = (sum(column) for column in zip(*missing, strict=True))
        self.said = Said()
        if seconds <= SOON:
            return True
        cost = f"What is where in {count_of(works, 'work')} is looked at first, once"
        self.said = Said(f"{cost}: about {say_seconds(seconds)}.", OFFER)
        return False

    def begin(self, searches: Sequence[Search]) -> None:
        """Begin to make it, where it is not under way; return at once."""
        if not self.said.busy:
            self.said = Said("Looking at what is where …", busy=True)
            self._thread = Thread(target=self._make, args=(searches,), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait until it is made."""
        if self._thread.ident is not None:
            self._thread.join()

    def _make(self, searches: Sequence[Search]) -> None:
        try:
            for one in searches:
                _motifs().of(one.collection, one.extractor, one.out, False, self.tell)
            self.said = Said()
        # On a thread nobody sees what goes wrong.
        except Exception as error:
            self.said = Said(f"Motifs cannot be sought: {error}")
        self._changed()


class Answers:
    """A collection and its searches, asked one thing after the other.

    `uploads` are images of the visitor's own by id: name and JPEG. `out` is where files are kept.
    """

    def __init__(
        self,
        collection: Collection,
        searches: Mapping[tuple[str, str], Search],
        out: str | os.PathLike = "build",
    ):
        self.collection, self.searches, self.out = collection, searches, out
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self._looked: dict[tuple, Described] = {}
        self._matches_of: dict[tuple, list[Match]] = {}
        self._experiments: dict[tuple, Experiment] = {}

    def search(self, asked: Asked) -> Search:
        """Return what a question is put to."""
        if asked.dial is None or asked.question.motif:  # which has no content and no style
            return self.searches[asked.network, asked.crop]
        return self.searches.dial(asked.network, asked.crop, asked.dial)

    def answer(self, asked: Asked) -> Results:
        """Ask one network what is asked."""
        if asked.query not in self.uploads and not words_of(asked.query):
            self.collection.row(asked.query)
        question, search = asked.question, self.search(asked)
        if asked.goal:
            if asked.query in self.uploads or words_of(asked.query):
                raise ArtsearchError(
                    "stepping stones lead from one work of the collection to another; select one"
                )
            left_out = {"exclude": question.exclude, "machine_made": question.machine_made}
            return search.path(asked.query, asked.goal, where=question.where, **left_out)
        if question.is_plain and asked.query not in self.uploads:
            return search.by_work(asked.query, question.k)
        if question.motif:
            own = {id: self.source(id) for id in question.works if id in self.uploads}
            return search.answer(question, own)
        named = [(id, question.region if id == asked.query else None) for id in question.works]
        given = {
            id: self._look(search, asked, id, region)
            for id, region in named
            if region is not None or id in self.uploads
        }
        if question.is_plain:
            return search.by_vector(given[asked.query].row, question.k)
        return search.answer(question, given)

    def _look(self, search: Search, asked: Asked, work_id: str, region) -> Described:
        """Describe an image or a region of a work, once for all weights of the dial."""
        # Turning the dial must not ask the network again.
        key = (work_id, region, asked.network, asked.crop, asked.dial is None)
        if key not in self._looked:
            source = self.source(work_id)
            found = search.look(cut(open_image(source), region) if region else source)
            if work_id not in self.uploads:  # copies are those of the whole work
                found = found._replace(raw=search.raw.row(work_id))
            self._looked[key] = found
        return self._looked[key]

    def source(self, work_id: str) -> ImageSource:
        """Return where the picture of a work or of an image of the visitor's own is."""
        return (
            self.uploads[work_id][1] if work_id in self.uploads else self.collection.path(work_id)
        )

    def matches(self, asked: Asked, other: str) -> list[Match]:
        """Return the places that match in the selected work and another one."""
        if words_of(asked.query):
            raise ArtsearchError("words have no places that could match; select a work first")
        region = asked.question.region
        key = (asked.query, region, other, asked.network, asked.crop)
        if key not in self._matches_of:
            picture = open_image(self.source(asked.query))
            found = self.search(asked).why(cut(picture, region) if region else picture, other)
            self._matches_of[key] = [_in_whole(match, region) for match in found]
        return self._matches_of[key]

    def experiment(self, asked: Asked, other: str) -> Experiment:
        """Return where another work comes when the selected one is changed."""
        question = asked.question
        key = (question, other, asked.network, asked.crop, asked.dial)
        if key not in self._experiments:
            search = self.search(asked)
            others = [id for id in question.works if id in self.uploads and id != asked.query]
            given = {id: self._look(search, asked, id, None) for id in others}
            found = experiment(search, question, other, self.source(asked.query), given)
            self._experiments[key] = found
        return self._experiments[key]


def _motifs() -> type[Motifs]:
    # Here, since it brings torch, which most visits do without.
    from artsearch.points.motifs import Motifs

    return Motifs


def _in_whole(match: Match, region: Region | None) -> Match:
    """Return a match whose first place is given in the whole work, not in a region of it."""
    left, top, right, bottom = region or (0, 0, 1, 1)
    width, height = right - left, bottom - top
    x0, y0, x1, y1 = match.first
    first = left + x0 * width, top + y0 * height, left + x1 * width, top + y1 * height
    return replace(match, first=first)
