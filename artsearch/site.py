"""Pages that open by double click: the static demo, and one plain page of queries."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image
from tqdm import tqdm

import artsearch
from artsearch.collection import Collection
from artsearch.errors import ArtsearchError, MismatchError
from artsearch.images import thumbnail, to_jpeg
from artsearch.index import METRICS, Index
from artsearch.networks import Network
from artsearch.search import Search
from artsearch.store import write_folder
from artsearch.transforms import NO_CROP

WEB = Path(__file__).parent / "web"
#: Files of the site that are the same for every collection.
ASSETS = ("gallery.css", "gallery.js", "site.css", "site.js")
#: What the page says of a work, and its drawer searches.
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
) -> Path:
    """Write the static demo into the folder `out` and return its `index.html`.

    The k nearest works of every work are computed beforehand, for each network and crop of
    `searches` (a Searches: besides the searches by (network, crop) it has `networks`, `crops` and
    `sentence`). A work's picture is at most `image_side` pixels long, and with 0 there is only its
    thumbnail: at 800 pixels the pictures of 10,000 works take about 1 GB, their thumbnails 0.1 GB.

    The folder is swapped as a whole, and pictures of unchanged files are taken over from the last
    time. Raises ArtsearchError when `out` holds anything else than an older site, and
    MismatchError when the searches are not over the same works.
    """
    out = Path(out)
    _refuse_other_folder(out)
    ids = _common_ids(collection, searches)
    k = min(k, len(ids) - 1)

    def write(new: Path) -> None:
        pictures = _write_pictures(collection, ids, new, out, (thumb_side, image_side), progress)
        (new / "data").mkdir()
        answers = {}
        for key in tqdm(list(searches), "Answers", disable=not progress, leave=False):
            answers[key] = "--".join(_file_name(part) for part in key)
            answer = pack_answers(*_all_answers(searches[key].index, ids, k))
            _write_data(new, answers[key], answer)
        works = _describe_works(collection, ids, pictures)
        head = {
            "sentence": searches.sentence,
            "networks": [{"name": one.name, "title": one.title} for one in searches.networks],
            "crops": [{"name": crop, "title": _words(crop)} for crop in searches.crops],
            "crop": _default_crop(searches.crops),
            "answers": [[*key, file] for key, file in answers.items()],
            "k": k,
            "images": image_side > 0,
            "unit": _unit(searches),
        }
        _write_data(new, "works", head | {"works": _pack(json.dumps(works).encode())})
        for name in ASSETS:
            shutil.copyfile(WEB / name, new / name)
        html = _site_html(title, searches, len(ids), k)
        (new / "index.html").write_text(html, encoding="utf-8", newline="\n")

    return write_folder(out, write) / "index.html"


def write_page(
    collection: Collection,
    searches: Mapping[tuple[str, str], Search],
    path: str | os.PathLike,
    queries: int = 12,
    k: int = 8,
    seed: int = 0,
) -> Path:
    """Write one HTML file of queries and their neighbours, a row a network, and return its path.

    `searches` is a Searches: besides the searches by (network, crop) it has `networks`, `crops`
    and `sentence`. Pictures lie in the file itself, so it can be sent as it is.
    """
    path = Path(path)
    crop = _default_crop(searches.crops)
    used = {network.name: searches[network.name, crop] for network in searches.networks}
    known = next(iter(used.values())).index
    works = [id for id in collection.sample(len(collection), seed) if id in set(known.ids)]
    pictures = _Pictures(collection)
    sections = [
        _query_section(id, used, searches.networks, min(k, len(known) - 1), pictures)
        for id in works[:queries]
    ]
    style = (WEB / "page.css").read_text(encoding="utf-8")
    page = Template((WEB / "page.html").read_text(encoding="utf-8")).substitute(
        style=style,
        style_hash="sha256-" + _base64(hashlib.sha256(style.encode()).digest()),
        sentence=escape(searches.sentence),
        introduction=_introduction(len(sections), len(known), path),
        queries="\n".join(sections),
        footer=_footer(known.metric, crop),
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ArtsearchError(
            f"cannot write {str(path)!r} ({error.strerror}); name another file"
        ) from None
    return path


class _Pictures:
    """The pictures of a page as data: URLs, each made once."""

    def __init__(self, collection: Collection, side: int = 112):
        self.collection, self.side = collection, side
        self._made: dict[str, str] = {}

    def show(self, id: str, note: str = "", kind: str = "") -> str:
        """Return a work as a list item: its picture and caption, with a note before it."""
        if id not in self._made:
            data = to_jpeg(thumbnail(self.collection.path(id), self.side), quality=60)
            self._made[id] = f"data:image/jpeg;base64,{_base64(data)}"
        caption = escape(self.collection.caption(id))
        # <bdi>: a title that runs from right to left must not turn what stands beside it.
        return (
            f'<li class="{kind}" data-id="{escape(id)}">'
            f'<img src="{self._made[id]}" alt="{caption}" loading="lazy">'
            f"<b>{note}</b> <bdi>{caption}</bdi></li>"
        )


def _query_section(
    id: str,
    searches: Mapping[str, Search],
    networks: Sequence[Network],
    k: int,
    pictures: _Pictures,
) -> str:
    """Return a query and its neighbours, a row a network; works in one row only are marked."""
    answers = {name: search.by_work(id, k) if k else () for name, search in searches.items()}
    rows = []
    for network in networks:
        others = [answers[name] for name in answers if name != network.name]
        shared = {work.id for answer in others for work in answer}
        items = [
            pictures.show(
                work.id,
                f"{work.distance:.3g}",
                "only" if others and work.id not in shared else "",
            )
            for work in answers[network.name]
        ]
        rows.append(f"<h3>{escape(network.title)}</h3>\n<ol>{''.join(items)}</ol>")
    query = f'<ol class="query">{pictures.show(id)}</ol>'
    return f"<section>\n{query}\n{''.join(rows)}\n</section>"


def pack_answers(rows: np.ndarray, distances: np.ndarray) -> dict:
    """Pack row numbers and ascending distances (both works × k) into a small plain dict.

    Distances are rounded to `digits` after the point, which leaves 200 to 2,000 steps up to the
    largest one (3 for angular), and stored as gaps to the one before. Low and high bytes lie
    apart and neighbours of one rank together, so that deflate finds what they have in common: 2.3
    bytes a neighbour at 10,000 works. `site.js` unpacks them.

    >>> answers = pack_answers(np.array([[1], [0]]), np.array([[0.5], [0.5004]]))
    >>> answers["digits"], answers["low"]
    (3, 500)
    """
    most = np.abs(distances).max(initial=0)
    digits = int(3 - np.ceil(np.log10(most / 2))) if most > 0 else 3
    units = np.rint(distances * 10.0**digits).astype(np.int64)
    low = int(units.min(initial=2**53)) if units.size else 0
    gaps = np.diff(units, axis=1, prepend=low)
    planes = [rows, rows >> 8, rows >> 16, gaps, gaps >> 8]
    packed = b"".join((plane.T & 255).astype(np.uint8).tobytes() for plane in planes)
    return {"k": rows.shape[1], "digits": digits, "low": low, "packed": _pack(packed)}


def _all_answers(index: Index, ids: list[str], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and distances of every work's k nearest."""
    row = {id: place for place, id in enumerate(ids)}
    rows = np.zeros((len(ids), k), np.int64)
    distances = np.zeros((len(ids), k))
    for place, id in enumerate(ids if k else ()):
        found, distances[place] = index.search(id, k)
        rows[place] = [row[other] for other in found]
    return rows, distances


