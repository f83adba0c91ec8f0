"""The index that measures best: tuned on a sample of the collection, and held against exact search.

What is tried at which size follows from `make bench-index`; whether it is taken is measured on the
collection itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.exact import ExactIndex
from artsearch.index.faiss import METRICS, FaissIndex

#: Works below which every distance is computed. With 1,280 numbers a work that takes 1.8 ms a query
#: at 10,000 works and a graph 0.4 ms (20 and 0.5 ms at 100,000; two cores of an AMD EPYC), so that
#: at half of 10,000 there is less than a millisecond to win, for seconds of building.
SMALL = 5_000
#: The graph that is tried. At 10,000 × 1,280 rows mixed from real ones its 8-bit numbers found as
#: many as 32-bit ones (0.9975 and 0.997 of the ten nearest at ef 80), in 12.7 MB for 47.3 MB; M 32
#: and ef_construction 200 reach 0.99 with certainty where 16 and 128 do not.
GRAPH = {"structure": "hnsw", "compress": "int8", "M": 32, "ef_construction": 200}
#: Works from which clusters are tried instead. Among 1,000,000 × 512 rows mixed from real ones they
#: found 0.978 of the ten nearest in 1.4 ms (8 clusters of 1,024; built in 6 minutes), where a graph
#: (M 16) found 0.93 in 3.4 ms (15 minutes).
CLUSTERS_FROM = 500_000
CLUSTERS = {"structure": "ivf", "compress": "int8", "nlist": 1024}
#: How far each looks, tried one after the other: works of a graph, or clusters.
EFFORTS = {"hnsw": (40, 80, 160, 320, 640, 1280), "ivf": (4, 8, 16, 32, 64, 128)}
#: Questions of the sample, and how many nearest of each are looked for. Half of them are works, and
#: half lie between two works, as a picture does that the index has not seen: a graph that finds
#: 0.99 for its own works (10,000 × 1,280, ef 40) found 0.981 for others.
SAMPLE, K = 500, 10
#: Queries that are timed, and rows among which exact search is: its time grows with their number.
TIMED, PART = 60, 100_000
#: How sure it is that the recall of all works is not below that of the bound.
CONFIDENCE = 0.95


class Recall(NamedTuple):
    """The share of the true nearest works that were found in a sample of queries.

    `least` is a bound: the recall over all works is above it with 95 % confidence.
    """

    found: float
    least: float


def choose_index(metric: str, features: Features, recall: float = 0.99, seed: int = 0) -> Index:
    """Return the index that answers soonest among those that reach a recall.

    Small collections, and metrics that no graph compares, are searched exactly. For others faiss
    makes a graph, or clusters, over 8-bit numbers, and looks further until a sample of the works
    and of mixes of two works, drawn by `seed`, says that it reaches the recall; where it does not,
    or is not faster than exact search, that is taken. `chosen` of the index says in a sentence what
    was measured.

    Raises ArtsearchError for a recall that is no share, and where faiss is not installed.
    """
    if not isinstance(recall, int | float) or isinstance(recall, bool) or not 0 < recall <= 1:
        raise ArtsearchError(f"recall is {recall!r}; take a share above 0, up to 1 (all are found)")
    works = len(features)
    if metric not in METRICS:
        return _take_exact(metric, features, f"no graph compares by {metric}")
    if recall == 1:
        return _take_exact(metric, features, "only it is sure to find all")
    if works < SMALL:
        return _take_exact(metric, features, f"below {SMALL:,} works it is fast enough")
    options = GRAPH if works < CLUSTERS_FROM else CLUSTERS
    graph = FaissIndex.build(metric, features, **options)
    sample = np.sort(np.random.default_rng(seed).choice(works, SAMPLE, replace=False))
    measured = _tune(graph, sample, recall)
    if measured.least < recall:
        reason = (
            f"faiss finds {_percent(measured.found)} of the {K} nearest (measured on {SAMPLE} "
            f"questions), which is not surely the {recall:.1%} asked for"
        )
        return _take_exact(metric, features, reason)
    ours, exact = _time_both(graph, features, sample[:TIMED])
    if ours >= exact:
        reason = f"it takes {exact:.2g} ms a query, and faiss, looking far enough, {ours:.2g} ms"
        return _take_exact(metric, features, reason)
    settings = {name: graph.settings[name] for name in (*options, graph.effort_name)}
    named = ", ".join(f"{name} {value}" for name, value in settings.items())
    graph.chosen = (
        f"faiss ({named}) for {works:,} works: it finds {_percent(measured.found)} of the {K} "
        f"nearest, measured on {SAMPLE} questions, half of them works and half between "
        f"two works (of all such above {_percent(measured.least)} with {CONFIDENCE:.0%} "
        f"confidence; {recall:.1%} was asked for), in {ours:.2g} ms a query beside {exact:.2g} ms "
        "of exact search."
    )
    return graph


def measure_recall(
    index: Index, queries: Sequence[str | np.ndarray], nearest: np.ndarray, effort: int
) -> Recall:
    """Hold an index against the true distances (queries × K) of the works nearest to some queries.

    A query is a work's id or a row, as Index.search takes it. A work that is as near as the last of
    them counts, so that true duplicates are no misses.
    """
    shares = []
    for query, true in zip(queries, nearest, strict=True):
        _, distances = index.search(query, nearest.shape[1], effort)
        shares.append((distances <= true[-1] + 1e-9 * max(1, abs(true[-1]))).mean())
    return Recall(float(np.mean(shares)), lower_bound(np.array(shares), K))


def lower_bound(shares: np.ndarray, k: int) -> float:
    """Return what a mean share is above with 95 % confidence, from shares of k of each query.

    Wilson's interval (1927). What is found for one query hangs together, so that it counts as
    fewer trials where the queries differ more than chance would have it (Kish 1965).

    >>> float(round(lower_bound(np.ones(200), 10), 4))
    0.9986
    """
    from scipy.stats import binomtest

    mean, trials = shares.mean(), k * len(shares)
    by_chance = mean * (1 - mean) / k
    effect = max(1.0, shares.var(ddof=1) / by_chance) if by_chance > 0 else 1.0
    trials = max(1, int(trials / effect))
    hits = min(trials, int(mean * trials))
    test = binomtest(hits, trials, alternative="greater")
    return float(test.proportion_ci(CONFIDENCE, "wilson").low)


def _take_exact(metric: str, features: Features, reason: str) -> ExactIndex:
    index = ExactIndex.build(metric, features)
    index.chosen = f"exact search for {len(index):,} works: {reason}; it finds all of the nearest."
    return index


def _percent(share: float) -> str:
    """Return a share in percent; nothing short of all is called 100 %.

    >>> _percent(0.99996), _percent(1.0)
    ('99.9%', '100.0%')
    """
    return f"{math.floor(1000 * share + 1e-9) / 10:.1f}%"


def _tune(graph: FaissIndex, sample: np.ndarray, recall: float) -> Recall:
    """Set how far a graph looks: as little as reaches the recall in the sample."""
    queries, nearest = _ask_exactly(graph, sample)
    for effort in EFFORTS[graph.settings["structure"]]:
        measured = measure_recall(graph, queries, nearest, effort)
        graph.effort = effort
        if measured.least >= recall:
            break
    return measured


def _ask_exactly(graph: FaissIndex, sample: np.ndarray) -> tuple[list, np.ndarray]:
    """Return questions from some rows, and the true distances (questions × K) of each."""
    works, others = sample[::2], sample[1::2]
    exact = ExactIndex(graph.basics, graph.rows)  # which stay where they are
    mixes = (graph.rows[others] + graph.rows[np.roll(others, 1)]) / 2
    rows, distances = exact.search_many(graph.rows[works], K + 1)
    nearest = [
        near[found != own][:K] for own, found, near in zip(works, rows, distances, strict=True)
    ]
    queries = [*(graph.ids[row] for row in works), *mixes]
    return queries, np.vstack([*nearest, exact.search_many(mixes, K)[1]])


def _time_both(graph: FaissIndex, features: Features, sample: np.ndarray) -> tuple[float, float]:
    """Return the median milliseconds a query of a graph and of exact search, asked in turns."""
    part = Features(features.vectors[:PART], features.ids[:PART])
    exact = ExactIndex.build(graph.metric, part)
    taken: tuple[list[float], list[float]] = [], []
    for query in (features.vectors[row] for row in sample):
        for index, times in zip((graph, exact), taken, strict=True):
            start = time.perf_counter()
            index.search(query, K)
            times.append(1000 * (time.perf_counter() - start))
    ours, whole = (float(np.median(times)) for times in taken)
    return ours, whole * len(features) / len(part)
