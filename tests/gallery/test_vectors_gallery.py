"""A collection of vectors alone: gallery, questions, paths, map, evaluation, page and site."""

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from published import rows, write_many, write_met
from walks import Walk

from artsearch.base.errors import ArtsearchError
from artsearch.cli import demo
from artsearch.cli.commands import main
from artsearch.features.extract import extract
from artsearch.features.extractor import FeatureExtractor
from artsearch.fetch.vectors import fetch_vectors
from artsearch.gallery.widget import Gallery
from artsearch.search.searches import Searches
from artsearch.show.map import map_layout, show_map
from artsearch.show.site import write_page, write_site
from artsearch.works.collection import Collection

NETWORK = "vectors:dinov2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two sources of one model, and a second model of the first source's works."""
    place = tmp_path_factory.mktemp("vectors")
    for seed, (source, count) in enumerate((("met", 20), ("moma", 12))):
        words = {
            "title": [f"{source} {row}" for row in range(count)],
            "artist": [f"Artist {row % 3}" for row in range(count)],
            "objectURL": [f"https://example.org/{source}/{row}" for row in range(count)],
        }
        file = write_met(place / f"{source}.parquet", rows(count, seed=seed), "dinov2", **words)
        fetch_vectors(str(file), place / "works")
    file = write_met(place / "siglip.parquet", rows(20, 5, 9), "siglip")
    fetch_vectors(str(file), place / "works", name="met")
    return place / "works"


@pytest.fixture
def searches(folder, tmp_path) -> Searches:
    return Searches(Collection(folder), out=tmp_path, index="exact", progress=False)


