"""Which works have a region like a part of a picture: an index of the regions of all works."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import avg_pool2d, normalize

from artsearch.base.errors import ArtsearchError
from artsearch.base.sealed import open_sealed, seal
from artsearch.base.vectors import unit_rows
from artsearch.features.features import Features
from artsearch.points.local import library
from artsearch.points.regions import FeatureMap

KIND = "pyramid"
INDEX, OWNERS, WHITENING = "regions.faiss", "owners.npy", "whitening.npy"
OWN = (INDEX, OWNERS, WHITENING)
#: Sides of the regions of a picture, as shares of the root of its area; they overlap by half.
SIDES = (0.2, 0.28, 0.4, 0.57, 0.8)
#: Positions along a side of a region that are averaged.
ACROSS = 4
#: Numbers of a position, and of a region, that are kept.
DIMS = 64
#: Works from which whitening is learnt, and the share of the mean variance that is added to each.
SAMPLE, SHRINK = 300, 0.1
#: Regions from which on they lie in clusters, how many of those are looked at, and by how many
#: regions they are learnt.
MANY, PROBES, TRAIN = 2_000_000, 32, 400_000
#: Regions that are looked at for each work that is wanted: the best of a work overlap.
EACH = 20


class Pyramid:
    """An index of the regions of a collection's works, by faiss, 8 bits a number.

    Each region is a row: the mean of the positions in it, after these were whitened by what the
    positions of the collection's works have in common, and brought to unit length (as whitened
    regional vectors are; Tolias, Sicre and Jégou 2016, arXiv:1511.05879).
    """

    def __init__(self, index, owners: np.ndarray, whitening: np.ndarray):
        self._index, self._owners, self._whitening = index, owners, whitening

    @classmethod
    def build(cls, maps: Features) -> Pyramid:
        """Build it from packed maps; the same maps give the same index."""
        faiss = library("faiss")
        whitening = _learn_whitening(maps)
        owners, rows = [], []
        for number, row in enumerate(maps.vectors):
            found = _regions(whiten(FeatureMap.unpack(row), whitening))
            owners.append(np.full(len(found), number, np.int32))
            rows.append(found.astype(np.float16))
        owners = np.concatenate(owners)
        code = "SQ8" if len(owners) < MANY else f"IVF{int(4 * np.sqrt(len(owners)))},SQ8"
        dims = rows[0].shape[1]
        index = faiss.index_factory(dims, code, faiss.METRIC_INNER_PRODUCT)
        drawn = np.random.default_rng(0).permutation(len(rows))
        train = np.concatenate([rows[at] for at in drawn[: TRAIN // len(rows[0]) + 1]])
        index.train(train.astype(np.float32))
        for one in rows:
            index.add(one.astype(np.float32))
        return cls(index, owners, whitening)

    @property
    def count(self) -> int:
        """How many regions there are."""
        return self._index.ntotal

    def whiten(self, found: FeatureMap) -> FeatureMap:
        """Return a map as the regions were made of: fewer numbers, each position of unit length."""
        return whiten(found, self._whitening)

    def nearest(
        self, parts: np.ndarray, works: int, among: Sequence[int] | None = None
    ) -> list[int]:
        """Return the works that have the regions nearest to one of the parts, the nearest first.

        `parts` are whitened maps, parts × rows × columns × channels.
        `among` are the works that may be returned, all if None.
        """
        faiss = library("faiss")
        chosen = {}
        if among is not None:
            regions = np.flatnonzero(np.isin(self._owners, among))
            chosen["sel"] = faiss.IDSelectorBatch(regions)
        if hasattr(self._index, "nprobe"):
            options = faiss.SearchParametersIVF(nprobe=PROBES, **chosen)
        else:
            options = faiss.SearchParameters(**chosen)
        rows = unit_rows(parts.mean(axis=(1, 2)))
        wanted = min(EACH * works, self._index.ntotal)
        scores, found = self._index.search(rows, wanted, params=options)
        order = np.argsort(-scores, axis=None, kind="stable")
        owners = (int(self._owners[at]) for at in found.ravel()[order] if at >= 0)
        return list(dict.fromkeys(owners))[:works]

    def save(self, folder: Path, metadata: Mapping) -> None:
        """Write it as a sealed folder."""
        faiss = library("faiss")

        def write(new: Path) -> None:
            faiss.write_index(self._index, str(new / INDEX))
            np.save(new / OWNERS, self._owners, allow_pickle=False)
            np.save(new / WHITENING, self._whitening, allow_pickle=False)

        seal(folder, KIND, {"of": dict(metadata)}, write, OWN)

    @classmethod
    def open(cls, folder: str | os.PathLike, metadata: Mapping) -> Pyramid | None:
        """Return what was saved for just these maps, or None where that is not there whole."""
        faiss, folder = library("faiss"), Path(folder)
        with suppress(ArtsearchError, OSError, RuntimeError):  # faiss raises the last
            if open_sealed(folder, KIND)["of"] == dict(metadata):
                index = faiss.read_index(str(folder / INDEX))
                return cls(index, np.load(folder / OWNERS), np.load(folder / WHITENING))
        return None


def whiten(found: FeatureMap, whitening: np.ndarray) -> FeatureMap:
    """Return a map whitened: rows are the mean, and then directions with their lengths."""
    rows, columns, channels = found.cells.shape
    cells = unit_rows((found.cells.reshape(-1, channels) - whitening[0]) @ whitening[1:].T)
    return FeatureMap(cells.reshape(rows, columns, -1), found.shape)


def _learn_whitening(maps: Features) -> np.ndarray:
    """Return the mean of positions, and the directions in which they vary most, made even."""
    drawn = np.random.default_rng(0).permutation(len(maps))[:SAMPLE]
    cells = [FeatureMap.unpack(maps.vectors[int(row)]).cells for row in drawn]
    cells = np.concatenate([one.reshape(-1, one.shape[2]) for one in cells])
    mean, covariance = cells.mean(axis=0), np.cov(cells, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    kept = slice(None, -DIMS - 1, -1)
    lengths = 1 / np.sqrt(values[kept] + SHRINK * values.mean() + 1e-12)
    return np.vstack([mean, (vectors[:, kept] * lengths).T]).astype(np.float32)


def _regions(found: FeatureMap) -> np.ndarray:
    """Return the rows of all regions of a whitened map, regions × dims."""
    return torch.cat(list(_pooled(found))).numpy()


def _pooled(found: FeatureMap) -> Iterator[torch.Tensor]:
    for side in SIDES:
        scaled = torch.from_numpy(found.scaled(side / ACROSS)).permute(2, 0, 1)
        kernel = min(ACROSS, scaled.shape[1]), min(ACROSS, scaled.shape[2])
        pooled = avg_pool2d(scaled[None], kernel, ACROSS // 2)[0].flatten(1)
        yield normalize(pooled, dim=0).T
