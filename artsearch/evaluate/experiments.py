"""The experiments: what each network, crop and descriptor finds, in tables of one form.

Every table has the columns of `metrics.csv` (COLUMNS). A descriptor is "final" (the article's
recipe: the final layer), "blend" (ours: the dial half way), "content" and "style" (its ends),
"blend at 0.25" (other weights), a layer by its name ("blocks.4:gram"), any of these with ", csls"
(corrected for hubs), or "chance".
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import pandas as pd

from artsearch.base.errors import TooFewWorks
from artsearch.base.text import fold
from artsearch.evaluate.estimates import (
    Estimate,
    Estimates,
    MetricsTable,
    NotMeasurable,
    difference,
)
from artsearch.evaluate.labels import score_labels
from artsearch.evaluate.rankings import take_rows
from artsearch.evaluate.recovery import Probe, recover
from artsearch.features.extract import extract
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.networks.network import Network
from artsearch.networks.registry import as_network
from artsearch.search.learnt import learnt_descriptor
from artsearch.search.searches import ALPHAS, Searches
from artsearch.works.collection import MACHINE_MADE, TABLE, Collection

#: What is compared by labels, the article's recipe first; and with csls, the first and ours.
DESCRIPTORS = ("final", "content", "blend", "style")
CORRECTED = ("final", "blend")
#: Weights of the dial, from content to style, at which content and manner are measured.
DIAL = tuple(eighth / 8 for eighth in range(9))
#: What the repainted works are told apart by; one is resampled where the other is asked for.
CONTENT, MANNER = "content", "manner"
#: With more works nothing is compared each with each: for 100,000 that takes hours.
MOST_WORKS = 10_000
#: Columns that say what a work is called or where it comes from, and no kind of work.
NO_LABELS = {"id", "title", "year", "licence", "source", "file", CONTENT, MANNER, MACHINE_MADE}


def content_and_manner(
    searches: Searches, k: int | None = None, alphas: Sequence[float] = DIAL, seed: int = 0
) -> MetricsTable:
    """Measure how many of the k nearest have the same content, and how many the same manner.

    If no k is given it is as many as a work usually has others of its content, or of its manner:
    20 for the shipped ones, so that all that are found may be right.

    For a collection with the columns content and manner, such as data/repainted: precision of
    "final" and of each weight of the dial, for each network and crop, beside chance. Intervals draw
    manners again where the content is asked for, and the other way round.
    """
    metrics, works = MetricsTable(), searches.collection.works
    if not {CONTENT, MANNER} <= set(works):
        metrics.note(f"content and manner want two columns of these names in {TABLE}")
        return metrics
    k = k or _usual_others(works)
    for network, crop in searches:
        final, *of_dial = searches.descriptors(network, crop).values()
        # One weight after the other: all of them would take nine times the memory.
        named = ((name_alpha(alpha), of_dial[0].blend.at(alpha)) for alpha in alphas if of_dial)
        named = chain([("final", final.features)], named)
        _measure_both(metrics, works, (network, crop), named, k, seed)
        if not of_dial:
            metrics.note(_no_dial(network))
    return metrics


def by_layer(
    collection: Collection,
    network: Network | str,
    crop: str,
    layers: Sequence[str],
    out: str | os.PathLike = "build",
    k: int | None = None,
    precision: str = "auto",
    progress: bool = True,
    seed: int = 0,
) -> MetricsTable:
    """Measure content and manner as `content_and_manner` does, for single layers with poolings.

    `layers` are names such as "blocks.4:gram", and the descriptors of the table. Features are kept
    below `out`. Raises what `extract` raises.
    """
    metrics, works = MetricsTable(), collection.works
    extractor = FeatureExtractor(network, crop, layers, precision=precision)
    by_key = extract(collection, [extractor], out, progress=progress)
    named = ((layer, features) for (_, _, layer), features in by_key.items())
    key, k = (extractor.network.name, crop), k or _usual_others(works)
    _measure_both(metrics, works, key, named, k, seed)
    return metrics


def verdict(network_title: str, content: Estimate, manner: Estimate) -> str:
    """Say in the article's words what a network sees, with the numbers.

    The rule: of both shares of the nearest works (the same content, the same manner) take how far
    they are above chance. Where one is at least twice the other, the network "sees content" or
    "sees style"; else it "balances the two". A share counts as at chance where its interval reaches
    down to it; with both at chance the network sees neither.

    >>> from types import SimpleNamespace as Of
    >>> content = Of(value=0.7, low=0.6, high=0.8, chance=0.05)
    >>> manner = Of(value=0.2, low=0.1, high=0.3, chance=0.05)
    >>> print(verdict("VGG-16", content, manner))
    VGG-16 sees content: 70 % of the nearest works have the same content (60 to 80 %, by chance \
5 %), 20 % the same manner (10 to 30 %, by chance 5 %).
    """
    above = [_above_chance(estimate) for estimate in (content, manner)]
    if not any(above):
        words = "sees neither content nor style"
    elif max(above) >= 2 * min(above):
        words = "sees content" if above[0] > above[1] else "sees style"
    else:
        words = "balances the two"
    numbers = f"{_percent(content, 'content', 'of the nearest works have ')}, "
    return f"{network_title} {words}: {numbers}{_percent(manner, 'manner')}."


def verdicts(metrics: MetricsTable, descriptor: str = "final") -> dict[tuple[str, str], str]:
    """Return the verdict for each network and crop of what `content_and_manner` has measured."""
    sentences = {}
    for network, crop, name, *key in metrics.estimates:
        if (name, *key) == (descriptor, CONTENT, "precision", ""):
            content, manner = (
                metrics.estimates.get((network, crop, name, label, "precision", ""))
                for label in (CONTENT, MANNER)
            )
            if manner is not None:
                sentences[network, crop] = verdict(as_network(network).title, content, manner)
    return sentences


def find_labels(works: pd.DataFrame) -> list[str]:
    """Return the columns that tell kinds of works: style, artist, and any other that may.

    One of the others is taken where at least two of its values have two works or more, and where
    most of the works that have a value share it with another.
    """
    columns = [column for column in works if column not in NO_LABELS | {"style", "artist"}]
    return ["style", "artist", *(name for name in columns if _tells_kinds(works[name]))]


def real_works(works: pd.DataFrame) -> pd.DataFrame:
    """Return a works' table in which repainted works have no labels: their artist is nobody."""
    if not {CONTENT, MANNER} <= set(works):
        return works
    repainted = (works[CONTENT] != "") & (works[MANNER] != "")
    labels = [column for column in works if column not in NO_LABELS]
    return works.assign(**{label: works[label].mask(repainted, "") for label in labels})


