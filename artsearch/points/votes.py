"""Which works have points like those of a picture: an index of all points, in which they vote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError, TooFewWorks
from artsearch.base.sealed import open_sealed, seal
from artsearch.features.features import Features
from artsearch.points.local import Points, library

KIND = "votes"
INDEX, OWNERS, SHAPES = "points.faiss", "owners.npy", "shapes.npy"
OWN = (INDEX, OWNERS, SHAPES)
#: Points of a work that vote: its strongest of each part and size.
VOTING = 300
#: Nearest points of the collection for which a query's point votes, and clusters looked at.
NEAREST, PROBES = 5, 8
#: Parts of an octave, and of a full turn, in which sizes and angles are kept; and the parts of a
#: turn within which points vote with one voice, as they do within an octave.
OCTAVE, TURN = 16, 256
VOICES = 16
#: From how many points on they are kept in 32 bytes each, and clusters are found by a graph; and
#: from how many each cluster is learnt.
MANY, GREAT, EACH = 2_000, 10_000_000, 64
#: Works of which points are in memory at a time while the index is built.
CHUNK = 2_000


class Votes:
    """An index of the points of a collection's works, by faiss: clusters, and the nearest in them.

    `owners` has the work's row of each point, `shapes` its size and angle (uint8, points × 2).
    `threshold` is from how many points on two pictures are taken to show the same work.
    """

    def __init__(
        self, index, owners: np.ndarray, shapes: np.ndarray, works: int, threshold: int = 0
    ):
        self._index, self._owners, self._shapes = index, owners, shapes
        self._works, self.threshold = works, threshold
        self._index.nprobe = PROBES

    @classmethod
    def build(cls, features: Features) -> Votes:
        """Build it from packed points; the same points give the same index."""
        starts = range(0, len(features), CHUNK)
        counts = [features.vectors[at : at + CHUNK][:, 0] for at in starts]
        counts = np.minimum(np.concatenate(counts), VOTING).astype(int)
        total = int(counts.sum())
        if not total:
            raise TooFewWorks("no picture has any points; nothing can be known again")
        index = empty_index(total)
        drawn = np.random.default_rng(0).permutation(len(counts))
        enough = np.searchsorted(np.cumsum(counts[drawn]), max(EACH * index.nlist, MANY)) + 1
        learnt = (features.vectors[int(row)][None] for row in drawn[:enough])
        index.train(np.concatenate([voting(rows)[0] for rows in learnt]).astype(np.float32))
        shapes = []
        for at in starts:
            descriptors, shape = voting(features.vectors[at : at + CHUNK])
            index.add(descriptors.astype(np.float32))
            shapes.append(shape)
        owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return cls(index, owners, np.concatenate(shapes), len(features))

    def count(self, points: Points) -> np.ndarray:
        """Return how many points vote for each work with one voice, and a little for all others.

        That is with nearly the same change of size and angle, as the points of one picture in
        another have (weak geometric consistency: Jégou et al. 2008, ECCV, section 4).
        """
        if not len(points):
            return np.zeros(self._works)
        _, found = self._index.search(points.descriptors.astype(np.float32), NEAREST)
        asking, found = np.repeat(np.arange(len(points)), NEAREST), found.ravel()
        asking, found = asking[found >= 0], found[found >= 0]
        owners, shapes = self._owners[found].astype(np.int64), self._shapes[found].astype(int)
        larger, turned = (shapes - _shapes(points)[asking].astype(int)).T
        # Each point speaks in overlapping bins, so that none is cut in two.
        voices = [
            (larger + (256 + half) * OCTAVE // 2) // OCTAVE * VOICES * 4
            + (turned + other * TURN // VOICES // 2) % TURN // (TURN // VOICES) * 4
            + 2 * half
            + other
            for half in (0, 1)
            for other in (0, 1)
        ]
        keys = np.concatenate([owners << 16 | voice for voice in voices]) << 12
        spoken = np.unique(keys | np.tile(asking, len(voices))) >> 12  # each point once
        keys, counts = np.unique(spoken, return_counts=True)
        votes = np.bincount(owners, minlength=self._works) / 100
        np.maximum.at(votes, keys >> 16, counts + votes[keys >> 16])
        return votes

    def save(self, folder: Path, metadata: Mapping) -> None:
        """Write it as a sealed folder, with the threshold."""
        faiss = library("faiss")

        def write(new: Path) -> None:
            faiss.write_index(self._index, str(new / INDEX))
            np.save(new / OWNERS, self._owners, allow_pickle=False)
            np.save(new / SHAPES, self._shapes, allow_pickle=False)

        about = {"of": dict(metadata), "threshold": self.threshold, "works": self._works}
        seal(folder, KIND, about, write, OWN)

    @classmethod
    def open(cls, folder: str | os.PathLike, metadata: Mapping) -> Votes | None:
        """Return what was saved for just these points, or None where that is not there whole."""
        faiss, folder = library("faiss"), Path(folder)
        with suppress(ArtsearchError, OSError, RuntimeError):  # faiss raises the last
            about = open_sealed(folder, KIND)
            if about["of"] == dict(metadata):
                index = faiss.read_index(str(folder / INDEX))
                points = np.load(folder / OWNERS), np.load(folder / SHAPES)
                return cls(index, *points, about["works"], about["threshold"])
        return None


def empty_index(points: int):
    """Return what keeps so many points, by faiss, before it has learnt anything."""
    clusters = max(1, min(round(np.sqrt(points)), points // 40))
    graph = "_HNSW32" if points > GREAT else ""
    # Half a byte for every two numbers, compared 32 at a time (André et al. 2021, TPAMI 43).
    code = "PQ64x4fs" if points > MANY else "Flat"
    index = library("faiss").index_factory(128, f"IVF{clusters}{graph},{code}")
    index.cp.seed, index.cp.max_points_per_centroid = 0, EACH
    return index


def voting(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the descriptors of the points of some works that vote, and their shapes."""
    works = [Points.unpack(row) for row in rows]
    descriptors = np.concatenate([work.descriptors[:VOTING] for work in works])
    return descriptors, np.concatenate([_shapes(work)[:VOTING] for work in works])


def _shapes(points: Points) -> np.ndarray:
    """Return sizes, in parts of an octave, and angles, in parts of a turn, of one byte each."""
    sizes = np.clip(OCTAVE * (np.log2(points.places[:, 2]) + 12), 0, 255)
    angles = points.places[:, 3] * TURN / 360 % TURN
    return np.column_stack([sizes, angles]).astype(np.uint8)
