"""Words in the gallery: selected, liked and not liked, in the trail, in links and in sessions."""

import pytest
from walks import Walk

from artsearch.gallery.asked import IN_WORDS
from artsearch.gallery.session import Session
from artsearch.gallery.session_page import make_page
from artsearch.gallery.session_table import describe, make_table
from artsearch.gallery.widget import Gallery
from artsearch.search.question import Question, Words, read_link
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection

LITE = "efficientnet_lite0"
LAKE, NIGHT = IN_WORDS + "a mountain lake", IN_WORDS + "at night"
WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
SPRING = "giuseppe-arcimboldo_spring.jpg"


@pytest.fixture(scope="module")
def searches(few, out, one_thread):
    return Searches(
        Collection(few), ["open_clip:tiny@random", LITE], "no_crop", out, progress=False
    )


@pytest.fixture
def walk(searches, out):
    return Walk(Gallery(searches.collection, searches, k=3, query=WAVE, out=out))


def ask(walk, *things, **more):
    """Return what the search itself answers."""
    return walk.gallery.searches[walk.gallery.network, "no_crop"].ask(*things, 3, **more).ids


def test_words_are_selected_as_a_work_is(walk):
    walk.select(IN_WORDS + " a mountain\n lake ")
    view = walk.view
    assert view["error"] == "" and walk.query == LAKE
    assert walk.shown[0] == ask(walk, Words("a mountain lake"))
    query = view["query"]
    assert (query["words"], query["title"]) == ("a mountain lake", "“a mountain lake”")
    assert query["thumb"] == query["image"] == "" and not view["ask"]["active"]
    assert [work["id"] for work in view["history"]["works"]] == [WAVE, LAKE]
    walk.back()
    assert walk.query == WAVE and walk.shown[0] == ask(walk, WAVE)
    walk.forward()
    assert walk.shown[0] == ask(walk, Words("a mountain lake"))


def test_words_stand_beside_a_work_with_weights(walk):
    walk.like(NIGHT, 0.5)
    walk.unlike(LAKE)
    assert walk.shown[0] == ask(
        walk, [WAVE, (Words("at night"), 0.5)], negative=Words("a mountain lake")
    )
    liked = walk.view["ask"]["liked"]
    assert [(one["words"], one["side"], one["weight"]) for one in liked] == [
        ("at night", "like", 0.5),
        ("a mountain lake", "unlike", 1),
    ]
    walk.like(WAVE, 2)
    walk.drop(LAKE)
    assert walk.shown[0] == ask(walk, [(WAVE, 2), (Words("at night"), 0.5)])
    walk.select(SPRING)
    assert not walk.view["ask"]["active"]


def test_a_work_is_liked_beside_words(walk):
    walk.select(LAKE)
    walk.like(SPRING)
    walk.like(LAKE, 3)
    assert walk.shown[0] == ask(walk, [SPRING, (Words("a mountain lake"), 3)])
    view = walk.view
    assert view["ask"]["weight"] == 3 and [one["id"] for one in view["ask"]["liked"]] == [SPRING]
    walk.unlike(LAKE)
    assert "The selected work is what is asked for" in walk.error
    walk.change(where='artist == "Katsushika Hokusai"')
    assert set(walk.shown[0]) <= set(walk.gallery.collection.ids) - {SPRING}


def test_words_are_offered_where_the_network_takes_them(walk):
    assert walk.view["ask"]["in_words"] == IN_WORDS
    walk.change(network=LITE)
    assert walk.view["ask"]["in_words"] == ""
    before = walk.shown[0]
    walk.select(LAKE)
    assert walk.error.startswith(f"{LITE} takes no words; take a network that does")
    assert walk.shown[0] == before and walk.query == WAVE


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"why": WAVE}, "words have no places"),
        ({"goal": WAVE}, "stepping stones lead from one work"),
    ],
)
def test_what_words_cannot_is_said(walk, choice, said):
    walk.select(LAKE)
    walk.change(**choice)
    assert said in walk.error and walk.state["why"] == walk.gallery.goal == ""


def test_a_link_of_words_opens_on_them(walk, searches, out):
    walk.select(LAKE)
    walk.like(WAVE)
    link = walk.view["ask"]["link"]
    assert read_link(link)[0] == Question([WAVE], words=[("a mountain lake", 1)], k=3)
    gallery = Gallery(searches.collection, searches, link="?words=at+night&k=2", out=out)
    assert gallery.query == NIGHT and [len(one) for one in gallery.results.values()] == [2]
    gallery.open_link(link)
    assert Walk(gallery).shown == walk.shown


def test_a_session_keeps_words(walk):
    walk.select(LAKE)
    walk.unlike(NIGHT)
    again = Session.from_json(walk.gallery.session.to_json(), walk.gallery.collection)
    assert again.steps == walk.gallery.session.steps and again.missing == ""
    step = again.steps[-1]
    assert step.own == () and "unlike-words=at+night" in step.link()
    said = describe(step.question, walk.gallery.collection)
    assert said == "Near “a mountain lake”, not like “at night”"
    assert "a mountain lake" in make_table(again) and "a mountain lake" in make_page(again)
    other = Walk(Gallery(walk.gallery.collection, walk.gallery.searches, k=3, query=SPRING))
    other.open_session(walk.gallery.session.to_json())
    assert other.error == "" and other.query == LAKE and other.shown[0] == walk.shown[0]


def test_the_picture_shows_words(walk):
    walk.select(LAKE)
    (ax, *_) = walk.gallery.picture().axes
    assert [one.get_text() for one in ax.texts] == ["“a mountain\nlake”"]


def test_words_that_are_too_many_are_refused(walk):
    walk.select(LAKE)
    walk.like(NIGHT, 1)
    assert walk.error == "" and walk.view["query"]["words"] == "a mountain lake"
    walk.select(IN_WORDS + "lake " * 99)
    assert "is longer than what" in walk.error
