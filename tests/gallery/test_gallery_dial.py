"""The dial between content and style, in the gallery's state and in the widget."""

import io

import numpy as np
import pandas as pd
import pytest
from madeup import MadeUpDial, searches_by_colour
from PIL import Image
from walks import Walk

from artsearch.base.errors import ArtsearchError
from artsearch.features.blend import round_alpha
from artsearch.gallery.widget import Gallery
from artsearch.search.wording import dial_text
from artsearch.works.table import to_safe_csv

WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
LITE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection, dial=True)


@pytest.fixture
def state(collection, searches, out):
    return Walk(Gallery(collection, searches, query=WAVE, out=out))


# ---- the state -------------------------------------------------------------------------------


def test_turning_shows_what_the_dial_finds(state, searches):
    final = state.shown
    assert state.view["dial"] == {"available": True, "alpha": None, "yours": None}
    for place in (0, 0.25, 0.5, 1):
        state.change(dial=place)
        expected = searches.dial(LITE, "no_crop", place).by_work(WAVE, 10)
        assert state.shown == [expected.ids] != final
        assert state.view["dial"]["alpha"] == place and state.view["unit"] == expected.unit
    state.change(dial=None)
    assert state.shown == final and state.view["dial"]["alpha"] is None


def test_the_other_choices_keep_the_dial(state, searches, collection):
    state.change(dial=0.3)
    state.change(network="efficientnet_lite2")
    state.change(crop="center_crop")
    state.select(collection.ids[0])
    state.change(k=4)
    expected = searches.dial("efficientnet_lite2", "center_crop", 0.3)
    assert state.shown == [expected.by_work(collection.ids[0], 4).ids]


def test_side_by_side_all_networks_are_at_the_same_place(state, searches):
    state.change(dial=0.7)
    state.change(compare=True)
    names = [network.name for network in searches.networks]
    expected = [searches.dial(name, "no_crop", 0.7).by_work(WAVE, 10).ids for name in names]
    assert state.shown == expected and state.view["compare"]


@pytest.mark.parametrize("wrong", [-0.01, 1.01])
def test_wrong_places_leave_everything_as_it_was(state, wrong):
    state.change(dial=0.5)
    before = state.view
    state.change(dial=wrong)
    error = state.view["error"]
    assert error.startswith(f"the dial is at {wrong}; take a number from 0 (content) to 1 (style)")
    assert state.view == before | {"error": error}


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
    state = Walk(Gallery(collection, searches, query=WAVE, dial=0.251, out=out))
    assert state.shown == [searches.dial(LITE, "no_crop", 0.25).by_work(WAVE, 10).ids]
    with pytest.raises(ArtsearchError, match="the dial is at 2; take"):
        Walk(Gallery(collection, searches, dial=2, out=out))


def test_searches_without_a_dial(collection, out):
    without = searches_by_colour(collection)
    state = Walk(Gallery(collection, without, query=WAVE, out=out))
    before = state.view
    assert not before["dial"]["available"]
    state.change(dial=0.5)
    assert "these searches have none" in state.view["error"]
    assert state.view["rows"] == before["rows"]
    state.change(dial=None)
    assert not state.view["error"]
    with pytest.raises(ArtsearchError, match="have none; take None"):
        Walk(Gallery(collection, without, dial=0.5, out=out))


def test_a_network_without_a_blend_leaves_the_dial_out(collection, out):
    searches = searches_by_colour(collection, dial=True)
    searches.has_dial = False  # as Searches says it
    assert not Walk(Gallery(collection, searches, out=out)).view["dial"]["available"]


def test_an_upload_is_described_once_for_all_places(state, searches, collection):
    data = io.BytesIO()
    Image.new("RGB", (30, 40)).save(data, "PNG")
    state.change(dial=0.5)
    before = MadeUpDial.described
    state.upload(data.getvalue(), "mine.png")
    found = []
    for place in (0, 0.4, 1):
        state.change(dial=place)
        found += state.shown
        assert found[-1][0] == collection.ids[0]  # which every image is taken for
    assert found[0] != found[-1] and not state.view["error"]
    assert MadeUpDial.described == before + 1
    # The final layer, another crop and another upload are other rows.
    searches[LITE, "no_crop"].describe = lambda image: searches[LITE, "no_crop"].index._vectors[5]
    state.change(dial=None)
    assert state.shown[0][0] == collection.ids[5]
    state.change(dial=0)
    assert state.shown[0] == found[0] and MadeUpDial.described == before + 1
    state.change(crop="center_crop")
    state.upload(data.getvalue(), "again.png")
    assert MadeUpDial.described == before + 3


def test_the_table_says_the_place(state):
    assert state.gallery.table()["dial"].isna().all()
    assert (
        pd.read_csv(io.StringIO(to_safe_csv(state.gallery.table())), keep_default_na=False)["dial"]
        .eq("")
        .all()
    )
    state.change(dial=0.25)
    table = pd.read_csv(io.StringIO(to_safe_csv(state.gallery.table())))
    assert table.columns.tolist()[:5] == ["query", "network", "crop", "dial", "rank"]
    assert table["dial"].eq(0.25).all() and len(table) == 10


# ---- the widget ------------------------------------------------------------------------------


def test_a_notebook_turns(collection, searches, out):
    gallery = Gallery(collection, searches, query=WAVE, dial=0.5, out=out)
    half = gallery.results[LITE].ids
    gallery.dial = 1
    assert gallery.dial == 1.0 and gallery.results[LITE].ids != half
    for wrong in (float("nan"), float("inf"), 2.5):
        with pytest.raises(ArtsearchError, match=f"the dial is at {wrong}; take a number"):
            gallery.dial = wrong
    assert gallery.dial == 1.0 and gallery.opening["place"]["dial"] == 1.0
    gallery.dial = None
    assert gallery.opening["place"]["dial"] is None
