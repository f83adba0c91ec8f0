"""Asking: by a work, by a vector, by any image; the answer is works with distances."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import MismatchError, unknown
from artsearch.features.blend import (
    AtPlace,
    Blend,
    OneLayer,
    blend_layers,
    dial_weights,
    stored_blend,
)
from artsearch.features.extract import extract, store_folder
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.index.factory import METRICS, ExactIndex, Index, check_kind, options_of
from artsearch.index.stored import stored_index
from artsearch.networks.precision import fast_is_possible
from artsearch.networks.registry import Network, as_network, choose_networks
from artsearch.networks.transforms import CROPS
from artsearch.search.answer import Described, answer, name_things
from artsearch.search.matches import Match, Matcher
from artsearch.search.path import walk
from artsearch.search.question import Part, Question
from artsearch.search.results import Neighbour, Results
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource, open_image

if TYPE_CHECKING:
    from artsearch.index.blend import BlendIndex
    from artsearch.index.milvus.blend import MilvusBlendIndex

#: The places of the dial that have a name; the article's recipe is "final".
PLACES = {"content": 0.0, "blend": 0.5, "style": 1.0}


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
        self.learnt: dict[str, float] = {}  # about the distances in it, when it was first wanted
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
        return self.by_vector(self.describe(image), k)

    def ask(
        self,
        like: object,
        k: int = 10,
        *,
        unlike: object = (),
        where: str | Mapping | None = None,
        other: str | Sequence[str] = (),
        copies: bool = True,
        machine_made: bool = True,
        exclude: str | Sequence[str] = (),
        per: str = "",
        each: int = 1,
        part: Part | None = None,
    ) -> Results:
        """Return the works that answer a question, exactly: none that matches is missed.

        `like` is a work's id, an image (a path, bytes, a PIL image), a row of numbers, a list of
        these or of pairs with a weight, or a mapping from id to weight; so is `unlike`. The others
        are those of Question. Raises ArtsearchError, WhereError for a condition, ImageError.
        """
        works, given = name_things({"like": like, "unlike": unlike})
        question = Question(
            **works,
            where=where,
            other=other,
            copies=copies,
            machine_made=machine_made,
            exclude=exclude,
            per=per,
            each=each,
            part=part,
            k=k,
        )
        return self.answer(question, given)

    def answer(self, question: Question, given: Mapping[str, Described] | None = None) -> Results:
        """Return the works that answer a Question; raises what `ask` raises.

        `given` holds what it names and the collection does not: an image, a row, or what `look`
        says of an image.
        """
        return answer(self, question, given or {})

    def path(
        self,
        start: str,
        end: str,
        stones: int = 5,
        where: str | Mapping | None = None,
        exclude: str | Sequence[str] = (),
        machine_made: bool = True,
    ) -> Results:
        """Return stepping stones from one work to another: works that lead there in small steps.

        The answer ends with `end`, and each distance is that to the work before, the first one that
        to `start`. At most `stones` works lie between, all of which match `where`, and with
        `machine_made` off no machine made them. Raises what `ask` raises.
        """
        question = Question(like=start, where=where, exclude=exclude, machine_made=machine_made)
        return walk(self, question, end, stones)

    def why(
        self, first: str | ImageSource, second: str | ImageSource, most: int = 5
    ) -> list[Match]:
        """Return the places that match in two works or images, as the network of the index sees it.

        See Matcher.match; raises ImageError and what `extractor` raises.
        """
        first, second = (
            self.collection.path(one) if isinstance(one, str) else one for one in (first, second)
        )
        return self._matcher.match(first, second, most)

    @cached_property
    def _matcher(self) -> Matcher:
        return Matcher(self.extractor.network, self.extractor.transform.crop)

    @cached_property
    def exact(self) -> ExactIndex:
        """The index, or one of the same rows, that computes every distance."""
        return self.index.exact()

    @property
    def plain(self) -> ExactIndex:
        """The index by which copies and works of a series are told from works that are alike."""
        return self.exact

    @cached_property
    def places(self) -> np.ndarray:
        """For each row of the index the row of its work in the collection."""
        return np.array([self.collection.row(id) for id in self.index.ids])

    def describe(self, image: ImageSource) -> np.ndarray:
        """Return the row of any image, as `by_vector` takes it; raises ImageError."""
        return self.extractor(image)

    def look(self, image: ImageSource) -> Described:
        """Return all that `answer` wants to know of an image; raises ImageError."""
        row = self.describe(image)
        return Described(row, row)

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
                made_by["pool"] if isinstance(made_by["pool"], int) else None,
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


class BlendSearch(Search):
    """A collection and its blend at one place of the dial; `turn` gives another, at once."""

    def __init__(
        self,
        collection: Collection,
        blend: Blend,
        extractor: FeatureExtractor,
        place: float = 0.5,
        index: BlendIndex | MilvusBlendIndex | None = None,
    ):
        self._dial = blend.index(place) if index is None else index
        super().__init__(collection, self._dial.turn(place))
        self.blend = blend
        self._extractor = extractor

    def turn(self, place: float) -> BlendSearch:
        """Return the search at another place, from 0 (content) to 1 (style)."""
        other = copy.copy(self)
        other.index = self._dial.turn(place)
        vars(other).pop("exact", None)
        other.learnt = self.learnt if place == self.index.made_by.get("dial") else {}
        return other

    def describe(self, image: ImageSource) -> np.ndarray:
        """Return the row of any image, the same for all places of the dial; raises ImageError."""
        return self.look(image).row

    def look(self, image: ImageSource) -> Described:
        """Return an image's row, and the one before it was averaged with works that are near."""
        square = self.extractor.square(open_image(image, self.extractor.side))
        plain = self.blend.plain_rows(self.extractor.rows([square]))
        return Described(self.blend.average(plain)[0], plain[0])

    @property
    def plain(self) -> ExactIndex:
        """The index of the rows before averaging, which brings the works of a series together."""
        return self.blend.plain_index(self.index.made_by["dial"])


