"""Rows as a metric compares them, and the distances between them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.vectors import CHUNK, first_not_finite, unit_rows
from artsearch.features.features import Features

#: The metrics of Annoy, and what a distance means in each: smaller is nearer in all of them.
METRICS = {
    "angular": "√(2 − 2 cos), from 0 (same direction) to 2",
    "euclidean": "straight-line distance",
    "manhattan": "sum of the differences of all dimensions",
    "hamming": "number of dimensions that lie on different sides of their median",
    "dot": "inner product with its sign turned, so that smaller is nearer",
}


#: Neighbours that tell CSLS how crowded the place of a work is, as in its paper.
LOCAL = 10


def unit_of(metric: str) -> str:
    """Return what a distance means.

    >>> unit_of("euclidean")
    'euclidean: straight-line distance'
    """
    return f"{metric}: {METRICS[metric]}"


def check_features(metric: str, features: Features | np.ndarray | None) -> Features:
    """Return features, also of a plain array; raise ArtsearchError if they cannot be compared."""
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    if features is None:
        raise ArtsearchError("no features given; make them with compute_features")
    if not isinstance(features, Features):
        try:
            vectors = np.atleast_2d(np.asarray(features, dtype=np.float32))
        except (TypeError, ValueError):
            raise ArtsearchError(
                "features are an array of works × dims or what compute_features returns, not a "
                f"{type(features).__name__}; of several layers take one, as in features['layer4']"
            ) from None
        features = Features(vectors, tuple(str(row) for row in range(len(vectors))))
    if not len(features) or not features.dims:
        raise ArtsearchError("the features hold no work; compute them for at least one")
    check_finite(features)
    return features


def check_finite(features: Features) -> None:
    """Raise ArtsearchError unless all numbers are finite."""
    count, first = first_not_finite(features.vectors)
    if count:
        raise ArtsearchError(
            f"the features of {count} works hold numbers that are not finite, the first is "
            f"{features.ids[first]!r}; compute them again"
        )


def to_bits(vectors: np.ndarray, medians: np.ndarray) -> np.ndarray:
    """Turn each dimension into 1 where it is above its median, else 0."""
    return (np.asarray(vectors) > medians).astype(np.uint8)


def prepare_rows(vectors: np.ndarray, metric: str, medians: np.ndarray | None) -> np.ndarray:
    """Return rows in the form that a metric compares: bits, of unit length, or as they are."""
    if metric == "hamming":
        return to_bits(vectors, medians)
    return unit_rows(vectors) if metric == "angular" else vectors


def prepare_all(vectors: np.ndarray, metric: str, medians: np.ndarray | None = None) -> np.ndarray:
    """Return all rows as a metric compares them, in memory once, also where they are on disk."""
    prepared = np.empty(vectors.shape, np.uint8 if metric == "hamming" else np.float32)
    for start in range(0, len(vectors), CHUNK):
        chunk = slice(start, start + CHUNK)
        prepared[chunk] = prepare_rows(vectors[chunk], metric, medians)
    return prepared


def distances_to(vectors: np.ndarray, vector: np.ndarray, metric: str) -> np.ndarray:
    """Return the distances of prepared rows to a prepared vector, in double precision."""
    if metric == "hamming":
        return np.count_nonzero(vectors != vector, axis=1).astype(np.float64)
    vectors, vector = vectors.astype(np.float64), vector.astype(np.float64)
    if metric == "dot":
        return -(vectors @ vector)
    if metric == "angular":
        # From the cosine, not the difference, so that a row of zeros is at √2 as in Annoy.
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
        cosine = (vectors @ vector) / np.where(lengths > 0, lengths, 1)
        return np.sqrt(np.maximum(0, 2 - 2 * cosine))
    order = {"euclidean": 2, "manhattan": 1}[metric]
    return np.linalg.norm(vectors - vector, ord=order, axis=1)


def to_similarities(distances: np.ndarray, metric: str) -> np.ndarray:
    """Return what CSLS compares: the cosine, or a distance (straight-line: half its square) less.

    >>> to_similarities(np.array([0.0, 1.0, 2.0]), "angular").tolist()
    [1.0, 0.5, -1.0]
    """
    if metric == "angular":
        return 1 - np.square(distances) / 2
    return -np.square(distances) / 2 if metric == "euclidean" else np.negative(distances)


def csls(similar: np.ndarray, of_query: np.ndarray | float, of_works: np.ndarray) -> np.ndarray:
    """Return cross-domain similarity local scaling: 2 sim(q, x) − r(q) − r(x).

    r is how crowded the place of each is: its mean similarity to its LOCAL nearest others (Conneau
    et al. 2018, arXiv 1710.04087, equation 8).
    """
    return 2 * similar - of_query - of_works


def distances_between(vectors: np.ndarray, metric: str) -> np.ndarray:
    """Return the distances between prepared rows, rows × rows, in double precision."""
    from scipy.spatial.distance import cdist

    vectors = vectors.astype(np.float64)
    if metric == "dot":
        return -(vectors @ vectors.T)
    if metric == "angular":
        units = unit_rows(vectors)
        return np.sqrt(np.maximum(0, 2 - 2 * (units @ units.T)))
    if metric == "hamming":
        return cdist(vectors, vectors, "hamming") * vectors.shape[1]
    return cdist(vectors, vectors, {"euclidean": "euclidean", "manhattan": "cityblock"}[metric])


def rerank(rows: np.ndarray, distances: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k nearest of some candidates by their exact distances; ties are settled by row."""
    order = np.lexsort((rows, distances))[:k]
    return rows[order], distances[order]


def stack_answers(
    answers: Iterable[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and distances of several queries as two arrays, queries × k."""
    rows, distances = zip(*answers, strict=True)
    return np.stack(rows), np.stack(distances)
