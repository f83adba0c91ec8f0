"""The gallery without a browser: what a visitor does, and what travels for it."""

import io
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from threading import Lock

import nbformat
import numpy as np
import pandas as pd
import pytest
from madeup import HOSTILE, MadeUpSearches, make_folder, searches_by_colour
from matplotlib import pyplot as plt
from PIL import Image
from walks import Walk

from artsearch.base.errors import ArtsearchError
from artsearch.base.text import disarm
from artsearch.gallery.app import prepare
from artsearch.gallery.widget import PLACES, Gallery
from artsearch.search.question import Question
from artsearch.search.results import Described
from artsearch.works.collection import Collection
from artsearch.works.table import to_safe_csv
from artsearch.works.thumbnails import SIDES, Thumbnails

WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
MONA_LISA = "leonardo-da-vinci_mona-lisa.jpg"
LION = "albrecht-durer_lion.jpg"


@pytest.fixture(scope="module")
def searches(collection):
    searches = searches_by_colour(collection)
    for key in searches:
        # What a network would make of an image; here always the same row as the Mona Lisa's.
        index = searches[key].index
        searches[key].describe = lambda image, index=index: index._vectors[index._row[MONA_LISA]]
    return searches


@pytest.fixture
def walk(collection, searches, out):
    return Walk(Gallery(collection, searches, query=WAVE, out=out))


@pytest.fixture
def gallery(collection, searches, out, monkeypatch):
    """A gallery whose messages to the browser are kept in `sent`, as (content, buffers)."""
    gallery = Gallery(collection, searches, query=WAVE, out=out)
    gallery.sent = []
    monkeypatch.setattr(gallery, "send", lambda *message: gallery.sent.append(message))
    return gallery


def act(gallery, buffers=(), **message):
    """Let the browser say something to the gallery."""
    gallery._handle_custom_msg(message, list(buffers))


def file_of(image, kind="PNG"):
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


# ---- the first view --------------------------------------------------------------------------


def test_first_view(walk, collection):
    view = walk.view
    assert view["query"]["id"] == WAVE
    assert view["query"]["title"] == "The Great Wave off Kanagawa"
    assert view["query"]["licence"] == "public domain"
    assert view["drawer"]["matches"] == 21 and view["k"] == 10 and view["k_max"] == 20
    assert [choice["selected"] for choice in view["networks"]] == [True, False, False]
    assert next(one["name"] for one in view["crops"] if one["selected"]) == "no_crop"
    assert view["history"]["works"][0]["id"] == WAVE
    assert not view["error"] and not view["compare"]
    assert {work["id"] for work in view["drawer"]["works"]} == set(collection.ids)
    json.dumps(view)


def test_rows_are_what_the_search_finds(walk, searches):
    results = searches["efficientnet_lite0", "no_crop"].by_work(WAVE, 10)
    works = walk.view["rows"][0]["works"]
    assert [work["id"] for work in works] == results.ids
    assert [work["distance"] for work in works] == results.distances
    assert works[0]["distance_text"] == f"{results.distances[0]:.3f}"
    said = [(work["rarity"], work["rarity_text"]) for work in works]
    assert said == [(one.rarity.word, str(one.rarity)) for one in results]
    assert walk.view["rows"][0]["cut"] == results.cut_text
    assert WAVE not in results.ids


def test_works_have_their_own_proportions(walk, collection):
    for work in walk.view["drawer"]["works"]:
        width, height = collection.open(work["id"]).size
        assert work["width"] / work["height"] == pytest.approx(width / height, rel=0.02)
        data = walk.gallery._picture_file(work["thumb"])
        assert max(Image.open(io.BytesIO(data)).size) == SIDES["small"]


def test_k_is_at_most_what_there_is(collection, searches, out):
    assert Walk(Gallery(collection, searches, 500, out=out)).view["k"] == 20


