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
from pathlib import Path

import numpy as np
from PIL import Image

import artsearch
from artsearch.base.disk import write_folder
from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.progress import Progress
from artsearch.features.blend import dial_place
from artsearch.index.factory import METRICS, Index
from artsearch.networks.network import Network
from artsearch.networks.transforms import default_crop
from artsearch.search.opening import choose_opening
from artsearch.search.search import Search
from artsearch.search.wording import has_dial, words
from artsearch.show.html import WEB, networks_said, render
from artsearch.show.page import write_page
from artsearch.works.collection import MACHINE_MADE, Collection
from artsearch.works.file_state import hash_file
from artsearch.works.images import thumbnail, to_jpeg
from artsearch.works.storage import RemoteFile

__all__ = ["pack_answers", "write_page", "write_site"]

#: Files of the site that are the same for every collection.
ASSETS = ("gallery.css", "gallery.js", "site.css", "site.js")
OWN = {"index.html", "data", "images", "thumbs", *ASSETS}
#: How the name of a file ends whose answers leave out works made by a machine.
BY_HAND = "--by-hand"
#: What the page says of a work.
COLUMNS = ("id", "title", "artist", "year", "style", "licence", "source")


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

    Where `searches` have a dial between content (0) and style (1), the answers at its places `dial`
    are computed too; with an empty `dial` the page has none. Where the collection has works made by
    a machine beside others, every answer is computed a second time without them. The page opens on
    a work that is chosen for its answers (see choose_opening), with the networks side by side and
    without works made by a machine.

    The folder is swapped as a whole, and pictures of unchanged files are taken over from the last
    time. Raises ArtsearchError when `out` holds anything else than an older site, and
    MismatchError when the searches are not over the same works.
    """
    out = Path(out)
    _refuse_other_folder(out)
    stops = _dial_stops(searches, dial)
    ids = _common_ids(collection, searches, stops)
    k = min(k, len(ids) - 1)

    def write(new: Path) -> None:
        sides = {"thumbs": thumb_side, "images": image_side}
        pictures = _write_pictures(collection, ids, new, out, sides, progress)
        (new / "data").mkdir()
        files = _answer_files(searches, stops)
        by_hand = [id for id in ids if id not in collection.machines]
        has_both = collection.has_both(ids)
        with Progress(len(files), "Answers", show=progress, unit="files") as bar:
            for file, asked in files.items():
                search = _search(searches, *asked)
                _write_data(new, file, pack_answers(*_all_answers(search.index, ids, k)))
                if has_both:
                    answers = _answers_among(search, ids, by_hand, min(k, len(by_hand) - 1))
                    _write_data(new, file + BY_HAND, pack_answers(*answers))
                bar.update()
        works = _describe_works(collection, ids, pictures)
        head = {
            "networks": [{"name": one.name, "title": one.title} for one in searches.networks],
            "crops": [{"name": crop, "title": words(crop)} for crop in searches.crops],
            "crop": default_crop(searches.crops),
            "answers": [[*key, file] for file, (*key, place) in files.items() if place is None],
            "dial": _describe_dial(searches, stops, files),
            "by_hand": BY_HAND if has_both else "",
            "first": choose_opening(collection, _shown(searches), min(10, k)),
            "k": k,
            "images": image_side > 0,
            "unit": _unit(searches),
        }
        _write_data(new, "works", head | {"works": _pack(json.dumps(works).encode())})
        for name in ASSETS:
            shutil.copyfile(WEB / name, new / name)
        html = render(
            "site.html",
            title=title,
            said=networks_said(searches),
            works=f"{len(ids):,}",
            k=k,
            version=artsearch.__version__,
            unit=_unit(searches),
            networks=[_network_note(one) for one in searches.networks],
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
    if (distances == np.rint(distances)).all():
        wanted = 0
    else:
        wanted = 3 if np.abs(distances).max() < 10 else 1
    return min(wanted, int(np.floor(np.log10(65_000 / max(np.ptp(distances), 1)))))


def _all_answers(index: Index, ids: list[str], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return places in `ids` and distances of every work's k nearest, in the order of `ids`."""
    rows, distances = index.all_neighbours(k)
    row = {id: place for place, id in enumerate(index.ids)}
    order = np.array([row[id] for id in ids])
    place_of = np.empty(len(ids), np.int64)
    place_of[order] = np.arange(len(ids))
    return place_of[rows[order]], distances[order]


