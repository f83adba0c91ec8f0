"""The judging room without a browser: the kernel's answers, the page's files, the command."""

import io
import json
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner
from judging import made_up_questions
from madeup import searches_by_colour
from PIL import Image

from artsearch.base.errors import ArtsearchError, VectorsAloneError
from artsearch.cli.commands import main
from artsearch.features.features import Features
from artsearch.gallery.judge import Judge
from artsearch.judge.questions import (
    choose_questions,
    name_of,
    read_questions,
    save_questions,
    works_in,
)
from artsearch.judge.votes import Vote, Votes, read_votes
from artsearch.show.judge_page import write_judge_page
from artsearch.show.site import write_site


@pytest.fixture(scope="module")
def questions(collection):
    return made_up_questions(collection)


@pytest.fixture
def judge(collection, questions, tmp_path, monkeypatch):
    made = Judge(collection, questions, votes=tmp_path / "votes.csv", out=tmp_path)
    made.answers = []
    monkeypatch.setattr(
        made, "send", lambda content, files=(): made.answers.append((content, files))
    )
    return made


def ask(widget, **message):
    widget._heed(None, {"ask": "1", **message}, [])
    said, files = widget.answers[-1]
    assert said.pop("answer") == "1"
    return (said, files) if files else said


def vote(widget, at, answer="left", name="Ada", **more):
    said = {"id": f"{name}-{at}", "seconds": 1.5, "time": f"2026-01-01T00:00:0{at}.000+00:00"}
    return ask(widget, do="vote", judge=name, at=at, answer=answer, **said, **more)


def test_a_judge_goes_on_where_she_was_whatever_others_do(judge, questions):
    for at in (0, 1, 2):
        vote(judge, at)
    vote(judge, 0, name="Ben")
    ask(judge, do="undo", judge="Ada", id="Ada-2")
    ask(judge, do="undo", judge="Ada", id="Ada-2")  # tried again: one vote was taken back
    again = Judge(judge.collection, questions, votes=judge.votes.path)
    said = [(one["at"], one["id"]) for one in again._begin("Ada")["done"]]
    assert said == [(0, "Ada-0"), (1, "Ada-1")]
    assert [one["at"] for one in again._begin("Ben")["done"]] == [0]
    # Other questions are another set, of which she has answered none.
    assert (
        Judge(judge.collection, questions[1:], votes=judge.votes.path)._begin("Ada")["done"] == []
    )


def test_a_vote_that_comes_again_is_written_once(judge):
    assert vote(judge, 0) == {}
    assert vote(judge, 0, held=True) == {}
    assert vote(judge, 1, held=True) == {}
    assert list(judge.votes.table()["id"]) == ["Ada-0", "Ada-1"]


def test_what_stood_left_is_written_as_it_was(judge, questions):
    for at, one in enumerate(questions):
        vote(judge, at, "left" if at % 2 else "right")
        row = judge.votes.table().iloc[-1]
        wanted = one.left if at % 2 else {"first": "second", "second": "first"}[one.left]
        assert (row["answer"], row["left"], row["first_by"]) == (wanted, one.left, one.first_by)
    assert set(judge.votes.table()["choice"]) == {name_of(questions)}


def test_what_goes_wrong_is_said_and_nothing_is_written(judge):
    assert "unknown answer 'perhaps'" in vote(judge, 0, "perhaps")["error"].lower()
    assert "no name" in vote(judge, 0, name=" ")["error"]
    judge.votes.path.mkdir()
    assert "cannot write the vote" in vote(judge, 0)["error"].lower()
    judge.votes.path.rmdir()
    assert len(judge.votes) == 0


def test_examples_are_votes_that_were_tried(judge):
    tried = {
        "question": "how",
        "query": "tree-dots",
        "left": ["tree-lines"],
        "right": ["boat-dots"],
    }
    vote(judge, 0, "right", tried=tried)
    assert judge._begin("Ada") == {"done": [], "tried": 1}
    (row,) = judge.votes.table().to_dict("records")
    assert (row["why"], row["answer"], row["query"]) == ("tried", "second", "tree-dots")


def test_pictures_are_large_and_known_by_number_alone(judge, questions):
    said, files = ask(judge, do="pictures", names=["large/0", "thumb/0"])
    sizes = [max(Image.open(io.BytesIO(data)).size) for data in files]
    assert sizes[0] > 500 > 256 >= sizes[1]
    told = json.dumps(judge.room)
    assert not [id for id in works_in(questions) if id in told] and "resnet" not in told


def test_questions_come_back_from_their_file(questions, tmp_path):
    assert read_questions(save_questions(questions, tmp_path / "q.json")) == questions
    assert name_of(questions) != name_of(
        [replace(questions[0], left="first"), *questions[1:]][::-1]
    )
    (tmp_path / "q.json").write_text('[{"query": 1}]')
    with pytest.raises(ArtsearchError, match="cannot read the questions"):
        read_questions(tmp_path / "q.json")


def test_questions_are_chosen_of_all_that_searches_have(collection):
    searches = searches_by_colour(collection)
    searches.features = lambda *key: Features(searches._project(*key), tuple(collection.ids))
    searches.networks = [replace(one, blend=None) for one in searches.networks]
    chosen = choose_questions(searches, 6, ["how"], rows=2)
    assert [one.kind for one in chosen] == ["triplet"] * 6 + ["rows"] * 2
    assert {one.question for one in chosen[:6]} == {"how"}
    with pytest.raises(ArtsearchError, match="no questions"):
        choose_questions(searches, 0)


def test_a_work_that_is_not_there_is_named(collection, questions):
    with pytest.raises(ArtsearchError, match=r"unknown work 'gone\.jpg'"):
        Judge(collection, [replace(questions[0], query="gone.jpg")])


# The page and the command


def test_a_site_links_to_the_page_and_keeps_it(collection, questions, tmp_path):
    site, searches = tmp_path / "site", searches_by_colour(collection)
    write_site(collection, searches, site, image_side=0, progress=False)
    assert "judge.html" not in (site / "index.html").read_text()
    page = write_judge_page(collection, questions, site, progress=False)
    write_site(collection, searches, site, image_side=0, progress=False)
    for _ in range(2):  # also written a second time
        assert (site / "index.html").read_text().count('<a href="judge.html">') == 1
        named = re.findall(r'(?:href|src)="(judging/[^"]+)"', page.read_text())
        assert len(named) == 7 and all((site / name).is_file() for name in named)
        write_judge_page(collection, questions, site, progress=False)
    # Nothing but what is in a picture gives it its name.
    pictures = [path.stem for path in (site / "judging/images").rglob("*.jpg")]
    assert len(pictures) == len(works_in(questions))
    assert all(re.fullmatch("[0-9a-f]{12}", name) for name in pictures)


def test_cards_would_tell_the_titles(questions, tmp_path):
    class NoPictures:
        has_pictures = False

    with pytest.raises(VectorsAloneError, match="cards would tell"):
        write_judge_page(NoPictures(), questions, tmp_path)


def test_the_command_merges_votes(tmp_path):
    files = [tmp_path / f"{name}.csv" for name in "ab"]
    for file in files:
        Votes(file).add(Vote(file.stem, "what", "q.jpg", "a.jpg", "b.jpg", "equal"))
    out = tmp_path / "all.csv"
    done = CliRunner().invoke(main, ["judge", "merge", *map(str, files), "--out", str(out)])
    assert "2 votes by 2 judges" in done.output and len(read_votes(out)) == 2
    assert "2 votes by 2 judges" in out.with_suffix(".md").read_text()
