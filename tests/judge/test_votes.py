"""Votes: written whole or not at all, by several at once, taken back, merged."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from filelock import FileLock

from artsearch.base.errors import ArtsearchError
from artsearch.features.features import Features
from artsearch.judge.judges import look_at_judges
from artsearch.judge.simulated import SimulatedJudge, simulate
from artsearch.judge.triplets import choose_rows, choose_triplets
from artsearch.judge.votes import Vote, Votes, merge_votes, read_votes


def vote(judge="Ada", answer="first", **more):
    return Vote(judge, "what", "q.jpg", 'a, "b".jpg', "c.jpg", answer, **more)


def test_a_vote_comes_back_as_it_was_given(tmp_path):
    votes = Votes(tmp_path / "new/votes.csv")
    given = votes.add(vote("Zoë"))
    (row,) = votes.table().to_dict("records")
    assert Vote(**row) == given


def test_a_line_that_a_crash_cut_short_is_passed_over_and_cut_off(tmp_path):
    path = tmp_path / "votes.csv"
    votes = Votes(path)
    votes.add(vote())
    whole = path.read_bytes()
    for torn in (b"x" * 5000, b'Ada,"what', b"\xc3"):
        path.write_bytes(whole + torn)
        if torn != b"\xc3":
            assert len(read_votes(path)) == 1
        votes.add(vote())
        assert len(votes) == 2 and torn not in path.read_bytes()
        path.write_bytes(whole)


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    votes = Votes(tmp_path / "votes.csv")
    votes.add(vote("Ada"))
    votes.path.write_bytes(votes.path.read_bytes().rstrip(b"\n"))
    votes.add(vote("Ben"))
    assert list(votes.table()["judge"]) == ["Ada", "Ben"]


def test_the_file_that_a_full_disk_left_empty_takes_votes(tmp_path):
    path = tmp_path / "votes.csv"
    path.touch()
    votes = Votes(path)
    assert votes.table().empty and votes.add(vote()) and len(votes) == 1


def test_a_full_disk_takes_nothing_of_what_was_there(tmp_path, monkeypatch):
    def fsync(_):
        raise OSError(28, "No space left on device")

    votes = Votes(tmp_path / "votes.csv")
    votes.add(vote())
    before = votes.path.read_bytes()
    monkeypatch.setattr("artsearch.judge.votes.os.fsync", fsync)
    with pytest.raises(ArtsearchError, match="No space left"):
        votes.add(vote())
    assert votes.path.read_bytes() == before


def test_a_file_whose_columns_were_moved_is_read_but_not_written(tmp_path):
    votes = Votes(tmp_path / "votes.csv")
    votes.add(vote())
    votes.table().iloc[:, ::-1].to_csv(votes.path, index=False)
    assert len(read_votes(votes.path)) == 1
    for write in (lambda: votes.add(vote()), lambda: Votes(votes.path)):
        with pytest.raises(ArtsearchError, match="put them in this order: judge,question"):
            write()
    assert len(read_votes(votes.path)) == 1


def test_a_row_that_stands_twice_counts_once(tmp_path):
    votes = Votes(tmp_path / "votes.csv")
    for _ in range(2):
        votes.add(vote(id="1", time="2026"))
    assert len(votes) == 1


def test_a_vote_taken_back_stays_in_the_file(tmp_path):
    votes = Votes(tmp_path / "votes.csv")
    votes.add(vote("Ada", "first"))
    votes.add(vote("Ben", "second"))
    assert votes.undo("Ada").answer == "first" and votes.undo("Ada") is None
    assert list(votes.table()["judge"]) == ["Ben"]
    assert len(read_votes(votes.path, taken_back=True)) == 3


WRITER = """
import sys
from artsearch.judge.votes import Vote, Votes
votes = Votes(sys.argv[1])
for number in range(20):
    votes.add(Vote(sys.argv[2], "how", f"{number}.jpg", "a.jpg", "b.jpg", "equal"))
