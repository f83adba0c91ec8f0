"""A session: what was asked, seen and kept, in a file to come back to."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from artsearch.base.disk import fingerprint
from artsearch.base.text import cut_text, disarm, shorten, write_number
from artsearch.gallery.session_file import read_file, read_session, write_session
from artsearch.search.question import Question, Region
from artsearch.search.results import Neighbour, Results
from artsearch.search.wording import EXPORTED
from artsearch.works.collection import Collection

#: Characters of a text in a table: a spreadsheet takes 32,767 in a cell, and nobody reads them.
MOST_TEXT = 1_000
#: Columns of the table.
ASKED = ("step", "at", "asked", "link", "network", "crop", "dial")
FOUND = ("rank", "distance", "group", "id")


@dataclass(frozen=True)
class Step:
    """A question as it was put to one search, and the works that answered, nearest first.

    `groups` is empty, or has what each work has in the column `question.group_by`. `at` is the
    time in ISO 8601, UTC. `goal` is the work that waypoints lead to. `own` names what of the
    question is no work of the collection, but an image of the visitor's own.
    """

    question: Question
    network: str
    crop: str
    dial: float | None
    ids: tuple[str, ...]
    distances: tuple[float, ...]
    groups: tuple[str, ...]
    notes: tuple[str, ...]
    at: str
    goal: str = ""
    own: tuple[str, ...] = ()
    metric: str = "angular"

    @property
    def works(self) -> tuple[str, ...]:
        """The works that are asked for, those liked first."""
        return (*self.question.works, *([self.goal] if self.goal else []))

    @property
    def grouped(self) -> Iterator[tuple[str, float, str]]:
        """The works that answered, as id, distance and group."""
        return zip(self.ids, self.distances, self.groups or [""] * len(self.ids), strict=True)

    def link(self) -> str:
        """Return the question as the end of an address; "" where it holds an image of one's own."""
        view = {"network": self.network, "crop": self.crop, "dial": self.dial, "goal": self.goal}
        return "" if self.own else self.question.to_link(**view)

    def repeats(self, other: Step) -> bool:
        """Tell whether this is the same question to the same search, with the same answer."""
        return self == replace(other, at=self.at)


class Session:
    """What was asked of a collection in a session, and which works were kept.

    `steps` are in order, `kept` maps ids to notes. `collection` is the one at hand, `origin` says
    which one was asked: its name, and a fingerprint of its ids.
    """

    def __init__(self, collection: Collection, title: str = ""):
        self.collection = collection
        self.title = _mend(title)
        self.steps: list[Step] = []
        self.kept: dict[str, str] = {}
        self.origin = _identify(collection)

    def __repr__(self) -> str:
        return f"<Session of {len(self.steps):,} steps through {self.origin['name']}>"

    def add(self, question: Question, answer: Results, goal: str = "") -> None:
        """Note a question and its answer; the same ones again at once are not noted again."""
        provenance, named = answer.provenance, (*question.works, *([goal] if goal else []))
        groups = tuple(work.group for work in answer)
        step = Step(
            question,
            provenance.get("network", ""),
            provenance.get("crop", ""),
            provenance.get("dial"),
            tuple(answer.ids),
            tuple(map(float, answer.distances)),
            groups if any(groups) else (),
            answer.notes,
            datetime.now(UTC).isoformat(timespec="seconds"),
            goal,
            tuple(id for id in named if id not in self.collection),
            answer.metric,
        )
        # Several networks side by side are asked the same one after the other.
        for before in reversed(self.steps):
            if (before.question, before.goal) != (question, goal):
                break
            if step.repeats(before):
                return
        self.steps.append(step)

    def keep(self, work_id: str, note: str = "") -> None:
        """Keep a work, with a note; raises ArtsearchError for one that is not there."""
        if work_id not in self.kept:
            self.collection.row(work_id)
        self.kept[work_id] = _mend(note)

    def drop(self, work_id: str) -> None:
        """Keep a work no longer."""
        self.kept.pop(work_id, None)

    @property
    def missing(self) -> str:
        """A sentence on the works that this session names and the collection lacks; "" if none."""
        gone = dict.fromkeys(self.kept)
        for step in self.steps:
            named = (*step.ids, *step.works, *step.question.exclude)
            gone |= dict.fromkeys(id for id in named if id not in step.own)
        gone = [id for id in gone if id not in self.collection]
        if not gone:
            return ""
        count = "1 work" if len(gone) == 1 else f"{len(gone):,} works"
        named = _join([repr(shorten(id, 60)) for id in gone], most=4)
        return f"{_mend(self.collection.name)} lacks {count} of this session: {named}."

    @property
    def is_elsewhere(self) -> bool:
        """Whether the collection at hand has other works than the one that was asked."""
        return self.origin["fingerprint"] != _identify(self.collection)["fingerprint"]

    def results(self, step: Step) -> Results:
        """Return the answer of a step for showing again, without works that the collection lacks.

        A note says how many these are.
        """
        there = [one for one in step.grouped if one[0] in self.collection]
        neighbours = (Neighbour(id, far, self.collection.caption(id), of) for id, far, of in there)
        gone = len(step.ids) - len(there)
        notes = (f"No longer in the collection: {gone:,} of the works.",) if gone else ()
        provenance = {"network": step.network, "crop": step.crop}
        if step.dial is not None:
            provenance["dial"] = step.dial
        works = step.question.works
        query = works[0] if len(works) == 1 and works[0] in self.collection else None
        return Results(
            query, tuple(neighbours), step.metric, provenance, step.question, (*step.notes, *notes)
        )

    # ---- as a file ------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike, collection: Collection) -> Session:
        """Open a session that was saved; raises ArtsearchError for a file that is none."""
        return cls.from_json(read_file(Path(path)), collection)

    @classmethod
    def from_json(cls, text: str | bytes, collection: Collection) -> Session:
        """Return a session from its JSON; raises ArtsearchError for what is none.

        Works that the collection lacks stay in it as ids; `missing` names them.
        """
        data = read_session(text)
        session = cls(collection, data["title"])
        session.origin, session.kept = data["collection"], data["kept"]
        session.steps = [Step(**step) for step in data["steps"]]
        return session

    def to_json(self) -> str:
        """Return the session as JSON, from which `from_json` makes the same."""
        steps = [vars(step) | {"question": step.question.to_link()} for step in self.steps]
        about = {"title": self.title, "collection": self.origin, "kept": self.kept}
        return write_session(about | {"steps": steps})

    def to_csv(self) -> str:
        """Return a table with a row a work seen; works kept that no step found come last.

        Texts that a spreadsheet would take for a formula begin with an apostrophe, and texts are
        cut after 1,000 characters; links and ids are whole.
        """
        out = io.StringIO(newline="")
        table = csv.writer(out)
        table.writerow([*ASKED, *FOUND, *EXPORTED, "kept", "note"])
        known, left = cache(partial(self._known, EXPORTED)), dict(self.kept)
        for number, step in enumerate(self.steps, 1):
            asked = [number, step.at, *map(disarm, self._asked(step))]
            for rank, (id, distance, group) in enumerate(step.grouped, 1):
                left.pop(id, None)
                table.writerow([*asked, rank, distance, _cell(group), *known(id)])
        nothing = [""] * (len(ASKED) + len(FOUND) - 1)
        table.writerows([*nothing, *known(id)] for id in left)
        return out.getvalue()

    def _asked(self, step: Step) -> tuple[str, ...]:
        dial = "" if step.dial is None else write_number(step.dial)
        words = describe(step.question, self.collection, step.goal)
        return words, step.link(), step.network, step.crop, dial

    def _known(self, columns: Sequence[str], work_id: str) -> list[str]:
        """Return the cells on a work from its id on."""
        work = {}
        if work_id in self.collection:
            work = self.collection.work(work_id) | {"caption": self.collection.caption(work_id)}
        about = (_cell(work.get(column, "")) for column in columns)
        kept = "yes" if work_id in self.kept else ""
        return [disarm(work_id), *about, kept, _cell(self.kept.get(work_id, ""))]


