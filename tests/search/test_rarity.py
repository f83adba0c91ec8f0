"""How near is near: rarities against a known null, and where an answer stops being unusual."""

import json

import numpy as np
import pandas as pd
import pytest
from asking import make_blend_search, make_collection
from madeup import make_folder
from scipy.stats import kstest

from artsearch.base.errors import ArtsearchError
from artsearch.cli.similar import to_json, to_text
from artsearch.features.features import Features
from artsearch.index.factory import METRICS, construct_ann_index, construct_exact_index
from artsearch.search.question import Question, read_link
from artsearch.search.rarity import FEWEST, SAMPLE, Rarity, Usual
from artsearch.search.results import NOTHING
from artsearch.search.search import Search
from artsearch.works.collection import Collection

#: Hands of three works each; the works of a hand are as like each other as others are not.
HANDS, EACH, DIMS = 400, 3, 24


def make_hands(folder, hands, like=0.0, machines=0):
    """Make works by several hands in a cloud that is crowded in its middle, and a search."""
    random = np.random.default_rng(1)
    count = hands * EACH
    make_folder(folder, [f"w{row}" for row in range(count)], side=4, alike=True)
    artists = np.repeat([f"Hand {hand}" for hand in range(hands)], EACH)
    files = [f"work {row:05}.png" for row in range(count)]
    made = np.where(np.arange(count) < machines, "GAN", "")
    table = pd.DataFrame({"file": files, "artist": artists, "machine_made": made})
    table.to_csv(folder / "works.csv", index=False)
    own = np.repeat(random.normal(size=(hands, DIMS)), EACH, axis=0)
    rows = 0.6 + np.sqrt(like) * own + np.sqrt(1 - like) * random.normal(size=(count, DIMS))
    collection = Collection(folder)
    features = Features(rows.astype(np.float32), tuple(collection.ids))
    return Search(collection, construct_exact_index("angular", features))


@pytest.fixture(scope="module")
def chance(tmp_path_factory):
    return make_hands(tmp_path_factory.mktemp("works") / "chance", HANDS)


@pytest.fixture(scope="module")
def hands(tmp_path_factory):
    return make_hands(tmp_path_factory.mktemp("works") / "hands", 60, like=0.97)


def other_pairs(search):
    """Return the share of each of some pairs by different hands of works that were not drawn."""
    index = search.index
    apart = [id for id in index.ids if id not in search.usual._place]
    assert len(apart) >= HANDS * EACH - SAMPLE
    return [
        one.share
        for query in apart[::EACH]
        for one in search.usual.rate([id for id in apart if id != query], None, [query]).values()
    ]


def test_shares_of_works_held_apart_are_uniform(chance):
    shares = other_pairs(chance)
    counts, _ = np.histogram(shares, 10, (0, 1))
    assert np.abs(counts / len(shares) - 0.1).max() < 0.02
    assert kstest(shares, "uniform").statistic < 0.03


def test_as_many_works_are_near_by_chance_as_it_says(chance):
    nearest = [
        min(one.rarity.by_chance for one in chance.ask(id, 10, exclude_same="artist"))
        for id in chance.index.ids[::4]
    ]
    for most in (0.1, 0.5):  # if the works of an answer were independent: 1 - exp(-most)
        assert np.mean(np.array(nearest) < most) == pytest.approx(1 - np.exp(-most), abs=0.06)


def test_a_hand_is_told_from_chance(hands, chance):
    assert np.median([hands.by_work(id, 9).cut for id in hands.index.ids]) == EACH - 1
    first = [hands.by_work(id, 1)[0].rarity.by_chance for id in hands.index.ids]
    assert np.mean(np.array(first) < 0.1) > 0.9
    cuts = [chance.by_work(id, 5).cut for id in chance.index.ids[::10]]
    assert 0.2 < np.mean(np.array(cuts) == 0) < 0.6


def test_what_is_said_of_where_an_answer_stops(hands):
    id = next(id for id in hands.index.ids if hands.by_work(id, 5).cut == 2)
    lonely, answer = -hands.exact.fetch(slice(None)).mean(axis=0), hands.by_work(id, 5)
    assert answer.cut_text == "Only the first 2 are nearer than by chance."
    assert hands.by_work(id, 2).cut_text == ""
    nothing = hands.by_vector(lonely, 3)
    assert (nothing.cut, nothing.cut_text) == (0, NOTHING)
    assert list(answer.table().columns) == ["id", "distance", "caption", "nearer_than", "rarity"]
    assert to_text(nothing).startswith(f"{NOTHING}\n") and str(answer[0].rarity) in to_text(answer)
    asked = hands.ask(id, 5)
    assert [one.rarity for one in asked] == [one.rarity for one in answer]
    told = json.loads(to_json(hands.collection, asked))
    assert told["cut"] == 2 and told["works"][0]["rarity"] == answer[0].rarity.word


def test_a_condition_leaves_fewer_that_might_be_as_near(hands):
    id = hands.index.ids[0]
    (one,), (same,) = hands.ask(id, 1), hands.ask(id, 1, where='artist == "Hand 0"')
    assert one.rarity.share == same.rarity.share
    assert same.rarity.by_chance == pytest.approx(one.rarity.by_chance * 2 / (60 * EACH - 1))


