"""How good an answer is: by what is known of the works, and by what another network answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, MismatchError, check_whole, unknown
from artsearch.base.text import fold, usual_spellings
from artsearch.evaluate.estimates import (
    FEWEST_UNITS,
    Estimate,
    Estimates,
    NotMeasurable,
    estimate_mean,
)
from artsearch.evaluate.rankings import (
    extrapolate,
    nearest,
    rank_biased_overlap,
    ranked,
    take_rows,
)
from artsearch.features.features import Features
from artsearch.index.candidates import SAME
from artsearch.index.exact import ExactIndex
from artsearch.index.factory import Index

#: The scores of a label: of the k nearest, and of the whole ranking.
METRICS = ("precision", "recall", "map")


def recall_at_k(
    index: Index,
    exact: ExactIndex,
    k: int = 10,
    queries: Sequence[str] | None = None,
    search_k: int | None = None,
) -> float:
    """Return the share of the true k nearest works that an index finds, from 0 to 1.

    `queries` are ids, all works if not given; a work is never counted among its own neighbours. A
    work that is as near as the last of the true ones counts, so that true duplicates are no misses.
    """
    return _mean(
        _share_found(exact, id, index.search(id, k, search_k)[0])
        for id in (exact.ids if queries is None else queries)
    )


def _share_found(exact: ExactIndex, work_id: str, found: list[str]) -> float:
    """Return the share of works found that are no farther than as many of the nearest are."""
    last = exact.search(work_id, len(found))[1][-1]
    distances = exact.distances(exact.row(work_id), exact.rows_of(found))
    return float(np.mean(distances <= last + SAME * max(1, abs(last))))


def share_same(
    index: Index, labels: Mapping[str, str], k: int = 20, queries: Sequence[str] | None = None
) -> float:
    """Return the share of the k nearest works that have the query's label, from 0 to 1.

    Works without a label are no queries; among the neighbours they count as different. What folds
    alike is the same label (see `fold`).
    """
    labels = {id: fold(text) for id, text in labels.items()}
    return _mean(
        np.mean([labels.get(other) == labels[id] for other in index.search(id, k)[0]])
        for id in (index.ids if queries is None else queries)
        if labels.get(id)
    )


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the share of works that two lists of the same length have in common, from 0 to 1.

    >>> overlap(["a", "b"], ["b", "c"])
    0.5
    """
    return len(set(first) & set(second)) / max(len(first), len(second))


def _mean(shares: Iterable[float]) -> float:
    shares = list(shares)
    if not shares:
        raise ArtsearchError("there is nothing to count: no query, or none with a label")
    return float(np.mean(shares))


def score_labels(
    features: Features,
    works: pd.DataFrame,
    label: str,
    k: int = 10,
    same_artist: bool = True,
    correction: str | None = None,
    queries: int = 2000,
    seed: int = 0,
    resample: str | None = None,
) -> Estimates:
    """Score how well works of the same label find each other: "precision", "recall", "map".

    `works` is a table such as `Collection.works`, `label` one of its columns. Each labelled work is
    a query to which all other labelled works are ranked, by the cosine or by what `correction`
    makes of it. Precision and recall are those of the first k, "map" is the average precision of
    the whole ranking; each is from 0 to 1, averaged over the queries. Works without the label are
    left out altogether (condensed lists: Sakai 2007, SIGIR). A work whose label no other one has
    cannot find anything: it is no query, though others are asked to tell it apart. Of more than
    `queries` queries that many are drawn at random.

    With `same_artist=False` works by the query's own artist are left out of its ranking (a style is
    not a signature), and a query that loses all works of its label is none. Works whose artist is
    not known lose nothing.

    Intervals draw resampling units again: artists, or the values of the column `resample`; a work
    without a value there is a unit of its own. Precision and recall are measured on the queries
    with k works or more to rank, and are not among the scores where there is none; `notes` tells.

    Raises NotMeasurable where there is no such column, no label, or nothing to find or to miss;
    MismatchError for features of works that the table has not.
    """
    check_whole("k", k)
    check_whole("queries", queries)
    features, table, notes = _prepare(features, works, label, same_artist, resample)
    rows = np.flatnonzero(table["relevant"])
    if len(rows) > queries:
        notes.append(f"{queries:,} of {len(rows):,} queries were drawn")
        rows = np.sort(np.random.default_rng(seed).choice(rows, queries, replace=False))
    of_queries = table.iloc[rows]
    relevant, candidates = (of_queries[name].to_numpy() for name in ("relevant", "candidates"))
    notes += _note_few(k, candidates) + _note_units(of_queries["unit"], resample)
    values = _measure(features, table, rows, k, correction)
    chances = _chances(relevant, candidates, k)
    estimates = {}
    for metric in METRICS:
        at_k = None if metric == "map" else k
        counted = (candidates >= k) | (at_k is None)
        if counted.any():
            sample, chance = values[metric][counted], chances[metric][counted].mean()
            ids, units = of_queries.index[counted], of_queries["unit"][counted]
            estimates[metric] = estimate_mean(metric, at_k, sample, chance, ids, units, seed)
    return Estimates(estimates, notes)


