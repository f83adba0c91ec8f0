"""A collection of Milvus: works with their vectors and attributes, and a note of what made them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.index.milvus.connect import asking, connect, release
from artsearch.index.milvus.fields import ID, LONGEST, MARK, MOST_SPELT, PK, Attributes

#: Rows that one search or query of Milvus returns at most (https://milvus.io/docs/limitations.md).
MOST_ROWS = 16_384
#: How far a graph of Milvus may look.
MOST_EF = 32_768
#: Bytes of vectors in one request or answer; Milvus takes 64 MB.
PAGE = 8_000_000
#: Seconds that one request may take.
WAIT = 300
#: How Milvus calls what a metric compares. Directions are rows of unit length, so that a row of
#: zeros, of which the cosine says nothing, is as far from every other as in any other index.
METRICS = {"angular": "IP", "dot": "IP", "euclidean": "L2"}


class MilvusStore:
    """One collection by its name, in a file or a server, and the note beside it.

    The note lies in a small collection of its own: that can be changed in Milvus Lite and in a
    server alike. A name may be any text; Milvus takes letters, digits and underscores.
    """

    def __init__(self, uri: str | os.PathLike, name: str, token: str = ""):
        self._client, self.uri = connect(uri, token)
        self._finalize = weakref.finalize(self, release, self._client, self.uri)
        self.name, self._own = name, _safe_name(name)

    def close(self) -> None:
        """Give the file or the connection back; asking again is an error."""
        self._finalize()

    def read_note(self) -> dict | None:
        """Return the note, or None where there is none; load what it is about."""
        with self._asking() as client:
            if not client.has_collection(self._notes, timeout=WAIT):
                if client.has_collection(self._own, timeout=WAIT):
                    raise ArtsearchError(
                        f"the collection {self._own!r} in {self.uri!r} was not made by artsearch, "
                        "and is not touched; take another name"
                    )
                return None
            client.load_collection(self._notes, timeout=WAIT)
            rows = client.query(self._notes, f'{PK} == "note"', ["note"], timeout=WAIT)
            if client.has_collection(self._own, timeout=WAIT):
                client.load_collection(self._own, timeout=WAIT)
        return json.loads(rows[0]["note"]) if rows else None

    def write_note(self, note: Mapping) -> None:
        """Write the note, in the place of an older one."""
        from pymilvus import DataType

        with self._asking() as client:
            if not client.has_collection(self._notes, timeout=WAIT):
                schema = client.create_schema(auto_id=False)
                schema.add_field(PK, DataType.VARCHAR, is_primary=True, max_length=32)
                schema.add_field("note", DataType.VARCHAR, max_length=LONGEST)
                schema.add_field("none", DataType.FLOAT_VECTOR, dim=2)  # one is asked for
                self._create(self._notes, schema, {"none": ("FLAT", "L2", {})})
            record = {PK: "note", "note": json.dumps(note), "none": [0.0, 0.0]}
            client.upsert(self._notes, [record], timeout=WAIT)
            client.flush(self._notes, timeout=WAIT)

    def has_works(self) -> bool:
        """Whether the collection itself is there."""
        with self._asking() as client:
            return client.has_collection(self._own, timeout=WAIT)

    def create(
        self, fields: Attributes, dims: Mapping[str, int], metric: str, graph: Mapping | None
    ) -> None:
        """Make the collection; `dims` are those of each vector field, `graph` that of an HNSW."""
        from pymilvus import DataType

        with self._asking() as client:
            schema = client.create_schema(auto_id=False)
            schema.add_field(PK, DataType.VARCHAR, is_primary=True, max_length=32)
            schema.add_field(ID, DataType.VARCHAR, max_length=LONGEST)
            schema.add_field(MARK, DataType.INT64)
            for column in fields.numbers:
                schema.add_field(fields.text(column), DataType.VARCHAR, max_length=MOST_SPELT)
                schema.add_field(fields.part(column), DataType.VARCHAR, max_length=LONGEST)
                schema.add_field(fields.number(column), DataType.INT64)
            for field, width in dims.items():
                schema.add_field(field, DataType.FLOAT_VECTOR, dim=width)
            kind = ("HNSW", METRICS[metric], graph) if graph else ("FLAT", METRICS[metric], {})
            self._create(self._own, schema, dict.fromkeys(dims, kind))

    def drop(self) -> None:
        """Remove the collection and its note."""
        with self._asking() as client:
            client.drop_collection(self._notes, timeout=WAIT)
            client.drop_collection(self._own, timeout=WAIT)

    def upsert(self, records: list[dict]) -> None:
        """Add works, or put them in the place of those with the same key."""
        with self._asking() as client:
            client.upsert(self._own, records, timeout=WAIT)

    def delete(self, keys: Sequence[str]) -> None:
        """Take works out."""
        with self._asking() as client:
            for start in range(0, len(keys), 1000):
                client.delete(self._own, ids=list(keys[start : start + 1000]), timeout=WAIT)

    def flush(self) -> None:
        """Bring what was written to disk, and into the index."""
        with self._asking() as client:
            client.flush(self._own, timeout=WAIT)

    def count(self, expression: str) -> int:
        """Return how many works match an expression."""
        with self._asking() as client:
            found = client.query(self._own, expression, ["count(*)"], timeout=WAIT)
        return int(found[0]["count(*)"])

    def records(
        self, fields: Sequence[str], expression: str = "", dims: int = 0, count: int | None = None
    ) -> Iterator[dict]:
        """Yield some fields of all works that match, read some works at a time.

        `dims` is the width of the vectors among the fields, `count` how many works match at most,
        where that is known: what fits into one answer is asked for at once.
        """
        with self._asking() as client:
            if count is not None and count <= page_rows(dims):
                yield from client.query(
                    self._own, expression, [PK, *fields], timeout=WAIT, limit=max(count, 1)
                )
                return
            pages = client.query_iterator(
                self._own, page_rows(dims), filter=expression, output_fields=[PK, *fields]
            )
            try:
                while page := pages.next():
                    yield from page
            finally:
                pages.close()

    def get(self, keys: Sequence[str], fields: Sequence[str], dims: int) -> Iterator[dict]:
        """Yield some fields of the works with these keys, in any order."""
        step = page_rows(dims)
        with self._asking() as client:
            for start in range(0, len(keys), step):
                part = list(keys[start : start + step])
                yield from client.get(self._own, part, [PK, *fields], timeout=WAIT)

    def search(
        self,
        vectors: np.ndarray,
        field: str,
        limit: int,
        expression: str = "",
        ef: int | None = None,
        fields: Sequence[str] = (),
        **groups: Any,
    ) -> list[list[dict]]:
        """Return for each of the vectors the nearest works by one vector field, as records."""
        with self._asking() as client:
            found = client.search(
                self._own,
                list(vectors),
                expression,
                limit,
                [PK, *fields],
                _depth(ef),
                anns_field=field,
                timeout=WAIT,
                **groups,
            )
        return [[hit["entity"] | {PK: hit[PK]} for hit in hits] for hits in found]

    def search_hybrid(
        self,
        queries: Mapping[str, np.ndarray],
        weights: Mapping[str, float],
        limit: int,
        expression: str = "",
        ef: int | None = None,
    ) -> list[dict]:
        """Return the `limit` nearest works by each of several vector fields, as records."""
        from pymilvus import AnnSearchRequest, WeightedRanker

        requests = [
            AnnSearchRequest([vector], field, _depth(ef), limit, expression or None)
            for field, vector in queries.items()
        ]
        ranker = WeightedRanker(*(weights[field] for field in queries), norm_score=False)
        with self._asking() as client:
            (hits,) = client.hybrid_search(
                self._own,
                requests,
                ranker,
                min(limit * len(requests), MOST_ROWS),
                [PK, *queries],
                timeout=WAIT,
            )
        return [hit["entity"] | {PK: hit[PK]} for hit in hits]

    @property
    def _notes(self) -> str:
        return f"{self._own}_note"

    def _asking(self):
        if not self._finalize.alive:
            raise ArtsearchError(f"the index in {self.uri!r} was closed; open it again")
        return asking(self.uri, self._client)

    def _create(self, name: str, schema: Any, indexes: Mapping[str, tuple]) -> None:
        made = self._client.prepare_index_params()
        for field, (kind, metric, params) in indexes.items():
            made.add_index(field, index_type=kind, metric_type=metric, params=dict(params))
        self._client.create_collection(
            name, schema=schema, index_params=made, consistency_level="Strong", timeout=WAIT
        )


def page_rows(dims: int) -> int:
    """Return how many rows with vectors of so many numbers go into one request or answer."""
    return max(1, min(MOST_ROWS, PAGE // (4 * dims))) if dims else MOST_ROWS


def _depth(ef: int | None) -> dict:
    return {"params": {"ef": ef}} if ef else {}


def _safe_name(name: str) -> str:
    """Return a name that Milvus takes; two different names stay different."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name):
        return name
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name)[:80]
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"works_{plain}_{digest}"
