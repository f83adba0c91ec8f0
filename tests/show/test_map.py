"""The map of a collection: where works lie, how far that is true, its colours, and the widget."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from madeup import HOSTILE, make_folder

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.features import Features
from artsearch.gallery.map_widget import MOST, ArtMap
from artsearch.search.results import Neighbour, Results
from artsearch.show import map as maps
from artsearch.show.figures import show_works
from artsearch.show.map import (
    COLOURS,
    OTHER,
    UNSAID,
    colour_by,
    map_layout,
    place_pictures,
    shadow_layout,
    show_map,
    trust,
)
from artsearch.works.collection import Collection


@pytest.fixture(autouse=True)
def closed():
    """Close the figures that a test draws."""
    yield
    plt.close("all")


def rows(count, dims=12, seed=0, ids=None):
    """Made-up features."""
    vectors = np.random.default_rng(seed).normal(size=(count, dims))
    return Features(vectors, ids or [f"work {number}" for number in range(count)])


def crowds(size=30, count=3):
    """Works in crowds, each around a direction of its own."""
    random = np.random.default_rng(0)
    middles = np.repeat(3 * np.eye(count, 16), size, axis=0)
    vectors = middles + random.normal(scale=0.3, size=middles.shape)
    return Features(vectors, map(str, range(len(vectors)))), np.repeat(np.arange(count), size)


# ---- the layout ------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_map():
    features, _ = crowds()
    one, same, other = (map_layout(features, seed) for seed in (0, 0, 1))
    assert one.ids == features.ids and one.vectors.shape == (90, 2)
    assert one.vectors.dtype == np.float32 and np.abs(one.vectors).max() == 1
    assert np.array_equal(one.vectors, same.vectors)
    assert not np.array_equal(one.vectors, other.vectors)


def test_crowds_stay_together_and_lie_along_the_longer_side():
    features, groups = crowds()
    points = map_layout(features).vectors
    away = np.linalg.norm(points[:, None] - points[None], axis=2) + 9 * np.eye(len(points))
    assert np.mean(groups[away.argmin(axis=1)] == groups) > 0.95
    assert np.var(points[:, 0]) >= np.var(points[:, 1])


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 20])
def test_small_collections_have_a_map(count):
    points = map_layout(rows(count)).vectors
    assert points.shape == (count, 2) and np.isfinite(points).all()
    assert count < 2 or len(np.unique(points, axis=0)) == count


@pytest.mark.parametrize("count", [3, 30])
@pytest.mark.parametrize("vector", [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [7.0]])
def test_works_that_are_all_the_same_have_a_map(count, vector):
    points = map_layout(Features(np.tile(vector, (count, 1)), map(str, range(count)))).vectors
    assert points.shape == (count, 2) and np.isfinite(points).all()


def test_copies_lie_side_by_side():
    once = rows(20)
    twice = Features(np.vstack([once.vectors, once.vectors]), map(str, range(40)))
    points = map_layout(twice, neighbours=5).vectors
    between = np.linalg.norm(points[:20] - points[20:], axis=1)
    assert np.median(between) < np.median(np.linalg.norm(points - points[:1], axis=1)) / 3


def forbid(*_):
    raise AssertionError("a map was computed")


def test_a_kept_map_is_known_again(tmp_path, monkeypatch):
    features = rows(30)
    first = map_layout(features, folder=tmp_path)
    monkeypatch.setattr(maps, "_lay_out", forbid)
    again = map_layout(features, folder=tmp_path)
    assert np.array_equal(first.vectors, np.asarray(again.vectors)) and again.ids == first.ids


def test_another_row_id_or_seed_is_another_map(tmp_path, monkeypatch):
    features = rows(12)
    map_layout(features, folder=tmp_path)
    vectors = np.array(features.vectors)
    vectors[3, 0] += 1
    monkeypatch.setattr(maps, "_lay_out", forbid)
    for other, options in (
        (Features(vectors, features.ids), {}),
        (Features(features.vectors, features.ids[::-1]), {}),
        (features, {"seed": 1}),
        (features, {"neighbours": 5}),
    ):
        with pytest.raises(AssertionError, match="computed"):
            map_layout(other, folder=tmp_path, **options)


def test_a_damaged_map_is_computed_again(tmp_path):
    features = rows(12)
    first = map_layout(features, folder=tmp_path)
    for file in list(tmp_path.rglob("*")):
        if file.is_file():
            file.write_bytes(b"rubbish")
            assert np.array_equal(map_layout(features, folder=tmp_path).vectors, first.vectors)
            again = map_layout(features, folder=tmp_path)
            assert np.array_equal(np.asarray(again.vectors), first.vectors)


def test_numbers_that_are_not_finite_are_refused():
    vectors = np.ones((4, 3))
    vectors[2, 1] = np.nan
    with pytest.raises(ArtsearchError, match="not finite, the first is 'c'"):
        map_layout(Features(vectors, "abcd"))


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (rows(0), {}, "hold no work"),
        (rows(3), {"seed": -1}, "seed is -1"),
        (rows(3), {"seed": "x"}, "seed is 'x'"),
        (rows(3), {"neighbours": 1}, "neighbours is 1"),
    ],
)
def test_what_cannot_be_a_map_is_named(features, options, message):
    with pytest.raises(ArtsearchError, match=message):
        map_layout(features, **options)


def test_missing_packages_are_named(monkeypatch, tmp_path):
    collection, layout = made_up(tmp_path, 3)
    for package in ("umap", "jscatter"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ArtsearchError, match=r"umap-learn: pip install 'artsearch\[map\]'"):
        map_layout(rows(20))
    with pytest.raises(ArtsearchError, match=r"jupyter-scatter: pip install 'artsearch\[map\]'"):
        ArtMap(collection, layout)


def test_a_shadow_falls_along_the_axes_in_which_works_differ():
    features = Features(np.array([[0, 5, 0], [2, 5, 1], [4, 5, 0]]), "abc")
    shadow, share = shadow_layout(features)
    assert share == pytest.approx(1) and shadow.ids == features.ids
    assert np.abs(shadow.vectors[:, 0]) == pytest.approx([1, 0, 1], abs=1e-6)
    shadow, share = shadow_layout(Features(np.ones((3, 2)), "abc"))
    assert share == 0 and not shadow.vectors.any()


# ---- how far it is true ----------------------------------------------------------------------


def circle(count=60):
    turns = np.sort(np.random.default_rng(1).uniform(0, 2 * np.pi, count))
    return Features(np.column_stack([np.cos(turns), np.sin(turns)]), map(str, range(count)))


def test_a_map_that_loses_nothing_is_wholly_true():
    features = circle()
    assert trust(features, features, k=5) == (5, 1, 1, 5 / 59)


def test_a_map_that_knows_nothing_is_as_true_as_chance():
    features = circle(400)
    nothing = Features(np.random.default_rng(2).permutation(features.vectors), features.ids)
    found = trust(features, nothing)
    assert 0.4 < found.trustworthiness < 0.6
    assert 0 < found.kept < 3 * found.chance and found.chance == 10 / 399


def test_what_is_kept_is_what_a_count_finds():
    features = rows(50)
    layout = map_layout(features)
    unit = features.vectors / np.linalg.norm(features.vectors, axis=1, keepdims=True)
    true, drawn = (
        np.linalg.norm(points[:, None] - points[None], axis=2).argsort(axis=1)[:, 1:8]
        for points in (unit, layout.vectors)
    )
    shared = [len(set(a) & set(b)) / 7 for a, b in zip(true, drawn, strict=True)]
    assert trust(features, layout, k=7).kept == pytest.approx(np.mean(shared))


def test_of_many_works_some_are_judged(monkeypatch):
    features = circle(300)
    monkeypatch.setattr(maps, "JUDGED", 40)
    assert trust(features, features, k=5) == (5, 1, 1, 5 / 39)


def test_a_map_of_other_works_or_of_too_few_is_not_judged():
    with pytest.raises(MismatchError, match="other works"):
        trust(rows(5), map_layout(rows(5, ids=list("abcde"))))
    with pytest.raises(ArtsearchError, match="a map of 3 works cannot be judged"):
        trust(rows(3), map_layout(rows(3)))
    assert trust(rows(5), map_layout(rows(5)), k=10).k == 2


# ---- colours ---------------------------------------------------------------------------------


def test_the_most_frequent_have_a_colour_of_their_own():
    values = [f"style {number}" for number in range(14) for _ in range(20 - number)] + ["", " "]
    found = colour_by(pd.DataFrame({"style": values}), "style")
    assert found.names == (*(f"style {n}" for n in range(11)), "3 others", "not said")
    assert found.colours == (*COLOURS, OTHER, UNSAID)
    named = np.array(found.names)[found.groups]
    assert named[0] == "style 0" and named[-1] == "not said" and named[-3] == "3 others"
    assert len(named) == len(values)


def test_values_that_fold_alike_have_one_colour_and_the_usual_name():
    values = ["HOKUSAI", "Hokusai", "hokusai ", "Hokusai", "Dürer", "DU\u0308RER", "Dürer", ""]
    found = colour_by(pd.DataFrame({"artist": values}), "artist")
    assert found.names == ("Hokusai", "Dürer", "not said")
    assert found.groups.tolist() == [0, 0, 0, 0, 1, 1, 1, 2]


def test_numbers_are_divided_into_steps():
    years = [str(year) for year in range(1500, 1560)] + ["c. 1700", "", "unknown"]
    found = colour_by(pd.DataFrame({"year": years}), "year")
    assert found.names[0] == "1500 to 1510" and found.names[-2:] == ("1551 to 1700", "not said")
    assert np.bincount(found.groups).tolist() == [11, 10, 10, 10, 10, 10, 2]
    assert len(set(found.colours)) == len(found.colours) == 7


@pytest.mark.parametrize("values", [[""] * 4, ["same"] * 4, list("abcd"), ["1", "2", "3", ""]])
def test_columns_of_few_values_have_colours(values):
    found = colour_by(pd.DataFrame({"x": values}), "x")
    assert len(found.groups) == 4 and found.groups.max() < len(found.names) == len(found.colours)


def test_names_are_short_and_one_line():
    values = ["a\nb\tc", "long " * 200_000, *HOSTILE]
    names = colour_by(pd.DataFrame({"x": values}), "x").names
    assert "a b c" in names and all(len(name) <= 40 and "\n" not in name for name in names)


def test_an_unknown_column_is_named():
    with pytest.raises(ArtsearchError, match="unknown column 'stile'; did you mean 'style'"):
        colour_by(pd.DataFrame({"style": ["x"]}), "stile")


# ---- pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [0.05, 0.3, 3])
def test_pictures_cover_no_other_and_leave_no_room(side):
    points = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    placed = place_pictures(points, side, first=[7])
    assert placed[0] == 7 and len(set(placed)) == len(placed)
    apart = np.abs(points[:, None] - points[None]).max(axis=2)
    among = apart[np.ix_(placed, placed)] + 9 * np.eye(len(placed))
    assert (among >= side).all()
    assert (apart[:, placed].min(axis=1) < side).all()


def test_a_map_is_drawn_with_hostile_texts(tmp_path):
    titles = [*HOSTILE, "$\\frac{", "ordinary"]
    collection, layout = made_up(tmp_path, titles)
    layout = Features(5 * np.asarray(layout.vectors), layout.ids)
    figure = show_map(collection, layout, "title", marked=[layout.ids[2], "gone.png"], side=0.01)
    figure.canvas.draw()
    (ax,) = figure.axes
    assert len(ax.images) == len(titles)
    assert [patch.get_linewidth() for patch in ax.patches].count(2.5) == 1
    assert "$\\frac{" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_works_that_are_all_the_same_are_said_to_lie_in_one_place(tmp_path):
    collection, layout = made_up(tmp_path, 3)
    same = Features(np.zeros((3, 2)), layout.ids)
    assert show_map(collection, same, "artist").axes[0].get_title().startswith("All works lie in")
    assert show_map(collection, layout, "artist").axes[0].get_title() == ""


def test_where_there_is_no_work_a_figure_says_so(tmp_path):
    collection, _ = made_up(tmp_path, 1)
    (ax,) = show_works(collection, []).axes
    assert ax.texts[0].get_text() == "There is no work to show."


def test_a_work_that_cannot_be_read_any_more_is_a_dot(tmp_path):
    collection, layout = made_up(tmp_path, 3)
    collection.path(layout.ids[1]).write_bytes(b"no image")
    (ax,) = show_map(collection, layout, side=0.01).axes
    assert len(ax.images) == 2 and len(ax.collections[0].get_offsets()) == 3


# ---- the widget ------------------------------------------------------------------------------


def made_up(tmp_path, titles):
    """A made-up collection of works, and a map of it."""
    titles = [f"Title {n}" for n in range(titles)] if isinstance(titles, int) else titles
    collection = Collection(make_folder(tmp_path / "works", titles))
    return collection, map_layout(rows(len(collection), ids=collection.ids))


@pytest.fixture
def art_map(tmp_path):
    collection, layout = made_up(tmp_path, 30)
    return ArtMap(collection, layout, "artist", ask=nearest_by_name, out=tmp_path / "out")


def nearest_by_name(ids):
    """An answer without a search: the works that come next."""
    last = int(max(ids)[5:10])
    return nearest(ids, [f"work {last + step:05}.png" for step in (1, 2)])


def nearest(_, found):
    return Results(None, tuple(Neighbour(id, 0.5, "a caption") for id in found), "angular", {})


def heed(art_map, message):
    """Let the map heed a message as if it came from the browser; return what it sends."""
    sent = []
    art_map.pictures.send = lambda content, buffers=None: sent.append((content, buffers))
    art_map.pictures._handle_custom_msg(message, [])
    return sent


def test_a_map_says_what_is_to_be_seen(art_map):
    assert repr(art_map) == "<ArtMap of 30 works; it needs a running notebook>"
    state = art_map.state
    assert state["works"] == 30 and state["colour"] == "artist" and state["selection"] == []
    assert state["legend"] == [(f"Artist {n}", COLOURS[n]) for n in range(3)]
    assert art_map.pictures.columns == [
        *("artist", "title", "year", "style", "licence", "source"),
    ]


def test_a_lasso_in_the_browser_is_a_selection_here(art_map):
    heard = []
    art_map.observe(lambda change: heard.append(change["new"]), "selection")
    art_map.scatter.widget.set_state({"selection": as_sent([4, 7])})
    assert heard == [["work 00004.png", "work 00007.png"]] == [art_map.selection]
    assert art_map.state["said"] == "2 works selected; nearest to them:"
    assert art_map.state["answer"] == ["work 00008.png", "work 00009.png"]
    art_map.scatter.widget.set_state({"selection": as_sent([])})
    assert art_map.selection == [] and art_map.state["said"] == "" and not art_map.state["answer"]


def as_sent(numbers):
    """Row numbers as jupyter-scatter's own part of the browser sends them."""
    array = np.array(numbers, np.uint32)
    return {"view": memoryview(array), "dtype": "uint32", "shape": array.shape}


