"""Asking for neighbours by work, by vector and by any image."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artsearch.base.errors import ArtsearchError, ImageError, MismatchError, WeightsError
from artsearch.features.compute import compute_features
from artsearch.features.features import Features
from artsearch.index.factory import METRICS, construct_ann_index, construct_exact_index, load_index
from artsearch.search.search import Search
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection
from artsearch.works.images import ImageNote

LITE = "efficientnet_lite0"
MONA_LISA = "leonardo-da-vinci_mona-lisa.jpg"


@pytest.fixture(scope="module")
def collection(few):
    return Collection(few)


@pytest.fixture(scope="module")
def search(collection, few_features):
    return Search(collection, construct_exact_index("angular", few_features))


# Answers


def test_by_work(search, few_features):
    results = search.by_work(MONA_LISA, k=4)
    assert results.query == MONA_LISA and len(results) == 4
    assert {MONA_LISA, *results.ids} == set(few_features.ids)
    assert results.distances == sorted(results.distances) and 0 < results.distances[0] < 2
    assert results[0].id == results.ids[0] == next(iter(results)).id
    assert results.unit == f"angular: {METRICS['angular']}"
    assert results.provenance == few_features.provenance


def test_by_vector(search, few_features):
    results = search.by_vector(few_features.vector(MONA_LISA), k=5)
    assert results.query is None
    assert (results.ids[0], results.distances[0]) == (MONA_LISA, pytest.approx(0, abs=1e-3))
    assert results.ids[1:] == search.by_work(MONA_LISA, k=4).ids
    assert search.by_vector(few_features.vector(MONA_LISA).tolist(), k=5).ids == results.ids


@pytest.mark.parametrize("metric", [metric for metric in METRICS if metric != "dot"])
@pytest.mark.parametrize("kind", ["exact", "annoy"])
def test_a_work_is_its_own_nearest_by_its_image(collection, few_features, kind, metric):
    if kind == "exact":
        index = construct_exact_index(metric, few_features)
    else:
        index = construct_ann_index(metric, 10, few_features)
    search = Search(collection, index)
    for id in collection.ids:
        results = search.by_image(collection.path(id), k=5)
        assert results.ids[0] == id
        assert results.distances[0] < 0.05 * max(1, results.distances[1])


def test_a_path_bytes_and_a_picture_find_the_same(search, collection):
    path = collection.path(MONA_LISA)
    sources = [path, str(path), path.read_bytes(), memoryview(path.read_bytes()), Image.open(path)]
    answers = [search.by_image(source, k=5) for source in sources]
    assert all(answer.ids == answers[0].ids for answer in answers)
    assert all(answer.distances == pytest.approx(answers[0].distances) for answer in answers)


def test_a_picture_from_elsewhere_finds_its_like(search, collection):
    """A small copy, mirrored and in other proportions, is still nearest to its original."""
    small = collection.open(MONA_LISA).resize((120, 150)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert search.by_image(small, k=1).ids == [MONA_LISA]


def test_captions_and_the_table(search, collection):
    results = search.by_work("giuseppe-arcimboldo_spring.jpg", k=4)
    captions = {work.id: work.caption for work in results}
    assert captions[MONA_LISA].startswith("Leonardo da Vinci, Mona Lisa, 1")
    table = results.table()
    assert isinstance(table, pd.DataFrame)
    assert table.columns.tolist() == ["id", "distance", "caption"]
    assert table["id"].tolist() == results.ids
    assert table["caption"].tolist() == [collection.caption(id) for id in results.ids]


def test_a_true_duplicate_is_found_and_the_work_itself_is_not(few, tmp_path, one_thread):
    for name in (MONA_LISA, "katsushika-hokusai_poppies.jpg"):
        shutil.copy(few / name, tmp_path)
    shutil.copy(few / MONA_LISA, tmp_path / "a copy.jpg")
    collection = Collection(tmp_path)
    features = compute_features(collection, LITE, progress=False)
    for index in (
        construct_exact_index("angular", features),
        construct_ann_index(features=features),
    ):
        results = Search(collection, index).by_work(MONA_LISA, k=2)
        assert results.ids == ["a copy.jpg", "katsushika-hokusai_poppies.jpg"]
        assert results.distances[0] == pytest.approx(0, abs=1e-3)


def test_an_index_from_disk_can_be_asked_by_image(collection, few_features, tmp_path):
    folder = construct_ann_index("euclidean", 5, few_features).save(tmp_path / "index")
    search = Search(collection, load_index(folder))
    assert search.by_image(collection.path(MONA_LISA), k=1).ids == [MONA_LISA]


def test_the_images_crop_and_layer_are_those_of_the_index(collection, one_thread):
    features = compute_features(
        collection, LITE, "center_crop", layers="blocks.3", pool=2, progress=False
    )
    search = Search(collection, construct_exact_index("euclidean", features))
    extractor = search.extractor
    assert (extractor.transform.crop, extractor.layers, extractor.pool("blocks.3")) == (
        "center_crop",
        ["blocks.3"],
        2,
    )
    results = search.by_image(collection.path(MONA_LISA), k=2)
    assert results.ids[0] == MONA_LISA and results.distances[0] < 1e-3 * results.distances[1]


def test_the_network_is_loaded_once_and_only_when_needed(collection, few_features, monkeypatch):
    loads = []
    from artsearch.features import extractor as module

    real = module.load_model
    monkeypatch.setattr(module, "load_model", lambda network: loads.append(1) or real(network))
    search = Search(collection, construct_exact_index("angular", few_features))
    search.by_work(MONA_LISA, k=1)
    assert loads == []
    for _ in range(2):
        search.by_image(collection.path(MONA_LISA), k=1)
    assert loads == [1]


def test_a_collection_may_hold_more_than_its_index(collection, few_features):
    part = Features(few_features.vectors[:3], few_features.ids[:3], few_features.provenance)
    search = Search(collection, construct_exact_index("angular", part))
    assert set(search.by_vector(few_features.vectors[4], k=3).ids) == set(part.ids)
    with pytest.raises(ArtsearchError, match="unknown work 'wassily-kandinsky"):
        search.by_work(few_features.ids[4], k=1)


# A search for each network and crop


def test_searches_are_made_when_asked_for_and_kept(collection, tmp_path, one_thread):
    searches = Searches(collection, LITE, out=tmp_path, metric="euclidean", progress=False)
    assert list(searches) == [(LITE, "no_crop"), (LITE, "center_crop")] and len(searches) == 2
    assert searches.sentence == "Networks: EfficientNet-Lite0, as asked for."
    assert list(tmp_path.iterdir()) == []
    search = searches[LITE, "center_crop"]
    assert search is searches[LITE, "center_crop"]
    assert (search.index.metric, search.index.num_trees) == ("euclidean", 25)
    assert search.index.provenance["crop"] == "center_crop"
    assert len(list((tmp_path / "stores").glob("[!.]*"))) == 1
    with pytest.raises(KeyError):
        searches["vgg16", "no_crop"]


@pytest.fixture(scope="module")
def open_with(collection, tmp_path_factory, one_thread):
    """Make searches by a kind of index; the features are computed by the first that asks."""
    out = tmp_path_factory.mktemp("out")

    def open_with(index):
        options = {"out": out, "progress": False, "precision": "exact", "index": index}
        return Searches(collection, LITE, ["no_crop"], **options)

    return open_with


@pytest.mark.usefixtures("milvus_at_once")
@pytest.mark.parametrize("kind", ["exact", "auto", "faiss", "milvus"])
def test_every_kind_of_index_answers_as_annoy_does(kind, open_with):
    article, other = (open_with(index)[LITE, "no_crop"] for index in ("annoy", kind))
    assert other.index.kind == ("exact" if kind == "auto" else kind)
    found, wanted = (one.by_work(MONA_LISA, k=4) for one in (other, article))
    assert found.ids == wanted.ids
    assert found.distances == pytest.approx(wanted.distances, abs=1e-4)
    assert open_with(kind)[LITE, "no_crop"].by_work(MONA_LISA, k=4).ids == wanted.ids


@pytest.mark.usefixtures("milvus_at_once")
def test_questions_and_the_dial_in_milvus_are_answered_as_in_memory(
    open_with, tmp_path, monkeypatch
):
    monkeypatch.setenv("ARTSEARCH_MILVUS", str(tmp_path / "museum.db"))
    memory, milvus = map(open_with, ("exact", "milvus"))
    question = {"positive": MONA_LISA, "k": 3, "where": "year < 1900", "group_by": "style"}
    for one, other in [
        (memory[LITE, "no_crop"], milvus[LITE, "no_crop"]),
        *((memory.dial(LITE, "no_crop", at), milvus.dial(LITE, "no_crop", at)) for at in (0, 0.7)),
    ]:
        assert other.index.kind.startswith("milvus")
        wanted, found = one.ask(**question), other.ask(**question)
        assert (found.ids, found.notes) == (wanted.ids, wanted.notes)
        assert found.distances == pytest.approx(wanted.distances, abs=1e-4)
    assert (tmp_path / "museum.db").exists()


def test_searches_with_wrong_names_fail_before_any_computing(collection, tmp_path):
    for options, says in [
        ({"names": "vg16"}, "unknown network 'vg16'; did you mean 'vgg16'"),
        ({"crops": "centre_crop"}, "unknown crop 'centre_crop'; did you mean 'center_crop'"),
        ({"metric": "cosine"}, "unknown metric 'cosine'; known: angular"),
        ({"index": "anoy"}, "unknown kind of index 'anoy'; did you mean 'annoy'"),
    ]:
        with pytest.raises(ArtsearchError, match=says):
            Searches(collection, **({"names": LITE, "out": tmp_path} | options))
    assert Searches(collection, LITE, crops="no_crop").crops == ["no_crop"]
    assert list(tmp_path.iterdir()) == []


# Refusals


def test_an_index_of_another_collection_is_refused(few_features, tmp_path, paint):
    paint("other/a.png")
    with pytest.raises(MismatchError, match="holds 5 works that other does not, the first is 'giu"):
        Search(Collection(tmp_path / "other"), construct_exact_index("angular", few_features))


def test_an_index_of_plain_numbers_cannot_be_asked_by_image(collection, few_features):
    plain = Features(few_features.vectors, few_features.ids)
    search = Search(collection, construct_exact_index("angular", plain))
    assert len(search.by_work(MONA_LISA, k=4)) == 4
    with pytest.raises(MismatchError, match="does not say which network.*compute_features"):
        search.by_image(collection.path(MONA_LISA))
    half = Features(few_features.vectors, few_features.ids, {"network": LITE})
    with pytest.raises(MismatchError, match="does not say"):
        Search(collection, construct_exact_index("angular", half)).by_image(MONA_LISA)


def test_an_index_by_other_weights_cannot_be_asked_by_image(collection, few_features):
    note = few_features.provenance | {"weights": "f" * 64}
    other = Features(few_features.vectors, few_features.ids, note)
    search = Search(collection, construct_exact_index("angular", other))
    with pytest.raises(
        MismatchError, match="weights ffffffff of efficientnet_lite0, here are 5793"
    ):
        search.by_image(collection.path(MONA_LISA))


def test_an_index_by_weights_that_are_not_here(collection, few_features, monkeypatch, tmp_path):
    monkeypatch.setenv("ARTSEARCH_OFFLINE", "1")
    for name in ("TORCH_HOME", "ARTSEARCH_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path))
    note = few_features.provenance | {"network": "resnet50", "layer": "avgpool"}
    other = Features(few_features.vectors, few_features.ids, note)
    search = Search(collection, construct_exact_index("angular", other))
    with pytest.raises(WeightsError, match="resnet50"):
        search.by_image(collection.path(MONA_LISA))


@pytest.mark.parametrize("image", [b"", b"no picture", "missing.jpg", "/", None, np.zeros((3, 3))])
def test_what_is_no_image_cannot_be_asked(search, image):
    with pytest.raises(ImageError) as error:
        search.by_image(image)
    assert "\n" not in str(error.value)


def test_a_cut_jpeg_is_asked_with_what_came_of_it(search, collection):
    data = collection.path(MONA_LISA).read_bytes()
    with pytest.warns(ImageNote, match="ends before the picture does"):
        assert search.by_image(data[: len(data) * 9 // 10], k=1).ids == [MONA_LISA]
    with pytest.raises(ImageError, match="truncated"):
        search.by_image(data[:300])


def test_other_wrong_questions(search, few_features):
    with pytest.raises(ArtsearchError, match="unknown work .*did you mean 'leonardo-da-vinci_mona"):
        search.by_work("mona-lisa")
    with pytest.raises(ArtsearchError, match="k is 5, but there are 4 other works"):
        search.by_work(MONA_LISA, k=5)
    with pytest.raises(ArtsearchError, match="k is 10, but there are 5 works"):
        search.by_vector(few_features.vectors[0])
    with pytest.raises(MismatchError, match=r"shape \(1, 1280\).*1280 numbers by effic"):
        search.by_vector(few_features.vectors[:1], k=1)
    for vector in (MONA_LISA, None, ["a"]):
        with pytest.raises(ArtsearchError):
            search.by_vector(vector, k=1)
