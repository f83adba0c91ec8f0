"""Made-up searches for experiments: rows that were thought out, and no network at all."""

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np

from artsearch.features.features import Features
from artsearch.networks.registry import NETWORKS
from artsearch.search.searches import ALPHAS


class FakeBlend:
    """Two halves of a row, content and manner, and a dial between them."""

    def __init__(self, halves, ids):
        self._halves, self._ids = halves, ids

    def at(self, place):
        first, second = self._halves
        rows = np.hstack([first * np.sqrt(1 - place), second * np.sqrt(place)])
        return Features(rows, self._ids)


class FakeSearches(Mapping):
    """What experiments ask of Searches: the rows of each descriptor, the same for all networks.

    `by_crop` has other rows for some crops.
    """

    sentence = "Networks: one that nobody trained."

    def __init__(self, works, rows, halves=None, crops=("no_crop",)):
        self.collection = SimpleNamespace(works=works)
        self.networks = [NETWORKS["efficientnet_lite0"]]
        self.crops = list(crops)
        self.by_crop = {}
        self._rows, self._halves = rows, halves

    def __iter__(self):
        return ((network.name, crop) for crop in self.crops for network in self.networks)

    def __len__(self):
        return len(self.networks) * len(self.crops)

    def __getitem__(self, key):
        raise AssertionError("experiments need no index")

    def descriptors(self, network, crop):
        ids = self.collection.works["id"].tolist()
        rows = self.by_crop.get(crop, self._rows)
        found = {name: SimpleNamespace(features=Features(one, ids)) for name, one in rows.items()}
        if self._halves is not None:
            blend = FakeBlend(self._halves, ids)
            for name, place in ALPHAS.items():
                found[name] = SimpleNamespace(blend=blend, features=blend.at(place))
        return found
