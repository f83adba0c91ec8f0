"""The static demo: a folder of files that opens by double click, or from any web host."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import threading
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from PIL import Image

import artsearch
from artsearch.base.disk import write_folder
from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.progress import Progress
from artsearch.features.blend import round_alpha
from artsearch.index.base import Index
from artsearch.index.metrics import unit_of
from artsearch.networks.network import Network
from artsearch.networks.transforms import default_crop
from artsearch.search.search import Search
from artsearch.search.wording import has_dial, say_networks, words
from artsearch.show.html import WEB, first_searches, render
from artsearch.show.opening import choose_opening
from artsearch.show.page import write_page
from artsearch.works.cards import Card
from artsearch.works.collection import MACHINE_MADE, Collection
from artsearch.works.file_state import hash_file
from artsearch.works.images import few_notes, thumbnail, to_jpeg
from artsearch.works.storage import RemoteFile

__all__ = ["pack_answers", "write_page", "write_site"]

#: Files of the site that are the same for every collection.
ASSETS = ("gallery.css", "gallery.js", "site.css", "site.js")
#: The judging page, which is written by itself and stays when the site is written anew.
JUDGING = ("judge.html", "judging")
#: What the site says of that page, and what stands there where it has none.
LINK = Markup('<p><a href="judge.html">Which is more like it?</a> Say what you find similar.</p>')
NO_LINK = Markup("<!-- no judging page -->")
OWN = {"index.html", "data", "images", "thumbs", *ASSETS, *JUDGING}
#: How the name of a file ends whose answers leave out works made by a machine.
BY_HAND = "--by-hand"
#: What the page says of a work.
COLUMNS = ("id", "title", "artist", "year", "style", "licence", "source")


@dataclass(frozen=True)
class Asked:
    """What the answers of a data file are to: one network, one crop, one weight of the dial."""

    network: str
    crop: str
    alpha: float | None

    def __str__(self) -> str:
        of = "" if self.alpha is None else "the dial of "
        return f"{of}{self.network} and {self.crop}"

    @property
    def file(self) -> str:
        """The name of the file, without its ending."""
        dial = [] if self.alpha is None else [f"dial-{100 * self.alpha:.0f}"]
        return "--".join(_file_name(one) for one in (self.network, self.crop, *dial))

    def search(self, searches: Mapping[tuple[str, str], Search]) -> Search:
        """Return what is asked."""
        if self.alpha is None:
            return searches[self.network, self.crop]
        return searches.dial(self.network, self.crop, self.alpha)


def write_site(
    collection: Collection,
    searches: Mapping[tuple[str, str], Search],
    out: str | os.PathLike,
    k: int = 20,
    thumb_side: int = 240,
    image_side: int = 800,
    title: str = "Visually similar artworks",
    progress: bool = True,
    dial: Sequence[float] = (0, 0.25, 0.5, 0.75, 1),
) -> Path:
    """Write the static demo into the folder `out` and return its `index.html`.

    The k nearest works of every work are computed beforehand, for each network and crop of
    `searches` (a Searches: besides the searches by (network, crop) it has `networks`, `crops` and
    `sentence`). A work's picture is at most `image_side` pixels long, and with 0 there is only its
    thumbnail: at 800 pixels the pictures of 10,000 works take about 1 GB, their thumbnails 0.1 GB.
    Works without a picture at hand have a thumbnail alone: of what was seen at their address before
    (no server is asked here), or else of their card.

    Where `searches` have a dial between content (0) and style (1), the answers at its weights
    `dial` are computed too; with an empty `dial` the page has none. Where the collection has works
    made by a machine beside others, every answer is computed a second time without them. The page
    opens on a work that is chosen for its answers (see choose_opening), with the networks side by
    side and without works made by a machine.

    The folder is swapped as a whole, and pictures of unchanged files are taken over from the last
    time. Raises ArtsearchError when `out` holds anything else than an older site, and
    MismatchError when the searches are not over the same works.
    """
    out = Path(out)
    _refuse_other_folder(out)
    stops = sorted({round_alpha(alpha) for alpha in dial}) if has_dial(searches) else []
    asked = [Asked(*key, alpha) for key in searches for alpha in (None, *stops)]
    ids = _common_ids(collection, searches, asked)
    k, unit = min(k, len(ids) - 1), unit_of(next(iter(searches.values())).index.metric)
    has_both = collection.has_both(ids)
    large = image_side if collection.has_pictures else 0

    def write(new: Path) -> None:
        sides = {"thumbs": thumb_side, "images": large}
        pictures = write_pictures(collection, ids, new, out, sides, progress)
        (new / "data").mkdir()
        by_hand = [id for id in ids if id not in collection.machines] if has_both else []
        with Progress(len(asked), "Answers", show=progress, unit="files") as bar:
            for one in asked:
                search = one.search(searches)
                write_data(new, one.file, pack_answers(*_all_answers(search.index, ids, k)))
                if has_both:
                    few = _answers_among(search.exact, ids, by_hand, min(k, len(by_hand) - 1))
                    write_data(new, one.file + BY_HAND, pack_answers(*few))
                bar.update()
        works = _describe_works(collection, ids, pictures)
        head = {
            "networks": [{"name": one.name, "title": one.title} for one in searches.networks],
            "crops": [{"name": crop, "title": words(crop)} for crop in searches.crops],
            "crop": default_crop(searches.crops),
            "answers": [[one.network, one.crop, one.alpha, one.file] for one in asked],
            "dial": None,
            "by_hand": BY_HAND if has_both else "",
            "first": choose_opening(collection, first_searches(searches), min(10, k)),
            "k": k,
            "images": large > 0,
            "unit": unit,
            "works": _pack(json.dumps(works).encode()),
        }
        if stops:
            head["dial"] = {
                "stops": stops,
                "unit": unit_of(asked[-1].search(searches).index.metric),
            }
        write_data(new, "works", head)
        for name in ASSETS:
            shutil.copyfile(WEB / name, new / name)
        html = render(
            "site.html",
            title=title,
            said=say_networks(searches),
            works=f"{len(ids):,}",
            k=k,
            version=artsearch.__version__,
            unit=unit,
            networks=[_network_note(one) for one in searches.networks],
            judging=LINK if _take_over(JUDGING, out, new) else NO_LINK,
        )
        (new / "index.html").write_text(html, encoding="utf-8", newline="\n")

    return write_folder(out, write, OWN) / "index.html"


def pack_answers(rows: np.ndarray, distances: np.ndarray) -> dict:
    """Pack row numbers and ascending distances (both works × k) into a small plain dict.

    Distances are rounded to `digits` after the point, those that are shown (3 for angular), and
    stored as gaps to the one before. Low and high bytes lie apart and neighbours of one rank
    together, so that deflate finds what they have in common. `site.js` unpacks them.

    >>> answers = pack_answers(np.array([[1], [0]]), np.array([[0.5], [0.5004]]))
    >>> answers["digits"], answers["low"]
    (3, 500)
    """
    digits = _digits(distances)
    units = np.rint(distances * 10.0**digits).astype(np.int64)
    low = int(units.min(initial=2**53)) if units.size else 0
    gaps = np.diff(units, axis=1, prepend=low)
    planes = [rows, rows >> 8, rows >> 16, gaps, gaps >> 8]
    packed = b"".join((plane.T & 255).astype(np.uint8).tobytes() for plane in planes)
    return {"k": rows.shape[1], "digits": digits, "low": low, "packed": _pack(packed)}


def _digits(distances: np.ndarray) -> int:
    """Return how many digits after the point to keep: as shown, but gaps must fit two bytes."""
    if not distances.size:
        return 0
    if distances.any() and (distances == np.rint(distances)).all():
        wanted = 0
    else:
        wanted = 3 if np.abs(distances).max() < 10 else 1
    return min(wanted, int(np.floor(np.log10(65_000 / max(np.ptp(distances), 1)))))


def _all_answers(index: Index, ids: list[str], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return places in `ids` and distances of every work's k nearest, in the order of `ids`."""
    rows, distances = index.all_neighbours(k)
    order = index.rows_of(ids)
    place_of = np.argsort(order)
    return place_of[rows[order]], distances[order]