def _answers_among(
    search: Search, ids: list[str], among: list[str], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return places in `among` and distances of every work's k nearest there, in order of `ids`."""
    rows, order = search.exact.rows_of(among), search.exact.rows_of(ids)
    places, distances = search.exact.neighbours_among(rows, k)
    return places[order], distances[order]


def _shown(searches: Mapping[tuple[str, str], Search]) -> dict[str, Search]:
    """Return the searches that a visitor sees first, by network."""
    crop = default_crop(searches.crops)
    return {network.name: searches[network.name, crop] for network in searches.networks}


def _dial_stops(searches: Mapping[tuple[str, str], Search], dial: Sequence[float]) -> list[float]:
    """Return the places of the dial to compute, in order; none where there is no dial."""
    return sorted({dial_place(place) for place in dial}) if has_dial(searches) else []


def _answer_files(
    searches: Mapping[tuple[str, str], Search], stops: Sequence[float]
) -> dict[str, tuple[str, str, float | None]]:
    """Return what is asked for each data file: network, crop, and the dial's place or None."""
    files: dict[str, tuple[str, str, float | None]] = {}
    for key in searches:
        name = "--".join(map(_file_name, key))
        files[name] = (*key, None)
        files |= {f"{name}--dial-{100 * place:.0f}": (*key, place) for place in stops}
    return files


def _search(
    searches: Mapping[tuple[str, str], Search], network: str, crop: str, place: float | None
) -> Search:
    if place is None:
        return searches[network, crop]
    return searches.dial(network, crop, place)


def _describe_dial(
    searches: Mapping[tuple[str, str], Search],
    stops: list[float],
    files: dict[str, tuple[str, str, float | None]],
) -> dict | None:
    """Return what the page needs to know of the dial, None if there is none."""
    if not stops:
        return None
    metric = searches.dial(*next(iter(searches)), stops[0]).index.metric
    return {
        "stops": stops,
        "answers": [[*asked, file] for file, asked in files.items() if asked[2] is not None],
        "unit": f"{metric}: {METRICS[metric]}",
    }


def _common_ids(
    collection: Collection, searches: Mapping[tuple[str, str], Search], stops: Sequence[float]
) -> list[str]:
    """Return the ids that the indexes hold, in the collection's order."""
    asked = {" and ".join(key): (*key, None) for key in searches}
    asked |= {f"the dial of {name}": (*key, stops[0]) for name, (*key, _) in asked.items() if stops}
    sets = {name: set(_search(searches, *one).index.ids) for name, one in asked.items()}
    first, *others = sets
    for other in others:
        differ = sorted(sets[first] ^ sets[other])
        if differ:
            raise MismatchError(
                f"the searches of {first} and of {other} are not over "
                f"the same works: {len(differ)} are in one only, the first is {differ[0]!r}; "
                "compute features and index again"
            )
    return [id for id in collection if id in sets[first]]


def _refuse_other_folder(out: Path) -> None:
    """Raise unless the folder is missing, empty, or a site: it is going to be replaced."""
    if out.is_dir() and any(out.iterdir()) and not (out / "data" / "works.js").is_file():
        raise ArtsearchError(
            f"{str(out)!r} holds something else than a site and would be lost; name a new folder"
        )
    if out.exists() and not out.is_dir():
        raise ArtsearchError(f"{str(out)!r} is a file; name a new folder for the site")


def _write_pictures(
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

    def write(work_id: str) -> str:
        path = collection.path(work_id)
        with path.fetched_once() if isinstance(path, RemoteFile) else nullcontext():
            # Named by what is in it, never by the work: safe on any disk and in any address, and
            # the same name the next time means the same picture.
            name = hashlib.sha256(f"{hash_file(path)} {sides}".encode()).hexdigest()[:12]
            with lock:
                is_first = name not in begun
                begun.add(name)
            if is_first:
                make(name, path)
        return name

    def make(name: str, path: Path | RemoteFile) -> None:
        files = {Path(folder, name[:2], f"{name}.jpg"): side for folder, side in sides.items()}
        missing = {file: side for file, side in files.items() if not _take_over(old, new, file)}
        if missing:
            picture = thumbnail(path, max(sides.values()))
        for file, side in missing.items():
            (new / file).parent.mkdir(parents=True, exist_ok=True)
            quality = 72 if side <= 240 else 80  # a first view of 34 small ones stays below 500 kB
            (new / file).write_bytes(to_jpeg(thumbnail(picture, side), quality))

    def size(name: str) -> tuple[int, int]:
        with Image.open(new / "thumbs" / name[:2] / f"{name}.jpg") as image:
            return image.size

    lock = threading.Lock()
    sides = {folder: side for folder, side in sides.items() if side}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        names = []
        with Progress(len(ids), "Pictures", show=progress) as bar:
            for name in pool.map(write, ids):
                names.append(name)
                bar.update()
    sizes = {name: size(name) for name in begun}
    return [(name, *sizes[name]) for name in names]


def _take_over(old: Path, new: Path, file: Path) -> bool:
    """Link or copy a file of the last time if it is there; tell whether it was."""
    if not (old / file).is_file():
        return False
    (new / file).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old / file, new / file)
    except OSError:  # a disk without links
        shutil.copyfile(old / file, new / file)
    return True


def _describe_works(
    collection: Collection, ids: list[str], pictures: list[tuple[str, int, int]]
) -> dict[str, list | str]:
    """Return what the page shows of the works, column by column."""
    table = collection.works.set_index("id", drop=False).loc[ids]
    columns = {name: table[name].tolist() if name in table else [] for name in COLUMNS}
    names, widths, heights = map(list, zip(*pictures, strict=True))
    if collection.machines:
        columns[MACHINE_MADE] = [collection.machine_made(id) for id in ids]
    return columns | {"picture": "".join(names), "width": widths, "height": heights}


def _write_data(new: Path, name: str, data: dict) -> None:
    """Write data as a script that hands it over: pages from file:// may load nothing else."""
    script = f"receive({_to_script(name)}, {_to_script(data)});\n"
    (new / "data" / f"{name}.js").write_text(script, encoding="ascii", newline="\n")


def _to_script(data: object) -> str:
    r"""Return data as JSON that stays data wherever it stands, in a script or in HTML.

    >>> print(_to_script("</script>"))
    "\u003c/script\u003e"
    """
    # json.dumps leaves no character beyond ASCII (U+2028 ends a line in old JavaScript).
    text = json.dumps(data)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _pack(data: bytes) -> str:
    """Deflate bytes and write them in base 85, without the digits that mean something in HTML."""
    text = base64.b85encode(zlib.compress(data, 9)).decode("ascii")
    return text.translate(str.maketrans("<>&", ",.:"))


def _network_note(network: Network) -> str:
    layer = f"layer {network.layer}" if network.layer else "its output"
    return (
        f"{network.title}: {layer}, {network.dims:,} numbers a work, input {network.size} px; "
        f"{network.paper}; weights under {network.licence}."
    )


def _unit(searches: Mapping[tuple[str, str], Search]) -> str:
    metric = next(iter(searches.values())).index.metric
    return f"{metric}: {METRICS[metric]}"


def _file_name(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
