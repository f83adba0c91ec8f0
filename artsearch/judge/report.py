"""What votes say: with whom people agree, how sure that is, and what networks get wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.text import count_of
from artsearch.base.vectors import unit_rows
from artsearch.evaluate.estimates import MetricsTable
from artsearch.features.features import Features
from artsearch.judge.judges import Judged, agreements, alpha, attending, look_at_judges
from artsearch.judge.resample import Resampled, draw_weights, resample
from artsearch.judge.votes import QUESTIONS, SIMULATED

#: Why a triplet was asked, of those that tell something of networks: easy ones all find easy.
TELLING = ("disagree", "random", "again")
#: Draws for the intervals of a ranking, each of which is a fit.
FITS = 400
#: How a name is put together (see descriptors_of).
SEPARATOR = " · "
DECIDED = ("first", "second")


@dataclass(frozen=True, eq=False)
class VoteReport:
    """What votes say.

    `shares` has a row a descriptor and question: the share of votes that it agrees with, the
    interval, in `significance` "better" or "worse" where it is not at chance, and in `beaten`
    whether it is below the best one, all rows being asked at once. `people` says how often two
    judges agree, `ranking` has the searches whose rows were compared, best first. `verdicts` are
    sentences; `notes` say what was left out and why.
    """

    votes: pd.DataFrame
    judges: tuple[Judged, ...]
    shares: MetricsTable
    people: pd.DataFrame
    alpha: float
    verdicts: tuple[str, ...]
    ranking: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def simulated(self) -> bool:
        """Whether votes are among these that no person gave."""
        return bool((self.votes["choice"] == SIMULATED).any())

    @property
    def sentences(self) -> list[str]:
        """Say in short with what most votes agree, question by question, and each verdict."""
        said = []
        for question, words in QUESTIONS.items():
            best, alike = self.best(question)
            others = [name for name in alike if name not in best]
            told = f"; not to be told from it: {', '.join(others)}" if others else ""
            said += [f"{words}, most votes agree with {one}{told}." for one in best]
        return [one[0].upper() + one[1:] for one in said] + list(self.verdicts)

    def best(self, question: str) -> tuple[list[str], list[str]]:
        """Return the descriptor that agrees with most votes, and those not to be told from it."""
        rows = self.shares.select(label=question)
        if rows.empty:
            return [], []
        names = [SEPARATOR.join(key) for key in _keys(rows)]
        best = int(rows["value"].to_numpy().argmax())
        return [names[best]], [
            name for name, beaten in zip(names, rows["beaten"], strict=True) if not beaten
        ]


def report_votes(
    votes: pd.DataFrame, descriptors: Mapping[str, Features] | None = None, seed: int = 0
) -> VoteReport:
    """Return what votes say of descriptors, named "network · crop · descriptor".

    A vote counts for a descriptor by whose cosines the work that was taken is the nearer one, and
    half where both are as near. Left out are tried examples, easy triplets, answers "equal" and
    "neither" (they are counted in the notes), votes on works that a descriptor has no row of, and
    judges who do no better than chance on easy triplets and those that came twice.
    """
    descriptors = descriptors or {}
    judges = tuple(look_at_judges(votes))
    notes = []
    held, absent = attending(votes)
    if absent:
        notes.append(f"left out, being no better than chance on what is easy: {absent}")
    if judges and all(one.attends is None for one in judges):
        notes.append("too few easy votes, or votes given twice, to tell whether judges attend")
    if likes := int((held["why"] == "session").sum()):
        notes.append(
            f"{likes:,} votes are likes of sessions, which are learnt from and not counted"
        )
    triplets = held[(held["kind"] == "triplet") & held["why"].isin(TELLING)]
    undecided = triplets["answer"].value_counts()
    for answer in ("equal", "neither"):
        if undecided.get(answer):
            notes.append(f'{undecided[answer]:,} answers were "{answer}"')
    triplets = triplets[triplets["answer"].isin(DECIDED)]
    if triplets["judge"].nunique() < 3 and len(triplets):
        notes.append(
            f"{count_of(triplets['judge'].nunique(), 'judge')}: intervals are over queries, and "
            "hold for no other judges; three or more are wanted to say anything of people"
        )
    shares, verdicts = MetricsTable("significance", "beaten"), ()
    if descriptors and len(triplets):
        triplets, gone = _known(triplets, descriptors)
        if gone:
            notes.append(f"{gone:,} votes are on works of which there are no features")
    if descriptors and len(triplets):
        shares, verdicts = _shares(triplets, descriptors, seed)
    return VoteReport(
        held,
        judges,
        shares,
        _people(held, seed),
        alpha(held[held["kind"] == "triplet"]),
        verdicts,
        rank_rows(held, seed),
        tuple(notes),
    )


def agrees(votes: pd.DataFrame, features: Features) -> np.ndarray:
    """Return for each decided vote on a triplet whether the taken work is nearer: 1, 0, or 0.5."""
    nearer = margins(votes, features)
    taken = np.where(votes["answer"] == "first", 1, -1) * nearer
    # Rounding makes copies of a work differ in the last digits.
    return np.where(np.abs(taken) < 1e-9, 0.5, (taken > 0).astype(float))


def margins(votes: pd.DataFrame, features: Features) -> np.ndarray:
    """Return for each triplet how much nearer the first work is than the second, in cosines."""
    ids = pd.unique(votes[["query", "first", "second"]].to_numpy().ravel())
    units = unit_rows(np.array([features.vector(id) for id in ids], np.float64))
    at = {id: row for row, id in enumerate(ids)}
    query, first, second = (units[votes[name].map(at)] for name in ("query", "first", "second"))
    return np.einsum("ij,ij->i", query, first - second)


def contradicted(votes: pd.DataFrame, features: Features, most: int = 10) -> pd.DataFrame:
    """Return triplets on which all judges agree and a descriptor says otherwise.

    Those with the most judges come first, then those on which it is surest. Columns: query,
    question, `people` (the work that was taken), `network` (the other), judges, margin.
    """
    decided = votes[(votes["kind"] == "triplet") & votes["answer"].isin(DECIDED)]
    decided, _ = _known(decided[decided["why"] != "tried"], {"": features})
    columns = ["query", "question", "people", "network", "judges", "margin"]
    if decided.empty:
        return pd.DataFrame(columns=columns)
    first = decided["answer"] == "first"
    table = pd.DataFrame(
        {
            "query": decided["query"],
            "question": decided["question"],
            "people": decided["first"].where(first, decided["second"]),
            "network": decided["second"].where(first, decided["first"]),
            "judge": decided["judge"],
            "margin": -margins(decided, features) * np.where(first, 1, -1),
        }
    )
    groups = table.groupby(columns[:4], sort=False)
    table = groups.agg(judges=("judge", "nunique"), margin=("margin", "first")).reset_index()
    # Where somebody took the other work, people do not agree.
    taken = list(zip(*(table[name] for name in columns[:4]), strict=True))
    other = {(query, question, network, people) for query, question, people, network in taken}
    alone = [key not in other for key in taken]
    table = table[np.array(alone) & (table["margin"] > 0)]
    return table.sort_values(["judges", "margin"], ascending=False, ignore_index=True).head(most)


def rank_rows(votes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return the searches whose rows were compared, by how often theirs was taken, best first.

    `strength` is that of Bradley and Terry (1952, Biometrika 39): the logarithm of the odds against
    the average search, with its 95 % interval over judges and queries; `chance` is what that says
    in shares. "equal" and "neither" count half for each. Votes that do not name both searches are
    left out. Empty where no rows were compared.
    """
    votes = votes[(votes["kind"] == "rows") & (votes["why"] != "tried")]
    votes = votes[(votes[["first_by", "second_by"]] != "").all(axis=1)]
    names = sorted({*votes["first_by"], *votes["second_by"]})
    columns = ["search", "strength", "low", "high", "chance", "compared"]
    if len(names) < 2:
        return pd.DataFrame(columns=columns)
    at = {name: row for row, name in enumerate(names)}
    first, second = (votes[name].map(at).to_numpy() for name in ("first_by", "second_by"))
    faced = np.zeros((len(votes), len(names)))
    faced[np.arange(len(votes)), first] = 1
    faced[np.arange(len(votes)), second] = -1
    won = votes["answer"].map({"first": 1.0, "second": 0.0}).fillna(0.5).to_numpy()
    strengths = _bradley_terry(faced, won, np.ones(len(votes)))
    weights = draw_weights(votes["judge"].to_numpy(), votes["query"].to_numpy(), seed, FITS)
    draws = np.array([_bradley_terry(faced, won, one) for one in weights])
    draws = draws if len(draws) else np.full((2, len(names)), np.nan)
    low, high = Resampled(strengths, draws).interval()
    compared = np.abs(faced).sum(axis=0).astype(int)
    chance = 1 / (1 + np.exp(-strengths))
    values = names, strengths, low, high, chance, compared
    table = pd.DataFrame(dict(zip(columns, values, strict=True)))
    return table.sort_values("strength", ascending=False, ignore_index=True)


