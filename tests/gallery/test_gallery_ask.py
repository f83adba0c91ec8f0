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
def walk(collection, searches, out):
    return Walk(Gallery(collection, searches, k=5, query=WAVE, network=LITE, out=out))


def artists(walk):
    return [walk.gallery.collection.work(id)["artist"] for id in walk.shown[0]]


def test_nothing_is_asked_in_the_beginning(walk):
    ask = walk.view["ask"]
    assert not ask["active"] and ask["notes"] == [] and ask["where"] == "" and ask["why"] is None
    assert "artist" in ask["columns"] and "Ukiyo-e" in ask["values"]["style"]
    assert ask["steps"] == 1


def test_a_condition(walk, searches):
    walk.change(where=HOKUSAI)
    view = walk.view
    assert set(artists(walk)) == {"Katsushika Hokusai"} and view["ask"]["active"]
    assert view["ask"]["notes"][0] == f"7 of 21 works match {HOKUSAI}."
    expected = searches[LITE, "no_crop"].ask(WAVE, 5, where=HOKUSAI)
    assert walk.shown[0] == expected.ids


def test_a_wrong_condition_is_said_and_nothing_changes(walk):
    walk.change(where=HOKUSAI)
    before = walk.shown[0]
    walk.change(where='artist == "Hokusay"')
    assert "did you mean 'Katsushika Hokusai'" in walk.view["error"]
    assert walk.shown[0] == before and walk.view["ask"]["where"] == HOKUSAI


def test_a_condition_stays_when_another_work_is_selected(walk):
    walk.change(where=HOKUSAI)
    walk.like(MONA_LISA)
    walk.select(LION)
    assert set(artists(walk)) == {"Katsushika Hokusai"}
    assert walk.view["ask"]["liked"] == []
    walk.back()
    assert walk.query == WAVE and set(artists(walk)) == {"Katsushika Hokusai"}


def test_not_the_same_artist(walk):
    walk.change(exclude_same=["artist"])
    assert "Katsushika Hokusai" not in artists(walk)
    walk.change(exclude_same=[])
    assert walk.view["ask"]["exclude_same"] == [] and not walk.view["ask"]["active"]


def test_near_duplicates_are_left_out(collection, out, paintings, tmp_path):
    for name in (WAVE, LION, MONA_LISA, SPRING):
        (tmp_path / name).write_bytes((paintings / name).read_bytes())
    Image.open(paintings / WAVE).save(tmp_path / "copy.jpg", quality=40)
    works = Collection(tmp_path)
    walk = Walk(Gallery(works, searches_by_colour(works), k=3, query=WAVE, network=LITE, out=out))
    assert walk.shown[0][0] == "copy.jpg"
    walk.change(near_duplicates=False)
    assert "copy.jpg" not in walk.shown[0] and len(walk.shown[0]) == 3
    assert "near-duplicates" in walk.view["ask"]["notes"][0]


def test_the_nearest_in_each(walk, collection):
    walk.change(group_by="style")
    works = walk.view["rows"][0]["works"]
    styles = set(collection.works["style"])
    assert {work["group"] for work in works} == styles and len(works) == len(styles)
    assert all(collection.work(work["id"])["style"] == work["group"] for work in works)
    walk.change(group_size=2)
    counts = Counter(work["group"] for work in walk.view["rows"][0]["works"])
    sizes = collection.works["style"].value_counts().to_dict() | {"Ukiyo-e": 8}  # itself aside
    assert counts == {style: min(2, size) for style, size in sizes.items()}
    walk.change(group_size=0)
    assert "take a whole number from 1" in walk.error and walk.gallery.question.group_size == 2
    assert read_link(walk.view["ask"]["link"])[0].group_size == 2
    walk.change(group_by="")
    assert len(walk.shown[0]) == 5


