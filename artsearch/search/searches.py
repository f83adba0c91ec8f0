"""A search for each network and crop, and one for each weight of content and style."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import unknown
from artsearch.features.blend import (
    Blend,
    OneLayer,
    WeightedBlend,
    blend_layers,
    dial_weights,
    stored_blend,
)
from artsearch.features.extract import collection_key, extract, store_folder
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.features.published import (
    PREFIX,
    choose_vectors,
    no_network,
    safe_name,
    vector_features,
)
from artsearch.index.base import Index
from artsearch.index.blend import BlendIndex
from artsearch.index.factory import METRICS, check_kind, options_of
from artsearch.index.stored import stored_index
from artsearch.networks.network import Network
from artsearch.networks.registry import as_network, choose_networks
from artsearch.networks.transforms import AS_PUBLISHED, CROPS, NO_CROP
from artsearch.search.results import Described
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource, open_image

if TYPE_CHECKING:
    from artsearch.index.milvus.blend import MilvusBlendIndex

#: Weights of a dial whose searches are kept, with what was learnt for them.
KEPT = 8
#: The content-style weights that have a name; the article's recipe is "final".
ALPHAS = {"content": 0.0, "blend": 0.5, "style": 1.0}


class BlendSearch(Search):
    """A collection and its blend at one content-style weight; `at` gives another, at once."""

    def __init__(
        self,
        collection: Collection,
        blend: Blend,
        extractor: FeatureExtractor,
        alpha: float = 0.5,
        index: BlendIndex | MilvusBlendIndex | None = None,
        out: str | os.PathLike = "build",
        progress: bool = True,
    ):
        index = BlendIndex(blend, alpha) if index is None else index.at(alpha)
        super().__init__(collection, index, out, progress)
        self.blend = blend
        self._extractor = extractor
        self._at: dict[float, BlendSearch] = {}

    def at(self, alpha: float) -> BlendSearch:
        """Return the search at another weight, from 0 (content) to 1 (style)."""
        if alpha not in self._at:
            more = self._extractor, alpha, self.index, self.out, self.progress
            other = BlendSearch(self.collection, self.blend, *more)
            other._at = self._at
            # Each keeps what is usual at its weight; those turned to long ago are let go.
            for old in list(self._at)[: max(0, len(self._at) - KEPT + 1)]:
                del self._at[old]
            self._at[alpha] = other
        return self._at[alpha]

    def describe(self, image: ImageSource) -> np.ndarray:
        """Return the row of any image, the same for all weights; raises ImageError."""
        return self.look(image).row

    def look(self, image: ImageSource) -> Described:
        """Return an image's row, and the one before it was averaged with works that are near."""
        raw = self.blend.raw_rows(self.extractor.describe([open_image(image)]))
        return Described(self.blend.average(raw)[0], raw[0])


