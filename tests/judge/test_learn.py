"""What is learnt from votes: a place of the dial, weights, a map; and what cannot be."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from artsearch.base.errors import ArtsearchError, MismatchError, TooFewWorks
from artsearch.features.blend import Blend, Component
from artsearch.features.features import Features
from artsearch.judge.dial import TooFewVotes, fit_dial
from artsearch.judge.learn import learn_from_column, learn_from_votes
from artsearch.judge.simulated import SimulatedJudge, simulate
from artsearch.judge.triplets import choose_triplets
from artsearch.search.learnt import Learnt

IDS = tuple(f"{number}.jpg" for number in range(300))
PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture(scope="module")
def blend():
    """Return works whose three parts have nothing to do with each other."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(3, len(IDS), 6))
    parts /= np.linalg.norm(parts, axis=2, keepdims=True)
    vectors = np.concatenate(parts, axis=1).astype(np.float32)
    components = {
        name: Component((), {}, {}, np.zeros((1, 6), np.float32))
        for name in ("content", "middle", "style")
    }
    return Blend(components, vectors, vectors, IDS, {"neighbours": 0})


def votes_at(blend, place, count=300, noise=0.2, seed=0):
    places = {str(one): blend.at(one) for one in PLACES}
    triplets = choose_triplets(places, count, ("whole",), seed=seed)
    minds = {"whole": blend.at(place)} if place is not None else {}
    votes = simulate([SimulatedJudge("Ada", minds, noise)], triplets, seed)
    return pd.DataFrame([asdict(one) for one in votes])


@pytest.mark.parametrize("truth", [0.0, 0.3, 0.8])
def test_the_place_of_a_judge_is_found_within_a_tenth(blend, truth):
    fitted = fit_dial(votes_at(blend, truth), blend)
    assert fitted.place == pytest.approx(truth, abs=0.1)
    assert fitted.low <= fitted.place <= fitted.high < fitted.low + 0.4
    assert fitted.agrees > 0.7 and sum(fitted.weights.values()) == pytest.approx(1, abs=1e-3)
    assert max(fitted.weights, key=fitted.weights.get) == {
        0.0: "content", 0.3: "middle", 0.8: "style",
    }[truth]  # fmt: skip
    assert f"{truth:.1f}"[:2] in fitted.sentence


@pytest.mark.slow
def test_the_interval_of_the_place_holds_the_truth_at_its_rate(blend):
    inside = 0
    for seed in range(100):
        truth = np.random.default_rng(seed).uniform(0.05, 0.95)
        fitted = fit_dial(votes_at(blend, truth, seed=seed), blend, seed=seed)
        inside += fitted.low <= truth <= fitted.high
    assert 88 <= inside


def test_few_votes_and_votes_by_chance_teach_nothing(blend):
    with pytest.raises(TooFewVotes, match="54 decided votes.*60 or more on 20 works are wanted"):
        fit_dial(votes_at(blend, 0.3, count=54), blend)
    with pytest.raises(TooFewVotes, match="go with no place of the dial"):
        fit_dial(votes_at(blend, None), blend)
    with pytest.raises(TooFewVotes, match="nothing could be learnt"):
        learn_from_votes(votes_at(blend, None), blend.at(0.5), {})


def test_a_map_learnt_from_votes_goes_with_the_part_that_judges_look_at(blend, tmp_path):
    rows = Features(blend.vectors * np.repeat([3, 2, 1], 6), IDS, {"layer": "any"})
    learnt, metrics = learn_from_votes(votes_at(blend, 1.0, 600), rows, {"base": "blend"})
    assert metrics.value(descriptor="learnt") > metrics.value(descriptor="blend") + 0.1
    mapped, style = learnt.features(rows).vectors, blend.at(1.0).vectors
    alike = np.corrcoef((mapped @ mapped.T).ravel(), (style @ style.T).ravel())[0, 1]
    assert alike > 0.9  # of the rows as they are it is 0.15
    again = Learnt.open(learnt.save(tmp_path / "learnt"))
    assert np.array_equal(again.features(rows).vectors, mapped) and again.works == learnt.works
    with pytest.raises(MismatchError, match="takes 18 numbers a work"):
        learnt.features(Features(np.ones((2, 4)), "ab"))
    with pytest.raises(ArtsearchError, match="nothing was learnt yet"):
        Learnt.open(tmp_path / "elsewhere")


def artists(count=30, each=10, noise=3.0):
    """Return works by artists who differ in some directions, and all works more in others."""
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(count), each)
    own = rng.normal(size=(count, 8))[who] + 0.3 * rng.normal(size=(len(who), 8))
    any = noise * rng.normal(size=(len(who), 4))
    ids = [f"{number}.jpg" for number in range(len(who))]
    works = pd.DataFrame({"id": ids, "artist": [f"Artist {one}" for one in who], "style": ""})
    return works, Features(np.hstack([own, any]), ids)


def test_a_map_learnt_from_artists_helps_with_other_artists():
    works, features = artists()
    learnt, metrics = learn_from_column(works, features, "artist", {"base": "final"})
    named = "artist, not learnt from"
    (row,) = metrics.select(label=named, descriptor="learnt").to_dict("records")
    assert row["value"] > metrics.value(label=named, descriptor="final") + 0.2
    assert row["significance"] == "better"
    of = works.set_index("id")["artist"]
    assert {of[id].lower() for id in learnt.works} == learnt.artists
    # All works by an artist are on one side: none that judges was learnt from.
    assert len(learnt.works) == 10 * len(learnt.artists) == 150
    asked = metrics.estimates["", "", "learnt", named, "precision", "yes"].ids
    assert len(asked) == 150 and not learnt.works & set(asked)


def test_a_column_that_says_nothing_teaches_nothing():
    works, features = artists(4, 2)
    works["series"] = works["id"]
    with pytest.raises(TooFewWorks, match="share a value of 'series'"):
        learn_from_column(works, features, "series", {})
    with pytest.raises(ArtsearchError, match="unknown column 'painter'"):
        learn_from_column(works, features, "painter", {})
