"""What every index is: the rows of a collection's works, ready to be asked for the nearest ones."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError, TooFewWorks, check_whole, unknown
from artsearch.base.sealed import seal
from artsearch.base.text import count_of
from artsearch.base.vectors import unit_rows
from artsearch.index.folder import CHECKSUMS, IDS, KIND, MEDIANS, OWN, Basics, Saved
from artsearch.index.metrics import METRICS, stack_answers, to_bits


class Index(ABC):
    """The rows of a collection's works, ready to be asked for the nearest ones.

    An index knows its `metric`, `dims`, `ids` and what made its features (`provenance`). A kind of
    index says how it is built, read and written, and finds the nearest rows (`_nearest`). `chosen`
    is the sentence by which `construct_index("auto", …)` says why it took this one.
    """

    kind: str
    chosen: str = ""
    #: Whether the rows are at hand; where they are not, `candidates` answers questions.
    in_memory = True

    def __init__(self, basics: Basics):
        if basics.metric not in METRICS:
            raise unknown("metric", basics.metric, METRICS)
        self.basics = basics._replace(ids=tuple(basics.ids), provenance=dict(basics.provenance))
        self.metric, self.ids, self.dims, self.provenance, self._medians = self.basics

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
        """The bytes that it searches in memory, as far as it knows; not those in files."""

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

        `vectors` are queries × dims; a batch takes less time than its queries one by one.
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
            rows[row] = self.rows_of(found)
        return rows, distances

    @abstractmethod
    def exact(self) -> Index:
        """Return an index over the same rows that computes every distance."""

    def part(self, rows: np.ndarray) -> Index:
        """Return an index over some of the rows that computes every distance."""
        return self.exact().part(rows)

    def raw(self) -> Index | None:
        """Return an index of the rows before they were averaged with others; None if never."""
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

        names = ("metric", "dims", "provenance", "chosen", "settings")
        metadata = {name: getattr(self, name) for name in names} | {"wanted": wanted}
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

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows of those works that the index holds."""
        return np.array([self._row[id] for id in ids if id in self._row], np.int64)

    def _check_k(self, k: int, most: int) -> None:
        if most < 1:
            raise TooFewWorks("the index holds no other work; a search wants two works or more")
        whole = isinstance(k, int | np.integer) and not isinstance(k, bool)
        if not whole or not 1 <= k <= most:
            others = count_of(most, "other work" if most < len(self) else "work")
            are, take = ("is", "1") if most == 1 else ("are", f"a whole number from 1 to {most}")
            raise ArtsearchError(
                f"k is {k!r}, but there {are} {others} to choose from; take {take}"
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
            network = self.provenance.get("network", "an unknown network")
            raise MismatchError(
                f"the query has the shape {vector.shape}, the index holds rows of {self.dims} "
                f"numbers by {network}; make the query with the same network and layer"
            )
        if not np.isfinite(vector).all():
            raise ArtsearchError("the query holds numbers that are not finite; compute it again")
        return to_bits(vector, self._medians) if self.metric == "hamming" else vector

    def prepare(self, vectors: np.ndarray) -> np.ndarray:
        """Return a vector, or several, as they are compared: of unit length for directions."""
        if self.metric != "angular":
            return vectors
        return unit_rows(np.atleast_2d(vectors)).reshape(np.shape(vectors))

    @abstractmethod
    def _nearest(
        self, vector: np.ndarray | None, row: int | None, k: int, search_k: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest to a vector, or to a row of the index."""

    def _nearest_many(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return stack_answers(self._nearest(vector, None, k, None) for vector in vectors)

    @abstractmethod
    def _write(self, folder: Path) -> None:
        """Write the vectors, or what stands for them, into a folder."""
