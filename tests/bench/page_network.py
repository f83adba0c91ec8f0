"""How like Python's the static page sees pictures of one's own, how soon, and what it loads.

    .venv/bin/python tests/bench/page_network.py --collection /a/folder/of/images

The pictures asked by are the shipped paintings; where one of them is a work of the collection too,
it is left out of both answers. Numbers are compared with Python's in float32. Times are those of
Chromium on this machine, and the least is nearest to what a quiet one takes; of the longest step,
too, each step counts with the least time that it took with any of the pictures.
"""

from __future__ import annotations

import argparse
import base64
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import chromium  # noqa: E402

from artsearch.base.vectors import unit_rows  # noqa: E402
from artsearch.networks.registry import NETWORKS  # noqa: E402
from artsearch.search.matches import Matcher  # noqa: E402
from artsearch.search.searches import Searches  # noqa: E402
from artsearch.show.site import write_site  # noqa: E402
from artsearch.works.collection import Collection  # noqa: E402
from artsearch.works.images import open_image  # noqa: E402

CROP, K = "no_crop", 10
STOPS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: What the page makes of a picture, how long it takes, and for how long the page stands still.
LOOK = """async ([network, crop, text]) => {
  const site = await load("works").then(readWorks);
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  const { raw } = site.descriptors.find((one) => one.network === network && one.crop === crop).dial;
  const looker = site.looks.find((one) => one.network === network);
  window.rowsBefore ??= raw && await loadRows(raw, load);
  const breathe = createPause();
  let since = performance.now();
  const steps = [];
  const pause = async () => {
    steps.push(performance.now() - since);
    await breathe();
    since = performance.now();
  };
  const start = performance.now();
  const rows = await describe(new File([bytes], "a.jpg"), {
    looker, crop, load, pause, rows: async () => window.rowsBefore });
  const ms = performance.now() - start;
  const named = Object.entries(rows).map(([name, row]) => [name, Array.from(row)]);
  return { ms, steps, longest: breathe.longest, ...Object.fromEntries(named) };
}"""

#: The places that match in each two of some pictures, and how long it takes to look for them.
MATCH = """async ([network, crop, texts]) => {
  const site = await load("works").then(readWorks);
  const looker = site.looks.find((one) => one.network === network);
  const [seen, times] = [[], []];
  for (const text of texts) {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    const start = performance.now();
    seen.push(await lookAtPlaces(new File([bytes], "a.jpg"), { looker, crop, region: null, load }));
    times.push(performance.now() - start);
  }
  const matches = seen.map((one, i) => seen.slice(i + 1).map((two) => matchPlaces(one, two, null)));
  return { times: times.slice(1), matches: matches.flat() };
}"""


def look(site: Path, network: str, pictures: list[bytes]) -> tuple[list[dict], dict]:
    """Return what the page says of pictures, after one by which it loads what it wants.

    And, beside that, the places that match in each two of them.
    """
    with chromium() as browser:
        page = browser.new_page()
        page.goto(site.as_uri())
        page.wait_for_selector("[data-part=neighbours] [data-part=work]")
        texts = [base64.b64encode(one).decode() for one in pictures]
        matched = page.evaluate(MATCH, [network, CROP, texts])
        return [page.evaluate(LOOK, [network, CROP, text]) for text in (texts[0], *texts)], matched


def compare(
    found: list[dict], searches: Searches, network: str, images: list
) -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return the cosines of each kind of row to Python's, and how many neighbours are in common."""
    blend = searches.dial(network, CROP).blend
    by_layer = searches.extractor(network, CROP, blend=True).describe(images)
    raw = blend.raw_rows(by_layer)
    final = by_layer[searches.extractor(network, CROP).network.layer]
    mine = {"final": final, "raw": raw, "averaged": blend.average(raw)}
    theirs = {name: np.array([one[name] for one in found], np.float32) for name in mine}
    ends = np.cumsum([one.basis.shape[1] for one in blend.components.values()])[:-1]
    cosines = {"final": _cosines(theirs["final"], final)}
    for name in ("raw", "averaged"):
        parts = zip(*(np.split(one[name], ends, axis=1) for one in (theirs, mine)), strict=True)
        for component, pair in zip(blend.components, parts, strict=True):
            cosines[f"{name}, {component}"] = _cosines(*pair)
    works = unit_rows(searches.features(network, CROP).vectors)
    common = {"final layer": _common(theirs["final"], final, works)}
    for alpha in STOPS:
        weights = np.sqrt(blend.column_weights(alpha))
        pair = (one["averaged"] * weights for one in (theirs, mine))
        common[f"dial at {alpha}"] = _common(*pair, blend.at(alpha).vectors)
    return cosines, common


