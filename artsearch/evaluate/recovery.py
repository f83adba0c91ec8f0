"""Whether a work is found again when it is altered, or when only a detail of it is at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, ImageError, MismatchError, check_whole
from artsearch.base.progress import Progress
from artsearch.base.vectors import chunks_of, unit_rows
from artsearch.evaluate.alterations import (
    ALTERATIONS,
    DETAILS,
    Alteration,
    alter_all,
    check_share,
    detail_name,
)
from artsearch.evaluate.estimates import MetricsTable
from artsearch.features.blend import OneLayer, WeightedBlend
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.features.pipeline import look_ahead
from artsearch.works.collection import Collection
from artsearch.works.images import few_notes, open_image

#: Pixels to which both sides of a JPEG are decoded at least: a detail of 10 % of a square has 648.
SIDE = 2048
#: Two works whose cosines to a picture differ by less are equally near. Single precision is off by
#: 1e-6 for rows of 25,088 numbers, so true duplicates would be before each other by chance.
TIE = 1e-5
#: Pictures that are compared at a time, so that a large collection's rows are read less often.
BLOCK = 128
#: Numbers of a collection's rows that are compared at a time: 64 MB.
CHUNK = 2**24
#: More threads would keep more large pictures in memory at once.
MOST_WORKERS = 4

METRICS = ("precision", "recall", "f1")
KEY = ["network", "crop", "descriptor", "alteration"]


@dataclass(frozen=True)
class Probe:
    """A network with a crop, and by name the descriptors that are made of its outputs.

    A descriptor holds the rows of the collection in `features`, and makes those of pictures with
    `rows(by_layer)` from what `FeatureExtractor.rows` returns.
    """

    extractor: FeatureExtractor
    descriptors: Mapping[str, OneLayer | WeightedBlend]


def recover(
    collection: Collection,
    probes: Mapping[tuple[str, str], Probe],
    alterations: Mapping[str, Alteration] = ALTERATIONS,
    details: Sequence[float] = DETAILS,
    ks: Sequence[int] = (1, 3, 5),
    sample: int = 100,
    seed: int = 0,
    progress: bool = True,
) -> tuple[pd.DataFrame, MetricsTable]:
    """Alter works of a collection, and see at which rank each one finds itself again.

    The ranks are a table with the columns network, crop, descriptor, alteration, id and rank, from
    1 for found first; the metrics are those of `measure_ranks`, with notes of what was left out.

    `probes` are by (network, crop). `sample` works are drawn from those that all descriptors hold
    (all of them, if fewer); each is opened once, altered as `alter_all` does it, and compared, by
    the cosine, with all works of each descriptor's features. Of works equally near, the work itself
    comes last. A work that cannot be opened any more is left out and noted.

    Raises ArtsearchError when there is nothing to compare: no probe, alteration or k, fewer than
    two works, or none that can be opened; MismatchError where a descriptor's rows do not fit its
    features.
    """
    check_whole("sample", sample)
    check_whole("seed", seed, least=0)
    _check_asked(probes, alterations, details)
    descriptors = [one for probe in probes.values() for one in probe.descriptors.values()]
    works = [descriptor.features.ids for descriptor in descriptors]
    common = _common(collection, works)
    ks, notes = _check_ks(ks, min(map(len, works)))
    if len(common) < len(collection):
        missing = len(collection) - len(common)
        notes += (f"{missing:,} works are not drawn: not all descriptors have a row of them",)
    drawn = np.random.default_rng(seed).permutation(len(common))[:sample]
    ids = [common[row] for row in drawn]
    alter = partial(alter_all, alterations=alterations, details=details, seed=seed)
    preprocess = partial(_preprocess, collection, probes, alter)
    queues = {key: _Queue(probe) for key, probe in probes.items()}
    unreadable = []
    with Progress(len(ids), "Recovery", show=progress) as bar, few_notes():
        workers = min(os.cpu_count() or 1, MOST_WORKERS)
        for id, inputs, reason in look_ahead(preprocess, ids, workers):
            if reason:
                unreadable.append(" ".join(f"{id} is left out: {reason}".split()))
            for key, by_alteration in inputs.items():
                queues[key].add(id, by_alteration)
            bar.update(1)
        for queue in queues.values():
            queue.empty()
    if len(unreadable) == len(ids):
        raise ArtsearchError(f"none of the {len(ids)} works drawn can be opened; {unreadable[0]}")
    rows = [
        (*key, name, *row)
        for key, queue in queues.items()
        for name, of_descriptor in queue.ranks.items()
        for row in of_descriptor
    ]
    ranks = pd.DataFrame(rows, columns=[*KEY, "id", "rank"])
    metrics = measure_ranks(ranks, ks)
    metrics.note(*notes, *unreadable)
    return ranks, metrics


def measure_ranks(ranks: pd.DataFrame, ks: Sequence[int]) -> MetricsTable:
    """Return precision, recall and F1 at each k, with 95 % intervals over the works drawn.

    The label is the alteration. One work is relevant to each picture: recall at k is the share of
    works found among the first k; precision is that divided by k, so beyond k = 1 it is at most 1/k
    by construction; F1 is that times 2/(k + 1), whether taken work by work or of the two means. The
    intervals are Clopper and Pearson's (Biometrika 26, 1934), exact for a share of hits.
    """
    from scipy.stats import binomtest

    metrics = MetricsTable()
    for key, rows in ranks.groupby(KEY, sort=False):
        for k in ks:
            test = binomtest(int((rows["rank"] <= k).sum()), len(rows))
            interval = test.proportion_ci(0.95, method="exact")
            recall = test.statistic, float(interval.low), float(interval.high)
            for metric, scale in zip(METRICS, (1 / k, 1, 2 / (k + 1)), strict=True):
                metrics.add_row(*key, metric, k, "", *(value * scale for value in recall))
    return metrics


class _Queue:
    """Inputs that wait for one probe's network, and the ranks of those that were through it."""

    def __init__(self, probe: Probe):
        #: By descriptor: alteration, id and rank.
        self.ranks: dict[str, list[tuple[str, str, int]]] = {name: [] for name in probe.descriptors}
        self._probe = probe
        self._waiting: list[tuple[str, str, np.ndarray]] = []

    def add(self, work_id: str, inputs: Mapping[str, np.ndarray]) -> None:
        """Take the inputs of a work by alteration, and go on when there are enough."""
        self._waiting += [(name, work_id, pixels) for name, pixels in inputs.items()]
        # Whole batches, since a compiled network computes no others.
        block = self._batch * max(1, BLOCK // self._batch)
        while len(self._waiting) >= block:
            self._rank(block)

    def empty(self) -> None:
        """Rank all that still wait."""
        if self._waiting:
            self._rank(len(self._waiting))

    @property
    def _batch(self) -> int:
        return getattr(self._probe.extractor.runner, "batch_size", None) or 8

    def _rank(self, number: int) -> None:
        names, ids, inputs = zip(*self._waiting[:number], strict=True)
        self._waiting = self._waiting[number:]
        outputs = [self._probe.extractor.rows(batch) for batch in chunks_of(inputs, self._batch)]
        for name, descriptor in self._probe.descriptors.items():
            rows = np.concatenate([descriptor.rows(by_layer) for by_layer in outputs])
            ranks = rank_own(descriptor.features, rows, ids, name).tolist()
            self.ranks[name] += zip(names, ids, ranks, strict=True)


def rank_own(
    features: Features, rows: np.ndarray, ids: Sequence[str], descriptor: str
) -> np.ndarray:
    """Return for each row the rank of the work with that id, from 1, by the cosine to all works."""
    vectors = features.vectors
    if rows.shape[1:] != vectors.shape[1:]:
        raise MismatchError(
            f"descriptor {descriptor!r} makes rows of {rows.shape[-1]} numbers, its features have "
            f"{vectors.shape[1]}; make both with the same network, layer and steps"
        )
    rows, own = unit_rows(rows), pd.Index(features.ids).get_indexer(ids)
    needed = np.einsum("ij,ij->i", rows, unit_rows(vectors[own])) - TIE
    ranks = np.zeros(len(rows), dtype=np.int64)
    for chunk in chunks_of(vectors, max(1, CHUNK // max(1, features.dims))):
        # Not "at least as near": beside a number that is none, the work was not found.
        ranks += (~(rows @ unit_rows(chunk).T < needed[:, None])).sum(axis=1)
    return ranks


def _preprocess(collection: Collection, probes: Mapping, alter: Callable, work_id: str) -> tuple:
    """Open a work; return its id, its inputs by probe and alteration, and why there are none."""
    try:
        image = open_image(collection.path(work_id), SIDE)
    except ImageError as error:
        return work_id, {}, str(error)
    pictures = alter(image, work_id)
    inputs = {
        key: {name: probe.extractor.preprocess(picture) for name, picture in pictures.items()}
        for key, probe in probes.items()
    }
    return work_id, inputs, ""


def _common(collection: Collection, works: Sequence[Sequence[str]]) -> list[str]:
    """Return the works of a collection that all features hold, in the collection's order."""
    if len(collection) < 2:
        raise ArtsearchError(f"{collection.name} holds one work; to be found, it takes two or more")
    in_all = set.intersection(*map(set, works))
    ids = [id for id in collection.ids if id in in_all]
    if not ids or min(map(len, works)) < 2:
        raise ArtsearchError(
            f"{len(ids)} of the {len(collection):,} works of {collection.name} are in all "
            "descriptors' features, and each must hold two or more; compute all of them for this "
            "collection"
        )
    return ids


def _check_asked(probes: Mapping, alterations: Mapping, details: Sequence[float]) -> None:
    if not any(probe.descriptors for probe in probes.values()):
        raise ArtsearchError("no descriptor given; give a Probe with one or more")
    if not alterations and not len(details):
        raise ArtsearchError(f"nothing to alter; name one or more of {', '.join(ALTERATIONS)}")
    for share in details:
        check_share(share)
        if detail_name(share) in alterations:
            name = detail_name(share)
            raise ArtsearchError(f"two alterations are called {name!r}; rename yours")


def _check_ks(ks: Sequence[int], works: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the ks up to a number of works, and notes of the others."""
    for k in ks:
        check_whole("k", k)
    ks = dict.fromkeys(ks)
    kept = tuple(k for k in ks if k <= works)
    if not kept:
        raise ArtsearchError(f"no k to count at: {list(ks)}; take whole numbers from 1 to {works}")
    return kept, tuple(f"k = {k} is left out: there are {works} works" for k in ks if k > works)
