"""The experiments: what each network, crop and descriptor finds, in tables of one form.

Every table has the columns of `metrics.csv` (COLUMNS). A descriptor is "final" (the article's
recipe: the final layer), "blend" (ours: the dial half way), "content" and "style" (its ends),
"blend at 0.25" (other places), a layer by its name ("blocks.4:gram"), any of these with ", csls"
(corrected for hubs), or "chance".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd

from artsearch.evaluate.labels import score_labels
from artsearch.evaluate.measured import COLUMNS, Measured, Sheet, compare, make_table
from artsearch.evaluate.recovery import Probe, recover
from artsearch.evaluate.scores import Scores, difference
from artsearch.features.extract import extract
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.networks.network import Network
from artsearch.networks.registry import as_network
from artsearch.search.searches import ALPHAS, Searches
from artsearch.works.collection import MACHINE_MADE, TABLE, Collection

#: What is compared by labels, the article's recipe first; and with csls, the first and ours.
DESCRIPTORS = ("final", "content", "blend", "style")
CORRECTED = ("final", "blend")
#: Places of the dial at which content and manner are measured.
DIAL = tuple(place / 8 for place in range(9))
#: What the repainted works are told apart by; one is resampled where the other is asked for.
CONTENT, MANNER = "content", "manner"
#: With more works nothing is compared each with each: for 100,000 that takes hours.
MOST_WORKS = 10_000
#: Columns that say what a work is called or where it comes from, and no kind of work.
NO_LABELS = {"id", "title", "year", "licence", "source", "file", CONTENT, MANNER, MACHINE_MADE}


def content_and_manner(
    searches: Searches, k: int | None = None, places: Sequence[float] = DIAL, seed: int = 0
) -> Measured:
    """Measure how many of the k nearest have the same content, and how many the same manner.

    If no k is given it is as many as a work usually has others of its content, or of its manner:
    20 for the shipped ones, so that all that are found may be right.

    For a collection with the columns content and manner, such as data/repainted: precision of
    "final" and of each place of the dial, for each network and crop, beside chance. Intervals draw
    manners again where the content is asked for, and the other way round.
    """
    sheet = Sheet()
    works = searches.collection.works
    if not {CONTENT, MANNER} <= set(works):
        sheet.note([f"content and manner want two columns of these names in {TABLE}"])
        return sheet.measured()
    k = k or _usual_others(works)
    for network, crop in searches:
        final, *rest = searches.descriptors(network, crop).values()
        _score_both(sheet, works, (network, crop, "final"), final.features, k, seed)
        if not rest:
            sheet.note([_no_dial(network)])
        for place in places if rest else ():
            # One place after the other: all of them would take nine times the memory.
            rows = rest[0].blend.at(place)
            _score_both(sheet, works, (network, crop, place_name(place)), rows, k, seed)
        _add_chance_of_both(sheet, (network, crop, "final"))
    return sheet.measured()


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
) -> Measured:
    """Measure content and manner as `content_and_manner` does, for single layers with poolings.

    `layers` are names such as "blocks.4:gram", and the descriptors of the table. Features are kept
    below `out`. Raises what `extract` raises.
    """
    sheet, k = Sheet(), k or _usual_others(collection.works)
    extractor = FeatureExtractor(network, crop, layers, precision=precision)
    found = extract(collection, [extractor], out, progress=progress)
    for (name, _, layer), features in found.items():
        _score_both(sheet, collection.works, (name, crop, layer), features, k, seed)
    _add_chance_of_both(sheet, (extractor.network.name, crop, extractor.layers[0]))
    return sheet.measured()


class Share(Protocol):
    """How many of the nearest works have something in common: a Score is one."""

    value: float
    low: float
    high: float
    chance: float


def verdict(network_title: str, content: Share, manner: Share) -> str:
    """Say in the article's words what a network sees, with the numbers.

    The rule: of both shares of the nearest works (the same content, the same manner) take how far
    they are above chance. Where one is at least twice the other, the network "sees content" or
    "sees style"; else it "balances the two". A share counts as at chance where its interval reaches
    down to it; with both at chance the network sees neither.

    >>> from types import SimpleNamespace as Share
    >>> content, manner = Share(value=0.7, low=0.6, high=0.8, chance=0.05), Share(
    ...     value=0.2, low=0.1, high=0.3, chance=0.05)
    >>> print(verdict("VGG-16", content, manner))
    VGG-16 sees content: 70 % of the nearest works have the same content (60 to 80 %, by chance \
5 %), 20 % the same manner (10 to 30 %, by chance 5 %).
    """
    above = [_above_chance(share) for share in (content, manner)]
    if not any(above):
        words = "sees neither content nor style"
    elif max(above) >= 2 * min(above):
        words = "sees content" if above[0] > above[1] else "sees style"
    else:
        words = "balances the two"
    numbers = f"{_percent(content, 'content', 'of the nearest works have ')}, "
    return f"{network_title} {words}: {numbers}{_percent(manner, 'manner')}."


def verdicts(measured: Measured, descriptor: str = "final") -> dict[tuple[str, str], str]:
    """Return the verdict for each network and crop of what `content_and_manner` has measured."""
    found = {}
    for network, crop, name, label, metric, _ in measured.scores:
        if (name, label, metric) == (descriptor, CONTENT, "precision"):
            keys = [(network, crop, name, one, metric, "") for one in (CONTENT, MANNER)]
            if all(key in measured.scores for key in keys):
                shares = [measured.scores[key] for key in keys]
                found[network, crop] = verdict(as_network(network).title, *shares)
    return found


def find_labels(works: pd.DataFrame) -> list[str]:
    """Return the columns that tell kinds of works: style, artist, and any other that may.

    One of the others is taken where at least two of its values have two works or more, and where
    most of the works that have a value share it with another.
    """
    others = [column for column in works if column not in NO_LABELS | {"style", "artist"}]
    return ["style", "artist", *(name for name in others if _tells_kinds(works[name]))]


def real_works(works: pd.DataFrame) -> pd.DataFrame:
    """Return a works' table in which repainted works have no labels: their artist is nobody."""
    if not {CONTENT, MANNER} <= set(works):
        return works
    made = (works[CONTENT] != "") & (works[MANNER] != "")
    labels = [column for column in works if column not in NO_LABELS]
    return works.assign(**{name: works[name].mask(made, "") for name in labels})