"""


def test_two_who_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / "votes.csv"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("A", "B")
    ]
    assert [one.wait() for one in writers] == [0, 0]
    assert read_votes(path)["judge"].value_counts().to_dict() == {"A": 20, "B": 20}


def test_merging_takes_each_vote_once_with_those_taken_back(tmp_path):
    one, other = Votes(tmp_path / "1.csv"), Votes(tmp_path / "2.csv")
    for _ in range(3):
        one.add(vote("Ada"))
        other.add(vote("Ben"))
    other.undo("Ben")
    paths = [one.path, other.path, one.path]
    held = merge_votes(paths, tmp_path / "all.csv")
    assert held["judge"].value_counts().to_dict() == {"Ada": 3, "Ben": 2}
    assert len(merge_votes([*paths, tmp_path / "all.csv"], tmp_path / "again.csv")) == 5
    assert "5 votes by 2 judges" in (tmp_path / "all.md").read_text()


def test_merging_keeps_what_was_voted_and_written_before(tmp_path):
    one, all_ = Votes(tmp_path / "1.csv"), Votes(tmp_path / "all.csv")
    one.add(vote("Ada"))
    all_.add(vote("Ben"))
    merge_votes([one.path], all_.path)
    sheet = tmp_path / "all.md"
    sheet.write_text(sheet.read_text() + "\nThey are friends.\n")
    one.add(vote("Ada"))
    assert len(merge_votes([one.path], all_.path)) == 3
    assert "3 votes by 2 judges" in sheet.read_text() and "They are friends." in sheet.read_text()
    (tmp_path / "README.md").write_text("Something else")
    for out in ("README.csv", "new.md"):
        with pytest.raises(ArtsearchError, match="datasheet"):
            merge_votes([one.path], tmp_path / out)
        assert not (tmp_path / out).exists()
    assert (tmp_path / "README.md").read_text() == "Something else"


def test_merging_waits_for_a_vote_that_is_being_written(tmp_path):
    votes = Votes(tmp_path / "votes.csv")
    votes.add(vote("Ada"))
    merging = Thread(target=merge_votes, args=([votes.path], votes.path))
    with FileLock(f"{votes.path}.lock"):
        merging.start()
        merging.join(0.5)
        assert merging.is_alive()
    merging.join()
    assert len(votes) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,title\na,b\n", "holds no votes: it has no column 'judge'"),
        (",".join(Vote.__dataclass_fields__) + "\nAda" + "," * 15 + "\n", "line 2 of .* no vote"),
        ("\0\n", "no column"),
    ],
)  # fmt: skip
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path, text, said):
    path = tmp_path / "votes.csv"
    path.write_text(text)
    with pytest.raises(ArtsearchError, match=said):
        Votes(path)
    assert path.read_text() == text


def test_what_is_no_vote_is_refused():
    with pytest.raises(ArtsearchError, match="unknown answer 'perhaps'"):
        vote(answer="perhaps")
    with pytest.raises(ArtsearchError, match="no name"):
        vote(" ")
    with pytest.raises(ArtsearchError, match="line break"):
        vote("Ada\n")
    for seconds in (-1, float("nan"), float("inf")):
        with pytest.raises(ArtsearchError, match="take 0 or more"):
            vote(seconds=seconds)


# Which questions are asked


@pytest.fixture(scope="module")
def descriptors():
    rng = np.random.default_rng(0)
    content, style = rng.normal(size=(2, 120, 16))
    ids = [f"{number}.jpg" for number in range(120)]
    rows = {"content": content, "style": style, "both": np.hstack([content, style])}
    return {name: Features(vectors, ids) for name, vectors in rows.items()}


def nearer(features, triplet):
    judge = SimulatedJudge("any", dict.fromkeys(("what", "how"), features))
    return judge.difference(triplet) > 0


def test_what_is_asked_tells_each_pair_of_descriptors_apart(descriptors):
    triplets = choose_triplets(descriptors, 200, seed=3)
    assert triplets == choose_triplets(descriptors, 200, seed=3)
    assert len(triplets) == 200
    disputed = [one for one in triplets if one.why == "disagree"]
    by = {name: [nearer(one, t) for t in disputed] for name, one in descriptors.items()}
    for one, other in combinations(by, 2):
        # A third of the triplets are chosen for the pair; at random the mix would agree more.
        assert np.mean(np.array(by[one]) != np.array(by[other])) > 0.3
    easy = [one for one in triplets if one.why == "easy"]
    assert easy and all(nearer(descriptors["both"], one) for one in easy)


def test_queries_questions_and_sides_are_balanced_and_some_come_twice(descriptors):
    triplets = choose_triplets(descriptors, 200)
    again = [one for one in triplets if one.why == "again"]
    assert len(again) == 20
    first = {(t.query, t.question, t.first, t.second): t.left for t in triplets if t not in again}
    assert all(first[t.query, t.question, t.first, t.second] != t.left for t in again)
    queries = [one.query for one in triplets if one not in again]
    counts = [queries.count(one) for one in set(queries)]
    assert len(counts) == 120 and max(counts) == 2
    assert 70 < sum(one.question == "how" for one in triplets) < 130
    assert 70 < sum(one.left == "first" for one in triplets) < 130


def test_a_work_that_no_vote_could_name_is_told_before_anybody_votes(descriptors):
    ids = [f"{number}\n.jpg" for number in range(120)]
    broken = {name: Features(one.vectors, ids) for name, one in descriptors.items()}
    with pytest.raises(ArtsearchError, match="a line break in its name"):
        choose_triplets(broken, 1)


def test_a_collection_too_small_for_a_choice_gets_what_it_allows():
    rows = Features(np.eye(4), "abcd"), Features(np.eye(4)[::-1] + 1, "abcd")
    triplets = choose_triplets(dict(zip("xy", rows, strict=True)), 5)
    assert len(triplets) == 5
    assert all(len({one.query, one.first, one.second}) == 3 for one in triplets)


class Row:
    def __init__(self, order):
        self.order, self.index, self.ids = order, self, tuple(order)

    def by_work(self, query, k):
        return Row([one for one in self.order if one != query][:k])


def test_rows_are_asked_where_two_searches_differ():
    searches = {"one": Row("abcdef"), "same": Row("abcdef"), "other": Row("fedcba")}
    rows = choose_rows(searches, 8, k=3)
    assert len(rows) == 8
    assert {frozenset((one.first_by, one.second_by)) for one in rows} == {
        frozenset(("one", "other")),
        frozenset(("same", "other")),
    }


def test_a_simulated_judge_follows_her_mind_as_far_as_her_noise_lets_her(descriptors):
    triplets = [one for one in choose_triplets(descriptors, 300) if one.question == "what"]
    judges = [
        SimulatedJudge(name, {"what": descriptors["content"]}, noise)
        for name, noise in (("sure", 1e-9), ("unsure", 0.3))
    ]
    votes = simulate([*judges, SimulatedJudge("chance", {})], triplets)
    right = {}
    for one in votes:
        right.setdefault(one.judge, []).append(
            (one.answer == "first") == nearer(descriptors["content"], one)
        )
    shares = {name: np.mean(one) for name, one in right.items()}
    assert shares["sure"] == 1 > 0.95 > shares["unsure"] > 0.65 > shares["chance"] > 0.35


def test_the_votes_that_ship_say_that_nobody_gave_them():
    data = Path(__file__).parents[2] / "data"
    votes = read_votes(data / "votes_simulated.csv")
    assert (votes["choice"] == "simulated").all()
    assert "No person gave them" in (data / "votes_simulated.md").read_text()
    assert [one.judge for one in look_at_judges(votes) if one.attends is False] == ["Dora"]
