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
def state(searches, out):
    return Walk(Gallery(searches.collection, searches, k=3, query=WAVE, out=out))


def ask(state, *things, **more):
    """Return what the search itself answers."""
    return state.gallery.searches[state.gallery.network, "no_crop"].ask(*things, 3, **more).ids


def test_words_are_selected_as_a_work_is(state):
    state.select(IN_WORDS + " a mountain\n lake ")
    view = state.view
    assert view["error"] == "" and state.query == LAKE
    assert state.shown[0] == ask(state, Words("a mountain lake"))
    query = view["query"]
    assert (query["words"], query["title"]) == ("a mountain lake", "“a mountain lake”")
    assert query["thumb"] == query["image"] == "" and not view["ask"]["active"]
    assert [work["id"] for work in view["history"]["works"]] == [WAVE, LAKE]
    state.back()
    assert state.query == WAVE and state.shown[0] == ask(state, WAVE)
    state.forward()
    assert state.shown[0] == ask(state, Words("a mountain lake"))


def test_words_stand_beside_a_work_with_weights(state):
    state.like(NIGHT, 0.5)
    state.unlike(LAKE)
    assert state.shown[0] == ask(
        state, [WAVE, (Words("at night"), 0.5)], negative=Words("a mountain lake")
    )
    liked = state.view["ask"]["liked"]
    assert [(one["words"], one["side"], one["weight"]) for one in liked] == [
        ("at night", "like", 0.5),
        ("a mountain lake", "unlike", 1),
    ]
    state.like(WAVE, 2)
    state.drop(LAKE)
    assert state.shown[0] == ask(state, [(WAVE, 2), (Words("at night"), 0.5)])
    state.select(SPRING)
    assert not state.view["ask"]["active"]


def test_a_work_is_liked_beside_words(state):
    state.select(LAKE)
    state.like(SPRING)
    state.like(LAKE, 3)
    assert state.shown[0] == ask(state, [SPRING, (Words("a mountain lake"), 3)])
    view = state.view
    assert view["ask"]["weight"] == 3 and [one["id"] for one in view["ask"]["liked"]] == [SPRING]
    state.unlike(LAKE)
    assert "The selected work is what is asked for" in state.error
    state.change(where='artist == "Katsushika Hokusai"')
    assert set(state.shown[0]) <= set(state.gallery.collection.ids) - {SPRING}


def test_words_are_offered_where_the_network_takes_them(state):
    assert state.view["ask"]["in_words"] == IN_WORDS
    state.change(network=LITE)
    assert state.view["ask"]["in_words"] == ""
    before = state.shown[0]
    state.select(LAKE)
    assert state.error.startswith(f"{LITE} takes no words; take a network that does")
    assert state.shown[0] == before and state.query == WAVE


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"why": WAVE}, "words have no places"),
        ({"goal": WAVE}, "stepping stones lead from one work"),
    ],
)
def test_what_words_cannot_is_said(state, choice, said):
    state.select(LAKE)
    state.change(**choice)
    assert said in state.error and state.state["why"] == state.gallery.goal == ""


def test_a_link_of_words_opens_on_them(state, searches, out):
    state.select(LAKE)
    state.like(WAVE)
    link = state.view["ask"]["link"]
    assert read_link(link)[0] == Question([WAVE], words=[("a mountain lake", 1)], k=3)
    gallery = Gallery(searches.collection, searches, link="?words=at+night&k=2", out=out)
    assert gallery.query == NIGHT and [len(one) for one in gallery.results.values()] == [2]
    gallery.open_link(link)
    assert Walk(gallery).shown == state.shown


def test_a_session_keeps_words(state):
    state.select(LAKE)
    state.unlike(NIGHT)
    again = Session.from_json(state.gallery.session.to_json(), state.gallery.collection)
    assert again.steps == state.gallery.session.steps and again.missing == ""
    step = again.steps[-1]
    assert step.own == () and "unlike-words=at+night" in step.link()
    said = describe(step.question, state.gallery.collection)
    assert said == "Near “a mountain lake”, not like “at night”"
    assert "a mountain lake" in make_table(again) and "a mountain lake" in make_page(again)
    other = Walk(Gallery(state.gallery.collection, state.gallery.searches, k=3, query=SPRING))
    other.open_session(state.gallery.session.to_json())
    assert other.error == "" and other.query == LAKE and other.shown[0] == state.shown[0]


def test_the_picture_shows_words(state):
    state.select(LAKE)
    (ax, *_) = state.gallery.picture().axes
    assert [one.get_text() for one in ax.texts] == ["“a mountain\nlake”"]


def test_words_that_are_too_many_are_refused(state):
    state.select(LAKE)
    state.like(NIGHT, 1)
    assert state.error == "" and state.view["query"]["words"] == "a mountain lake"
    state.select(IN_WORDS + "lake " * 99)
    assert "is longer than what" in state.error
