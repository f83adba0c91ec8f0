"""How far networks and crops agree, who is everyone's neighbour, and whom a crop changes most."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from artsearch.base.errors import VectorsAloneError, check_whole
from artsearch.evaluate.estimates import MetricsTable, NotMeasurable, difference
from artsearch.evaluate.experiments import CORRECTED, MOST_WORKS
from artsearch.evaluate.labels import mean_rank_biased_overlap, overlap_at_k
from artsearch.evaluate.rankings import Hubness, hubness, take_rows
from artsearch.features.features import Features
from artsearch.networks.transforms import AS_PUBLISHED, CENTER_CROP, NO_CROP
from artsearch.search.searches import Searches


def agreement(searches: Searches, k: int = 10, seed: int = 0) -> MetricsTable:
    """Measure how far two networks, and the two crops, have the same neighbours.

    Metrics are "overlap" (of the k nearest) and "rank-biased overlap" (of the 50 nearest, the first
    counting most), for the descriptors CORRECTED. Of two networks the column network is "a + b", of
    two crops the column crop "center_crop + no_crop". Intervals draw artists again.
    """
    metrics, works = MetricsTable(), searches.collection.works
    if len(searches.networks) < 2:
        metrics.note("there is one network: it has no other to agree with; name two or more")
    if len(searches.crops) < 2:
        metrics.note(_one_crop(searches))
    for descriptor in CORRECTED:
        for network, crop, *pair in _pairs(searches, descriptor):
            depth, pair = _limit(metrics, k, pair, seed)
            for estimate in (
                overlap_at_k(*pair, depth, works=works, seed=seed),
                mean_rank_biased_overlap(*pair, works=works, seed=seed),
            ):
                metrics.add((network, crop, descriptor, ""), estimate)
                if descriptor == "final":
                    metrics.add_chance((network, crop, "chance", ""), estimate)
    return metrics


def hubs(searches: Searches, k: int = 10, seed: int = 0) -> MetricsTable:
    """Measure how unevenly works are found: "hubness" (the skewness) and "antihubs" (their share).

    For the descriptors CORRECTED, each without and with the correction "csls". `find_hubs` says who
    they are.
    """
    metrics = MetricsTable()
    for network, crop in searches:
        descriptors = searches.descriptors(network, crop)
        for name in CORRECTED:
            if name not in descriptors:
                continue
            depth, (features,) = _limit(metrics, k, [descriptors[name].features], seed)
            for descriptor, correction in ((name, None), (f"{name}, csls", "csls")):
                counts = hubness(features, depth, correction)
                values = {"hubness": counts.skewness, "antihubs": counts.antihubs}
                for metric, value in values.items():
                    key = network, crop, descriptor, "", metric, depth, ""
                    metrics.add_row(*key, value, np.nan, np.nan)
    return metrics


def find_hubs(
    searches: Searches, network: str, crop: str, descriptor: str = "final", k: int = 10
) -> Hubness:
    """Return how often each work is found, by one network and crop; `table()` names the hubs."""
    name, _, correction = descriptor.partition(", ")
    features = searches.descriptors(network, crop)[name].features
    depth, (features,) = _limit(MetricsTable(), k, [features])
    return hubness(features, depth, correction or None)


def crop_changes(
    searches: Searches, network: str, descriptor: str = "final", k: int = 10
) -> pd.DataFrame:
    """Return all works with the share of neighbours that both crops have in common, least first.

    The columns are id and overlap. Raises NotMeasurable where there is one crop only.
    """
    if list(searches.crops) == [AS_PUBLISHED]:
        raise VectorsAloneError("vectors as published have one crop, so crops cannot be compared")
    if len(searches.crops) < 2:
        raise NotMeasurable(_one_crop(searches))
    pair = [
        searches.descriptors(network, crop)[descriptor].features for crop in (CENTER_CROP, NO_CROP)
    ]
    depth, pair = _limit(MetricsTable(), k, pair)
    estimate = overlap_at_k(*pair, depth)
    table = pd.DataFrame({"id": estimate.ids, "overlap": estimate.values})
    return table.sort_values("overlap", kind="stable", ignore_index=True)


def compare_crops(*tables: MetricsTable) -> pd.DataFrame:
    """Return what center crop is better or worse by than no crop, on the same queries.

    The columns are network, descriptor, label, metric, k, same_artist, then `center_crop` and
    `no_crop` (the values), `difference` (center less none) with low and high, and `significance`:
    what center crop is ("better", "worse", or the "same" within the interval). Of what both crops
    have.
    """
    rows = []
    estimates = {key: estimate for table in tables for key, estimate in table.estimates.items()}
    for (network, crop, *key, same_artist), center in estimates.items():
        none = estimates.get((network, NO_CROP, *key, same_artist))
        if crop == CENTER_CROP and none is not None:
            gap = difference(center, none)
            values = center.value, none.value, gap.value, gap.low, gap.high, gap.significance
            rows.append((network, *key, center.k, same_artist, *values))
    columns = ["network", "descriptor", "label", "metric", "k", "same_artist"]
    columns += ["center_crop", "no_crop", "difference", "low", "high", "significance"]
    return pd.DataFrame(rows, columns=columns).astype({"k": "Int64"})


def _pairs(searches: Searches, descriptor: str) -> Iterator[tuple[str, str, Features, Features]]:
    """Yield pairs of networks for each crop, then of crops for each network, with features."""
    descriptors = {key: searches.descriptors(*key) for key in searches}
    names = [network.name for network in searches.networks]
    pairs = [
        (f"{first} + {second}", crop, (first, crop), (second, crop))
        for crop in searches.crops
        for first, second in combinations(names, 2)
    ]
    pairs += [
        (name, f"{first} + {second}", (name, first), (name, second))
        for name in names
        for first, second in combinations(sorted(searches.crops), 2)
    ]
    for network, crop, *keys in pairs:
        if all(descriptor in descriptors[key] for key in keys):
            yield network, crop, *(descriptors[key][descriptor].features for key in keys)


def _limit(
    metrics: MetricsTable, k: int, features_list: list[Features], seed: int = 0
) -> tuple[int, list[Features]]:
    """Lower k where there are few works, draw works where there are very many, and note it."""
    check_whole("k", k)
    features_list = [_draw(metrics, features, seed) for features in features_list]
    works = len(features_list[0])
    if 1 < works <= k:
        metrics.note(f"k is {works - 1} in place of {k} for neighbours: there are {works} works")
        k = works - 1
    return k, features_list


def _draw(metrics: MetricsTable, features: Features, seed: int) -> Features:
    if len(features) <= MOST_WORKS:
        return features
    metrics.note(f"{MOST_WORKS:,} of {len(features):,} works were drawn to compare each with each")
    rows = np.random.default_rng(seed).choice(len(features), MOST_WORKS, replace=False)
    return take_rows(features, np.sort(rows))


def _one_crop(searches: Searches) -> str:
    return f"there is one crop, {searches.crops[0]}: how crops differ is not measured; name both"
