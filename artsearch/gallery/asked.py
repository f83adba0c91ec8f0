"""What is asked of a gallery, as plain data: a question, and what it is put to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from artsearch.search.question import Question

#: How words begin where else the id of a work stands: they can be selected, liked, and not liked.
IN_WORDS = "in words: "
#: How the id of a visitor's own image begins.
UPLOADED = "your image: "


def words_of(id: str) -> str:
    """Return the words that an id stands for, "" for a work's.

    >>> words_of("in words: a mountain  lake "), words_of("wave.jpg")
    ('a mountain lake', '')
    """
    return " ".join(id.removeprefix(IN_WORDS).split()) if id.startswith(IN_WORDS) else ""


def near(id: str) -> dict[str, tuple]:
    """Return what is liked of a Question that asks what is near a work, or near words."""
    words = words_of(id)
    return {"positive": () if words else (id,), "words": ((words, 1.0),) if words else ()}


def query_in(question: Question) -> str:
    """Return what is selected where a question is asked: the first of what it likes."""
    return question.positive[0][0] if question.positive else IN_WORDS + question.words[0][0]


@dataclass(frozen=True)
class Asked:
    """A question, the search that it is put to, and the work to which stepping stones lead.

    `dial` is the weight of content (0) against style (1), or None for the network's final layer.
    With `compare` all networks are asked, side by side. `query` is the selected work, or what
    stands for words: the first of what is liked, if not said otherwise.
    """

    network: str
    crop: str
    question: Question
    dial: float | None = None
    compare: bool = False
    goal: str = ""
    query: str = ""

    def __post_init__(self):
        if not self.query:
            object.__setattr__(self, "query", query_in(self.question))

    def select(self, query: str) -> Asked:
        """Return this for another work, or words; what was asked about the one before is forgotten.

        What was asked of the answers is not.
        """
        forgotten = {"negative": (), "negative_words": (), "region": None, "motif": False}
        question = replace(self.question, **near(query), **forgotten)
        return replace(self, question=question, goal="", query="")

    @classmethod
    def read(cls, given: Mapping) -> Asked:
        """Return what stands in a message of the browser, or in its place, which has more."""
        asked = {one.name: given[one.name] for one in fields(cls) if one.name in given}
        if "history" in given:
            asked["query"] = given["history"][given["position"]]
        names = {one.name for one in fields(Question)}
        named = {name: one for name, one in given["question"].items() if name in names}
        lists = {name: _to_tuples(one) for name, one in named.items()}
        return cls(**asked | {"question": Question(**lists)})

    def write(self) -> dict:
        """Return this as the browser has it."""
        return asdict(self)


def _to_tuples(value: object) -> object:
    return tuple(map(_to_tuples, value)) if isinstance(value, list | tuple) else value
