"""Estimates of metrics with their intervals and what chance would give, and tables of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, MismatchError, unknown

#: Draws for an interval; its ends then move by a few per cent of its width from seed to seed.
RESAMPLES = 5_000
#: Numbers that are drawn for it at a time, 8 bytes each.
BATCH = 2_000_000
#: Resampling units that an interval wants at least: with two there are four samples to draw.
FEWEST_UNITS = 3

#: Of metrics.csv: `k` is empty for metrics of whole rankings, `same_artist` where it means nothing.
COLUMNS = [
    *("network", "crop", "descriptor", "label", "metric", "k"),
    *("same_artist", "value", "low", "high"),
]

#: Network, crop, descriptor and label.
Key = tuple[str, str, str, str]


class NotMeasurable(ArtsearchError):
    """Something that the works at hand cannot tell: the message says why, and what would help."""


# Compared by identity: `==` between arrays has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """The mean of a metric over queries, with its 95 % interval and what chance would give.

    `values` has one number a query, `ids` names the queries, and `units` what each is resampled
    with: queries by one artist are not independent of each other. `k` is None for a metric of whole
    rankings. `low` and `high` are nan for fewer than three units. `chance` is the exact mean over
    all orders of the works, and 0 for the difference of two estimates.
    """

    metric: str
    k: int | None
    value: float
    low: float
    high: float
    chance: float
    values: np.ndarray
    ids: tuple[str, ...]
    units: tuple[str, ...]

    def __repr__(self) -> str:
        span = "no interval" if np.isnan(self.low) else f"{self.low:.3f} to {self.high:.3f}"
        value = f"{self.title} {self.value:.3f} ({span}), chance {self.chance:.3f}"
        count = f"{len(self.ids):,} queries in {len(set(self.units)):,} resampling units"
        return f"<Estimate: {value}, {count}>"

    @property
    def title(self) -> str:
        """The metric with its k."""
        return self.metric if self.k is None else f"{self.metric} at {self.k}"

    @property
    def significance(self) -> str:
        """Say "better" or "worse" where the interval excludes chance, else "same"."""
        if self.low > self.chance:
            return "better"
        return "worse" if self.high < self.chance else "same"


class Estimates(dict[str, Estimate]):
    """Estimates by metric, and in `notes` what was left out of them and why, a sentence each.

    Asking for a metric that could not be measured raises NotMeasurable with the notes.
    """

    def __init__(self, estimates: Mapping[str, Estimate], notes: Sequence[str] = ()):
        super().__init__(estimates)
        self.notes = tuple(notes)

    def __missing__(self, metric: str) -> Estimate:
        raise NotMeasurable("; ".join([str(unknown("score", metric, self)), *self.notes]))


class MetricsTable:
    """A table of metrics, and in `notes` what could not be measured and why.

    `table` has COLUMNS and those of `more_columns`; `low` and `high` are the 95 % interval, nan
    where there is none. `estimates` has what is behind the rows that are means over queries.
    """

    def __init__(self, *more_columns: str):
        #: By network, crop, descriptor, label, metric and same_artist.
        self.estimates: dict[tuple[str, ...], Estimate] = {}
        self._columns = [*COLUMNS, *more_columns]
        self._rows: list[tuple] = []
        self._notes: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<MetricsTable: {len(self._rows):,} rows, {len(self._notes)} notes>"

    @property
    def table(self) -> pd.DataFrame:
        """All rows, in the order in which they were added."""
        floats = dict.fromkeys(("value", "low", "high"), float)
        return pd.DataFrame(self._rows, columns=self._columns).astype({"k": "Int64"} | floats)

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be measured and why, a sentence each."""
        return tuple(self._notes)

    def select(self, **wanted: object) -> pd.DataFrame:
        """Return the rows with these values, such as `select(label="style", metric="map")`."""
        table = self.table
        for column, value in wanted.items():
            table = table[(table[column] == value).to_numpy(bool, na_value=False)]
        return table

    def value(self, **wanted: object) -> float:
        """Return the one value with these columns; raises NotMeasurable unless there is one."""
        values = self.select(**wanted)["value"]
        if len(values) != 1:
            raise NotMeasurable(f"{len(values)} figures have {wanted}; {'; '.join(self.notes)}")
        return float(values.iloc[0])

    def add(self, key: Key, estimate: Estimate, same_artist: str = "", *more: object) -> None:
        """Add an estimate; `more` goes into further columns."""
        interval = estimate.value, estimate.low, estimate.high
        self.add_row(*key, estimate.metric, estimate.k, same_artist, *interval, *more)
        self.estimates[*key, estimate.metric, same_artist] = estimate

    def add_chance(self, key: Key, estimate: Estimate, same_artist: str = "", *more) -> None:
        """Add what chance would give on the queries of an estimate; `key` is that of the row."""
        values = estimate.chance, np.nan, np.nan
        self.add_row(*key, estimate.metric, estimate.k, same_artist, *values, *more)

    def add_row(self, *row: object) -> None:
        """Add a figure; `row` has a value a column."""
        self._rows.append(row)

    def note(self, *notes: str) -> None:
        """Add notes, each once."""
        self._notes |= dict.fromkeys(notes)


def difference(first: Estimate, second: Estimate, seed: int = 0) -> Estimate:
    """Return how much higher the first estimate is, on the queries that both have.

    Each query is compared with itself, which tells more than two intervals side by side. Raises
    MismatchError for estimates of different metrics, k or resampling units, and where no query is
    in both.
    """
    if first.title != second.title:
        raise MismatchError(
            f"{first.title} and {second.title} cannot be compared; take scores of the same metric"
        )
    rows = pd.Index(second.ids).get_indexer(first.ids)
    shared = np.flatnonzero(rows >= 0)
    if not len(shared):
        raise MismatchError("the scores have no query in common; score the same works with both")
    units = [first.units[row] for row in shared]
    if units != [second.units[row] for row in rows[shared]]:
        raise MismatchError("the scores resample different groups; take the same column for both")
    values = first.values[shared] - second.values[rows[shared]]
    ids = [first.ids[row] for row in shared]
    return estimate_mean(first.metric, first.k, values, 0, ids, units, seed)


def estimate_mean(
    metric: str,
    k: int | None,
    values: Sequence[float],
    chance: float,
    ids: Sequence[str],
    units: Sequence[str],
    seed: int,
) -> Estimate:
    """Return the estimate that values, a number a query, give of their mean."""
    values = np.array(values, np.float64)
    values.flags.writeable = False
    low, high = bootstrap_interval(values, units, seed)
    mean = float(values.mean())
    return Estimate(metric, k, mean, low, high, float(chance), values, tuple(ids), tuple(units))


def bootstrap_interval(
    values: Sequence[float], units: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of a mean when whole units of values are drawn again.

    The percentile bootstrap of a ratio, sums over counts of the units drawn, so that a large unit
    weighs as much as its values do (Davison and Hinkley 1997, Bootstrap Methods, section 3.8). For
    fewer than three units it is (nan, nan).
    """
    # Imported here, because it takes longer than all the rest of this module.
    from scipy.stats import bootstrap

    codes, _ = pd.factorize(np.array(list(units), object))
    sums, counts = np.bincount(codes, values), np.bincount(codes)
    if len(counts) < FEWEST_UNITS:
        return np.nan, np.nan
    resampled = bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
        n_resamples=RESAMPLES,
        batch=max(1, BATCH // len(counts)),
        vectorized=True,
        paired=True,
        method="percentile",
        rng=seed,
    )
    low, high = resampled.confidence_interval
    return float(low), float(high)