def _answers_among(
    exact: Index, ids: list[str], among: list[str], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return places in `among` and distances of every work's k nearest there, in order of `ids`."""
    places, distances = exact.neighbours_among(exact.rows_of(among), k)
    order = exact.rows_of(ids)
    return places[order], distances[order]


def _common_ids(
    collection: Collection, searches: Mapping[tuple[str, str], Search], asked: Sequence[Asked]
) -> list[str]:
    """Return the ids that the indexes hold, in the collection's order."""
    first = set(asked[0].search(searches).index.ids)
    for one in asked:
        differ = sorted(first.symmetric_difference(one.search(searches).index.ids))
        if differ:
            raise MismatchError(
                f"the searches of {asked[0]} and of {one} are not over the same works: "
                f"{len(differ)} are in one only, the first is {differ[0]!r}; compute features and "
                "index again"
            )
    return [id for id in collection if id in first]


def _refuse_other_folder(out: Path) -> None:
    """Raise unless the folder is missing, empty, or a site: it is going to be replaced."""
    others = out.is_dir() and set(os.listdir(out)) - set(JUDGING)
    if others and not (out / "data" / "works.js").is_file():
        raise ArtsearchError(
            f"{str(out)!r} holds something else than a site and would be lost; name a new folder"
        )
    if out.exists() and not out.is_dir():
        raise ArtsearchError(f"{str(out)!r} is a file; name a new folder for the site")


def write_pictures(
    collection: Collection,
    ids: list[str],
    new: Path,
    old: Path,
    sides: dict[str, int],
    progress: bool,
) -> list[tuple[str, int, int]]:
    """Write all works' pictures; return of each its name and the size of its thumbnail.

    `sides` gives the longest side of the pictures in each folder, 0 for none.
    """
    begun: set[str] = set()
    lock = threading.Lock()
    sides = {folder: side for folder, side in sides.items() if side}

    def write(work_id: str) -> str:
        path = collection.path(work_id)
        with path.fetched_once() if isinstance(path, RemoteFile) else nullcontext():
            # Named by what is in it, never by the work: safe on any disk and in any address, and
            # the same name the next time means the same picture.
            content = path.content if isinstance(path, Card) else hash_file(path)
            name = hashlib.sha256(f"{content} {sides}".encode()).hexdigest()[:12]
            with lock:
                is_first = name not in begun
                begun.add(name)
            if is_first:
                _write_picture(path, name, sides, new, old)
        return name

    def size(name: str) -> tuple[int, int]:
        with Image.open(new / "thumbs" / name[:2] / f"{name}.jpg") as image:
            return image.size

    names = []
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        Progress(len(ids), "Pictures", show=progress) as bar,
        few_notes(),
    ):
        for name in pool.map(write, ids):
            names.append(name)
            bar.update()
    sizes = {name: size(name) for name in begun}
    return [(name, *sizes[name]) for name in names]