def _bradley_terry(faced: np.ndarray, won: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the strengths, which add up to 0; a little held back, so that none is infinite."""
    from sklearn.linear_model import LogisticRegression

    both = np.concatenate([faced, faced])
    answers = np.repeat([1, 0], len(faced))
    shares = np.concatenate([weights * won, weights * (1 - won)])
    fit = LogisticRegression(C=10.0, fit_intercept=False).fit(both, answers, shares)
    return fit.coef_[0] - fit.coef_[0].mean()


def _shares(
    votes: pd.DataFrame, descriptors: Mapping[str, Features], seed: int
) -> tuple[MetricsTable, tuple[str, ...]]:
    """Return the table of all descriptors and questions, and a verdict a descriptor."""
    questions = [one for one in QUESTIONS if (votes["question"] == one).any()]
    names = list(descriptors)
    right = np.stack([agrees(votes, features) for features in descriptors.values()], axis=1)
    columns = []
    for question in questions:
        asked = (votes["question"] == question).to_numpy()[:, None]
        columns.append(np.where(asked, right, np.nan))
    judges, queries = votes["judge"].to_numpy(), votes["query"].to_numpy()
    found = resample(np.concatenate(columns, axis=1), judges, queries, seed)
    low, high = found.interval()
    signs = found.apart(0.5)
    table = MetricsTable("significance", "beaten")
    for number, question in enumerate(questions):
        block = slice(number * len(names), (number + 1) * len(names))
        beaten = _beaten(found, block)
        for at, name in enumerate(names):
            column = block.start + at
            mark = {1: "better", -1: "worse", 0: "same"}[int(signs[column])]
            row = float(found.means[column]), float(low[column]), float(high[column])
            table.add_row(*key_of(name), question, "votes", None, "", *row, mark, bool(beaten[at]))
    verdicts = ()
    if {"what", "how"} <= set(questions):
        both = [questions.index(one) * len(names) for one in ("what", "how")]
        verdicts = tuple(
            _verdict(name, found, signs, both[0] + at, both[1] + at)
            for at, name in enumerate(names)
        )
    return table, verdicts


def _beaten(found: Resampled, block: slice) -> np.ndarray:
    """Tell which columns of a block are below the best one, all being asked at once."""
    best = block.start + int(found.means[block].argmax())
    less = Resampled(
        found.means[block] - found.means[best], found.draws[:, block] - found.draws[:, [best]]
    )
    return less.apart(0.0) < 0


def _verdict(name: str, found: Resampled, signs: np.ndarray, what: int, how: int) -> str:
    """Say with which question a descriptor goes, in the article's words, with the numbers.

    Where it is above chance in neither question, it goes with neither; where the interval of the
    difference leaves out 0, with the one that is higher; else it balances the two.
    """
    difference, low, high = found.difference(what, how)
    if signs[what] <= 0 and signs[how] <= 0:
        words = "goes with neither, as far as these votes tell"
    elif not low <= 0 <= high:
        words = "goes with content" if difference > 0 else "goes with style"
    else:
        words = "balances the two, as far as these votes tell"
    numbers = f"{found.means[what]:.0%} of the votes on what is shown, {found.means[how]:.0%} of"
    numbers = numbers.replace("%", " %")
    return f"{name} {words}: {numbers} those on how it is made."


def _people(votes: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return how often two judges agree, and a judge with herself: question, who, value, …"""
    rows = []
    triplets = votes[votes["kind"] == "triplet"]
    for question in QUESTIONS:
        asked = triplets[(triplets["question"] == question) & triplets["why"].isin(TELLING)]
        pairs = agreements(asked)
        if len(pairs):
            alike, *units = (pairs[name].to_numpy() for name in ("alike", "judges", "query"))
            found = resample(alike.astype(float), *units, seed)
            (low,), (high,) = found.interval()
            rows.append((question, "two judges", float(found.means[0]), low, high, len(pairs)))
    alike = np.array([one.again for one in look_at_judges(votes)]).reshape(-1, 2).sum(axis=0)
    if alike[1]:
        from scipy.stats import binomtest

        span = binomtest(int(alike[0]), int(alike[1])).proportion_ci(method="wilson")
        value = alike[0] / alike[1], span.low, span.high
        rows.append(("", "a judge with herself", *value, int(alike[1])))
    return pd.DataFrame(rows, columns=["question", "who", "value", "low", "high", "pairs"])


def _known(votes: pd.DataFrame, descriptors: Mapping[str, Features]) -> tuple[pd.DataFrame, int]:
    """Return the votes of whose works all descriptors have rows, and how many others there are."""
    first, *others = descriptors.values()
    ids = set(first.ids).intersection(*(one.ids for one in others))
    known = votes[["query", "first", "second"]].isin(ids).all(axis=1)
    if len(votes) and not known.any():
        raise MismatchError(
            f"none of the {len(votes):,} votes is on works of this collection, the first is on "
            f"{votes['query'].iloc[0]!r}; name the collection that was judged"
        )
    return votes[known], int((~known).sum())


def key_of(name: str) -> tuple[str, str, str]:
    """Return network, crop and descriptor of a name; raises ArtsearchError for another one."""
    parts = name.split(SEPARATOR)
    if len(parts) != 3:
        raise ArtsearchError(
            f"a descriptor is named {name!r}; name it 'network{SEPARATOR}crop{SEPARATOR}descriptor'"
        )
    return parts[0], parts[1], parts[2]


def _keys(rows: pd.DataFrame) -> Sequence[tuple[str, str, str]]:
    return list(zip(rows["network"], rows["crop"], rows["descriptor"], strict=True))