def test_works_are_selected_by_id(art_map):
    art_map.select(["work 00003.png", "work 00001.png", "work 00003.png"])
    assert art_map.selection == ["work 00003.png", "work 00001.png"]
    assert art_map.scatter.widget.selection.tolist() == [3, 1]
    art_map.select("work 00002.png")
    assert art_map.state["said"] == "1 work selected; nearest to it:"
    with pytest.raises(ArtsearchError, match="unknown work on the map 'work 2.png'; did you mean"):
        art_map.select(["work 00005.png", "work 2.png"])
    assert art_map.selection == ["work 00002.png"]
    art_map.select([])
    assert art_map.selection == []


def test_an_answer_that_cannot_be_had_is_said(tmp_path):
    collection, layout = made_up(tmp_path, 3)

    def ask(ids):
        raise ArtsearchError(f"no answer to {ids}")

    art_map = ArtMap(collection, layout, ask=ask)
    art_map.select(collection.ids[:1])
    assert art_map.state["said"] == "1 work selected; no answer to ['work 00000.png']"
    lonely = ArtMap(collection, layout, ask=lambda ids: nearest(ids, []))
    lonely.select(collection.ids)
    assert lonely.state["said"] == "3 works selected; nothing else is found"
    silent = ArtMap(collection, layout)
    silent.select(collection.ids[:2])
    assert silent.state["said"] == "2 works selected" and silent.state["answer"] == []


