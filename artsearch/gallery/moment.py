"""All that a visitor has chosen and asked, as plain data: a later moment is a new one."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from artsearch.base.errors import unknown
from artsearch.search.question import Question

HISTORY = 50  # queries that are remembered
#: What can be changed of a moment by itself, and of its question.
OWN = ("network", "crop", "dial", "compare", "goal", "why", "tried", "search", "page")
ASKED = tuple(field.name for field in fields(Question))
#: How words begin where else the id of a work stands: they can be selected, liked, and not liked.
IN_WORDS = "in words: "


def words_of(id: str) -> str:
    """Return the words that an id stands for, "" for a work's.

    >>> words_of("in words: a mountain  lake "), words_of("wave.jpg")
    ('a mountain lake', '')
    """
    return " ".join(id.removeprefix(IN_WORDS).split()) if id.startswith(IN_WORDS) else ""


def tidy(id: str) -> str:
    """Return an id in which words are separated by one blank each, and a work's as it is."""
    words = words_of(id)
    return IN_WORDS + words if words else id


def near(query: str) -> dict[str, tuple]:
    """Return what is liked of a Question that asks what is near a work, or near words."""
    words = words_of(query)
    return {"positive": () if words else (query,), "words": ((words, 1.0),) if words else ()}


@dataclass(frozen=True)
class Moment:
    """All that the visitor has chosen.

    `question` is what is asked; the selected work, `query`, is the first of its positive ones, or
    stands for the first of its words (see `words_of`).
    `goal` is the work to which stepping stones lead, `why` the one whose likeness is explained,
    and `tried` whether by experiment too.
    `dial` is the weight of content (0) against style (1), or None for the network's final layer.
    `search`, `page` and `seed` are the drawer's.
    """

    network: str
    crop: str
    question: Question
    history: tuple[str, ...]
    position: int = 0
    dial: float | None = None
    compare: bool = False
    goal: str = ""
    why: str = ""
    tried: bool = False
    search: str = ""
    page: int = 0
    seed: int = 0

    @property
    def query(self) -> str:
        """The id of the selected work, or what stands for words."""
        return self.history[self.position]

    @property
    def plain(self) -> Question:
        """What is asked where nothing but the nearest works is."""
        now = self.question
        return Question(**near(self.query), k=now.k, machine_made=now.machine_made)

    @property
    def depends(self) -> tuple:
        """All of it that the answers depend on."""
        return self.network, self.crop, self.dial, self.compare, self.goal, self.question

    def change(self, **choices) -> Moment:
        """Return the moment with other choices: fields of it or of Question, by name."""
        for name in choices:
            if name not in OWN + ASKED:
                raise unknown("choice", name, OWN + ASKED)
        asked = {name: value for name, value in choices.items() if name in ASKED}
        own = {name: value for name, value in choices.items() if name in OWN}
        own = {"tried": False} | own if "why" in own else own
        return replace(self, question=replace(self.question, **asked), **own)

    def select(self, work_id: str) -> Moment:
        """Return the moment in which another work is selected; what lay ahead is forgotten."""
        history = (*self.history[: self.position + 1], tidy(work_id))[-HISTORY:]
        return replace(self, history=history).go_to(len(history) - 1)

    def go_to(self, position: int) -> Moment:
        """Return the moment at a position of the history, or at its end.

        What was asked about the work before is forgotten, what was asked of the answers is not.
        """
        position = max(0, min(position, len(self.history) - 1))
        query = self.history[position]
        forgotten = {"negative": (), "negative_words": (), "region": None, "motif": False}
        question = replace(self.question, **near(query), **forgotten)
        return replace(self, position=position, question=question, goal="", why="", tried=False)
