"""What a search answers: works with distances, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pandas as pd

from artsearch.base.errors import TooFewWorks
from artsearch.index.base import Index
from artsearch.index.metrics import unit_of
from artsearch.search.question import Question, Region, Words
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource
from artsearch.works.years import Years

if TYPE_CHECKING:
    from artsearch.points.motifs import Motifs
    from artsearch.search.rarity import Rarity, Usual

#: A network that takes words, for errors to name.
WORDY = "open_clip:ViT-B-16-SigLIP2"

#: What is said of an answer whose works are as near as by chance.
NOTHING = "Nothing here is like it."


class Described(NamedTuple):
    """What a search knows of an image: its row, and the one before it was averaged with others.

    The second tells near-duplicates from works that are alike; without averaging it is the same.
    """

    row: np.ndarray
    raw: np.ndarray


class Searched(Protocol):
    """What a question is put to: see artsearch.search.search.Search."""

    collection: Collection
    index: Index
    exact: Index
    comparing: Index
    raw: Index
    collection_rows: np.ndarray
    copy_distance: float
    crowding: np.ndarray
    usual: Usual
    no_words: str
    motifs: Motifs

    def look(self, image: ImageSource) -> Described: ...
    def read(self, words: Words) -> Described: ...


@dataclass(frozen=True)
class Neighbour:
    """One work of an answer; `distance` is in the metric's own terms, smaller is nearer.

    `group` is what the work has in the column that was asked for with `group_by`, else "".
    `duplicates` is how many near-duplicates of it the answer leaves out, where it was asked to.
    `region` is where it has the motif that was asked for, and `share` how much of that is found
    again there; None and 0 where it was no motif.
    `rate` gives the rarities of the answer by id, worked out when the first of them is asked for.
    """

    id: str
    distance: float
    caption: str
    group: str = ""
    duplicates: int = 0
    region: Region | None = None
    share: float = 0.0
    rate: Callable[[], Mapping[str, Rarity | None]] | None = field(
        default=None, compare=False, repr=False
    )

    @property
    def rarity(self) -> Rarity | None:
        """How unusual it is for two works to be as near; None where that is not known."""
        return None if self.rate is None else self.rate()[self.id]


class Before(NamedTuple):
    """What came before a work: its own years, and the nearest that is surely earlier.

    >>> print(Before(None, None), Before(Years(1831, 1831), None), sep="; ")
    no year; nothing earlier here
    """

    years: Years | None
    work: Neighbour | None

    def __str__(self) -> str:
        if self.work is None:
            return "no year" if self.years is None else "nothing earlier here"
        return f"{self.work.caption} ({self.work.distance:.2f})"


@dataclass(frozen=True)
class Results:
    """The nearest works to a query, nearest first, and what found them.

    `query` is the id of the work asked for, or None for a vector, an image, or several works.
    `question` is what was asked, where it was more than that; `notes` are sentences on the answer:
    how many works match, what was left out.
    """

    query: str | None
    neighbours: tuple[Neighbour, ...]
    metric: str
    provenance: dict
    question: Question | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.neighbours)

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self.neighbours)

    def __getitem__(self, position: int) -> Neighbour:
        if not self.neighbours:
            raise TooFewWorks(" ".join(["the answer holds no work.", *self.notes]).rstrip("."))
        return self.neighbours[position]

    @property
    def ids(self) -> list[str]:
        """The ids, nearest first."""
        return [neighbour.id for neighbour in self]

    @property
    def distances(self) -> list[float]:
        """The distances, smallest first."""
        return [neighbour.distance for neighbour in self]

    @property
    def cut(self) -> int | None:
        """How many works come before all others are no nearer than by chance; None if unknown."""
        rarities = [one.rarity for one in self]
        if not rarities or None in rarities:
            return None
        return max((at for at, one in enumerate(rarities, 1) if not one.is_usual), default=0)

    @property
    def cut_text(self) -> str:
        """Where the answer stops being unusual, in a sentence; "" where it does not."""
        cut, grouped = self.cut, self.question is not None and self.question.group_by
        if cut == 0:
            return NOTHING
        if cut in (None, len(self)) or grouped:
            return ""
        return f"Only the first {f'{cut:,} are' if cut > 1 else 'is'} nearer than by chance."

    @property
    def unit(self) -> str:
        """What a distance means."""
        return unit_of(self.metric)

    @property
    def groups(self) -> dict[str, tuple[Neighbour, ...]]:
        """The neighbours by group, the group with the nearest work first."""
        found: dict[str, list[Neighbour]] = {}
        for work in self:
            found.setdefault(work.group, []).append(work)
        return {group: tuple(works) for group, works in found.items()}

    def table(self) -> pd.DataFrame:
        """Return the answer as a table: id, distance, caption, and what else there is to say.

        That is group, duplicates, region and share of a motif, and of the rarity its share
        (`nearer_than`) and its word.
        """
        more = ("group", "duplicates", "region", "share")
        more = [name for name in more if any(getattr(one, name) for one in self)]
        columns = ["id", "distance", "caption", *more]
        rows = [[getattr(work, column) for column in columns] for work in self]
        table, rarities = pd.DataFrame(rows, columns=columns), [one.rarity for one in self]
        if not rarities or None in rarities:
            return table
        shares, words = [one.share for one in rarities], [one.word for one in rarities]
        return table.assign(nearer_than=shares, rarity=words)
