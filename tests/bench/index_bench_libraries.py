"""The libraries that the benchmark of indexes measures, without artsearch around them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from index_bench_ways import Half, Kind, Way

from artsearch.base.errors import ArtsearchError, unknown

#: Rows that are given to a library at a time.
CHUNK = 16_384


class Annoy(Way):
    """Annoy as it comes, without artsearch around it; `trees` as it is built, `search_k` asked."""

    def build(self, rows, filters, folder):
        forest = self._forest(rows.shape[1])
        forest.set_seed(0)
        for number, row in enumerate(rows):
            forest.add_item(number, row)
        forest.build(self.options["trees"], n_jobs=-1)
        forest.save(str(folder / f"{rows.shape[1]}.ann"))

    def open(self, folder):
        (path,) = folder.glob("*.ann")
        self._opened = self._forest(int(path.stem))
        self._opened.load(str(path))

    def one(self, query, k):
        return self._opened.get_nns_by_vector(query, k, self.setting.get("search_k", -1))

    def _forest(self, dims: int):
        import annoy

        return annoy.AnnoyIndex(dims, "angular")


class Hnswlib(Way):
    """hnswlib: `M` links a row and `ef_construction` as it is built, `ef` asked."""

    def __init__(self, **options):
        super().__init__(**options)
        import hnswlib

        self._library = hnswlib

    def build(self, rows, filters, folder):
        index = self._library.Index("ip", rows.shape[1])
        index.init_index(len(rows), **self.options, random_seed=0)
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            index.add_items(part, np.arange(start, start + len(part)))
        index.save_index(str(folder / f"{rows.shape[1]}.hnsw"))

    def open(self, folder):
        (path,) = folder.glob("*.hnsw")
        self._index = self._library.Index("ip", int(path.stem))
        self._index.load_index(str(path))

    def set(self, **setting):
        self._index.set_ef(setting["ef"])

    def one(self, query, k):
        return self._index.knn_query(query, k, num_threads=1)[0][0]

    def many(self, queries, k):
        return self._index.knn_query(queries, k)[0]

    def among(self, query, number, k):
        mask = self.filters[number]
        k = min(k, np.count_nonzero(mask))
        try:
            return self._index.knn_query(query, k, num_threads=1, filter=mask.__getitem__)[0][0]
        except RuntimeError:  # it found fewer than k, and then gives none
            return []


class Faiss(Way):
    """faiss: an index as its factory names it; {lists} are 4 × √works, of 39 works or more each."""

    #: Works a list from which its centre is learnt; faiss wants 39, and takes no more than 256.
    SAMPLE = 64

    def __init__(self, **options):
        super().__init__(**options)
        import faiss

        self._library = faiss

    def build(self, rows, filters, folder):
        faiss, (works, dims) = self._library, rows.shape
        lists = max(1, min(round(4 * works**0.5), works // 39))
        name = self.options["factory"].format(lists=lists)
        index = faiss.index_factory(dims, name, faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            drawn = np.random.default_rng(0).permutation(works)[: self.SAMPLE * lists]
            index.train(np.ascontiguousarray(rows[np.sort(drawn)]))
        for start in range(0, works, CHUNK):
            index.add(np.ascontiguousarray(rows[start : start + CHUNK]))
        faiss.write_index(index, str(folder / "rows.faiss"))

    def open(self, folder):
        self._index = self._library.read_index(str(folder / "rows.faiss"))

    def one(self, query, k):
        return self.many(query[None], k)[0]

    def many(self, queries, k):
        return self._ask(queries, k)

    def among(self, query, number, k):
        bits = np.packbits(self.filters[number], bitorder="little")
        selector = self._library.IDSelectorBitmap(bits)
        found = self._ask(query[None], k, sel=selector)[0]
        return found[found >= 0]

    def _ask(self, queries, k, **more):
        words = {"nprobe": "SearchParametersIVF", "efSearch": "SearchParametersHNSW"}
        (kind,) = [words[name] for name in self.setting] or ["SearchParameters"]
        params = getattr(self._library, kind)(**self.setting, **more)
        return self._index.search(np.ascontiguousarray(queries), k, params=params)[1]


class Usearch(Way):
    """usearch: `dtype` is how it keeps numbers (f32, f16, i8), `ef` what it looks at when asked."""

    def __init__(self, **options):
        super().__init__(**options)
        from usearch.index import Index

        self._library = Index

    def build(self, rows, filters, folder):
        index = self._library(ndim=rows.shape[1], metric="cos", **self.options)
        for start in range(0, len(rows), CHUNK):
            part = np.ascontiguousarray(rows[start : start + CHUNK])
            index.add(np.arange(start, start + len(part)), part)
        index.save(str(folder / "rows.usearch"))

    def open(self, folder):
        self._index = self._library.restore(str(folder / "rows.usearch"), view=True)

    def set(self, **setting):
        self._index.expansion_search = setting["ef"]

    def one(self, query, k):
        return self._index.search(query, k, threads=1).keys

    def many(self, queries, k):
        return self._index.search(queries, k).keys


class Milvus(Way):
    """Milvus Lite: `index` is FLAT or HNSW; filters are attributes of the works."""

    def __init__(self, **options):
        super().__init__(**options)
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # or it tells of every connection
        import pymilvus

        self._library = pymilvus

    def build(self, rows, filters, folder):
        types, client = self._library.DataType, self._library.MilvusClient(uri=self._uri(folder))
        schema = client.create_schema(auto_id=False)
        schema.add_field("row", types.INT64, is_primary=True)
        schema.add_field("vector", types.FLOAT_VECTOR, dim=rows.shape[1])
        for number in range(len(filters)):
            schema.add_field(f"filter_{number}", types.BOOL)
        index = client.prepare_index_params()
        kind, params = self.options["index"], {"M": 16, "efConstruction": 200}
        index.add_index("vector", index_type=kind, metric_type="IP", params=params)
        client.create_collection("works", schema=schema, index_params=index)
        for start in range(0, len(rows), 2_000):
            part = range(start, min(start + 2_000, len(rows)))
            client.insert("works", [self._entity(row, rows, filters) for row in part])
        client.flush("works")
        client.load_collection("works")  # which builds what is not built yet
        client.close()

    def _entity(self, row: int, rows: np.ndarray, filters: Sequence[np.ndarray]) -> dict:
        flags = {f"filter_{number}": bool(mask[row]) for number, mask in enumerate(filters)}
        return {"row": row, "vector": np.asarray(rows[row])} | flags

    def open(self, folder):
        self._client = self._library.MilvusClient(uri=self._uri(folder))
        self._client.load_collection("works")

    def one(self, query, k):
        return self.many(query[None], k)[0]

    def many(self, queries, k, **more):
        params = {"params": self.setting}
        found = self._client.search("works", list(queries), limit=k, search_params=params, **more)
        return [[hit["row"] for hit in hits] for hits in found]

    def among(self, query, number, k):
        return self.many(query[None], k, filter=f"filter_{number} == true")[0]

    def _uri(self, folder: Path) -> str:
        return str(folder / "rows.db")


WAYS: dict[str, type[Way]] = {
    way.__name__.lower(): way for way in (Kind, Half, Annoy, Hnswlib, Faiss, Usearch, Milvus)
}


def make_way(name: str, **options) -> Way:
    """Return a way by its name; raises ArtsearchError where its library is not installed."""
    if name not in WAYS:
        raise unknown("way to search", name, WAYS)
    try:
        return WAYS[name](**options)
    except ImportError as error:
        raise ArtsearchError(
            f"{name} cannot be measured ({error}); install it: pip install 'artsearch[scale]'"
        ) from None
