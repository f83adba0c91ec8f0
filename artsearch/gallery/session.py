"""A session: what was asked, seen and kept, in a file to come back to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field, PlainSerializer, PlainValidator

from artsearch.base.disk import fingerprint
from artsearch.base.errors import ArtsearchError
from artsearch.base.text import shorten
from artsearch.index.metrics import METRICS
from artsearch.search.question import Question, read_link
from artsearch.search.rarity import Rarity
from artsearch.search.results import Neighbour, Results
from artsearch.works.collection import Collection

FORMAT, VERSION = "artsearch session", 2
#: Bytes of the largest session that is written and read: some thousands of steps.
LARGEST = 20_000_000
SAVED = "choose a file that was saved as a session"


def _read_question(link: object) -> Question:
    if not isinstance(link, str):
        raise ValueError("a question is written as a link")
    return read_link(link)[0]


def _check_time(at: str) -> str:
    if datetime.fromisoformat(at).astimezone(UTC).isoformat(timespec="seconds") != at:
        raise ValueError("a time is written as 2026-01-31T23:59:59+00:00, in UTC")
    return at


# pydantic.FailFast: of a list of millions of wrong things, one is enough to say.
_Texts = Annotated[tuple[str, ...], pydantic.FailFast()]


_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Place:
    """Where a work has the motif that was asked for, and how much of that is found again there."""

    region: tuple[_Share, _Share, _Share, _Share]
    share: _Share


@dataclass(frozen=True)
class Step:
    """A question as it was put to one search, and the works that answered, nearest first.

    `groups` is empty, or has what each work has in the column `question.group_by`. `at` is the
    time in ISO 8601, UTC. `goal` is the work that waypoints lead to. `own` names what of the
    question is no work of the collection, but an image of the visitor's own. `rarities` is empty
    where none is known, and in files that were saved before they were noted; so is `places` where
    no motif was asked for. The types say, too, how a step stands in a file.
    """

    question: Annotated[Question, PlainValidator(_read_question), PlainSerializer(Question.to_link)]
    network: str
    crop: str
    dial: _Share | None
    ids: _Texts
    distances: Annotated[tuple[float, ...], pydantic.FailFast()]
    groups: _Texts
    notes: _Texts
    at: Annotated[str, pydantic.AfterValidator(_check_time)]
    goal: str
    own: _Texts
    metric: Literal[tuple(METRICS)]
    rarities: Annotated[tuple[Rarity | None, ...], pydantic.FailFast()] = ()
    places: Annotated[tuple[Place | None, ...], pydantic.FailFast()] = ()

    def __post_init__(self):
        works = len(self.ids)
        others = {len(self.groups), len(self.rarities), len(self.places)}
        if len(self.distances) != works or others - {0, works}:
            raise ValueError("it has not as many distances, groups, rarities or places as works")

    @property
    def works(self) -> tuple[str, ...]:
        """The works that are asked for, those liked first."""
        return (*self.question.works, *([self.goal] if self.goal else []))

    @property
    def found(self) -> Iterator[tuple[str, float, str, Rarity | None, Place | None]]:
        """The works that answered, as id, distance, group, rarity and place of a motif."""
        more = self.groups or repeat(""), self.rarities or repeat(None), self.places or repeat(None)
        return zip(self.ids, self.distances, *more, strict=False)

    def link(self) -> str:
        """Return the question as the end of an address; "" where it holds an image of one's own."""
        view = {"network": self.network, "crop": self.crop, "dial": self.dial, "goal": self.goal}
        return "" if self.own else self.question.to_link(**view)


@dataclass(frozen=True)
class Origin:
    """Which collection was asked: its name, its works, and a fingerprint of their ids."""

    name: str
    works: int
    fingerprint: str

    @classmethod
    def of(cls, collection: Collection) -> Origin:
        """Describe a collection."""
        ids = fingerprint((id, "") for id in collection)
        return cls(mend(collection.name), len(collection), ids)


@dataclass(frozen=True)
class SessionFile:
    """What stands in the file of a session."""

    # NaN is written as what it is, so that reading what was written refuses it.
    __pydantic_config__ = pydantic.ConfigDict(
        strict=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )

    version: Literal[VERSION]
    format: Literal[FORMAT]
    title: str
    collection: Origin
    kept: dict[str, str]
    steps: Annotated[list[Step], pydantic.FailFast()]


_FORM = pydantic.TypeAdapter(SessionFile)


