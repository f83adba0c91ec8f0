"""The network in the browser: the page looks at any picture as Python does."""

import base64
import io
import re

import numpy as np
import pytest
from browser import chromium, visit
from PIL import Image, ImageCms
from tiers import examples

from artsearch.base.errors import ArtsearchError
from artsearch.base.vectors import unit_rows
from artsearch.features.blend import Blend
from artsearch.networks.registry import NETWORKS
from artsearch.networks.transforms import Transform
from artsearch.search.answer import cut
from artsearch.search.searches import Searches
from artsearch.show.html import WEB
from artsearch.show.site import _write_data
from artsearch.show.site_network import can_look, fit_data, network_data
from artsearch.works.images import open_image

LITE = "efficientnet_lite0"
FEW = ("giuseppe-arcimboldo_spring", "leonardo-da-vinci_mona-lisa", "katsushika-hokusai_poppies")
slow = pytest.mark.slow
#: A page that has nothing but what looks at pictures, under the policy of the site.
HARNESS = """
const arrivals = new Map();
function receive(name, data) { arrivals.get(name)(data); }
function load(name) {
  return new Promise((resolve) => {
    arrivals.set(name, resolve);
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    document.head.append(script);
  });
}
function fileOf([name, text]) {
  return new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name);
}
function textOf(bytes) {
  let text = "";
  for (const one of new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)) {
    text += String.fromCharCode(one);
  }
  return btoa(text);
}
"""


@pytest.fixture(scope="module")
def searches(collection, out, one_thread):
    return Searches(collection, LITE, "no_crop", out, progress=False, precision="exact")


@pytest.fixture(scope="module")
def blend(searches):
    return searches.dial(LITE, "no_crop").blend


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser, blend, tmp_path_factory):
    with visit(browser) as page:
        page.goto(write_harness(tmp_path_factory.mktemp("page"), blend).as_uri())
        yield page


def write_harness(folder, blend):
    (folder / "data").mkdir()
    _write_data(folder, "network", network_data(NETWORKS[LITE]))
    _write_data(folder, "fit", fit_data(blend))
    (folder / "harness.js").write_text(HARNESS, "utf-8")
    scripts = ["harness.js"]
    for name in ("resize.js", "forward.js"):
        (folder / name).write_text((WEB / name).read_text("utf-8"), "utf-8")
        scripts.append(name)
    template = WEB.parent / "templates" / "site.html"
    policy = re.search("<meta http-equiv=.*>", template.read_text("utf-8"))[0]
    tags = "".join(f'<script src="{name}"></script>' for name in scripts)
    index = folder / "index.html"
    index.write_text(f"<!doctype html><meta charset=utf-8>{policy}{tags}", "utf-8")
    return index


def look(page, data, name="a picture.jpg", **how):
    """Return what the page says of a picture: its rows by their names."""
    told = page.evaluate(
        """async ([file, how]) => {
          const own = { network: "network", fits: { no_crop: "fit" } };
          const rows = await describe(fileOf(file), { own, load, rows: async () => [], ...how });
          const texts = Object.entries(rows).map(([name, row]) => [name, row && textOf(row)]);
          return Object.fromEntries(texts);
        }""",
        [[name, base64.b64encode(data).decode()], how],
    )
    return {name: row and np.frombuffer(base64.b64decode(row), "<f4") for name, row in told.items()}


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
    sizes = [(1500, 40), (40, 1500), (900, 1300), (224, 300), (300, 224), (1, 1), (230, 237)]
    drawn = np.exp(random.uniform(np.log(2), np.log(900), (examples(12), 2))).astype(int)
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
    for _ in range(examples(20)):
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
        parts = zip(columns_of(blend), ("content", "middle", "style"), strict=True)
        for part, which in parts:
            assert cosine(looked[name]["raw"][part], raw[place][part]) > 0.999, (name, which)


def test_neighbours_are_those_of_python(looked, collection, searches, blend):
    assert_common(looked, collection, searches, blend)


@slow
def test_neighbours_of_all_paintings_are_those_of_python(page, collection, searches, blend):
    names = [id.removesuffix(".jpg") for id in collection.ids]
    rows = {name: look(page, collection.path(f"{name}.jpg").read_bytes()) for name in names}
    assert_common(rows, collection, searches, blend)