@pytest.mark.parametrize("wrong", [{"network": "vg16"}, {"crop": "half"}, {"query": "nope.jpg"}])
def test_wrong_beginnings(collection, searches, out, wrong):
    with pytest.raises(ArtsearchError, match=f"unknown .*{next(iter(wrong.values()))}"):
        Walk(Gallery(collection, searches, out=out, **wrong))


def test_gallery_of_one_work(tmp_path, paint):
    paint("one/a.png")
    collection = Collection(tmp_path / "one")
    searches = searches_by_colour(collection)
    walk = Walk(Gallery(collection, searches, out=tmp_path))
    view = walk.view
    assert view["query"]["id"] == "a.png" and view["rows"] == [] and view["k_max"] == 0
    figure = walk.gallery.picture()
    assert sum(len(ax.images) for ax in figure.axes) == 1
    plt.close(figure)
    row = searches[walk.gallery.network, walk.gallery.crop].exact.row("a.png")
    searches[walk.gallery.network, walk.gallery.crop].look = lambda image: Described(row, row)
    walk.upload(file_of(Image.new("RGB", (30, 40))), "mine.png")  # to which it is the nearest
    assert [work["id"] for work in walk.view["rows"][0]["works"]] == ["a.png"]


# ---- what a visitor does ---------------------------------------------------------------------


def test_history(walk):
    walk.select(MONA_LISA)
    walk.select(LION)
    assert walk.query == LION
    walk.back()
    walk.back()
    walk.back()
    history = walk.view["history"]
    assert (walk.query, history["position"], len(history["works"])) == (WAVE, 0, 3)
    walk.forward()
    assert walk.query == MONA_LISA
    walk.select(WAVE)  # what lay ahead is forgotten
    walk.forward()
    assert [work["id"] for work in walk.view["history"]["works"]] == [WAVE, MONA_LISA, WAVE]
    walk.go_to(1)
    assert walk.query == MONA_LISA
    walk.select(MONA_LISA)
    assert len(walk.view["history"]["works"]) == 3


def test_history_remembers_fifty(walk, collection):
    for step in range(60):
        walk.select(collection.ids[step % 21])
    history = walk.view["history"]
    assert len(history["works"]) == 50 and history["position"] == 49


def test_switches(walk):
    first = walk.shown
    walk.change(network="efficientnet_lite1")
    second = walk.shown
    walk.change(crop="center_crop")
    third = walk.shown
    assert first != second != third
    walk.change(crop="no_crop")
    walk.change(network="efficientnet_lite0")
    assert walk.shown == first


def test_errors_leave_everything_as_it_was(walk):
    before = walk.view
    for wrong, sentence in (
        (lambda: walk.select("nope.jpg"), "unknown work 'nope.jpg'"),
        (lambda: walk.change(network="vg16"), "unknown network 'vg16'"),
        (lambda: walk.change(crop="half"), "unknown crop 'half'"),
        (lambda: walk.change(k=21), "k is 21; take 1 to 20"),
        (lambda: walk.change(k=0), "k is 0; take 1 to 20"),
    ):
        wrong()
        assert sentence in walk.view["error"]
        assert walk.view == before | {"error": walk.view["error"]}
    walk.change(k=10)
    assert walk.view["error"] == ""


def test_side_by_side(walk):
    walk.change(compare=True)
    view = walk.view
    lists = walk.shown
    assert [row["network"] for row in view["rows"]] == [
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
    ]
    assert all(len(ids) == 10 for ids in lists) and lists[0] != lists[1] != lists[2]
    walk.change(network="efficientnet_lite1")
    assert not walk.view["compare"]


def test_refresh_draws_other_works(collection, searches, out):
    walk = Walk(Gallery(collection, searches, drawer=6, out=out))
    drawn = [[work["id"] for work in walk.view["drawer"]["works"]]]
    walk.change(search="hokusai")
    walk.refresh()
    drawn.append([work["id"] for work in walk.view["drawer"]["works"]])
    assert drawn[0] != drawn[1] and walk.view["drawer"]["search"] == ""
    again = Walk(Gallery(collection, searches, drawer=6, out=out))
    again.refresh()
    assert [work["id"] for work in again.view["drawer"]["works"]] == drawn[1]


