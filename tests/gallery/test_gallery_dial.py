"""The dial between content and style, as a visitor and a notebook turn it."""

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
def walk(collection, searches, out):
    return Walk(Gallery(collection, searches, query=WAVE, out=out))


# ---- a visit ---------------------------------------------------------------------------------


def test_turning_shows_what_the_dial_finds(walk, searches):
    final = walk.shown
    assert walk.view["dial"] == {"available": True, "alpha": None, "yours": None}
    for place in (0, 0.25, 0.5, 1):
        walk.change(dial=place)
        expected = searches.dial(LITE, "no_crop", place).by_work(WAVE, 10)
        assert walk.shown == [expected.ids] != final
        assert walk.view["dial"]["alpha"] == place and walk.view["unit"] == expected.unit
    walk.change(dial=None)
    assert walk.shown == final and walk.view["dial"]["alpha"] is None


def test_the_other_choices_keep_the_dial(walk, searches, collection):
    walk.change(dial=0.3)
    walk.change(network="efficientnet_lite2")
    walk.change(crop="center_crop")
    walk.select(collection.ids[0])
    walk.change(k=4)
    expected = searches.dial("efficientnet_lite2", "center_crop", 0.3)
    assert walk.shown == [expected.by_work(collection.ids[0], 4).ids]


def test_side_by_side_all_networks_are_at_the_same_place(walk, searches):
    walk.change(dial=0.7)
    walk.change(compare=True)
    names = [network.name for network in searches.networks]
    expected = [searches.dial(name, "no_crop", 0.7).by_work(WAVE, 10).ids for name in names]
    assert walk.shown == expected and walk.view["compare"]


@pytest.mark.parametrize("wrong", [-0.01, 1.01])
def test_wrong_places_leave_everything_as_it_was(walk, wrong):
    walk.change(dial=0.5)
    before = walk.view
    walk.change(dial=wrong)
    error = walk.view["error"]
    assert error.startswith(f"the dial is at {wrong}; take a number from 0 (content) to 1 (style)")
    assert walk.view == before | {"error": error}


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
    walk = Walk(Gallery(collection, searches, query=WAVE, dial=0.251, out=out))
    assert walk.shown == [searches.dial(LITE, "no_crop", 0.25).by_work(WAVE, 10).ids]
    with pytest.raises(ArtsearchError, match="the dial is at 2; take"):
        Walk(Gallery(collection, searches, dial=2, out=out))


def test_searches_without_a_dial(collection, out):
    without = searches_by_colour(collection)
    walk = Walk(Gallery(collection, without, query=WAVE, out=out))
    before = walk.view
    assert not before["dial"]["available"]
    walk.change(dial=0.5)
    assert "these searches have none" in walk.view["error"]
    assert walk.view["rows"] == before["rows"]
    walk.change(dial=None)
    assert not walk.view["error"]
    with pytest.raises(ArtsearchError, match="have none; take None"):
        Walk(Gallery(collection, without, dial=0.5, out=out))


def test_a_network_without_a_blend_leaves_the_dial_out(collection, out):
    searches = searches_by_colour(collection, dial=True)
    searches.has_dial = False  # as Searches says it
    assert not Walk(Gallery(collection, searches, out=out)).view["dial"]["available"]


def test_an_upload_is_described_once_for_all_places(walk, searches, collection):
    data = io.BytesIO()
    Image.new("RGB", (30, 40)).save(data, "PNG")
    walk.change(dial=0.5)
    before = MadeUpDial.described
    walk.upload(data.getvalue(), "mine.png")
    found = []
    for place in (0, 0.4, 1):
        walk.change(dial=place)
        found += walk.shown
        assert found[-1][0] == collection.ids[0]  # which every image is taken for
    assert found[0] != found[-1] and not walk.view["error"]
    assert MadeUpDial.described == before + 1
    # The final layer, another crop and another upload are other rows.
    searches[LITE, "no_crop"].describe = lambda image: searches[LITE, "no_crop"].index._vectors[5]
    walk.change(dial=None)
    assert walk.shown[0][0] == collection.ids[5]
    walk.change(dial=0)
    assert walk.shown[0] == found[0] and MadeUpDial.described == before + 1
    walk.change(crop="center_crop")
    walk.upload(data.getvalue(), "again.png")
    assert MadeUpDial.described == before + 3


def test_the_table_says_the_place(walk):
    assert walk.gallery.table()["dial"].isna().all()
    assert (
        pd.read_csv(io.StringIO(to_safe_csv(walk.gallery.table())), keep_default_na=False)["dial"]
        .eq("")
        .all()
    )
    walk.change(dial=0.25)
    table = pd.read_csv(io.StringIO(to_safe_csv(walk.gallery.table())))
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
