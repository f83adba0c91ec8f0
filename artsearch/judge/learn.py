"""A linear map of a collection's rows, learnt from votes or from a column of its table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, TooFewWorks, unknown
from artsearch.base.text import count_of, fold
from artsearch.base.vectors import unit_rows
from artsearch.evaluate.estimates import MetricsTable, difference
from artsearch.evaluate.labels import score_labels
from artsearch.evaluate.rankings import take_rows
from artsearch.features.features import Features
from artsearch.judge.dial import TooFewVotes, check_enough, decided, fit_weights, folds
from artsearch.judge.report import agrees
from artsearch.judge.resample import resample
from artsearch.search.learnt import Learnt

#: Directions that votes weigh, and how strongly the weights are held together.
DIRECTIONS, STRENGTHS = 64, (0.1, 1.0, 10.0, 100.0)
#: Share of the artists that a column is learnt from; the others judge what it gained.
SHARE = 0.5


def learn_from_votes(
    votes: pd.DataFrame,
    features: Features,
    about: dict,
    question: str = "",
    artists: dict[str, str] | None = None,
    seed: int = 0,
) -> tuple[Learnt, MetricsTable]:
    """Return a map under which works that people find alike are nearer, and what it gains.

    The rows' first DIRECTIONS principal components are weighed, each by a weight that is not
    negative, so that votes become as probable as can be (logistic loss on triplets: van der Maaten
    and Weinberger 2012, Stochastic Triplet Embedding, MLSP; with a diagonal metric it is convex:
    Schultz and Joachims 2003, Learning a Distance Metric from Relative Comparisons, NIPS). The
    weights are held to each other by a ridge, whose strength is cross-validated over queries, those
    by one artist together, as is the gain: the share of votes on queries it was not learnt from
    that it agrees with, less that of the rows as they are. `artists` are those of works by id.

    Raises TooFewVotes for too few votes, and where it agrees with no more of them than the rows do
    as they are.
    """
    asked = decided(votes, question, features.ids)
    queries = asked["query"].to_numpy()
    check_enough(votes, question, features.ids)
    known = sorted(set(asked[["query", "first", "second"]].to_numpy().ravel()))
    mean, basis = _principal(features)
    differences = _differences(asked, features, mean, basis)
    of = {id: fold((artists or {}).get(id, "")) for id in known}
    # Queries by one artist are together: none is judged by what her other works taught.
    parts = folds(np.array([of[id] or id for id in queries], object), seed)

    def right(strength: float) -> np.ndarray:
        held_out = np.empty(len(asked))
        for part in parts:
            weights = _weigh(differences[~part], strength)
            learnt = Learnt(mean, basis * np.sqrt(weights), about, frozenset(), frozenset())
            held_out[part] = agrees(asked[part], learnt.features(features))
        return held_out

    by_strength = {strength: right(strength) for strength in STRENGTHS}
    best = max(STRENGTHS, key=lambda strength: (by_strength[strength].mean(), strength))
    values = np.stack([by_strength[best], agrees(asked, features)], axis=1)
    found = resample(values, asked["judge"].to_numpy(), queries, seed)
    gain, low, high = found.difference(0, 1)
    if low <= 0:
        raise TooFewVotes(
            f"from {count_of(len(asked), 'vote')} nothing could be learnt that holds for others: "
            f"of those it was not learnt from it agrees with {found.means[0]:.0%}, and without it "
            f"{found.means[1]:.0%} agree ({low:+.2f} to {high:+.2f}); give more votes"
        )
    metrics = MetricsTable("significance")
    lows, highs = found.interval()
    key = str(about.get("network", "")), str(about.get("crop", ""))
    for number, name in enumerate(("learnt", str(about.get("base", "final")))):
        interval = float(found.means[number]), float(lows[number]), float(highs[number])
        mark = "better" if not number else ""
        metrics.add_row(*key, name, question or "votes", "votes", None, "", *interval, mark)
    told = {
        "from": "votes",
        "question": question,
        "votes": len(asked),
        "gain": [gain, low, high],
        "strength": best,
    }
    matrix = basis * np.sqrt(_weigh(differences, best))
    return Learnt(
        mean, matrix, about | told, frozenset(known), frozenset(of.values()) - {""}
    ), metrics


def learn_from_column(
    works: pd.DataFrame,
    features: Features,
    column: str,
    about: dict,
    share: float = SHARE,
    k: int = 10,
    seed: int = 0,
) -> tuple[Learnt, MetricsTable]:
    """Return a map in which what varies among works of one value counts less, and what it gains.

    Directions are weighed down by how much works of one value, such as an artist, differ along them
    (within-class covariance normalisation: Hatch, Kajarekar and Stolcke 2006, Interspeech), the
    covariance being held towards a sphere (Ledoit and Wolf 2004, Journal of Multivariate Analysis
    88(2)). It is learnt from a share of the artists, drawn by chance; the others' works alone judge
    what it gains: precision of the column at k, and of the artist and the style where there are
    such columns, beside that of the rows as they are.

    `works` is a collection's table. Raises ArtsearchError for an unknown column, TooFewWorks where
    too few works share a value.
    """
    if column not in works or column == "id":
        choices = [name for name in works if name != "id"]
        raise unknown("column", column, choices)
    table = works.set_index("id").reindex(list(features.ids)).fillna("")
    values = table[column].astype(str).map(fold).to_numpy()
    artist = (table["artist"] if "artist" in table else table[column]).astype(str).map(fold)
    # A work whose artist is not known stands for itself.
    of = np.array([name or f"\0{id}" for name, id in zip(artist, table.index, strict=True)])
    chosen = _some(of, share, seed)
    taught = np.isin(of, chosen) & (values != "")
    groups = pd.Series(values).where(taught).value_counts()
    groups = set(groups.index[groups >= 2])
    taught &= np.isin(values, list(groups))
    held = np.flatnonzero(~np.isin(of, chosen))
    if taught.sum() - len(groups) < 2 or len(held) < 3:
        raise TooFewWorks(
            f"{count_of(int(taught.sum()), 'work')} share a value of {column!r} with another, too "
            "few to learn from; name another column, or a larger collection"
        )
    learnt_map = _within(features, values, taught)
    known = frozenset(np.array(features.ids)[np.isin(of, chosen)].tolist())
    names = frozenset(name for name in chosen if not name.startswith("\0"))
    learnt = Learnt(*learnt_map, about | {"from": column, "works": len(known)}, known, names)
    metrics = _gain(works, take_rows(features, held), learnt, column, k, seed)
    return learnt, metrics


def _gain(
    works: pd.DataFrame, held: Features, learnt: Learnt, column: str, k: int, seed: int
) -> MetricsTable:
    """Return precision on works that nothing was learnt from, by the map and without."""
    metrics = MetricsTable("significance")
    key = str(learnt.about.get("network", "")), str(learnt.about.get("crop", ""))
    base = str(learnt.about.get("base", "final"))
    for label in dict.fromkeys([column, *(name for name in ("artist", "style") if name in works)]):
        try:
            before, after = (
                score_labels(rows, works, label, min(k, len(held) - 1), seed=seed)["precision"]
                for rows in (held, learnt.features(held))
            )
        except ArtsearchError as error:
            metrics.note(str(error))
            continue
        named = f"{label}, not learnt from"
        metrics.add((*key, base, named), before, "yes", "")
        metrics.add(
            (*key, "learnt", named), after, "yes", difference(after, before, seed).significance
        )
    return metrics


def _principal(features: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of the unit rows, and their first principal directions."""
    from sklearn.decomposition import PCA

    units = unit_rows(np.asarray(features.vectors, np.float32))
    pca = PCA(min(DIRECTIONS, len(units) - 1, units.shape[1]), random_state=0).fit(units)
    return pca.mean_.astype(np.float32), pca.components_.T.astype(np.float32)


