"""An index as a folder: what every kind keeps there, and what a kind is read from again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features

KIND = "index"
IDS, MEDIANS = "ids.json", "medians.npy"
#: The rows as the metric compares them, and what an approximate index keeps beside them: Annoy's
#: forest, a graph, lists.
VECTORS, LIBRARY = "vectors.npy", "index.ann"
#: A checksum of each row as it was when the index took it, see stored_index.
CHECKSUMS = "checksums.npy"
#: What lies in a folder of an index; one with anything else in it is the user's own.
OWN = (IDS, MEDIANS, VECTORS, LIBRARY, CHECKSUMS)


class Basics(NamedTuple):
    """What every index knows: the metric, the works, what made their rows, and Hamming's medians.

    For Hamming each number becomes one bit: whether it is above its median over all works.
    """

    metric: str
    ids: Sequence[str]
    dims: int
    provenance: dict
    medians: np.ndarray | None = None

    @classmethod
    def of(cls, metric: str, features: Features) -> Basics:
        """Return the basics of an index over features."""
        hamming = metric == "hamming"
        medians = np.median(np.asarray(features.vectors), axis=0) if hamming else None
        return cls(metric, features.ids, features.dims, features.provenance, medians)


class Saved(NamedTuple):
    """An index as it lies in a folder, with the settings that it was built with."""

    folder: Path
    basics: Basics
    settings: dict[str, Any]


def library_file(folder: Path) -> str:
    """Return the path of a library's file as it wants it; raises ArtsearchError where it cannot.

    The libraries take a path as UTF-8, which not every name of a folder on Linux is.
    """
    path = str(folder / LIBRARY)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ArtsearchError(
            f"the folder {str(folder)!r} has a name that is not UTF-8, so an index cannot be "
            "kept there; name another one"
        ) from None
    return path
