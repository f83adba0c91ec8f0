"""Intervals over judges and queries at once: shares of votes when both are drawn again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artsearch.evaluate.estimates import FEWEST_UNITS

#: Draws for an interval.
RESAMPLES = 2_000


@dataclass(frozen=True, eq=False)
class Resampled:
    """Means of some values a vote, a column each, and the same in every draw: draws × columns."""

    means: np.ndarray
    draws: np.ndarray

    def interval(self, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Return both ends of the percentile interval, a number a column; nan without draws."""
        return _ends(self.draws, level)

    def difference(self, first: int, second: int) -> tuple[float, float, float]:
        """Return by how much one column is above another, with its 95 % interval."""
        low, high = _ends((self.draws[:, first] - self.draws[:, second])[:, None], 0.95)
        return float(self.means[first] - self.means[second]), float(low[0]), float(high[0])

    def apart(self, chance: float, level: float = 0.95) -> np.ndarray:
        """Tell which columns are not at chance: +1 above, -1 below, 0 where it cannot be told.

        All columns are asked at once: with none above or below chance, one or more is called so in
        at most 1 - level of all cases (the largest of all deviations in standard errors decides:
        Westfall and Young 1993, Resampling-Based Multiple Testing, section 2.6).
        """
        spread = np.nanstd(self.draws, axis=0)
        known = np.isfinite(spread) & (spread > 0)
        signs = np.zeros(len(self.means), int)
        if known.any():
            off = np.abs(self.draws[:, known] - self.means[known]) / spread[known]
            limit = np.nanquantile(np.nanmax(off, axis=1), level)
            beyond = np.abs(self.means - chance)[known] > limit * spread[known]
            signs[known] = np.sign(self.means - chance)[known] * beyond
        return signs


def resample(
    values: np.ndarray, judges: np.ndarray, queries: np.ndarray, seed: int = 0
) -> Resampled:
    """Return the means of values, votes × columns, and of draws of judges and of queries.

    Votes of one judge, and votes on one query, are not independent of each other: both are drawn
    again, each by itself, and a vote counts as often as its judge times its query (the pigeonhole
    bootstrap: Owen 2007, Annals of Applied Statistics 1(2), 386–411; it errs towards wide
    intervals). With fewer than three judges only queries are drawn, and what is said holds for
    these judges; with fewer than three queries there are no draws, and intervals are nan. A value
    that is nan is left out of its column.
    """
    values = np.asarray(values, np.float64)
    if values.ndim == 1:
        values = values[:, None]
    known = np.isfinite(values)
    filled = np.where(known, values, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = filled.sum(axis=0) / known.sum(axis=0)
    draws = np.full((2, values.shape[1]), np.nan)
    weights = list(draw_weights(judges, queries, seed))
    if weights:
        drawn = np.stack(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = (drawn @ filled) / (drawn @ known)
    return Resampled(means, draws)


def draw_weights(
    judges: np.ndarray, queries: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Iterator[np.ndarray]:
    """Yield how often each vote counts in a draw of judges and queries, as `resample` has it."""
    query, queries = pd.factorize(np.asarray(queries, object))
    judge, judges = pd.factorize(np.asarray(judges, object))
    rng = np.random.default_rng(seed)
    for _ in range(resamples if len(queries) >= FEWEST_UNITS else 0):
        weights = _draw(rng, len(queries))[query]
        if len(judges) >= FEWEST_UNITS:
            weights = weights * _draw(rng, len(judges))[judge]
        yield weights


def _draw(rng: np.random.Generator, number: int) -> np.ndarray:
    return np.bincount(rng.integers(number, size=number), minlength=number).astype(np.float64)


def _ends(draws: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    tail = (1 - level) / 2
    if not np.isfinite(draws).any():
        return np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    return np.nanquantile(draws, tail, axis=0), np.nanquantile(draws, 1 - tail, axis=0)