def test_near_duplicates_and_machines_are_not_usual(tmp_path):
    search = make_hands(tmp_path / "works", 30, machines=9)
    rows = search.exact.fetch(slice(None)).copy()
    rows[20:30] = rows[10:20]
    other = Search(
        search.collection,
        construct_exact_index("angular", Features(rows, search.index.ids)),
    )
    assert not set(search.index.ids[:9]) & set(search.usual._sample.ids)
    assert len(search.usual._sample) == 81 and len(other.usual._sample) == 71
    # No pair that was drawn is as near; and machines are not among those that would be by chance.
    for answer in (other.by_work(other.index.ids[10], 1), other.ask(other.index.ids[10], 1)):
        assert answer[0].rarity.by_chance == 80 / (len(other.usual._pairs) + 1)
    only = other.ask(other.index.ids[10], 1, where='machine_made == "GAN"')
    assert len(only) == 1 and only[0].rarity is None


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_and_kind_says_the_same(hands, metric):
    features = Features(hands.exact.fetch(slice(None)), hands.index.ids)
    exact, annoy = (
        Search(hands.collection, index)
        for index in (
            construct_exact_index(metric, features),
            construct_ann_index(metric, 5, features),
        )
    )
    id = hands.index.ids[4]
    found = exact.by_work(id, 4)
    assert found.cut >= 2
    again = annoy.usual.rate(found.ids, None, [id]).values()
    assert [one.share for one in again] == pytest.approx(
        [one.rarity.share for one in found], abs=1e-3
    )


def test_few_works_words_and_what_is_unlike_are_not_rated(hands, tmp_path):
    few = make_hands(tmp_path / "few", FEWEST // EACH)
    assert few.by_work(few.index.ids[0], 2).cut is None
    first, second = hands.index.ids[:2]
    assert hands.ask(first, 3, negative=second).cut is None
    assert hands.ask([first, second], 3).cut is not None
    alone = Collection(few.collection.folder)
    alone.works["artist"] = "One hand"
    features = Features(few.exact.fetch(slice(None)), few.index.ids)
    usual = Usual(construct_exact_index("angular", features), alone)
    assert usual.rate(alone.ids[:1], None) == {alone.ids[0]: None}


def test_a_blend_keeps_what_is_usual_at_a_weight(tmp_path):
    search = make_blend_search(make_collection(tmp_path / "works", 60), 0.5)
    assert search.at(0.3) is search.at(0.3) and search.at(0.3).usual is search.at(0.3).usual
    for tenth in range(11):
        search.at(tenth / 10)
    assert len(search._at) == 8
    assert search.at(0.3).by_work(search.index.ids[0], 3).cut is not None


def test_words_and_shares():
    words = [Rarity(0.5, expected).word for expected in (0.001, 0.05, 0.5, 1)]
    assert words == ["very unusual", "unusual", "somewhat unusual", "usual"]
    assert "99.9999 % of" in str(Rarity(1 - 1e-6, 1e-4))
    assert "than 99.996 %" in str(Rarity(0.9999666, 0.1)) and "than 50 %" in str(Rarity(0.5, 5))
    works = [str(Rarity(0.9, by)).split("; ")[1] for by in (1e-9, 0.0123, 1.72, 1234.5)]
    assert [one.split()[2:-3] for one in works] == [
        ["fewer", "than", "0.001"],
        ["0.012"],
        ["1.7"],
        ["1,234"],
    ]


# CSLS


def crowding(vectors, k=10):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units.astype(np.float64) @ units.T
    others = np.where(np.eye(len(units), dtype=bool), -np.inf, cosines)
    return cosines, np.sort(others, axis=1)[:, -k:].mean(axis=1)


def test_csls_orders_as_its_equation(hands):
    cosines, crowded = crowding(hands.exact.fetch(slice(None)))
    for row in (0, 50):
        id = hands.index.ids[row]
        scores = 2 * cosines[row] - crowded[row] - crowded
        scores[row] = -np.inf
        expected = [hands.index.ids[other] for other in np.argsort(-scores)[:12]]
        answer = hands.by_work(id, 12, normalise="csls")
        assert answer.ids == expected == hands.ask(id, 12, normalise="csls").ids
        assert answer.ids != hands.by_work(id, 12).ids
        assert answer.distances == pytest.approx(
            [np.sqrt(2 - 2 * cosines[row, hands.index.row_of(other)]) for other in expected],
            abs=1e-5,
        )
        assert answer.notes == (
            "Ordered by CSLS, which puts back works that are near to everything.",
        )


def test_csls_within_groups_and_in_a_link(hands):
    id = hands.index.ids[0]
    answer = hands.ask(id, normalise="csls", group_by="artist")
    first = hands.ask(id, 179, normalise="csls")
    seen = {}
    for one in first:
        seen.setdefault(hands.collection.work(one.id)["artist"], one.id)
    assert answer.ids == list(seen.values())
    link = Question(id, normalise="csls").to_link()
    assert "normalise=csls" in link and read_link(link)[0].normalise == "csls"


def test_another_normalisation_is_refused(hands):
    with pytest.raises(ArtsearchError, match="'sls'.*did you mean 'csls'"):
        hands.ask(hands.index.ids[0], normalise="sls")
