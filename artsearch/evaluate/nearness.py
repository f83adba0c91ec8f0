"""How near is near: whether rarities are what they say, and what "nothing is like it" hides."""

from __future__ import annotations

import numpy as np

from artsearch.base.errors import check_whole
from artsearch.evaluate.estimates import MetricsTable, estimate_mean
from artsearch.evaluate.experiments import CORRECTED
from artsearch.index.factory import construct_exact_index
from artsearch.search.rarity import WORDS
from artsearch.search.search import Search
from artsearch.search.searches import Searches

#: Works that are asked for, drawn by chance.
QUERIES = 500
#: What is measured, in this order.
UNUSUAL, NOTHING, HIDDEN = "unusual, other hands", "nothing alike", "same hand hidden"


def nearness(
    searches: Searches, k: int = 10, seed: int = 0, queries: int = QUERIES
) -> MetricsTable:
    """Measure what rarities are worth, for the final layer and the blend of each network.

    Metrics, with the label "artist", of works by hand whose artist is known: UNUSUAL, how many get
    an answer of k works that holds one called unusual or more where their own hand is left out, by
    chance 0.1 at most; NOTHING, to how many it is said that nothing is like them; and HIDDEN, how
    many of these have a work by their own hand among the k nearest all the same, by chance as many
    as any k works have one. Intervals draw artists again.
    """
    check_whole("k", k)
    metrics, collection = MetricsTable(), searches.collection
    if not (collection.works["artist"] != "").any():
        metrics.note("no work has an artist: what rarities hide cannot be measured")
        return metrics
    for network, crop in searches:
        descriptors = searches.descriptors(network, crop)
        for name in CORRECTED:
            if name in descriptors:
                index = construct_exact_index("angular", descriptors[name].features)
                search = Search(collection, index)
                _measure(metrics, (network, crop, name, "artist"), search, k, seed, queries)
    return metrics


def _measure(metrics: MetricsTable, key: tuple, search: Search, k: int, seed: int, queries: int):
    collection = search.collection
    folded = collection.columns.folded("artist")
    hands = {id: folded.iloc[collection.row(id)] for id in search.index.ids}
    counts = folded[folded != ""].value_counts()
    known = [id for id, hand in hands.items() if hand and id not in collection.machines]
    known = np.random.default_rng(seed).permutation(np.array(known, object))[:queries].tolist()
    unusual, nothing, hidden, chances = {}, {}, {}, {}
    k = min(k, len(hands) - 1)
    for id in known if k else ():
        others = search.ask(id, k, exclude_same="artist")
        if others.cut is not None:
            unusual[id] = min(one.rarity.by_chance for one in others) < WORDS[1][0]
        answer = search.by_work(id, k)
        if answer.cut is None:
            continue
        nothing[id] = answer.cut == 0
        if nothing[id]:
            own = counts[hands[id]] - 1
            hidden[id] = any(hands[other] == hands[id] for other in answer.ids)
            chances[id] = 1 - _none_of(own, k, len(hands) - 1)
    expected = ((UNUSUAL, unusual, WORDS[1][0]), (NOTHING, nothing, 0.0))
    if hidden:
        expected += ((HIDDEN, hidden, float(np.mean([*chances.values()]))),)
    for metric, values, chance in expected:
        if not values:
            metrics.note(f"{metric}: too few works by different hands to say what is usual")
            continue
        units = [hands[id] for id in values]
        estimate = estimate_mean(metric, k, [*values.values()], chance, [*values], units, seed)
        same_artist = "no" if metric == UNUSUAL else "yes"
        metrics.add(key, estimate, same_artist)
        if metric != NOTHING:
            metrics.add_chance((*key[:2], f"{key[2]}, chance", key[3]), estimate, same_artist)


def _none_of(own: int, k: int, others: int) -> float:
    """Return the chance that of k works drawn from some others none is one of the own."""
    from scipy.stats import hypergeom

    return float(hypergeom.pmf(0, others, own, k))
