"""Search by Milvus: the rows lie in a file of Milvus Lite, or in a server for many machines."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, check_whole, unknown
from artsearch.base.vectors import chunks_of
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.exact import MARGIN, ExactIndex
from artsearch.index.folder import Basics
from artsearch.index.metrics import distances_to, rerank, stack_answers
from artsearch.index.milvus.candidates import InMilvus
from artsearch.index.milvus.fields import ID, PK, Attributes, key_of
from artsearch.index.milvus.store import METRICS, MOST_EF, MOST_ROWS, MilvusStore, page_rows
from artsearch.index.milvus.update import bring_up_to_date, read_whole_metadata
from artsearch.works.collection import Collection

NAME = "artsearch"
#: A graph is made to look so far that among what it looks at are this many times the works asked
#: for that match. On 20,000 rows of 256 numbers, mixed from those of 895 paintings, recall@10 was
#: 0.39, 0.44 and 0.95 at 0.1, 1 and 10 % with Milvus's own settings, and 1.00 so.
ENOUGH = 2
#: Below so many times the works asked for all that match are compared: a graph finds few of few.
FEW = 8
#: How far it looks at least.
LEAST_EF = 64


class MilvusIndex(Index):
    """Rows that Milvus keeps, with the attributes of their works; both can change at any time.

    `structure` "flat" compares all rows, "hnsw" looks through a graph. What is found is compared
    once more, in double precision, so that a distance is the same in every kind of index. Close it
    when it is no longer needed: a file of Milvus Lite is open to one process at a time.
    """

    kind = "milvus"
    in_memory = False

    def __init__(self, store: MilvusStore, metadata: dict, ids: Sequence[str], works=None):
        self.store, self._metadata, self.works = store, metadata, works
        self.attributes = Attributes(metadata["columns"])
        #: The width of each vector of a work; a row is all of them side by side.
        self.vectors: dict[str, int] = metadata["vectors"]
        self._fields = [f"vector_{n}" for n in range(len(self.vectors))]
        dims = sum(self.vectors.values())
        super().__init__(Basics(metadata["metric"], ids, dims, metadata["provenance"]))

    @classmethod
    def build(
        cls,
        metric: str,
        features: Features | Mapping[str, Features],
        *,
        uri: str | os.PathLike,
        name: str = NAME,
        works: pd.DataFrame | None = None,
        token: str = "",
        structure: str = "flat",
        M: int = 16,
        ef_construction: int = 200,
        replace: bool = False,
    ) -> MilvusIndex:
        """Bring a collection of Milvus up to date with features, and open it.

        `uri` is a file that ends in .db, or a server's address; `works` a table whose columns
        travel with the vectors. Only what has changed since is written. Raises MismatchError, with
        both values, where features of another network, or another metric, are there (`replace`
        takes their place), and ArtsearchError where Milvus cannot be asked.
        """
        if metric not in METRICS:
            raise unknown(
                "metric of Milvus", metric, METRICS, "; annoy and exact have manhattan and hamming"
            )
        if structure not in ("flat", "hnsw"):
            raise unknown("structure", structure, ("flat", "hnsw"))
        check_whole("M", M, least=2)
        check_whole("ef_construction", ef_construction)
        graph = {"M": M, "efConstruction": ef_construction} if structure == "hnsw" else None
        many = features if isinstance(features, Mapping) else {"vector": features}
        store = MilvusStore(uri, name, token)
        try:
            metadata = bring_up_to_date(store, many, metric, works, graph, replace)
        except BaseException:
            store.close()
            raise
        return MilvusIndex(store, metadata, next(iter(many.values())).ids, works)

    @classmethod
    def open(
        cls,
        uri: str | os.PathLike,
        name: str = NAME,
        works: pd.DataFrame | None = None,
        token: str = "",
    ) -> MilvusIndex:
        """Open what was built, as it is, with its works in the order of their ids.

        Raises ArtsearchError where there is nothing of that name, or its making was broken off.
        """
        store = MilvusStore(uri, name, token)
        try:
            metadata = read_whole_metadata(store)
            ids = sorted(record[ID] for record in store.records([ID]))
        except BaseException:
            store.close()
            raise
        return MilvusIndex(store, metadata, ids, works)

    @classmethod
    def read(cls, saved: object) -> MilvusIndex:
        raise ArtsearchError("an index in Milvus is not saved as a folder; open it by its uri")

    def save(self, folder: str | os.PathLike) -> None:
        raise ArtsearchError(
            f"an index in Milvus is kept in {self.store.uri!r} and not saved as a folder; open it "
            "by its uri, or save exact()"
        )

    def close(self) -> None:
        self.store.close()

    def update(self, features: Features) -> MilvusIndex:
        """Bring the collection up to date with features, and return an index of them."""
        graph, many = self._metadata["graph"], {next(iter(self.vectors)): features}
        metadata = bring_up_to_date(self.store, many, self.metric, self.works, graph)
        return MilvusIndex(self.store, metadata, features.ids, self.works)

    @property
    def settings(self) -> dict[str, Any]:
        graph = self._metadata["graph"]
        return {"kind": self.kind, "structure": "hnsw" if graph else "flat"} | (graph or {})

    @property
    def memory(self) -> int:
        return 0  # the rows are in Milvus

    def candidates(self, collection: Collection) -> InMilvus:
        return InMilvus(self, collection)

    def row(self, work_id: str) -> np.ndarray:
        """Return the row of a work as it is compared; raises ArtsearchError for an unknown id."""
        return self.fetch(np.array([self.row_of(work_id)]))[0]

    def fetch(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of some rows as they are compared, from Milvus."""
        keys = [key_of(self.ids[row]) for row in rows]
        records = self.store.get(keys, self._fields, self.dims)
        found = {record[PK]: self._vectors_of([record])[0] for record in records}
        for row, key in zip(rows, keys, strict=True):
            if key not in found:
                raise ArtsearchError(
                    f"{self.ids[row]!r} is no longer in the collection {self.store.name!r} of "
                    "Milvus; open it again"
                )
        return np.array([found[key] for key in keys], np.float32).reshape(len(rows), self.dims)

    def exact(self) -> ExactIndex:
        """Read all rows, some thousand at a time, into an index that computes every distance."""
        return self.part(np.arange(len(self)))

    def part(self, rows: np.ndarray) -> ExactIndex:
        """Read some rows into an index of these works that computes every distance."""
        basics = self.basics._replace(ids=[self.ids[row] for row in rows])
        return ExactIndex(basics, self.fetch(rows))

    def nearest(
        self, vector: np.ndarray, k: int, expression: str = "", count: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and distances of the k nearest works that match an expression.

        `count` says how many match, where that is known. Where few do, all of them are compared.
        """
        return self._near(self.prepare(vector), k, expression, count)

    def _near(self, vector: np.ndarray, k: int, expression: str = "", count: int | None = None):
        """Return rows and distances of the k nearest to a row as it is compared."""
        most = k + MARGIN
        ef = self._search_effort(most, expression, count)
        if most > MOST_ROWS or ef > MOST_EF:
            hits = [*self.store.records(self._fields, expression, self.dims, count)]
        else:
            (hits,) = self.store.search(vector[None], self._fields, most, expression, ef)
        return self._rerank(hits, vector, k)

    def nearest_in_each(
        self, vector: np.ndarray, each: int, field: str, groups: int, expression: str, count: int
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return rows and distances of the nearest works by what they have in a field.

        By Milvus's grouping search, which may leave groups out, and works of a group.
        """
        vector, limit = self.prepare(vector), min(groups, MOST_ROWS // each)
        # With several vectors, a hybrid search groups by ranks, so each group is asked by itself.
        if not limit or len(self._fields) > 1:
            return {}
        ef = min(self._search_effort(min(limit * each * 10, count), expression, count), MOST_EF)
        fields, options = [*self._fields, field], {"group_by_field": field, "group_size": each}
        (hits,) = self.store.search(vector[None], fields, limit, expression, ef, **options)
        found: dict[str, list[dict]] = {}
        for hit in hits:
            found.setdefault(hit[field], []).append(hit)
        return {value: self._rerank(works, vector, each) for value, works in found.items()}

    def _search_effort(self, most: int, expression: str = "", count: int | None = None) -> int:
        """Return how far a graph looks for so many works, too far where few match; 0 without one.

        `count` says how many match the expression, where that is known.
        """
        if not self._metadata["graph"]:
            return 0
        if not expression:
            count = len(self)
        elif count is None:
            count = self.store.count(expression)
        if expression and count <= FEW * most:
            return MOST_EF + 1
        return max(LEAST_EF, -(-ENOUGH * most * len(self) // count))

    def _nearest(self, vector, row, k, search_k):
        return self.nearest(vector, k) if row is None else self._near(self.row(self.ids[row]), k)

    def _nearest_many(self, vectors, k):
        most = min(k + MARGIN, len(self))
        if most > MOST_ROWS or len(self._fields) > 1:
            return super()._nearest_many(vectors, k)
        vectors = self.prepare(vectors)
        ef, found = self._search_effort(most), []
        for page in chunks_of(vectors, max(1, page_rows(self.dims) // most)):
            answers = self.store.search(page, self._fields, most, ef=ef)
            pairs = zip(answers, page, strict=True)
            found += [self._rerank(hits, vector, k) for hits, vector in pairs]
        return stack_answers(found)

    def _rerank(self, hits: list[dict], vector: np.ndarray, k: int):
        """Return the k nearest of some records, compared exactly; ties are settled by row."""
        distances = distances_to(self._vectors_of(hits), vector, self.metric)
        return rerank(self._rows_of(hits), distances, k)

    def _rows_of(self, records: list[dict]) -> np.ndarray:
        return np.array([self._row_of_key[record[PK]] for record in records], np.int64)

    def _vectors_of(self, records: list[dict]) -> np.ndarray:
        rows = [np.concatenate([record[field] for field in self._fields]) for record in records]
        return np.array(rows, np.float32).reshape(len(records), self.dims)

    @cached_property
    def _row_of_key(self) -> dict[str, int]:
        return {key_of(id): row for row, id in enumerate(self.ids)}

    def _write(self, folder) -> None:
        self.save(folder)
