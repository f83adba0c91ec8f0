"""What votes say: simulated judges are recovered, chance finds nothing, intervals hold."""

from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.features import Features
from artsearch.judge.judges import alpha, look_at_judges, nominal_alpha
from artsearch.judge.power import power_of, votes_needed
from artsearch.judge.report import contradicted, rank_rows, report_votes
from artsearch.judge.resample import resample
from artsearch.judge.simulated import SimulatedJudge, minds_by_construction, simulate
from artsearch.judge.triplets import choose_triplets
from artsearch.judge.votes import Vote

CONTENT, STYLE, BOTH, OTHER = (f"net · no_crop · {name}" for name in ("a", "b", "both", "other"))


@pytest.fixture(scope="module")
def descriptors():
    rng = np.random.default_rng(0)
    content, style, other = rng.normal(size=(3, 150, 12))
    rows = {CONTENT: content, STYLE: style, BOTH: np.hstack([content, style]), OTHER: other}
    ids = [f"{number}.jpg" for number in range(150)]
    return {name: Features(vectors, ids) for name, vectors in rows.items()}


@pytest.fixture(scope="module")
def triplets(descriptors):
    return choose_triplets(descriptors, 300)


def table(votes):
    return pd.DataFrame([asdict(one) for one in votes])


def people(descriptors, *names, noise=0.2):
    minds = {"what": descriptors[CONTENT], "how": descriptors[STYLE]}
    return [SimulatedJudge(name, minds, noise) for name in names]


def test_the_mind_of_simulated_judges_is_found(descriptors, triplets):
    votes = table(simulate(people(descriptors, "Ada", "Ben", "Cleo"), triplets))
    report = report_votes(votes, descriptors)
    assert report.best("what")[0] == [CONTENT] and report.best("how")[0] == [STYLE]
    assert report.shares.value(descriptor="a", label="what") > 0.75
    by_name = {one.split()[4]: one for one in report.verdicts}
    assert "goes with content" in by_name["a"] and "goes with style" in by_name["b"]
    # Triplets are those where descriptors differ, so what nobody follows is contradicted.
    assert "neither" in by_name["other"]
    assert report.alpha > 0.3 and report.simulated


def test_votes_by_chance_tell_nothing(descriptors, triplets):
    """Of five reports none but by bad luck calls one of eight shares better or worse."""
    told = 0
    for seed in range(5):
        judges = [SimulatedJudge(name, {}) for name in ("Ada", "Ben", "Cleo")]
        votes = table(simulate(judges, triplets, seed))
        # As if nobody had looked whether these judges attend.
        votes = votes[votes["why"] == "disagree"]
        report = report_votes(votes, descriptors)
        told += (report.shares.table["significance"] != "same").any()
        assert not any("content" in one or "style" in one for one in report.verdicts)
        assert abs(report.alpha) < 0.15
    assert told <= 1


def test_a_judge_by_chance_is_found_out_and_left_out(descriptors, triplets):
    judges = [*people(descriptors, "Ada", "Ben", noise=0.1), SimulatedJudge("Dora", {})]
    votes = table(simulate(judges, triplets))
    assert {one.judge: one.attends for one in look_at_judges(votes)} == {
        "Ada": True, "Ben": True, "Dora": False,
    }  # fmt: skip
    report = report_votes(votes, descriptors)
    assert set(report.votes["judge"]) == {"Ada", "Ben"}
    assert "left out, being no better than chance on what is easy: Dora" in report.notes


def test_few_votes_are_not_held_against_a_judge(descriptors, triplets):
    (one,) = look_at_judges(table(simulate([SimulatedJudge("Dora", {})], triplets[:20])))
    assert one.attends is None and "too few" in one.sentence


def test_one_slip_of_one_who_left_early_is_not_chance(descriptors, triplets):
    easy = [one for one in triplets if one.why == "easy"][:9]
    votes = simulate(people(descriptors, "Ada"), easy)
    votes = [replace(one, answer="second" if not at else "first") for at, one in enumerate(votes)]
    (one,) = look_at_judges(table(votes))
    assert one.easy == (8, 9) and one.attends is None


def test_likes_of_sessions_are_said_not_to_be_counted(descriptors, triplets):
    votes = simulate(people(descriptors, "Ada"), triplets[:3])
    report = report_votes(table([replace(one, why="session") for one in votes]), descriptors)
    assert report.notes == ("3 votes are likes of sessions, which are learnt from and not counted",)


def test_votes_on_other_works_are_counted_or_refused(descriptors, triplets):
    votes = simulate(people(descriptors, "Ada"), triplets)
    others = [replace(one, query="elsewhere.jpg") for one in votes[:50]]
    report = report_votes(table(others + votes), descriptors)
    assert any("works of which there are no features" in note for note in report.notes)
    with pytest.raises(MismatchError, match="none of the .* votes is on works of this collection"):
        report_votes(table(others), descriptors)


