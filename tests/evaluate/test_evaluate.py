"""Shares that can be counted by hand, and the recall of Annoy on real works."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from artsearch.base.errors import ArtsearchError
from artsearch.evaluate.labels import overlap, recall_at_k, share_same
from artsearch.features.compute import compute_features
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.index.factory import construct_ann_index, construct_exact_index
from artsearch.works.collection import Collection

WIKIART = Path(__file__).parents[3] / "shared" / "art" / "wikiart"

# On a line: two works at each place, the places far apart.
LINE = Features(np.array([[0.0, 0], [1, 0], [10, 0], [11, 0], [20, 0], [21, 0]]), tuple("abcdef"))


class Wrong:
    """An index that answers with the works that come first by name."""

    ids = LINE.ids

    def search(self, id, k, search_k=None):
        return [other for other in self.ids if other != id][:k], np.zeros(k)


def test_true_duplicates_are_no_misses_of_recall():
    same = Features(np.tile(np.linspace(0.1, 1, 40), (60, 1)), tuple(map(str, range(60))))
    shaken = Features(same.vectors * np.linspace(1, 1.001, 60)[:, None], same.ids)
    exact = construct_exact_index("angular", shaken)
    assert recall_at_k(construct_ann_index("angular", 1, shaken), exact, 5, search_k=5) == 1


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
    otherwise = dict(zip("abcdef", ["x", "X ", "y", "Y", " x", "y"], strict=True))
    assert share_same(exact, otherwise, k=1) == pytest.approx(4 / 6)
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


@pytest.fixture(scope="module")
def places(paintings, one_thread) -> Features:
    """What the network sees at 14 × 14 places of twelve paintings: 2,352 rows of 112 numbers.

    Many and short, because a leaf of Annoy's trees holds about as many rows as a row has numbers:
    all 462 works of the demo, at 1,280 numbers each, lie in one leaf, where nothing is missed.
    """
    extractor = FeatureExtractor("efficientnet_lite0", layers="blocks.4", pool=14)
    maps = [extractor(path).reshape(112, -1).T for path in sorted(paintings.glob("*.jpg"))[:12]]
    vectors = np.concatenate(maps)
    return Features(vectors, tuple(str(row) for row in range(len(vectors))))


@pytest.mark.quality
def test_annoy_finds_most_of_the_true_neighbours_in_real_paintings(places):
    exact = construct_exact_index("angular", places)
    recalls = [
        recall_at_k(construct_ann_index("angular", n, places), exact, 10, places.ids[::20])
        for n in (1, 25, 100)
    ]
    assert recalls[0] < 0.5 and recalls[1] > 0.7 and recalls[2] > 0.9


def test_up_to_as_many_works_as_numbers_annoy_misses_nothing():
    features = Features(np.random.default_rng(0).random((400, 512)), map(str, range(400)))
    exact = construct_exact_index("angular", features)
    assert recall_at_k(construct_ann_index("angular", 1, features), exact, 20) == 1


@pytest.mark.quality
@pytest.mark.skipif(not WIKIART.is_dir(), reason="the development collection is not here")
def test_neighbours_are_of_the_same_style_far_more_often_than_not(tmp_path, one_thread):
    """Of two styles that anyone tells apart, a network trained on photographs does too."""
    for style in ("ProtoRenaissance", "Tonalism"):
        for path in sorted((WIKIART / style).iterdir())[:15]:
            (tmp_path / style).mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / style)
    collection = Collection(tmp_path)
    features = compute_features(collection, "efficientnet_lite0", progress=False)
    exact = construct_exact_index("angular", features)
    assert len(features) == 30
    assert share_same(exact, {id: id.split("/")[0] for id in collection}, k=5) > 0.9
