"""Asking in a blend: the dial turns at once, what was learnt is kept; the networks' layers."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import artsearch.features.extractor
import artsearch.features.pipeline
from artsearch.base.errors import ArtsearchError, ImageError, MismatchError
from artsearch.features.blend import DIMS, SHARES, Blend, OneLayer, WeightedBlend
from artsearch.features.extractor import FeatureExtractor
from artsearch.networks.loading import layers
from artsearch.networks.network import BlendLayers, blend_of, split_layer
from artsearch.networks.registry import NETWORKS
from artsearch.search.searches import BlendSearch, Searches
from artsearch.works.collection import Collection

pytestmark = pytest.mark.usefixtures("one_thread")
LITE, CROP = "efficientnet_lite0", "no_crop"
MONA_LISA = "leonardo-da-vinci_mona-lisa.jpg"
PLACES = (0, 0.25, 0.5, 0.75, 1)


def make(folder: Path, out: Path, names=LITE, crops=CROP, **options) -> Searches:
    options = {"progress": False, "precision": "exact"} | options
    return Searches(Collection(folder), names, crops, out, **options)


@pytest.fixture(scope="module")
def kept(few, tmp_path_factory) -> Path:
    """A folder with five paintings in "works", and in "out" what their blend is made of."""
    kept = tmp_path_factory.mktemp("kept")
    shutil.copytree(few, kept / "works")
    make(kept / "works", kept / "out").dial(LITE, CROP)
    return kept


@pytest.fixture(scope="module")
def searches(kept) -> Searches:
    return make(kept / "works", kept / "out")


@pytest.fixture
def own(kept, tmp_path) -> Path:
    """The same to be changed; a store knows its collection by its place, so it is put back."""
    shutil.copytree(kept, tmp_path / "copy")
    yield kept
    shutil.rmtree(kept)
    (tmp_path / "copy").rename(kept)


@pytest.fixture
def counts(monkeypatch) -> dict[str, int]:
    """Count the files that are decoded, the images that are computed, and what is learnt."""
    counts = {"opened": 0, "computed": 0, "learnt": 0}
    open_image, rows, fit = artsearch.features.pipeline.open_image, FeatureExtractor.rows, Blend.fit

    def opening(*args):
        counts["opened"] += 1
        return open_image(*args)

    def computing(self, squares):
        counts["computed"] += len(squares)
        return rows(self, squares)

    def learning(*args):
        counts["learnt"] += 1
        return fit(*args)

    monkeypatch.setattr(artsearch.features.pipeline, "open_image", opening)
    monkeypatch.setattr(FeatureExtractor, "rows", computing)
    monkeypatch.setattr(Blend, "fit", learning)
    return counts


def turned(searches: Searches, id: str = MONA_LISA, k: int = 3) -> list[tuple]:
    """Return the answers at all places."""
    answers = [searches.dial(LITE, CROP, place).by_work(id, k) for place in PLACES]
    return [(answer.ids, answer.distances) for answer in answers]


# Answers


@pytest.mark.parametrize("place", PLACES)
def test_by_work(searches, place):
    search = searches.dial(LITE, CROP, place)
    results = search.by_work(MONA_LISA, k=4)
    assert {MONA_LISA, *results.ids} == set(searches.collection.ids)
    assert results.distances == sorted(results.distances) and 0 < results.distances[0] < 2
    assert results.query == MONA_LISA and results.metric == "angular"
    assert results[0].caption == searches.collection.caption(results[0].id)
    assert (results.provenance["dial"], results.provenance["network"]) == (place, LITE)
    assert results.provenance["descriptor"] == "blend"


@pytest.mark.parametrize("place", PLACES)
def test_a_work_is_its_own_nearest_by_its_image(searches, place):
    search = searches.dial(LITE, CROP, place)
    path = searches.collection.path(MONA_LISA)
    for image in (path, path.read_bytes()):
        results = search.by_image(image, k=5)
        assert results.query is None and results.ids[0] == MONA_LISA
        assert results.distances[0] < 2e-3
        assert results.ids[1:] == search.by_work(MONA_LISA, k=4).ids


def test_the_row_of_an_image_is_the_same_at_all_places(searches):
    first, other = (searches.dial(LITE, CROP, place) for place in (0, 0.7))
    row = first.describe(searches.collection.path(MONA_LISA))
    assert row.shape == (first.blend.dims,)
    assert np.array_equal(row, other.describe(searches.collection.path(MONA_LISA)))
    assert np.abs(row - first.blend.vectors[searches.collection.row(MONA_LISA)]).max() < 1e-3
    assert other.by_vector(row, k=1).ids == [MONA_LISA]


def test_turning_is_a_search_of_its_own_over_the_same_rows(searches):
    half = searches.dial(LITE, CROP, 0.5)
    style = half.at(1)
    assert isinstance(style, BlendSearch) and style.blend is half.blend
    assert np.shares_memory(style.index._vectors, half.index._vectors)
    assert (half.index.provenance["dial"], style.index.provenance["dial"]) == (0.5, 1)
    assert style.extractor is half.extractor
    at_once = searches.dial(LITE, CROP, 1)
    assert style.by_work(MONA_LISA, 4).distances == at_once.by_work(MONA_LISA, 4).distances
    assert half.by_work(MONA_LISA, 4).distances != style.by_work(MONA_LISA, 4).distances


def test_wrong_questions(searches):
    search = searches.dial(LITE, CROP)
    with pytest.raises(ArtsearchError, match="the dial is at 1.5; take a number from 0"):
        searches.dial(LITE, CROP, 1.5)
    with pytest.raises(ArtsearchError, match="the dial is at 'style'; take a number from 0"):
        search.at("style")
    with pytest.raises(ArtsearchError, match="k is 5, but there are 4 other works"):
        search.by_work(MONA_LISA, k=5)
    with pytest.raises(ArtsearchError, match="did you mean 'leonardo-da-vinci_mona-lisa.jpg'"):
        search.by_work("mona-lisa")
    with pytest.raises(MismatchError, match=r"shape \(3,\), the index holds rows of 12"):
        search.by_vector(np.ones(3), k=1)
    with pytest.raises(ImageError):
        search.by_image(b"no picture", k=1)
    for key in [("vgg16", CROP), (LITE, "center_crop")]:
        with pytest.raises(KeyError):
            searches.dial(*key)


# Descriptors


def test_what_can_be_compared(searches, counts):
    found = searches.descriptors(LITE, CROP)
    assert sorted(found) == ["blend", "content", "final", "style"]
    final = found.pop("final")
    assert isinstance(final, OneLayer) and final.layer == "global_pool"
    assert final.features.dims == 1280
    for name, place in {"content": 0, "blend": 0.5, "style": 1}.items():
        one = found[name]
        assert isinstance(one, WeightedBlend) and one.alpha == place
        assert one.features.ids == final.features.ids
        expected = searches.dial(LITE, CROP, place).blend.at(place)
        assert np.array_equal(one.features.vectors, expected.vectors)
    assert counts == {"opened": 0, "computed": 0, "learnt": 0}


def test_a_network_without_a_blend(kept):
    plain = replace(NETWORKS[LITE], blend=None)
    searches = make(kept / "works", kept / "out", [plain])
    assert not searches.has_dial
    assert list(searches.descriptors(LITE, CROP)) == ["final"]
    with pytest.raises(ArtsearchError, match="efficientnet_lite0 states no layers for content and"):
        searches.dial(LITE, CROP)
    assert len(searches[LITE, CROP].by_work(MONA_LISA, k=4)) == 4
    assert make(kept / "works", kept / "out", [NETWORKS[LITE]]).has_dial
    assert not make(kept / "works", kept / "out", [plain, NETWORKS["vgg16"]]).has_dial


def test_a_collection_of_one_work_has_no_blend(few, tmp_path):
    (tmp_path / "works").mkdir()
    shutil.copy(few / MONA_LISA, tmp_path / "works")
    with pytest.raises(ArtsearchError, match="it wants two or more works"):
        make(tmp_path / "works", tmp_path / "out").dial(LITE, CROP)


# Once


def test_one_pass_brings_all_layers_and_crops(few, tmp_path, counts):
    searches = make(few, tmp_path, crops=("no_crop", "center_crop"))
    searches.extract()
    assert counts == {"opened": 5, "computed": 10, "learnt": 0}
    stores = list((tmp_path / "stores").glob("[!.]*"))
    assert len(stores) == 2 * len(NETWORKS[LITE].blend.names)
    for crop in searches.crops:
        assert len(searches[LITE, crop].by_work(MONA_LISA, k=4)) == 4
        assert len(searches.dial(LITE, crop).by_work(MONA_LISA, k=4)) == 4
        assert len(searches.descriptors(LITE, crop)) == 4
    assert counts == {"opened": 5, "computed": 10, "learnt": 2}
    blends = [searches.dial(LITE, crop).blend for crop in searches.crops]
    assert not np.array_equal(blends[0].vectors, blends[1].vectors)
    assert [blend.metadata["crop"] for blend in blends] == searches.crops


def test_a_new_start_computes_and_learns_nothing(kept, searches, counts, monkeypatch):
    before = turned(searches)
    monkeypatch.setattr(
        artsearch.features.extractor, "load_model", None
    )  # nothing is loaded either
    assert turned(make(kept / "works", kept / "out")) == before
    assert counts == {"opened": 0, "computed": 0, "learnt": 0}


def test_turning_asks_for_no_file(own):
    searches = make(own / "works", own / "out")
    path = searches.collection.path(MONA_LISA)
    image, before = path.read_bytes(), turned(searches)
    shutil.rmtree(own / "works")
    assert turned(searches) == before
    search = searches.dial(LITE, CROP, 0)
    for place in PLACES:
        assert search.at(place).by_image(image, k=1).ids == [MONA_LISA]


def test_a_work_that_comes_in_is_learnt_with_the_others(own, paintings, counts):
    new = "vincent-van-gogh_village-street-in-auvers.jpg"
    shutil.copy(paintings / new, own / "works")
    for learnt in (1, 1):
        searches = make(own / "works", own / "out")
        for place in PLACES:
            search = searches.dial(LITE, CROP, place)
            assert new in search.by_work(MONA_LISA, k=5).ids
            assert len(search.by_work(new, k=5)) == 5
        assert counts == {"opened": 1, "computed": 1, "learnt": learnt}
    assert search.by_image(own / "works" / new, k=1).ids == [new]


def test_a_work_that_goes_is_no_longer_found(own, counts):
    (own / "works" / MONA_LISA).unlink()
    with pytest.warns(UserWarning, match="1 left out of works"):  # works.csv still has its row
        search = make(own / "works", own / "out").dial(LITE, CROP)
    assert len(search.index) == 4 and MONA_LISA not in search.index.ids
    assert counts == {"opened": 0, "computed": 0, "learnt": 1}


def test_nothing_that_is_said_of_works_goes_in(own, counts):
    before = turned(make(own / "works", own / "out"))
    ids = sorted(path.name for path in (own / "works").glob("*.jpg"))
    lines = [f"{id},Anonymous,{number}" for number, id in enumerate(ids)]
    (own / "works" / "works.csv").write_text("\n".join(["file,artist,title", *lines]))
    searches = make(own / "works", own / "out")
    assert searches.collection.caption(MONA_LISA).startswith("Anonymous")
    assert turned(searches) == before
    shutil.rmtree(own / "out" / "descriptors")
    assert turned(make(own / "works", own / "out")) == before
    assert counts == {"opened": 0, "computed": 0, "learnt": 1}


def test_a_damaged_blend_is_learnt_again_without_a_pass_over_files(own, counts):
    before = turned(make(own / "works", own / "out"))
    (folder,) = (own / "out" / "descriptors").iterdir()
    assert folder.name.endswith("-blend")
    (folder / "vectors.npy").write_bytes(b"")
    assert turned(make(own / "works", own / "out")) == before
    assert counts == {"opened": 0, "computed": 0, "learnt": 1}


def test_a_work_that_cannot_be_read_is_left_out(own):
    (own / "works" / "broken.jpg").write_bytes(b"no picture")
    search = make(own / "works", own / "out").dial(LITE, CROP)
    assert len(search.index) == 5 and "broken.jpg" not in search.index.ids


# The layers that networks state


def test_a_blend_of_five_layers():
    blend = blend_of("a", ("b", "c", "d"), "e")
    assert blend == BlendLayers(
        content=(("e", 1), ("d:covariance", 2)),
        middle=(("e", 1), ("b:gram", 1), ("c:gram", 1), ("d:gram", 1), ("d:covariance", 1)),
        style=(("a:moments", 1), ("a:gram", 1)),
    )
    expected = ["e", "d:covariance", "b:gram", "c:gram", "d:gram", "a:moments", "a:gram"]
    assert blend.names == expected


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name].layer])
def test_the_layers_of_a_blend_are_there_from_shallow_to_deep(name):
    network = NETWORKS[name]
    shapes = layers(network).set_index("layer")["shape"].to_dict()
    names = network.blend.names
    assert names[0] == network.layer in shapes
    (early,) = {split_layer(layer)[0] for layer, _ in network.blend.style}
    grams = [split_layer(layer)[0] for layer, _ in network.blend.middle if layer.endswith(":gram")]
    maps = [shapes[layer] for layer in (early, *grams)]
    assert all(len(shape) == 3 for shape in maps)
    channels, sides = [shape[0] for shape in maps], [shape[1] for shape in maps]
    assert channels == sorted(channels) and sides == sorted(sides, reverse=True)
    assert sides[0] >= network.size // 2 - 1 and sides[-1] >= 7


@pytest.mark.parametrize("name", NETWORKS)
def test_no_blend_is_wider_than_the_final_layer(name):
    most = min(512, NETWORKS[name].dims)
    widths = [min(DIMS, NETWORKS[name].dims) * share // 16 for share in SHARES.values()]
    assert most - 3 < sum(widths) <= most


def test_networks_of_timm_have_a_blend_where_their_stages_are_known():
    resnet = NETWORKS["timm:resnet18"]
    assert resnet.blend == blend_of("maps.0", ("maps.1", "maps.2", "maps.3"), "")
    modules = set(layers(resnet)["layer"])
    assert {split_layer(layer)[0] for layer in resnet.blend.names} - {""} <= modules
