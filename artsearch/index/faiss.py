"""faiss: comparing all rows, the rows of the likeliest clusters (IVF), or a graph (HNSW).

faiss finds candidates, which are compared exactly (Johnson, Douze and Jégou 2017,
arXiv:1702.08734; the graph: Malkov and Yashunin 2016, arXiv:1603.09320).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np

from artsearch.base.errors import ArtsearchError, EngineError, check_whole, unknown
from artsearch.base.vectors import chunks_of, write_rows
from artsearch.features.features import Features
from artsearch.index.base import Index
from artsearch.index.exact import MARGIN, ExactIndex
from artsearch.index.folder import VECTORS, Basics, Saved, library_file
from artsearch.index.metrics import distances_to, prepare_all, prepare_rows, rerank, stack_answers

#: What each structure is built and asked with, and the least of each. 0 clusters, or clusters to
#: look at, are as many as are right for the size; a graph of one neighbour a work has no ways.
STRUCTURES = {
    "flat": {},
    "ivf": {"nlist": 0, "nprobe": 0, "seed": 0},
    "hnsw": {"M": 2, "ef_construction": 1, "ef": 1},
}
#: PCA is not among them: in as many bytes as "int8" it finds less (0.915 of ten nearest for 0.994).
COMPRESSIONS = (None, "half", "int8")
#: What faiss compares here; Annoy and exact search have the others, too.
METRICS = ("angular", "euclidean", "dot")
#: Works up to which one thread builds, so that the same features always give the same index.
ONE_THREAD = 200_000
#: Rows from which an IVF learns its clusters: faiss itself takes no more than 256 a cluster.
TRAIN = 256


class FaissIndex(Index):
    """An index of faiss in one of the STRUCTURES, over rows that are kept beside it.

    "flat" compares all rows, "ivf" those of the `nprobe` of `nlist` clusters that are nearest to a
    query, learnt from rows that `seed` draws (0: as many as are right for the size). "hnsw" is a
    graph: a work has up to `M` neighbours (twice as many on the lowest level), found by looking at
    `ef_construction` works; a query looks at `ef`. `compress` is None, "half" (16-bit numbers) or
    "int8" (8 bits each). `threads` is how many build, 0 for one in a collection of up to 200,000
    works and all cores beyond.

    A few more works than asked for are candidates, which are then compared exactly, so that a
    distance is the same in every kind of index. The rows are read from where they are: those of the
    features, or of the saved index. It is not updated: a graph that is mended many times finds less
    than one that is built at once.
    """

    kind = "faiss"

    def __init__(self, basics: Basics, rows: Rows, settings: dict[str, Any], library: Any = None):
        super().__init__(basics)
        self.rows, self._settings, self._library = rows, settings, library

    @classmethod
    def build(
        cls,
        metric: str,
        features: Features,
        structure: str = "hnsw",
        M: int = 16,
        ef_construction: int = 128,
        ef: int = 80,
        nlist: int = 0,
        nprobe: int = 0,
        compress: str | None = None,
        seed: int = 0,
        threads: int = 0,
    ) -> FaissIndex:
        """Build it; raises ArtsearchError for metrics other than angular, euclidean and dot."""
        if structure not in STRUCTURES:
            raise unknown("structure of faiss", structure, STRUCTURES)
        if compress not in COMPRESSIONS:
            raise unknown("compression", compress, COMPRESSIONS[1:], "; or None")
        given = {"M": M, "ef_construction": ef_construction, "ef": ef, "nlist": nlist}
        given |= {"nprobe": nprobe, "seed": seed, "threads": threads}
        settings: dict[str, Any] = {"structure": structure, "compress": compress}
        for name, least in (STRUCTURES[structure] | {"threads": 0}).items():
            check_whole(name, given[name], least)
            settings[name] = int(given[name])
        if structure == "ivf":
            settings |= _choose_clusters(len(features), settings["nlist"], settings["nprobe"])
        if metric not in METRICS:
            raise unknown(
                "metric of the kind 'faiss'",
                metric,
                METRICS,
                "; the kinds 'annoy' and 'exact' have manhattan and hamming, too",
            )
        rows = Rows(features.vectors, metric)
        index = cls(Basics.of(metric, features), rows, settings)
        index._library = index._build(settings["threads"] or int(len(rows) <= ONE_THREAD))
        return index

    @classmethod
    def read(cls, saved: Saved) -> FaissIndex:
        """Open a saved index; its rows stay on disk until they are compared."""
        faiss = import_library()
        try:
            library = faiss.read_index(library_file(saved.folder), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise ArtsearchError(
                f"faiss cannot open the index in {str(saved.folder)!r} ({error}); build it again"
            ) from None
        vectors = np.load(saved.folder / VECTORS, mmap_mode="r", allow_pickle=False)
        return cls(saved.basics, Rows(vectors), saved.settings, library)

    @property
    def settings(self) -> dict[str, Any]:
        return super().settings | self._settings

    @property
    def effort_name(self) -> str:
        """The setting that says how far it looks: "nprobe" of an IVF, "ef" of a graph."""
        return {"ivf": "nprobe", "hnsw": "ef"}.get(self._settings["structure"], "")

    @property
    def effort(self) -> int:
        """How far it looks for a query: of a graph works, of an IVF clusters; flat all works."""
        return self._settings.get(self.effort_name, len(self))

    @effort.setter
    def effort(self, effort: int) -> None:
        if self.effort_name:
            check_whole(self.effort_name, effort)
            self._settings = self._settings | {self.effort_name: int(effort)}

    @property
    def memory(self) -> int:
        """The bytes of its codes, lists and links; of a saved one they come in as it is asked."""
        structure, library = self._settings["structure"], self._library
        if structure == "hnsw":
            links = 4 * library.hnsw.neighbors.size()
            return links + len(self) * library.storage.sa_code_size()
        lists = library.nlist * self.dims * 4 + 8 * len(self) if structure == "ivf" else 0
        return lists + len(self) * library.sa_code_size()

    def exact(self) -> ExactIndex:
        """Return an index over the same rows; those of a saved one stay on disk."""
        return self._exact

    @cached_property
    def _exact(self) -> ExactIndex:
        return ExactIndex(self.basics, self.rows.prepared())

    def _nearest(self, vector, row, k, search_k):
        # A row of the index is as it is compared already.
        query = self.rows[[row]] if row is not None else self.prepare(vector[None])
        most, effort = self._how_many(k), search_k or self.effort
        while effort < 4 * len(self):
            rows = self._candidates(query, most, effort)[0]
            rows = rows[rows >= 0]
            if len(rows) >= k:
                return self._rerank(rows, query[0], k)
            effort = 4 * effort
        # A graph has parts that no way leads to, such as works behind many that are all the same.
        return self._exact._nearest(vector, row, k, None)

    def _nearest_many(self, vectors, k):
        queries = self.prepare(vectors)
        candidates = self._candidates(queries, self._how_many(k), self.effort)
        return stack_answers(
            self._rerank(rows, query, k)
            if rows.min() >= 0
            else self._nearest(vector, None, k, None)
            for rows, query, vector in zip(candidates, queries, vectors, strict=True)
        )

    def _how_many(self, k: int) -> int:
        """Return how many works are compared exactly; where numbers are coarser, more are."""
        return min(k + MARGIN + (k if self._settings["compress"] else 0), len(self))

    def _rerank(self, rows: np.ndarray, query: np.ndarray, k: int):
        return rerank(rows, distances_to(self.rows[rows], query, self.metric), k)

    def _build(self, threads: int) -> Any:
        faiss = import_library()
        euclidean = self.metric == "euclidean"
        metric = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
        # What it is made of, in the words of faiss's index_factory.
        start = {"flat": "", "ivf": "IVF{nlist},", "hnsw": "HNSW{M},"}[self._settings["structure"]]
        codes = {None: "Flat", "half": "SQfp16", "int8": "SQ8"}[self._settings["compress"]]
        library = faiss.index_factory(self.dims, start.format(**self._settings) + codes, metric)
        if self._settings["structure"] == "hnsw":
            library.hnsw.efConstruction = self._settings["ef_construction"]
        with _threads(threads):
            if not library.is_trained:
                self._train(library)
            for chunk in chunks_of(self.rows):
                library.add(np.ascontiguousarray(chunk))
        return library

    def _train(self, library) -> None:
        """Let it learn clusters, and the range of each number, from some of the rows."""
        clusters = self._settings.get("nlist", TRAIN)
        draw = np.random.default_rng(self._settings.get("seed", 0))
        rows = draw.choice(len(self), min(len(self), TRAIN * clusters), replace=False)
        if self._settings["structure"] == "ivf":
            library.cp.seed = self._settings["seed"]
            library.cp.min_points_per_centroid = 1  # below 39 faiss warns on standard error
        library.train(np.ascontiguousarray(self.rows[np.sort(rows)]))

    def _candidates(self, queries: np.ndarray, k: int, effort: int) -> np.ndarray:
        """Return rows (queries × k) that are likely the nearest; -1 where there are fewer."""
        if self.effort_name == "nprobe":
            self._library.nprobe = effort
        elif self.effort_name == "ef":
            self._library.hnsw.efSearch = effort
        with _threads(1 if len(queries) == 1 else 0):
            return self._library.search(queries, k)[1]

    def _write(self, folder) -> None:
        write_rows(folder / VECTORS, (len(self), self.dims), chunks_of(self.rows))
        try:
            import_library().write_index(self._library, library_file(folder))
        except RuntimeError as error:
            raise ArtsearchError(
                f"faiss cannot write its index ({error}); is the disk full?"
            ) from None


class Rows:
    """Rows as a metric compares them, made so when they are taken out; without one they are so."""

    def __init__(self, vectors: np.ndarray, metric: str | None = None):
        self._vectors = vectors
        # Only directions are compared in another form than the features have.
        self._metric = metric if metric == "angular" else None

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows) -> np.ndarray:
        found = self._vectors[rows]
        return prepare_rows(found, self._metric, None) if self._metric else found

    def prepared(self) -> np.ndarray:
        """Return all rows as one array, which is on disk if the rows are as they are compared."""
        if self._metric:
            return prepare_all(self._vectors, self._metric)
        return self._vectors if isinstance(self._vectors, np.ndarray) else np.array(self._vectors)


def import_library() -> ModuleType:
    """Return faiss; raises EngineError where it is not installed."""
    try:
        import faiss
    except ImportError:
        raise EngineError(
            "an index of the kind 'faiss' needs a package that is not installed; "
            "run `pip install 'artsearch[scale]'`"
        ) from None
    return faiss


def _choose_clusters(works: int, nlist: int, nprobe: int) -> dict[str, int]:
    """Return how many clusters there are, and are looked at: as asked for, or right for the size.

    Four times the square root of the works, with 39 works in each or more, as faiss advises.
    """
    if nlist > works:
        raise ArtsearchError(f"nlist is {nlist}, but there are {works} works; take fewer, or 0")
    nlist = nlist or max(1, min(int(4 * works**0.5), works // 39))
    return {"nlist": nlist, "nprobe": nprobe or max(1, nlist // 16)}


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let faiss compute with some threads, 0 for all, and give OpenMP the number it had back."""
    faiss = import_library()
    before = faiss.omp_get_max_threads()
    try:
        if number:
            faiss.omp_set_num_threads(number)
        yield
    finally:
        faiss.omp_set_num_threads(before)
