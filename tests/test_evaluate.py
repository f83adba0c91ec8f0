"""Shares that can be counted by hand, and the recall of Annoy on real works."""

from pathlib import Path

import numpy as np
import pytest

from artsearch.collection import Collection
from artsearch.errors import ArtsearchError
from artsearch.evaluate import overlap, recall_at_k, share_same
from artsearch.features import Features
from artsearch.index import construct_ann_index, construct_exact_index
from artsearch.store import stored_features

WIKIART = Path(__file__).parents[2] / "shared" / "art" / "wikiart"

# On a line: two works at each place, the places far apart.
LINE = Features(np.array([[0.0, 0], [1, 0], [10, 0], [11, 0], [20, 0], [21, 0]]), tuple("abcdef"))


class Wrong:
    """An index that answers with the works that come first by name."""

    ids = LINE.ids

    def search(self, id, k, search_k=None):
        return [other for other in self.ids if other != id][:k], np.zeros(k)


def test_recall_counted_by_hand():
    exact = construct_exact_index("euclidean", LINE)
    assert recall_at_k(exact, exact, k=3) == 1
    # The true nearest of a and b is the other one, which Wrong gives; of c to f it gives a.
    assert recall_at_k(Wrong(), exact, k=1) == pytest.approx(2 / 6)
    assert recall_at_k(Wrong(), exact, k=1, queries=["a", "c"]) == 0.5
    assert recall_at_k(Wrong(), exact, k=5) == 1


def test_recall_hands_search_k_to_the_index_alone():
    features = Features(np.random.default_rng(0).normal(size=(2000, 64)), map(str, range(2000)))
    exact = construct_exact_index("angular", features)
    annoy = construct_ann_index("angular", 5, features)
    queries = features.ids[:20]
    few, many = (recall_at_k(annoy, exact, 10, queries, search_k) for search_k in (10, 20_000))
    assert few < 0.5 and many == 1


def test_shares_of_the_same_label_counted_by_hand():
    exact = construct_exact_index("euclidean", LINE)
    labels = dict(zip("abcdef", "xxyyxy", strict=True))
    # Nearest: a–b and c–d are of one label, e–f are not.
    assert share_same(exact, labels, k=1) == pytest.approx(4 / 6)
    assert share_same(exact, labels, k=1, queries=["e", "a"]) == 0.5
    assert share_same(exact, labels, k=5) == pytest.approx(2 / 5)


def test_works_without_a_label_are_no_queries_and_never_the_same():
    exact = construct_exact_index("euclidean", LINE)
    labels = {"a": "x", "b": "", "c": "y", "d": "y"}
    assert share_same(exact, labels, k=1) == pytest.approx(2 / 3)
    assert share_same(exact, labels, k=1, queries=["b", "c", "e"]) == 1


def test_nothing_to_count():
    exact = construct_exact_index("euclidean", LINE)
    for count in (
        lambda: recall_at_k(exact, exact, k=1, queries=[]),
        lambda: share_same(exact, {}, k=1),
        lambda: share_same(exact, {"a": ""}, k=1, queries=["a"]),
    ):
        with pytest.raises(ArtsearchError, match="nothing to count"):
            count()
    with pytest.raises(ArtsearchError, match="k is 6, but there are 5 other works"):
        recall_at_k(exact, exact, k=6)


def test_overlap():
    assert overlap(["a", "b", "c"], ["c", "a", "x"]) == pytest.approx(2 / 3)
    assert overlap(["a"], ["a"]) == 1 and overlap(["a"], ["b"]) == 0


def test_annoy_finds_most_of_the_true_neighbours_of_real_works(paintings, tmp_path, one_thread):
    """Of the development collection where it is there, else of the shipped one."""
    folder = WIKIART / "Cubism" if (WIKIART / "Cubism").is_dir() else paintings
    features = stored_features(
        Collection(folder), "efficientnet_lite0", out=tmp_path, progress=False
    )
    exact = construct_exact_index("angular", features)
    recalls = [
        recall_at_k(construct_ann_index("angular", num_trees, features), exact, k=10)
        for num_trees in (1, 25)
    ]
    assert recalls[0] <= recalls[1] and recalls[1] > 0.9
