"""Why two works are similar, on the page: the places that match are Python's."""

import base64
import json
import zlib
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
from browser import chromium, visit
from scripts import run_script

from artsearch.gallery.answers import _in_whole
from artsearch.networks.registry import NETWORKS
from artsearch.search.answer import cut
from artsearch.search.matches import Matcher, choose_pairs
from artsearch.search.searches import Searches
from artsearch.show.site import write_site
from artsearch.works.images import open_image

LITE = "efficientnet_lite0"
DONE = ".artsearch:not(.as-waiting)"
FEW = 5
slow = pytest.mark.slow

PAIRS = """async ([first, second, side]) => {
  const maps = ({ length }, values) => (
    { values: Float32Array.from(values), side, channels: length / side / side });
  return choosePairs(maps(first, first), maps(second, second), MOST);
}"""
MATCH = """async ([names, crop, region]) => {
  const site = await load("works").then(readWorks);
  const eyes = createEyes(site, load, () => {});
  const asked = { network: site.networks[0].name, crop };
  const found = [];
  for (const [one, other] of names) found.push(await eyes.match(asked, one, region, other));
  return found;
}"""


@pytest.fixture(scope="module")
def site(collection, out, one_thread, tmp_path_factory):
    """The page of the shipped paintings."""
    searches = Searches(collection, LITE, "no_crop", out, progress=False, precision="exact")
    folder = tmp_path_factory.mktemp("why") / "site"
    return write_site(collection, searches, folder, progress=False, dial=False)


@pytest.fixture(scope="module")
def page(site):
    with chromium() as browser, visit(browser, viewport={"width": 1280, "height": 900}) as page:
        page.goto(site.as_uri())
        page.wait_for_selector(DONE)
        yield page


@pytest.fixture
def picture(site, collection):
    """What brings the picture of a work that the page has, as the bytes of a JPEG file."""

    def find(work_id):
        shown = json.loads(zlib.decompress(base64.b64decode(read(site, "works")["works"])))
        place = 12 * shown["id"].index(work_id)
        name = shown["picture"][place : place + 12]
        return base64.b64decode(read(site, f"picture--{name}")["jpeg"])

    return find


def read(site, name):
    text = (site.parent / "data" / f"{name}.js").read_text(encoding="ascii")
    return json.loads(f"[{text[text.index('(') + 1 : text.rindex(')')]}]")[1]


@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_those_of_python(tmp_path, seed):
    """Of maps in which some places of the one come again in the other."""
    random, side = np.random.default_rng(seed), 9
    first, second = random.random((2, side, side, 8)).astype(np.float32)
    second[2:7, 1:6] = 0.9 * first[1:6, 3:8] + 0.1 * second[2:7, 1:6]
    expected = [
        [one[0] * side + one[1], other[0] * side + other[1], pytest.approx(strength, abs=1e-5)]
        for one, other, strength in choose_pairs(first, second, 5)
    ]
    given = [first.ravel().tolist(), second.ravel().tolist(), side]
    assert run_script(PAIRS, given, tmp_path) == expected and expected


def test_places_are_those_of_python(page, collection, picture):
    matcher = Matcher(NETWORKS[LITE], "no_crop")
    names = list(combinations(collection.ids[:FEW], 2))
    expected = [matcher.match(picture(one), picture(other)) for one, other in names]
    assert common(expected, page.evaluate(MATCH, [names, "no_crop", None])) >= 0.85


def test_places_of_a_part_and_of_the_middle(page, collection, picture):
    matcher, region = Matcher(NETWORKS[LITE], "center_crop"), (0.1, 0.3, 0.8, 0.95)
    names = list(combinations(collection.ids[:FEW], 2))[:4]
    expected = []
    for one, other in names:
        found = matcher.match(cut(open_image(picture(one)), region), picture(other))
        expected.append([_in_whole(match, region) for match in found])
    found = page.evaluate(MATCH, [names, "center_crop", list(region)])
    assert common(expected, found) >= 0.75


@slow
def test_places_in_all_paintings_are_those_of_python(page, collection, picture):
    matcher = Matcher(NETWORKS[LITE], "no_crop")
    names = list(combinations(collection.ids, 2))
    expected = [matcher.match(picture(one), picture(other)) for one, other in names]
    assert common(expected, page.evaluate(MATCH, [names, "no_crop", None])) >= 0.9


def common(expected, found):
    """Return what share of Python's pairs of places the page has."""
    has = [
        any(np.abs(box_of(asdict(one)) - box_of(other)).max() < 0.02 for other in theirs)
        for mine, theirs in zip(expected, found, strict=True)
        for one in mine
    ]
    return np.mean(has)


def box_of(match):
    return np.array([*match["first"], *match["second"]])
