"""Scores by label: cases worked by hand, the chance of every order, and what cannot be measured."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.evaluate import labels as evaluate
from artsearch.evaluate import rankings
from artsearch.evaluate.estimates import Estimate, NotMeasurable, bootstrap_interval, difference
from artsearch.evaluate.labels import score_labels
from artsearch.features.features import Features


def at(degrees: dict[str, float]) -> Features:
    """Works on a circle: the nearer their angles, the nearer they are."""
    angles = np.deg2rad(list(degrees.values()))
    return Features(np.stack([np.cos(angles), np.sin(angles)], axis=1), tuple(degrees))


def table(ids, **columns) -> pd.DataFrame:
    return pd.DataFrame(
        {"id": list(ids)} | {name: list(column) for name, column in columns.items()}
    )


def by_id(score: Estimate) -> dict[str, float]:
    return {id: pytest.approx(value) for id, value in zip(score.ids, score.values, strict=True)}


def make(n: int, classes: int = 5, artists: int = 30, seed: int = 0) -> tuple:
    """Random works, of which those of a style lie a little nearer to each other."""
    rng = np.random.default_rng(seed)
    style, ids = rng.integers(0, classes, n), [f"w{row:03}" for row in range(n)]
    vectors = rng.normal(size=(n, 16)) + rng.normal(size=(classes, 16))[style] * 0.7
    works = table(
        ids,
        artist=[f"a{number}" for number in rng.integers(0, artists, n)],
        style=[f"s{number}" for number in style],
    )
    return Features(vectors, ids), works


CIRCLE = at({"a": 0, "b": 10, "c": 25, "d": 45, "e": 70})
WORKS = table("abcde", artist=["M", "M", "N", "O", ""], style="xyxyx")


def test_precision_recall_and_map_worked_by_hand():
    scores = score_labels(CIRCLE, WORKS, "style", k=2)
    # The rankings, x in capitals:  a: b C d E   b: A C d E   c: b d A E   d: C E b A   e: d C b A
    assert by_id(scores["precision"]) == {"a": 1 / 2, "b": 0, "c": 0, "d": 0, "e": 1 / 2}
    assert by_id(scores["recall"]) == {"a": 1 / 2, "b": 0, "c": 0, "d": 0, "e": 1 / 2}
    # a: C second, E fourth: (1/2 + 2/4) / 2.  b: d third.  c: A third, E fourth: (1/3 + 2/4) / 2.
    # d: b third.  e: C second, A fourth: (1/2 + 2/4) / 2.
    maps = {"a": 1 / 2, "b": 1 / 3, "c": 5 / 12, "d": 1 / 3, "e": 1 / 2}
    assert by_id(scores["map"]) == maps
    assert scores["map"].value == pytest.approx((1 / 2 + 1 / 3 + 5 / 12 + 1 / 3 + 1 / 2) / 5)
    assert (scores["precision"].k, scores["map"].k) == (2, None)
    assert scores["map"].units == ("M", "M", "N", "O", "e") and scores.notes == ()
    assert "precision at 2 0.200" in repr(scores["precision"])


def test_works_by_the_same_artist_left_out_by_hand():
    works = table("abcde", artist=["M", "M", "M", "O", ""], style="xxyxy")
    scores = score_labels(CIRCLE, works, "style", k=1, same_artist=False)
    # Without M's own works, those to find in capitals:
    # a: D e   b: D e   c: d E   d: c e B A   e: d C b a
    assert by_id(scores["precision"]) == {"a": 1, "b": 1, "c": 0, "d": 0, "e": 0}
    assert by_id(scores["recall"]) == {"a": 1, "b": 1, "c": 0, "d": 0, "e": 0}
    assert by_id(scores["map"]) == {
        "a": 1,
        "b": 1,
        "c": 1 / 2,
        "d": 5 / 12,
        "e": 1 / 2,
    }
    assert scores["precision"].chance == pytest.approx((1 / 2 + 1 / 2 + 1 / 2 + 2 / 4 + 1 / 4) / 5)
    assert scores.notes == ("1 of 5 works have no artist: nothing is left out for them",)


def test_queries_whose_label_only_their_artist_has_are_none():
    works = table("abcde", artist="MMNNO", style="xxyzz")
    scores = score_labels(CIRCLE, works, "style", k=1, same_artist=False)
    assert scores["map"].ids == ("d", "e")
    assert scores.notes[:2] == (
        "1 of 3 styles have one work only; those works are no queries",
        "2 works have a style of one artist only: they are no queries",
    )
    alone = table("abcde", artist="MMNNO", style="xxyyz")
    with pytest.raises(NotMeasurable, match="each style are all by one artist; take same_artist"):
        score_labels(CIRCLE, alone, "style", k=1, same_artist=False)


def test_works_without_a_label_are_left_out_of_the_rankings():
    works = table("abcde", artist="MNOPQ", style=["x", " ", "y", "x", "y"])
    scores = score_labels(CIRCLE, works, "style", k=1)
    # a: c D e   c: d a E   d: c e A   e: d C a
    assert by_id(scores["map"]) == {"a": 1 / 2, "c": 1 / 3, "d": 1 / 3, "e": 1 / 2}
    assert scores.notes == ("1 of 5 works have no style: they are left out",)
    for nothing in (None, np.nan):
        other = works.assign(style=["x", nothing, "y", "x", "y"])
        assert score_labels(CIRCLE, other, "style", k=1)["map"].ids == tuple("acde")


def test_labels_and_artists_that_fold_alike_are_the_same():
    other = table("abcde", artist=["M", "m ", "N", "O", ""], style=["x", "Y", " X", "y", "x"])
    for same in (True, False):
        scores = score_labels(CIRCLE, other, "style", k=1, same_artist=same)
        expected = score_labels(CIRCLE, WORKS, "style", k=1, same_artist=same)
        assert by_id(scores["map"]) == by_id(expected["map"]) and scores.notes == expected.notes
    one = other.assign(style=["Ö", "ö", "Ö", "O\u0308", ""])
    with pytest.raises(NotMeasurable, match="have the same, 'Ö'"):
        score_labels(CIRCLE, one, "style", k=1)


def test_classes_of_one_work_are_answers_but_no_queries():
    scores = score_labels(CIRCLE, WORKS.assign(style=list("xzxwx")), "style", k=1)
    # a: z X w X   c: z w X X   e: w X z X
    assert by_id(scores["map"]) == {"a": 1 / 2, "c": 5 / 12, "e": 1 / 2}
    assert scores.notes == ("2 of 3 styles have one work only; those works are no queries",)


def test_against_torchmetrics_over_all_queries_at_once():
    import torch
    from torchmetrics.retrieval import RetrievalMAP, RetrievalPrecision, RetrievalRecall

    features, works = make(60)
    vectors = features.vectors / np.linalg.norm(features.vectors, axis=1, keepdims=True)
    cosines, style = vectors @ vectors.T, works["style"].to_numpy()
    queries, others = np.nonzero(~np.eye(60, dtype=bool))
    scores = torch.from_numpy(cosines[queries, others] + 2)
    relevant = torch.from_numpy(style[queries] == style[others])
    ours = score_labels(features, works, "style", k=5)
    theirs = [RetrievalPrecision(top_k=5), RetrievalRecall(top_k=5), RetrievalMAP()]
    for name, metric in zip(("precision", "recall", "map"), theirs, strict=True):
        expected = metric(scores, relevant, indexes=torch.from_numpy(queries)).item()
        assert ours[name].value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("relevant, candidates", [(1, 1), (1, 5), (2, 5), (3, 5), (5, 5)])
def test_chance_is_the_mean_over_all_orders(relevant, candidates):
    k = min(2, candidates)
    orders = np.array(list(permutations([1] * relevant + [0] * (candidates - relevant))))
    found = orders[:, :k].sum(axis=1)
    upto = orders.cumsum(axis=1) / np.arange(1, candidates + 1)
    chances = evaluate._chances(np.array([relevant]), np.array([candidates]), k)
    assert chances["precision"][0] == pytest.approx(found.mean() / k)
    assert chances["recall"][0] == pytest.approx(found.mean() / relevant)
    assert chances["map"][0] == pytest.approx(((orders * upto).sum(axis=1) / relevant).mean())


@pytest.mark.parametrize("same_artist", [True, False])
def test_shuffled_labels_score_as_chance_says(same_artist):
    features, works = make(200)
    true = score_labels(features, works, "style", same_artist=same_artist)
    assert true["map"].low > true["map"].chance
    rng = np.random.default_rng(1)
    found: dict[str, list[float]] = {metric: [] for metric in true}
    for _ in range(10):
        shuffled = works.assign(style=rng.permutation(works["style"]))
        for metric, score in score_labels(
            features, shuffled, "style", same_artist=same_artist, queries=60
        ).items():
            found[metric].append(score.value - score.chance)
    for off in found.values():
        assert abs(np.mean(off)) < 4 * np.std(off, ddof=1) / np.sqrt(len(off))


def test_equally_near_works_come_in_the_order_of_their_rows():
    # Sixty copies of one direction, some of them longer: all cosines are the same.
    vectors = np.random.default_rng(0).normal(size=37) * np.arange(1, 61)[:, None]
    orders = dict(rankings.ranked(Features(vectors, map(str, range(60)))))
    assert all(order.tolist() == sorted(set(range(60)) - {row}) for row, order in orders.items())


@pytest.mark.parametrize("correction", [None, "csls"])
def test_blocks_change_nothing(correction, monkeypatch):
    features, works = make(90)
    whole = score_labels(features, works, "style", correction=correction)
    monkeypatch.setattr(rankings, "BLOCK", 200)
    monkeypatch.setattr(rankings, "CHUNK", 7)
    blocks = score_labels(features, works, "style", correction=correction)
    for metric in whole:
        assert (whole[metric].values == blocks[metric].values).all()


def test_a_sample_of_queries_is_drawn_and_the_same_for_a_seed():
    features, works = make(90)
    first, again, other = (
        score_labels(features, works, "style", queries=20, seed=seed) for seed in (1, 1, 2)
    )
    assert first.notes == ("20 of 90 queries were drawn",)
    assert len(first["map"].ids) == 20 and first["map"].ids == again["map"].ids
    assert (first["map"].low, first["map"].high) == (again["map"].low, again["map"].high)
    assert first["map"].ids != other["map"].ids
    whole = score_labels(features, works, "style")["map"]
    full = dict(zip(whole.ids, whole.values, strict=True))
    assert [full[id] for id in first["map"].ids] == first["map"].values.tolist()


def test_fewer_works_than_k_leave_map_alone():
    scores = score_labels(CIRCLE, WORKS, "style", k=5)
    assert set(scores) == {"map"}
    assert scores.notes == ("no query has 5 works to rank: precision and recall want a smaller k",)
    with pytest.raises(
        NotMeasurable, match="unknown score 'precision'; known: map; no query has 5"
    ):
        scores["precision"]


def test_queries_with_fewer_works_than_k_do_not_count_at_k():
    works = table("abcde", artist=["M", "M", "M", "O", ""], style="xxyxy")
    scores = score_labels(CIRCLE, works, "style", k=3, same_artist=False)
    assert scores["precision"].ids == ("d", "e") and scores["map"].ids == tuple("abcde")
    assert "3 of 5 queries have fewer than 3 works to rank" in scores.notes[1]
    # d: c e B A, one of two among the first three; e: d C b a.
    assert by_id(scores["recall"]) == {"d": 1 / 2, "e": 1}
    assert by_id(scores["precision"]) == {"d": 1 / 3, "e": 1 / 3}
    assert scores["precision"].chance == pytest.approx((2 / 4 + 1 / 4) / 2)
    assert scores["recall"].chance == 3 / 4


@pytest.mark.parametrize(
    "styles, why",
    [
        (["", "", "", "", ""], "no work has a style; fill in"),
        ("xxxxx", "all works that have a style have the same, 'x'"),
        (["x", "", "", "", ""], "all works that have a style have the same, 'x'"),
        ("vwxyz", "no two works have the same style"),
    ],
)
def test_labels_that_tell_nothing(styles, why):
    with pytest.raises(NotMeasurable, match=why):
        score_labels(CIRCLE, table("abcde", style=styles), "style", k=2)


def test_what_does_not_fit_is_named():
    with pytest.raises(NotMeasurable, match="unknown column 'styl'; did you mean 'style'"):
        score_labels(CIRCLE, WORKS, "styl")
    with pytest.raises(NotMeasurable, match="unknown column 'manner'"):
        score_labels(CIRCLE, WORKS, "style", resample="manner")
    with pytest.raises(MismatchError, match="2 of 5 works .* not in the table, the first is 'd'"):
        score_labels(CIRCLE, WORKS[:3], "style")
    with pytest.raises(MismatchError, match="no ids, or one twice"):
        score_labels(CIRCLE, pd.concat([WORKS, WORKS]), "style")
    with pytest.raises(ArtsearchError, match="k is 0"):
        score_labels(CIRCLE, WORKS, "style", k=0)
    with pytest.raises(ArtsearchError, match="unknown correction 'clss'; did you mean 'csls'"):
        score_labels(CIRCLE, WORKS, "style", k=2, correction="clss")
    broken = Features(np.where(np.eye(5) > 0, np.nan, 1), "abcde")
    with pytest.raises(ArtsearchError, match="not finite, the first is 'a'"):
        score_labels(broken, WORKS, "style", k=2)


def test_the_interval_covers_a_known_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        values = rng.random(80) < 0.3
        low, high = bootstrap_interval(values, range(80))
        inside += low <= 0.3 <= high
    # About 95 of 100 are to hold it; fewer than 88 would be more than bad luck.
    assert 88 <= inside < 100
    assert bootstrap_interval(values, range(80), 5) == bootstrap_interval(values, range(80), 5)
    assert bootstrap_interval(values, range(80), 5) != bootstrap_interval(values, range(80), 6)


def test_copies_in_a_group_make_the_interval_wider_and_say_nothing_new():
    values = np.random.default_rng(0).random(30)
    low, high = bootstrap_interval(values, range(30))
    copied = bootstrap_interval(np.repeat(values, 4), np.repeat(np.arange(30), 4))
    naive = bootstrap_interval(np.repeat(values, 4), range(120))
    assert copied == pytest.approx((low, high))
    assert high - low > 1.7 * (naive[1] - naive[0])


def test_two_groups_give_no_interval():
    assert np.isnan(bootstrap_interval([0, 1, 1], "aab")).all()
    scores = score_labels(CIRCLE, WORKS.assign(artist=list("MMMOO")), "style", k=1)
    assert np.isnan([scores["map"].low, scores["map"].high]).all()
    assert scores.notes == ("the queries have 2 artists: too few for an interval",)
    assert "no interval" in repr(scores["map"])


def test_groups_are_a_column_or_else_the_artist():
    works = WORKS.assign(manner=["m", "m", "n", "n", ""], artist="")
    assert score_labels(CIRCLE, works, "style", k=1)["map"].units == tuple("abcde")
    by_manner = score_labels(CIRCLE, works, "style", k=1, resample="manner")
    assert by_manner["map"].units == ("m", "m", "n", "n", "e")
    plain = score_labels(CIRCLE, works.drop(columns="artist"), "style", k=1)
    assert plain["map"].units == tuple("abcde")


def score(values, ids, groups=None, metric="map", k=None) -> Estimate:
    values = np.array(values, float)
    return Estimate(metric, k, values.mean(), 0, 1, 0.5, values, tuple(ids), tuple(groups or ids))


def test_difference_is_paired_by_hand():
    first, second = score([1, 0.5, 0.25, 0], "abcd"), score([0.5, 0.5, 1, 0.25], "cbxa")
    # In common a (1 − 0.25), b (0.5 − 0.5) and c (0.25 − 0.5).
    found = difference(first, second)
    assert found.ids == tuple("abc") and found.values.tolist() == [0.75, 0, -0.25]
    assert found.value == pytest.approx(0.5 / 3)
    assert found.significance == "same" and found.low < 0 < found.high
    assert difference(second, first).value == pytest.approx(-found.value)


def test_a_difference_is_clear_where_its_interval_excludes_zero():
    rng = np.random.default_rng(0)
    hard, ids = rng.random(100), [str(row) for row in range(100)]
    # Queries differ far more from each other than the scores do, but always in the same direction.
    first = score(hard + rng.normal(0.05, 0.05, 100), ids)
    better = difference(first, score(hard, ids))
    worse, same = difference(score(hard, ids), first), difference(first, first)
    assert better.significance == "better" and better.low > 0
    assert worse.significance == "worse" and worse.high < 0
    assert same.significance == "same" and same.value == 0
    assert difference(first, score(hard, ids)).low == better.low
    few = difference(score([1, 1], "ab"), score([0, 0], "ab"))
    assert np.isnan(few.low) and few.significance == "same"


@pytest.mark.parametrize(
    "second, why",
    [
        (score([1], "a", metric="recall", k=2), "map and recall at 2 cannot be compared"),
        (score([1], "z"), "no query in common"),
        (score([1], "a", groups=["m"]), "different groups"),
    ],
)
def test_scores_that_cannot_be_compared(second, why):
    with pytest.raises(MismatchError, match=why):
        difference(score([1, 0], "ab"), second)


def test_better_features_are_clearly_better():
    features, works = make(200)
    noise = np.random.default_rng(3).normal(size=features.vectors.shape) * 2
    worse = Features(features.vectors + noise, features.ids)
    first, second = (score_labels(some, works, "style")["map"] for some in (features, worse))
    assert difference(first, second).significance == "better"