def describe(question: Question, collection: Collection, goal: str = "") -> str:
    """Return a question in words; `goal` is the work to which stepping stones lead.

    >>> collection = Collection("data/paintings")
    >>> lion = "albrecht-durer_lion.jpg"
    >>> prints = 'style == "Ukiyo-e"'
    >>> describe(Question(lion, where=prints, near_duplicates=False), collection)
    'Near Lion (Albrecht Dürer); only style == "Ukiyo-e"; without near-duplicates'
    """

    def name(works: Iterable[tuple[str, float]]) -> str:
        return _join([_name(id, collection) + _weight(weight) for id, weight in works])

    first, *more = question.positive
    way = f"Stepping stones from {name([first])} to {_name(goal, collection)}"
    parts = [
        way if goal else f"Near {name([first])}",
        more and f"like also {name(more)}",
        question.negative and f"not like {name(question.negative)}",
    ]
    exclude = [(id, 1.0) for id in question.exclude]
    others = [shorten(column, 80) for column in question.exclude_same]
    conditions = [
        question.region and f"the part {_part(question.region)}",
        question.where and f"only {shorten(question.where, 300)}",
        others and f"not of the same {_join(others, ' or ')}",
        "" if question.near_duplicates else "without near-duplicates",
        "" if question.machine_made else "without works made by a machine",
        exclude and f"without {name(exclude)}",
        question.group_by
        and f"the {_nearest(question.group_size)} in each {shorten(question.group_by, 80)}",
    ]
    return "; ".join(filter(None, [", ".join(filter(None, parts)), *conditions]))


def _name(work_id: str, collection: Collection) -> str:
    if work_id not in collection:
        return shorten(work_id, 80)
    work = collection.work(work_id)
    artist = shorten(work["artist"], 60)
    return shorten(work["title"], 80) + (f" ({artist})" if artist else "")


def _weight(weight: float) -> str:
    return "" if weight == 1 else f" (weight {write_number(weight)})"


def _part(part: Region) -> str:
    left, top, right, bottom = (f"{100 * end:.0f}" for end in part)
    return f"from {left} to {right} % of the width and from {top} to {bottom} % of the height"


def _nearest(each: int) -> str:
    return "nearest" if each == 1 else f"{each:,} nearest"


def _join(names: Sequence[str], last: str = " and ", most: int = 6) -> str:
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1:,} more"]
    return last.join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _cell(text: str) -> str:
    return disarm(cut_text(text, MOST_TEXT))


def _mend(text: str) -> str:
    """Return a text without halves of characters: browsers send them, and no file can hold them."""
    return text.encode("utf-8", "replace").decode()


def _identify(collection: Collection) -> dict:
    ids = fingerprint((id, "") for id in collection)
    return {"name": _mend(collection.name), "works": len(collection), "fingerprint": ids}