class Searches(Mapping):
    """A Search for each network and crop: `searches["vgg16", "no_crop"]`.

    `names` are networks as choose_networks takes them; `sentence` says which ones were taken, and
    `reason` why, where others stand in for the article's. `searches.dial("vgg16", "no_crop", 0.5)`
    is a search in the network's blend, at a place from 0 (content) to 1 (style). Features are
    computed when a search is first asked for, and kept below `out` for the next time; `extract`
    computes all of them in one pass.

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
        self.networks, self.sentence, self.reason = choose_networks(names)
        self._kind, self._metric = index, metric
        options = {"num_trees": num_trees, "seed": seed, "recall": recall}
        self._options = {name: options[name] for name in options_of(index) if name in options}
        self._uri = uri or os.environ.get("ARTSEARCH_MILVUS") or Path(out, "milvus.db")
        self._out, self._progress, self._precision = out, progress, precision
        self._made: dict[tuple[str, str], Search] = {}
        self._dials: dict[tuple[str, str], BlendSearch] = {}

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

    @property
    def has_dial(self) -> bool:
        """Whether every network states its layers for content and style."""
        return all(network.blend for network in self.networks)

    def extract(self) -> None:
        """Bring the features of all searches and blends up to date, in one pass over the files."""
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
        extractor = self.extractor(network, crop)
        (features,) = extract(
            self.collection, [extractor], self._out, progress=self._progress
        ).values()
        return features

    def dial(self, network: str, crop: str, place: float = 0.5) -> BlendSearch:
        """Return a search in a network's blend, at a place from 0 (content) to 1 (style).

        Raises ArtsearchError for a network that states no layers for it.
        """
        dial_weights(place)  # a wrong place is said now, and not after minutes of computing
        return self._blend_search(network, crop).turn(place)

    def descriptors(self, network: str, crop: str) -> dict[str, OneLayer | AtPlace]:
        """Return what of a network can be compared: "final", and places of the dial by name."""
        network = self._network(network)
        places = {}
        if network.blend is not None:  # first, since its one pass over the files serves both
            blend = self._blend_search(network.name, crop).blend
            places = {name: AtPlace(blend, place) for name, place in PLACES.items()}
        return {"final": OneLayer(network.layer, self.features(network.name, crop))} | places

    def extractor(self, network: Network | str, crop: str, blend: bool = False) -> FeatureExtractor:
        """Return what makes the rows of one of the searches, or with `blend` those of its dial."""
        network = self._network(network)
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
            self._dials[key] = BlendSearch(self.collection, blend, extractor, index=index)
        return self._dials[key]

    def _index(self, network: str, crop: str) -> Index:
        extractor, features = self.extractor(network, crop), self.features(network, crop)
        store = store_folder(self._out, self.collection, extractor, extractor.layers[0])
        kind, metric = self._kind, self._metric
        if kind == "milvus":
            from artsearch.index.milvus.index import stored_milvus

            name = f"{store.name}-{metric}"
            return stored_milvus(features, self.collection.works, self._uri, name, metric)
        folder = Path(self._out, "indexes", f"{store.name}-{kind}-{metric}")
        return stored_index(features, folder, kind, metric, **self._options)

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


def _possible_precision(precision: str) -> str:
    if precision == "fast" and not fast_is_possible():
        warnings.warn(
            "the index was made with precision 'fast', which this machine has not; images asked "
            "for are computed with 'exact' (a cosine of 0.999 to the other on average)",
            stacklevel=3,
        )
        return "exact"
    return precision