def test_what_a_network_gets_wrong_is_what_all_judges_say_against_it(descriptors, triplets):
    votes = simulate(people(descriptors, "Ada", "Ben", noise=1e-9), triplets)
    found = contradicted(table(votes), descriptors[OTHER], 100)
    assert len(found) > 20 and (found["judges"] == 2).all() and found["margin"].min() > 0
    contrary = {"first": "second", "second": "first"}
    disputed = votes + [replace(one, judge="Eve", answer=contrary[one.answer]) for one in votes]
    assert contradicted(table(disputed), descriptors[OTHER], 100).empty


def test_votes_by_construction_ask_for_content_and_for_manner():
    """Of repainted works it is known which two show the same, and which are made alike."""
    pairs = [(content, manner) for content in "abcd" for manner in "wxyz"]
    works = pd.DataFrame(pairs, columns=["content", "manner"])
    works["id"] = works["content"] + works["manner"] + ".jpg"
    minds = minds_by_construction(works)
    triplets = choose_triplets(minds, 40, easy=0)
    assert {one.why for one in triplets} == {"disagree", "again"}
    for vote in simulate([SimulatedJudge("Ada", minds, noise=1e-9)], triplets):
        taken = vote.first if vote.answer == "first" else vote.second
        same = 0 if vote.question == "what" else 1
        assert taken[same] == vote.query[same] and taken[1 - same] != vote.query[1 - same]


# Rows


def rows(chances, count=400, seed=0):
    """Return votes on pairs of rows of searches that are taken with the odds of their strengths."""
    rng, names = np.random.default_rng(seed), list(chances)
    for number in range(count):
        first, second = rng.permutation(names)[:2]
        odds = chances[first] / (chances[first] + chances[second])
        yield Vote(
            f"judge {number % 4}", "whole", f"{number % 50}.jpg", '["a"]', '["b"]',
            "first" if rng.random() < odds else "second", "rows",
            first_by=str(first), second_by=str(second), seconds=1.0,
        )  # fmt: skip


def test_rows_are_ranked_by_the_odds_with_which_they_are_taken():
    ranking = rank_rows(table(rows({"strong": 4.0, "middle": 2.0, "weak": 1.0})))
    assert list(ranking["search"]) == ["strong", "middle", "weak"]
    middle = np.log([4, 2, 1]) - np.log(2)
    assert ranking["strength"].to_numpy() == pytest.approx(middle, abs=0.35)
    assert ((ranking["low"] < middle) & (middle < ranking["high"])).all()


def test_rows_of_a_search_without_a_name_are_left_out():
    votes = table(rows({"a": 9.0, "b": 1.0}, 40))
    nameless = votes.assign(first_by="")
    assert rank_rows(pd.concat([votes, nameless])).equals(rank_rows(votes))


def test_rows_alike_are_not_told_apart():
    ranking = rank_rows(table(rows({"one": 1.0, "other": 1.0})))
    assert (ranking["low"] < 0).all() and (ranking["high"] > 0).all()


# Statistics


def test_alpha_is_that_of_the_published_example():
    """Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C: 0.743."""
    observers = "123321412...", "1233224125.3", ".3332342251.", "12332441251."
    units = [[one[at] for one in observers if one[at] != "."] for at in range(12)]
    assert nominal_alpha(units) == pytest.approx(0.743, abs=5e-4)
    assert np.isnan(nominal_alpha([["a", "a"], ["a", "a"], ["b"]]))


def test_alpha_counts_a_triplet_once_whichever_work_came_first():
    one = Vote("Ada", "what", "q", "a", "b", "first")
    swapped = Vote("Ben", "what", "q", "b", "a", "second")
    other = [Vote(name, "what", "q2", "a", "b", "second") for name in ("Ada", "Ben")]
    assert alpha(table([one, swapped, *other])) == 1


def test_intervals_hold_the_truth_at_their_rate():
    """Judges differ, and queries: the interval over both holds the mean of the world."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(40):
        judge, query = rng.normal(0, 0.1, 8), rng.normal(0, 0.2, 40)
        right = rng.random((8, 40)) < np.clip(0.6 + judge[:, None] + query, 0, 1)
        judges, queries = np.indices(right.shape)
        low, high = resample(right.ravel(), judges.ravel(), queries.ravel()).interval()
        inside += low[0] <= 0.6 <= high[0]
    assert inside >= 36  # 38 of 40 are due


def test_with_the_votes_that_are_said_to_be_needed_the_difference_is_found():
    rng, needed = np.random.default_rng(0), votes_needed(0.65)
    wins = rng.binomial(needed, 0.65, 4000)
    from scipy.stats import binomtest

    significant = {int(one): binomtest(int(one), needed).pvalue <= 0.05 for one in np.unique(wins)}
    found = np.mean([significant[int(one)] and one > needed / 2 for one in wins])
    assert 0.78 < found < 0.86 and found == pytest.approx(power_of(needed, 0.65), abs=0.02)
    with pytest.raises(ArtsearchError, match="above 0.5"):
        votes_needed(0.5)
