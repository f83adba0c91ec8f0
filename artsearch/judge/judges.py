"""What votes tell of those who gave them: whether they attend, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import binomtest

#: A judge is believed to attend where votes by chance would do as well once in a hundred, and not
#: to, where one who is right nine times of ten would do as badly once in twenty.
SURE, RIGHT, UNLIKELY = 0.01, 0.9, 0.05
#: What tells which vote is on the same triplet.
SAME = ["query", "question", "kind", "works"]


@dataclass(frozen=True)
class Judged:
    """What is known of one judge.

    `easy` and `again` are (right, asked) on easy triplets, and (the same answer, asked) on those
    that came twice. `attends` is None where these do not tell.
    """

    judge: str
    votes: int
    easy: tuple[int, int]
    again: tuple[int, int]
    seconds: float
    attends: bool | None

    @property
    def sentence(self) -> str:
        """Say it in a sentence."""
        counts = (
            f"{self.judge}: {self.votes:,} votes, {self.seconds:.1f} s each (median); "
            f"{self.easy[0]} of {self.easy[1]} easy ones right, "
            f"{self.again[0]} of {self.again[1]} asked twice answered alike"
        )
        if self.attends is None:
            return f"{counts}; too few of these to tell whether she attends."
        if self.attends:
            return f"{counts}."
        return f"{counts}: no better than chance, so these votes are left out."


def look_at_judges(votes: pd.DataFrame) -> list[Judged]:
    """Return what is known of each judge, most votes first.

    On easy triplets and on those asked twice a judge by chance is right half the time; one is
    believed to attend where that many right would come by chance once in a hundred, and not to,
    where that few would come once in twenty from one who is right nine times of ten (exact binomial
    tests); between the two it is not told. Seven such votes are the fewest that are looked at.
    """
    known = []
    votes = _with_works(_asked(votes))
    for judge, own in votes.groupby("judge", sort=False):
        decided = own[own["answer"].isin(["first", "second"])]
        easy = decided[decided["why"] == "easy"]["answer"] == "first"
        pairs = _asked_twice(own)
        alike = [one == other for one, other in pairs]
        right, asked = int(easy.sum()) + sum(alike), len(easy) + len(alike)
        attends = None
        if asked and binomtest(asked, asked, 0.5, "greater").pvalue < SURE:
            if binomtest(right, asked, 0.5, "greater").pvalue < SURE:
                attends = True
            elif binomtest(right, asked, RIGHT, "less").pvalue < UNLIKELY:
                attends = False
        counts = (int(easy.sum()), len(easy)), (sum(alike), len(alike))
        seconds = float(own["seconds"].median())
        known.append(Judged(str(judge), len(own), *counts, seconds, attends))
    return sorted(known, key=lambda one: -one.votes)


def attending(votes: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the votes without those of judges who do no better than chance, and who these are."""
    absent = sorted(one.judge for one in look_at_judges(votes) if one.attends is False)
    return votes[~votes["judge"].isin(absent)], ", ".join(absent)


def alpha(votes: pd.DataFrame) -> float:
    """Return Krippendorff's alpha of the answers, 1 for full agreement and 0 for that by chance.

    All four answers count as different, none as nearer to another (the nominal alpha: Krippendorff
    2011, Computing Krippendorff's Alpha-Reliability, section C); a triplet with one judge tells
    nothing. Where a judge saw a triplet twice, the first answer counts. It is nan where no triplet
    has two judges, or all answers are the same.
    """
    units = [list(answers) for answers in _by_triplet(votes)]
    return nominal_alpha(units)


def nominal_alpha(units: Sequence[Sequence[object]]) -> float:
    """Return Krippendorff's alpha of units with the values that each was given.

    >>> round(nominal_alpha([[1, 1], [1, 1], [0, 0], [0, 1], [0, 0]]), 3)
    0.64
    """
    units = [unit for unit in units if len(unit) > 1]
    values = sorted({value for unit in units for value in unit}, key=str)
    together = np.zeros((len(values), len(values)))
    for unit in units:
        counts = np.array([list(unit).count(value) for value in values], float)
        together += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    totals = together.sum(axis=0)
    by_chance = totals.sum() ** 2 - np.square(totals).sum()
    if not by_chance:
        return float("nan")
    apart = together.sum() - np.trace(together)
    return float(1 - (totals.sum() - 1) * apart / by_chance)


def agreements(votes: pd.DataFrame) -> pd.DataFrame:
    """Return each two decided answers to one triplet by two judges: query, judges, `alike`."""
    rows = []
    votes = _with_works(_asked(votes))
    votes = votes[votes["answer"].isin(["first", "second"])].drop_duplicates(["judge", *SAME])
    for (query, *_), own in votes.groupby(SAME, sort=False):
        ways = zip(own["judge"], own["way"], strict=True)
        for (one, said), (other, also) in combinations(ways, 2):
            rows.append((query, f"{one}\0{other}", said == also))
    return pd.DataFrame(rows, columns=["query", "judges", "alike"])


def _asked(votes: pd.DataFrame) -> pd.DataFrame:
    return votes[(votes["why"] != "tried") & (votes["why"] != "session")]


def _with_works(votes: pd.DataFrame) -> pd.DataFrame:
    """Add what is asked whichever is first, and which of the two was taken."""
    swapped = votes["first"] > votes["second"]
    low, high = votes["first"].where(~swapped, votes["second"]), votes["second"]
    high = high.where(~swapped, votes["first"])
    other = {"first": "second", "second": "first"}
    way = votes["answer"].where(~swapped, votes["answer"].replace(other))
    return votes.assign(works=low + "\0" + high, way=way)


def _asked_twice(own: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the two answers of each triplet that came twice, both decided."""
    decided = own[own["way"].isin(["first", "second"])]
    groups = decided.groupby(SAME, sort=False)["way"]
    return [tuple(answers[:2]) for answers in groups.agg(list) if len(answers) > 1]


def _by_triplet(votes: pd.DataFrame) -> list[list[str]]:
    votes = _with_works(_asked(votes)).drop_duplicates(["judge", *SAME])
    return list(votes.groupby(SAME, sort=False)["way"].agg(list))
