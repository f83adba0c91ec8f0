"""What every index is: vectors of a collection, ready to be asked for the nearest ones."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError, check_whole, unknown
from artsearch.features.features import Features
from artsearch.index.folder import Written, write_index
from artsearch.index.metrics import METRICS, to_bits

if TYPE_CHECKING:
    from artsearch.index.exact import ExactIndex


class Index(ABC):
    """Vectors of a collection, ready to be asked for the nearest ones.

    An index knows its `metric`, `dims`, `ids` and what made its features (`made_by`). For Hamming
    each dimension is turned into one bit: whether it is above its median over the collection.
    `chosen` is the sentence by which `construct_index("auto", …)` says why it took this one.
    """

    kind: str
    chosen: str = ""
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

        Rows that only settle the answer, and those of a saved exact index, stay in their files.
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

    def close(self) -> None:  # noqa: B027  most hold nothing that others wait for
        """Let go of what only one process at a time can have."""

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the index as a folder, whole or not at all; other things are not replaced."""
        return write_index(folder, self._note(), self.ids, self._medians, self._write)

    def _note(self) -> dict:
        return {
            "metric": self.metric,
            "dims": self.dims,
            "made_by": self.made_by,
            "chosen": self.chosen,
            "settings": self.settings,
        }

    @classmethod
    @abstractmethod
    def read(cls, saved: Written) -> Index:
        """Open what `save` wrote."""

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

    def _nearest_many(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest to each of several vectors."""
        found = [self._nearest(vector, None, k, None) for vector in vectors]
        rows, distances = zip(*found, strict=True)
        return np.stack(rows), np.stack(distances)

    @abstractmethod
    def _write(self, folder: Path) -> None:
        """Write the vectors, or what stands for them, into a folder."""