class Searches(Mapping):
    """A Search for each network and crop: `searches["vgg16", "no_crop"]`.

    `names` are networks as choose_networks takes them; `sentence` says which ones were taken, and
    `reason` why, where others stand in for the article's. `searches.dial("vgg16", "no_crop", 0.5)`
    is a search in the network's blend, at a weight from 0 (content) to 1 (style). Features are
    computed when a search is first asked for, and kept below `out` for the next time; `extract`
    computes all of them in one pass. Where a collection has vectors that others published in place
    of pictures, these are its networks, `vectors:MODEL`, and AS_PUBLISHED is their crop: they have
    no dial, and take no image.

    `index` is a kind of index, or "auto": the one that answers soonest at the `recall` asked for,
    as measured on the collection (see choose_index). `num_trees` and `seed` are those of "annoy",
    the article's. For "milvus", `uri` is a file of Milvus Lite or the address of a server; without
    one it is what the variable ARTSEARCH_MILVUS says, or a file below `out`. Raises ArtsearchError
    for an unknown network, crop, metric or index.
    """

    def __init__(
        self,
        collection: Collection,
        names: str | Sequence[str] = "auto",
        crops: Sequence[str] = CROPS,
        out: str | os.PathLike = "build",
        metric: str = "angular",
        num_trees: int = 25,
        seed: int = 0,
        progress: bool = True,
        precision: str = "auto",
        index: str = "annoy",
        recall: float = 0.99,
        uri: str | os.PathLike | None = None,
    ):
        self.collection = collection
        self.crops = [crops] if isinstance(crops, str) else list(crops)
        _check_names(self.crops, metric, index)  # now, and not after minutes of computing
        self.networks: list[Network]
        self.networks, self.sentence, self.reason = (
            choose_networks(names) if collection.has_pictures else choose_vectors(collection, names)
        )
        if not collection.has_pictures:
            self.crops = [AS_PUBLISHED]
        self._kind, self._metric = index, metric
        options = {"num_trees": num_trees, "seed": seed, "recall": recall}
        self._options = {name: options[name] for name in options_of(index) if name in options}
        self._uri = uri or os.environ.get("ARTSEARCH_MILVUS") or Path(out, "milvus.db")
        self._out, self._progress, self._precision = out, progress, precision
        self._made: dict[tuple[str, str], Search] = {}
        self._dials: dict[tuple[str, str], BlendSearch] = {}

    def __getitem__(self, key: tuple[str, str]) -> Search:
        if not self.collection.has_pictures and key[1] in CROPS:
            if key[1] != NO_CROP:  # the same rows would pass for those of another crop
                raise no_network(key[0], f"the crop {key[1]!r}")
            key = key[0], AS_PUBLISHED
        if key not in list(self):
            raise KeyError(key)
        if key not in self._made:
            kept = self._out, self._progress
            self._made[key] = Search(self.collection, self._index(*key), *kept)
        return self._made[key]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((network.name, crop) for crop in self.crops for network in self.networks)

    def __len__(self) -> int:
        return len(self.networks) * len(self.crops)

    @property
    def has_dial(self) -> bool:
        """Whether every network states its layers for content and style."""
        return all(network.blend for network in self.networks)

    def extract(self) -> None:
        """Bring the features of all searches and blends up to date, in one pass over the files."""
        if not self.collection.has_pictures:
            return
        extractors = []
        for network in self.networks:
            first = self.extractor(network, self.crops[0], blend=network.blend is not None)
            extractors += [first, *(first.with_crop(crop) for crop in self.crops[1:])]
        extract(self.collection, extractors, self._out, progress=self._progress)

    def close(self) -> None:
        """Let go of all indexes: a file of Milvus Lite is open to one process at a time."""
        for search in (*self._made.values(), *self._dials.values()):
            search.index.close()
        self._made.clear()
        self._dials.clear()

    def features(self, network: str, crop: str) -> Features:
        """Return the features behind one of the searches."""
        if not self.collection.has_pictures:
            return vector_features(self.collection, network)
        extractor = self.extractor(network, crop)
        (features,) = extract(
            self.collection, [extractor], self._out, progress=self._progress
        ).values()
        return features

    def dial(self, network: str, crop: str, alpha: float = 0.5) -> BlendSearch:
        """Return a search in a network's blend, at a weight from 0 (content) to 1 (style).

        Raises ArtsearchError for a network that states no layers for it.
        """
        if not self.collection.has_pictures:
            raise no_network(network, "a dial")
        dial_weights(alpha)  # a wrong weight is said now, and not after minutes of computing
        return self._blend_search(network, crop).at(alpha)

    def descriptors(self, network: str, crop: str) -> dict[str, OneLayer | WeightedBlend]:
        """Return what of a network can be compared: "final", and weights of the dial by name."""
        network = self._network(network)
        blends = {}
        if network.blend is not None:  # first, since its one pass over the files serves both
            blend = self._blend_search(network.name, crop).blend
            blends = {name: WeightedBlend(blend, alpha) for name, alpha in ALPHAS.items()}
        return {"final": OneLayer(network.layer, self.features(network.name, crop))} | blends

    def extractor(self, network: Network | str, crop: str, blend: bool = False) -> FeatureExtractor:
        """Return what makes the rows of one of the searches, or with `blend` those of its dial."""
        network = self._network(network)
        if network.name.startswith(PREFIX):
            raise no_network(network.name, "looking at a picture")
        layers = blend_layers(network).names if blend else None
        return FeatureExtractor(network, crop, layers, precision=self._precision)

    def _network(self, network: Network | str) -> Network:
        known = {one.name: one for one in self.networks}
        name = network if isinstance(network, str) else network.name
        return known[name] if name in known else as_network(network)

    def _blend_search(self, network: str, crop: str) -> BlendSearch:
        key = network, crop
        if key not in list(self):
            raise KeyError(key)
        if key not in self._dials:
            extractor = self.extractor(network, crop, blend=True)
            found = extract(self.collection, [extractor], self._out, progress=self._progress)
            features = {layer: one for (_, _, layer), one in found.items()}
            store = store_folder(self._out, self.collection, extractor, extractor.layers[0])
            folder = Path(self._out, "descriptors", f"{store.name}-blend")
            blend = stored_blend(features, extractor.network, folder)
            index = self._blend_index(blend, folder.name)
            more = {"index": index, "out": self._out, "progress": self._progress}
            self._dials[key] = BlendSearch(self.collection, blend, extractor, **more)
        return self._dials[key]

    def _index(self, network: str, crop: str) -> Index:
        features, kind, metric = self.features(network, crop), self._kind, self._metric
        store = self._store_name(network, crop)
        if kind == "milvus":
            from artsearch.index.milvus.index import MilvusIndex

            name = f"{store}-{metric}"
            return MilvusIndex.build(
                metric, features, uri=self._uri, name=name, works=self.collection.works
            )
        folder = Path(self._out, "indexes", f"{store}-{kind}-{metric}")
        return stored_index(features, folder, kind, metric, **self._options)

    def _store_name(self, network: str, crop: str) -> str:
        if not self.collection.has_pictures:
            return f"{collection_key(self.collection)}-{safe_name(network)}"
        extractor = self.extractor(network, crop)
        return store_folder(self._out, self.collection, extractor, extractor.layers[0]).name

    def _blend_index(self, blend: Blend, name: str) -> MilvusBlendIndex | None:
        if self._kind != "milvus":
            return None  # the blend's own, in memory
        from artsearch.index.milvus.blend import MilvusBlendIndex

        return MilvusBlendIndex.of(blend, self.collection.works, self._uri, name=name)


def _check_names(crops: Sequence[str], metric: str, index: str) -> None:
    for crop in crops:
        if crop not in CROPS:
            raise unknown("crop", crop, CROPS)
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    check_kind(index)