def test_drawer_pages_hold_every_work_once(collection, searches, out):
    walk = Walk(Gallery(collection, searches, drawer=6, out=out))
    seen = []
    for page in range(walk.view["drawer"]["pages"]):
        walk.change(page=page)
        seen += [work["id"] for work in walk.view["drawer"]["works"]]
    assert sorted(seen) == collection.ids
    walk.change(page=99)
    assert walk.view["drawer"]["page"] == 3


@pytest.mark.parametrize(
    "text, titles",
    [
        ("durer", {"Lion"}),
        ("DÜRER lion", {"Lion"}),
        ("1830", {"Ejiri in Suruga Province", "Kazusa Sea Route"}),
        ("no such thing", set()),
    ],
)
def test_search_in_the_drawer(walk, text, titles):
    walk.change(search=text)
    drawer = walk.view["drawer"]
    assert titles <= {work["title"] for work in drawer["works"]}
    assert drawer["matches"] == len(drawer["works"]) and drawer["search"] == text
    assert bool(drawer["works"]) == bool(titles)


def test_upload(walk, collection):
    walk.upload(file_of(Image.new("RGBA", (3000, 1500), (0, 0, 0, 0))), "mine.png")
    view = walk.view
    query = view["query"]
    assert query["title"] == "mine.png" and query["width"] == 2 * query["height"]
    # The made-up extractor takes every image for the Mona Lisa.
    assert view["rows"][0]["works"][0]["id"] == MONA_LISA
    picture = Image.open(io.BytesIO(walk.gallery._picture_file(query["image"])))
    assert picture.size == (640, 320) and picture.getpixel((9, 9)) == (255, 255, 255)
    _, kept = walk.gallery._answers.uploads[query["id"]]  # no larger than any network wants
    assert Image.open(io.BytesIO(kept)).size == (1024, 512)
    walk.select(LION)
    walk.back()
    assert walk.view["query"] == query
    walk.change(compare=True)
    assert len(walk.view["rows"]) == 3 and not walk.view["error"]
    assert walk.gallery.table()["query"].unique().tolist() == [query["id"]]
    plt.close(walk.gallery.picture())


def test_two_uploads_of_one_name_are_two_queries(walk):
    for width in (40, 80):
        walk.upload(file_of(Image.new("RGB", (width, 40))), "mine.png")
    assert walk.view["query"]["width"] == 2 * walk.view["query"]["height"]
    walk.back()
    assert walk.view["query"]["width"] == walk.view["query"]["height"]


@pytest.mark.parametrize("data", [b"", b"just text", file_of(Image.new("RGB", (9, 9)))[:40]])
def test_upload_of_no_image(walk, data):
    walk.upload(data, "notes.txt")
    assert walk.view["error"].startswith("notes.txt cannot be a query: ")
    assert walk.query == WAVE


def test_a_notebook_hears_of_everything(walk):
    heard = []
    for name in ("query", "dial", "question", "results"):
        walk.gallery.observe(lambda change: heard.append(change["name"]), name)
    walk.select(LION)
    walk.select("nope.jpg")
    assert sorted(heard) == ["query", "question", "results"]


def test_a_notebook_asks(walk, searches):
    gallery = walk.gallery
    gallery.question = replace(gallery.question, where='artist contains "hokusai"', k=3)
    gallery.network = "efficientnet_lite1"
    assert walk.hear()["ask"]["where"] and walk.view["networks"][1]["selected"]
    found = searches["efficientnet_lite1", "no_crop"].answer(gallery.question).ids
    assert walk.shown == [found] == [one.ids for one in gallery.results.values()]
    gallery.query = LION
    gallery.compare = True
    walk.hear()
    assert walk.query == LION and len(walk.shown) == 3
    assert [work["id"] for work in walk.view["history"]["works"]] == [WAVE, LION]
    walk.back()
    assert gallery.query == WAVE and gallery.place["position"] == 0
    before = walk.view
    for name, wrong in (("query", "nope.jpg"), ("network", "vg16"), ("dial", 0.5)):
        with pytest.raises(ArtsearchError, match="unknown|have none"):
            setattr(gallery, name, wrong)
    assert walk.hear() == before and gallery.query == WAVE and gallery.dial is None


