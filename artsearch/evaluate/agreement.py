"""How far networks and crops agree, who is everyone's neighbour, and whom a crop changes most."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd

from artsearch.base.errors import check_whole
from artsearch.evaluate.experiments import CORRECTED, MOST_WORKS
from artsearch.evaluate.labels import mean_rank_biased_overlap, overlap_at_k
from artsearch.evaluate.measured import Measured, Sheet, compare
from artsearch.evaluate.rankings import Hubness, hubness
from artsearch.evaluate.scores import NotMeasurable, Score, difference
from artsearch.features.features import Features
from artsearch.networks.transforms import CENTER_CROP, NO_CROP
from artsearch.search.searches import Searches


def agreement(searches: Searches, k: int = 10, seed: int = 0) -> Measured:
    """Measure how far two networks, and the two crops, have the same neighbours.

    Metrics are "overlap" (of the k nearest) and "rank-biased overlap" (of the 50 nearest, the first
    counting most), for the descriptors CORRECTED. Of two networks the column network is "a + b", of
    two crops the column crop "center_crop + no_crop". Intervals draw artists again.
    """
    sheet, works = Sheet(), searches.collection.works
    if len(searches.networks) < 2:
        sheet.note(["there is one network: it has no other to agree with; name two or more"])
    if len(searches.crops) < 2:
        sheet.note([_one_crop(searches)])
    for descriptor in CORRECTED:
        for (network, crop), pair in _pairs(searches, descriptor):
            first, second = (_drawn(sheet, one, seed) for one in pair)
            some = _lower(sheet, k, first)
            for score in (
                overlap_at_k(first, second, some, works=works, seed=seed),
                mean_rank_biased_overlap(first, second, works=works, seed=seed),
            ):
                sheet.add(network, crop, descriptor, "", score)
                if descriptor == "final":
                    sheet.add_chance(network, crop, "", score)
    return sheet.measured()


def hubs(searches: Searches, k: int = 10, seed: int = 0) -> Measured:
    """Measure how unevenly works are found: "hubness" (the skewness) and "orphans" (their share).

    For the descriptors CORRECTED, each without and with the correction "csls". `find_hubs` says who
    they are.
    """
    sheet = Sheet()
    for network, crop in searches:
        known = searches.descriptors(network, crop)
        for name in (name for name in CORRECTED if name in known):
            features = _drawn(sheet, known[name].features, seed)
            some = _lower(sheet, k, features)
            for descriptor, correction in ((name, None), (f"{name}, csls", "csls")):
                found = hubness(features, some, correction)
                key = network, crop, descriptor, ""
                sheet.add_number(*key, "hubness", some, "", value=found.skewness)
                sheet.add_number(*key, "orphans", some, "", value=found.orphans)
    return sheet.measured()


def find_hubs(
    searches: Searches, network: str, crop: str, descriptor: str = "final", k: int = 10
) -> Hubness:
    """Return how often each work is found, by one network and crop; `most()` names the hubs."""
    sheet = Sheet()
    name, _, correction = descriptor.partition(", ")
    features = _drawn(sheet, searches.descriptors(network, crop)[name].features, 0)
    return hubness(features, _lower(sheet, k, features), correction or None)


def crop_changes(
    searches: Searches, network: str, descriptor: str = "final", k: int = 10
) -> pd.DataFrame:
    """Return all works with the share of neighbours that both crops have in common, least first.

    The columns are id and overlap. Raises NotMeasurable where there is one crop only.
    """
    if len(searches.crops) < 2:
        raise NotMeasurable(_one_crop(searches))
    sheet = Sheet()
    pair = [
        _drawn(sheet, searches.descriptors(network, crop)[descriptor].features, 0)
        for crop in (CENTER_CROP, NO_CROP)
    ]
    score = overlap_at_k(*pair, _lower(sheet, k, pair[0]))
    table = pd.DataFrame({"id": score.ids, "overlap": score.values})
    return table.sort_values("overlap", kind="stable", ignore_index=True)


def compare_crops(measured: Measured) -> pd.DataFrame:
    """Return what center crop is better or worse by than no crop, on the same queries.

    The columns are network, descriptor, label, metric, k, same_artist, then `center_crop` and
    `no_crop` (the values), `difference` (center less none) with low and high, and `beyond`: what
    center crop is ("better", "worse", or the "same" within the interval). Of what both crops have.
    """
    rows = []
    for (network, crop, *rest), center in measured.scores.items():
        none = measured.scores.get((network, NO_CROP, *rest))
        if crop == CENTER_CROP and none is not None:
            rows.append((network, *rest[:3], center.k, rest[3], *_crop_row(center, none)))
    values = ["center_crop", "no_crop", "difference", "low", "high", "beyond"]
    keys = ["network", "descriptor", "label", "metric", "k", "same_artist"]
    return pd.DataFrame(rows, columns=keys + values).astype({"k": "Int64"})


def _crop_row(center: Score, none: Score) -> tuple:
    gap = difference(center, none)
    return center.value, none.value, gap.value, gap.low, gap.high, compare(gap)


def _pairs(
    searches: Searches, descriptor: str
) -> Iterator[tuple[tuple[str, str], tuple[Features, Features]]]:
    """Yield the pairs of networks for each crop, then of crops for each network, with features."""
    names = [network.name for network in searches.networks]
    known = {key: searches.descriptors(*key) for key in searches}
    rows = {key: found[descriptor].features for key, found in known.items() if descriptor in found}
    pairs = [
        ((f"{one} + {other}", crop), ((one, crop), (other, crop)))
        for crop in searches.crops
        for one, other in combinations(names, 2)
    ]
    pairs += [
        ((name, f"{one} + {other}"), ((name, one), (name, other)))
        for name in names
        for one, other in combinations(sorted(searches.crops), 2)
    ]
    for key, (first, second) in pairs:
        if first in rows and second in rows:
            yield key, (rows[first], rows[second])


def _drawn(sheet: Sheet, features: Features, seed: int) -> Features:
    """Return the features, or those of works drawn by chance where there are very many."""
    if len(features) <= MOST_WORKS:
        return features
    sheet.note([f"{MOST_WORKS:,} of {len(features):,} works were drawn to compare each with each"])
    rows = np.random.default_rng(seed).choice(len(features), MOST_WORKS, replace=False)
    rows.sort()
    ids = [features.ids[row] for row in rows]
    return Features(features.vectors[rows], ids, features.provenance)


def _lower(sheet: Sheet, k: int, features: Features) -> int:
    """Return k, or the number of other works where there are fewer; note it then."""
    check_whole("k", k)
    others = len(features) - 1
    if k <= others or others < 1:
        return k
    sheet.note([f"k is {others} in place of {k} for neighbours: there are {len(features)} works"])
    return others


def _one_crop(searches: Searches) -> str:
    return f"there is one crop, {searches.crops[0]}: how crops differ is not measured; name both"