def test_several_works_with_weights(walk, searches):
    walk.like(MONA_LISA, 2)
    walk.unlike(LION, 0.5)
    walk.like(WAVE, 3)  # the selected work's own weight
    like, unlike = {WAVE: 3, MONA_LISA: 2}, {LION: 0.5}
    expected = searches[LITE, "no_crop"].ask(like, 5, negative=unlike).ids
    ask = walk.view["ask"]
    assert walk.shown[0] == expected and ask["weight"] == 3
    assert [(one["id"], one["weight"], one["side"]) for one in ask["liked"]] == [
        (MONA_LISA, 2, "like"),
        (LION, 0.5, "unlike"),
    ]
    walk.unlike(MONA_LISA)  # from one side to the other
    assert [one["side"] for one in walk.view["ask"]["liked"]] == ["unlike", "unlike"]
    walk.drop(MONA_LISA)
    walk.drop(LION)
    assert walk.view["ask"]["liked"] == []
    walk.unlike(WAVE)
    assert "select another one first" in walk.view["error"]


def test_a_weight_that_is_none(walk):
    before = walk.shown[0]
    walk.like(MONA_LISA, -1)
    assert "take a number above 0" in walk.view["error"] and walk.shown[0] == before


def test_works_are_left_out(walk):
    first, second, *_ = walk.shown[0]
    walk.exclude(first)
    assert walk.shown[0][0] == second
    assert [work["id"] for work in walk.view["ask"]["excluded"]] == [first]
    walk.drop(first)
    assert walk.shown[0][0] == first


def test_a_part_is_cut_out_and_looked_at_once(walk, searches, monkeypatch):
    seen = []

    def describe(image):
        seen.append(image.size)
        return searches[LITE, "no_crop"].index.row(MONA_LISA)

    monkeypatch.setattr(searches[LITE, "no_crop"], "describe", describe)
    walk.change(region=(0.25, 0, 0.75, 0.5))
    width, height = walk.gallery.collection.open(WAVE).size
    assert seen == [(round(0.75 * width) - round(0.25 * width), round(0.5 * height))]
    assert walk.shown[0][0] == MONA_LISA and WAVE not in walk.shown[0]
    walk.change(where='style != "Abstract"')
    assert len(seen) == 1
    walk.change(region=(0.5, 0.5, 0.4, 0.9))
    assert "take left, top, right and bottom" in walk.view["error"]
    walk.change(region=None)
    assert walk.view["ask"]["region"] is None


def test_stepping_stones(walk, searches):
    walk.change(goal=SPRING)
    view = walk.view
    expected = searches[LITE, "no_crop"].path(WAVE, SPRING)
    assert walk.shown[0] == expected.ids and walk.shown[0][-1] == SPRING
    assert view["ask"]["goal"]["id"] == SPRING and "longest step" in view["ask"]["notes"][-1]
    walk.open_link(view["ask"]["link"])
    assert walk.error == "" and walk.shown[0] == expected.ids and walk.gallery.goal == SPRING
    walk.change(goal=WAVE)
    assert "the same" in walk.view["error"]
    walk.change(goal="")
    assert len(walk.shown[0]) == 5 and walk.view["ask"]["goal"] is None


def test_why(walk, searches, monkeypatch):
    place = Match((0, 0, 0.5, 0.5), (0.2, 0.2, 0.4, 0.4), 0.8)
    asked = []

    def why(first, second, most=5):
        asked.append((first.size, second))
        return [place]

    monkeypatch.setattr(searches[LITE, "no_crop"], "why", why)
    walk.change(why=MONA_LISA)
    said = walk.view["ask"]["why"]
    assert said["work"]["id"] == MONA_LISA and said["work"]["image"] == f"image/{MONA_LISA}"
    assert said["matches"] == [
        {"first": [0, 0, 0.5, 0.5], "second": [0.2, 0.2, 0.4, 0.4], "strength": 0.8}
    ]
    assert "finds 1 place" in said["text"] and not walk.view["ask"]["active"]
    walk.change(k=4)
    assert len(asked) == 1  # remembered
    walk.change(why="")
    assert walk.view["ask"]["why"] is None


