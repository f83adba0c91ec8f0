"""One row of numbers a work, in memory or on disk: what everything after a network works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import count_of
from artsearch.base.vectors import ShardedRows


# Compared by identity: `==` between arrays has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """One row of numbers a work, with the ids beside them and a note of what made them.

    `vectors` is float32, works × dims, and read-only; `ids` names its rows. `provenance` holds
    network, weights (SHA-256), layer, pool, crop, size and the collection's fingerprint. `skipped`
    lists the works that could not be read, as (id, reason).
    """

    vectors: np.ndarray
    ids: tuple[str, ...]
    provenance: dict = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "ids", tuple(self.ids))
        vectors = self.vectors
        if not isinstance(vectors, ShardedRows):  # which are on disk, and stay there
            vectors = np.asarray(vectors, dtype=np.float32).view()
            vectors.flags.writeable = False
        if vectors.ndim != 2 or len(vectors) != len(self.ids):
            raise ArtsearchError(
                f"features need one row an id; got an array of shape {vectors.shape} "
                f"for {len(self.ids)} ids"
            )
        if len(set(self.ids)) != len(self.ids):
            raise ArtsearchError("features need ids that differ; some are there twice")
        object.__setattr__(self, "vectors", vectors)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<Features: {self.report()}>"

    @property
    def dims(self) -> int:
        """The number of dimensions."""
        return self.vectors.shape[1]

    def vector(self, work_id: str) -> np.ndarray:
        """Return the row of a work; raises ArtsearchError if it has none."""
        if work_id not in self._row:
            raise unknown("work", work_id, self.ids)
        return self.vectors[self._row[work_id]]

    @cached_property
    def _row(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.ids)}

    def report(self, shown: int = 5) -> str:
        """Say in a sentence how many works are there, and which were skipped and why.

        `shown` is how many of the skipped ones are named; `skipped` has them all.
        """
        text = f"{count_of(len(self), 'work')}, {self.dims:,} numbers each"
        if not self.skipped:
            return f"{text}."
        named = "; ".join(f"{id} ({reason})" for id, reason in self.skipped[:shown])
        left = len(self.skipped) - shown
        more = f"; and {left} more" if left > 0 else ""
        # An id may be any file name, with line ends in it; a report is one line.
        return f"{text}; {len(self.skipped)} skipped: {' '.join(named.split())}{more}."
