"""What every index is: vectors of a collection, ready to be asked for the nearest ones."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artsearch.distances import METRICS, to_bits
from artsearch.errors import ArtsearchError, MismatchError, check_whole, unknown
from artsearch.features import Features
from artsearch.store import write_folder
from artsearch.weights import file_sha256

if TYPE_CHECKING:
    from artsearch.exact_index import ExactIndex

FORMAT = 1
NOTE = "index.json"
MEDIANS = "medians.npy"
#: What lies in a folder of an index; one with anything else in it is the user's own.
OWN = (NOTE, MEDIANS, "index.ann", "vectors.npy")


class Index(ABC):
    """Vectors of a collection, ready to be asked for the nearest ones.

    An index knows its `metric`, `dims`, `ids` and what made its features (`made_by`). For Hamming
    each dimension is turned into one bit: whether it is above its median over the collection.
    """

    kind: str
    file: str
    #: Whether works can be added, changed and taken out without building it again.
    can_follow = False

    def __init__(
        self,
        metric: str,
        ids: Sequence[str],
        dims: int,
        made_by: dict,
        medians: np.ndarray | None = None,
    ):
        if metric not in METRICS:
            raise unknown("metric", metric, METRICS)
        self.metric = metric
        self.ids = tuple(ids)
        self.dims = dims
        self.made_by = dict(made_by)
        self._medians = medians
        self._row = {id: row for row, id in enumerate(self.ids)}

    def __len__(self) -> int:
        return len(self.ids)

    def search(
        self, query: str | np.ndarray, k: int, search_k: int | None = None
    ) -> tuple[list[str], np.ndarray]:
        """Return the ids and distances of the k nearest works, nearest first.

        `query` is an id, which is itself left out of the answer (by its id: a true duplicate
        stays), or a vector of `dims` numbers. `search_k` is Annoy's: how many nodes to look at; an
        exact index looks at all. Raises ArtsearchError for an unknown id, a k beyond the
        collection, and a vector that does not fit.
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

    def answers(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances (both works × k) of every work's k nearest, itself left out."""
        rows, distances = np.zeros((len(self), k), np.int64), np.zeros((len(self), k))
        for place, id in enumerate(self.ids if k else ()):
            found, distances[place] = self.search(id, k)
            rows[place] = [self._row[other] for other in found]
        return rows, distances

    def follow(self, features: Features, same: np.ndarray) -> Index:
        """Return an index over features as they are now.

        `same` tells for each row of the features whether this index has it unchanged. An index that
        cannot be changed is built again from the features, with the same settings.
        """
        return self.rebuild(features)

    @abstractmethod
    def rebuild(self, features: Features) -> Index:
        """Return an index of the same kind and settings over other features."""

    @abstractmethod
    def exact(self) -> ExactIndex:
        """Return an index over the same rows that computes every distance."""

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the index as a folder, whole or not at all; other things are not replaced."""

        def write(new: Path) -> None:
            self._write(new / self.file)
            if self._medians is not None:
                np.save(new / MEDIANS, self._medians, allow_pickle=False)
            note = self._note()
            note["sha256"] = hash_index(new, note, self.file)
            (new / NOTE).write_text(json.dumps(note), encoding="utf-8")

        return write_folder(folder, write, OWN)

    def _note(self) -> dict:
        return {
            "format": FORMAT,
            "kind": self.kind,
            "metric": self.metric,
            "dims": self.dims,
            "made_by": self.made_by,
            "ids": list(self.ids),
        }

    def row_of(self, id: str) -> int:
        """Return the row of a work; raises ArtsearchError with the nearest ids if there is none."""
        if id not in self._row:
            raise unknown("work", id, self.ids)
        return self._row[id]

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
            made = self.made_by.get("network", "an unknown network")
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

    @abstractmethod
    def _write(self, path: Path) -> None:
        """Write the vectors, or what stands for them."""


def hash_index(folder: Path, note: dict, file: str) -> str:
    """Return a hash of all that lies in the folder of an index; `file` holds its vectors."""
    names = [file] + [MEDIANS] * (note["metric"] == "hamming")
    hashes = [file_sha256(folder / name) for name in names]
    return hashlib.sha256(json.dumps([note, hashes], sort_keys=True).encode()).hexdigest()