def test_pictures_come_with_their_captions(art_map):
    ((content, files),) = heed(art_map, {"do": "pictures", "rows": [5, 0]})
    assert content["pictures"] == [5, 0]
    assert content["captions"][0].startswith("Artist 0, Title 5, 1505")
    assert all(file.startswith(b"RIFF") and b"WEBP" in file[:16] for file in files)


def test_captions_and_names_are_bounded(tmp_path):
    collection, layout = made_up(tmp_path, ["x" * 100_000, "short"])
    art_map = ArtMap(collection, layout, "title", ask=lambda ids: nearest(ids, collection.ids))
    art_map.select(collection.ids[1])
    ((content, _),) = heed(art_map, {"do": "pictures", "rows": [0, 1]})
    assert [len(text) for text in content["captions"]][0] == 300
    assert len(str(art_map.pictures.answer)) + len(str(art_map.pictures.legend)) < 500


def test_one_message_brings_a_bounded_number_of_pictures(art_map):
    ((content, files),) = heed(art_map, {"do": "pictures", "rows": [1] * 100_000})
    assert len(content["pictures"]) == len(files) == MOST


def test_a_work_that_cannot_be_read_has_a_caption_and_no_picture(art_map):
    art_map._collection.path("work 00001.png").write_bytes(b"rubbish")
    ((content, files),) = heed(art_map, {"do": "pictures", "rows": [1]})
    assert files == [b""] and "Title 1" in content["captions"][0]