def test_why_by_experiment_is_tried_where_it_is_asked_for(walk, searches, monkeypatch):
    search, looks = searches[LITE, "no_crop"], []

    def look_at(image):
        looks.append(image.size)
        return Described(*[search.index.row(LION if len(looks) == 1 else WAVE)] * 2)

    monkeypatch.setattr("artsearch.search.experiment.painter", lambda: lambda image, manner: image)
    monkeypatch.setattr(search, "why", lambda first, second, most=5: [])
    monkeypatch.setattr(search, "look", look_at)
    walk.change(why=MONA_LISA)
    assert walk.view["ask"]["why"]["tried"] is None and not looks
    walk.change(tried=True)
    tried = walk.view["ask"]["why"]["tried"]
    ranks = [search.ask(id, 20).ids.index(MONA_LISA) + 1 for id in (WAVE, LION)]
    assert [tried["rank"], tried["trials"][0]["rank"]] == ranks and tried["works"] == 20
    assert [one["how"] for one in tried["trials"][:2]] == ["in grey", "mirrored"]
    assert len(looks) == 7 and walk.view["ask"]["why"]["tried"] == tried  # remembered
    walk.change(k=4)
    assert walk.view["ask"]["why"]["tried"] is None and not walk.error


def test_why_of_a_part_lies_in_the_part(walk, searches, monkeypatch):
    search = searches[LITE, "no_crop"]
    monkeypatch.setattr(search, "describe", lambda image: search.index.row(MONA_LISA))
    place = Match((0.5, 0, 1, 0.5), (0, 0, 1, 1), 0.8)
    monkeypatch.setattr(search, "why", lambda first, second, most=5: [place])
    walk.change(region=(0.2, 0.4, 0.6, 0.8))
    walk.change(why=MONA_LISA)
    first = walk.view["ask"]["why"]["matches"][0]["first"]
    assert first == pytest.approx([0.4, 0.4, 0.6, 0.6])


def test_why_without_a_network_is_a_sentence(walk):
    walk.change(why=MONA_LISA)
    assert "does not say which network made it" in walk.view["error"]
    assert walk.view["ask"]["why"] is None


def test_all_at_once_and_clear(walk, searches):
    walk.change(where='style != "Abstract"')
    walk.change(exclude_same=["artist"])
    walk.exclude(LION)
    walk.like(MONA_LISA)
    expected = searches[LITE, "no_crop"].ask(
        [WAVE, MONA_LISA], 5, where='style != "Abstract"', exclude_same="artist", exclude=LION
    )
    assert walk.shown[0] == expected.ids
    walk.clear()
    assert not walk.view["ask"]["active"]
    assert walk.shown[0] == searches[LITE, "no_crop"].by_work(WAVE, 5).ids


def test_networks_side_by_side_answer_the_question(walk):
    walk.change(where=HOKUSAI)
    walk.change(compare=True)
    for row in walk.view["rows"]:
        for work in row["works"]:
            assert work["artist"] == "Katsushika Hokusai"
    assert len(walk.view["ask"]["notes"]) == 1  # the same for all: said once


def test_an_image_of_ones_own_is_asked_with_more(walk, searches, monkeypatch):
    search = searches[LITE, "no_crop"]
    monkeypatch.setattr(search, "describe", lambda image: search.index.row(MONA_LISA))
    picture = Image.fromarray(np.full((40, 30, 3), 90, np.uint8))
    file = io.BytesIO()
    picture.save(file, "PNG")
    walk.upload(file.getvalue(), "mine.png")
    walk.change(where=HOKUSAI)
    assert set(artists(walk)) == {"Katsushika Hokusai"}
    assert walk.view["ask"]["link"] == ""
    walk.change(goal=SPRING)
    assert "stepping stones lead from one work of the collection" in walk.view["error"]


def test_a_link_opens_the_same_question(walk, collection, searches, out):
    walk.change(dial=0.25)
    walk.change(where=HOKUSAI)
    walk.like(MONA_LISA, 2)
    link = walk.view["ask"]["link"]
    other = Walk(Gallery(collection, searches, out=out, link=f"http://localhost:8866/{link}"))
    assert other.error == "" and other.shown[0] == walk.shown[0]
    assert other.gallery.dial == 0.25 and other.gallery.question == walk.gallery.question
    assert other.view["ask"]["link"] == link