def by_label(
    searches: Searches,
    labels: Sequence[str] | None = None,
    k: int = 10,
    same_artist: Sequence[bool] = (True, False),
    seed: int = 0,
) -> Measured:
    """Measure precision, recall and mean average precision by labels, for all that is compared.

    Labels are columns of the works' table; `find_labels` finds them if none are given. Each is
    measured with works by the query's own artist among the candidates and without, except the
    artist himself. Descriptors are DESCRIPTORS, and CORRECTED with csls. A column `beyond` follows
    COLUMNS: "better" or "worse" than "final" of the same network and crop where the interval of the
    difference on the same queries excludes 0, else "same", and "" for "final" and chance. Works
    with a content and a manner were repainted by a machine: they count as works without a label.
    """
    sheet, beyond = Sheet(), []
    works = real_works(searches.collection.works)
    for network, crop in searches:
        compared = _compared(sheet, searches, network, crop)
        for label in find_labels(works) if labels is None else labels:
            for same in same_artist if label != "artist" else (True,):
                with sheet.noting():
                    scores = {
                        name: score_labels(features, works, label, k, same, correction, seed=seed)
                        for name, (features, correction) in compared.items()
                    }
                    _note_scores(sheet, scores["final"].notes, label, same)
                    beyond += _add_scores(sheet, (network, crop, label), scores, same)
    return sheet.measured({"beyond": beyond})


def recovered(
    searches: Searches,
    sample: int = 100,
    seed: int = 0,
    ks: Sequence[int] = (1, 3, 5),
    progress: bool = True,
    **options,
) -> Measured:
    """Measure how often an altered work, or a detail, finds its work: precision, recall, F1.

    The label is the alteration ("blur", "detail of 25 %"); the descriptors are "final" and "blend".
    `options` are those of `recover`, such as alterations and details.
    """
    probes = {}
    for network in searches.networks:
        first = None
        for crop in searches.crops:
            known = searches.descriptors(network.name, crop)
            compared = {name: known[name] for name in ("final", "blend") if name in known}
            # Crops share the network: it is loaded once.
            first = first or searches.extractor(network, crop, blend="blend" in compared)
            extractor = first if crop == searches.crops[0] else first.with_crop(crop)
            probes[network.name, crop] = Probe(extractor, compared)
    found = recover(
        searches.collection,
        probes,
        ks=ks,
        sample=sample,
        seed=seed,
        progress=progress,
        **options,
    )
    table = found.table().rename(columns={"alteration": "label"}).assign(same_artist="")
    rows = table[COLUMNS].itertuples(index=False, name=None)
    return Measured(make_table(list(rows)), found.notes)