@pytest.mark.parametrize(
    "message",
    [
        {"do": "pictures", "rows": [30]},
        {"do": "pictures", "rows": ["x"]},
        {"do": "pictures", "rows": None},
        {"do": "select", "row": 1000},
        {"do": "colour", "column": "no such"},
    ],
)
def test_messages_that_make_no_sense_are_answered_with_a_sentence(art_map, message):
    before = art_map.state
    assert heed(art_map, message) == []
    assert art_map.state["said"].startswith("This did not work: ")
    assert art_map.state | {"said": ""} == before | {"said": ""}


def test_unknown_messages_are_passed_over(art_map):
    before = art_map.state
    assert heed(art_map, {"do": "format the disk"}) == heed(art_map, {}) == []
    assert art_map.state == before


def test_the_browser_selects_and_colours(art_map):
    heed(art_map, {"do": "select", "row": 6})
    assert art_map.selection == ["work 00006.png"]
    heed(art_map, {"do": "colour", "column": "style"})
    assert art_map.state["legend"] == [("Style", COLOURS[0])]
    heed(art_map, {"do": "colour", "column": ""})
    assert art_map.state["legend"] == [] and art_map.state["colour"] == ""
    assert len(art_map.scatter.widget.color) == 1


def test_groups_and_colours_of_the_points_are_those_of_the_legend(art_map):
    for column in ("artist", "year", "title", "source"):
        art_map.colour(column)
        found = colour_by(art_map._works, column)
        assert art_map.scatter.widget.points[:, 2].astype(int).tolist() == found.groups.tolist()
        assert len(art_map.scatter.widget.color) == len(found.colours)
        assert list(art_map.pictures.groups) == found.groups.tolist()


