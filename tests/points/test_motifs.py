"""Motifs: a part of a work in others, with truth by construction."""

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageOps
from walks import Walk

from artsearch.base.errors import ArtsearchError
from artsearch.cli.commands import main
from artsearch.evaluate.motifs import motifs, overlap, paste, paste_part
from artsearch.features.extractor import FeatureExtractor
from artsearch.gallery.session_table import describe
from artsearch.gallery.widget import Gallery
from artsearch.networks.registry import NETWORKS
from artsearch.points import pyramid
from artsearch.points.motifs import Motifs
from artsearch.points.regions import FeatureMap, MapExtractor
from artsearch.search.answer import cut
from artsearch.search.question import Question, read_link
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection

NETWORK, KEY = "efficientnet_lite0", ("efficientnet_lite0", "no_crop")
WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
BOATS = (0.28, 0.5, 0.62, 0.85)


@pytest.fixture(scope="module")
def folder(paintings, tmp_path_factory):
    """The paintings at 480 pixels; some of them have the boats below the great wave."""
    folder = tmp_path_factory.mktemp("works")
    for path in sorted(paintings.glob("*.jpg")):
        with Image.open(path) as image:
            image = image.convert("RGB")
        image.thumbnail((480, 480))
        image.save(folder / path.name, quality=92)
    return folder


@pytest.fixture(scope="module")
def places(folder):
    """Paste the boats into three works, mirrored into the third; return where by id."""
    with Image.open(folder / WAVE) as image:
        boats = cut(image.convert("RGB"), BOATS)
    rng, places = np.random.default_rng(3), {}
    names = sorted(path.name for path in folder.glob("*.jpg") if path.name != WAVE)
    for name, larger, mirrored in zip(names[::6], (0.8, 1.0, 1.3), (0, 0, 1), strict=False):
        with Image.open(folder / name) as image:
            picture = image.convert("RGB")
        detail = ImageOps.mirror(boats) if mirrored else boats
        picture, places[name] = paste_part(picture, detail, larger, rng)
        picture.save(folder / name, quality=92)
    return places


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def search(folder, places, out):
    return Searches(Collection(folder), NETWORK, ["no_crop"], out, progress=False)[KEY]


# Maps and regions


def test_a_map_is_packed_into_a_row_and_back():
    cells = np.random.default_rng(0).normal(size=(7, 9, 5)).astype(np.float32)
    row = FeatureMap(cells, 1.25).pack(64)
    again = FeatureMap.unpack(row)
    assert row.dtype == np.float32 and again.shape == 1.25
    assert again.cells == pytest.approx(cells, abs=float(np.abs(cells).max()) / 200)


def test_a_picture_goes_in_whole_and_in_its_proportions():
    extractor = MapExtractor(FeatureExtractor(NETWORK))
    wide = extractor.map(Image.new("RGB", (900, 300)))
    high = extractor.map(Image.new("RGB", (300, 900)))
    assert wide.cells.shape[:2] == high.cells.shape[1::-1] == (16, 48)
    # A position is as wide as it is high.
    assert wide.scaled(0.1).shape[:2] == (6, 17)
    (part, side) = wide.cut((0.5, 0.0, 1.0, 1.0), 6)
    assert part.shape[:2] == (4, 6) and side == pytest.approx(0.5 * math.sqrt(3) / 6)


def test_a_network_of_squares_alone_gets_the_picture_squeezed():
    from artsearch.networks.registry import as_network

    network = as_network("timm:vit_tiny_patch16_224@random")
    found = MapExtractor(FeatureExtractor(network)).map(Image.new("RGB", (900, 300)))
    assert found.cells.shape == (14, 14, 192) and found.shape == 3.0


# Finding


def test_works_that_have_the_motif_come_first_and_say_where(search, places):
    answer = search.ask(WAVE, 3, region=BOATS, motif=True)
    assert set(answer.ids) == set(places)
    for work in answer:
        assert overlap(work.region, places[work.id]) > 0.4
        assert work.share > 0.3
    assert answer.distances == sorted(answer.distances)
    assert list(answer.table()["region"]) == [work.region for work in answer]


def test_an_image_of_ones_own_has_motifs_too(search, places, folder):
    with Image.open(folder / WAVE) as image:
        answer = search.ask(ImageOps.mirror(image), 4, region=(0.38, 0.5, 0.72, 0.85), motif=True)
    assert {WAVE, *places} == set(answer.ids)


def test_conditions_hold_for_motifs(search, places):
    first = search.ask(WAVE, 1, region=BOATS, motif=True).ids
    answer = search.ask(WAVE, 2, region=BOATS, motif=True, exclude=first)
    assert set(answer.ids) == set(places) - set(first)
    title = search.collection.work(first[0])["title"]
    answer = search.ask(WAVE, 5, region=BOATS, motif=True, where={"title": title})
    assert answer.ids == first and "1 of 21 works" in answer.notes[0]


def test_clusters_find_what_an_exhaustive_search_finds(search, places, monkeypatch):
    monkeypatch.setattr(pyramid, "MANY", 1_000)
    clustered = pyramid.Pyramid.build(search.motifs._maps)
    found = Motifs(search.motifs._maps, search.motifs._extractor, clustered)
    best = found.find(search.collection.open(WAVE), BOATS, 3, [*places, search.collection.ids[1]])
    assert {one.id for one in best} == set(places)


def test_maps_and_regions_are_kept_and_built_again_where_damaged(search, out, monkeypatch):
    (file,) = out.glob("indexes/*-motifs/regions.faiss")
    before = search.motifs.find(search.collection.open(WAVE), BOATS, 3)
    monkeypatch.setattr(MapExtractor, "rows", None)  # nothing is computed anew
    file.write_bytes(file.read_bytes()[:-100])
    again = Motifs.of(search.collection, search.extractor, out, progress=False)
    assert again.find(search.collection.open(WAVE), BOATS, 3) == before


