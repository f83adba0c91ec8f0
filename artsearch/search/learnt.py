"""What was learnt from people or from a column: a linear map of rows, and a place of the dial."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from artsearch.base.disk import write_whole
from artsearch.base.errors import ArtsearchError, MismatchError, unknown
from artsearch.base.sealed import open_sealed, seal
from artsearch.base.vectors import unit_rows
from artsearch.features.blend import round_alpha
from artsearch.features.extract import collection_key
from artsearch.features.features import Features
from artsearch.features.published import safe_name
from artsearch.index.exact import ExactIndex
from artsearch.search.results import Described
from artsearch.search.search import Search
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource

#: What rows a map is learnt on.
BASES = ("final", "blend")
KIND, MAP = "learnt", "map.npz"


@dataclass(frozen=True, eq=False)
class Learnt:
    """A linear map of a collection's rows, with what it was learnt from.

    `matrix` is dims × dims of the result; rows are brought to unit length and `mean` is taken off
    before. `about` says network, crop and base ("final" or "blend"), what it was learnt from, and
    what that gained on works it was not learnt from; `works` and `artists` are those it knows.
    """

    mean: np.ndarray
    matrix: np.ndarray
    about: Mapping[str, object]
    works: frozenset[str]
    artists: frozenset[str]

    def rows(self, vectors: np.ndarray) -> np.ndarray:
        """Return mapped rows, of unit length."""
        return unit_rows((unit_rows(np.asarray(vectors, np.float32)) - self.mean) @ self.matrix)

    def features(self, features: Features) -> Features:
        """Return mapped features; raises MismatchError for those of another width."""
        if features.dims != len(self.mean):
            raise MismatchError(
                f"what was learnt takes {len(self.mean):,} numbers a work, these features have "
                f"{features.dims:,}; learn again"
            )
        provenance = {**features.provenance, "descriptor": "learnt", "learnt": self.about}
        return Features(self.rows(features.vectors), features.ids, provenance)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the map as a folder, whole or not at all."""

        def write(new: Path) -> None:
            np.savez(new / MAP, mean=self.mean, matrix=self.matrix)

        known = {"works": sorted(self.works), "artists": sorted(self.artists)}
        return seal(folder, KIND, {"about": dict(self.about), **known}, write, (MAP,))

    @classmethod
    def open(cls, folder: str | os.PathLike) -> Learnt:
        """Open a saved map; raises ArtsearchError where there is none, DamagedError."""
        folder = Path(folder)
        if not folder.is_dir():
            raise ArtsearchError(
                f"nothing was learnt yet in {str(folder)!r}; run `python -m artsearch judge learn`"
            )
        manifest = open_sealed(folder, KIND)
        with np.load(folder / MAP, allow_pickle=False) as arrays:
            mean, matrix = arrays["mean"], arrays["matrix"]
        works, artists = (frozenset(manifest[name]) for name in ("works", "artists"))
        return cls(mean, matrix, manifest["about"], works, artists)


class LearntSearch(Search):
    """A collection by a learnt map: works and images are compared by mapped rows."""

    def __init__(self, base: Search, rows: Features, learnt: Learnt):
        super().__init__(base.collection, ExactIndex.build("angular", learnt.features(rows)))
        self._base, self._learnt = base, learnt

    def describe(self, image: ImageSource) -> np.ndarray:
        """Return the mapped row of any image; raises ImageError."""
        return self._learnt.rows(self._base.describe(image)[None])[0]

    def look(self, image: ImageSource) -> Described:
        """Return all that `answer` wants to know of an image; raises ImageError."""
        row = self.describe(image)
        return Described(row, row)

    @property
    def no_words(self) -> str:
        """Why it cannot be asked in words."""
        return "what was learnt takes no words; leave it out"


@dataclass(frozen=True, eq=False)
class LearntRows:
    """A learnt map as the evaluation takes descriptors."""

    base: object
    learnt: Learnt

    @cached_property
    def features(self) -> Features:
        """The rows of the collection."""
        return self.learnt.features(self.base.features)

    def rows(self, by_layer: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return rows of any images."""
        return self.learnt.rows(self.base.rows(by_layer))


def base_rows(searches: Searches, network: str, crop: str, base: str) -> Features:
    """Return the rows that a map is learnt on; raises ArtsearchError for an unknown base."""
    if base not in BASES:
        raise unknown("base", base, BASES)
    if base == "final":
        return searches.features(network, crop)
    return searches.dial(network, crop).blend.at(0.5)


def learnt_folder(out: str | os.PathLike, searches: Searches, network: str, crop: str) -> Path:
    """Return where the map of a collection's network and crop is kept."""
    return Path(out, "learnt", _key(searches.collection, network, crop))


def learnt_search(
    searches: Searches, network: str, crop: str, out: str | os.PathLike = "build"
) -> LearntSearch:
    """Return the search by what was learnt, and kept below `out`; raises ArtsearchError if none."""
    learnt = Learnt.open(learnt_folder(out, searches, network, crop))
    rows = base_rows(searches, network, crop, learnt.about["base"])
    of_dial = learnt.about["base"] == "blend"
    base = searches.dial(network, crop) if of_dial else searches[network, crop]
    return LearntSearch(base, rows, learnt)


def learnt_descriptor(
    searches: Searches, network: str, crop: str, out: str | os.PathLike = "build"
) -> LearntRows | None:
    """Return what was learnt, as the evaluation takes descriptors; None where nothing was."""
    folder = learnt_folder(out, searches, network, crop)
    if not folder.is_dir():
        return None
    learnt = Learnt.open(folder)
    return LearntRows(searches.descriptors(network, crop)[learnt.about["base"]], learnt)


# Your dial


def keep_dial(
    out: str | os.PathLike, collection: Collection, network: str, crop: str, fitted: Mapping
) -> Path:
    """Keep a place of the dial that was fitted to votes, for gallery, site and command line."""
    data = json.dumps(dict(fitted), indent=1, ensure_ascii=False).encode()
    return write_whole(_dial_file(out, collection, network, crop), data)


def your_dial(
    out: str | os.PathLike, collection: Collection, network: str, crop: str
) -> float | None:
    """Return the place of the dial that was fitted to votes, None where there is none."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        text = _dial_file(out, collection, network, crop).read_text("utf-8")
        return round_alpha(json.loads(text)["place"])
    return None


def your_dials(searches: Searches, out: str | os.PathLike = "build") -> dict[tuple, float]:
    """Return the places that were fitted to votes, by network and crop, where there are any."""
    found = {key: your_dial(out, searches.collection, *key) for key in searches}
    return {key: place for key, place in found.items() if place is not None}


def _dial_file(out: str | os.PathLike, collection: Collection, network: str, crop: str) -> Path:
    return Path(out, "learnt", f"{_key(collection, network, crop)}-dial.json")


def _key(collection: Collection, network: str, crop: str) -> str:
    return f"{collection_key(collection)}-{safe_name(network)}-{crop}"
