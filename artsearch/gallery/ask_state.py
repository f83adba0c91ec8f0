"""What a visitor of the gallery asks beyond "what is near this": verbs, and their question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError
from artsearch.gallery.session import Trail
from artsearch.search.answer import cut
from artsearch.search.matches import Match
from artsearch.search.question import Question, read_link
from artsearch.search.results import Described, Results
from artsearch.search.search import Search
from artsearch.works.images import ImageSource, open_image

if TYPE_CHECKING:
    from artsearch.gallery.state import GalleryState, Moment

Weighed = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Asked:
    """What is asked beside the selected work; the fields are those of Question.

    `weight` is the selected work's own, `liked` are works beside it. `goal` is the work to which
    stepping stones lead, `why` the one whose likeness is explained.
    """

    where: str = ""
    other: tuple[str, ...] = ()
    copies: bool = True
    exclude: tuple[str, ...] = ()
    per: str = ""
    each: int = 1
    weight: float = 1.0
    liked: Weighed = ()
    unliked: Weighed = ()
    part: tuple[float, float, float, float] | None = None
    goal: str = ""
    why: str = ""

    def of_another(self) -> Asked:
        """Return what of it still holds when another work is selected."""
        return Asked(self.where, self.other, self.copies, self.exclude, self.per, self.each)

    def question(self, query: str, k: int) -> Question:
        """Return all of it as a question; raises ArtsearchError where it cannot be asked."""
        return Question(
            like=((query, self.weight), *self.liked),
            unlike=self.unliked,
            where=self.where,
            other=self.other,
            copies=self.copies,
            exclude=self.exclude,
            per=self.per,
            each=self.each,
            part=self.part,
            k=k,
        )


class AskVerbs:
    """The verbs of a GalleryState by which a visitor asks more, and how they are answered."""

    now: Moment
    _go: Callable

    def require(self, where: str) -> None:
        """Ask for works that match a condition; an empty one asks for all."""
        self._ask_more(where=where)

    def differ(self, column: str, on: bool = True) -> None:
        """Leave out works that have the same in a column as the selected one, or let them in."""
        others = tuple(one for one in self.now.asked.other if one != column)
        self._ask_more(other=(*others, column) if on else others)

    def allow_copies(self, on: bool = True) -> None:
        """Show near-duplicates of the selected work, or leave them out."""
        self._ask_more(copies=bool(on))

    def group_by(self, column: str) -> None:
        """Show the nearest in each of a column; "" shows the nearest of all."""
        self._ask_more(per=column, goal="")

    def set_each(self, each: int) -> None:
        """Show so many in each of the column that is grouped by."""
        self._ask_more(each=each)

    def like(self, id: str, weight: float = 1.0) -> None:
        """Ask for works that are like this one too, by weight; the selected one has a weight."""
        self._weigh("liked", id, weight)

    def unlike(self, id: str, weight: float = 1.0) -> None:
        """Ask for works that are not like this one, by weight."""
        self._weigh("unliked", id, weight)

    def leave_out(self, id: str) -> None:
        """Leave a work out of the answers."""
        self._ask_more(exclude=(*(one for one in self.now.asked.exclude if one != id), id))

    def drop(self, id: str) -> None:
        """Take a work out of those liked, not liked, and left out."""
        self._ask_more(**self._without(id))

    def take_part(self, part: tuple[float, float, float, float] | None) -> None:
        """Ask with a part of the selected work: left, top, right, bottom from 0 to 1; None: all."""
        self._ask_more(part=None if part is None else tuple(part), goal="")

    def walk_to(self, id: str | None) -> None:
        """Show stepping stones from the selected work to this one; None shows neighbours again."""
        self._ask_more(goal=id or "")

    def explain(self, id: str | None) -> None:
        """Show the places that match in the selected work and this one; None stops that."""
        self._ask_more(why=id or "")

    def clear(self) -> None:
        """Ask for nothing but what is near the selected work."""
        self._go(asked=Asked())

    def open_link(self, link: str) -> None:
        """Ask what a link asks (see Question.to_link)."""
        try:
            self._go(**self._read(link))
        except ArtsearchError as error:
            self.fail(f"This link cannot be opened: {error}")

    def keep(self, id: str, on: bool = True) -> None:
        """Keep a work in the trail of the session, or let it go."""
        try:
            self.diary.keep(id) if on else self.diary.drop(id)
        except ArtsearchError as error:
            self.error = str(error)
        self._tell()

    def open_trail(self, text: str | bytes) -> None:
        """Go on with a trail that was saved: its JSON."""
        try:
            diary = Trail.from_json(text, self.collection)
            link = diary.steps[-1].link() if diary.steps else ""
            self.diary = diary
            self._go(**self._read(link) if link else {})
            if diary.missing and not self.error:
                self.fail(diary.missing)
        except ArtsearchError as error:
            self.fail(f"This trail cannot be opened: {error}")

    # ---- how ------------------------------------------------------------------------------------

    def link(self) -> str:
        """Return the present question as the end of an address; "" where it has none."""
        now = self.now
        if not self.answers or any(id in self.uploads for id in self.question().works):
            return ""
        view = {"network": now.network, "crop": now.crop, "dial": now.dial}
        return self.question().to_link(**view, goal=now.asked.goal)

    def question(self, now: Moment | None = None) -> Question:
        """Return what is asked at a moment, the present one if none is given."""
        now = now or self.now
        return replace(now.asked.question(now.query, now.k), machine_made=now.machine_made)

    def _read(self: GalleryState, link: str) -> dict:
        """Return the changes that a link asks for."""
        question, view = read_link(link)
        (query, weight), *liked = question.like
        asked = Asked(
            question.where,
            question.other,
            question.copies,
            question.exclude,
            question.per,
            question.each,
            weight,
            tuple(liked),
            question.unlike,
            question.part,
        )
        changes = {name: view[name] for name in ("network", "crop", "dial") if name in view}
        changes["asked"] = replace(asked, goal=view.get("goal", ""))
        changes["k"] = min(question.k, self.k_max)
        changes["machine_made"] = question.machine_made or not self.has_both
        return self._further(query) | changes

    def _ask_more(self, **changes) -> None:
        self._go(asked=replace(self.now.asked, **changes))

    def _weigh(self, side: str, id: str, weight: float) -> None:
        if id == self.now.query and side == "liked":
            return self._ask_more(weight=weight)
        if id == self.now.query:
            return self.fail("The selected work is what is asked for; select another one first.")
        rest = self._without(id)
        self._ask_more(**rest | {side: (*rest[side], (id, weight)), "goal": ""})

    def _without(self, id: str) -> dict:
        asked = self.now.asked
        liked, unliked = (
            tuple(pair for pair in side if pair[0] != id) for side in (asked.liked, asked.unliked)
        )
        exclude = tuple(one for one in asked.exclude if one != id)
        return {"liked": liked, "unliked": unliked, "exclude": exclude}

    def _answer(self: GalleryState, search: Search, network: str, now: Moment) -> Results:
        """Ask one search what is asked at a moment."""
        asked = now.asked
        if asked.goal:
            if now.query in self.uploads:
                raise ArtsearchError(
                    "stepping stones lead from one work of the collection to another; select one"
                )
            left_out = {"exclude": asked.exclude, "machine_made": now.machine_made}
            return search.path(now.query, asked.goal, where=asked.where, **left_out)
        question = self.question(now)
        if question.is_plain and now.query not in self.uploads:
            return search.by_work(now.query, now.k)
        named = [(id, asked.part if id == now.query else None) for id in question.works]
        given = {
            id: self._look(search, network, now, id, part)
            for id, part in named
            if part is not None or id in self.uploads
        }
        if question.is_plain:
            return search.by_vector(given[now.query].row, now.k)
        return search.answer(question, given)

    def _look(self, search: Search, network: str, now: Moment, id: str, part) -> Described:
        """Describe an image or a part of a work, once for all places of the dial."""
        # Turning the dial must not ask the network again.
        key = (id, part, network, now.crop, now.dial is None)
        if key not in self._looked:
            source = self.source(id)
            found = search.look(cut(open_image(source), part) if part else source)
            if id not in self.uploads:  # copies are those of the whole work
                found = found._replace(raw=search.raw.row(id))
            self._looked[key] = found
        return self._looked[key]

    def source(self: GalleryState, id: str) -> ImageSource:
        """Return where the picture of a work or of an image of the visitor's own is."""
        return self.uploads[id][1] if id in self.uploads else self.collection.path(id)

    def matches(self, now: Moment | None = None) -> list[Match]:
        """Return the places that match in the selected work and the one that is explained."""
        now = now or self.now
        key = (now.query, now.asked.part, now.asked.why, now.network, now.crop)
        if key not in self._matches_of:
            part = now.asked.part
            picture = open_image(self.source(now.query))
            search = self._search(now.network, now)
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