def by_label(
    searches: Searches,
    labels: Sequence[str] | None = None,
    k: int = 10,
    same_artist: Sequence[bool] = (True, False),
    seed: int = 0,
) -> MetricsTable:
    """Measure precision, recall and mean average precision by labels, for all that is compared.

    Labels are columns of the works' table; `find_labels` finds them if none are given. Each is
    measured with works by the query's own artist among the candidates and without, except the
    artist himself. Descriptors are DESCRIPTORS, and CORRECTED with csls. A column `significance`
    follows COLUMNS: "better" or "worse" than "final" of the same network and crop where the
    interval of the difference on the same queries excludes 0, else "same", and "" for "final" and
    chance. Works with a content and a manner were repainted by a machine: they count as works
    without a label.
    """
    metrics = MetricsTable("significance")
    works = real_works(searches.collection.works)
    for network, crop in searches:
        compared = _compared(metrics, searches, network, crop)
        for label in find_labels(works) if labels is None else labels:
            for same in same_artist if label != "artist" else (True,):
                try:
                    scores = {
                        name: score_labels(features, works, label, k, same, correction, seed=seed)
                        for name, (features, correction) in compared.items()
                    }
                except NotMeasurable as error:
                    metrics.note(str(error))
                    continue
                _note_scores(metrics, scores["final"].notes, label, same)
                _add_scores(metrics, (network, crop), label, scores, "yes" if same else "no")
    return metrics


