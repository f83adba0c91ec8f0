"""What a visitor of the gallery asks beyond "what is near this"."""

import io
from collections import Counter

import numpy as np
import pytest
from madeup import searches_by_colour
from PIL import Image
from walks import Walk

from artsearch.base.errors import ArtsearchError
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
    return Walk(Gallery(collection, searches, k=5, query=WAVE, network=LITE, out=out))


def artists(state):
    return [state.gallery.collection.work(id)["artist"] for id in state.shown[0]]


def test_nothing_is_asked_in_the_beginning(state):
    ask = state.view["ask"]
    assert not ask["active"] and ask["notes"] == [] and ask["where"] == "" and ask["why"] is None
    assert "artist" in ask["columns"] and "Ukiyo-e" in ask["values"]["style"]
    assert ask["steps"] == 1


def test_a_condition(state, searches):
    state.change(where=HOKUSAI)
    view = state.view
    assert set(artists(state)) == {"Katsushika Hokusai"} and view["ask"]["active"]
    assert view["ask"]["notes"][0] == f"7 of 21 works match {HOKUSAI}."
    expected = searches[LITE, "no_crop"].ask(WAVE, 5, where=HOKUSAI)
    assert state.shown[0] == expected.ids


def test_a_wrong_condition_is_said_and_nothing_changes(state):
    state.change(where=HOKUSAI)
    before = state.shown[0]
    state.change(where='artist == "Hokusay"')
    assert "did you mean 'Katsushika Hokusai'" in state.view["error"]
    assert state.shown[0] == before and state.view["ask"]["where"] == HOKUSAI


def test_a_condition_stays_when_another_work_is_selected(state):
    state.change(where=HOKUSAI)
    state.like(MONA_LISA)
    state.select(LION)
    assert set(artists(state)) == {"Katsushika Hokusai"}
    assert state.view["ask"]["liked"] == []
    state.back()
    assert state.query == WAVE and set(artists(state)) == {"Katsushika Hokusai"}


def test_not_the_same_artist(state):
    state.change(exclude_same=["artist"])
    assert "Katsushika Hokusai" not in artists(state)
    state.change(exclude_same=[])
    assert state.view["ask"]["exclude_same"] == [] and not state.view["ask"]["active"]


def test_near_duplicates_are_left_out(collection, out, paintings, tmp_path):
    for name in (WAVE, LION, MONA_LISA, SPRING):
        (tmp_path / name).write_bytes((paintings / name).read_bytes())
    Image.open(paintings / WAVE).save(tmp_path / "copy.jpg", quality=40)
    works = Collection(tmp_path)
    state = Walk(Gallery(works, searches_by_colour(works), k=3, query=WAVE, network=LITE, out=out))
    assert state.shown[0][0] == "copy.jpg"
    state.change(near_duplicates=False)
    assert "copy.jpg" not in state.shown[0] and len(state.shown[0]) == 3
    assert "near-duplicates" in state.view["ask"]["notes"][0]


def test_the_nearest_in_each(state, collection):
    state.change(group_by="style")
    works = state.view["rows"][0]["works"]
    styles = set(collection.works["style"])
    assert {work["group"] for work in works} == styles and len(works) == len(styles)
    assert all(collection.work(work["id"])["style"] == work["group"] for work in works)
    state.change(group_size=2)
    counts = Counter(work["group"] for work in state.view["rows"][0]["works"])
    sizes = collection.works["style"].value_counts().to_dict() | {"Ukiyo-e": 8}  # itself aside
    assert counts == {style: min(2, size) for style, size in sizes.items()}
    state.change(group_size=0)
    assert "take a whole number from 1" in state.error and state.gallery.question.group_size == 2
    assert read_link(state.view["ask"]["link"])[0].group_size == 2
    state.change(group_by="")
    assert len(state.shown[0]) == 5


