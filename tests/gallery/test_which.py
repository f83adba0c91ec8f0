"""Which work an image of the visitor's own shows: said in the gallery, without holding it up."""

import shutil
import sys
from threading import Event

import pytest
from browser import chromium, screenshot, visit
from madeup import searches_by_colour
from PIL import Image, ImageOps
from walks import Walk

from artsearch.gallery import which as which_module
from artsearch.gallery.widget import Gallery
from artsearch.points.identify import Identifier
from artsearch.works.collection import Collection
from artsearch.works.images import to_jpeg

WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
LION = "albrecht-durer_lion.jpg"


@pytest.fixture(scope="module")
def collection(paintings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("few") / "paintings"
    folder.mkdir()
    for name in [WAVE, LION, *sorted(path.name for path in paintings.glob("p*.jpg"))[:2]]:
        shutil.copy(paintings / name, folder)
    head, *rows = (paintings / "works.csv").read_text("utf-8").splitlines()
    kept = [row for row in rows if (folder / row.split(",")[0]).exists()]
    (folder / "works.csv").write_text("\n".join([head, *kept]), "utf-8")
    return Collection(folder)


@pytest.fixture(scope="module")
def searches(collection):
    return searches_by_colour(collection, dial=True)


@pytest.fixture(scope="module")
def wave(collection):
    return collection.open(WAVE)


@pytest.fixture
def walk(collection, searches, tmp_path):
    return make_walk(collection, searches, tmp_path)


def make_walk(collection, searches, out):
    return Walk(Gallery(collection, searches, query=LION, dial=0.5, out=out))


@pytest.fixture(scope="module")
def known(collection, searches, tmp_path_factory):
    """A gallery of works whose points are there."""
    out = tmp_path_factory.mktemp("known")
    Identifier.of(collection, out, progress=False)
    return make_walk(collection, searches, out)


def upload(walk, picture, name="photo.jpg"):
    """Upload a picture; return what is said of it when it is found out."""
    walk.upload(to_jpeg(picture, 90), name)
    walk.gallery.which.wait()
    return walk.hear()["which"]


def cut_and_hung(wave):
    """Return the left two thirds of the work, mirrored, on a wall."""
    part = ImageOps.mirror(wave.crop((0, 0, 2 * wave.width // 3, wave.height)))
    return ImageOps.expand(part, wave.height // 4, "beige")


def test_a_work_is_named_with_both_outlines(known, collection, wave):
    which = upload(known, cut_and_hung(wave))
    assert which["work"]["id"] == WAVE and "Great Wave" in which["text"]
    assert ", mirrored (" in which["text"] and "points are enough" in which["more"]
    assert len(which["in_work"]) == len(which["in_picture"]) == 4
    # Of a work of the collection nothing is said, and back at the image the same.
    known.select(LION)
    assert known.view["which"] is None
    known.identify()
    assert "select your own image" in known.error
    known.back()
    assert known.view["which"] == which


def test_what_is_no_work_is_none_of_these(known):
    which = upload(known, Image.effect_noise((300, 200), 90))
    assert which["text"] == "None of the works of paintings." and which["work"] is None
    assert f"it takes {known.gallery.which._identifier.threshold}" in which["more"]


def test_without_points_it_is_offered_with_what_it_takes(walk, wave, monkeypatch):
    """The gallery goes on meanwhile, and says when it is found out."""
    monkeypatch.setattr(which_module, "SOON", 0)
    which = upload(walk, wave)
    assert which["offer"] == "Which work is it?" and "of 4 works" in which["more"]
    going, told = Event(), []
    walk.gallery.which.tell = lambda sentence: (told.append(sentence), going.wait(60))
    assert walk.identify()["which"]["busy"]
    assert walk.keep(WAVE)["which"]["busy"]
    going.set()
    walk.gallery.which.wait()
    assert walk.hear()["which"]["work"]["id"] == WAVE and walk.gallery.session.kept == {WAVE: ""}
    assert any("of 4 works are found" in one for one in told)
    assert any("4 of 4" in one for one in told if "learnt" in one)
    # From then on it is asked of every image at once.
    assert upload(walk, wave.convert("L"))["work"]["id"] == WAVE


def test_without_opencv_the_gallery_goes_on_and_says_what_to_install(walk, wave, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    which = upload(walk, wave)
    assert which["text"] == "Which work it is cannot be told here."
    assert "pip install 'artsearch[identify]'" in which["more"] and not which["offer"]
    assert not walk.error and walk.gallery.results["efficientnet_lite0"].ids


# ---- in a browser ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page():
    with chromium() as browser, visit(browser, viewport={"width": 1100, "height": 900}) as page:
        page.set_content("<!doctype html><body style='margin: 0'><div id=root></div>")
        page.add_style_tag(content=Gallery._css)
        page.add_script_tag(content=Gallery._esm.replace("export default", "void 0,"))
        page.evaluate(
            """() => {
              window.sent = [];
              const act = (what) => sent.push(what);
              const show = (img, name) => { img.dataset.name = name; };
              window.gallery = createGallery(document.querySelector("#root"), act, show);
            }"""
        )
        yield page


def test_outlines_lie_on_both_pictures_and_end_where_these_do(page, known, wave):
    upload(known, cut_and_hung(wave))
    view = known.view
    copy = view["query"] | {"id": LION, "thumb": "small/x", "distance_text": "40 points"}
    page.evaluate(
        "view => gallery.update(view)", view | {"which": view["which"] | {"others": [copy]}}
    )
    section = page.locator("[data-part=which]")
    assert "This is Katsushika Hokusai" in section.inner_text()
    for place, key in (("[data-part=query] > figure", "in_picture"), (".as-which", "in_work")):
        outline = page.locator(f"{place} .as-outline")
        box, layer = outline.locator("xpath=..").bounding_box(), outline.bounding_box()
        assert box["x"] - 1 < layer["x"] and layer["width"] < box["width"] + 1
        svg = outline.locator("svg")
        assert svg.evaluate("node => getComputedStyle(node).overflow") == "hidden"
        drawn = svg.locator("polygon").first.get_attribute("points").split()
        shares = [float(share) / 100 for corner in drawn for share in corner.split(",")]
        assert shares == pytest.approx([one for corner in view["which"][key] for one in corner])
    screenshot(page, "which")
    page.get_by_role("button", name="Select this work").click()
    section.locator("[data-part=work]").click()
    assert page.evaluate("sent.splice(0)") == [
        {"do": "select", "id": WAVE},
        {"do": "select", "id": LION},
    ]
    page.evaluate("view => gallery.update(view)", view | {"which": None})
    assert section.is_hidden() and page.locator(".as-outline:visible").count() == 0


def test_the_offer_and_how_far_it_is(page, known):
    known.select(known.query)
    none = {"text": "", "more": "About 2 minutes.", "offer": "Which work is it?", "busy": False}
    view = known.view | {"which": none | {"work": None}}
    page.evaluate("view => gallery.update(view)", view)
    page.get_by_role("button", name="Which work is it?").click()
    assert page.evaluate("sent.splice(0)") == [{"do": "identify"}]
    page.evaluate("gallery.which.say('not heard')")
    busy = none | {"text": "Looking …", "more": "", "offer": "", "busy": True, "work": None}
    page.evaluate("view => gallery.update(view)", view | {"which": busy})
    page.evaluate("gallery.which.say('Points of 3 of 21 works are found.')")
    said = page.locator("[data-part=which]").inner_text()
    assert said.split("\n\n") == ["Looking …", "Points of 3 of 21 works are found."]