def _differences(
    votes: pd.DataFrame, features: Features, mean: np.ndarray, basis: np.ndarray
) -> np.ndarray:
    """Return what each direction adds to the taken work being nearer: votes × directions."""
    row = {id: number for number, id in enumerate(features.ids)}
    first = np.where(votes["answer"] == "first", 1.0, -1.0)[:, None]
    query, one, other = (
        unit_rows((unit_rows(features.vectors[votes[name].map(row)]) - mean) @ basis)
        for name in ("query", "first", "second")
    )
    return np.asarray(query * (one - other) * first, np.float64)


def _weigh(differences: np.ndarray, strength: float) -> np.ndarray:
    """Return a weight a direction, held to what one for all of them would be."""
    together = fit_weights(differences.sum(axis=1, keepdims=True))[0]
    weights = fit_weights(differences, together, strength)
    return weights / max(weights.max(), 1e-12)


def _within(
    features: Features, values: np.ndarray, taught: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean, and what makes works of one value vary alike in all directions."""
    from sklearn.covariance import ledoit_wolf

    units = unit_rows(np.asarray(features.vectors, np.float32)).astype(np.float64)
    mean = units.mean(axis=0)
    codes, _ = pd.factorize(values[taught])
    rows = units[taught]
    counts = np.bincount(codes)
    middles = np.stack([np.bincount(codes, rows[:, at]) for at in range(rows.shape[1])], axis=1)
    covariance, _ = ledoit_wolf(rows - middles[codes] / counts[codes, None], assume_centered=True)
    spreads, directions = np.linalg.eigh(covariance)
    spreads = np.maximum(spreads, spreads.max() * 1e-6)
    matrix = directions * spreads**-0.5 @ directions.T
    return mean.astype(np.float32), (matrix / np.abs(matrix).max()).astype(np.float32)


def _some(names: np.ndarray, share: float, seed: int) -> Sequence[str]:
    """Return a share of the names, drawn by chance."""
    different = np.unique(names)
    return np.random.default_rng(seed).permutation(different)[: round(share * len(different))]
