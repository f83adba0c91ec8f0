"""`artsearch judge`: a report of votes, your dial, a learnt map, and a session's likes as votes."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from walks import Walk

from artsearch import Collection, Searches
from artsearch.cli.commands import main
from artsearch.evaluate.experiments import learnt_by_label
from artsearch.gallery.widget import Gallery
from artsearch.judge.simulated import SimulatedJudge, simulate
from artsearch.judge.triplets import choose_triplets, descriptors_of
from artsearch.judge.votes import Vote, Votes, read_votes
from artsearch.search.learnt import your_dial

NETWORK = "efficientnet_lite0"
PAINTINGS = Path(__file__).parents[2] / "data/paintings"


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return a folder with a few paintings in variants, features in build, and simulated votes."""
    folder = tmp_path_factory.mktemp("judged")
    shutil.copytree(PAINTINGS, folder / "works")
    return folder


def run(folder, *words):
    done = CliRunner().invoke(main, ["judge", *words, "--out", str(folder / "build")])
    return done.exit_code, done.output


def search(folder, *words):
    words = [*words, "--collection", str(folder / "works"), "--out", str(folder / "build")]
    done = CliRunner().invoke(main, ["similar", *words])
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def votes(judged):
    works = Collection(judged / "works")
    searches = Searches(works, NETWORK, ["no_crop"], out=judged / "build", progress=False)
    descriptors = descriptors_of(searches)
    triplets = choose_triplets(descriptors, 120, ("whole",))
    style = searches.dial(NETWORK, "no_crop").blend.at(1.0)
    given = Votes(judged / "votes.csv")
    for vote in simulate([SimulatedJudge("Ada", {"whole": style}, 0.02)], triplets):
        given.add(vote)
    return given.path


def of(judged, *words):
    return (*words, "--collection", str(judged / "works"))


def test_votes_are_reported_and_teach_a_dial_that_can_be_searched_by(judged, votes):
    code, said = search(judged, PAINTINGS.glob("*.jpg").__next__().name, "--dial", "yours")
    assert code == 1 and "there is no dial of yours" in said
    code, said = run(judged, "report", str(votes), *of(judged, "--networks", NETWORK))
    assert code == 0, said
    assert "As a whole, most votes agree with" in said and "210 votes" in said
    page = (judged / "build/judged/judged.html").read_text()
    assert "no person gave them" in page and "Dial at style" in page
    code, said = run(judged, "learn", str(votes), *of(judged, "--network", NETWORK))
    assert code == 0 and "Your dial, as a whole" in said, said
    searches = Searches(Collection(judged / "works"), NETWORK, ["no_crop"], out=judged / "build")
    place = your_dial(judged / "build", searches.collection, NETWORK, "no_crop")
    assert place > 0.6
    walk = Walk(Gallery(searches.collection, searches, out=judged / "build"))
    assert walk.view["dial"]["yours"] == place
    work = searches.collection.ids[0]
    answers = [search(judged, work, "--json", "--dial", one)[1] for one in ("yours", str(place))]
    assert answers[0] == answers[1] and json.loads(answers[0])["dial"] == place


def test_a_column_teaches_a_map_that_is_judged_on_other_artists_and_searched_by(judged, votes):
    work = next(iter(Collection(judged / "works")))
    code, said = search(judged, work, "--learnt")
    assert code == 1 and "nothing was learnt yet" in said
    code, said = run(judged, "learn", "--column", "style", *of(judged, "--network", NETWORK))
    assert code == 0 and "--learnt" in said, said
    code, said = search(judged, work, "--learnt", "--k", "3")
    assert code == 0 and said.count(".jpg") == 3
    code, said = search(judged, str(PAINTINGS / work), "--learnt", "--k", "3")
    assert code == 0 and said.count(".jpg") == 3
    searches = Searches(Collection(judged / "works"), NETWORK, ["no_crop"], out=judged / "build")
    table = learnt_by_label(searches, out=judged / "build").table
    assert table["label"].str.endswith("not learnt from").all()


def test_what_cannot_be_learnt_is_said(judged, votes, tmp_path):
    few = Votes(tmp_path / "few.csv")
    few.add(Vote("Ada", "whole", "a.jpg", "b.jpg", "c.jpg", "first"))
    code, said = run(judged, "learn", str(few.path), *of(judged, "--network", NETWORK))
    assert code == 1 and "60 or more on 20 works are wanted" in said
    code, said = run(
        judged, "learn", str(votes), *of(judged, "--network", NETWORK, "--question", "how")
    )
    assert code == 1 and "by question there are" in said and "on 'whole'" in said
    code, said = run(judged, "learn", *of(judged))
    assert code == 2 and "name a file of VOTES, or a --column" in said


def test_likes_of_a_session_become_votes_once(judged, tmp_path):
    works = Collection(judged / "works")
    searches = Searches(works, NETWORK, ["no_crop"], out=judged / "build", progress=False)
    query, liked, unliked, *_ = works
    walk = Walk(Gallery(works, searches, query=query, out=tmp_path))
    walk.like(liked)
    walk.unlike(unliked)
    session, votes = tmp_path / "session.json", tmp_path / "votes.csv"
    session.write_text(walk.gallery.session.to_json())
    words = ["from-session", str(session), "--judge", "Ada", "--votes", str(votes)]
    for new in ("1 new vote", "0 new votes"):
        done = CliRunner().invoke(main, ["judge", *words, "--collection", str(works.folder)])
        assert done.exit_code == 0 and new in done.output, done.output
    (row,) = read_votes(votes).to_dict("records")
    assert (row["query"], row["first"], row["second"], row["why"]) == (
        query, liked, unliked, "session",
    )  # fmt: skip
