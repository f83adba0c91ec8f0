"""Asking: by a work, by a vector, by any image; the answer is works with distances."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from artsearch.collection import Collection
from artsearch.errors import MismatchError, unknown
from artsearch.extract import extract, extractors_for, store_folder
from artsearch.features import FeatureExtractor, Features, fast_is_possible
from artsearch.images import ImageSource
from artsearch.index import METRICS, Index
from artsearch.networks import Network, choose_networks
from artsearch.stored_index import stored_index
from artsearch.transforms import CROPS


@dataclass(frozen=True)
class Neighbour:
    """One work of an answer; `distance` is in the metric's own terms, smaller is nearer."""

    id: str
    distance: float
    caption: str


@dataclass(frozen=True)
class Results:
    """The nearest works to a query, nearest first, and what found them.

    `query` is the id of the work asked for, or None for a vector or an image.
    """

    query: str | None
    neighbours: tuple[Neighbour, ...]
    metric: str
    made_by: dict

    def __len__(self) -> int:
        return len(self.neighbours)

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self.neighbours)

    def __getitem__(self, place: int) -> Neighbour:
        return self.neighbours[place]

    @property
    def ids(self) -> list[str]:
        """The ids, nearest first."""
        return [neighbour.id for neighbour in self]

    @property
    def distances(self) -> list[float]:
        """The distances, smallest first."""
        return [neighbour.distance for neighbour in self]

    @property
    def unit(self) -> str:
        """What a distance means."""
        return f"{self.metric}: {METRICS[self.metric]}"

    def table(self) -> pd.DataFrame:
        """Return the answer as a table: id, distance, caption."""
        rows = [(work.id, work.distance, work.caption) for work in self]
        return pd.DataFrame(rows, columns=["id", "distance", "caption"])


class Search:
    """A collection and an index over it, ready to be asked.

    Raises MismatchError when the index holds works that the collection does not.
    """

    def __init__(self, collection: Collection, index: Index):
        gone = [id for id in index.ids if id not in collection]
        if gone:
            raise MismatchError(
                f"the index holds {len(gone)} works that {collection.name} does not, the "
                f"first is {gone[0]!r}; compute features and index again for this folder"
            )
        self.collection = collection
        self.index = index
        self._extractor: FeatureExtractor | None = None

    def by_work(self, id: str, k: int = 10) -> Results:
        """Return the k nearest works to a work of the collection, itself left out."""
        return self._results(id, *self.index.search(id, k))

    def by_vector(self, vector: np.ndarray, k: int = 10) -> Results:
        """Return the k nearest works to a row of numbers by the index's own network and layer."""
        return self._results(None, *self.index.search(np.asarray(vector), k))

    def by_image(self, image: ImageSource, k: int = 10) -> Results:
        """Return the k nearest works to any image: a path, the bytes of a file, a PIL image.

        Raises ImageError when it cannot be read.
        """
        return self.by_vector(self.extractor(image), k)

    @property
    def extractor(self) -> FeatureExtractor:
        """The network that made the index, loaded when it is first needed."""
        if self._extractor is None:
            made_by = self.index.made_by
            if not {"network", "weights", "layer", "pool", "crop"} <= made_by.keys():
                raise MismatchError(
                    "the index does not say which network made it, so an image cannot be "
                    "compared; build it from the Features that compute_features returns"
                )
            extractor = FeatureExtractor(
                made_by["network"],
                made_by["crop"],
                made_by["layer"],
                made_by["pool"],
                precision=_possible_precision(made_by.get("precision", "exact")),
            )
            now = extractor.made_by(made_by["layer"])
            if now["weights"] != made_by["weights"]:
                raise MismatchError(
                    f"the index was made with weights {made_by['weights'][:8]} of "
                    f"{made_by['network']}, here are {now['weights'][:8]}; compute again"
                )
            self._extractor = extractor
        return self._extractor

    def _results(self, query: str | None, ids: list[str], distances: np.ndarray) -> Results:
        captions = (self.collection.caption(id) for id in ids)
        found = zip(ids, distances.tolist(), captions, strict=True)
        neighbours = tuple(Neighbour(*one) for one in found)
        return Results(query, neighbours, self.index.metric, self.index.made_by)


class Searches(Mapping):
    """A Search for each network and crop: `searches["vgg16", "no_crop"]`.

    `names` are networks as choose_networks takes them; `sentence` says which ones were taken and
    why. Features are computed when a search is first asked for, and kept below `out` for the next
    time; `num_trees` and `seed` are Annoy's. Raises ArtsearchError for an unknown network, crop or
    metric.
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
    ):
        self.collection = collection
        self.crops = [crops] if isinstance(crops, str) else list(crops)
        _check_names(self.crops, metric)  # now, and not after minutes of computing
        self.networks: list[Network]
        self.networks, self.sentence = choose_networks(names)
        self._make = {"metric": metric, "num_trees": num_trees, "seed": seed}
        self._out, self._progress, self._precision = out, progress, precision
        self._made: dict[tuple[str, str], Search] = {}

    def __getitem__(self, key: tuple[str, str]) -> Search:
        if key not in list(self):
            raise KeyError(key)
        if key not in self._made:
            self._made[key] = Search(self.collection, self._index(*key))
        return self._made[key]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((network.name, crop) for crop in self.crops for network in self.networks)

    def __len__(self) -> int:
        return len(self.networks) * len(self.crops)

    def extract(self) -> None:
        """Bring the features of all searches up to date, in one pass over the files."""
        extractors = extractors_for(self.networks, self.crops, precision=self._precision)
        extract(self.collection, extractors, self._out, progress=self._progress)

    def features(self, network: str, crop: str) -> Features:
        """Return the features behind one of the searches."""
        extractor = self._extractor(network, crop)
        (features,) = extract(
            self.collection, [extractor], self._out, progress=self._progress
        ).values()
        return features

    def _extractor(self, network: Network | str, crop: str) -> FeatureExtractor:
        return FeatureExtractor(network, crop, precision=self._precision)

    def _index(self, network: str, crop: str) -> Index:
        extractor = self._extractor(network, crop)
        store = store_folder(self._out, self.collection, extractor, extractor.layers[0])
        folder = Path(self._out, "indexes", f"{store.name}-annoy-{self._make['metric']}")
        return stored_index(self.features(network, crop), folder, **self._make)


def _check_names(crops: Sequence[str], metric: str) -> None:
    for crop in crops:
        if crop not in CROPS:
            raise unknown("crop", crop, CROPS)
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)


def _possible_precision(precision: str) -> str:
    if precision == "fast" and not fast_is_possible():
        warnings.warn(
            "the index was made with precision 'fast', which this machine has not; images asked "
            "for are computed with 'exact' (a cosine of 0.999 to the other on average)",
            stacklevel=3,
        )
        return "exact"
    return precision