def learnt_by_label(
    searches: Searches,
    labels: Sequence[str] | None = None,
    k: int = 10,
    out: str | os.PathLike = "build",
    seed: int = 0,
) -> MetricsTable:
    """Measure precision by labels of what was learnt, beside what it was learnt on.

    Only works are looked at, as queries and as neighbours, that it was not learnt from, by artists
    that it was not learnt from; the labels say so. Empty where nothing was learnt (see Learnt).
    """
    metrics, works = MetricsTable("significance"), real_works(searches.collection.works)
    artists = works["artist"].map(fold) if "artist" in works else works["id"].map(lambda id: "")
    for network, crop in searches:
        learnt = learnt_descriptor(searches, network, crop, out)
        if learnt is None:
            continue
        seen = works["id"].isin(learnt.learnt.works) | artists.isin(learnt.learnt.artists)
        others = set(works["id"][~seen])
        rows = np.array([row for row, id in enumerate(learnt.features.ids) if id in others])
        compared = {
            learnt.learnt.about["base"]: learnt.base.features,
            "learnt": learnt.features,
        }
        for label in find_labels(works) if labels is None else labels:
            try:
                scores = [
                    score_labels(take_rows(one, rows), works, label, k, seed=seed)["precision"]
                    for one in compared.values()
                ]
            except (NotMeasurable, TooFewWorks) as error:
                metrics.note(f"what was learnt: {error}")
                continue
            marks = "", difference(scores[1], scores[0], seed).significance
            for name, estimate, mark in zip(compared, scores, marks, strict=True):
                key = network, crop, name, f"{label}, not learnt from"
                metrics.add(key, estimate, "yes", mark)
    return metrics


def recovered(
    searches: Searches,
    sample: int = 100,
    seed: int = 0,
    ks: Sequence[int] = (1, 3, 5),
    progress: bool = True,
    **options,
) -> MetricsTable:
    """Measure how often an altered work, or a detail, finds its work: precision, recall, F1.

    The label is the alteration ("blur", "detail of 25 %"); the descriptors are "final" and "blend".
    `options` are those of `recover`, such as alterations and details.
    """
    probes = {}
    for network in searches.networks:
        first = None
        for crop in searches.crops:
            descriptors = searches.descriptors(network.name, crop)
            compared = {name: descriptors[name] for name in CORRECTED if name in descriptors}
            # Crops share the network: it is loaded once.
            first = first or searches.extractor(network, crop, blend="blend" in compared)
            extractor = first if crop == searches.crops[0] else first.with_crop(crop)
            probes[network.name, crop] = Probe(extractor, compared)
    options |= {"ks": ks, "sample": sample, "seed": seed, "progress": progress}
    _, metrics = recover(searches.collection, probes, **options)
    return metrics


def name_alpha(alpha: float) -> str:
    """Return what a weight of the dial is called in tables.

    >>> name_alpha(0), name_alpha(0.25), name_alpha(0.5)
    ('content', 'blend at 0.25', 'blend')
    """
    names = {number: name for name, number in ALPHAS.items()}
    return names.get(alpha, f"blend at {alpha:g}")


def alpha_of(descriptor: str) -> float | None:
    """Return the weight of the dial that a descriptor is; None for what is none.

    >>> alpha_of("blend at 0.25"), alpha_of("style"), alpha_of("final")
    (0.25, 1.0, None)
    """
    head, _, number = descriptor.partition("blend at ")
    return float(number) if not head and number else ALPHAS.get(descriptor)