def test_several_works_with_weights(state, searches):
    state.like(MONA_LISA, 2)
    state.unlike(LION, 0.5)
    state.like(WAVE, 3)  # the selected work's own weight
    like, unlike = {WAVE: 3, MONA_LISA: 2}, {LION: 0.5}
    expected = searches[LITE, "no_crop"].ask(like, 5, negative=unlike).ids
    ask = state.view["ask"]
    assert state.shown[0] == expected and ask["weight"] == 3
    assert [(one["id"], one["weight"], one["side"]) for one in ask["liked"]] == [
        (MONA_LISA, 2, "like"),
        (LION, 0.5, "unlike"),
    ]
    state.unlike(MONA_LISA)  # from one side to the other
    assert [one["side"] for one in state.view["ask"]["liked"]] == ["unlike", "unlike"]
    state.drop(MONA_LISA)
    state.drop(LION)
    assert state.view["ask"]["liked"] == []
    state.unlike(WAVE)
    assert "select another one first" in state.view["error"]


def test_a_weight_that_is_none(state):
    before = state.shown[0]
    state.like(MONA_LISA, -1)
    assert "take a number above 0" in state.view["error"] and state.shown[0] == before


def test_works_are_left_out(state):
    first, second, *_ = state.shown[0]
    state.exclude(first)
    assert state.shown[0][0] == second
    assert [work["id"] for work in state.view["ask"]["excluded"]] == [first]
    state.drop(first)
    assert state.shown[0][0] == first


def test_a_part_is_cut_out_and_looked_at_once(state, searches, monkeypatch):
    seen = []

    def describe(image):
        seen.append(image.size)
        return searches[LITE, "no_crop"].index.row(MONA_LISA)

    monkeypatch.setattr(searches[LITE, "no_crop"], "describe", describe)
    state.change(region=(0.25, 0, 0.75, 0.5))
    width, height = state.gallery.collection.open(WAVE).size
    assert seen == [(round(0.75 * width) - round(0.25 * width), round(0.5 * height))]
    assert state.shown[0][0] == MONA_LISA and WAVE not in state.shown[0]
    state.change(where='style != "Abstract"')
    assert len(seen) == 1
    state.change(region=(0.5, 0.5, 0.4, 0.9))
    assert "take left, top, right and bottom" in state.view["error"]
    state.change(region=None)
    assert state.view["ask"]["region"] is None


def test_stepping_stones(state, searches):
    state.change(goal=SPRING)
    view = state.view
    expected = searches[LITE, "no_crop"].path(WAVE, SPRING)
    assert state.shown[0] == expected.ids and state.shown[0][-1] == SPRING
    assert view["ask"]["goal"]["id"] == SPRING and "longest step" in view["ask"]["notes"][-1]
    state.open_link(view["ask"]["link"])
    assert state.error == "" and state.shown[0] == expected.ids and state.gallery.goal == SPRING
    state.change(goal=WAVE)
    assert "the same" in state.view["error"]
    state.change(goal="")
    assert len(state.shown[0]) == 5 and state.view["ask"]["goal"] is None


def test_why(state, searches, monkeypatch):
    place = Match((0, 0, 0.5, 0.5), (0.2, 0.2, 0.4, 0.4), 0.8)
    asked = []

    def why(first, second, most=5):
        asked.append((first.size, second))
        return [place]

    monkeypatch.setattr(searches[LITE, "no_crop"], "why", why)
    state.change(why=MONA_LISA)
    said = state.view["ask"]["why"]
    assert said["work"]["id"] == MONA_LISA and said["work"]["image"] == f"image/{MONA_LISA}"
    assert said["matches"] == [
        {"first": [0, 0, 0.5, 0.5], "second": [0.2, 0.2, 0.4, 0.4], "strength": 0.8}
    ]
    assert "finds 1 place" in said["text"] and not state.view["ask"]["active"]
    state.change(k=4)
    assert len(asked) == 1  # remembered
    state.change(why="")
    assert state.view["ask"]["why"] is None


