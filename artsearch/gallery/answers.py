"""Answering what a visitor asks at a moment, also of images of one's own and of parts of works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from artsearch.base.errors import ArtsearchError
from artsearch.gallery.moment import Moment
from artsearch.search.answer import cut
from artsearch.search.matches import Match
from artsearch.search.results import Described, Results
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource, open_image


class Answers:
    """A collection and its searches, asked at one moment after the other.

    `uploads` are images of the visitor's own by id: name and JPEG.
    """

    def __init__(self, collection: Collection, searches: Mapping[tuple[str, str], Search]):
        self.collection, self.searches = collection, searches
        self.uploads: dict[str, tuple[str, bytes]] = {}
        self._looked: dict[tuple, Described] = {}
        self._matches_of: dict[tuple, list[Match]] = {}

    def search(self, network: str, now: Moment) -> Search:
        if now.dial is None:
            return self.searches[network, now.crop]
        return self.searches.dial(network, now.crop, now.dial)

    def answer(self, network: str, now: Moment) -> Results:
        """Ask one network what is asked at a moment."""
        asked, search = now.asked, self.search(network, now)
        if asked.goal:
            if now.query in self.uploads:
                raise ArtsearchError(
                    "stepping stones lead from one work of the collection to another; select one"
                )
            left_out = {"exclude": asked.exclude, "machine_made": now.machine_made}
            return search.path(now.query, asked.goal, where=asked.where, **left_out)
        question = now.question()
        if question.is_plain and now.query not in self.uploads:
            return search.by_work(now.query, now.k)
        named = [(id, asked.region if id == now.query else None) for id in question.works]
        given = {
            id: self._look(search, network, now, id, part)
            for id, part in named
            if part is not None or id in self.uploads
        }
        if question.is_plain:
            return search.by_vector(given[now.query].row, now.k)
        return search.answer(question, given)

    def _look(self, search: Search, network: str, now: Moment, work_id: str, part) -> Described:
        """Describe an image or a part of a work, once for all places of the dial."""
        # Turning the dial must not ask the network again.
        key = (work_id, part, network, now.crop, now.dial is None)
        if key not in self._looked:
            source = self.source(work_id)
            found = search.look(cut(open_image(source), part) if part else source)
            if work_id not in self.uploads:  # copies are those of the whole work
                found = found._replace(raw=search.raw.row(work_id))
            self._looked[key] = found
        return self._looked[key]

    def source(self, work_id: str) -> ImageSource:
        """Return where the picture of a work or of an image of the visitor's own is."""
        return (
            self.uploads[work_id][1] if work_id in self.uploads else self.collection.path(work_id)
        )

    def matches(self, now: Moment) -> list[Match]:
        """Return the places that match in the selected work and the one that is explained."""
        key = (now.query, now.asked.region, now.asked.why, now.network, now.crop)
        if key not in self._matches_of:
            part = now.asked.region
            picture = open_image(self.source(now.query))
            search = self.search(now.network, now)
            found = search.why(cut(picture, part) if part else picture, now.asked.why)
            self._matches_of[key] = [_place_in(match, part) for match in found] if part else found
        return self._matches_of[key]


def _place_in(match: Match, part: tuple[float, float, float, float]) -> Match:
    """Return a match whose first place is given in the whole work, not in a part of it."""
    left, top, right, bottom = part
    spans = ((left, right), (top, bottom)) * 2
    first = (
        start + share * (end - start)
        for share, (start, end) in zip(match.first, spans, strict=True)
    )
    return replace(match, first=tuple(first))