def place_name(place: float) -> str:
    """Return what a place of the dial is called in tables.

    >>> place_name(0), place_name(0.25), place_name(0.5)
    ('content', 'blend at 0.25', 'blend')
    """
    names = {number: name for name, number in ALPHAS.items()}
    return names.get(place, f"blend at {place:g}")


def place_of(descriptor: str) -> float | None:
    """Return the place of the dial that a descriptor is; None for what is none.

    >>> place_of("blend at 0.25"), place_of("style"), place_of("final")
    (0.25, 1.0, None)
    """
    head, _, number = descriptor.partition("blend at ")
    return float(number) if not head and number else ALPHAS.get(descriptor)


def _compared(
    sheet: Sheet, searches: Searches, network: str, crop: str
) -> dict[str, tuple[Features, str | None]]:
    """Return rows and correction of all descriptors that a network has."""
    known = searches.descriptors(network, crop)
    rows = {name: known[name].features for name in DESCRIPTORS if name in known}
    if len(rows) == 1:
        sheet.note([_no_dial(network)])
    compared = {name: (features, None) for name, features in rows.items()}
    if len(rows["final"]) > MOST_WORKS:
        sheet.note([f"csls compares each work with each: with more than {MOST_WORKS:,} left out"])
        return compared
    return compared | {f"{name}, csls": (rows[name], "csls") for name in CORRECTED if name in rows}


def _score_both(
    sheet: Sheet, works: pd.DataFrame, key: tuple[str, str, str], rows: Features, k: int, seed: int
) -> None:
    for label, groups in ((CONTENT, MANNER), (MANNER, CONTENT)):
        with sheet.noting():
            scores = score_labels(rows, works, label, k, seed=seed, groups=groups)
            sheet.note(scores.notes)
            if "precision" in scores:  # with fewer works than k it is not; the notes say so
                sheet.add(*key, label, scores["precision"])


def _usual_others(works: pd.DataFrame) -> int:
    """Return how many others of its content, or of its manner if fewer, a work usually has."""
    columns = (works[label][works[label] != ""] for label in (CONTENT, MANNER))
    others = [column.map(column.value_counts()).median() - 1 for column in columns]
    return max(1, int(np.nanmin([*others, len(works)])))


def _add_chance_of_both(sheet: Sheet, key: tuple[str, str, str]) -> None:
    network, crop, _ = key
    for label in (CONTENT, MANNER):
        score = sheet.scores.get((*key, label, "precision", ""))
        if score is not None:
            sheet.add_chance(network, crop, label, score)


def _add_scores(
    sheet: Sheet, key: tuple[str, str, str], scores: Mapping[str, Scores], same: bool
) -> list[str]:
    """Take the scores of all descriptors by one label; return how each compares with "final"."""
    network, crop, label = key
    word, beyond = "yes" if same else "no", []
    for name, by_metric in scores.items():
        for metric, score in by_metric.items():
            sheet.add(network, crop, name, label, score, word)
            gap = difference(score, scores["final"][metric])
            beyond.append("" if name == "final" else compare(gap))
    for score in scores["final"].values():
        sheet.add_chance(network, crop, label, score, word)
        beyond.append("")
    return beyond


def _note_scores(sheet: Sheet, notes: Sequence[str], label: str, same: bool) -> None:
    """Take the notes of scores, with what they are about where they do not say so."""
    new = [note if label in note else f"{label}: {note}" for note in notes]
    if not same:
        new = [n if n in sheet.notes else f"{n} (works by the same artist left out)" for n in new]
    sheet.note(new)


def _tells_kinds(column: pd.Series) -> bool:
    values = column.astype(str).str.strip()
    sizes = values[values != ""].value_counts()
    shared = sizes[sizes > 1]
    return len(shared) > 1 and shared.sum() > sizes.sum() / 2


def _above_chance(share: Share) -> float:
    # Without an interval (fewer than three groups) the value itself has to do.
    at_chance = not (share.value if np.isnan(share.low) else share.low) > share.chance
    return 0.0 if at_chance else share.value - share.chance


def _percent(share: Share, what: str, words: str = "") -> str:
    span = "" if np.isnan(share.low) else f"{share.low * 100:.0f} to {share.high * 100:.0f} %, "
    chance = f"({span}by chance {share.chance * 100:.0f} %)"
    return f"{share.value * 100:.0f} % {words}the same {what} {chance}"


def _no_dial(network: str) -> str:
    return f"{network} states no layers for content and style: of its dial nothing is measured"