def test_why_by_experiment_is_tried_where_it_is_asked_for(state, searches, monkeypatch):
    search, looks = searches[LITE, "no_crop"], []

    def look_at(image):
        looks.append(image.size)
        return Described(*[search.index.row(LION if len(looks) == 1 else WAVE)] * 2)

    monkeypatch.setattr("artsearch.search.experiment.painter", lambda: lambda image, manner: image)
    monkeypatch.setattr(search, "why", lambda first, second, most=5: [])
    monkeypatch.setattr(search, "look", look_at)
    state.change(why=MONA_LISA)
    assert state.view["ask"]["why"]["tried"] is None and not looks
    state.change(tried=True)
    tried = state.view["ask"]["why"]["tried"]
    ranks = [search.ask(id, 20).ids.index(MONA_LISA) + 1 for id in (WAVE, LION)]
    assert [tried["rank"], tried["trials"][0]["rank"]] == ranks and tried["works"] == 20
    assert [one["how"] for one in tried["trials"][:2]] == ["in grey", "mirrored"]
    assert len(looks) == 7 and state.view["ask"]["why"]["tried"] == tried  # remembered
    state.change(k=4)
    assert state.view["ask"]["why"]["tried"] is None and not state.error


def test_why_of_a_part_lies_in_the_part(state, searches, monkeypatch):
    search = searches[LITE, "no_crop"]
    monkeypatch.setattr(search, "describe", lambda image: search.index.row(MONA_LISA))
    place = Match((0.5, 0, 1, 0.5), (0, 0, 1, 1), 0.8)
    monkeypatch.setattr(search, "why", lambda first, second, most=5: [place])
    state.change(region=(0.2, 0.4, 0.6, 0.8))
    state.change(why=MONA_LISA)
    first = state.view["ask"]["why"]["matches"][0]["first"]
    assert first == pytest.approx([0.4, 0.4, 0.6, 0.6])


def test_why_without_a_network_is_a_sentence(state):
    state.change(why=MONA_LISA)
    assert "does not say which network made it" in state.view["error"]
    assert state.view["ask"]["why"] is None


def test_all_at_once_and_clear(state, searches):
    state.change(where='style != "Abstract"')
    state.change(exclude_same=["artist"])
    state.exclude(LION)
    state.like(MONA_LISA)
    expected = searches[LITE, "no_crop"].ask(
        [WAVE, MONA_LISA], 5, where='style != "Abstract"', exclude_same="artist", exclude=LION
    )
    assert state.shown[0] == expected.ids
    state.clear()
    assert not state.view["ask"]["active"]
    assert state.shown[0] == searches[LITE, "no_crop"].by_work(WAVE, 5).ids


def test_networks_side_by_side_answer_the_question(state):
    state.change(where=HOKUSAI)
    state.change(compare=True)
    for row in state.view["rows"]:
        for work in row["works"]:
            assert work["artist"] == "Katsushika Hokusai"
    assert len(state.view["ask"]["notes"]) == 1  # the same for all: said once


def test_an_image_of_ones_own_is_asked_with_more(state, searches, monkeypatch):
    search = searches[LITE, "no_crop"]
    monkeypatch.setattr(search, "describe", lambda image: search.index.row(MONA_LISA))
    picture = Image.fromarray(np.full((40, 30, 3), 90, np.uint8))
    file = io.BytesIO()
    picture.save(file, "PNG")
    state.upload(file.getvalue(), "mine.png")
    state.change(where=HOKUSAI)
    assert set(artists(state)) == {"Katsushika Hokusai"}
    assert state.view["ask"]["link"] == ""
    state.change(goal=SPRING)
    assert "stepping stones lead from one work of the collection" in state.view["error"]


def test_a_link_opens_the_same_question(state, collection, searches, out):
    state.change(dial=0.25)
    state.change(where=HOKUSAI)
    state.like(MONA_LISA, 2)
    link = state.view["ask"]["link"]
    other = Walk(Gallery(collection, searches, out=out, link=f"http://localhost:8866/{link}"))
    assert other.error == "" and other.shown[0] == state.shown[0]
    assert other.gallery.dial == 0.25 and other.gallery.question == state.gallery.question
    assert other.view["ask"]["link"] == link