def test_a_page_that_is_loaded_again_is_where_it_was(walk):
    walk.select(LION)
    walk.change(k=4, search="hokusai")
    again = Walk(walk.gallery)
    assert again.view == walk.view and again.state == walk.state


# ---- export and picture ----------------------------------------------------------------------


def test_results_and_csv(walk, collection):
    walk.change(compare=True)
    table = walk.gallery.table()
    assert len(table) == 30 and set(table["network"]) == set(walk.gallery.titles)
    assert table["crop"].unique().tolist() == ["no_crop"]
    row = table.iloc[0]
    assert row["caption"] == collection.caption(row["id"]) and row["licence"] == "public domain"
    text = to_safe_csv(walk.gallery.table())
    assert text.startswith("query,network,crop,dial")
    back = pd.read_csv(io.StringIO(text), keep_default_na=False)
    assert back["id"].tolist() == table["id"].tolist()
    assert np.allclose(back["distance"], table["distance"])
    (answer, *_) = walk.gallery.results.values()
    assert back["rarity"].head(10).tolist() == [one.rarity.word for one in answer]
    assert back["share"].head(10).astype(float).tolist() == [one.rarity.share for one in answer]


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1-1", "-cmd", "+A1", "@sum", "\t=1", "\r=1"])
def test_formulas_are_disarmed(text):
    assert disarm(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-500", "+3.5", "1831", "Lion"])
def test_numbers_and_names_are_no_formulas(text):
    assert disarm(text) == text


def test_picture(walk):
    walk.change(k=3)
    walk.change(compare=True)
    figure = walk.gallery.picture()
    assert len(figure.axes) == 3 * 4
    assert figure.axes[4].get_ylabel() == "EfficientNet-Lite1"
    plt.close(figure)


# ---- hostile and large collections -----------------------------------------------------------


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    return Collection(make_folder(tmp_path_factory.mktemp("hostile") / "works", HOSTILE))


def test_hostile_titles_are_text(hostile, out):
    walk = Walk(Gallery(hostile, searches_by_colour(hostile), query=hostile.ids[0], out=out))
    works = walk.view["drawer"]["works"]
    assert {work["title"] for work in works} == {hostile.work(id)["title"] for id in hostile}
    # A cell's formula is disarmed, and nothing else of it changes.
    table = pd.read_csv(io.StringIO(to_safe_csv(walk.gallery.table())), keep_default_na=False)
    assert "'=HYPERLINK(0)" in set(table["title"])
    assert not table["title"].str.startswith(tuple("=+-@")).any()
    plt.close(walk.gallery.picture())


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    titles = [f"Untitled {number} {HOSTILE[number % 7]}" for number in range(10_000)]
    return Collection(make_folder(tmp_path_factory.mktemp("many") / "works", titles))


def test_ten_thousand_works(many, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(len(many), 16))
    walk = Walk(Gallery(many, MadeUpSearches(many, vectors), out=tmp_path))
    assert len(json.dumps(walk.view)) < 40_000
    works = walk.view["rows"][0]["works"] + walk.view["drawer"]["works"]
    # Only what is seen is made: two sizes of each.
    made = list((tmp_path / "thumbs").rglob("*.webp"))
    assert len(made) <= 2 * (len(works) + 1)
    walk.change(search="untitled")  # the first search folds all captions
    for verb in (
        lambda: walk.change(compare=True),
        walk.refresh,
        lambda: walk.select(many.ids[5000]),
    ):
        verb()
        assert len(json.dumps(walk.view)) < 60_000
    walk.change(search="untitled 77")
    assert walk.view["drawer"]["matches"] > 100


# ---- thumbnails ------------------------------------------------------------------------------


def test_thumbnails_are_made_once(tmp_path, paint):
    path = paint("works/a.bmp", (400, 200))
    thumbnails = Thumbnails(Collection(tmp_path / "works"), tmp_path / "thumbs")
    data = thumbnails.read("a.bmp")
    assert Image.open(io.BytesIO(data)).size == (256, 128) and thumbnails.size("a.bmp") == (
        256,
        128,
    )
    files = sorted((tmp_path / "thumbs").rglob("*.webp"))
    assert len(files) == 2  # the small one comes along
    files[0].write_bytes(b"kept")
    files[1].write_bytes(b"kept")
    assert thumbnails.read("a.bmp") == thumbnails.read("a.bmp", "small") == b"kept"
    size = path.stat().st_size
    Image.new("RGB", (200, 400), "blue").save(path)
    assert path.stat().st_size == size  # so its date alone tells that it is another picture
    os.utime(path, (1, 1))
    assert Image.open(io.BytesIO(thumbnails.read("a.bmp"))).size == (128, 256)
    assert not list((tmp_path / "thumbs").rglob(".*"))


def test_unreadable_work_has_no_thumbnail(tmp_path, paint):
    paint("works/a.png").write_text("no image")
    thumbnails = Thumbnails(Collection(tmp_path / "works"), tmp_path / "thumbs")
    assert thumbnails.read("a.png") == b"" and thumbnails.size("a.png") == (1, 1)


def test_thumbnails_without_a_disk(tmp_path, paint):
    paint("works/a.png", (400, 200))
    (tmp_path / "thumbs").write_text("a file where the folder should be")
    thumbnails = Thumbnails(Collection(tmp_path / "works"), tmp_path / "thumbs")
    thumbnails.prepare(["a.png"])
    assert thumbnails.size("a.png") == (256, 128)


# ---- the widget ------------------------------------------------------------------------------


def test_it_says_what_it_is(gallery):
    assert "21 works" in repr(gallery)
    figure = gallery.picture()
    assert len(figure.axes) == 11
    plt.close(figure)


def test_a_visit(walk):
    walk.select(LION)
    walk.select(MONA_LISA)
    walk.back()
    assert walk.query == LION == walk.gallery.query
    walk.forward()
    walk.go_to(0)
    assert walk.query == WAVE
    walk.change(network="efficientnet_lite2")
    walk.change(crop="center_crop")
    walk.change(k=4)
    walk.change(compare=True)
    view = walk.change(search="hokusai")
    assert len(view["rows"]) == 3 and len(view["rows"][0]["works"]) == 4
    assert view["drawer"]["matches"] == 7
    assert [one["name"] for one in view["crops"] if one["selected"]] == ["center_crop"]
    walk.refresh()
    walk.change(page=1)
    walk.upload(file_of(Image.new("RGB", (30, 40))), "mine.png")
    assert walk.view["query"]["title"] == "mine.png"
    walk.gallery.which.wait()


@pytest.mark.parametrize(
    "message",
    [{}, {"do": "fly"}, {"do": "select"}, {"do": "pictures", "names": ["x/y", "thumb/../../etc"]}],
)
def test_widget_bears_nonsense(gallery, message):
    before = gallery.question
    act(gallery, **message)
    assert gallery.question == before
    assert all(data == b"" for _, buffers in gallery.sent for data in buffers)


def test_unexpected_errors_are_said_in_the_gallery(walk):
    assert "ValueError" in walk.change(page="many")["error"]


def test_widget_saves(walk):
    walk.export()
    assert walk.error == ""
    assert walk.saved["similar-works.csv"].startswith(b"\xef\xbb\xbfquery,")
    walk.picture()
    assert walk.saved["similar-works.png"].startswith(b"\x89PNG")
    assert not plt.get_fignums()


def test_what_travels(walk):
    gallery, sent = walk.gallery, []
    gallery_sends = gallery.send
    gallery.send = lambda *said: (sent.append(said), gallery_sends(*said))
    known = set()

    def travels(view):
        """Return the bytes of all answers, and of the pictures that a browser does not have."""
        lists = [*(row["works"] for row in view["rows"]), view["drawer"]["works"]]
        names = {work["thumb"] for works in lists for work in works} | {view["query"]["image"]}
        new = names - known
        known.update(names)
        bytes_ = sum(len(json.dumps(said[0])) for said in sent)
        sent.clear()
        return bytes_ + sum(len(gallery._picture_file(name)) for name in new)

    assert len(gallery._esm) + len(gallery._css) < 200_000
    assert len(json.dumps([gallery.opening, gallery.about])) + travels(walk.view) < 300_000
    for change in (
        lambda: walk.select(LION),
        lambda: walk.select(MONA_LISA),
        lambda: walk.change(network="efficientnet_lite1"),
        lambda: walk.change(compare=True),
        lambda: walk.select(WAVE),
    ):
        assert travels(change()) < 150_000
    assert travels(walk.back()) < 60_000  # pictures are not sent again


# ---- from a notebook -------------------------------------------------------------------------


def place_of(gallery):
    return [getattr(gallery, name) for name in (*PLACES, "results")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("query", value) for value in (None, 3, [MONA_LISA], "", "nope.jpg", "your image: 7")),
        *(("question", value) for value in (None, "x", Question(WAVE, k=500), Question("nope"))),
        *(("network", None), ("network", "vgg"), ("crop", 1), ("crop", "half"), ("goal", None)),
        *(
            ("goal", "nope.jpg"),
            ("compare", "yes"),
            ("compare", None),
            ("dial", "x"),
            ("dial", 0.5),
        ),
    ],
)
def test_what_a_notebook_cannot_set_changes_nothing(gallery, name, value):
    before, opening = place_of(gallery), gallery.opening
    for hold in (nullcontext, gallery.hold_trait_notifications):
        with pytest.raises(ArtsearchError, match="."), hold():
            setattr(gallery, name, value)
        assert place_of(gallery) == before and gallery.opening == opening