def assert_common(rows, collection, searches, blend):
    """Hold the ten nearest of the other works to Python's, at the final layer and on the dial."""
    final = searches.features(LITE, "no_crop").vectors
    pairs = {"final": (unit_rows(final), "final")}
    pairs |= {at: (blend.at(at).vectors, "averaged") for at in (0, 0.25, 0.5, 0.75, 1)}
    for at, (works, kind) in pairs.items():
        shares = []
        for name, row in rows.items():
            place = collection.ids.index(f"{name}.jpg")
            weights = 1 if at == "final" else np.sqrt(blend.column_weights(at))
            theirs, mine = works @ (row[kind] * weights), works @ works[place]
            theirs[place] = mine[place] = -2
            common = set(np.argsort(-theirs)[:10]) & set(np.argsort(-mine)[:10])
            shares.append(len(common) / 10)
        assert np.mean(shares) >= 0.95, (at, shares)


def test_averaging_is_that_of_python(page, blend):
    """With works near enough that the order of the nearest does not hang on rounding."""
    random = np.random.default_rng(0)
    parts = columns_of(blend)
    dims = parts[-1].stop
    works = random.normal(size=(300, dims)).astype(np.float32)
    works[:40] = works[0] + 0.02 * np.arange(40)[:, None] * works[1:41]
    asked = works[:3] + 0.3 * random.normal(size=(3, dims)).astype(np.float32)
    works, asked = (
        np.hstack([unit_rows(rows[:, part]) for part in parts]) for rows in (works, asked)
    )
    metadata = blend.metadata | {"neighbours": 4}
    ids = tuple(map(str, range(300)))
    averaged = Blend(blend.components, works, works, ids, metadata).average(asked)
    blocks = [pack_rows(works[:200], parts), pack_rows(works[200:], parts)]
    for row, mine in zip(asked, averaged, strict=True):
        theirs = average_in(page, row, [part.stop - part.start for part in parts], blocks, 4)
        for part in parts:
            assert cosine(np.array(theirs)[part], mine[part]) > 0.9995


def test_the_same_picture_is_not_averaged_with_itself(page):
    works = np.eye(4, 8, dtype=np.float32)
    works[1] = unit_rows(works[:1] + 0.5 * works[1:2])
    block = pack_rows(works, [slice(0, 8)])
    row = works[0] + 1e-3 * np.arange(8)
    theirs = average_in(page, row / np.linalg.norm(row), [8], [block], 1)
    assert theirs[1] > 0.1


def test_a_picture_in_one_colour_has_rows(page):
    rows = look(page, encode(Image.new("RGB", (30, 20), "teal")))
    assert all(np.isfinite(row).all() for row in rows.values())
    assert np.linalg.norm(rows["raw"]) == pytest.approx(3**0.5, rel=1e-4)


def test_the_page_looks_by_the_lite_family_alone():
    able = [name for name, network in NETWORKS.items() if can_look(network)]
    assert able == ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
    with pytest.raises(ArtsearchError, match="cannot look at pictures by vgg16; take efficientnet"):
        network_data(NETWORKS["vgg16"])


def average_in(page, row, widths, blocks, others):
    """Return a row as the page averages it with works in blocks."""
    return page.evaluate(
        """([row, widths, blocks, others]) => {
          const read = ({ count, numbers, scales }) => (
            { count, numbers: Int8Array.from(numbers), scales: Float32Array.from(scales) });
          const components = widths.map((dims) => ({ dims }));
          const fit = { others, power: 3, components };
          return Array.from(averageRow(fit, Float32Array.from(row), blocks.map(read)));
        }""",
        [row.tolist(), widths, blocks, others],
    )


def cosine(first, second):
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def columns_of(blend):
    """Return the columns of each component in a row."""
    stops = np.cumsum([0, *(one.basis.shape[1] for one in blend.components.values())]).tolist()
    return [slice(*ends) for ends in zip(stops, stops[1:], strict=False)]


def pack_rows(rows, parts):
    """Return rows as the page has them."""
    scales = np.stack([np.abs(rows[:, part]).max(axis=1) / 127 for part in parts], axis=1)
    widths = [part.stop - part.start for part in parts]
    numbers = np.rint(rows / np.repeat(scales, widths, axis=1)).astype(int)
    return {
        "count": len(rows),
        "numbers": numbers.T.ravel().tolist(),
        "scales": scales.ravel().tolist(),
    }