@pytest.mark.parametrize(
    "link", ["?like=nobody.jpg", "?k=3", f"?like={WAVE}&network=vg16", f"?like={WAVE}&dial=x"]
)
def test_a_link_that_cannot_be_opened_is_a_sentence(state, link):
    before = state.view
    with pytest.raises(ArtsearchError, match="This link cannot be opened: "):
        state.open_link(link)
    assert state.hear() == before


def test_an_unknown_word_in_a_link_is_named_with_the_choices(state):
    said = "unknown word in the link 'wher'; did you mean 'where'[?] known: like, like-weight, "
    with pytest.raises(ArtsearchError, match=said):
        state.open_link(f"?like={WAVE}&wher=style")


def test_the_address_of_the_app_is_opened(collection, searches, out, monkeypatch):
    monkeypatch.setenv("QUERY_STRING", f"theme=dark&like={SPRING}&k=3&voila-template=artsearch")
    gallery = Gallery(collection, searches, out=out)
    assert gallery.query == SPRING and [len(one) for one in gallery.results.values()] == [3]
    monkeypatch.setenv("QUERY_STRING", "theme=dark")
    assert Gallery(collection, searches, query=WAVE, out=out).opening["error"] == ""


def test_a_session_is_kept_saved_and_opened_again(state, collection, searches, out):
    state.change(where=HOKUSAI)
    state.keep(state.shown[0][0])
    state.keep(LION)
    state.keep(LION, False)
    kept = state.view["ask"]["kept"]
    assert kept == [state.shown[0][0]] and state.view["ask"]["steps"] == 2
    other = Walk(Gallery(collection, searches, out=out))
    other.open_session(state.gallery.session.to_json())
    assert other.view["ask"]["kept"] == kept and other.query == WAVE
    assert other.gallery.question.where == HOKUSAI and other.shown[0] == state.shown[0]


def test_a_session_that_is_none_is_a_sentence(state):
    before = state.view["ask"]
    for text in ("", "{}", "[]", '{"version": 99}', "\x00"):
        state.open_session(text)
        assert "cannot be opened" in state.view["error"]
    assert state.view["ask"] == before


def test_all_that_is_asked_at_once(state):
    for what in (
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
        assert state.act(**what)["error"] == "", what
    asked = state.gallery.question
    assert (
        asked.where == HOKUSAI
        and not asked.near_duplicates
        and asked.positive[1:] == ((MONA_LISA, 2.0),)
    )
    assert asked.exclude == (SPRING,) and list(state.gallery.session.kept) == [LION]
    files = {}
    for kind in ("json", "csv", "html"):
        state.session(kind)
        files |= state.saved
    assert all(files.values()) and len(files) == 3
    state.clear()
    state.open_session(files["session.json"])
    assert state.error == "" and state.gallery.question.where == HOKUSAI
    for what in ({"do": "like", "id": LION, "weight": 0}, {"do": "change", "region": "x"}):
        assert state.act(**what)["error"]


def test_a_table_of_groups_has_the_group(state):
    state.change(group_by="style")
    table = state.gallery.table()
    assert (table["group"] == table["style"]).all()


def test_copies_of_a_work_are_left_out_of_what_is_like_a_part_of_it(tmp_path, paintings, out):
    for name in (WAVE, LION, MONA_LISA, SPRING):
        (tmp_path / name).write_bytes((paintings / name).read_bytes())
    Image.open(paintings / WAVE).save(tmp_path / "copy.jpg", quality=40)
    works = Collection(tmp_path)
    searches = searches_by_colour(works)
    searches[LITE, "no_crop"].describe = lambda image: searches[LITE, "no_crop"].index.row(LION)
    state = Walk(Gallery(works, searches, k=4, query=WAVE, network=LITE, out=out))
    state.change(region=(0, 0, 0.5, 0.5))
    assert "copy.jpg" in state.shown[0]
    state.change(near_duplicates=False)
    assert state.error == "" and "copy.jpg" not in state.shown[0]