def test_several_things_are_set_at_once(walk):
    gallery, told = walk.gallery, []
    gallery.observe(lambda change: told.append(change.new), "question")
    with gallery.hold_trait_notifications():
        gallery.query = MONA_LISA
        gallery.network = "efficientnet_lite1"
        gallery.question = replace(gallery.question, k=3)
    assert (gallery.query, gallery.network, len(told)) == (MONA_LISA, "efficientnet_lite1", 1)
    view = walk.hear()
    assert walk.query == MONA_LISA and view["k"] == 3
    assert view["rows"][0]["network"] == "efficientnet_lite1"


def test_who_is_told_may_ask_again(walk):
    gallery = walk.gallery

    def narrow(change):
        if not gallery.question.where:
            gallery.question = replace(gallery.question, where='style == "Ukiyo-e"')

    gallery.observe(narrow, "query")
    gallery.query = MONA_LISA
    assert gallery.query == MONA_LISA and gallery.question.where and len(gallery.results) == 1
    assert walk.hear()["ask"]["where"] == gallery.question.where and walk.query == MONA_LISA
    walk.clear()
    walk.select(LION)
    assert walk.hear()["ask"]["where"] == gallery.question.where and walk.query == LION


def test_the_browser_follows_where_who_is_told_fails(walk):
    def fail(change):
        raise RuntimeError("mine")

    walk.gallery.observe(fail, "query")
    with pytest.raises(RuntimeError):
        walk.gallery.query = LION
    walk.hear()
    assert walk.query == LION == walk.gallery.query


