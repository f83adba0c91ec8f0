"""What the static page weighs and how soon it answers, at 10,000 works and at 100,000.

    .venv/bin/python tests/bench/page.py --collection /a/folder/of/images --works 10000,100000

The rows are those of the collection by EfficientNet-Lite0, and mixes of them (see mixing.py); all
works have the same small picture. Times are those of Chromium on this machine, medians of several;
the page is served by a plain web server.
"""

from __future__ import annotations

import argparse
import csv
import functools
import http.server
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from mixing import mix_features
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import chromium  # noqa: E402

from artsearch.base.vectors import unit_rows  # noqa: E402
from artsearch.features.blend import Blend  # noqa: E402
from artsearch.features.features import Features  # noqa: E402
from artsearch.index.blend import BlendIndex  # noqa: E402
from artsearch.index.factory import construct_exact_index  # noqa: E402
from artsearch.search.search import Search  # noqa: E402
from artsearch.search.searches import Searches  # noqa: E402
from artsearch.show.site import write_site  # noqa: E402
from artsearch.works.collection import Collection  # noqa: E402

LITE, CROP = "efficientnet_lite0", "no_crop"
LINKS = 50_000
READY = "[data-part=neighbours] [data-part=work]"
#: Questions that are timed: what is asked beside the work, and of what.
QUESTIONS = {
    "final layer": ({}, None),
    "dial, 0.3": ({}, 0.3),
    "dial, turned": ({}, 0.31),
    "two liked, one not": ({"positive": [[1, 1], [2, 0.5]], "negative": [[3, 1]]}, None),
    "a condition": ({"where": 'year >= 1800 and artist contains "7"'}, None),
    "nearest in each": ({"group_by": "style"}, None),
    "no near-duplicates, final": ({"near_duplicates": False}, None),
    "no near-duplicates, dial": ({"near_duplicates": False}, 0.3),
    "stepping stones": ({"goal": 9}, 0.3),
    "what came before eleven works, final": ({}, None),
    "what came before eleven works, dial": ({}, 0.3),
}