# Asking


def test_a_motif_is_a_part_and_stands_in_the_link():
    question = Question(positive=WAVE, region=BOATS, motif=True)
    assert "&motif=yes" in question.to_link()
    assert read_link(question.to_link())[0] == question
    with pytest.raises(ArtsearchError, match="a motif is a part of a work; name the part"):
        Question(positive=WAVE, motif=True)
    with pytest.raises(ArtsearchError, match="a motif is asked for alone, without normalise"):
        Question(positive=WAVE, region=BOATS, motif=True, normalise="csls")


def test_the_command_says_where(search, places, folder, out):
    options = ["--collection", str(folder), "--out", str(out), "--network", NETWORK, "--k", "3"]
    part = ["--part", ",".join(map(str, BOATS)), "--motif"]
    said = CliRunner().invoke(main, ["similar", WAVE, *options, *part, "--json"])
    assert said.exit_code == 0, said.output
    works = json.loads(said.output)["works"]
    assert {work["id"] for work in works} == set(places)
    assert overlap(works[0]["region"], places[works[0]["id"]]) > 0.4
    said = CliRunner().invoke(main, ["similar", WAVE, *options, *part])
    assert "of the motif is found again, in part " in said.output


# What it is worth


def test_the_evaluation_pastes_and_finds(folder, tmp_path, monkeypatch):
    def paint_grey(images):  # the painting network has its own tests, and takes seconds
        return lambda content, manner: images[content].convert("L").convert("RGB")

    monkeypatch.setattr("artsearch.evaluate.motifs.make_painter", paint_grey)
    (tmp_path / "few").mkdir()
    for path in sorted(folder.glob("*.jpg"))[:12]:
        (tmp_path / "few" / path.name).symlink_to(path)
    collection = Collection(tmp_path / "few")
    pasted = paste(collection, tmp_path / "works", seed=0, queries=1, progress=False)
    assert len(pasted) == 1 and len(pasted[0].places) == 10
    share = math.prod(
        b - a for a, b in zip(pasted[0].region[:2], pasted[0].region[2:], strict=True)
    )
    assert 0.05 <= share <= 0.15
    found = motifs(Searches(collection, NETWORK, ["no_crop"], tmp_path), progress=False)
    by_motif, by_part = (
        found.value(descriptor=one, metric="precision", label="motif") for one in ("motif", "part")
    )
    assert by_motif >= by_part and by_motif >= 0.5
    assert found.table["metric"].isin(["precision", "recall", "place", "overlap"]).all()
    assert NETWORKS[NETWORK].name in set(found.table["network"])


# The gallery


class OneSearch(dict):
    """One network's search, as Searches has it."""

    networks, crops, sentence = [NETWORKS[NETWORK]], ["no_crop"], ""


@pytest.fixture
def walk(search, out):
    assert search.motifs  # there already, so that nothing is offered
    return Walk(Gallery(search.collection, OneSearch({KEY: search}), 3, query=WAVE, out=out))


def test_the_gallery_seeks_what_is_drawn(walk, places):
    walk.change(region=BOATS)
    assert walk.view["ask"]["motif"] == {"text": "", "offer": "", "busy": False, "on": False}
    walk.change(motif=True)
    view = walk.view
    works = view["rows"][0]["works"]
    assert {work["id"] for work in works} == set(places) and view["ask"]["motif"]["on"]
    assert all(work["region"] and "found again" in work["rarity"] for work in works)
    assert "sought in other works" in describe(walk.gallery.question, walk.gallery.collection)
    link = walk.view["ask"]["link"]
    walk.change(region=None)
    assert not walk.gallery.question.motif and not walk.error
    walk.open_link(link)
    assert walk.gallery.question.motif and walk.gallery.results[NETWORK].ids == [
        one["id"] for one in works
    ]
    walk.select(walk.gallery.collection.ids[0])
    assert not walk.gallery.question.motif and walk.gallery.question.region is None


def test_an_upload_has_motifs_in_the_gallery(walk, places):
    walk.upload(walk.gallery.collection.path(WAVE).read_bytes(), "mine.jpg")
    walk.change(region=BOATS, motif=True)
    walk.gallery.which.wait()
    assert WAVE in walk.gallery.results[NETWORK].ids and not walk.error


def test_what_takes_long_is_offered_and_then_sought(walk, places, monkeypatch):
    monkeypatch.setattr(Motifs, "missing", lambda *args: (21, 100.0))
    walk.change(region=BOATS, motif=True)
    said = walk.view["ask"]["motif"]
    assert said["text"] == "What is where in 21 works is looked at first, once: about 2 minutes."
    assert said["offer"] and not said["on"]
    monkeypatch.setattr(Motifs, "missing", lambda *args: (0, 0.0))
    walk.make_motifs()
    walk.gallery.making.wait()
    walk.hear()
    assert walk.gallery.question.motif and set(walk.gallery.results[NETWORK].ids) == set(places)


def test_what_goes_wrong_is_said(walk, monkeypatch):
    def fail(*args):
        raise ArtsearchError("no faiss here")

    monkeypatch.setattr(Motifs, "of", fail)
    walk.change(region=BOATS)
    walk.make_motifs()
    walk.gallery.making.wait()
    said = walk.hear()["ask"]["motif"]
    assert said["text"] == "Motifs cannot be sought: no faiss here" and not said["busy"]
    assert not walk.gallery.question.motif
