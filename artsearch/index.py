"""Finding the nearest rows: Annoy as in the article, and an exact search beside it."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from artsearch.errors import ArtsearchError, MismatchError, check_whole, unknown
from artsearch.features import Features
from artsearch.store import write_folder
from artsearch.weights import file_sha256

#: The metrics of Annoy, and what a distance means in each: smaller is nearer in all of them.
METRICS = {
    "angular": "√(2 − 2 cos), from 0 (same direction) to 2",
    "euclidean": "straight-line distance",
    "manhattan": "sum of the differences of all dimensions",
    "hamming": "number of dimensions that lie on different sides of their median",
    "dot": "inner product with its sign turned, so that smaller is nearer",
}
FORMAT = 1
NOTE = "index.json"
MEDIANS = "medians.npy"
#: What lies in a folder of an index; one with anything else in it is the user's own.
OWN = (NOTE, MEDIANS, "index.ann", "vectors.npy")
#: Rows that are compared at a time, so that what is computed in between stays in the cache.
CHUNK = 256


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
            note["sha256"] = _hash(new, note)
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


class AnnoyIndex(Index):
    """Annoy's forest of random-projection trees: approximate, fast, and fixed once built.

    A leaf holds about as many works as a work has numbers (for Hamming a thirtieth of it). A
    collection up to that size lies in one leaf, so every distance is computed, and recall is 1.
    """

    kind = "annoy"
    file = "index.ann"

    def __init__(self, *args, trees, num_trees: int, seed: int, **kwargs):
        super().__init__(*args, **kwargs)
        self._trees = trees
        self.num_trees = num_trees
        self.seed = seed

    @classmethod
    def build(cls, metric: str, num_trees: int, features: Features, seed: int = 0) -> AnnoyIndex:
        """Plant the trees; the same seed gives the same forest."""
        import annoy

        medians = _medians(metric, features)
        trees = annoy.AnnoyIndex(features.dims, metric)
        trees.set_seed(seed)
        for row, vector in enumerate(features.vectors):
            trees.add_item(row, vector if medians is None else to_bits(vector, medians))
        # One thread: with several, which thread plants which tree is left to chance.
        trees.build(num_trees, n_jobs=1)
        return cls(
            metric,
            features.ids,
            features.dims,
            features.made_by,
            medians,
            trees=trees,
            num_trees=num_trees,
            seed=seed,
        )

    def rebuild(self, features: Features) -> AnnoyIndex:
        """Plant as many trees over other features: Annoy takes no works in later."""
        return self.build(self.metric, self.num_trees, _check(self.metric, features), self.seed)

    @classmethod
    def read(cls, folder: Path, note: dict, medians: np.ndarray | None) -> AnnoyIndex:
        """Map a saved forest into memory."""
        import annoy

        trees = annoy.AnnoyIndex(note["dims"], note["metric"])
        trees.load(str(folder / cls.file))
        return cls(
            note["metric"],
            note["ids"],
            note["dims"],
            note["made_by"],
            medians,
            trees=trees,
            num_trees=note["num_trees"],
            seed=note["seed"],
        )

    def exact(self) -> ExactIndex:
        """Read the rows back from the trees, which takes seconds where there are 100,000."""
        rows = np.empty((len(self), self.dims), np.float32)
        for row in range(len(self)):
            rows[row] = self._trees.get_item_vector(row)
        # For Hamming these are the bits already; what is prepared twice stays as it is.
        vectors = rows.astype(np.uint8) if self.metric == "hamming" else rows
        vectors = unit_rows(vectors) if self.metric == "angular" else vectors
        return ExactIndex(
            self.metric, self.ids, self.dims, self.made_by, self._medians, vectors=vectors
        )

    def _note(self) -> dict:
        return super()._note() | {"num_trees": self.num_trees, "seed": self.seed}

    def _nearest(self, vector, row, k, search_k):
        # Annoy's own default; a node holds several works, so fewer than k can come back.
        search_k = search_k or self.num_trees * k
        while True:
            if row is None:
                found = self._trees.get_nns_by_vector(vector, k, search_k, True)
            else:
                found = self._trees.get_nns_by_item(row, k, search_k, True)
            if len(found[0]) == k:
                break
            if search_k > len(self) * self.num_trees:
                raise ArtsearchError(
                    f"Annoy found {len(found[0])} of {k} works after looking at all of them: its "
                    "build does not fit this processor; install it again with "
                    "`pip install --no-cache-dir --force-reinstall annoy`"
                )
            search_k *= 4
        rows, distances = np.array(found[0], dtype=np.int64), np.array(found[1])
        return rows, -distances if self.metric == "dot" else distances

    def _write(self, path: Path) -> None:
        self._trees.save(str(path))


class ExactIndex(Index):
    """Every distance is computed: nothing is missed, and time grows with the collection."""

    kind = "exact"
    file = "vectors.npy"
    can_follow = True

    def __init__(self, *args, vectors: np.ndarray, **kwargs):
        super().__init__(*args, **kwargs)
        self._vectors = vectors
        if self.metric == "euclidean":
            self._squares = np.einsum("ij,ij->i", vectors, vectors)

    @classmethod
    def build(cls, metric: str, features: Features) -> ExactIndex:
        """Keep the vectors in the form that the metric compares."""
        medians = _medians(metric, features)
        rows = np.asarray(features.vectors)
        vectors = np.ascontiguousarray(_prepare(rows, metric, medians))
        made_by, ids, dims = features.made_by, features.ids, features.dims
        return cls(metric, ids, dims, made_by, medians, vectors=vectors)

    def follow(self, features: Features, same: np.ndarray) -> ExactIndex:
        """Take over the rows that are the same, and prepare only the others."""
        # The medians of Hamming are those of all works, and so are its bits.
        if self.metric == "hamming" or not len(features):
            return self.rebuild(features)
        fresh = np.flatnonzero(~same)
        new = Features(features.vectors[fresh], [features.ids[row] for row in fresh])
        vectors = np.empty((len(features), self.dims), self._vectors.dtype)
        vectors[same] = self._vectors[[self._row[features.ids[row]] for row in same.nonzero()[0]]]
        if len(fresh):
            vectors[fresh] = _prepare(_check(self.metric, new).vectors, self.metric, None)
        return ExactIndex(
            self.metric, features.ids, self.dims, features.made_by, None, vectors=vectors
        )

    def rebuild(self, features: Features) -> ExactIndex:
        """Prepare all rows of other features."""
        return self.build(self.metric, _check(self.metric, features))

    def exact(self) -> ExactIndex:
        """Return the index itself."""
        return self

    def row(self, id: str) -> np.ndarray:
        """Return the row of a work as it is compared; raises ArtsearchError for an unknown id."""
        return np.asarray(self._vectors[self.row_of(id)])

    def rows_of(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows of those works that the index holds."""
        return np.array([self._row[id] for id in ids if id in self._row], np.int64)

    def distances(self, vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the distances of some rows to a vector, in double precision."""
        vector = self.prepare(vector)
        chunks = (rows[at : at + 4096] for at in range(0, len(rows), 4096))
        found = [self._measure(chunk, vector) for chunk in chunks]
        return np.concatenate(found) if found else np.zeros(0)

    def between(self, rows: np.ndarray) -> np.ndarray:
        """Return the distances between some rows, rows × rows, in double precision."""
        return distances_between(np.asarray(self._vectors[rows]), self.metric)

    def nearest_of(
        self, vector: np.ndarray, rows: np.ndarray, k: int, groups: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest among some rows, nearest first.

        With `groups`, a number for each of the rows, these are the k nearest of each group, group
        by group, the one with the nearest work first. Nothing is missed, however few rows there
        are; where there are fewer than k, all of them come.
        """
        vector = self.prepare(vector)
        groups = np.zeros(len(rows), np.int64) if groups is None else groups
        # As in a plain search: a few more by the fast form, which are then compared exactly.
        most = _first_of_each(groups, self._compare(vector)[rows], k + 16)
        rows, groups = rows[most], groups[most]
        exact = self._measure(rows, vector)
        best = _first_of_each(groups, exact, k)
        rows, groups, exact = rows[best], groups[best], exact[best]
        starts = dict(zip(groups[::-1].tolist(), exact[::-1].tolist(), strict=True))
        nearest = np.array([starts[group] for group in groups.tolist()])
        order = np.lexsort((exact, groups, nearest))
        return rows[order], exact[order]

    @classmethod
    def read(cls, folder: Path, note: dict, medians: np.ndarray | None) -> ExactIndex:
        """Map saved vectors into memory."""
        vectors = np.load(folder / cls.file, mmap_mode="r", allow_pickle=False)
        metric, ids, dims, made_by = (note[key] for key in ("metric", "ids", "dims", "made_by"))
        return cls(metric, ids, dims, made_by, medians, vectors=vectors)

    def _nearest(self, vector, row, k, search_k):
        vector = self._vectors[row] if row is not None else self.prepare(vector)
        rough = self._compare(vector)
        # Single precision, and the fast form of a Euclidean distance, are inexact near zero: a few
        # more candidates than asked for are compared again, and ties are settled by their row.
        most = min(k + 16, len(self))
        rows = np.sort(np.argpartition(rough, most - 1)[:most])
        exact = self._measure(rows, vector)
        order = np.argsort(exact, kind="stable")[:k]
        return rows[order], exact[order]

    def prepare(self, vector: np.ndarray) -> np.ndarray:
        """Return a row as it is compared: of unit length where directions are."""
        return _prepare(vector[None], "angular", None)[0] if self.metric == "angular" else vector

    def _measure(self, rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return distances_to(self._vectors[rows], vector, self.metric)

    def _compare(self, vector: np.ndarray) -> np.ndarray:
        if self.metric in ("angular", "dot"):
            return -(self._vectors @ vector)
        if self.metric == "euclidean":
            return self._squares - 2 * (self._vectors @ vector)
        differ = np.not_equal if self.metric == "hamming" else np.subtract
        chunks = (self._vectors[row : row + CHUNK] for row in range(0, len(self), CHUNK))
        return np.concatenate([np.abs(differ(chunk, vector)).sum(axis=1) for chunk in chunks])

    def _write(self, path: Path) -> None:
        np.save(path, self._vectors, allow_pickle=False)


_KINDS: dict[str, type[Index]] = {cls.kind: cls for cls in (AnnoyIndex, ExactIndex)}


def construct_ann_index(
    metric: str = "angular",
    num_trees: int = 25,
    features: Features | np.ndarray | None = None,
    *,
    seed: int = 0,
) -> AnnoyIndex:
    """Build the article's index: Annoy with a number of trees over the features.

    `metric` is one of METRICS. Features may be a plain array, whose rows then get their numbers as
    ids. Raises ArtsearchError for an unknown metric, and for features that hold no work or numbers
    that are not finite.

    >>> index = construct_ann_index("angular", 5, np.eye(3))
    >>> index.search("0", k=2)[0]
    ['1', '2']
    """
    check_whole("num_trees", num_trees)
    check_whole("seed", seed, least=0)
    return AnnoyIndex.build(metric, int(num_trees), _check(metric, features), int(seed))


def construct_exact_index(
    metric: str = "angular", features: Features | np.ndarray | None = None
) -> ExactIndex:
    """Build an index that computes every distance, with the same interface."""
    return ExactIndex.build(metric, _check(metric, features))


def load_index(
    folder: str | os.PathLike, features: Features | None = None, metric: str | None = None
) -> Index:
    """Open a saved index; refuse it when it does not belong to the features or metric given.

    Raises MismatchError, with both values, when metric, dimension, ids, or what made the features
    is not the same, and ArtsearchError when the folder holds no index.
    """
    if metric is not None and metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    folder = Path(folder)
    try:
        note, kind, medians = _read_note(folder)
    # json and NumPy raise their own for a broken file; a KeyError is a note without an entry.
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        known = MismatchError if isinstance(error, MismatchError) else ArtsearchError
        reason = getattr(error, "strerror", None) or error
        raise known(
            f"{str(folder)!r} holds no index that can be read ({reason}); build it again"
        ) from None
    _refuse("metric", note["metric"], metric)
    if features is not None:
        _compare_notes(note, features)
    return kind.read(folder, note, medians)


def _read_note(folder: Path) -> tuple[dict, type[Index], np.ndarray | None]:
    """Read what an index says of itself, and see that all of it is as it was written."""
    note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    if note["format"] != FORMAT:
        raise MismatchError(f"its format is {note['format']!r}, this version has {FORMAT}")
    # Without this Annoy would map any file of a fitting size, and follow what it finds in it.
    stated = note.pop("sha256")
    if _hash(folder, note) != stated:
        raise MismatchError("its files are not as they were written")
    medians = None
    if note["metric"] == "hamming":
        medians = np.load(folder / MEDIANS, allow_pickle=False)
    return note, _KINDS[note["kind"]], medians


def _hash(folder: Path, note: dict) -> str:
    names = [_KINDS[note["kind"]].file] + [MEDIANS] * (note["metric"] == "hamming")
    hashes = [file_sha256(folder / name) for name in names]
    return hashlib.sha256(json.dumps([note, hashes], sort_keys=True).encode()).hexdigest()


def _compare_notes(note: dict, features: Features) -> None:
    for key in sorted(note["made_by"].keys() | features.made_by.keys()):
        _refuse(key, note["made_by"].get(key, ""), features.made_by.get(key, ""))
    _refuse("dimension", note["dims"], features.dims)
    _refuse("number of works", len(note["ids"]), len(features))
    for mine, theirs in zip(note["ids"], features.ids, strict=True):
        _refuse("work", mine, theirs)


def to_bits(vectors: np.ndarray, medians: np.ndarray) -> np.ndarray:
    """Turn each dimension into 1 where it is above its median, else 0."""
    return (np.asarray(vectors) > medians).astype(np.uint8)


def _check(metric: str, features: Features | np.ndarray | None) -> Features:
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    if features is None:
        raise ArtsearchError("no features given; make them with compute_features")
    if not isinstance(features, Features):
        features = _from_array(features)
    if not len(features) or not features.dims:
        raise ArtsearchError("the features hold no work; compute them for at least one")
    check_finite(features)
    return features


def check_finite(features: Features) -> None:
    """Raise ArtsearchError unless all numbers are finite."""
    # Chunk by chunk: a large collection's rows stay on disk.
    chunks = (features.vectors[row : row + 4096] for row in range(0, len(features), 4096))
    bad = ~np.concatenate([np.isfinite(chunk).all(axis=1) for chunk in chunks])
    if bad.any():
        raise ArtsearchError(
            f"the features of {bad.sum()} works hold numbers that are not finite, the first is "
            f"{features.ids[int(bad.argmax())]!r}; compute them again"
        )


def _from_array(rows: np.ndarray) -> Features:
    try:
        vectors = np.atleast_2d(np.asarray(rows, dtype=np.float32))
    except (TypeError, ValueError):
        raise ArtsearchError(
            f"features are an array of works × dims or what compute_features returns, "
            f"not a {type(rows).__name__}; of several layers take one, as in features['layer4']"
        ) from None
    return Features(vectors, tuple(str(row) for row in range(len(vectors))))


def _medians(metric: str, features: Features) -> np.ndarray | None:
    return np.median(np.asarray(features.vectors), axis=0) if metric == "hamming" else None


def _prepare(vectors: np.ndarray, metric: str, medians: np.ndarray | None) -> np.ndarray:
    if metric == "hamming":
        return to_bits(vectors, medians)
    return unit_rows(vectors) if metric == "angular" else vectors


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return rows of length 1 in the same direction; a row of zeros stays what it is.

    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def distances_to(vectors: np.ndarray, vector: np.ndarray, metric: str) -> np.ndarray:
    """Return the distances of prepared rows to a prepared vector, in double precision."""
    if metric == "hamming":
        return np.count_nonzero(vectors != vector, axis=1).astype(np.float64)
    vectors, vector = vectors.astype(np.float64), vector.astype(np.float64)
    if metric == "dot":
        return -(vectors @ vector)
    if metric == "angular":
        # From the cosine, not the difference, so that a row of zeros is at √2 as in Annoy.
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
        cosine = (vectors @ vector) / np.where(lengths > 0, lengths, 1)
        return np.sqrt(np.maximum(0, 2 - 2 * cosine))
    order = {"euclidean": 2, "manhattan": 1}[metric]
    return np.linalg.norm(vectors - vector, ord=order, axis=1)


def distances_between(vectors: np.ndarray, metric: str) -> np.ndarray:
    """Return the distances between prepared rows, rows × rows, in double precision."""
    from scipy.spatial.distance import cdist

    vectors = vectors.astype(np.float64)
    if metric == "dot":
        return -(vectors @ vectors.T)
    if metric == "angular":
        units = unit_rows(vectors)
        return np.sqrt(np.maximum(0, 2 - 2 * (units @ units.T)))
    if metric == "hamming":
        return cdist(vectors, vectors, "hamming") * vectors.shape[1]
    return cdist(vectors, vectors, {"euclidean": "euclidean", "manhattan": "cityblock"}[metric])


def _first_of_each(groups: np.ndarray, values: np.ndarray, most: int) -> np.ndarray:
    """Return the places of the smallest values of each group, `most` at most; ties by place."""
    order = np.lexsort((values, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return order[place < most]


def _refuse(what: str, mine: object, theirs: object) -> None:
    if theirs is not None and mine != theirs:
        raise MismatchError(
            f"this index was made with {what} {mine!r}, asked for is {theirs!r}; "
            "build it again from the features at hand"
        )
