"""Your dial: the place between content and style, and the weights, that go with votes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import count_of
from artsearch.base.vectors import unit_rows
from artsearch.features.blend import Blend, dial_weights
from artsearch.judge.resample import draw_weights, resample
from artsearch.judge.votes import QUESTIONS

#: Votes and queries from which on a place is fitted.
LEAST, LEAST_QUERIES = 60, 20
#: Places that are tried, and how sharply a judge may see: logits a unit of cosine.
PLACES = np.linspace(0, 1, 101)
SHARPNESS = np.geomspace(0.3, 300, 30)
#: Parts that the queries are cut into, each of which is predicted from the others.
FOLDS = 5
#: Draws for the interval of the place.
DRAWS = 1_000


class TooFewVotes(ArtsearchError):
    """There are too few votes to learn from, or they go with nothing."""


@dataclass(frozen=True)
class FittedDial:
    """The place of the dial that goes with votes.

    `place`, with its 95 % interval, is from 0 (content) to 1 (style); `weights` are those of the
    three components where they are free, which add up to 1. `agrees` is the share of votes on
    queries that it was not fitted to, `half_way` that of the dial half way, `gain` the difference
    of the two with its interval.
    """

    question: str
    place: float
    low: float
    high: float
    weights: dict[str, float]
    sharpness: float
    votes: int
    queries: int
    agrees: float
    half_way: float
    gain: float
    gain_low: float
    gain_high: float

    @property
    def sentence(self) -> str:
        """Say it in a sentence."""
        better = "more" if self.gain_low > 0 else "no more that could be told"
        return (
            f"Your dial, {QUESTIONS[self.question]}: {self.place:.2f} ({self.low:.2f} to "
            f"{self.high:.2f}), from {count_of(self.votes, 'vote')} on "
            f"{count_of(self.queries, 'work')}. Of votes it was not fitted to it agrees with "
            f"{self.agrees:.0%}".replace("%", " %")
            + f", the dial half way with {self.half_way:.0%}".replace("%", " %")
            + f": {better} ({self.gain:+.2f}, {self.gain_low:+.2f} to {self.gain_high:+.2f})."
        )

    def to_json(self) -> dict:
        """Return it as plain data."""
        return asdict(self)


def fit_dial(
    votes: pd.DataFrame, blend: Blend, question: str = "whole", seed: int = 0
) -> FittedDial:
    """Return the place of the dial that goes with the votes on a question.

    A vote is taken to follow the difference d of the two cosines by the dial with the probability
    1 / (1 + exp(-s d)) (Bradley and Terry 1952); place and sharpness s are those of the largest
    likelihood on a grid, the weights of the components those of the convex problem in which all
    three are free and none negative. The interval draws judges and queries again (see `resample`).
    The gain is cross-validated over queries.

    Raises TooFewVotes for fewer than LEAST decided votes or LEAST_QUERIES queries, and where the
    votes go with no place of the dial: where it agrees with no more of those it was not fitted to
    than chance would.
    """
    if question not in QUESTIONS:
        raise unknown("question", question, QUESTIONS)
    asked = decided(votes, question, blend.ids)
    differences, judges, queries = component_differences(asked, blend), *_units(asked)
    check_enough(votes, question, blend.ids)
    likelihood = _log_likelihood(differences)
    place, sharpness = _best(likelihood.sum(axis=1))
    drawn = np.stack(list(draw_weights(judges, queries, seed, DRAWS)))
    places = PLACES[(drawn @ likelihood.T).argmax(axis=1) // len(SHARPNESS)]
    low, high = np.quantile(places, [0.025, 0.975])

    right = np.stack(
        [_held_out(differences, likelihood, queries, seed), _right(differences, 0.5)], axis=1
    )
    found = resample(right, judges, queries, seed)
    (agrees_low, _), _ = found.interval()
    if agrees_low <= 0.5:
        raise TooFewVotes(
            f"these {count_of(len(asked), 'vote')} go with no place of the dial that could be "
            f"told: of those it was not fitted to it agrees with {found.means[0]:.0%}, and "
            "chance with half; give more votes"
        )
    weights = fit_weights(differences)
    total = weights.sum() or 1.0
    return FittedDial(
        question,
        float(place),
        float(low),
        float(high),
        dict(zip(blend.components, (weights / total).round(4).tolist(), strict=True)),
        float(sharpness),
        len(asked),
        len(set(queries)),
        *(float(mean) for mean in found.means),
        *found.difference(0, 1),
    )


def decided(votes: pd.DataFrame, question: str, ids: tuple[str, ...]) -> pd.DataFrame:
    """Return the votes on triplets of some works that took one of two; all questions for ""."""
    triplets = votes[(votes["kind"] == "triplet") & votes["answer"].isin(["first", "second"])]
    triplets = triplets[triplets["why"] != "tried"]
    if question:
        triplets = triplets[triplets["question"] == question]
    return triplets[triplets[["query", "first", "second"]].isin(set(ids)).all(axis=1)]


def check_enough(votes: pd.DataFrame, question: str, ids: tuple[str, ...]) -> None:
    """Raise TooFewVotes unless there are enough to learn from; name questions that have some."""
    asked = decided(votes, question, ids)
    queries = asked["query"].nunique()
    if len(asked) < LEAST or queries < LEAST_QUERIES:
        on = f" on what is alike {QUESTIONS[question]}" if question else ""
        others = decided(votes, "", ids)["question"].value_counts().drop(question, errors="ignore")
        there = ", ".join(f"{number:,} on {name!r}" for name, number in others.items())
        raise TooFewVotes(
            f"{count_of(len(asked), 'decided vote')}{on}, on {count_of(queries, 'work')}; "
            f"{LEAST} or more on {LEAST_QUERIES} works are wanted to learn from"
            + f"; by question there are {there}"
            * bool(question and there)
        )


def component_differences(votes: pd.DataFrame, blend: Blend) -> np.ndarray:
    """Return by how much the taken work is nearer, in cosines: votes × components."""
    first = np.where(votes["answer"] == "first", 1.0, -1.0)[:, None]
    row = {id: number for number, id in enumerate(blend.ids)}
    at = [votes[name].map(row).to_numpy(int) for name in ("query", "first", "second")]
    columns, start = [], 0
    for component in blend.components.values():
        end = start + component.basis.shape[1]
        query, one, other = (
            unit_rows(np.asarray(blend.vectors[rows, start:end], np.float64)) for rows in at
        )
        columns.append(np.einsum("ij,ij->i", query, one - other))
        start = end
    return np.stack(columns, axis=1) * first


def fit_weights(
    differences: np.ndarray, towards: float = 0.0, strength: float = 1e-3
) -> np.ndarray:
    """Return weights, none negative, of the largest likelihood of votes that follow them.

    `differences` are votes × what is weighed, each of the taken less the other work. Weights are
    held `towards` a value by a ridge of some `strength`. The problem is convex.
    """
    from scipy.optimize import minimize

    start = np.full(differences.shape[1], max(towards, 1.0))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = differences @ weights
        off = weights - towards
        # log(1 + exp(-x)) without overflow, and its slope.
        value = np.logaddexp(0, -logits).sum() + strength * off @ off / 2
        slope = -differences.T @ (1 / (1 + np.exp(np.clip(logits, -500, 500)))) + strength * off
        return float(value), slope

    bounds = [(0, None)] * len(start)
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x


def _units(votes: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return votes["judge"].to_numpy(), votes["query"].to_numpy()


def _along(differences: np.ndarray) -> np.ndarray:
    """Return the difference at each place of the dial: places × votes."""
    weights = np.array([list(dial_weights(float(place)).values()) for place in PLACES])
    return weights @ differences.T


def _log_likelihood(differences: np.ndarray) -> np.ndarray:
    """Return the logarithm of the likelihood: places and sharpnesses × votes."""
    logits = SHARPNESS[None, :, None] * _along(differences)[:, None, :].astype(np.float32)
    return -np.logaddexp(0, -logits).reshape(-1, len(differences))


def _best(likelihood: np.ndarray) -> tuple[float, float]:
    place, sharpness = divmod(int(likelihood.argmax()), len(SHARPNESS))
    return PLACES[place], SHARPNESS[sharpness]


def _right(differences: np.ndarray, place: float) -> np.ndarray:
    along = differences @ np.array(list(dial_weights(place).values()))
    return np.where(np.abs(along) < 1e-9, 0.5, (along > 0).astype(float))


def _held_out(
    differences: np.ndarray, likelihood: np.ndarray, queries: np.ndarray, seed: int
) -> np.ndarray:
    """Return for each vote whether the place fitted to other queries agrees with it."""
    right = np.empty(len(differences))
    for part in folds(queries, seed):
        place, _ = _best(likelihood[:, ~part].sum(axis=1))
        right[part] = _right(differences[part], float(place))
    return right


def folds(units: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return parts of all votes, as masks: each unit's votes are in one of them."""
    codes, names = pd.factorize(np.asarray(units, object))
    part = np.random.default_rng(seed).permutation(len(names)) % FOLDS
    return [part[codes] == number for number in range(FOLDS)]
