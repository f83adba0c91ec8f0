"""What speed costs: how close `exact` and `fast` stay to a plain loop, and to each other."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import report
import torch
from decode import cosine
from methods import catch
from scipy.stats import bootstrap
from speed import Settings
from works import draw_works

from artsearch.base.errors import ArtsearchError
from artsearch.features.extract import extract
from artsearch.features.extractor import FeatureExtractor
from artsearch.networks.loading import load_model
from artsearch.networks.pooling import flatten
from artsearch.networks.registry import NETWORKS, transform_for
from artsearch.works.collection import Collection

NETWORK = "efficientnet_lite0"  # its trained weights come as a package
LABELS = ("style", "content", "manner")
MOST_WORKS = 2_000
K = 10
COLUMNS = {
    "pair": "",
    "mean_cosine": "mean cosine",
    "lowest_cosine": "lowest",
    "same_nearest": "same nearest",
    "goal": "goal",
    "met": "met",
}
LABEL_COLUMNS = {
    "label": "label",
    "queries": "queries",
    "exact": "exact",
    "exact_low": "95 % from",
    "exact_high": "to",
    "fast": "fast",
    "fast_low": "95 % from",
    "fast_high": "to",
    "within": "within",
}


def measure(settings: Settings) -> None:
    """Extract works in three ways and compare; print the tables, and write faithful.json."""
    collection = Collection(settings.collection)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch, "works")
        drawn = draw_works(collection, 32 if settings.quick else MOST_WORKS, folder)
        works = Collection(folder)
        vectors, left_out = {"plain": plain_loop(works)}, {}
        for precision in ("exact", "fast"):
            try:
                vectors[precision] = extracted(works, precision, settings.compile, scratch)
            except ArtsearchError as error:
                left_out[precision] = str(error)
    pairs = compare_pairs(vectors)
    ids = [drawn[name] for name in works.ids]
    labels = compare_labels(collection, ids, vectors) if "fast" in vectors else []
    show(len(ids), pairs, labels, left_out)
    parts = {"pairs": pairs, "labels": labels, "left_out": left_out, "compiled": settings.compile}
    report.write(settings.out / "faithful.json", works=len(ids), network=NETWORK, k=K, **parts)


def show(works: int, pairs: list[dict], labels: list[dict], left_out: dict[str, str]) -> None:
    """Print what was found."""
    print(f"Faithfulness: {NETWORK}, trained weights, {works:,} works")
    print(report.table(pairs, COLUMNS))
    if labels:
        print(f"\nShare of the {K} nearest that have the query's label, with 95 % intervals")
        print(report.table(labels, LABEL_COLUMNS))
    for precision, reason in left_out.items():
        print(f"{precision} left out: {reason}")


def plain_loop(works: Collection) -> np.ndarray:
    """Return the rows of a loop that anyone would write: eager, float32, one work at a time."""
    network, transform = NETWORKS[NETWORK], transform_for(NETWORK)
    model, rows = load_model(network).eval(), []
    caught = catch(model, network.layer)
    for id in works:
        with torch.no_grad():
            model(transform(works.open(id))[None])
        rows.append(flatten(caught["output"], network.pool).numpy())
    return np.vstack(rows)


def extracted(works: Collection, precision: str, compile: bool, scratch: str) -> np.ndarray:
    """Return the rows that `extract` puts into its store, in the order of the works."""
    extractor = FeatureExtractor(NETWORK, precision=precision, compile=compile)
    out = Path(scratch, precision)
    (features,) = extract(works, [extractor], out, progress=False).values()
    rows = [features.ids.index(id) for id in works.ids]
    return np.array(features.vectors[rows])


def compare_pairs(vectors: dict[str, np.ndarray]) -> list[dict]:
    """Return cosines, and the share of the nearest that stay, of `exact` and of `fast`."""
    rows = []
    if "exact" in vectors:
        row = compare(vectors["plain"], vectors["exact"])
        goal = "every cosine 0.9999 or more"
        rows.append({"pair": "exact and a plain loop", **row, "goal": goal})
        rows[-1]["met"] = row["lowest_cosine"] >= 0.9999
    if "exact" in vectors and "fast" in vectors:
        row = compare(vectors["exact"], vectors["fast"])
        goal = "mean cosine 0.999, same nearest 0.95"
        rows.append({"pair": "fast and exact", **row, "goal": goal})
        rows[-1]["met"] = row["mean_cosine"] >= 0.999 and row["same_nearest"] >= 0.95
    return rows


def compare(first: np.ndarray, second: np.ndarray) -> dict:
    """Return how alike two sets of rows of the same works are.

    >>> compare(np.eye(3), 2 * np.eye(3))["lowest_cosine"]
    1.0
    """
    cosines = cosine(first, second)
    pairs = zip(nearest(first), nearest(second), strict=True)
    shares = [len(set(one) & set(other)) / len(one) for one, other in pairs]
    return {
        "mean_cosine": float(cosines.mean()),
        "lowest_cosine": float(cosines.min()),
        "same_nearest": float(np.mean(shares)),
    }


def nearest(vectors: np.ndarray, k: int = K) -> np.ndarray:
    """Return the k nearest rows of each row by cosine, the row itself left out."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    k = min(k, len(unit) - 1)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :k]


def compare_labels(
    collection: Collection, ids: list[str], vectors: dict[str, np.ndarray]
) -> list[dict]:
    """Return the precision of `exact` and `fast` for each label of which the works tell enough."""
    rows = []
    for column in LABELS:
        if column not in collection.works:
            continue
        labels = np.array([collection.work(id)[column].strip() for id in ids])
        # A label that one work alone has cannot be found again; works without one do not count.
        known = [row for row, label in enumerate(labels) if label and (labels == label).sum() > 1]
        if len(set(labels[known])) > 1:
            shares = {name: label_shares(vectors[name], labels, known) for name in vectors}
            rows.append({"label": column, "queries": len(known), **intervals(shares)})
    return rows


def label_shares(vectors: np.ndarray, labels: np.ndarray, known: list[int]) -> np.ndarray:
    """Return for each work with a label the share of its nearest, among those, that have it too."""
    labels = labels[known]
    return (labels[nearest(vectors[known])] == labels[:, None]).mean(axis=1)


def intervals(shares: dict[str, np.ndarray]) -> dict:
    """Return mean and 95 % interval of both precisions, and whether fast's lies in exact's."""
    found = {}
    for name in ("exact", "fast"):
        low, high = confidence(shares[name])
        found |= {name: float(shares[name].mean()), f"{name}_low": low, f"{name}_high": high}
    return found | {"within": found["exact_low"] <= found["fast"] <= found["exact_high"]}


def confidence(shares: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a mean over queries."""
    if np.ptp(shares) == 0:
        return float(shares[0]), float(shares[0])  # nothing to draw from: scipy would give NaN
    random = np.random.default_rng(0)
    # Percentiles: the accelerated kind leaves each query out in turn, and squares the memory.
    options = {"n_resamples": 2_000, "method": "percentile", "batch": 100, "rng": random}
    interval = bootstrap((shares,), np.mean, **options).confidence_interval
    return float(interval.low), float(interval.high)