@pytest.mark.parametrize(
    "link", ["?like=nobody.jpg", "?k=3", f"?like={WAVE}&network=vg16", f"?like={WAVE}&dial=x"]
)
def test_a_link_that_cannot_be_opened_is_a_sentence(walk, link):
    before = walk.view
    with pytest.raises(ArtsearchError, match="This link cannot be opened: "):
        walk.open_link(link)
    assert walk.hear() == before


def test_an_unknown_word_in_a_link_is_named_with_the_choices(walk):
    said = "unknown word in the link 'wher'; did you mean 'where'[?] known: like, like-weight, "
    with pytest.raises(ArtsearchError, match=said):
        walk.open_link(f"?like={WAVE}&wher=style")


def test_the_address_of_the_app_is_opened(collection, searches, out, monkeypatch):
    monkeypatch.setenv("QUERY_STRING", f"theme=dark&like={SPRING}&k=3&voila-template=artsearch")
    gallery = Gallery(collection, searches, out=out)
    assert gallery.query == SPRING and [len(one) for one in gallery.results.values()] == [3]
    monkeypatch.setenv("QUERY_STRING", "theme=dark")
    assert Gallery(collection, searches, query=WAVE, out=out).opening["error"] == ""


def test_a_session_is_kept_saved_and_opened_again(walk, collection, searches, out):
    walk.change(where=HOKUSAI)
    walk.keep(walk.shown[0][0])
    walk.keep(LION)
    walk.keep(LION, False)
    kept = walk.view["ask"]["kept"]
    assert kept == [walk.shown[0][0]] and walk.view["ask"]["steps"] == 2
    other = Walk(Gallery(collection, searches, out=out))
    other.open_session(walk.gallery.session.to_json())
    assert other.view["ask"]["kept"] == kept and other.query == WAVE
    assert other.gallery.question.where == HOKUSAI and other.shown[0] == walk.shown[0]


def test_a_session_that_is_none_is_a_sentence(walk):
    before = walk.view["ask"]
    for text in ("", "{}", "[]", '{"version": 99}', "\x00"):
        walk.open_session(text)
        assert "cannot be opened" in walk.view["error"]
    assert walk.view["ask"] == before


def test_all_that_is_asked_at_once(walk):
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
        assert walk.act(**what)["error"] == "", what
    asked = walk.gallery.question
    assert (
        asked.where == HOKUSAI
        and not asked.near_duplicates
        and asked.positive[1:] == ((MONA_LISA, 2.0),)
    )
    assert asked.exclude == (SPRING,) and list(walk.gallery.session.kept) == [LION]
    files = {}
    for kind in ("json", "csv", "html"):
        walk.session(kind)
        files |= walk.saved
    assert all(files.values()) and len(files) == 3
    walk.clear()
    walk.open_session(files["session.json"])
    assert walk.error == "" and walk.gallery.question.where == HOKUSAI
    for what in ({"do": "like", "id": LION, "weight": 0}, {"do": "change", "region": "x"}):
        assert walk.act(**what)["error"]


def test_a_table_of_groups_has_the_group(walk):
    walk.change(group_by="style")
    table = walk.gallery.table()
    assert (table["group"] == table["style"]).all()


def test_copies_of_a_work_are_left_out_of_what_is_like_a_part_of_it(tmp_path, paintings, out):
    for name in (WAVE, LION, MONA_LISA, SPRING):
        (tmp_path / name).write_bytes((paintings / name).read_bytes())
    Image.open(paintings / WAVE).save(tmp_path / "copy.jpg", quality=40)
    works = Collection(tmp_path)
    searches = searches_by_colour(works)
    searches[LITE, "no_crop"].describe = lambda image: searches[LITE, "no_crop"].index.row(LION)
    walk = Walk(Gallery(works, searches, k=4, query=WAVE, network=LITE, out=out))
    walk.change(region=(0, 0, 0.5, 0.5))
    assert "copy.jpg" in walk.shown[0]
    walk.change(near_duplicates=False)
    assert walk.error == "" and "copy.jpg" not in walk.shown[0]