class Session:
    """What was asked of a collection in a session, and which works were kept.

    `steps` are in order, `kept` maps ids to notes. `collection` is the one at hand, `origin` says
    which one was asked.
    """

    def __init__(self, collection: Collection, title: str = ""):
        self.collection = collection
        self.title = mend(title)
        self.steps: list[Step] = []
        self.kept: dict[str, str] = {}
        self.origin = Origin.of(collection)

    def __repr__(self) -> str:
        return f"<Session of {len(self.steps):,} steps through {self.origin.name}>"

    def add(self, question: Question, answer: Results, goal: str = "") -> None:
        """Note a question and its answer; the same ones again at once are not noted again."""
        provenance, groups = answer.provenance, tuple(work.group for work in answer)
        rarities = tuple(work.rarity for work in answer)
        places = tuple(work.region and Place(work.region, work.share) for work in answer)
        named = (*question.works, *([goal] if goal else []))
        step = Step(
            question=question,
            network=provenance.get("network", ""),
            crop=provenance.get("crop", ""),
            dial=provenance.get("dial"),
            ids=tuple(answer.ids),
            distances=tuple(map(float, answer.distances)),
            groups=groups if any(groups) else (),
            notes=answer.notes,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            goal=goal,
            own=tuple(id for id in named if id not in self.collection),
            metric=answer.metric,
            rarities=rarities if any(rarities) else (),
            places=places if any(places) else (),
        )
        # Several networks side by side are asked the same one after the other.
        for before in reversed(self.steps):
            if (before.question, before.goal) != (question, goal):
                break
            if step == replace(before, at=step.at):
                return
        self.steps.append(step)

    def keep(self, work_id: str, note: str = "") -> None:
        """Keep a work, with a note; raises ArtsearchError for one that is not there."""
        if work_id not in self.kept:
            self.collection.row(work_id)
        self.kept[work_id] = mend(note)

    def drop(self, work_id: str) -> None:
        """Keep a work no longer."""
        self.kept.pop(work_id, None)

    @property
    def missing(self) -> str:
        """A sentence on the works that this session names and the collection lacks; "" if none."""
        named = dict.fromkeys(self.kept)
        for step in self.steps:
            works = (*step.ids, *step.works, *step.question.exclude)
            named |= dict.fromkeys(id for id in works if id not in step.own)
        gone = [repr(shorten(id, 60)) for id in named if id not in self.collection]
        if not gone:
            return ""
        count = "1 work" if len(gone) == 1 else f"{len(gone):,} works"
        name = mend(self.collection.name)
        return f"{name} lacks {count} of this session: {join_names(gone, most=4)}."

    @property
    def is_elsewhere(self) -> bool:
        """Whether the collection at hand has other works than the one that was asked."""
        return self.origin.fingerprint != Origin.of(self.collection).fingerprint

    def results(self, step: Step) -> Results:
        """Return the answer of a step for showing again, without works that the collection lacks.

        A note says how many these are.
        """
        rarities = dict(zip(step.ids, step.rarities, strict=False))
        rate = (lambda: rarities) if rarities else None
        found = tuple(
            Neighbour(id, distance, self.collection.caption(id), group, rate=rate)
            if place is None
            else Neighbour(
                id, distance, self.collection.caption(id), region=place.region, share=place.share
            )
            for id, distance, group, _, place in step.found
            if id in self.collection
        )
        gone = len(step.ids) - len(found)
        asked = [thing for thing, _ in (*step.question.liked, *step.question.unliked)]
        notes = (f"No longer in the collection: {gone:,} of the works.",) if gone else ()
        provenance = {"network": step.network, "crop": step.crop, "dial": step.dial}
        provenance = {name: value for name, value in provenance.items() if value is not None}
        query = asked[0] if len(asked) == 1 and asked[0] in self.collection else None
        return Results(query, found, step.metric, provenance, step.question, (*step.notes, *notes))

    # ---- as a file ------------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | os.PathLike, collection: Collection) -> Session:
        """Open a session that was saved; raises ArtsearchError for a file that is none."""
        path = Path(path)
        try:
            found = path.stat()
            # Opening a pipe would wait for ever for somebody to write into it.
            if not stat.S_ISREG(found.st_mode):
                raise ArtsearchError(f"{str(path)!r} is not a file; {SAVED}")
            _refuse_large(found.st_size)
            return cls.from_json(path.read_bytes(), collection)
        except OSError as error:
            raise ArtsearchError(f"cannot read {str(path)!r} ({error.strerror}); {SAVED}") from None

    @classmethod
    def from_json(cls, text: str | bytes, collection: Collection) -> Session:
        """Return a session from its JSON; raises ArtsearchError for what is none.

        Works that the collection lacks stay in it as ids; `missing` names them.
        """
        _refuse_large(len(text))
        found = _read(text, "read", SAVED)
        session = cls(collection, found.title)
        session.origin, session.kept, session.steps = found.collection, found.kept, found.steps
        return session

    def to_json(self) -> str:
        """Return the session as JSON, from which `from_json` makes the same.

        Raises ArtsearchError for what could not be read again.
        """
        file = SessionFile(VERSION, FORMAT, self.title, self.origin, self.kept, self.steps)
        text = _FORM.dump_json(file, indent=1, warnings=False)
        if len(text) > LARGEST:
            raise ArtsearchError(
                f"this session takes more than the {_MB} that can be opened again; save it as a "
                "table or a page, and begin a new one"
            )
        _read(text, "saved", "take it out of the session")
        return text.decode()


def mend(text: str) -> str:
    """Return a text without halves of characters: browsers send them, and no file can hold them."""
    return text.encode("utf-8", "replace").decode()


def join_names(names: Sequence[str], last: str = " and ", most: int = 6) -> str:
    """Return names as a list in a sentence; of more than `most`, how many more there are.

    >>> join_names(["a", "b", "c", "d"], most=3)
    'a, b and 2 more'
    """
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1:,} more"]
    return last.join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _read(text: str | bytes, done: str, hint: str) -> SessionFile:
    """Return what stands in a file, or raise the first complaint about it as one sentence."""
    try:
        return _FORM.validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
    if first["loc"] == ("version",) and isinstance(first["input"], int):
        raise ArtsearchError(
            f"this session is of format {first['input']}, and this artsearch reads format "
            f"{VERSION}; open it in the artsearch that saved it, or ask its questions again: each "
            "stands in the file as a link, to be put behind the address of the gallery"
        )
    place = " ".join(str(one + 1 if isinstance(one, int) else one) for one in first["loc"])
    where = f" at {place[:80]!r}" if place else ""
    raise ArtsearchError(
        f"this session cannot be {done}{where}: {' '.join(first['msg'].split())[:300]}; {hint}"
    )


def _refuse_large(size: int) -> None:
    if size > LARGEST:
        raise ArtsearchError(f"{size / 1e6:,.0f} MB are too much for a session of {_MB}; {SAVED}")


_MB = f"{LARGEST / 1e6:.0f} MB"
