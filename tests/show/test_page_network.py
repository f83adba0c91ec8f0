"""The network in the browser: the page looks at any picture as Python does."""

import base64
import io
import re

import numpy as np
import pytest
from browser import SCREENS, begin_part, ids, part, query, served, visit, works
from firefox import firefox
from madeup import searches_by_colour
from PIL import Image, ImageCms
from tiers import examples

from artsearch.base.errors import ArtsearchError
from artsearch.base.vectors import unit_rows
from artsearch.features.blend import Blend
from artsearch.networks.registry import NETWORKS
from artsearch.networks.transforms import Transform
from artsearch.search.answer import cut
from artsearch.search.searches import Searches
from artsearch.show.site import write_site
from artsearch.show.site_network import can_look, network_data
from artsearch.show.site_rows import to_bytes
from artsearch.works.collection import Collection
from artsearch.works.images import open_image

LITE = "efficientnet_lite0"
FEW = ("giuseppe-arcimboldo_spring", "leonardo-da-vinci_mona-lisa", "katsushika-hokusai_poppies")
slow = pytest.mark.slow
#: A wait for the answer to what was done last.
DONE = ".artsearch:not(.as-waiting)"
HELPERS = """() => {
  window.fileOf = ([name, text]) => (
    new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name));
  window.textOf = ({ buffer }) => btoa(
    Array.from(new Uint8Array(buffer), (one) => String.fromCharCode(one)).join(""));
}"""


@pytest.fixture(scope="module")
def searches(collection, out, one_thread):
    return Searches(collection, LITE, "no_crop", out, progress=False, precision="exact")


@pytest.fixture(scope="module")
def blend(searches):
    return searches.dial(LITE, "no_crop").blend


@pytest.fixture(scope="module")
def site(collection, searches, tmp_path_factory):
    return write_site(
        collection, searches, tmp_path_factory.mktemp("page") / "site", progress=False
    )


@pytest.fixture(scope="module")
def page(browser, site):
    """The page of the site, for its functions."""
    with visit(browser) as page:
        page.goto(site.as_uri())
        page.wait_for_selector(DONE)
        page.evaluate(HELPERS)
        yield page


@pytest.fixture
def visitor(browser, site):
    """Somebody who opens the page."""
    with visit(browser, viewport={"width": 1280, "height": 900}) as page:
        page.goto(site.as_uri())
        page.wait_for_selector(DONE)
        page.evaluate(HELPERS)
        yield page


LOOK = """async (file) => {
  const { looks: [looker] } = await load("works");
  const rows = await describe(fileOf(file), { looker, load, crop: "no_crop" });
  const texts = Object.entries(rows).map(([name, row]) => [name, row && textOf(row)]);
  return Object.fromEntries(texts);
}"""


def look(page, data, name="a picture.jpg"):
    """Return what the page says of a picture: its rows by their names."""
    return read_rows(page.evaluate(LOOK, [name, base64.b64encode(data).decode()]))


def read_rows(told):
    return {name: row and np.frombuffer(base64.b64decode(row), "<f8") for name, row in told.items()}


def square_of(page, data, side, **asked):
    """Return the square that the page makes of a picture."""
    text = page.evaluate(
        """async ([file, side, asked]) => {
          const picture = await decodePicture(fileOf(file));
          const box = boxOf(picture.width, picture.height, side, asked);
          return textOf(await squareOf(picture, box, side, async () => {}));
        }""",
        [["a.png", base64.b64encode(data).decode()], side, asked],
    )
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(side, side, 3)


