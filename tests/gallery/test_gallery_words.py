"""Words in the gallery: selected, liked and not liked, in the trail, in links and in sessions."""

import pytest

from artsearch.gallery.moment import IN_WORDS
from artsearch.gallery.session import Session
from artsearch.gallery.session_page import make_page
from artsearch.gallery.session_table import describe, make_table
from artsearch.gallery.state import GalleryState
from artsearch.gallery.view import make_view as look
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
    return GalleryState(searches.collection, searches, k=3, query=WAVE, out=out)


def shown(state):
    return [work["id"] for work in look(state)["rows"][0]["works"]]


def ask(state, *things, **more):
    """Return what the search itself answers."""
    return state.searches[state.now.network, "no_crop"].ask(*things, 3, **more).ids


def test_words_are_selected_as_a_work_is(state):
    state.select(IN_WORDS + " a mountain\n lake ")
    view = look(state)
    assert view["error"] == "" and state.query == LAKE
    assert shown(state) == ask(state, Words("a mountain lake"))
    query = view["query"]
    assert (query["words"], query["title"]) == ("a mountain lake", "“a mountain lake”")
    assert query["thumb"] == query["image"] == "" and not view["ask"]["active"]
    assert [work["id"] for work in view["history"]["works"]] == [WAVE, LAKE]
    state.back()
    assert state.query == WAVE and shown(state) == ask(state, WAVE)
    state.forward()
    assert shown(state) == ask(state, Words("a mountain lake"))


def test_words_stand_beside_a_work_with_weights(state):
    state.like(NIGHT, 0.5)
    state.unlike(LAKE)
    assert shown(state) == ask(
        state, [WAVE, (Words("at night"), 0.5)], negative=Words("a mountain lake")
    )
    liked = look(state)["ask"]["liked"]
    assert [(one["words"], one["side"], one["weight"]) for one in liked] == [
        ("at night", "like", 0.5),
        ("a mountain lake", "unlike", 1),
    ]
    state.like(WAVE, 2)
    state.drop(LAKE)
    assert shown(state) == ask(state, [(WAVE, 2), (Words("at night"), 0.5)])
    state.select(SPRING)
    assert state.now.question == state.now.plain


def test_a_work_is_liked_beside_words(state):
    state.select(LAKE)
    state.like(SPRING)
    state.like(LAKE, 3)
    assert shown(state) == ask(state, [SPRING, (Words("a mountain lake"), 3)])
    view = look(state)
    assert view["ask"]["weight"] == 3 and [one["id"] for one in view["ask"]["liked"]] == [SPRING]
    state.unlike(LAKE)
    assert "The selected work is what is asked for" in state.error
    state.change(where='artist == "Katsushika Hokusai"')
    assert set(shown(state)) <= set(state.collection.ids) - {SPRING}


def test_words_are_offered_where_the_network_takes_them(state):
    assert look(state)["ask"]["in_words"] == IN_WORDS
    state.change(network=LITE)
    assert look(state)["ask"]["in_words"] == ""
    before = shown(state)
    state.select(LAKE)
    assert state.error.startswith(f"{LITE} takes no words; take a network that does")
    assert shown(state) == before and state.query == WAVE


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
    assert said in state.error and state.now.why == state.now.goal == ""


def test_a_link_of_words_opens_on_them(state, searches, out):
    state.select(LAKE)
    state.like(WAVE)
    link = look(state)["ask"]["link"]
    assert read_link(link)[0] == Question([WAVE], words=[("a mountain lake", 1)], k=3)
    gallery = Gallery(searches.collection, searches, link="?words=at+night&k=2", out=out)
    assert gallery.state.query == NIGHT and len(shown(gallery.state)) == 2
    gallery.state.open_link(link)
    assert gallery.view["error"] == "" and shown(gallery.state) == shown(state)


def test_a_session_keeps_words(state):
    state.select(LAKE)
    state.unlike(NIGHT)
    again = Session.from_json(state.session.to_json(), state.collection)
    assert again.steps == state.session.steps and again.missing == ""
    step = again.steps[-1]
    assert step.own == () and "unlike-words=at+night" in step.link()
    said = describe(step.question, state.collection)
    assert said == "Near “a mountain lake”, not like “at night”"
    assert "a mountain lake" in make_table(again) and "a mountain lake" in make_page(again)
    other = GalleryState(state.collection, state.searches, k=3, query=SPRING)
    other.open_session(state.session.to_json())
    assert other.error == "" and other.query == LAKE and shown(other) == shown(state)


def test_the_picture_shows_words(state):
    state.select(LAKE)
    (ax, *_) = state.picture().axes
    assert [one.get_text() for one in ax.texts] == ["“a mountain\nlake”"]


def test_words_come_from_the_browser(searches, out):
    gallery = Gallery(searches.collection, searches, query=WAVE, out=out)
    gallery._heed(None, {"do": "select", "id": LAKE}, [])
    gallery._heed(None, {"do": "like", "id": NIGHT, "weight": 1}, [])
    assert gallery.view["error"] == "" and gallery.view["query"]["words"] == "a mountain lake"
    gallery._heed(None, {"do": "select", "id": IN_WORDS + "lake " * 99}, [])
    assert "is longer than what" in gallery.view["error"]