def _compared(
    metrics: MetricsTable, searches: Searches, network: str, crop: str
) -> dict[str, tuple[Features, str | None]]:
    """Return features and correction of all descriptors that a network has."""
    descriptors = searches.descriptors(network, crop)
    features = {name: descriptors[name].features for name in DESCRIPTORS if name in descriptors}
    if len(features) == 1:
        metrics.note(_no_dial(network))
    compared = {name: (rows, None) for name, rows in features.items()}
    if len(features["final"]) > MOST_WORKS:
        metrics.note(f"csls compares each work with each: with more than {MOST_WORKS:,} left out")
        return compared
    corrected = (name for name in CORRECTED if name in features)
    return compared | {f"{name}, csls": (features[name], "csls") for name in corrected}


def _measure_both(
    metrics: MetricsTable,
    works: pd.DataFrame,
    key: tuple[str, str],
    named: Iterable[tuple[str, Features]],
    k: int,
    seed: int,
) -> None:
    """Add the precision of content and of manner for some features by name, and that of chance."""
    estimates: dict[str, Estimate] = {}
    for descriptor, features in named:
        for label, resample in ((CONTENT, MANNER), (MANNER, CONTENT)):
            try:
                scores = score_labels(features, works, label, k, seed=seed, resample=resample)
            except NotMeasurable as error:
                metrics.note(str(error))
                continue
            metrics.note(*scores.notes)
            if "precision" in scores:  # with fewer works than k it is not; the notes say so
                metrics.add((*key, descriptor, label), scores["precision"])
                estimates.setdefault(label, scores["precision"])
    for label, estimate in estimates.items():
        metrics.add_chance((*key, "chance", label), estimate)


def _usual_others(works: pd.DataFrame) -> int:
    """Return how many others of its content, or of its manner if fewer, a work usually has."""
    columns = (works[label].map(fold) for label in (CONTENT, MANNER))
    columns = (column[column != ""] for column in columns)
    medians = [column.map(column.value_counts()).median() - 1 for column in columns]
    return max(1, int(np.nanmin([*medians, len(works)])))


def _add_scores(
    metrics: MetricsTable, key: tuple, label: str, scores: dict[str, Estimates], same_artist: str
) -> None:
    """Add the scores of all descriptors by one label, and how each compares with "final"."""
    final = scores["final"]
    for name, by_metric in scores.items():
        for metric, estimate in by_metric.items():
            compared = "" if name == "final" else difference(estimate, final[metric]).significance
            metrics.add((*key, name, label), estimate, same_artist, compared)
    for estimate in final.values():
        metrics.add_chance((*key, "chance", label), estimate, same_artist, "")


def _note_scores(metrics: MetricsTable, notes: Sequence[str], label: str, same: bool) -> None:
    """Note what the notes of scores say, with what they are about where they do not say so."""
    for note in notes:
        note = note if label in note else f"{label}: {note}"
        if not same and note not in metrics.notes:
            note = f"{note} (works by the same artist left out)"
        metrics.note(note)


def _tells_kinds(column: pd.Series) -> bool:
    values = column.astype(str).map(fold)
    sizes = values[values != ""].value_counts()
    shared = sizes[sizes > 1]
    return len(shared) > 1 and shared.sum() > sizes.sum() / 2


def _above_chance(estimate: Estimate) -> float:
    # Without an interval (fewer than three units) the value itself has to do.
    least = estimate.value if np.isnan(estimate.low) else estimate.low
    return estimate.value - estimate.chance if least > estimate.chance else 0.0


def _percent(estimate: Estimate, what: str, words: str = "") -> str:
    low, high, chance = estimate.low * 100, estimate.high * 100, estimate.chance * 100
    span = "" if np.isnan(low) else f"{low:.0f} to {high:.0f} %, "
    value = f"{estimate.value * 100:.0f} %"
    return f"{value} {words}the same {what} ({span}by chance {chance:.0f} %)"


def _no_dial(network: str) -> str:
    return f"{network} states no layers for content and style: of its dial nothing is measured"
