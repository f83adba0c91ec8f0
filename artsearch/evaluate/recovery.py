"""Whether a work is found again when it is altered, or when only a detail of it is at hand."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, ImageError, MismatchError, check_whole
from artsearch.base.progress import Progress
from artsearch.evaluate.alterations import ALTERATIONS, DETAILS, Alteration, alter_all, detail_name
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.features.pipeline import look_ahead
from artsearch.index.metrics import unit_rows
from artsearch.works.collection import Collection
from artsearch.works.images import open_image

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


class Descriptor(Protocol):
    """What is compared: a row a work, and how such rows are made of a network's outputs.

    `features` holds the rows of the collection, compared by angle. `rows` makes a float array of
    pictures × dims from what `FeatureExtractor.rows` returns: an array of pictures × dims by layer.
    """

    features: Features

    def rows(self, by_layer: dict[str, np.ndarray]) -> np.ndarray:
        """Return the rows of pictures that went through the network together."""


@dataclass(frozen=True)
class Probe:
    """A network with a crop, and by name the descriptors that are made of its outputs."""

    extractor: FeatureExtractor
    descriptors: Mapping[str, Descriptor]


# Compared by identity: `==` between tables has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class Recovered:
    """At which rank each altered work found itself, among how many `works`.

    `ranks` is a table with the columns network, crop, descriptor, alteration, id and rank, from 1
    for found first. `ks` are those asked for that are no larger than `works`, and `notes` says in
    sentences what was left out.
    """

    ranks: pd.DataFrame
    works: int
    ks: tuple[int, ...] = (1, 3, 5)
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        works = self.ranks["id"].nunique()
        return f"<Recovered: {len(self.ranks):,} ranks of {works:,} works among {self.works:,}>"

    def table(self, ks: Sequence[int] | None = None) -> pd.DataFrame:
        """Return precision, recall and F1 at each k, with 95 % intervals over the works drawn.

        The columns are network, crop, descriptor, alteration, metric (one of METRICS), k, value,
        low and high. One work is relevant to each picture: recall at k is the share of works found
        among the first k; precision is that divided by k, so beyond k = 1 it is at most 1/k by
        construction; F1 is that times 2/(k + 1), whether taken work by work or of the two means.
        By chance recall would be k / works.

        The intervals are Clopper and Pearson's (Biometrika 26, 1934), exact for a share of hits;
        precision and F1 are multiples of it. Only `ks` up to the number of works are there; all
        that were asked of `recover` if none are given.
        """
        ks = self.ks if ks is None else _check_ks(ks, self.works)[0]
        keys = ["network", "crop", "descriptor", "alteration"]
        rows = [
            (*group, *measured)
            for group, found in self.ranks.groupby(keys, sort=False)
            for k in ks
            for measured in _measure(found["rank"].to_numpy(), k)
        ]
        return pd.DataFrame(rows, columns=[*keys, "metric", "k", "value", "low", "high"])


def recover(
    collection: Collection,
    probes: Mapping[tuple[str, str], Probe],
    alterations: Mapping[str, Alteration] = ALTERATIONS,
    details: Sequence[float] = DETAILS,
    ks: Sequence[int] = (1, 3, 5),
    sample: int = 100,
    seed: int = 0,
    progress: bool = True,
) -> Recovered:
    """Alter works of a collection, and see at which rank each one finds itself again.

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
    common = _common(collection, probes)
    works = min(len(one.features) for probe in probes.values() for one in _of(probe))
    ks, notes = _check_ks(ks, works)
    if len(common) < len(collection):
        missing = len(collection) - len(common)
        notes += (f"{missing:,} works are not drawn: not all descriptors have a row of them",)
    ids = _draw(common, sample, seed)
    alter = partial(alter_all, alterations=alterations, details=details, seed=seed)
    inputs_of = partial(_preprocess, collection, probes, alter)
    queues = {key: _Queue(probe) for key, probe in probes.items()}
    unreadable = []
    with Progress(len(ids), "Recovery", show=progress) as bar:
        for id, inputs, reason in look_ahead(inputs_of, ids, _workers()):
            if reason:
                unreadable.append(" ".join(f"{id} is left out: {reason}".split()))
            for key, of_probe in inputs.items():
                queues[key].add(id, of_probe)
            bar.update(1)
        for queue in queues.values():
            queue.empty()
    if len(unreadable) == len(ids):
        raise ArtsearchError(f"none of the {len(ids)} works drawn can be opened; {unreadable[0]}")
    return Recovered(_table(queues), works, ks, (*notes, *unreadable))


