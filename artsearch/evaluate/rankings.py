"""Who is near whom: rankings of works by the angle between their rows, and works that are hubs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, MismatchError, TooFewWorks, check_whole, unknown
from artsearch.base.vectors import CHUNK, chunks_of, largest
from artsearch.features.features import Features
from artsearch.index.metrics import LOCAL, check_finite, csls

#: What a cosine can be corrected with; None leaves it as it is.
CORRECTIONS = ("csls",)
#: Similarities in memory at a time: 32 MB, and as much again twice while they are sorted.
BLOCK = 4_000_000


def similarities(
    features: Features, correction: str | None = None, rows: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield some row numbers and how similar these works are to all, until all had their turn.

    It is the cosine between their rows, or with `correction` "csls" one that is corrected for hubs.
    A row of zeros has the cosine 0 to all others.

    Similarities are rows × works in double precision, −∞ between a work and itself. `rows` are all
    works if not given. Raises ArtsearchError for an unknown correction and numbers that are not
    finite, TooFewWorks for fewer than two works.
    """
    works = len(features)
    if correction is not None and correction not in CORRECTIONS:
        raise unknown("correction", correction, CORRECTIONS, "; or None for the cosine itself")
    if works < 2:
        raise TooFewWorks("there is no other work to rank; features of two or more are due")
    lengths, crowding = _lengths(features), None
    if correction == "csls":
        k = min(LOCAL, works - 1)
        blocks = (block for _, block in similarities(features))
        crowding = np.concatenate([np.partition(b, -k)[:, -k:].mean(axis=1) for b in blocks])
    rows = np.arange(works) if rows is None else np.asarray(rows)
    blocks = chunks_of(rows, max(1, BLOCK // works))
    return ((block, _compare(features, lengths, crowding, block)) for block in blocks)


def _compare(
    features: Features, lengths: np.ndarray, crowding: np.ndarray | None, rows: np.ndarray
) -> np.ndarray:
    queries = np.asarray(features.vectors[rows], np.float64) / lengths[rows][:, None]
    chunks = chunks_of(features.vectors, CHUNK)
    similar = np.hstack([queries @ np.asarray(chunk, np.float64).T for chunk in chunks]) / lengths
    if crowding is not None:
        similar = csls(similar, crowding[rows][:, None], crowding)
    # A product of matrices may give copies of a work cosines that differ in the last digit.
    # Rounded, they tie wherever they stand, and the order does not depend on the blocks.
    similar = similar.round(12)
    similar[np.arange(len(rows)), rows] = -np.inf
    return similar


def ranked(
    features: Features, rows: np.ndarray | None = None, correction: str | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each row number with those of all other works, nearest first.

    Works that are equally near come in the order of their rows.
    """
    for block, similar in similarities(features, correction, rows):
        # The work itself, at −∞, comes last.
        orders = np.argsort(-similar, axis=1, kind="stable")[:, :-1]
        yield from zip(block.tolist(), orders, strict=True)


def nearest(features: Features, k: int = 10, correction: str | None = None) -> np.ndarray:
    """Return the row numbers of the k nearest other works of each: works × k, nearest first.

    Raises ArtsearchError for a k beyond the number of other works.

    >>> nearest(Features(np.array([[1, 0], [2, 1], [0, 1]]), "abc"), k=1).tolist()
    [[1], [0], [1]]
    """
    blocks, others = similarities(features, correction), len(features) - 1
    check_whole("k", k)
    if k > others:
        raise ArtsearchError(
            f"k is {k}, but there are {others} other works; take a whole number up to {others}"
        )
    return np.concatenate([largest(block, k) for _, block in blocks])


def take_rows(features: Features, rows: np.ndarray) -> Features:
    """Return the features of some works."""
    ids = [features.ids[row] for row in rows]
    return Features(features.vectors[rows], ids, features.provenance)


def _lengths(features: Features) -> np.ndarray:
    """Return the lengths of all rows, 1 for a row of zeros; raise unless all is finite."""
    check_finite(features)
    # In double precision: the square of a large float32 is beyond float32.
    chunks = (np.asarray(chunk, np.float64) for chunk in chunks_of(features.vectors, CHUNK))
    lengths = np.concatenate([np.linalg.norm(chunk, axis=1) for chunk in chunks])
    return np.where(lengths > 0, lengths, 1)


@dataclass(frozen=True, eq=False, repr=False)
class Hubness:
    """How often each work is among the k nearest of others.

    `counts` goes with `ids`; its mean is k. Where some works are found by nearly all others (hubs),
    others are found by none (antihubs).
    """

    k: int
    counts: np.ndarray
    ids: tuple[str, ...]

    def __repr__(self) -> str:
        never = f"{self.antihubs:.0%} of {len(self.ids):,} works never among the {self.k} nearest"
        return f"<Hubness: skewness {self.skewness:.2f}, {never}>"

    @property
    def skewness(self) -> float:
        """The skewness of the counts: 0 where all are found alike, 1 and more where hubs are."""
        from scipy.stats import skew

        # Counts that are all the same have no skewness to SciPy; here that is as even as can be.
        return float(skew(self.counts)) if np.ptp(self.counts) else 0.0

    @property
    def antihubs(self) -> float:
        """The share of works that are among the k nearest of no other."""
        return float(np.mean(self.counts == 0))

    def table(self) -> pd.DataFrame:
        """Return all works, most often found first: id, times, share of the others that find it."""
        table = pd.DataFrame({"id": self.ids, "times": self.counts})
        table = table.sort_values("times", ascending=False, kind="stable", ignore_index=True)
        return table.assign(share=table["times"] / (len(table) - 1))


def hubness(features: Features, k: int = 10, correction: str | None = None) -> Hubness:
    """Count how often each work is among the k nearest of others.

    In many dimensions a few works are near to nearly everything, which says more of the space than
    of the works (Radovanović, Nanopoulos and Ivanović 2010, JMLR 11, 2487–2531). Raises
    ArtsearchError for a k beyond the number of other works.
    """
    neighbours = nearest(features, k, correction)
    return Hubness(k, np.bincount(neighbours.ravel(), minlength=len(features)), features.ids)


def rank_biased_overlap(first: Sequence, second: Sequence, p: float = 0.9) -> float:
    """Return how alike two rankings of the same length are, their beginnings counting most.

    From 0 (nothing in common) to 1 (the same order). It is the mean share in common of the first d
    places, over all depths d, each weighing p times what the one before it does: with p = 0.9 the
    first ten places have 86 % of the weight. What follows beyond the end of the lists is taken to
    agree as much as they do up to there (RBO_EXT: Webber, Moffat and Zobel 2010, ACM TOIS 28(4),
    equation 32). Raises MismatchError for lists of different lengths, ArtsearchError for empty
    ones, for works that come twice, and for a p that is not between 0 and 1.

    >>> round(rank_biased_overlap("abc", "acb"), 3), rank_biased_overlap("abc", "xyz")
    (0.955, 0.0)
    """
    # The package `rbo` on PyPI computes the same, but wants a numpy below 2.
    if len(first) != len(second):
        raise MismatchError(
            f"the rankings have {len(first)} and {len(second)} works; compare equally many"
        )
    if not len(first) or len(set(first)) < len(first) or len(set(second)) < len(second):
        raise ArtsearchError("a ranking is empty, or has a work twice; list each work once")
    if not 0 < p < 1:
        raise ArtsearchError(f"p is {p!r}; take a number between 0 and 1, such as 0.9")
    ranks = {work: rank for rank, work in enumerate(second)}
    # A work counts from the depth on at which both lists have had it.
    depths = [max(rank, ranks[work]) for rank, work in enumerate(first) if work in ranks]
    common = np.bincount(np.array(depths, np.int64), minlength=len(first)).cumsum()
    return extrapolate(common / np.arange(1, len(first) + 1), p)


def extrapolate(shares: np.ndarray, p: float) -> float:
    """Return RBO_EXT of the shares in common at depth 1, 2, …"""
    weights = (1 - p) * p ** np.arange(len(shares))
    # The same weights go on without end; what is left of their sum of 1 is given to the last share.
    return float(weights @ shares + p ** len(shares) * shares[-1])