def nearest(vectors, row: int, among=None) -> int:
    """Return the row that is nearest to a row by angle, by a plain sum."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ unit[row]
    scores[row] = -2
    return int(np.argmax(np.where(among, scores, -2) if among is not None else scores))


def test_the_nearest_and_the_nearest_in_each_source(searches):
    made = np.vstack([rows(20), rows(12, seed=1)])
    ids = searches.collection.ids
    search = searches[NETWORK, "no_crop"]
    assert search.by_work("met/3", 1).ids == [ids[nearest(made, 3)]]
    in_each = search.ask("met/3", group_by="source").ids
    is_met = np.arange(32) < 20
    assert sorted(in_each) == sorted(
        [ids[nearest(made, 3, is_met)], ids[nearest(made, 3, ~is_met)]]
    )
    assert len(search.path("met/3", "moma/4", 3)) >= 1


def test_auto_takes_the_model_with_most_works_and_names_the_other(searches, folder):
    assert list(searches) == [(NETWORK, "as_published")]
    assert searches.sentence == (
        "Vectors: dinov2, as published; siglip: other works, to be asked for by name."
    )
    other = Searches(Collection(folder), "siglip")
    assert [one.dims for one in other.networks] == [5]
    with pytest.raises(
        ArtsearchError, match="unknown network 'resnet50'.* vectors and no pictures"
    ):
        Searches(Collection(folder), "resnet50")


def test_what_wants_the_network_is_refused_in_a_sentence(searches, folder, tmp_path):
    search, picture = searches[NETWORK, "no_crop"], "data/paintings/albrecht-durer_lion.jpg"
    for ask in (
        lambda: search.by_image(picture),
        lambda: search.ask("met/1", region=(0, 0, 0.5, 0.5)),
        lambda: search.why("met/1", "met/2"),
        lambda: searches.dial(NETWORK, "no_crop"),
        lambda: searches[NETWORK, "center_crop"],
        lambda: extract(Collection(folder), [FeatureExtractor("efficientnet_lite0")], tmp_path),
    ):
        with pytest.raises(ArtsearchError, match="vector") as error:
            ask()
        assert "fetch" in str(error.value) and "\n" not in str(error.value)


def test_a_visitor_of_the_gallery(searches, tmp_path):
    gallery = Gallery(searches.collection, searches, k=5, crop="no_crop", out=tmp_path)
    walk = Walk(gallery)
    drawer = walk.view["drawer"]["works"]
    assert len(drawer) == 24 and all(gallery._picture_file(work["thumb"]) for work in drawer)
    assert walk.view["query"]["source"].startswith("https://example.org/")
    for change in ({"group_by": "source"}, {"where": 'source == "moma"'}, {"goal": "moma/3"}):
        walk.change(**change)
        assert not walk.error and walk.gallery.results[NETWORK].ids
        walk.clear()
    for change in ({"why": walk.gallery.results[NETWORK].ids[0]}, {"region": (0, 0, 0.5, 0.5)}):
        walk.change(**change)
        assert "fetch" in walk.error and walk.gallery.results[NETWORK].ids
    walk.change(dial=0.5)
    assert "these searches have none" in walk.error
    walk.upload(Path("data/paintings/albrecht-durer_lion.jpg").read_bytes())
    assert "wants the network itself" in walk.error
    walk.open_link("?like=moma%2F3&network=vectors%3Adinov2&crop=as_published")
    assert walk.query == "moma/3" and not walk.error
    assert gallery.picture().axes and walk.view["can_upload"]


def test_page_and_site_show_cards(searches, tmp_path):
    page = write_page(searches.collection, searches, tmp_path / "page.html", queries=2)
    assert "data:image/jpeg" in page.read_text() and "undefined" not in page.read_text()
    site = write_site(searches.collection, searches, tmp_path / "site", progress=False)
    assert (
        "vectors as published by met, moma; weights under an unstated licence" in site.read_text()
    )
    assert len(list((site.parent / "thumbs").glob("*/*.jpg"))) == 32
    assert not (site.parent / "images").exists()


def test_the_map(tmp_path):
    """Of few works, whose map is quick; more are no different to it."""
    fetch_vectors(str(write_met(tmp_path / "met.parquet", rows(9), "dinov2")), tmp_path / "works")
    works = Collection(tmp_path / "works")
    layout = map_layout(Searches(works, out=tmp_path).features(NETWORK, "no_crop"))
    assert layout.vectors.shape == (9, 2)
    assert show_map(works, layout, "source").axes


def test_labels_are_evaluated_and_the_rest_is_said(folder, tmp_path):
    out = ["--out", str(tmp_path / "report"), "--cache", str(tmp_path), "--labels", "artist"]
    done = CliRunner().invoke(main, ["evaluate", str(folder), "--k", "5", *out])
    assert done.exit_code == 0, done.output
    metrics = (tmp_path / "report/metrics.csv").read_text()
    assert "vectors:dinov2" in metrics and "artist" in metrics and "blur" not in metrics
    page = (tmp_path / "report/report.html").read_text()
    assert "wants the network itself" in page


def test_similar_from_the_command_line(folder, tmp_path):
    ask = ["similar", "met/3", "--collection", str(folder), "--out", str(tmp_path), "--k", "2"]
    done = CliRunner().invoke(main, [*ask, "--per", "source"])
    assert done.exit_code == 0 and "met: " in done.output and "moma: " in done.output
    done = CliRunner().invoke(main, [*ask, "--dial", "0.5"])
    assert done.exit_code == 1 and "a dial wants the network itself" in done.output


def test_fetch_from_the_command_line(tmp_path):
    source = write_met(tmp_path / "met.parquet", rows(3), wer=["Ada"] * 3, was=list("abc"))
    words = ["fetch", "vectors", str(source), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, [*words, "--columns", "id=was,artist=wer"])
    assert done.exit_code == 0 and "3 vectors of 8 numbers each" in done.output
    assert Collection(tmp_path / "out").ids == ["met/a", "met/b", "met/c"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [*range(1, 10)])
def test_notebooks_say_what_they_cannot_do(number, folder, tmp_path):
    (notebook,) = Path("notebooks").glob(f"{number:02}_*.ipynb")
    values = ("-p", "COLLECTION", str(folder.resolve()), "-p", "OUT", str(tmp_path))
    done = CliRunner().invoke(main, ["run", str(notebook), str(tmp_path / "out.ipynb"), *values])
    assert done.exit_code == 0, done.output
    said = (tmp_path / "out.ipynb").read_text()
    # Maps, comparisons and indexes want no picture.
    assert ("Left out here: " in said) == (number not in (4, 8))


def test_the_demo_of_vectors(folder, tmp_path, monkeypatch):
    executed = []
    monkeypatch.setattr(
        demo, "run_notebook", lambda notebook, output, *_: executed.append(notebook.stem) or output
    )
    monkeypatch.setattr(demo, "_note", lambda output, basis: None)
    done = CliRunner().invoke(main, ["demo", "--collection", str(folder), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert len(executed) == 5 and (tmp_path / "site/index.html").is_file()
    monkeypatch.setattr(demo, "NO_SITE_FROM", 32)
    words = ["demo", "--collection", str(folder), "--out", str(tmp_path / "many")]
    done = CliRunner().invoke(main, [*words, "--notebooks", "none"])
    assert done.exit_code == 0 and "No site is written of 32 works without pictures" in done.output
    assert (tmp_path / "many/gallery.html").is_file() and not (tmp_path / "many/site").exists()


@pytest.mark.slow
def test_a_hundred_thousand_works_of_the_met(tmp_path):
    file = write_many(tmp_path / "met.parquet", 100_000, 256)
    fetched = fetch_vectors(str(file), tmp_path / "works")
    assert fetched.rows == 100_000 and not fetched.skipped
    collection = Collection(tmp_path / "works")
    searches = Searches(collection, out=tmp_path / "out", index="exact", progress=False)
    gallery = Gallery(collection, searches, k=10, out=tmp_path / "out")
    drawn = gallery.opening["drawn"]
    assert drawn["matches"] == 100_000 and drawn["works"]
    search = searches["vectors:dinov2-giant", "no_crop"]
    made = np.concatenate([rows(10_000, 256, start) for start in range(0, 100_000, 10_000)])
    assert search.by_work("met/77777", 1).ids == [f"met/{nearest(made, 77_777)}"]
    by_hand = np.arange(100_000) % 997 == 5
    asked = search.ask("met/77777", 1, where='artist == "Artist 5"')
    assert asked.ids == [f"met/{nearest(made, 77_777, by_hand)}"]
    others = search.ask("met/77777", 5, exclude_same="artist", near_duplicates=False)
    assert len(others) == 5
    assert os.path.getsize(tmp_path / "works/works.csv") > 1e6
