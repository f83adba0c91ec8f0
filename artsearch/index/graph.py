"""What the approximate libraries have in common: they propose works, the rows themselves decide."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np

from artsearch.base.errors import ArtsearchError, EngineError, check_whole, unknown
from artsearch.base.vectors import CHUNK, write_rows
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.exact import SPARE, ExactIndex
from artsearch.index.folder import VECTORS, Written, library_file
from artsearch.index.metrics import check_features, distances_to, prepare_all, prepare_rows

#: What the libraries can compare; Annoy and exact search have the others, too.
METRICS = ("angular", "euclidean", "dot")
#: Works up to which one thread builds, so that the same features always give the same index.
ONE_THREAD = 200_000
#: The least that a setting can be, where it is not 1: 0 threads, clusters, or clusters to look at
#: are as many as are right for the size; in a graph with one neighbour a work there are no ways.
LEAST = {"seed": 0, "threads": 0, "nlist": 0, "nprobe": 0, "M": 2}


class GraphIndex(Index):
    """Approximate search by a library, over rows that are kept beside it.

    The library proposes a few more works than asked for, which are then compared exactly, so that a
    distance is the same in every kind of index. The rows are read from where they are: those of the
    features, or of the saved index. Works that are added, changed or taken out make it build again:
    a graph that is mended many times finds less than one that is built at once.
    """

    #: The setting that says how far the library looks for a query.
    depth_name = "ef"

    def __init__(self, *basics, rows: Rows, settings: dict[str, Any]):
        super().__init__(*basics)
        self._rows = rows
        self._settings = settings
        self._library: Any = None

    @classmethod
    def _build(cls, metric: str, features: Features, settings: dict) -> Self:
        if metric not in METRICS:
            raise unknown(
                f"metric of the kind {cls.kind!r}",
                metric,
                METRICS,
                "; the kinds 'annoy' and 'exact' have manhattan and hamming, too",
            )
        rows = Rows(features.vectors, metric)
        basics = metric, features.ids, features.dims, features.made_by, None
        index = cls(*basics, rows=rows, settings=settings)
        threads = settings["threads"] or int(len(rows) <= ONE_THREAD)
        index._library = index._plant(threads)
        return index

    @classmethod
    def read(cls, saved: Written) -> Self:
        """Open a saved index; its rows stay on disk until they are compared."""
        vectors = np.load(saved.folder / VECTORS, mmap_mode="r", allow_pickle=False)
        index = cls(*saved.basics, rows=Rows(vectors), settings=saved.note["settings"])
        try:
            index._library = index._open(library_file(saved.folder))
        except RuntimeError as error:
            raise ArtsearchError(
                f"{cls.kind} cannot open the index in {str(saved.folder)!r} ({error}); "
                "build it again"
            ) from None
        return index

    @property
    def settings(self) -> dict[str, Any]:
        """What it was built with, and how far it looks for a query."""
        return super().settings | self._settings

    @property
    def depth(self) -> int:
        """How far it looks for a query: of a graph works, of an IVF lists. It can be set."""
        return self._settings[self.depth_name]

    @depth.setter
    def depth(self, depth: int) -> None:
        check_whole(self.depth_name, depth)
        self._settings = self._settings | {self.depth_name: int(depth)}

    def rebuild(self, features: Features) -> Self:
        """Build it again over other features, with the same settings."""
        features = check_features(self.metric, features)
        # How far numbers are stretched follows from the rows.
        options = {name: value for name, value in self._settings.items() if name != "scale"}
        return self.build(self.metric, features, **options)

    def exact(self) -> ExactIndex:
        """Return an index over the same rows; those of a saved one stay on disk."""
        return self._exact

    def rows_at(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows as they are compared."""
        return self._rows[rows]

    def truth(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k truly nearest to some vectors.

        All distances are computed, and what is on disk is read in parts.
        """
        basics = self.metric, self.ids, self.dims, self.made_by
        return ExactIndex(*basics, vectors=self._rows).search_many(vectors, k)

    @cached_property
    def _exact(self) -> ExactIndex:
        return ExactIndex(
            self.metric, self.ids, self.dims, self.made_by, vectors=self._rows.prepared()
        )

    def _nearest(self, vector, row, k, search_k):
        # A row of the index is as it is compared already.
        query = self._rows[[row]] if row is not None else self._prepare(vector[None])
        most, depth = self._how_many(k), search_k or self.depth
        while depth < 4 * len(self):
            rows = self._propose(query, most, depth)[0]
            rows = rows[rows >= 0]
            if len(rows) >= k:
                return self._settle(np.sort(rows), query[0], k)
            depth = 4 * depth
        # A graph has parts that no way leads to, such as works behind many that are all the same.
        return self._exact._nearest(vector, row, k, None)

    def _nearest_many(self, vectors, k):
        queries = self._prepare(vectors)
        most = self._how_many(k)
        proposed = self._propose(queries, most, self.depth)
        found = [
            self._settle(np.sort(rows), query, k)
            if rows.min() >= 0
            else self._nearest(vector, None, k, None)
            for rows, query, vector in zip(proposed, queries, vectors, strict=True)
        ]
        rows, distances = zip(*found, strict=True)
        return np.stack(rows), np.stack(distances)

    def _prepare(self, vectors: np.ndarray) -> np.ndarray:
        return prepare_rows(vectors, self.metric, None).astype(np.float32, copy=False)

    def _how_many(self, k: int) -> int:
        """Return how many works are compared exactly; where numbers are coarser, more are."""
        spare = SPARE + (k if self._settings.get("compress") else 0)
        return min(k + spare, len(self))

    def _settle(self, rows, query, k):
        distances = distances_to(self._rows[rows], query, self.metric)
        order = np.argsort(distances, kind="stable")[:k]
        return rows[order], distances[order]

    def _write(self, folder: Path) -> None:
        write_rows(folder / VECTORS, (len(self), self.dims), self._rows.chunks())
        try:
            self._save(library_file(folder))
        except RuntimeError as error:
            raise ArtsearchError(
                f"{self.kind} cannot write its index ({error}); is the disk full?"
            ) from None

    @abstractmethod
    def _plant(self, threads: int) -> Any:
        """Return what the library makes of the rows; 0 threads are as many as there are cores."""

    @abstractmethod
    def _propose(self, queries: np.ndarray, k: int, depth: int) -> np.ndarray:
        """Return rows (queries × k) that are likely the nearest; -1 where there are fewer."""

    @abstractmethod
    def _save(self, path: str) -> None:
        """Write what the library made."""

    @abstractmethod
    def _open(self, path: str) -> Any:
        """Return what the library wrote."""


class Rows:
    """Rows as a metric compares them, made so when they are taken out; they stay where they are.

    Without a metric they are so already.
    """

    def __init__(self, vectors: np.ndarray, metric: str | None = None):
        self._vectors = vectors
        # Only directions are compared in another form than the features have.
        self._metric = metric if metric == "angular" else None

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows) -> np.ndarray:
        found = self._vectors[rows]
        return prepare_rows(found, self._metric, None) if self._metric else found

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, some at a time."""
        for start in range(0, len(self), CHUNK):
            yield np.ascontiguousarray(self[start : start + CHUNK])

    def prepared(self) -> np.ndarray:
        """Return all rows as one array, which is on disk if the rows are as they are compared."""
        if self._metric:
            return prepare_all(self._vectors, self._metric)
        return self._vectors if isinstance(self._vectors, np.ndarray) else np.array(self._vectors)


def import_library(name: str) -> ModuleType:
    """Return a library of approximate search; raises EngineError where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        kind = name.split(".")[0]
        raise EngineError(
            f"an index of the kind {kind!r} needs a package that is not installed; "
            "run `pip install 'artsearch[scale]'`"
        ) from None


def check_settings(compressions: tuple[str, ...] = (), **settings: Any) -> dict[str, Any]:
    """Return settings as an index keeps them; raises ArtsearchError for one that makes no sense."""
    for name, value in settings.items():
        if name == "compress":
            if value is not None and value not in compressions:
                raise unknown("compression", value, compressions, "; or None")
        elif name != "structure":
            check_whole(name, value, LEAST.get(name, 1))
            settings[name] = int(value)
    return settings
