"""faiss: comparing all rows, the rows of the likeliest clusters (IVF), or a graph (HNSW)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.features.features import Features
from artsearch.index.graph import GraphIndex, check_settings, import_library

STRUCTURES = ("flat", "ivf", "hnsw")
#: Rows from which an IVF learns its clusters: faiss itself takes no more than 256 a cluster.
TRAIN = 256


class FaissIndex(GraphIndex):
    """An index of faiss in one of the STRUCTURES.

    "flat" compares all rows, "ivf" those of the `nprobe` of `nlist` clusters that are nearest to a
    query (0: as many as are right for the size), "hnsw" is a graph with `M`, `ef_construction` and
    `ef` as in HnswIndex. `compress` is None, "half" (16-bit numbers) or "int8" (8 bits each).
    PCA to a quarter of the numbers is not offered: in as many bytes as "int8" it misses more before
    the rows settle it (it found 0.915 of the ten nearest for 0.994).
    `seed` draws the rows from which clusters are learnt; the levels of a graph are always the same.
    `threads` is that of HnswIndex.
    """

    kind = "faiss"

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
        own = {
            "flat": {},
            "ivf": {"nlist": nlist, "nprobe": nprobe, "seed": seed},
            "hnsw": {"M": M, "ef_construction": ef_construction, "ef": ef},
        }[structure]
        settings = check_settings(
            ("half", "int8"), structure=structure, compress=compress, threads=threads, **own
        )
        if structure == "ivf":
            settings |= _choose_clusters(len(features), settings["nlist"], settings["nprobe"])
        return cls._build(metric, features, settings)

    @property
    def depth_name(self) -> str:
        """The setting that says how far it looks: "nprobe" of an IVF, "ef" of a graph."""
        return {"ivf": "nprobe", "hnsw": "ef"}.get(self._settings["structure"], "")

    @property
    def depth(self) -> int:
        """How far it looks for a query: of a graph works, of an IVF clusters; flat all works."""
        return self._settings.get(self.depth_name, len(self))

    @depth.setter
    def depth(self, depth: int) -> None:
        if self.depth_name:
            GraphIndex.depth.fset(self, depth)

    @property
    def memory(self) -> int:
        """The bytes of its codes, lists and links; of a saved one they come in as it is asked."""
        structure, library = self._settings["structure"], self._library
        if structure == "hnsw":
            links = 4 * library.hnsw.neighbors.size()
            return links + len(self) * library.storage.sa_code_size()
        lists = library.nlist * self.dims * 4 + 8 * len(self) if structure == "ivf" else 0
        return lists + len(self) * library.sa_code_size()

    def _plant(self, threads):
        faiss = import_library("faiss")
        euclidean = self.metric == "euclidean"
        metric = faiss.METRIC_L2 if euclidean else faiss.METRIC_INNER_PRODUCT
        library = faiss.index_factory(self.dims, self._formula(), metric)
        if self._settings["structure"] == "hnsw":
            library.hnsw.efConstruction = self._settings["ef_construction"]
        with _threads(threads):
            if not library.is_trained:
                self._train(library)
            for chunk in self._rows.chunks():
                library.add(chunk)
        return library

    def _formula(self) -> str:
        """Return what it is made of, in the words of faiss's index_factory."""
        codes = {None: "Flat", "half": "SQfp16", "int8": "SQ8"}[self._settings["compress"]]
        structure = self._settings["structure"]
        start = {
            "flat": "",
            "ivf": f"IVF{self._settings.get('nlist')},",
            "hnsw": f"HNSW{self._settings.get('M')},",
        }
        return start[structure] + codes

    def _train(self, library) -> None:
        """Let it learn clusters, and the range of each number, from some of the rows."""
        clusters = self._settings.get("nlist", TRAIN)
        draw = np.random.default_rng(self._settings.get("seed", 0))
        rows = draw.choice(len(self), min(len(self), TRAIN * clusters), replace=False)
        if self._settings["structure"] == "ivf":
            library.cp.seed = self._settings["seed"]
            library.cp.min_points_per_centroid = 1  # below 39 faiss warns on standard error
        library.train(np.ascontiguousarray(self._rows[np.sort(rows)]))

    def _propose(self, queries, k, depth):
        name = {"nprobe": "nprobe", "ef": "efSearch"}.get(self.depth_name)
        if name:
            structure = self._library if name == "nprobe" else self._library.hnsw
            setattr(structure, name, depth)
        with _threads(1 if len(queries) == 1 else 0):
            return self._library.search(queries, k)[1]

    def _save(self, path):
        import_library("faiss").write_index(self._library, path)

    def _open(self, path):
        faiss = import_library("faiss")
        return faiss.read_index(path, faiss.IO_FLAG_MMAP_IFC)


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
    faiss = import_library("faiss")
    before = faiss.omp_get_max_threads()
    try:
        if number:
            faiss.omp_set_num_threads(number)
        yield
    finally:
        faiss.omp_set_num_threads(before)
