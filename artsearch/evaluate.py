"""How good an answer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from artsearch.errors import ArtsearchError
from artsearch.index import Index


def recall_at_k(
    index: Index,
    exact: Index,
    k: int = 10,
    queries: Sequence[str] | None = None,
    search_k: int | None = None,
) -> float:
    """Return the share of the true k nearest works that an index finds, from 0 to 1.

    `queries` are ids, all works if not given; a work is never counted among its own neighbours.
    """
    shares = []
    for id in exact.ids if queries is None else queries:
        found, _ = index.search(id, k, search_k)
        true, _ = exact.search(id, k)
        shares.append(len(set(found) & set(true)) / k)
    return _mean(shares)


def share_same(
    index: Index, labels: Mapping[str, str], k: int = 20, queries: Sequence[str] | None = None
) -> float:
    """Return the share of the k nearest works that have the query's label, from 0 to 1.

    Works without a label are no queries; among the neighbours they count as different.
    """
    shares = []
    for id in index.ids if queries is None else queries:
        if labels.get(id):
            found, _ = index.search(id, k)
            shares.append(np.mean([labels.get(other) == labels[id] for other in found]))
    return _mean(shares)


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the share of works that two lists of the same length have in common, from 0 to 1.

    >>> overlap(["a", "b"], ["b", "c"])
    0.5
    """
    return len(set(first) & set(second)) / max(len(first), len(second))


def _mean(shares: list[float]) -> float:
    if not shares:
        raise ArtsearchError("there is nothing to count: no query, or none with a label")
    return float(np.mean(shares))
