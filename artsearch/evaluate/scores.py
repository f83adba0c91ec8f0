"""What a score is: a mean over queries with its interval, its chance, and what it differs from."""

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
#: Groups that an interval wants at least: with two there are four samples to draw.
FEWEST_GROUPS = 3


class NotMeasurable(ArtsearchError):
    """Something that the works at hand cannot tell: the message says why, and what would help."""


# Compared by identity: `==` between arrays has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class Score:
    """The mean of a metric over queries, with its 95 % interval and what chance would give.

    `values` has one number a query, `ids` names the queries, and `groups` what each is resampled
    with: queries by one artist are not independent of each other. `k` is None for a metric of whole
    rankings. `low` and `high` are nan for fewer than three groups. `chance` is the exact mean over
    all orders of the works.
    """

    metric: str
    k: int | None
    value: float
    low: float
    high: float
    chance: float
    values: np.ndarray
    ids: tuple[str, ...]
    groups: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"<Score: {_name(self)} {self.value:.3f} ({_span(self)}), chance {self.chance:.3f}, "
            f"{len(self.ids):,} queries in {len(set(self.groups)):,} groups>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Difference:
    """The mean difference of two scores on the same queries, with its 95 % interval.

    `values` has one difference a query, `ids` names the queries.
    """

    metric: str
    k: int | None
    value: float
    low: float
    high: float
    values: np.ndarray
    ids: tuple[str, ...]

    def __repr__(self) -> str:
        name, queries = _name(self), f"{len(self.ids):,} queries"
        return f"<Difference: {name} {self.value:+.3f} ({_span(self)}), {queries}>"

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0; without an interval nothing is clear."""
        return self.low > 0 or self.high < 0


class Scores(dict[str, Score]):
    """Scores by metric, and in `notes` what was left out of them and why, a sentence each.

    Asking for a metric that could not be measured raises NotMeasurable with the notes.
    """

    def __init__(self, scores: Mapping[str, Score], notes: Sequence[str] = ()):
        super().__init__(scores)
        self.notes = tuple(notes)

    def __missing__(self, metric: str) -> Score:
        notes = "".join(f"; {note}" for note in self.notes)
        raise NotMeasurable(f"{unknown('score', metric, self)}{notes}")


def difference(first: Score, second: Score, seed: int = 0) -> Difference:
    """Return how much higher the first score is, on the queries that both have.

    Each query is compared with itself, which tells more than two intervals side by side. Raises
    MismatchError for scores of different metrics, k or groups, and where no query is in both.
    """
    if _name(first) != _name(second):
        raise MismatchError(
            f"{_name(first)} and {_name(second)} cannot be compared; take scores of the same metric"
        )
    theirs = {id: row for row, id in enumerate(second.ids)}
    mine = [row for row, id in enumerate(first.ids) if id in theirs]
    others = [theirs[first.ids[row]] for row in mine]
    if not mine:
        raise MismatchError("the scores have no query in common; score the same works with both")
    groups = [first.groups[row] for row in mine]
    if groups != [second.groups[row] for row in others]:
        raise MismatchError("the scores resample different groups; take the same column for both")
    values = first.values[mine] - second.values[others]
    low, high = bootstrap_interval(values, groups, seed)
    ids = tuple(first.ids[row] for row in mine)
    return Difference(first.metric, first.k, float(values.mean()), low, high, values, ids)


def bootstrap_interval(
    values: Sequence[float], groups: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of a mean when whole groups of values are drawn again.

    The percentile bootstrap of a ratio, sums over counts of the groups drawn, so that a large group
    weighs as much as its values do (Davison and Hinkley 1997, Bootstrap Methods, section 3.8). For
    fewer than three groups it is (nan, nan).
    """
    # Imported here, because it takes longer than all the rest of this module.
    from scipy.stats import bootstrap

    codes, _ = pd.factorize(np.array(list(groups), object))
    sums, counts = np.bincount(codes, values), np.bincount(codes)
    if len(counts) < FEWEST_GROUPS:
        return np.nan, np.nan
    drawn = bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis) / counts.sum(axis),
        n_resamples=RESAMPLES,
        batch=max(1, BATCH // len(counts)),
        vectorized=True,
        paired=True,
        method="percentile",
        rng=seed,
    )
    low, high = drawn.confidence_interval
    return float(low), float(high)


def make_score(
    metric: str,
    k: int | None,
    values: Sequence[float],
    chance: float,
    ids: Sequence[str],
    groups: Sequence[str],
    seed: int,
) -> Score:
    """Return a score of values, a number a query, with its interval."""
    values = np.array(values, np.float64)
    values.flags.writeable = False
    low, high = bootstrap_interval(values, groups, seed)
    mean = float(values.mean())
    return Score(metric, k, mean, low, high, float(chance), values, tuple(ids), tuple(groups))


def _name(score: Score | Difference) -> str:
    return score.metric if score.k is None else f"{score.metric} at {score.k}"


def _span(score: Score | Difference) -> str:
    return "no interval" if np.isnan(score.low) else f"{score.low:.3f} to {score.high:.3f}"