def encode(image, kind="PNG", **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def swapped_profile():
    """Return the profile of a space whose red is sRGB's green, and the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"temp").replace(b"gXYZ", b"rXYZ").replace(b"temp", b"gXYZ")


# ---- pixels ------------------------------------------------------------------------------------


def test_squares_are_pillows_to_the_last_bit(page, noise):
    random = np.random.default_rng(0)
    sizes = [(1500, 40), (40, 1500), (700, 900), (224, 300), (300, 224), (1, 1), (230, 237)]
    drawn = np.exp(random.uniform(np.log(2), np.log(700), (examples(8), 2))).astype(int)
    for number, (width, height) in enumerate([*sizes, *drawn.tolist()]):
        image, side = noise(width, height, number), (224, 240, 260)[number % 3]
        for crop in ("no_crop", "center_crop"):
            mine = Transform(crop, side, (0,) * 3, (1,) * 3, "bicubic").resize(image)
            theirs = square_of(page, encode(image, compress_level=1), side, crop=crop)
            np.testing.assert_array_equal(theirs, np.array(mine), f"{width} × {height}, {crop}")


def test_a_part_of_a_picture_is_cut_as_in_python(page, noise):
    random = np.random.default_rng(1)
    image = noise(401, 303)
    data = encode(image)
    for _ in range(examples(8)):
        (left, right), (top, bottom) = np.sort(random.random((2, 2)).round(2), axis=1)
        region = (float(left), float(top), float(right), float(bottom))
        mine = cut(image, region).resize((224, 224), Image.Resampling.BICUBIC)
        theirs = square_of(page, data, 224, region=region)
        np.testing.assert_array_equal(theirs, np.array(mine), str(region))


@pytest.mark.parametrize(
    "kind, mode, options",
    [
        ("JPEG", "RGB", {"quality": 90}),
        ("JPEG", "L", {}),
        ("JPEG", "RGB", {"exif": 6}),
        ("PNG", "RGBA", {}),
        ("PNG", "P", {}),
        ("WEBP", "RGB", {"lossless": True}),
        ("GIF", "P", {}),
        ("BMP", "RGB", {}),
        ("PNG", "RGB", {"profile": True}),
    ],
)
def test_kinds_of_files_are_read_as_in_python(page, paintings, kind, mode, options):
    image = open_image(paintings / f"{FEW[1]}.jpg").resize((300, 400)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    options = dict(options)
    if options.pop("profile", False):
        options["icc_profile"] = swapped_profile()
    if turned := options.pop("exif", 0):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = turned
    data = encode(image, kind, **options)
    mine = np.array(open_image(data).resize((224, 224), Image.Resampling.BICUBIC)).astype(int)
    far = np.abs(square_of(page, data, 224) - mine)
    assert far.mean() < 0.3 and far.max() <= 4


def test_a_file_that_a_browser_cannot_read_gets_a_sentence(page):
    for name, said in (
        ("scan.tif", "“scan.tif”, as most browsers cannot read this kind of file; save it as JPEG"),
        ("notes.txt", "“notes.txt” as a picture; save it as JPEG or PNG"),
    ):
        with pytest.raises(Exception, match=re.escape(f"Your browser cannot read {said}")):
            look(page, b"no picture", name)


# ---- rows --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def looked(page, collection):
    """What the page says of some paintings, as the whole of each."""
    return {name: look(page, collection.path(f"{name}.jpg").read_bytes()) for name in FEW}


@pytest.fixture(scope="module")
def by_layer(searches, collection):
    """What Python says of them."""
    images = [open_image(collection.path(f"{name}.jpg")) for name in FEW]
    return searches.extractor(LITE, "no_crop", blend=True).describe(images)


def test_rows_are_those_of_python(looked, by_layer, blend):
    final, raw = by_layer["global_pool"], blend.raw_rows(by_layer)
    for place, name in enumerate(FEW):
        assert cosine(looked[name]["final"], final[place]) > 0.999, name
        which = zip(("content", "middle", "style"), columns_of(blend), strict=True)
        for component, columns in which:
            found = cosine(looked[name]["raw"][columns], raw[place][columns])
            assert found > 0.999, (name, component)


def test_neighbours_are_those_of_python(looked, collection, searches, blend):
    assert_common(looked, collection, searches, blend)


@slow
def test_neighbours_of_all_paintings_are_those_of_python(page, collection, searches, blend):
    names = [id.removesuffix(".jpg") for id in collection.ids]
    rows = {name: look(page, collection.path(f"{name}.jpg").read_bytes()) for name in names}
    assert_common(rows, collection, searches, blend)


@slow
def test_firefox_finds_the_same(site, collection, searches, blend, tmp_path):
    with firefox(tmp_path) as call:
        call(HELPERS, address=site.as_uri())
        rows = {}
        for name in FEW:
            data = collection.path(f"{name}.jpg").read_bytes()
            file = [name, base64.b64encode(data).decode()]
            rows[name] = read_rows(call(f"(file) => ({LOOK})(file)", file))
    assert_common(rows, collection, searches, blend)


def assert_common(rows, collection, searches, blend):
    """Hold the ten nearest of the other works to Python's, at the final layer and on the dial."""
    final = searches.features(LITE, "no_crop").vectors
    pairs = {"final": (unit_rows(final), "final")}
    pairs |= {at: (blend.at(at).vectors, "averaged") for at in (0, 0.25, 0.5, 0.75, 1)}
    for at, (vectors, kind) in pairs.items():
        shares = []
        for name, row in rows.items():
            place = collection.ids.index(f"{name}.jpg")
            weights = 1 if at == "final" else np.sqrt(blend.column_weights(at))
            theirs, mine = vectors @ (row[kind] * weights), vectors @ vectors[place]
            theirs[place] = mine[place] = -2
            common = set(np.argsort(-theirs)[:10]) & set(np.argsort(-mine)[:10])
            shares.append(len(common) / 10)
        assert np.mean(shares) >= 0.95, (at, shares)


def test_averaging_is_that_of_python(page, blend):
    """With works near enough that the order of the nearest does not hang on rounding."""
    random = np.random.default_rng(0)
    parts = columns_of(blend)
    dims = parts[-1].stop
    made = random.normal(size=(300, dims)).astype(np.float32)
    made[:40] = made[0] + 0.02 * np.arange(40)[:, None] * made[1:41]
    asked = made[:3] + 0.3 * random.normal(size=(3, dims)).astype(np.float32)
    made, asked = (
        np.hstack([unit_rows(rows[:, columns]) for columns in parts]) for rows in (made, asked)
    )
    metadata = blend.metadata | {"neighbours": 4}
    ids = tuple(map(str, range(300)))
    averaged = Blend(blend.components, made, made, ids, metadata).average(asked)
    widths = [columns.stop - columns.start for columns in parts]
    for row, mine in zip(asked, averaged, strict=True):
        theirs = average_in(page, row, made, widths, 4)
        for columns in parts:
            assert cosine(np.array(theirs)[columns], mine[columns]) > 0.9995


def test_the_same_picture_is_not_averaged_with_itself(page):
    made = np.eye(4, 8, dtype=np.float32)
    made[1] = unit_rows(made[:1] - 0.5 * made[1:2])
    row = made[0] + 1e-3 * np.arange(8)
    theirs = average_in(page, row / np.linalg.norm(row), made, [8], 1)
    assert theirs[1] < -0.1


def test_a_picture_in_one_colour_has_rows(page):
    rows = look(page, encode(Image.new("RGB", (30, 20), "teal")))
    assert all(np.isfinite(row).all() for row in rows.values())
    assert np.linalg.norm(rows["raw"]) == pytest.approx(3**0.5, rel=1e-4)


def test_the_page_looks_by_the_lite_family_alone():
    able = [name for name, network in NETWORKS.items() if can_look(network)]
    assert able == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    with pytest.raises(ArtsearchError, match="cannot look at pictures by vgg16; take efficientnet"):
        network_data(NETWORKS["vgg16"])


def average_in(page, row, vectors, widths, others):
    """Return a row as the page averages it with works."""
    numbers, scales = to_bytes(vectors, widths)
    return page.evaluate(
        """([row, widths, numbers, scales, others]) => {
          const rows = {
            length: numbers.length / row.length, dims: row.length, widths,
            numbers: Int8Array.from(numbers), scales: Float32Array.from(scales),
          };
          return Array.from(averageRow({ others, power: 3 }, Float64Array.from(row), rows));
        }""",
        [row.tolist(), widths, numbers.ravel().tolist(), scales.ravel().tolist(), others],
    )


# ---- the page ----------------------------------------------------------------------------------


def choose(page, path, number=1):
    """Choose a file as one's own picture, and wait until it is the query."""
    part(page, "upload").locator("input").first.set_input_files(path)
    page.wait_for_selector(f"[data-part=query][data-id='your image: {number}']")
    page.wait_for_selector(DONE)


def hand_in(page, path, kind):
    """Drop a file on the gallery, or paste it."""
    page.evaluate(
        """([file, kind]) => {
          const data = new DataTransfer();
          data.items.add(fileOf(file));
          const how = { bubbles: true, cancelable: true };
          const gallery = document.querySelector(".artsearch");
          gallery.dispatchEvent(kind === "drop"
            ? new DragEvent("drop", { ...how, dataTransfer: data })
            : new ClipboardEvent("paste", { ...how, clipboardData: data }));
        }""",
        [[path.name, base64.b64encode(path.read_bytes()).decode()], kind],
    )


def test_a_visit_with_pictures_of_ones_own(visitor, collection, searches, tmp_path):
    asked = tmp_path / "mine.png"
    open_image(collection.path(f"{FEW[0]}.jpg")).crop((20, 10, 400, 420)).save(asked)
    choose(visitor, asked)
    expected = searches[LITE, "no_crop"].by_image(asked).ids
    assert len(set(ids(visitor, "neighbours")) & set(expected)) >= 9
    assert ids(visitor, "neighbours")[0] == expected[0]
    assert "sent nowhere" in visitor.locator(".as-notes").inner_text()
    assert part(visitor, "query").locator("h2").inner_text() == "mine.png"

    # It is a query like another: with the dial, with a part, in the history.
    part(visitor, "dial").get_by_text("Dial").click()
    visitor.wait_for_selector(DONE)
    with_dial = ids(visitor, "neighbours")
    assert with_dial[0] == expected[0]
    begin_part(visitor)
    visitor.keyboard.press("Enter")
    visitor.get_by_text("part of the work").wait_for()
    region = searches.dial(LITE, "no_crop").ask(asked, region=(0.25, 0.25, 0.75, 0.75)).ids
    assert len(set(ids(visitor, "neighbours")) & set(region)) >= 9
    works(visitor, "neighbours").nth(3).click()
    visitor.wait_for_selector(DONE)
    assert not query(visitor).startswith("your image")
    works(visitor, "history").nth(1).click()
    visitor.wait_for_selector("[data-part=query][data-id='your image: 1']")
    assert ids(visitor, "neighbours") == with_dial
    visitor.screenshot(path=SCREENS / "site-own.png")


def test_pictures_are_dropped_and_pasted(visitor, collection):
    for number, kind in enumerate(("drop", "paste"), start=1):
        path = collection.path(f"{FEW[number]}.jpg")
        hand_in(visitor, path, kind)
        visitor.wait_for_selector(f"[data-part=query][data-id='your image: {number}']")
        visitor.wait_for_selector(DONE)
        assert ids(visitor, "neighbours")[0] == path.name


def test_what_is_no_picture_changes_nothing(visitor, tmp_path):
    before = query(visitor), ids(visitor, "neighbours")
    (tmp_path / "scan.tiff").write_bytes(b"II*\0nothing")
    part(visitor, "upload").locator("input").first.set_input_files(tmp_path / "scan.tiff")
    visitor.get_by_role("alert").get_by_text("Your browser cannot read “scan.tiff”").wait_for()
    assert (query(visitor), ids(visitor, "neighbours")) == before


def test_a_part_of_a_work_of_the_collection(visitor, searches):
    begin_part(visitor)
    visitor.keyboard.press("Enter")
    visitor.get_by_text("part of the work").wait_for()
    region = (0.25, 0.25, 0.75, 0.75)
    expected = searches[LITE, "no_crop"].ask(query(visitor), region=region).ids
    # The page has the picture smaller: at most 512 pixels wide.
    assert len(set(ids(visitor, "neighbours")) & set(expected)) >= 8
    link = visitor.url
    visitor.goto("about:blank")
    visitor.goto(link)
    visitor.get_by_text("part of the work").wait_for()
    assert len(set(ids(visitor, "neighbours")) & set(expected)) >= 8


def test_a_camera_is_offered_where_there_is_a_touch_screen(browser, site):
    with visit(browser, has_touch=True, is_mobile=True) as page:
        page.goto(site.as_uri())
        page.wait_for_selector(DONE)
        assert part(page, "camera").is_visible()
        assert page.locator("input[capture=environment]").get_attribute("accept") == "image/*"


def test_without_a_network_that_looks_the_page_says_so(browser, few, tmp_path):
    collection = Collection(few)
    site = write_site(collection, searches_by_colour(collection), tmp_path / "s", progress=False)
    with visit(browser) as page:
        page.goto(site.as_uri())
        page.wait_for_selector(DONE)
        assert part(page, "upload").is_hidden() and part(page, "draw").is_hidden()
        said = page.locator("body > footer").inner_text()
        assert "To ask by a picture of your own, open the app (make app)" in said


@slow
def test_from_a_plain_web_server(browser, site, collection):
    with served(site.parent) as address, visit(browser, hosts=(address,)) as page:
        page.goto(f"http://{address}/")
        page.wait_for_selector(DONE)
        choose(page, collection.path(f"{FEW[0]}.jpg"))
        assert ids(page, "neighbours")[0] == f"{FEW[0]}.jpg"


def cosine(first, second):
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def columns_of(blend):
    """Return the columns of each component in a row."""
    stops = np.cumsum([0, *(one.basis.shape[1] for one in blend.components.values())]).tolist()
    return [slice(*ends) for ends in zip(stops, stops[1:], strict=False)]