def compare_places(found: list[list[dict]], network: str, paths: list) -> tuple[float, float]:
    """Return what share of Python's pairs of places the page has, and of how many pictures all."""
    matcher = Matcher(NETWORKS[network], CROP)
    box = lambda one: np.array([*one["first"], *one["second"]])  # noqa: E731
    has = []
    for pair, theirs in zip(combinations(paths, 2), found, strict=True):
        mine = [box(asdict(one)) for one in matcher.match(*pair)]
        far = [[np.abs(one - box(other)).max() for other in theirs] for one in mine]
        has.append([min(each, default=1) < 0.02 for each in far])
    return float(np.mean(np.concatenate(has))), float(np.mean([all(each) for each in has]))


def _cosines(first: np.ndarray, second: np.ndarray) -> list[float]:
    return (unit_rows(first) * unit_rows(second)).sum(axis=1).tolist()


def _common(theirs: np.ndarray, mine: np.ndarray, works: np.ndarray) -> float:
    """Return what share of the nearest works are in common; the same picture is none of them."""
    near = unit_rows(mine) @ unit_rows(works).T
    same = near > 0.999
    nearest = []
    for cosines in (unit_rows(theirs) @ unit_rows(works).T, near):
        nearest.append(np.argsort(-np.where(same, -2, cosines), axis=1)[:, :K])
    pairs = zip(*nearest, strict=True)
    return float(np.mean([len(np.intersect1d(*pair)) / K for pair in pairs]))


def weigh(site: Path, network: str) -> Mapping[str, float]:
    """Return the megabytes of what is loaded at the first picture."""
    data = site.parent / "data"
    size = lambda pattern: sum(one.stat().st_size for one in data.glob(pattern)) / 1e6  # noqa: E731
    return {
        "network": size(f"network--{network}.js"),
        "what the blend learnt": size(f"network--{network}--{CROP}.js"),
        "rows before averaging": size(f"{network}--{CROP}--dial-raw*.js"),
    }


def main() -> None:
    """Print the figures."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--collection", default="data/paintings")
    words.add_argument("--pictures", default="data/paintings")
    words.add_argument("--network", default="efficientnet_lite0")
    words.add_argument("--out", default="build", help="where the features of the collection are")
    settings = words.parse_args()
    collection, asked = Collection(settings.collection), Collection(settings.pictures)
    searches = Searches(collection, settings.network, CROP, settings.out, precision="exact")
    searches.extract()
    paths = [asked.path(id) for id in asked]
    with tempfile.TemporaryDirectory(prefix="bench-page-") as scratch:
        site = write_site(collection, searches, Path(scratch, "site"), image_side=0)
        (first, *found), matched = look(
            site, settings.network, [path.read_bytes() for path in paths]
        )
        loaded = weigh(site, settings.network)
    images = [open_image(path) for path in paths]
    places, whole = compare_places(matched["matches"], settings.network, paths)
    cosines, common = compare(found, searches, settings.network, images)
    print(f"{len(paths)} pictures, asked of {len(collection):,} works, {settings.network}, {CROP}")
    for name, megabytes in loaded.items():
        print(f"loaded at the first picture: {name}, {megabytes:.2f} MB")
    print(f"first picture, loading too: {first['ms'] / 1000:.2f} s")
    for name, key in (("a picture after it", "ms"), ("without a pause", "longest")):
        times = [one[key] for one in found]
        middle = statistics.median(times)
        print(
            f"{name}: {min(times):.0f} ms (least), {middle:.0f} (median), {max(times):.0f} (most)"
        )
    # Pictures differ in how many strips they are read in, which comes first.
    alike = min(len(one["steps"]) for one in found)
    steps = zip(*(one["steps"][-alike:] for one in found), strict=True)
    print(f"longest step: {max(map(min, steps)):.0f} ms")
    for name, each in cosines.items():
        print(f"cosine to Python's, {name}: {np.mean(each):.4f} (mean), {min(each):.4f} (least)")
    for name, share in common.items():
        print(f"of {K} neighbours in common, {name}: {share:.3f}")
    print(f"places that match, in common: {places:.3f}; all of them in {whole:.3f} of the pairs")
    print(f"looking at a picture place by place: {min(matched['times']):.0f} ms (least)")


if __name__ == "__main__":
    main()