class _Queue:
    """Squares that wait for one probe's network, and the ranks of those that were through it."""

    def __init__(self, probe: Probe):
        #: By descriptor: alteration, id and rank.
        self.found: dict[str, list[tuple[str, str, int]]] = {name: [] for name in probe.descriptors}
        self._probe = probe
        self._ranking = {name: _Ranking(one.features) for name, one in probe.descriptors.items()}
        self._waiting: list[tuple[str, str, np.ndarray]] = []

    def add(self, work_id: str, inputs: Mapping[str, np.ndarray]) -> None:
        """Take the inputs of a work by alteration, and go on when there are enough."""
        self._waiting += [(name, work_id, square) for name, square in inputs.items()]
        while len(self._waiting) >= self._block:
            self._take(self._block)

    def empty(self) -> None:
        """Rank all that still wait."""
        if self._waiting:
            self._take(len(self._waiting))

    @property
    def _batch(self) -> int:
        return getattr(self._probe.extractor.runner, "batch_size", None) or 8

    @property
    def _block(self) -> int:
        # Whole batches, since a compiled network computes no others.
        return self._batch * max(1, BLOCK // self._batch)

    def _take(self, number: int) -> None:
        block, self._waiting = self._waiting[:number], self._waiting[number:]
        rows: dict[str, list] = {name: [] for name in self._probe.descriptors}
        for inputs in _batches([square for _, _, square in block], self._batch):
            by_layer = self._probe.extractor.rows(inputs)
            for name, descriptor in self._probe.descriptors.items():
                rows[name].append(descriptor.rows(by_layer))
        names, ids, _ = zip(*block, strict=True)
        for name, ranking in self._ranking.items():
            ranks = ranking.ranks(np.concatenate(rows[name]), ids, name).tolist()
            self.found[name] += zip(names, ids, ranks, strict=True)


class _Ranking:
    """The works of a descriptor's features in the order of their cosine to a row."""

    def __init__(self, features: Features):
        self._features = features
        self._row = {id: row for row, id in enumerate(features.ids)}

    def ranks(self, rows: np.ndarray, ids: Sequence[str], name: str) -> np.ndarray:
        """Return for each row the rank of the work with that id, from 1."""
        vectors = self._features.vectors
        if rows.shape[1:] != vectors.shape[1:]:
            raise MismatchError(
                f"descriptor {name!r} makes rows of {rows.shape[-1]} numbers, its features have "
                f"{vectors.shape[1]}; make both with the same network, layer and steps"
            )
        own = np.array([self._row[id] for id in ids])
        rows = unit_rows(rows)
        needed = np.einsum("ij,ij->i", rows, unit_rows(vectors[own])) - TIE
        before = np.zeros(len(rows), dtype=np.int64)
        chunk = max(1, CHUNK // max(1, self._features.dims))
        for start in range(0, len(vectors), chunk):
            cosines = rows @ unit_rows(vectors[start : start + chunk]).T
            # Not "at least as near": beside a number that is none, the work was not found.
            ahead = ~(cosines < needed[:, None])
            here = np.flatnonzero((own >= start) & (own < start + chunk))
            ahead[here, own[here] - start] = False
            before += ahead.sum(axis=1)
        return before + 1


def _measure(ranks: np.ndarray, k: int) -> Iterator[tuple[str, int, float, float, float]]:
    from scipy.stats import binomtest

    hits = int((ranks <= k).sum())
    interval = binomtest(hits, len(ranks)).proportion_ci(0.95, method="exact")
    recall = (hits / len(ranks), float(interval.low), float(interval.high))
    for metric, scale in zip(METRICS, (1 / k, 1, 2 / (k + 1)), strict=True):
        yield metric, k, *(value * scale for value in recall)


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


def _common(collection: Collection, probes: Mapping[tuple[str, str], Probe]) -> list[str]:
    """Return the works of a collection that all features hold, in the collection's order."""
    if len(collection) < 2:
        raise ArtsearchError(f"{collection.name} holds one work; to be found, it takes two or more")
    held = [set(one.features.ids) for probe in probes.values() for one in _of(probe)]
    ids = [id for id in collection.ids if all(id in one for one in held)]
    if not ids or min(map(len, held)) < 2:
        raise ArtsearchError(
            f"{len(ids)} of the {len(collection):,} works of {collection.name} are in all "
            "descriptors' features, and each must hold two or more; compute all of them for this "
            "collection"
        )
    return ids


def _draw(ids: list[str], sample: int, seed: int) -> list[str]:
    rows = np.random.default_rng(seed).permutation(len(ids))[:sample]
    return [ids[row] for row in rows]


def _check_asked(probes: Mapping, alterations: Mapping, details: Sequence[float]) -> None:
    if not any(probe.descriptors for probe in probes.values()):
        raise ArtsearchError("no descriptor given; give a Probe with one or more")
    if not alterations and not len(details):
        raise ArtsearchError(f"nothing to alter; name one or more of {', '.join(ALTERATIONS)}")
    for share in details:
        if not 0 < share <= 1:
            raise ArtsearchError(f"a detail's share is {share!r}; take one above 0 and at most 1")
    taken = set(alterations) & {detail_name(share) for share in details}
    if taken:
        raise ArtsearchError(f"two alterations are called {min(taken)!r}; rename yours")


def _check_ks(ks: Sequence[int], works: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the ks up to a number of works, and notes of the others."""
    for k in ks:
        check_whole("k", k)
    kept = tuple(k for k in dict.fromkeys(ks) if k <= works)
    if not kept:
        raise ArtsearchError(f"no k to count at: {list(ks)}; take whole numbers from 1 to {works}")
    notes = tuple(
        f"k = {k} is left out: there are {works} works" for k in dict.fromkeys(ks) if k > works
    )
    return kept, notes


def _table(queues: Mapping[tuple[str, str], _Queue]) -> pd.DataFrame:
    """Return all ranks, in the order of probes, descriptors, works and alterations."""
    rows = [
        (*key, name, *found)
        for key, queue in queues.items()
        for name, all_found in queue.found.items()
        for found in all_found
    ]
    columns = ["network", "crop", "descriptor", "alteration", "id", "rank"]
    return pd.DataFrame(rows, columns=columns)


def _batches(inputs: Sequence[np.ndarray], size: int) -> Iterator[Sequence[np.ndarray]]:
    for start in range(0, len(inputs), size):
        yield inputs[start : start + size]


def _of(probe: Probe) -> list[Descriptor]:
    return list(probe.descriptors.values())


def _workers() -> int:
    return min(os.cpu_count() or 1, MOST_WORKERS)
