"""Which works have points like those of a picture: an index of all points, in which they vote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.base.sealed import open_sealed, seal
from artsearch.base.vectors import chunks_of
from artsearch.features.features import Features
from artsearch.points.local import Points, library

KIND = "votes"
INDEX, OWNERS = "points.faiss", "owners.npy"
OWN = (INDEX, OWNERS)
#: Points of a work that vote: its strongest of each part and size.
VOTING = 300
#: Nearest points of the collection for which a query's point votes, and clusters looked at.
NEAREST, PROBES = 5, 8
#: Points from which on a point takes 32 bytes in place of 128, and from which clusters are learnt.
MANY, TRAIN = 8_000_000, 400_000
#: Works of which points are in memory at a time while the index is built.
CHUNK = 2_000


class Votes:
    """An index of the points of a collection's works, by faiss: clusters, and the nearest in them.

    `threshold` is from how many points on two pictures are taken to show the same work.
    """

    def __init__(self, index, owners: np.ndarray, works: int, threshold: int = 0):
        self._index, self._owners = index, owners
        self._weights = 1 / np.sqrt(1 + np.bincount(owners, minlength=works))
        self.threshold = threshold
        self._index.nprobe = PROBES

    @classmethod
    def build(cls, features: Features) -> Votes:
        """Build it from packed points; the same points give the same index."""
        faiss = library("faiss")
        rows = range(0, len(features), CHUNK)
        kept = [_voting(features.vectors[at : at + CHUNK]) for at in rows]
        counts = np.array([len(one) for chunk in kept for one in chunk])
        owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        total = len(owners)
        if not total:
            raise ArtsearchError("no picture has any points; nothing can be known again")
        clusters = max(1, min(int(2 * np.sqrt(total)), total // 40))
        code = "SQ8" if total < MANY else "PQ32"
        index = faiss.index_factory(128, f"IVF{clusters},{code}")
        index.cp.seed = 0
        everything = [one for chunk in kept for one in chunk]
        train = np.concatenate(everything) if total <= TRAIN else _draw(everything, TRAIN)
        index.train(train.astype(np.float32))
        for chunk in chunks_of(everything, CHUNK):
            index.add(np.concatenate(chunk).astype(np.float32))
        return cls(index, owners, len(features))

    def count(self, points: Points) -> np.ndarray:
        """Return how many points vote for each work, weighed by the root of how many it has."""
        if not len(points):
            return np.zeros(len(self._weights))
        _, found = self._index.search(points.descriptors.astype(np.float32), NEAREST)
        owners = self._owners[found[found >= 0]]
        return np.bincount(owners, minlength=len(self._weights)) * self._weights

    def save(self, folder: Path, metadata: Mapping) -> None:
        """Write it as a sealed folder, with the threshold."""
        faiss = library("faiss")

        def write(new: Path) -> None:
            faiss.write_index(self._index, str(new / INDEX))
            np.save(new / OWNERS, self._owners, allow_pickle=False)

        about = {"of": dict(metadata), "threshold": self.threshold, "works": len(self._weights)}
        seal(folder, KIND, about, write, OWN)

    @classmethod
    def open(cls, folder: str | os.PathLike, metadata: Mapping) -> Votes | None:
        """Return what was saved for just these points, or None where that is not there whole."""
        faiss, folder = library("faiss"), Path(folder)
        with suppress(ArtsearchError, OSError, RuntimeError):  # faiss raises the last
            about = open_sealed(folder, KIND)
            if about["of"] == dict(metadata):
                index = faiss.read_index(str(folder / INDEX))
                return cls(index, np.load(folder / OWNERS), about["works"], about["threshold"])
        return None


def _voting(rows: np.ndarray) -> list[np.ndarray]:
    return [Points.unpack(row).descriptors[:VOTING] for row in rows]


def _draw(everything: list[np.ndarray], most: int) -> np.ndarray:
    """Return points of works drawn at random, as many as clusters are learnt from."""
    order = np.random.default_rng(0).permutation(len(everything))
    lengths = np.cumsum([len(everything[at]) for at in order])
    return np.concatenate([everything[at] for at in order[: np.searchsorted(lengths, most) + 1]])