def test_a_map_of_part_of_a_collection(tmp_path):
    collection, layout = made_up(tmp_path, 12)
    some = Features(layout.vectors[[8, 2, 5]], [layout.ids[row] for row in (8, 2, 5)])
    art_map = ArtMap(collection, some, "title", ask=nearest_by_name)
    assert [name for name, _ in art_map.state["legend"]] == ["Title 8", "Title 2", "Title 5"]
    art_map.select(["work 00002.png"])
    assert art_map.selection == ["work 00002.png"]
    assert art_map.state["answer"] == []  # works 3 and 4 are not on the map


def test_a_map_of_works_that_are_not_there_is_refused(tmp_path):
    collection, _ = made_up(tmp_path, 3)
    with pytest.raises(ArtsearchError, match="unknown work 'elsewhere.jpg'"):
        ArtMap(collection, Features(np.zeros((1, 2)), ["elsewhere.jpg"]))


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_works_are_a_map_too(tmp_path, count):
    collection, layout = made_up(tmp_path, count)
    art_map = ArtMap(collection, layout, "title")
    assert np.isfinite(art_map.scatter.widget.points).all()
    assert art_map.state["works"] == count


class Many(Collection):
    """A collection of any number of works that are all one file."""

    def __init__(self, path, count):
        self.ids = [f"{number:06}.png" for number in range(count)]
        titles = [f"a title {id}" for id in self.ids]
        self.works = pd.DataFrame({"id": self.ids, "artist": "", "title": titles, "style": ""})
        self.works["year"] = [id[2:6] for id in self.ids]
        self._row = {id: row for row, id in enumerate(self.ids)}
        self._paths = dict.fromkeys(self.ids, path)
        self.has_pictures = True


def test_100_000_works_are_sent_as_points_alone(paint, tmp_path):
    collection = Many(paint("one.png"), 100_000)
    points = np.random.default_rng(0).uniform(-1, 1, (100_000, 2))
    art_map = ArtMap(collection, Features(points, collection.ids), "year", out=tmp_path)
    sent = 0
    for widget in (art_map, art_map.pictures, art_map.scatter.widget):
        for name, value in widget.get_state().items():
            if name not in ("_esm", "_css"):
                array = isinstance(value, dict) and "view" in value
                value = value["view"].tobytes() if array else value
                size = len(value if isinstance(value, bytes) else str(value))
                assert size < 20_000 or name in ("points", "groups")
                sent += size
    assert 1_000_000 < sent < 3_000_000
    ((content, _),) = heed(art_map, {"do": "pictures", "rows": [99_999]})
    assert content["captions"] == ["a title 099999.png, 9999"]


def test_torch_keeps_its_number_of_threads(one_thread):
    import torch

    rows = np.random.default_rng(0).normal(size=(40, 8))
    map_layout(Features(rows, tuple(map(str, range(40)))))
    assert torch.get_num_threads() == 1