def overlap_at_k(
    first: Features,
    second: Features,
    k: int = 10,
    works: pd.DataFrame | None = None,
    seed: int = 0,
) -> Estimate:
    """Score how many of the k nearest works two networks have in common, from 0 to 1.

    Works that only one of the two has are left out. The interval resamples works, or with a table
    of `works` their artists. Raises MismatchError where no work is in both, ArtsearchError for a k
    beyond the number of other works.
    """
    first, second = _common(first, second)
    values = [overlap(*pair) for pair in _pair_nearest(first, second, k)]
    units, chance = _units(first, works), k / (len(first) - 1)
    return estimate_mean("overlap", k, values, chance, first.ids, units, seed)


def mean_rank_biased_overlap(
    first: Features,
    second: Features,
    depth: int = 50,
    p: float = 0.9,
    works: pd.DataFrame | None = None,
    seed: int = 0,
) -> Estimate:
    """Score how alike two networks rank the works nearest to each, the first ones counting most.

    The mean of `rank_biased_overlap` over works, each with its `depth` nearest, or all others where
    there are fewer; the estimate's k is the depth. All else is as in `overlap_at_k`.
    """
    check_whole("depth", depth)
    first, second = _common(first, second)
    depth = min(depth, len(first) - 1)
    values = [rank_biased_overlap(*pair, p) for pair in _pair_nearest(first, second, depth)]
    # By chance d of n works share d/n of their own with d others, and RBO is linear in the shares.
    chance = extrapolate(np.arange(1, depth + 1) / (len(first) - 1), p)
    units = _units(first, works)
    return estimate_mean("rank-biased overlap", depth, values, chance, first.ids, units, seed)


def _pair_nearest(first: Features, second: Features, k: int) -> Iterator[tuple[list, list]]:
    """Yield the k nearest of each work, as row numbers, by the one and by the other."""
    return zip(nearest(first, k).tolist(), nearest(second, k).tolist(), strict=True)


def measure_ranking(relevant: np.ndarray, k: int) -> dict[str, float]:
    """Return precision and recall at k and the average precision of one ranking.

    `relevant` says of each work, the nearest first, whether it is one to be found; one at least is.
    Average precision is the mean, over these, of the precision as far as each (Manning, Raghavan
    and Schütze 2008, section 8.4).

    >>> measure_ranking(np.array([True, False, False, True]), k=2)
    {'precision': 0.5, 'recall': 0.5, 'map': 0.75}
    """
    ranks = np.flatnonzero(relevant) + 1
    hits = np.count_nonzero(ranks <= k)
    precisions = np.arange(1, len(ranks) + 1) / ranks
    values = {"precision": hits / k, "recall": hits / len(ranks), "map": precisions.mean()}
    return {metric: float(value) for metric, value in values.items()}


def _prepare(
    features: Features, works: pd.DataFrame, label: str, same_artist: bool, resample: str | None
) -> tuple[Features, pd.DataFrame, list[str]]:
    """Return what is to be ranked: labelled works, a table of them, and notes of what is left out.

    The table's index is ids; its columns are `label`, `artist` (a group of works that are left out
    of each other's rankings), `unit` (what is resampled), and how many works there are to find
    (`relevant`) and among how many (`candidates`).
    """
    works = _match(features, works)
    labels = _column(works, label)
    notes = _note_unlabelled(labels, label)
    rows = np.flatnonzero(labels != "")
    works, ids = works.iloc[rows], works.index[rows].to_numpy(object)
    table = pd.DataFrame({"label": labels.iloc[rows], "unit": _group(works, resample)})
    table["artist"] = ids if same_artist else _group(works)
    same_artist_count, same_label, same_both = (
        table.groupby(columns)["unit"].transform("size")
        for columns in ("artist", "label", ["label", "artist"])
    )
    candidates = len(table) - same_artist_count
    table = table.assign(relevant=same_label - same_both, candidates=candidates)
    if not same_artist:
        notes += _note_lost(table, label)
    return take_rows(features, rows), table, notes


def _measure(
    features: Features, table: pd.DataFrame, rows: np.ndarray, k: int, correction: str | None
) -> dict[str, np.ndarray]:
    """Return the values of all metrics, one a query; `rows` are the queries."""
    # Numbers are compared many times faster than texts.
    labels, artists = (pd.factorize(table[column])[0] for column in ("label", "artist"))
    values = []
    for row, order in ranked(features, rows, correction):
        order = order[artists[order] != artists[row]]
        values.append(measure_ranking(labels[order] == labels[row], k))
    return {metric: np.array([value[metric] for value in values]) for metric in METRICS}


