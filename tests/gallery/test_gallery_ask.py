"""What a visitor of the gallery asks beyond "what is near this"."""

import io
from collections import Counter

import numpy as np
import pytest
from madeup import searches_by_colour
from PIL import Image

from artsearch.gallery.state import GalleryState
from artsearch.gallery.view import make_view as look
from artsearch.gallery.view import results
from artsearch.gallery.widget import Gallery
from artsearch.search.matches import Match
from artsearch.search.question import read_link
from artsearch.search.results import Described
from artsearch.works.collection import Collection

LITE = "efficientnet_lite0"
WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
MONA_LISA = "leonardo-da-vinci_mona-lisa.jpg"
LION = "albrecht-durer_lion.jpg"
SPRING = "giuseppe-arcimboldo_spring.jpg"
HOKUSAI = 'artist == "Katsushika Hokusai"'


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection, dial=True)


@pytest.fixture
def state(collection, searches, out):
    return GalleryState(collection, searches, k=5, query=WAVE, network=LITE, out=out)


def shown(state):
    """Return the ids of the works in the first row."""
    return [work["id"] for work in look(state)["rows"][0]["works"]]


def artists(state):
    return [state.collection.work(id)["artist"] for id in shown(state)]


def test_nothing_is_asked_in_the_beginning(state):
    ask = look(state)["ask"]
    assert not ask["active"] and ask["notes"] == [] and ask["where"] == "" and ask["why"] is None
    assert "artist" in ask["columns"] and "Ukiyo-e" in ask["values"]["style"]
    assert ask["steps"] == 1


def test_a_condition(state, searches):
    state.change(where=HOKUSAI)
    view = look(state)
    assert set(artists(state)) == {"Katsushika Hokusai"} and view["ask"]["active"]
    assert view["ask"]["notes"][0] == f"7 of 21 works match {HOKUSAI}."
    expected = searches[LITE, "no_crop"].ask(WAVE, 5, where=HOKUSAI)
    assert shown(state) == expected.ids


def test_a_wrong_condition_is_said_and_nothing_changes(state):
    state.change(where=HOKUSAI)
    before = shown(state)
    state.change(where='artist == "Hokusay"')
    assert "did you mean 'Katsushika Hokusai'" in look(state)["error"]
    assert shown(state) == before and look(state)["ask"]["where"] == HOKUSAI


def test_a_condition_stays_when_another_work_is_selected(state):
    state.change(where=HOKUSAI)
    state.like(MONA_LISA)
    state.select(LION)
    assert set(artists(state)) == {"Katsushika Hokusai"}
    assert look(state)["ask"]["liked"] == []
    state.back()
    assert state.query == WAVE and set(artists(state)) == {"Katsushika Hokusai"}


def test_not_the_same_artist(state):
    state.change(exclude_same=["artist"])
    assert "Katsushika Hokusai" not in artists(state)
    state.change(exclude_same=[])
    assert look(state)["ask"]["exclude_same"] == [] and not look(state)["ask"]["active"]


def test_near_duplicates_are_left_out(collection, out, paintings, tmp_path):
    for name in (WAVE, LION, MONA_LISA, SPRING):
        (tmp_path / name).write_bytes((paintings / name).read_bytes())
    Image.open(paintings / WAVE).save(tmp_path / "copy.jpg", quality=40)
    works = Collection(tmp_path)
    state = GalleryState(works, searches_by_colour(works), k=3, query=WAVE, network=LITE, out=out)
    assert shown(state)[0] == "copy.jpg"
    state.change(near_duplicates=False)
    assert "copy.jpg" not in shown(state) and len(shown(state)) == 3
    assert "near-duplicates" in look(state)["ask"]["notes"][0]


def test_the_nearest_in_each(state, collection):
    state.change(group_by="style")
    works = look(state)["rows"][0]["works"]
    styles = set(collection.works["style"])
    assert {work["group"] for work in works} == styles and len(works) == len(styles)
    assert all(collection.work(work["id"])["style"] == work["group"] for work in works)
    state.change(group_size=2)
    counts = Counter(work["group"] for work in look(state)["rows"][0]["works"])
    sizes = collection.works["style"].value_counts().to_dict() | {"Ukiyo-e": 8}  # itself aside
    assert counts == {style: min(2, size) for style, size in sizes.items()}
    state.change(group_size=0)
    assert "take a whole number from 1" in state.error and state.now.question.group_size == 2
    assert read_link(look(state)["ask"]["link"])[0].group_size == 2
    state.change(group_by="")
    assert len(shown(state)) == 5


