"""The near-duplicates of a collection: files that are likely to show the same work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError
from artsearch.index.candidates import nearer_than
from artsearch.index.metrics import unit_of
from artsearch.search.search import Search

#: Neighbours of each work that are looked at first; more of those that have as many duplicates.
FIRST = 16


@dataclass(frozen=True)
class Duplicates:
    """Groups of works, each nearer than `near` to another of its group.

    `groups` are ids in the order of the collection, the largest group first. `nearest` has for each
    of these works the one of its group that is nearest, and the distance between the two.
    """

    groups: tuple[tuple[str, ...], ...]
    nearest: dict[str, tuple[str, float]]
    near: float
    unit: str

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def sentence(self) -> str:
        """What was found, and by which distance."""
        works, groups = len(self.nearest), len(self)
        found = f"{groups:,} groups of near-duplicates" if groups != 1 else "One group"
        found = f"{found}, {works:,} works in all" if groups else "No near-duplicates"
        return f"{found}: nearer than {self.near:.3g} ({self.unit})."

    def table(self) -> pd.DataFrame:
        """Return a row a work: group (from 1), id, its nearest of the group, and the distance."""
        rows = [
            (number, id, *self.nearest[id])
            for number, group in enumerate(self.groups, 1)
            for id in group
        ]
        return pd.DataFrame(rows, columns=["group", "id", "nearest", "distance"])


def find_duplicates(search: Search, near: float | None = None) -> Duplicates:
    """Find the works that have another one nearer than a distance, and put them into groups.

    A work is in a group when it is near to one of it, not to all (single linkage). Without a
    distance it is `search.copy_distance`, by which answers leave out near-duplicates. Every work is
    compared with every other. Raises ArtsearchError for a distance that is not above 0, and for the
    metric "dot", which tells no duplicates.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if near is not None and not near > 0:
        raise ArtsearchError(f"the distance is {near!r}; take a number above 0, such as 0.4")
    raw, near = search.raw, near or search.copy_distance
    unit = unit_of(raw.metric)
    if len(raw) < 2:
        return Duplicates((), {}, near, unit)
    k = min(FIRST, len(raw) - 1)
    found, distances = raw.all_neighbours(k)
    rows, places = np.nonzero(distances < near)
    ends = rows, found[rows, places]
    pairs = coo_matrix((np.ones(len(rows)), ends), shape=(len(raw), len(raw)))
    _, labels = connected_components(pairs, directed=False)
    # Not all pairs at once: of thousands of copies there are too many.
    for row in np.flatnonzero(distances[:, -1] < near) if k < len(raw) - 1 else ():
        joined = np.unique(labels[nearer_than(raw, raw.row(raw.ids[row]), near)])
        if len(joined) > 1:
            labels[np.isin(labels, joined)] = joined[0]
    groups: dict[int, list[str]] = {}
    nearest = {}
    for row in sorted(set(rows.tolist()), key=lambda row: search.collection.row(raw.ids[row])):
        groups.setdefault(int(labels[row]), []).append(raw.ids[row])
        nearest[raw.ids[row]] = raw.ids[found[row, 0]], float(distances[row, 0])
    largest = sorted(map(tuple, groups.values()), key=len, reverse=True)
    return Duplicates(tuple(largest), nearest, near, unit)