def _chances(relevant: np.ndarray, candidates: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """Return the mean of each metric over all orders of the candidates, one a query."""
    from scipy.special import digamma

    # A relevant work at place i finds on average (R − 1)/(N − 1) of the i − 1 before it relevant,
    # so AP = 1/N · Σ [1/i + (R − 1)/(N − 1) · (i − 1)/i]; and Σ 1/i is a digamma but for Euler's γ.
    harmonic = digamma(candidates + 1) + np.euler_gamma
    others = (relevant - 1) / np.maximum(candidates - 1, 1)
    return {
        "precision": relevant / candidates,
        "recall": k / candidates,
        "map": (harmonic + others * (candidates - harmonic)) / candidates,
    }


def _match(features: Features, works: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the table that the features have, in their order, by id."""
    if "id" not in works or works["id"].duplicated().any():
        raise MismatchError("the table has no ids, or one twice; take the works of a collection")
    table = works.set_index("id")
    missing = [id for id in features.ids if id not in table.index]
    if missing:
        raise MismatchError(
            f"{len(missing):,} of {len(features):,} works of the features are not in the table, "
            f"the first is {missing[0]!r}; take the table of the collection they were computed from"
        )
    return table.loc[list(features.ids)]


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    """Return a column as texts, each value as it is written most often; "" where it has nothing."""
    if name not in table:
        raise NotMeasurable(f"{unknown('column', name, table)}; or add it to works.csv")
    column = table[name].astype(object)
    texts = column.where(column.notna(), "").astype(str)
    return texts.map(fold).map({"": ""} | usual_spellings(texts)).astype(object)


def _group(table: pd.DataFrame, name: str | None = None) -> pd.Series:
    """Return the group of each work: its artist, or its value in a column, or else itself."""
    ids = table.index.to_series().astype(object)
    if name is None and "artist" not in table:
        return ids
    values = _column(table, name or "artist")
    return values.where(values != "", ids)


def _units(features: Features, works: pd.DataFrame | None) -> Sequence[str]:
    return features.ids if works is None else _group(_match(features, works))


def _note_unlabelled(labels: pd.Series, label: str) -> list[str]:
    """Note which works are left out, or are no queries; raise where labels tell nothing."""
    sizes = labels[labels != ""].value_counts()
    problem = f"how works of the same {label} find each other cannot be measured"
    if sizes.empty:
        raise NotMeasurable(f"{problem}: no work has {_a(label)}; fill in that column of works.csv")
    if len(sizes) == 1:
        raise NotMeasurable(
            f"{problem}: all works that have {_a(label)} have the same, {sizes.index[0]!r}, so no "
            f"answer is wrong; add works of another {label}"
        )
    if sizes.max() == 1:
        raise NotMeasurable(
            f"{problem}: no two works have the same {label}, so no answer is right; "
            "add works, or take another column"
        )
    unlabelled, single = int((labels == "").sum()), int((sizes == 1).sum())
    works = f"{unlabelled:,} of {len(labels):,} works have no {label}: they are left out"
    kinds = f"{single:,} of {len(sizes):,} {_plural(label)} have one work only"
    return _note_counts({works: unlabelled, f"{kinds}; those works are no queries": single})


def _note_lost(table: pd.DataFrame, label: str) -> list[str]:
    """Note which queries are lost with the works of their artists; raise if all are."""
    if not table["relevant"].any():
        raise NotMeasurable(
            f"how works of the same {label} by other artists are found cannot be measured: those "
            f"of each {label} are all by one artist; take same_artist=True, or add works"
        )
    lost = int(((table["relevant"] == 0) & table["label"].duplicated(keep=False)).sum())
    nameless = int((table["artist"] == table.index).sum())
    left = f"{nameless:,} of {len(table):,} works have no artist: nothing is left out for them"
    queries = f"{lost:,} works have {_a(label)} of one artist only: they are no queries"
    return _note_counts({queries: lost, left: nameless})


def _note_few(k: int, candidates: np.ndarray) -> list[str]:
    """Note how many queries have too few works to rank for precision and recall."""
    few = int((candidates < k).sum())
    if few == len(candidates):
        return [f"no query has {k} works to rank: precision and recall want a smaller k"]
    queries = f"{few:,} of {len(candidates):,} queries have fewer than {k} works to rank"
    return _note_counts({f"{queries}: they do not count in precision and recall": few})


def _note_units(units: pd.Series, resample: str | None) -> list[str]:
    names = f"{units.nunique()} {_plural(resample or 'artist')}"
    note = f"the queries have {names}: too few for an interval"
    return _note_counts({note: units.nunique() < FEWEST_UNITS})


def _note_counts(notes: dict[str, int]) -> list[str]:
    """Return the notes whose count is not 0."""
    return [note for note, count in notes.items() if count]


def _common(first: Features, second: Features) -> tuple[Features, Features]:
    """Return the rows of the works that both have, in the order of the first."""
    if first.ids == second.ids:
        return first, second
    rows = pd.Index(second.ids).get_indexer(first.ids)
    shared = np.flatnonzero(rows >= 0)
    if not len(shared):
        raise MismatchError("the features have no work in common; compute them for the same works")
    return take_rows(first, shared), take_rows(second, rows[shared])


def _a(word: str) -> str:
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