def test_several_works_with_weights(state, searches):
    state.like(MONA_LISA, 2)
    state.unlike(LION, 0.5)
    state.like(WAVE, 3)  # the selected work's own weight
    like, unlike = {WAVE: 3, MONA_LISA: 2}, {LION: 0.5}
    expected = searches[LITE, "no_crop"].ask(like, 5, negative=unlike).ids
    ask = look(state)["ask"]
    assert shown(state) == expected and ask["weight"] == 3
    assert [(one["id"], one["weight"], one["side"]) for one in ask["liked"]] == [
        (MONA_LISA, 2, "like"),
        (LION, 0.5, "unlike"),
    ]
    state.unlike(MONA_LISA)  # from one side to the other
    assert [one["side"] for one in look(state)["ask"]["liked"]] == ["unlike", "unlike"]
    state.drop(MONA_LISA)
    state.drop(LION)
    assert look(state)["ask"]["liked"] == []
    state.unlike(WAVE)
    assert "select another one first" in look(state)["error"]


def test_a_weight_that_is_none(state):
    before = shown(state)
    state.like(MONA_LISA, -1)
    assert "take a number above 0" in look(state)["error"] and shown(state) == before


def test_works_are_left_out(state):
    first, second, *_ = shown(state)
    state.exclude(first)
    assert shown(state)[0] == second
    assert [work["id"] for work in look(state)["ask"]["excluded"]] == [first]
    state.drop(first)
    assert shown(state)[0] == first


def test_a_part_is_cut_out_and_looked_at_once(state, searches, monkeypatch):
    seen = []

    def describe(image):
        seen.append(image.size)
        return searches[LITE, "no_crop"].index.row(MONA_LISA)

    monkeypatch.setattr(searches[LITE, "no_crop"], "describe", describe)
    state.change(region=(0.25, 0, 0.75, 0.5))
    width, height = state.collection.open(WAVE).size
    assert seen == [(round(0.75 * width) - round(0.25 * width), round(0.5 * height))]
    assert shown(state)[0] == MONA_LISA and WAVE not in shown(state)
    state.change(where='style != "Abstract"')
    assert len(seen) == 1
    state.change(region=(0.5, 0.5, 0.4, 0.9))
    assert "take left, top, right and bottom" in look(state)["error"]
    state.change(region=None)
    assert look(state)["ask"]["region"] is None


def test_stepping_stones(state, searches):
    state.change(goal=SPRING)
    view = look(state)
    expected = searches[LITE, "no_crop"].path(WAVE, SPRING)
    assert shown(state) == expected.ids and shown(state)[-1] == SPRING
    assert view["ask"]["goal"]["id"] == SPRING and "longest step" in view["ask"]["notes"][-1]
    state.open_link(view["ask"]["link"])
    assert state.error == "" and shown(state) == expected.ids and state.now.goal == SPRING
    state.change(goal=WAVE)
    assert "the same" in look(state)["error"]
    state.change(goal="")
    assert len(shown(state)) == 5 and look(state)["ask"]["goal"] is None


def test_why(state, searches, monkeypatch):
    place = Match((0, 0, 0.5, 0.5), (0.2, 0.2, 0.4, 0.4), 0.8)
    asked = []

    def why(first, second, most=5):
        asked.append((first.size, second))
        return [place]

    monkeypatch.setattr(searches[LITE, "no_crop"], "why", why)
    state.change(why=MONA_LISA)
    said = look(state)["ask"]["why"]
    assert said["work"]["id"] == MONA_LISA and said["work"]["image"] == f"image/{MONA_LISA}"
    assert said["matches"] == [
        {"first": (0, 0, 0.5, 0.5), "second": (0.2, 0.2, 0.4, 0.4), "strength": 0.8}
    ]
    assert "finds 1 place" in said["text"] and not look(state)["ask"]["active"]
    state.change(k=4)
    assert len(asked) == 1  # remembered
    state.change(why="")
    assert look(state)["ask"]["why"] is None


