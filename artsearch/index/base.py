"""What every index is: vectors of a collection, ready to be asked for the nearest ones."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError, check_whole, unknown
from artsearch.base.sealed import open_sealed, seal
from artsearch.features.features import Features
from artsearch.index.metrics import METRICS, to_bits

KIND = "index"
IDS, MEDIANS = "ids.json", "medians.npy"
#: The rows as the metric compares them, and what an approximate index keeps beside them: Annoy's
#: forest, a graph, lists.
VECTORS, LIBRARY = "vectors.npy", "index.ann"
#: A checksum of each row as it was when the index took it, see stored_index.
CHECKSUMS = "checksums.npy"
#: What lies in a folder of an index; one with anything else in it is the user's own.
OWN = (IDS, MEDIANS, VECTORS, LIBRARY, CHECKSUMS)


class Saved(NamedTuple):
    """An index as it lies in a folder: what is said of it, its ids, and Hamming's medians."""

    folder: Path
    metadata: dict
    ids: list[str]
    medians: np.ndarray | None

    @property
    def basics(self) -> tuple:
        """What every index is made from: metric, ids, dims, provenance, medians."""
        metadata = self.metadata
        return metadata["metric"], self.ids, metadata["dims"], metadata["provenance"], self.medians


class Index(ABC):
    """Vectors of a collection, ready to be asked for the nearest ones.

    An index knows its `metric`, `dims`, `ids` and what made its features (`provenance`). For
    Hamming each dimension is turned into one bit: whether it is above its median over all works.
    `chosen` is the sentence by which `construct_index("auto", …)` says why it took this one.
    """

    kind: str
    chosen: str = ""
    #: Whether works can be added, changed and taken out without building it again.
    can_update = False

    def __init__(
        self,
        metric: str,
        ids: Sequence[str],
        dims: int,
        provenance: dict,
        medians: np.ndarray | None = None,
    ):
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
        self.metric = metric
        self.ids = tuple(ids)
        self.dims = dims
        self.provenance = dict(provenance)
        self._medians = medians

    # When it is first wanted: for a million works it takes a moment.
    @cached_property
    def _row(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.ids)}

    @property
    def settings(self) -> dict[str, Any]:
        """What it was built with, beside the features."""
        return {"kind": self.kind}

    @property
    @abstractmethod
    def memory(self) -> int:
        """The bytes that it searches in memory, as far as it knows.

        Rows that decide only in the end, and those of a saved exact index, stay in their files.
        """

    def __len__(self) -> int:
        return len(self.ids)

    def search(
        self, query: str | np.ndarray, k: int, search_k: int | None = None
    ) -> tuple[list[str], np.ndarray]:
        """Return the ids and distances of the k nearest works, nearest first.

        `query` is an id, which is itself left out of the answer (by its id: a true duplicate
        stays), or a vector of `dims` numbers. `search_k` is how far an approximate index looks:
        Annoy's nodes, a graph's works, the clusters of an IVF; an exact index looks at all. Raises
        ArtsearchError for an unknown id, a k beyond the collection, and a vector that does not fit.
        """
        row = self.row_of(query) if isinstance(query, str) else None
        if row is None:
            query = self.check_vector(query)
        self._check_k(k, len(self) - (row is not None))
        if search_k is not None:
            check_whole("search_k", search_k)
        # One more than asked for, since a work usually finds itself first.
        rows, distances = self._nearest(query, row, k + (row is not None), search_k)
        keep = np.flatnonzero(rows != row)[:k] if row is not None else slice(k)
        return [self.ids[row] for row in rows[keep]], distances[keep]

    def search_many(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances (both queries × k) of the k nearest to each of many vectors.

        `vectors` are queries × dims; a batch takes less time than its queries one by one. Raises
        ArtsearchError for a k beyond the collection, and for vectors that do not fit.
        """
        if np.ndim(vectors) != 2:
            raise ArtsearchError(
                f"many queries are an array of queries × {self.dims} numbers, not one of the shape "
                f"{np.shape(vectors)}; one alone goes to `search`"
            )
        self._check_k(k, len(self))
        if not len(vectors):
            return np.empty((0, k), np.int64), np.empty((0, k))
        return self._nearest_many(np.stack([self.check_vector(one) for one in vectors]), k)

    def all_neighbours(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances (both works × k) of every work's k nearest, itself left out."""
        rows, distances = np.zeros((len(self), k), np.int64), np.zeros((len(self), k))
        for row, id in enumerate(self.ids if k else ()):
            found, distances[row] = self.search(id, k)
            rows[row] = [self._row[other] for other in found]
        return rows, distances

    def update(self, features: Features, same: np.ndarray) -> Index:
        """Return an index over features as they are now.

        `same` tells for each row of the features whether this index has it unchanged. An index that
        cannot be changed is built again from the features, with the same settings.
        """
        return self.rebuild(features)

    @abstractmethod
    def rebuild(self, features: Features) -> Index:
        """Return an index of the same kind and settings over other features."""

    @abstractmethod
    def exact(self) -> Index:
        """Return an index over the same rows that computes every distance."""

    def comparing(self) -> Index | None:
        """Return what compares works for questions, where that is not `exact()` but a server."""
        return None

    def raw(self) -> Index | None:
        """Return an index of the rows before they were averaged with others; None if never."""
        return None

    def own_candidates(self, collection: Any) -> Any:
        """Return what answers questions where the rows are; None where they are in memory."""
        return None

    def close(self) -> None:  # noqa: B027  most hold nothing that others wait for
        """Let go of what only one process at a time can have."""

    def save(
        self,
        folder: str | os.PathLike,
        checksums: np.ndarray | None = None,
        wanted: dict | None = None,
    ) -> Path:
        """Write the index as a folder, whole or not at all; other things are not replaced.

        `checksums` of the rows and what was `wanted` are kept beside it, see stored_index.
        """

        def write(new: Path) -> None:
            self._write(new)
            (new / IDS).write_text(json.dumps(self.ids), encoding="utf-8")
            for name, values in ((MEDIANS, self._medians), (CHECKSUMS, checksums)):
                if values is not None:
                    np.save(new / name, values, allow_pickle=False)

        metadata = {
            "metric": self.metric,
            "dims": self.dims,
            "provenance": self.provenance,
            "chosen": self.chosen,
            "settings": self.settings,
            "wanted": wanted,
        }
        return seal(folder, KIND, json.loads(json.dumps(metadata, default=int)), write, OWN)

    @classmethod
    @abstractmethod
    def read(cls, saved: Saved) -> Index:
        """Open what `save` wrote."""

    def row_of(self, work_id: str) -> int:
        """Return the row of a work; raises ArtsearchError with the nearest ids if there is none."""
        if work_id not in self._row:
            raise unknown("work", work_id, self.ids)
        return self._row[work_id]

    def _check_k(self, k: int, most: int) -> None:
        if most < 1:
            raise ArtsearchError("the index holds no other work; a collection needs two or more")
        whole = isinstance(k, int | np.integer) and not isinstance(k, bool)
        if not whole or not 1 <= k <= most:
            others = "other works" if most < len(self) else "works"
            raise ArtsearchError(
                f"k is {k!r}, but there are {most} {others} to choose from; "
                f"take a whole number from 1 to {most}"
            )

    def check_vector(self, vector: np.ndarray) -> np.ndarray:
        """Return a query's row as it is compared; raises ArtsearchError where it does not fit."""
        try:
            vector = np.asarray(vector, dtype=np.float32)
        except (TypeError, ValueError):
            raise ArtsearchError(
                f"the query is no row of numbers but a {type(vector).__name__}; "
                "ask with the id of a work or with a vector"
            ) from None
        if vector.shape != (self.dims,):
            made = self.provenance.get("network", "an unknown network")
            raise MismatchError(
                f"the query has the shape {vector.shape}, the index holds rows of {self.dims} "
                f"numbers by {made}; make the query with the same network and layer"
            )
        if not np.isfinite(vector).all():
            raise ArtsearchError("the query holds numbers that are not finite; compute it again")
        return to_bits(vector, self._medians) if self.metric == "hamming" else vector

    @abstractmethod
    def _nearest(
        self, vector: np.ndarray | None, row: int | None, k: int, search_k: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest to a vector, or to a row of the index."""

    def _nearest_many(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest to each of several vectors."""
        found = [self._nearest(vector, None, k, None) for vector in vectors]
        rows, distances = zip(*found, strict=True)
        return np.stack(rows), np.stack(distances)

    @abstractmethod
    def _write(self, folder: Path) -> None:
        """Write the vectors, or what stands for them, into a folder."""


def read_saved(folder: Path) -> Saved:
    """Return what a folder of an index holds, all of it as it was written.

    What is not gets DamagedError or MismatchError; what cannot be read at all raises what json and
    NumPy raise.
    """
    metadata = open_sealed(folder, KIND)
    ids = json.loads((folder / IDS).read_text(encoding="utf-8"))
    has_medians = MEDIANS in metadata["files"]
    medians = np.load(folder / MEDIANS, allow_pickle=False) if has_medians else None
    return Saved(folder, metadata, ids, medians)


def library_file(folder: Path) -> str:
    """Return the path of a library's file as it wants it; raises ArtsearchError where it cannot.

    The libraries take a path as UTF-8, which not every name of a folder on Linux is.
    """
    path = str(folder / LIBRARY)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ArtsearchError(
            f"the folder {str(folder)!r} has a name that is not UTF-8, so an index cannot be "
            "kept there; name another one"
        ) from None
    return path