def test_a_page_that_is_loaded_again_is_where_the_visitor_was(walk):
    gallery, told = walk.gallery, []
    walk.select(LION)
    walk.upload(file_of(Image.new("RGB", (30, 40))), "mine.png")
    gallery.which.wait()
    walk.change(compare=True)
    walk.change(search="hokusai")
    gallery.observe(told.append, [*PLACES, "results"])
    again = Walk(gallery)
    assert again.view == {**walk.view, "which": again.view["which"]} and not told
    assert [one["id"] for one in again.view["history"]["works"][:2]] == [WAVE, LION]
    gallery.query = MONA_LISA  # while no page is open
    assert Walk(gallery).query == MONA_LISA == gallery.query


@pytest.mark.parametrize(
    ("error", "said"), [(RuntimeError("boom"), "boom"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_network_that_fails_among_several_is_said(walk, monkeypatch, error, said):
    walk.change(compare=True)
    before, answer = walk.view, walk.gallery._answers.answer

    def fail(asked):
        if asked.network == "efficientnet_lite1":
            raise error
        return answer(asked)

    monkeypatch.setattr(walk.gallery._answers, "answer", fail)
    walk.select(LION)
    assert said in walk.error and walk.gallery.query == WAVE
    # What the others answered is in the session.
    assert walk.view == before | {"error": walk.error, "ask": walk.view["ask"]}
    monkeypatch.undo()
    walk.select(LION)
    assert walk.query == LION == walk.gallery.query and not walk.error


def test_a_cell_and_the_browser_ask_one_after_the_other(gallery, collection, monkeypatch):
    """JupyterLab hands on what the browser says on a thread of its own."""
    answer, here = gallery._answers.answer, Lock()

    def alone(asked):
        assert here.acquire(blocking=False)
        time.sleep(0.02)
        here.release()
        return answer(asked)

    monkeypatch.setattr(gallery._answers, "answer", alone)
    asked = [replace(gallery._asked, question=Question(id), query=id) for id in collection.ids]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(gallery._answer, asked))
    assert [one.query for one in found] == collection.ids


@pytest.mark.parametrize("name", ["in words: a lake.png", "your image: 1.png"])
def test_a_file_named_as_words_or_as_an_upload_is_refused(tmp_path, paint, name):
    for one in ("a.png", name):
        paint(f"works/{one}")
    collection = Collection(tmp_path / "works")
    with pytest.raises(ArtsearchError, match=f"'{name}' begins as words.*rename the file"):
        Gallery(collection, searches_by_colour(collection), query="a.png", out=tmp_path)


def test_what_a_notebook_asks_and_cannot_be_shown_is_said(walk, monkeypatch):
    def fail(*_):
        raise RuntimeError("boom")

    walk.change(time=True)
    monkeypatch.setattr("artsearch.gallery.widget.tell_earlier", fail)
    walk.gallery.query = LION
    assert "boom" in walk.hear()["error"]
    monkeypatch.undo()
    walk.select(MONA_LISA)
    assert walk.query == MONA_LISA == walk.gallery.query and not walk.error


def test_a_session_whose_last_work_is_gone_names_it_and_is_open(walk):
    walk.select(LION)
    walk.session("json")
    gone = walk.saved["session.json"].decode().replace(LION, "gone.jpg")
    walk.select(MONA_LISA)
    walk.open_session(gone)
    assert walk.error == "paintings lacks 1 work of this session: 'gone.jpg'."
    assert walk.query == MONA_LISA and walk.view["ask"]["steps"] == 2


# ---- around it -------------------------------------------------------------------------------


def test_app_runs_only_the_cells_it_needs():
    def cell(text, *tags):
        return nbformat.v4.new_code_cell(text, metadata={"tags": list(tags)})

    cells = [
        cell("import this", "app"),
        cell("K = 8\nOUT = 'build'", "parameters"),
        cell("a long experiment"),
        cell("gallery", "gallery"),
    ]
    notebook = prepare(nbformat.v4.new_notebook(cells=cells), {"K": 3, "OUT": "it's"})
    sources = [cell.source for cell in notebook.cells]
    assert sources == ["import this", cells[1].source, 'K = 3\nOUT = "it\'s"', "gallery"]
    untagged = prepare(nbformat.v4.new_notebook(cells=[cell("a"), cell("b", "gallery")]), {})
    assert len(untagged.cells) == 2
