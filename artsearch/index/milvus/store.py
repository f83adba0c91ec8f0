"""A collection of Milvus, in a file or a server: works with vectors and columns, and its metadata.

Milvus Lite keeps a collection in a file, which one process opens at a time; a server answers many.
What either refuses or cannot do is raised as an ArtsearchError of one sentence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from artsearch.base.errors import ArtsearchError, EngineError, reason_of
from artsearch.base.vectors import chunks_of
from artsearch.index.milvus.fields import CHECKSUM, ID, LONGEST, PK, Attributes

if TYPE_CHECKING:
    from pymilvus import MilvusClient

INSTALL = "pip install 'artsearch[scale]'"
#: Seconds until a server that does not answer is given up.
PATIENCE = 10
_SERVERS = ("http://", "https://", "tcp://", "unix:")
#: How many clients there are of each file that this process has open.
_open: Counter[str] = Counter()
#: Rows that one search or query of Milvus returns at most (https://milvus.io/docs/limitations.md).
MOST_ROWS = 16_384
#: The greatest search effort of a graph of Milvus.
MOST_EF = 32_768
#: Bytes of vectors in one request or answer; Milvus takes 64 MB.
PAGE = 8_000_000
#: Seconds that one request may take.
WAIT = 300
#: How Milvus calls what a metric compares. Directions are rows of unit length, so that a row of
#: zeros, of which the cosine says nothing, is as far from every other as in any other index.
METRICS = {"angular": "IP", "dot": "IP", "euclidean": "L2"}


class MilvusStore:
    """One collection by its name, in a file or a server, and the metadata beside it.

    The metadata lies in a small collection of its own: that can be changed in Milvus Lite and in a
    server alike. A name may be any text; Milvus takes letters, digits and underscores.
    """

    def __init__(self, uri: str | os.PathLike, name: str, token: str = ""):
        self._client, self.uri = connect(uri, token)
        self._finalize = weakref.finalize(self, release, self._client, self.uri)
        self.name, self._own = name, _safe_name(name)
        self._beside = f"{self._own}_note"

    def close(self) -> None:
        """Give the file or the connection back; asking again is an error."""
        self._finalize()

    def read_metadata(self) -> dict | None:
        """Return the metadata, or None where there is none; load what it is about."""
        rows: list[dict] = []
        with self._request() as client:
            names = self._own, self._beside
            found = [name for name in names if client.has_collection(name, timeout=WAIT)]
            if found == [self._own]:
                raise ArtsearchError(
                    f"the collection {self._own!r} in {self.uri!r} was not made by artsearch, "
                    "and is not touched; take another name"
                )
            for name in found:
                client.load_collection(name, timeout=WAIT)
            if found:
                rows = client.query(self._beside, f'{PK} == "note"', ["note"], timeout=WAIT)
        return json.loads(rows[0]["note"]) if rows else None

    def write_metadata(self, metadata: Mapping) -> None:
        """Write the metadata, in the place of older ones."""
        from pymilvus import DataType

        with self._request() as client:
            if not client.has_collection(self._beside, timeout=WAIT):
                schema = client.create_schema(auto_id=False)
                schema.add_field(PK, DataType.VARCHAR, is_primary=True, max_length=32)
                schema.add_field("note", DataType.VARCHAR, max_length=LONGEST)
                schema.add_field("none", DataType.FLOAT_VECTOR, dim=2)  # one is asked for
                self._create(self._beside, schema, {"none": ("FLAT", "L2", {})})
            record = {PK: "note", "note": json.dumps(metadata), "none": [0.0, 0.0]}
            client.upsert(self._beside, [record], timeout=WAIT)
            client.flush(self._beside, timeout=WAIT)

    def has_works(self) -> bool:
        with self._request() as client:
            return client.has_collection(self._own, timeout=WAIT)

    def create(
        self, fields: Attributes, dims: Mapping[str, int], metric: str, graph: Mapping | None
    ) -> None:
        """Make the collection; `dims` are those of each vector field, `graph` is that of HNSW."""
        from pymilvus import DataType

        with self._request() as client:
            schema = client.create_schema(auto_id=False)
            schema.add_field(PK, DataType.VARCHAR, is_primary=True, max_length=32)
            schema.add_field(ID, DataType.VARCHAR, max_length=LONGEST)
            schema.add_field(CHECKSUM, DataType.INT64)
            for column in fields.numbers:
                field = fields.field("text", column)
                schema.add_field(field, DataType.VARCHAR, max_length=LONGEST)
                for end in ("first", "last"):
                    schema.add_field(fields.field(end, column), DataType.INT64)
            for field, width in dims.items():
                schema.add_field(field, DataType.FLOAT_VECTOR, dim=width)
            kind = ("HNSW", METRICS[metric], graph) if graph else ("FLAT", METRICS[metric], {})
            self._create(self._own, schema, dict.fromkeys(dims, kind))

    def drop(self) -> None:
        with self._request() as client:
            client.drop_collection(self._beside, timeout=WAIT)
            client.drop_collection(self._own, timeout=WAIT)

    def upsert(self, records: list[dict]) -> None:
        """Add works, or put them in the place of those with the same key."""
        with self._request() as client:
            client.upsert(self._own, records, timeout=WAIT)

    def delete(self, keys: Sequence[str]) -> None:
        with self._request() as client:
            for page in chunks_of(keys, 1000):
                client.delete(self._own, ids=list(page), timeout=WAIT)

    def flush(self) -> None:
        """Bring what was written to disk, and into the index."""
        with self._request() as client:
            client.flush(self._own, timeout=WAIT)

    def count(self, expression: str) -> int:
        """Return how many works match an expression."""
        with self._request() as client:
            found = client.query(self._own, expression, ["count(*)"], timeout=WAIT)
        return int(found[0]["count(*)"])

    def records(
        self, fields: Sequence[str], expression: str = "", dims: int = 0, count: int | None = None
    ) -> Iterator[dict]:
        """Yield some fields of all works that match, read some works at a time.

        `dims` is the width of the vectors among the fields, `count` how many works match at most,
        where that is known: what fits into one answer is asked for at once.
        """
        fields, size = [PK, *fields], page_rows(dims)
        with self._request() as client:
            if count is not None and count <= size:
                most = max(count, 1)
                yield from client.query(self._own, expression, fields, timeout=WAIT, limit=most)
                return
            pages = client.query_iterator(self._own, size, filter=expression, output_fields=fields)
            try:
                while page := pages.next():
                    yield from page
            finally:
                pages.close()

    def get(self, keys: Sequence[str], fields: Sequence[str], dims: int) -> Iterator[dict]:
        """Yield some fields of the works with these keys, in any order."""
        with self._request() as client:
            for page in chunks_of(keys, page_rows(dims)):
                yield from client.get(self._own, list(page), [PK, *fields], timeout=WAIT)

    def search(
        self,
        vectors: np.ndarray,
        fields: Sequence[str],
        limit: int,
        expression: str = "",
        ef: int = 0,
        **groups: Any,
    ) -> list[list[dict]]:
        """Return for each of the vectors the nearest works by the first of some fields.

        They come as records of these fields. `ef` is how far a graph looks.
        """
        fields, options = [PK, *fields], {"anns_field": fields[0], "timeout": WAIT} | groups
        vectors, params = list(vectors.astype(np.float32)), _search_params(ef)
        with self._request() as client:
            found = client.search(self._own, vectors, expression, limit, fields, params, **options)
        return [[_record(hit) for hit in hits] for hits in found]

    def search_hybrid(
        self,
        queries: Mapping[str, np.ndarray],
        weights: Mapping[str, float],
        limit: int,
        expression: str = "",
        ef: int = 0,
    ) -> list[dict]:
        """Return the `limit` nearest works by each of several vector fields, as records."""
        from pymilvus import AnnSearchRequest, WeightedRanker

        requests = [
            AnnSearchRequest([vector], field, _search_params(ef), limit, expression or None)
            for field, vector in queries.items()
        ]
        ranker = WeightedRanker(*(weights[field] for field in queries), norm_score=False)
        most = min(limit * len(requests), MOST_ROWS)
        with self._request() as client:
            (hits,) = client.hybrid_search(
                self._own, requests, ranker, most, [PK, *queries], timeout=WAIT
            )
        return [_record(hit) for hit in hits]

    @contextmanager
    def _request(self) -> Iterator[MilvusClient]:
        """Yield the client for a request; what Milvus cannot do is said in a sentence."""
        from grpc import RpcError
        from pymilvus import MilvusException

        if not self._finalize.alive:
            raise ArtsearchError(f"the index in {self.uri!r} was closed; open it again")
        try:
            yield self._client
        except (MilvusException, RpcError) as error:
            words = error.details() if isinstance(error, RpcError) else error
            remedy = "if the file was damaged, remove it and build again"
            if self.uri.startswith(_SERVERS):
                remedy = "see that the server runs"
            raise ArtsearchError(
                f"Milvus at {self.uri!r} could not answer ({reason_of(words)}); {remedy}"
            ) from None

    def _create(self, name: str, schema: Any, indexes: Mapping[str, tuple]) -> None:
        params = self._client.prepare_index_params()
        for field, (kind, metric, graph) in indexes.items():
            params.add_index(field, index_type=kind, metric_type=metric, params=dict(graph))
        self._client.create_collection(
            name, schema=schema, index_params=params, consistency_level="Strong", timeout=WAIT
        )


def page_rows(dims: int) -> int:
    """Return how many rows with vectors of so many numbers go into one request or answer."""
    return max(1, min(MOST_ROWS, PAGE // (4 * dims))) if dims else MOST_ROWS


def _search_params(ef: int) -> dict:
    return {"params": {"ef": ef}} if ef else {}


def _record(hit: Mapping) -> dict:
    return hit["entity"] | {PK: hit[PK]}


def _safe_name(name: str) -> str:
    """Return a name that Milvus takes; two different names stay different."""
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name):
        return name
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name)[:80]
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
    return f"works_{plain}_{digest}"


def connect(uri: str | os.PathLike, token: str = "") -> tuple[MilvusClient, str]:
    """Connect to a file that ends in .db, made where there is none, or to a server's address.

    Returns the client and the address as it is said in messages; `release` gives them back. A
    `token` is the server's own, as in "user:password". Raises ArtsearchError, within PATIENCE, for
    a server that does not answer, and for a file that is another process's, or no such file.
    """
    uri = os.fspath(uri)
    try:
        from pymilvus import MilvusClient, MilvusException
    except ImportError:
        raise EngineError(f"a search by Milvus wants pymilvus: {INSTALL}") from None
    # All that goes wrong is raised as well; here it would be printed besides, with its traceback.
    for name in ("pymilvus", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if uri.startswith(_SERVERS):
        try:
            return MilvusClient(uri, token=token, timeout=PATIENCE), uri
        except (MilvusException, ValueError) as error:
            raise ArtsearchError(
                f"no Milvus answers at {uri!r} ({reason_of(error)}); start it there, see that "
                "address and token are right, or name a file such as 'collection.db'"
            ) from None
    if not uri.endswith(".db"):
        raise ArtsearchError(
            f"the uri {uri!r} is neither a server nor a file of Milvus; take one such as "
            "'http://127.0.0.1:19530' or 'collection.db'"
        )
    path = Path(uri).absolute()
    try:
        import milvus_lite  # noqa: F401

        path.parent.mkdir(parents=True, exist_ok=True)
        client = MilvusClient(str(path), timeout=PATIENCE)
    except ImportError:
        raise EngineError(f"a file of Milvus wants milvus-lite: {INSTALL}") from None
    except OSError as error:
        raise ArtsearchError(f"{str(path)!r} cannot be written ({error.strerror})") from None
    except MilvusException as error:
        raise ArtsearchError(_explain_closed(str(path), error)) from None
    _open[str(path)] += 1
    return client, str(path)


def release(client: MilvusClient, uri: str) -> None:
    """Close a client; the last one of a file closes the file, so that others may open it."""
    client.close()
    if uri not in _open:
        return
    _open[uri] -= 1
    if not _open[uri]:
        from milvus_lite.server_manager import server_manager_instance

        del _open[uri]
        server_manager_instance.release_server(uri)


def _explain_closed(path: str, error: Exception) -> str:
    """Say why a file cannot be opened: another process holds its lock, or it is none of Milvus."""
    import fcntl

    try:
        with open(Path(path, "LOCK"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return (
            f"{path!r} is open in another process, and Milvus Lite opens a file once; close it "
            f"there, or let both ask a server: milvus-lite server --data-dir {path} "
            "--host 127.0.0.1, then the uri 'http://127.0.0.1:19530'"
        )
    except OSError:  # it has no lock
        pass
    return (
        f"{path!r} is no file that Milvus Lite can open ({reason_of(error)}); name another, or "
        "remove it and build again"
    )