def test_why_by_experiment_is_tried_where_it_is_asked_for(state, searches, monkeypatch):
    search, looks = searches[LITE, "no_crop"], []

    def look_at(image):
        looks.append(image.size)
        return Described(*[search.index.row(LION if len(looks) == 1 else WAVE)] * 2)

    monkeypatch.setattr("artsearch.search.experiment.painter", lambda: lambda image, manner: image)
    monkeypatch.setattr(search, "why", lambda first, second, most=5: [])
    monkeypatch.setattr(search, "look", look_at)
    state.change(why=MONA_LISA)
    assert look(state)["ask"]["why"]["tried"] is None and not looks
    state.change(tried=True)
    tried = look(state)["ask"]["why"]["tried"]
    ranks = [search.ask(id, 20).ids.index(MONA_LISA) + 1 for id in (WAVE, LION)]
    assert [tried["rank"], tried["trials"][0]["rank"]] == ranks and tried["works"] == 20
    assert [one["how"] for one in tried["trials"][:2]] == ["in grey", "mirrored"]
    assert len(looks) == 7 and look(state)["ask"]["why"]["tried"] == tried  # remembered
    state.change(k=4)
    assert look(state)["ask"]["why"]["tried"] is None and not state.error


def test_why_of_a_part_lies_in_the_part(state, searches, monkeypatch):
    search = searches[LITE, "no_crop"]
    monkeypatch.setattr(search, "describe", lambda image: search.index.row(MONA_LISA))
    place = Match((0.5, 0, 1, 0.5), (0, 0, 1, 1), 0.8)
    monkeypatch.setattr(search, "why", lambda first, second, most=5: [place])
    state.change(region=(0.2, 0.4, 0.6, 0.8))
    state.change(why=MONA_LISA)
    first = look(state)["ask"]["why"]["matches"][0]["first"]
    assert first == pytest.approx([0.4, 0.4, 0.6, 0.6])


def test_why_without_a_network_is_a_sentence(state):
    state.change(why=MONA_LISA)
    assert "does not say which network made it" in look(state)["error"]
    assert look(state)["ask"]["why"] is None


def test_all_at_once_and_clear(state, searches):
    state.change(where='style != "Abstract"')
    state.change(exclude_same=["artist"])
    state.exclude(LION)
    state.like(MONA_LISA)
    expected = searches[LITE, "no_crop"].ask(
        [WAVE, MONA_LISA], 5, where='style != "Abstract"', exclude_same="artist", exclude=LION
    )
    assert shown(state) == expected.ids
    state.clear()
    assert not look(state)["ask"]["active"]
    assert shown(state) == searches[LITE, "no_crop"].by_work(WAVE, 5).ids


def test_networks_side_by_side_answer_the_question(state):
    state.change(where=HOKUSAI)
    state.change(compare=True)
    for row in look(state)["rows"]:
        for work in row["works"]:
            assert work["artist"] == "Katsushika Hokusai"
    assert len(look(state)["ask"]["notes"]) == 1  # the same for all: said once


def test_an_image_of_ones_own_is_asked_with_more(state, searches, monkeypatch):
    search = searches[LITE, "no_crop"]
    monkeypatch.setattr(search, "describe", lambda image: search.index.row(MONA_LISA))
    picture = Image.fromarray(np.full((40, 30, 3), 90, np.uint8))
    file = io.BytesIO()
    picture.save(file, "PNG")
    state.upload(file.getvalue(), "mine.png")
    state.change(where=HOKUSAI)
    assert set(artists(state)) == {"Katsushika Hokusai"}
    assert look(state)["ask"]["link"] == ""
    state.change(goal=SPRING)
    assert "stepping stones lead from one work of the collection" in look(state)["error"]


def test_a_link_opens_the_same_question(state, collection, searches, out):
    state.change(dial=0.25)
    state.change(where=HOKUSAI)
    state.like(MONA_LISA, 2)
    link = look(state)["ask"]["link"]
    other = GalleryState(collection, searches, out=out, link=f"http://localhost:8866/{link}")
    assert other.error == "" and shown(other) == shown(state)
    assert other.now.dial == 0.25 and other.now.question == state.now.question
    assert look(other)["ask"]["link"] == link


@pytest.mark.parametrize(
    "link", ["?like=nobody.jpg", "?k=3", f"?like={WAVE}&network=vg16", f"?like={WAVE}&dial=x"]
)
def test_a_link_that_cannot_be_opened_is_a_sentence(state, link):
    before = shown(state)
    state.open_link(link)
    assert look(state)["error"] and shown(state) == before and state.query == WAVE


