"""All that a visitor has chosen and asked, as plain data: a later moment is a new one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from artsearch.search.question import Question

Weighed = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Asked:
    """What is asked beside the selected work; the fields are those of Question.

    `weight` is the selected work's own, `liked` are works beside it. `goal` is the work to which
    stepping stones lead, `why` the one whose likeness is explained.
    """

    where: str = ""
    exclude_same: tuple[str, ...] = ()
    near_duplicates: bool = True
    exclude: tuple[str, ...] = ()
    group_by: str = ""
    group_size: int = 1
    weight: float = 1.0
    liked: Weighed = ()
    unliked: Weighed = ()
    region: tuple[float, float, float, float] | None = None
    goal: str = ""
    why: str = ""

    def of_another(self) -> Asked:
        """Return what of it still holds when another work is selected."""
        return Asked(
            self.where,
            self.exclude_same,
            self.near_duplicates,
            self.exclude,
            self.group_by,
            self.group_size,
        )

    def question(self, query: str, k: int) -> Question:
        """Return all of it as a question; raises ArtsearchError where it cannot be asked."""
        return Question(
            positive=((query, self.weight), *self.liked),
            negative=self.unliked,
            where=self.where,
            exclude_same=self.exclude_same,
            near_duplicates=self.near_duplicates,
            exclude=self.exclude,
            group_by=self.group_by,
            group_size=self.group_size,
            region=self.region,
            k=k,
        )


@dataclass(frozen=True)
class Moment:
    """All that the visitor has chosen; a later moment is a new one."""

    network: str
    crop: str
    k: int
    dial: float | None = None
    asked: Asked = Asked()
    compare: bool = False
    machine_made: bool = True
    history: tuple[str, ...] = ()
    position: int = 0
    search: str = ""
    page: int = 0
    seed: int = 0

    @property
    def query(self) -> str:
        """The id of the selected work."""
        return self.history[self.position]

    @property
    def depends(self) -> tuple:
        """All of it that the answers depend on."""
        asked = replace(self.asked, why="")
        where = self.network, self.crop, self.dial, self.compare, self.machine_made
        return self.query, self.k, *where, asked

    def question(self) -> Question:
        """Return what is asked, as a question; raises ArtsearchError where it cannot be asked."""
        return replace(self.asked.question(self.query, self.k), machine_made=self.machine_made)
