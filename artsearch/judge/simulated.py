"""Judges whose mind is known: votes drawn by a descriptor and a noise, to try all the rest on.

They are no people, and their votes tell nothing of art: they show whether what was put in is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.vectors import unit_rows
from artsearch.features.features import Features
from artsearch.judge.triplets import Triplet
from artsearch.judge.votes import SIMULATED, Vote

#: Simulated votes are from this moment on, some seconds apart: the same seed gives the same file.
START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class SimulatedJudge:
    """A judge who sees the cosines of a descriptor, and errs.

    `minds` has what she goes by for each question, such as `{"what": blend.at(0)}`; an empty one is
    a judge who votes by chance. She takes the nearer work with the probability 1 / (1 + exp(-d /
    `noise`)), d the difference of the two cosines (a logistic choice, as in Bradley and Terry 1952,
    Biometrika 39), and says "equal" where the difference is below `equal`.
    """

    name: str
    minds: Mapping[str, Features]
    noise: float = 0.05
    equal: float = 0.0

    def vote(self, triplet: Triplet, rng: np.random.Generator) -> str:
        """Return her answer to a triplet; raises ArtsearchError for a question not in her minds."""
        if triplet.kind != "triplet":
            raise ArtsearchError("simulated judges see triplets; rows were asked")
        if not self.minds:
            return ("first", "second")[rng.integers(2)]
        if triplet.question not in self.minds:
            raise unknown("question", triplet.question, self.minds)
        difference = self.difference(triplet)
        if abs(difference) < self.equal:
            return "equal"
        # Beyond 500 the exponential is out of range, and the answer certain.
        sure = 1 / (1 + np.exp(-np.clip(difference / self.noise, -500, 500)))
        return "first" if rng.random() < sure else "second"

    def difference(self, triplet: Triplet) -> float:
        """Return how much nearer the first work is, in cosines."""
        mind = self.minds[triplet.question]
        rows = [mind.vector(id) for id in (triplet.query, triplet.first, triplet.second)]
        query, first, second = unit_rows(np.array(rows, np.float64))
        return float(query @ first - query @ second)


def minds_by_construction(works: pd.DataFrame) -> dict[str, Features]:
    """Return what is alike by construction in repainted works: their content, and their manner.

    `works` is a table with the columns id, content and manner. Two works of the same content are
    alike in what they show (cosine 1), two of the same manner in how they are made; all others are
    not (cosine 0). As descriptors for `choose_triplets` they give triplets of a work, one of its
    content and one of its manner. Raises ArtsearchError for a table without these columns.
    """
    minds = {}
    for question, column in (("what", "content"), ("how", "manner")):
        if column not in works:
            raise unknown("column", column, works.columns, "; repainted works have it")
        known = works[works[column] != ""]
        codes, names = pd.factorize(known[column])
        minds[question] = Features(np.eye(len(names), dtype=np.float32)[codes], known["id"])
    return minds


def simulate(
    judges: Iterable[SimulatedJudge], triplets: Iterable[Triplet], seed: int = 0
) -> list[Vote]:
    """Return what simulated judges say to triplets, each to all of them; the same for a seed."""
    rng = np.random.default_rng(seed)
    triplets, votes = list(triplets), []
    for judge in judges:
        for triplet in triplets:
            at = START + timedelta(seconds=3 * len(votes))
            votes.append(
                Vote(
                    judge.name,
                    triplet.question,
                    triplet.query,
                    triplet.first,
                    triplet.second,
                    judge.vote(triplet, rng),
                    left=triplet.left,
                    why=triplet.why,
                    seconds=3.0,
                    choice=SIMULATED,
                    time=at.isoformat(timespec="milliseconds"),
                    id=rng.bytes(16).hex(),
                )
            )
    return votes