def test_an_unknown_word_in_a_link_is_named_with_the_choices(state):
    state.open_link(f"?like={WAVE}&wher=style")
    assert look(state)["error"].startswith(
        "This link cannot be opened: unknown word in the link 'wher'; did you mean 'where'? known: "
        "like, like-weight, unlike, "
    )


def test_the_address_of_the_app_is_opened(collection, searches, out, monkeypatch):
    monkeypatch.setenv("QUERY_STRING", f"theme=dark&like={SPRING}&k=3&voila-template=artsearch")
    gallery = Gallery(collection, searches, out=out)
    assert gallery.state.query == SPRING and len(shown(gallery.state)) == 3
    monkeypatch.setenv("QUERY_STRING", "theme=dark")
    assert Gallery(collection, searches, query=WAVE, out=out).state.error == ""


def test_a_session_is_kept_saved_and_opened_again(state, collection, searches, out):
    state.change(where=HOKUSAI)
    state.keep(shown(state)[0])
    state.keep(LION)
    state.keep(LION, False)
    kept = look(state)["ask"]["kept"]
    assert kept == [shown(state)[0]] and look(state)["ask"]["steps"] == 2
    other = GalleryState(collection, searches, out=out)
    other.open_session(state.session.to_json())
    assert look(other)["ask"]["kept"] == kept and other.query == WAVE
    assert other.now.question.where == HOKUSAI and shown(other) == shown(state)


def test_a_session_that_is_none_is_a_sentence(state):
    before = look(state)["ask"]
    for text in ("", "{}", "[]", '{"version": 99}', "\x00"):
        state.open_session(text)
        assert "cannot be opened" in look(state)["error"]
    assert look(state)["ask"] == before


def test_messages_of_the_browser(collection, searches, out):
    gallery = Gallery(collection, searches, k=5, query=WAVE, network=LITE, out=out)
    sent = []
    gallery.send = lambda message, buffers=None: sent.append((message, buffers))
    for message in (
        {"do": "change", "where": HOKUSAI},
        {"do": "change", "exclude_same": []},
        {"do": "change", "near_duplicates": False},
        {"do": "change", "group_by": ""},
        {"do": "like", "id": MONA_LISA, "weight": 2},
        {"do": "unlike", "id": LION, "weight": 1},
        {"do": "exclude", "id": SPRING},
        {"do": "drop", "id": LION},
        {"do": "keep", "id": LION, "on": True},
    ):
        gallery._heed(None, message, [])
        assert gallery.view["error"] == "", message
    asked = gallery.state.now.question
    assert (
        asked.where == HOKUSAI
        and not asked.near_duplicates
        and asked.positive[1:] == ((MONA_LISA, 2.0),)
    )
    assert asked.exclude == (SPRING,) and list(gallery.state.session.kept) == [LION]
    for kind in ("json", "csv", "html"):
        gallery._heed(None, {"do": "session", "format": kind}, [])
        message, (data,) = sent[-1]
        assert message["save"] == f"session.{kind}" and data
    gallery._heed(None, {"do": "clear"}, [])
    gallery._heed(None, {"do": "open"}, [sent[-3][1][0]])
    assert gallery.view["error"] == "" and gallery.state.now.question.where == HOKUSAI
    for message in ({"do": "like", "id": [], "weight": {}}, {"do": "change", "region": "x"}):
        gallery._heed(None, message, [])
        assert gallery.view["error"]


def test_a_table_of_groups_has_the_group(state):
    state.change(group_by="style")
    table = results(state)
    assert (table["group"] == table["style"]).all()


def test_copies_of_a_work_are_left_out_of_what_is_like_a_part_of_it(tmp_path, paintings, out):
    for name in (WAVE, LION, MONA_LISA, SPRING):
        (tmp_path / name).write_bytes((paintings / name).read_bytes())
    Image.open(paintings / WAVE).save(tmp_path / "copy.jpg", quality=40)
    works = Collection(tmp_path)
    searches = searches_by_colour(works)
    searches[LITE, "no_crop"].describe = lambda image: searches[LITE, "no_crop"].index.row(LION)
    state = GalleryState(works, searches, k=4, query=WAVE, network=LITE, out=out)
    state.change(region=(0, 0, 0.5, 0.5))
    assert "copy.jpg" in shown(state)
    state.change(near_duplicates=False)
    assert state.error == "" and "copy.jpg" not in shown(state)
