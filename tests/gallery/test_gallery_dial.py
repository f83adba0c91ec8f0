"""The dial between content and style, in the gallery's state and in the widget."""

import io

import numpy as np
import pandas as pd
import pytest
from madeup import MadeUpDial, searches_by_colour
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.features.blend import round_alpha
from artsearch.gallery.state import GalleryState
from artsearch.gallery.view import make_view as look
from artsearch.gallery.view import results, to_csv
from artsearch.gallery.widget import Gallery
from artsearch.search.wording import dial_text

WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection, dial=True)


@pytest.fixture
def state(collection, searches, out):
    return GalleryState(collection, searches, query=WAVE, out=out)


def shown(state):
    """The ids of the rows."""
    return [[work["id"] for work in row["works"]] for row in look(state)["rows"]]


# ---- the state -------------------------------------------------------------------------------


def test_turning_shows_what_the_dial_finds(state, searches):
    final = shown(state)
    assert look(state)["dial"] == {"available": True, "alpha": None, "yours": None}
    for place in (0, 0.25, 0.5, 1):
        state.change(dial=place)
        expected = searches.dial(LITE, "no_crop", place).by_work(WAVE, 10)
        assert shown(state) == [expected.ids] != final
        assert look(state)["dial"]["alpha"] == place and look(state)["unit"] == expected.unit
    state.change(dial=None)
    assert shown(state) == final and look(state)["dial"]["alpha"] is None


def test_the_other_choices_keep_the_dial(state, searches, collection):
    state.change(dial=0.3)
    state.change(network="efficientnet_lite2")
    state.change(crop="center_crop")
    state.select(collection.ids[0])
    state.change(k=4)
    expected = searches.dial("efficientnet_lite2", "center_crop", 0.3)
    assert shown(state) == [expected.by_work(collection.ids[0], 4).ids]


def test_side_by_side_all_networks_are_at_the_same_place(state, searches):
    state.change(dial=0.7)
    state.change(compare=True)
    names = [network.name for network in searches.networks]
    expected = [searches.dial(name, "no_crop", 0.7).by_work(WAVE, 10).ids for name in names]
    assert shown(state) == expected and look(state)["compare"]


@pytest.mark.parametrize("wrong", [-0.01, 1.01, float("nan"), float("inf"), "half", True, [0.5]])
def test_wrong_places_leave_everything_as_it_was(state, wrong):
    state.change(dial=0.5)
    before = look(state)
    state.change(dial=wrong)
    error = look(state)["error"]
    assert error.startswith(
        f"the dial is at {wrong!r}; take a number from 0 (content) to 1 (style)"
    )
    assert look(state) == before | {"error": error}


@pytest.mark.parametrize("place, rounded", [(0.333, 0.33), (np.float32(0.7), 0.7), (1, 1.0)])
def test_places_are_rounded(place, rounded):
    assert round_alpha(place) == rounded and type(round_alpha(place)) is float


@pytest.mark.parametrize(
    "place, said",
    [(0, "content alone"), (0.5, "half way"), (0.55, "more style than content (0.55)")],
)
def test_places_in_words(place, said):
    assert dial_text(place).startswith(said)


def test_beginning_at_a_place(collection, searches, out):
    state = GalleryState(collection, searches, query=WAVE, dial=0.251, out=out)
    assert shown(state) == [searches.dial(LITE, "no_crop", 0.25).by_work(WAVE, 10).ids]
    with pytest.raises(ArtsearchError, match="the dial is at 2; take"):
        GalleryState(collection, searches, dial=2, out=out)


def test_searches_without_a_dial(collection, out):
    without = searches_by_colour(collection)
    state = GalleryState(collection, without, query=WAVE, out=out)
    before = look(state)
    assert not before["dial"]["available"]
    state.change(dial=0.5)
    assert "these searches have none" in look(state)["error"]
    assert look(state)["rows"] == before["rows"]
    state.change(dial=None)
    assert not look(state)["error"]
    with pytest.raises(ArtsearchError, match="have none; take None"):
        GalleryState(collection, without, dial=0.5, out=out)


def test_a_network_without_a_blend_leaves_the_dial_out(collection, out):
    searches = searches_by_colour(collection, dial=True)
    searches.has_dial = False  # as Searches says it
    assert not look(GalleryState(collection, searches, out=out))["dial"]["available"]


def test_an_upload_is_described_once_for_all_places(state, searches, collection):
    data = io.BytesIO()
    Image.new("RGB", (30, 40)).save(data, "PNG")
    state.change(dial=0.5)
    before = MadeUpDial.described
    state.upload(data.getvalue(), "mine.png")
    found = []
    for place in (0, 0.4, 1):
        state.change(dial=place)
        found += shown(state)
        assert found[-1][0] == collection.ids[0]  # which every image is taken for
    assert found[0] != found[-1] and not look(state)["error"]
    assert MadeUpDial.described == before + 1
    # The final layer, another crop and another upload are other rows.
    searches[LITE, "no_crop"].describe = lambda image: searches[LITE, "no_crop"].index._vectors[5]
    state.change(dial=None)
    assert shown(state)[0][0] == collection.ids[5]
    state.change(dial=0)
    assert shown(state)[0] == found[0] and MadeUpDial.described == before + 1
    state.change(crop="center_crop")
    state.upload(data.getvalue(), "again.png")
    assert MadeUpDial.described == before + 3


def test_the_table_says_the_place(state):
    assert results(state)["dial"].isna().all()
    assert pd.read_csv(io.StringIO(to_csv(state)), keep_default_na=False)["dial"].eq("").all()
    state.change(dial=0.25)
    table = pd.read_csv(io.StringIO(to_csv(state)))
    assert table.columns.tolist()[:5] == ["query", "network", "crop", "dial", "rank"]
    assert table["dial"].eq(0.25).all() and len(table) == 10


# ---- the widget ------------------------------------------------------------------------------


def test_widget_turns(collection, searches, out):
    gallery = Gallery(collection, searches, query=WAVE, dial=0.5, out=out)
    half = [work["id"] for work in gallery.view["rows"][0]["works"]]
    assert gallery.view["dial"]["alpha"] == 0.5
    gallery._handle_custom_msg({"do": "change", "dial": 1}, [])
    assert gallery.view["dial"]["alpha"] == 1.0
    assert [work["id"] for work in gallery.view["rows"][0]["works"]] != half
    gallery._handle_custom_msg({"do": "change", "dial": "x"}, [])
    assert "the dial is at 'x'" in gallery.view["error"] and gallery.view["dial"]["alpha"] == 1.0
    gallery._handle_custom_msg({"do": "change", "dial": None}, [])
    assert gallery.view["dial"]["alpha"] is None and not gallery.view["error"]