def _common_ids(collection: Collection, searches: Mapping[tuple[str, str], Search]) -> list[str]:
    """Return the ids that the indexes hold, in the collection's order."""
    sets = {key: set(searches[key].index.ids) for key in searches}
    first, *others = sets
    for other in others:
        differ = sorted(sets[first] ^ sets[other])
        if differ:
            raise MismatchError(
                f"the searches of {' and '.join(first)} and of {' and '.join(other)} are not over "
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
    sides: tuple[int, int],
    progress: bool,
) -> list[tuple[str, int, int]]:
    """Write all works' pictures; return of each its name and the size of its thumbnail."""

    def write(id: str) -> tuple[str, int, int]:
        data = collection.path(id).read_bytes()
        # Named by what is in it, never by the work: safe on any disk and in any address, and the
        # same name the next time means the same picture.
        name = hashlib.sha256(repr(sides).encode() + data).hexdigest()[:12]
        for folder, side in zip(("images", "thumbs"), reversed(sides), strict=True):
            file = Path(folder, name[:2], f"{name}.jpg")
            if side and not _take_over(old / file, new / file):
                (new / file).parent.mkdir(parents=True, exist_ok=True)
                (new / file).write_bytes(to_jpeg(thumbnail(data, side)))
        with Image.open(new / "thumbs" / name[:2] / f"{name}.jpg") as image:
            return name, *image.size

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = tqdm(pool.map(write, ids), "Pictures", len(ids), leave=False, disable=not progress)
        return list(made)


def _take_over(old: Path, new: Path) -> bool:
    """Link or copy a file of the last time if it is there; tell whether it was."""
    if new.exists():
        return True
    if not old.is_file():
        return False
    new.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(old, new)
    except FileExistsError:
        pass
    except OSError:
        shutil.copyfile(old, new)
    return True


def _describe_works(
    collection: Collection, ids: list[str], pictures: list[tuple[str, int, int]]
) -> dict[str, list | str]:
    """Return what the page shows of the works, column by column."""
    table = collection.works.set_index("id", drop=False).loc[ids]
    columns = {name: table[name].tolist() if name in table else [] for name in COLUMNS}
    names, widths, heights = map(list, zip(*pictures, strict=True))
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
    return _base64(zlib.compress(data, 9))


def _site_html(title: str, searches: Mapping, works: int, k: int) -> str:
    """Return the page: what is said of the networks is in it, the rest comes as data."""
    return Template((WEB / "site.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        sentence=escape(searches.sentence),
        works=f"{works:,}",
        k=k,
        version=escape(artsearch.__version__),
        unit=escape(_unit(searches)),
        networks="\n".join(f"<li>{_network_note(one)}</li>" for one in searches.networks),
    )


def _network_note(network: Network) -> str:
    layer = f"layer {network.layer}" if network.layer else "its output"
    return escape(
        f"{network.title}: {layer}, {network.dims:,} numbers a work, input {network.size} px; "
        f"{network.paper}; weights under {network.licence}."
    )


def _unit(searches: Mapping[tuple[str, str], Search]) -> str:
    metric = next(iter(searches.values())).index.metric
    return f"{metric}: {METRICS[metric]}"


def _default_crop(crops: Sequence[str]) -> str:
    return NO_CROP if NO_CROP in crops else crops[0]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _file_name(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)


def _introduction(queries: int, works: int, path: Path) -> str:
    text = (
        f"{queries} of {works:,} works, drawn at random, each with the works that are nearest to "
        "it for each network. The number is the distance; framed are works that no other network "
        "has in its row."
    )
    if (path.parent / "site" / "index.html").exists():
        text += ' <a href="site/index.html">The whole collection, to explore</a>.'
    return text


def _footer(metric: str, crop: str) -> str:
    return escape(
        f"Made by artsearch {artsearch.__version__}. Crop: {_words(crop)}. "
        f"Distances are {metric}: {METRICS[metric]}."
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