class Mixed(dict):
    """Searches over the rows of a collection and mixes of them."""

    sentence = "Rows of a real collection, and mixes of them."

    def __init__(self, works: Collection, searches: Searches):
        self.networks, self.crops = searches.networks, [CROP]
        rows = mix_features(searches.features(LITE, CROP), len(works))
        final = Features(rows.vectors, works.ids, rows.provenance)
        super().__init__({(LITE, CROP): Search(works, construct_exact_index("angular", final))})
        blend = searches.dial(LITE, CROP).blend
        mixed = [_mix_parts(blend, one, len(works)) for one in (blend.vectors, blend.raw)]
        blend = Blend(blend.components, *mixed, works.ids, blend.metadata)
        self._dial = Search(works, BlendIndex(blend))
        self._dial.blend = blend

    def dial(self, network: str, crop: str, alpha: float = 0.5) -> Search:
        """Return what write_site takes the blend of."""
        return self._dial


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain web server that says nothing."""

    def log_message(self, *_) -> None:
        """Say nothing."""


def _mix_parts(blend: Blend, rows: np.ndarray, works: int) -> np.ndarray:
    mixed = mix_features(Features(np.asarray(rows), blend.ids), works).vectors
    ends = np.cumsum([one.basis.shape[1] for one in blend.components.values()])
    return np.hstack([unit_rows(part) for part in np.split(mixed, ends[:-1], axis=1)])


def make_works(folder: Path, works: int) -> Collection:
    """Fill a folder with one picture under many names, and a works.csv."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((240, 180)).save(folder / "0.jpg", quality=72)
    with open(folder / "works.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "artist", "title", "year", "style"])
        for number in range(works):
            first = number - number % LINKS  # a file may have so many names
            if number and number == first:
                shutil.copyfile(folder / "0.jpg", folder / f"{number}.jpg")
            elif number:
                os.link(folder / f"{first}.jpg", folder / f"{number}.jpg")
            artist, style = f"Artist {number % 997}", f"Style {number % 23}"
            year = 1500 + number % 400
            table.writerow([f"{number}.jpg", artist, f"Work number {number}", year, style])
    return Collection(folder)


def measure(site: Path, shown: int = 5) -> dict:
    """Open a site as a visitor does; return megabytes and milliseconds by name."""
    handler = functools.partial(Quiet, directory=site.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked: list[str] = []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        found = {}
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        page.wait_for_selector(READY)
        page.wait_for_load_state("networkidle")
        found["first view, MB"] = _weigh(site.parent, asked)
        page.reload()
        page.wait_for_selector(READY)
        found["first answer to a click, ms"] = page.evaluate(CLICK)
        times = page.evaluate(TIME, [QUESTIONS, shown])
        found |= {f"{name}, ms": statistics.median(each) for name, each in times.items()}
    server.shutdown()
    data = site.parent / "data"
    for name in ("final-", "dial-", "dial-raw-"):
        files = [file for file in data.glob(f"*--{name}*") if name == _numbered(file)]
        found[f"rows {name.rstrip('-')}, MB"] = sum(one.stat().st_size for one in files) / 1e6
    return found


def _numbered(file: Path) -> str:
    """Return how the name of a file of rows ends, without its number."""
    return file.stem.rpartition("--")[2].rstrip("0123456789")


def _weigh(folder: Path, urls: list[str]) -> float:
    names = {url.partition("//")[2].partition("/")[2] for url in urls if url.startswith("http")}
    return sum((folder / name).stat().st_size for name in names) / 1e6


CLICK = """async () => {
  const query = () => document.querySelector("[data-part=query]").dataset.id;
  const one = document.querySelectorAll("[data-part=neighbours] [data-part=work]")[3];
  const start = performance.now();
  one.click();
  while (query() !== one.dataset.id) await new Promise(requestAnimationFrame);
  return performance.now() - start;
}"""
TIME = """async ([questions, times]) => {
  const site = await load("works").then(readWorks);
  const { search } = createAnswerer(site);
  const found = {};
  for (const [name, [more, dial]] of Object.entries(questions)) {
    found[name] = [];
    for (let i = -1; i < times; i++) {
      const { goal, ...fields } = more;
      const id = (n) => site.ids[(17 * (i + 2) + n) % site.ids.length];
      for (const side of ["positive", "negative"]) {
        fields[side] = (fields[side] ?? (side === "positive" ? [[0, 1]] : [])).map(
          ([n, weight]) => [id(n), weight]);
      }
      if (name === "dial, turned") fields.positive = [[id(-17), 1]];
      const question = makeQuestion(fields);
      const asked = { network: site.networks[0].name, crop: site.crop, dial, question,
        goal: goal ? id(goal) : "" };
      if (name === "dial, turned") await search.answer({ ...asked, dial: 0.3 });
      const start = performance.now();
      if (name.startsWith("what came before")) await search.earlier(asked, site.ids.slice(-11));
      else await search.answer(asked);
      if (i >= 0) found[name].push(performance.now() - start);
    }
  }
  return found;
}"""


def main() -> None:
    """Print a table, a row a figure and a column a size."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--collection", default="data/paintings")
    words.add_argument("--works", default="10000,100000")
    words.add_argument("--out", default="build", help="where the features of the collection are")
    settings = words.parse_args()
    searches = Searches(Collection(settings.collection), LITE, [CROP], settings.out)
    table: dict[str, list[float]] = {}
    sizes = list(map(int, settings.works.split(",")))
    for works in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-page-") as scratch:
            collection = make_works(Path(scratch, "works"), works)
            began = time.monotonic()
            site = write_site(collection, Mixed(collection, searches), Path(scratch, "site"))
            took = time.monotonic() - began
            for name, figure in measure(site).items():
                table.setdefault(name, []).append(figure)
            head = json.loads(_head(site))
            one = head["descriptors"][0]
            for name in ("final", "dial"):
                table.setdefault(f"recall, {name}, least", []).append(min(one[name]["recall"]))
            table.setdefault("written in, s", []).append(took)
    print(f"| figure | {' | '.join(f'{works:,} works' for works in sizes)} |")
    print(f"|{'---|' * (1 + len(sizes))}")
    for name, figures in table.items():
        digits = 3 if "recall" in name else 2 if "MB" in name else 1
        print(f"| {name} | {' | '.join(f'{one:,.{digits}f}' for one in figures)} |")


def _head(site: Path) -> str:
    text = (site.parent / "data" / "works.js").read_text(encoding="ascii")
    return text[text.index(",") + 1 : text.rindex(")")]


if __name__ == "__main__":
    main()
