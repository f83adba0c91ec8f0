"""What two networks agree on, hubs among the works, and the correction for them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import skew

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.evaluate.labels import mean_rank_biased_overlap, overlap_at_k
from artsearch.evaluate.rankings import hubness, nearest, rank_biased_overlap, similarities
from artsearch.features.features import Features
from artsearch.index.factory import construct_exact_index


def at(degrees: dict[str, float]) -> Features:
    """Works on a circle: the nearer their angles, the nearer they are."""
    angles = np.deg2rad(list(degrees.values()))
    return Features(np.stack([np.cos(angles), np.sin(angles)], axis=1), tuple(degrees))


def random(n: int, dims: int = 16, seed: int = 0, mean: float = 0) -> Features:
    return Features(np.random.default_rng(seed).normal(mean, size=(n, dims)), map(str, range(n)))


CIRCLE = at({"a": 0, "b": 10, "c": 25, "d": 45})
OTHER = at({"a": 0, "b": 40, "c": 25, "d": 11})


def test_nearest_is_what_an_exact_index_finds():
    features = random(80)
    index = construct_exact_index("angular", features)
    found = nearest(features, 7)
    for id, rows in zip(features.ids, found, strict=True):
        assert [features.ids[row] for row in rows] == index.search(id, 7)[0]


def test_equally_near_works_come_in_the_order_of_their_rows():
    features = Features(np.ones((9, 5)), "abcdefghi")
    assert nearest(features, 3)[[0, 5]].tolist() == [[1, 2, 3], [0, 1, 2]]


def test_a_row_of_zeros_is_as_far_from_all():
    features = Features(np.array([[0, 0], [1, 0], [1, 0.1]]), "abc")
    assert nearest(features, 2).tolist() == [[1, 2], [2, 0], [1, 0]]


def test_k_beyond_the_works_is_refused():
    with pytest.raises(ArtsearchError, match="k is 4, but there are 3 other works"):
        nearest(CIRCLE, 4)
    with pytest.raises(ArtsearchError, match="no other work"):
        nearest(Features(np.ones((1, 2)), "a"), 1)


def test_overlap_by_hand():
    # Of the first:   a: b c   b: a c   c: b d   d: c b
    # of the second:  a: d c   b: c d   c: d b   d: a c
    score = overlap_at_k(CIRCLE, OTHER, k=2)
    assert score.values.tolist() == [0.5, 0.5, 1, 0.5]
    assert score.value == 0.625 and score.chance == 2 / 3
    assert (score.metric, score.k, score.ids) == ("overlap", 2, tuple("abcd"))
    assert score.low <= 0.625 <= score.high


def test_chance_is_what_networks_that_know_nothing_of_each_other_share():
    for measure in (overlap_at_k, mean_rank_biased_overlap):
        score = measure(random(300), random(300, seed=1))
        assert score.low - 0.01 < score.chance < score.high + 0.01
        assert measure(random(300), random(300)).value == pytest.approx(1)


def test_works_that_only_one_has_are_left_out():
    rows = np.array([3, 0, 2])
    some = Features(OTHER.vectors[rows], "dac")
    score = overlap_at_k(CIRCLE, some, k=1)
    # a: c, c: d, d: c of the first; a: d, c: d, d: a of the second.
    assert score.ids == tuple("acd") and score.values.tolist() == [0, 1, 0]
    with pytest.raises(MismatchError, match="no work in common"):
        overlap_at_k(CIRCLE, at({"x": 0, "y": 1}))


def test_artists_are_resampled_where_the_table_is_given():
    works = pd.DataFrame({"id": list("dcba"), "artist": ["M", "", "N", "M"]})
    assert overlap_at_k(CIRCLE, OTHER, k=1).units == tuple("abcd")
    assert overlap_at_k(CIRCLE, OTHER, k=1, works=works).units == ("M", "N", "c", "M")
    assert mean_rank_biased_overlap(CIRCLE, OTHER, works=works).units == ("M", "N", "c", "M")


def test_rank_biased_overlap_by_hand():
    # In common up to depth 1, 2, 3: a and c, 1/1; a, 1/2; a and c, 2/3. With p = 0.5:
    # 0.5 · (1 · 1 + 0.5 · 1/2 + 0.25 · 2/3) + 0.125 · 2/3
    expected = 0.5 * (1 + 0.25 + 0.25 * 2 / 3) + 0.125 * 2 / 3
    assert rank_biased_overlap("abc", "acx", p=0.5) == pytest.approx(expected)
    assert expected == pytest.approx(0.791667, abs=1e-6)


def rbo_of_the_paper(first, second, p):
    """Equation 32 as it is printed, with l = s."""
    depth = len(first)
    common = [len(set(first[:d]) & set(second[:d])) for d in range(1, depth + 1)]
    head = (1 - p) / p * sum(x / d * p**d for d, x in enumerate(common, start=1))
    return head + common[-1] / depth * p**depth


@pytest.mark.parametrize("p", [0.1, 0.9, 0.98])
def test_rank_biased_overlap_has_the_properties_of_its_paper(p):
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = (rng.permutation(30)[:12].tolist() for _ in range(2))
        found = rank_biased_overlap(first, second, p)
        assert found == pytest.approx(rbo_of_the_paper(first, second, p))
        assert 0 <= found <= 1 and found == pytest.approx(rank_biased_overlap(second, first, p))
    assert rank_biased_overlap(first, first, p) == pytest.approx(1)
    assert rank_biased_overlap("abcd", "wxyz", p) == 0
    # An exchange at the top costs more than one at the end.
    top, end = (rank_biased_overlap("abcdef", other, p) for other in ("bacdef", "abcdfe"))
    assert top < end < 1


@pytest.mark.parametrize(
    "first, second, p, why",
    [
        ("abc", "ab", 0.9, "3 and 2 works"),
        ("", "", 0.9, "empty"),
        ("aa", "ab", 0.9, "twice"),
        ("ab", "ba", 1, "p is 1; take a number between 0 and 1"),
    ],
)
def test_rankings_that_cannot_be_compared(first, second, p, why):
    with pytest.raises(ArtsearchError, match=why):
        rank_biased_overlap(first, second, p)


def test_mean_rank_biased_overlap_by_hand():
    score = mean_rank_biased_overlap(CIRCLE, OTHER, depth=2, p=0.5)
    # In common at depth 1 and 2:
    # a: bc dc  0, 1/2;  b: ac cd  0, 1/2;  c: bd db  0, 1;  d: cb ac  0, 1/2.
    # RBO of 0, 1/2 is 0.5 · (0 + 0.5 · 1/2) + 0.25 · 1/2 = 0.25; of 0, 1 it is twice that.
    assert score.values == pytest.approx([0.25, 0.25, 0.5, 0.25])
    # By chance 1/3 at depth 1 and 2/3 at depth 2.
    assert score.chance == pytest.approx(0.5 * (1 / 3 + 0.5 * 2 / 3) + 0.25 * 2 / 3)
    assert mean_rank_biased_overlap(CIRCLE, OTHER).k == 3


def test_hubness_by_hand():
    # The nearest:  a: b   b: a   c: b   d: c
    found = hubness(CIRCLE, k=1)
    assert found.counts.tolist() == [1, 2, 1, 0] and found.ids == tuple("abcd")
    assert found.antihubs == 0.25 and found.table()["id"].tolist() == ["b", "a", "c", "d"]
    assert found.table()["times"].tolist() == [2, 1, 1, 0]
    assert found.skewness == pytest.approx(0)
    assert "25% of 4 works never among the 1 nearest" in repr(found)


def test_hubs_are_counted():
    features = random(40)
    unit = features.vectors / np.linalg.norm(features.vectors, axis=1, keepdims=True)
    near = np.argsort(-(unit @ unit.T), axis=1)[:, 1:6]
    table = hubness(features, k=5).table()
    assert table["times"].tolist() == [int(np.sum(near == int(id))) for id in table["id"]]
    assert table["times"].is_monotonic_decreasing and table["times"].sum() == 200
    assert table["share"].tolist() == pytest.approx((table["times"] / 39).tolist())
    with pytest.raises(ArtsearchError, match="k is 40, but there are 39 other works"):
        hubness(features, k=40)


def test_skewness_and_counts_of_many_works():
    found = hubness(random(200, 50))
    assert found.counts.sum() == 200 * 10 and found.skewness == skew(found.counts)
    # Each has all others among its nearest: as even as can be.
    assert hubness(CIRCLE, k=3).skewness == 0


@pytest.mark.parametrize("local", [2, 10])
def test_csls_as_in_its_paper(local):
    features = random(local + 1, 5)
    unit = features.vectors / np.linalg.norm(features.vectors, axis=1, keepdims=True)
    cosines = unit.astype(float) @ unit.T.astype(float)
    np.fill_diagonal(cosines, 0)
    r = cosines.sum(axis=1) / local
    ((_, found),) = similarities(features, "csls")
    expected = 2 * cosines - r[:, None] - r
    off = ~np.eye(len(features), dtype=bool)
    assert found[off] == pytest.approx(expected[off], abs=1e-6)
    assert np.isneginf(np.diag(found)).all()


def test_csls_looks_at_ten_neighbours():
    features = random(40)
    unit = features.vectors.astype(float)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = unit @ unit.T
    r = np.sort(cosines, axis=1)[:, -11:-1].mean(axis=1)
    ((_, found),) = similarities(features, "csls")
    assert found[3, 7] == pytest.approx(2 * cosines[3, 7] - r[3] - r[7])


def test_csls_takes_the_hubs_out_of_a_crowded_space():
    features = random(300, 200, mean=0.5)
    plain, corrected = hubness(features), hubness(features, correction="csls")
    assert plain.skewness > 1 and corrected.skewness < 0.7 * plain.skewness
    assert corrected.antihubs < plain.antihubs
    assert corrected.counts.max() < plain.counts.max()
