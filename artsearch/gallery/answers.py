"""Answering what a visitor asks, also of images of one's own and of regions of works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from artsearch.base.errors import ArtsearchError
from artsearch.gallery.moment import Moment, words_of
from artsearch.search.answer import cut
from artsearch.search.experiment import Experiment, experiment
from artsearch.search.matches import Match
from artsearch.search.question import Region
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
        self._experiments: dict[tuple, Experiment] = {}

    def search(self, network: str, now: Moment) -> Search:
        if now.dial is None:
            return self.searches[network, now.crop]
        return self.searches.dial(network, now.crop, now.dial)

    def answer(self, network: str, now: Moment) -> Results:
        """Ask one network what is asked at a moment."""
        question, search = now.question, self.search(network, now)
        if now.goal:
            if now.query in self.uploads or words_of(now.query):
                raise ArtsearchError(
                    "stepping stones lead from one work of the collection to another; select one"
                )
            left_out = {"exclude": question.exclude, "machine_made": question.machine_made}
            return search.path(now.query, now.goal, where=question.where, **left_out)
        if question.is_plain and now.query not in self.uploads:
            return search.by_work(now.query, question.k)
        named = [(id, question.region if id == now.query else None) for id in question.works]
        given = {
            id: self._look(search, network, now, id, region)
            for id, region in named
            if region is not None or id in self.uploads
        }
        if question.is_plain:
            return search.by_vector(given[now.query].row, question.k)
        return search.answer(question, given)

    def _look(self, search: Search, network: str, now: Moment, work_id: str, region) -> Described:
        """Describe an image or a region of a work, once for all weights of the dial."""
        # Turning the dial must not ask the network again.
        key = (work_id, region, network, now.crop, now.dial is None)
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

    def matches(self, now: Moment) -> list[Match]:
        """Return the places that match in the selected work and the one that is explained."""
        if words_of(now.query):
            raise ArtsearchError("words have no places that could match; select a work first")
        region = now.question.region
        key = (now.query, region, now.why, now.network, now.crop)
        if key not in self._matches_of:
            picture = open_image(self.source(now.query))
            search = self.search(now.network, now)
            found = search.why(cut(picture, region) if region else picture, now.why)
            self._matches_of[key] = [_in_whole(match, region) for match in found]
        return self._matches_of[key]

    def experiment(self, now: Moment) -> Experiment:
        """Return where the work that is explained comes when the selected one is changed."""
        question = now.question
        key = (question, now.why, now.network, now.crop, now.dial)
        if key not in self._experiments:
            search = self.search(now.network, now)
            others = [id for id in question.works if id in self.uploads and id != now.query]
            given = {id: self._look(search, now.network, now, id, None) for id in others}
            found = experiment(search, question, now.why, self.source(now.query), given)
            self._experiments[key] = found
        return self._experiments[key]


def _in_whole(match: Match, region: Region | None) -> Match:
    """Return a match whose first place is given in the whole work, not in a region of it."""
    left, top, right, bottom = region or (0, 0, 1, 1)
    width, height = right - left, bottom - top
    x0, y0, x1, y1 = match.first
    first = left + x0 * width, top + y0 * height, left + x1 * width, top + y1 * height
    return replace(match, first=first)
