"""Figures in tables of one form: the columns of `metrics.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from artsearch.evaluate.scores import Difference, NotMeasurable, Score

#: `k` is empty for metrics of whole rankings, `same_artist` where it means nothing.
COLUMNS = [
    *("network", "crop", "descriptor", "label", "metric", "k"),
    *("same_artist", "value", "low", "high"),
]

#: What a score is found by: network, crop, descriptor, label, metric and same_artist.
Key = tuple[str, str, str, str, str, str]


# Compared by identity: `==` between tables has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class Measured:
    """A table of figures (COLUMNS first), and in `notes` what could not be measured and why.

    `low` and `high` are the 95 % interval, nan where there is none. `scores` has what is behind
    the rows that are means over queries, by Key.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    scores: Mapping[Key, Score] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Measured: {len(self.table):,} figures, {len(self.notes)} notes>"

    def select(self, **wanted: object) -> pd.DataFrame:
        """Return the rows with these values, such as `select(label="style", metric="map")`."""
        rows = np.ones(len(self.table), bool)
        for column, value in wanted.items():
            rows &= (self.table[column] == value).to_numpy(bool, na_value=False)
        return self.table[rows]

    def value(self, **wanted: object) -> float:
        """Return the one value with these columns; raises NotMeasurable unless there is one."""
        found = self.select(**wanted)["value"]
        if len(found) != 1:
            raise NotMeasurable(f"{len(found)} figures have {wanted}; " + "; ".join(self.notes))
        return float(found.iloc[0])


class Sheet:
    """Figures and notes as they come in; a note that was there before is not taken again."""

    def __init__(self):
        self.rows: list[tuple] = []
        self.notes: dict[str, None] = {}
        self.scores: dict[Key, Score] = {}

    def add(
        self, network: str, crop: str, descriptor: str, label: str, score: Score, same: str = ""
    ) -> None:
        """Take a score as a row."""
        span = score.value, score.low, score.high
        self.rows.append((network, crop, descriptor, label, score.metric, score.k, same, *span))
        self.scores[network, crop, descriptor, label, score.metric, same] = score

    def add_number(self, *row: object, value: float) -> None:
        """Take a figure without an interval; `row` are the columns before it."""
        self.rows.append((*row, value, np.nan, np.nan))

    def add_chance(self, network: str, crop: str, label: str, score: Score, same: str = "") -> None:
        """Take what chance would give, on the queries of a score."""
        row = network, crop, "chance", label, score.metric, score.k, same
        self.add_number(*row, value=score.chance)

    def note(self, notes: Sequence[str]) -> None:
        """Take notes."""
        self.notes |= dict.fromkeys(notes)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Turn what cannot be measured into a note, and go on behind the block."""
        try:
            yield
        except NotMeasurable as error:
            self.note([str(error)])

    def measured(self, extra: Mapping[str, Sequence] | None = None) -> Measured:
        """Return all of it, with more columns behind the others."""
        table = make_table(self.rows).assign(**extra or {})
        return Measured(table, tuple(self.notes), self.scores)


def make_table(rows: Sequence[tuple]) -> pd.DataFrame:
    """Return rows as a table with the columns of metrics.csv and their types."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    numbers = dict.fromkeys(("value", "low", "high"), float)
    return table.astype({"k": "Int64"} | numbers)


def compare(gap: Difference) -> str:
    """Say whether one score is "better" or "worse" than another beyond the interval, or "same"."""
    return "same" if not gap.clear else "better" if gap.value > 0 else "worse"
