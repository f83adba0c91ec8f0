"""Judges whose mind is known: votes drawn by a descriptor and a noise, to try all the rest on.

They are no people, and their votes tell nothing of art: they show whether what was put in is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.vectors import unit_rows
from artsearch.features.features import Features
from artsearch.judge.triplets import Triplet
from artsearch.judge.votes import Vote

#: What these votes have as `choice`, so that nobody takes them for those of people.
SIMULATED = "simulated"
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