def _take_over(names: Sequence[str], old: Path, new: Path) -> bool:
    """Copy what another command wrote into the older folder; tell whether all of it was there."""
    if not all((old / name).exists() for name in names):
        return False
    for name in names:
        copy = shutil.copytree if (old / name).is_dir() else shutil.copyfile
        copy(old / name, new / name)
    return True


def _write_picture(
    path: Path | RemoteFile | Card, name: str, sides: dict[str, int], new: Path, old: Path
) -> None:
    """Write a work's picture into each folder of `sides`, or take it over from the last time."""
    picture = None
    for folder, side in sides.items():
        file = Path(folder, name[:2], f"{name}.jpg")
        (new / file).parent.mkdir(parents=True, exist_ok=True)
        if (old / file).is_file():
            try:
                os.link(old / file, new / file)
            except OSError:  # a disk without links
                shutil.copyfile(old / file, new / file)
        else:
            path = replace(path, asks=False) if isinstance(path, Card) else path
            picture = picture or thumbnail(path, max(sides.values()))
            quality = 72 if side <= 240 else 80  # a first view of 34 small ones stays below 500 kB
            (new / file).write_bytes(to_jpeg(thumbnail(picture, side), quality))


def _describe_works(
    collection: Collection, ids: list[str], pictures: list[tuple[str, int, int]]
) -> dict[str, list | str]:
    """Return what the page shows of the works, column by column."""
    table = collection.works.set_index("id", drop=False).loc[ids]
    columns = {name: table[name].tolist() if name in table else [] for name in COLUMNS}
    if "link" in table:
        columns["source"] = table["link"].where(table["link"] != "", table["source"]).tolist()
    names, widths, heights = map(list, zip(*pictures, strict=True))
    if collection.machines:
        columns[MACHINE_MADE] = [collection.machine_made(id) for id in ids]
    return columns | {"picture": "".join(names), "width": widths, "height": heights}


def write_data(new: Path, name: str, data: dict) -> None:
    """Write data as a script that hands it over: pages from file:// may load nothing else."""
    # No character beyond ASCII (U+2028 ends a line in old JavaScript), and none that means
    # something in HTML.
    script = f"receive({htmlsafe_json_dumps(name)}, {htmlsafe_json_dumps(data)});\n"
    (new / "data" / f"{name}.js").write_text(script, encoding="ascii", newline="\n")


def _pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def _network_note(network: Network) -> str:
    if not network.size:  # its vectors alone are here
        said = f"{network.title}: {network.dims:,} numbers a work, {network.paper}"
        return f"{said}; weights under {network.licence}."
    layer = f"layer {network.layer}" if network.layer else "its output"
    return (
        f"{network.title}: {layer}, {network.dims:,} numbers a work, input {network.size} px; "
        f"{network.paper}; weights under {network.licence}."
    )


def _file_name(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
