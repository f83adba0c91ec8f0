"""The static demo: a folder of files that opens by double click, or from any web host."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from PIL import Image

import artsearch
from artsearch.base.disk import write_folder
from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.base.progress import Progress
from artsearch.networks.network import Network
from artsearch.networks.transforms import default_crop
from artsearch.search.question import Question
from artsearch.search.search import Search
from artsearch.search.wording import has_dial, say_networks, words
from artsearch.show.html import WEB, first_searches, render
from artsearch.show.opening import choose_opening
from artsearch.show.page import write_page
from artsearch.show.site_network import write_looks, write_parts
from artsearch.show.site_rows import (
    FORMAT,
    NEAR_AT,
    RECALL_AT,
    check_size,
    describe_dates,
    describe_origin,
    describe_table,
    pack,
    write_blend,
    write_final,
)
from artsearch.works.cards import Card
from artsearch.works.collection import MACHINE_MADE, Collection
from artsearch.works.file_state import hash_file
from artsearch.works.images import few_notes, thumbnail, to_jpeg
from artsearch.works.storage import RemoteFile

__all__ = ["write_page", "write_site"]

#: Files of the site that are the same for every collection.
ASSETS = (
    *("gallery.css", "ask.css", "pair.css", "time.css", "site.css", "print.css"),
    *("gallery.js", "ask.js", "pair.js", "time.js", "text.js", "where.js", "question.js"),
    *("rows.js", "rarity.js", "answer.js", "session.js", "session_page.js", "state.js"),
    *("view.js", "resize.js", "forward.js", "matches.js", "experiment.js", "own.js", "site.js"),
)
#: The judging page, which is written by itself and stays when the site is written anew.
JUDGING = ("judge.html", "judging")
#: What the site says of that page, and what stands there where it has none.
LINK = Markup('<p><a href="judge.html">Which is more like it?</a> Say what you find similar.</p>')
NO_LINK = Markup("<!-- no judging page -->")
OWN = {"index.html", "data", "images", "thumbs", *ASSETS, *JUDGING}
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
    dial: bool = True,
    yours: Mapping[tuple[str, str], float] | None = None,
    lean: bool = False,
) -> Path:
    """Write the static demo into the folder `out` and return its `index.html`.

    The page answers by itself, at most k works at a time: for each network and crop of `searches`
    (a Searches: besides the searches by (network, crop) it has `networks`, `crops` and `sentence`)
    it has the works' rows as 8-bit numbers, a network at a time when they are wanted, and with
    `dial`, where the searches have one, those of their blends. What it shows first is computed
    here: the answers to a work that is chosen for them (see choose_opening), with the networks side
    by side and without works made by a machine, where the collection has others too. `yours` are
    places of the dial that were fitted to votes, by network and crop (see your_dials).

    A work's picture is at most `image_side` pixels long, and with 0 there is only its thumbnail: at
    800 pixels the pictures of 10,000 works take about 1 GB, their thumbnails 0.1 GB. Works without
    a picture at hand have a thumbnail alone: of what was seen at their address before (no server is
    asked here), or else of their card. With `lean` works made by a machine have it alone too, where
    there are others, and the page looks at pictures by the first network only.

    The folder is swapped as a whole, and pictures of unchanged files are taken over from the last
    time. Raises ArtsearchError when `out` holds anything else than an older site, and
    MismatchError when the searches are not over the same works; and ArtsearchError for rows that a
    browser could not hold.
    """
    out = Path(out)
    _refuse_other_folder(out)
    dials = [searches.dial(*key) for key in searches] if dial and has_dial(searches) else []
    blends = {key: one.blend for key, one in zip(searches, dials, strict=False)}
    ids = _common_ids(collection, searches, dials)
    check_size(searches, len(ids))
    k = min(k, len(ids) - 1)
    has_both = collection.has_both(ids)
    large = image_side if collection.has_pictures else 0

    def write(new: Path) -> None:
        (new / "data").mkdir()
        put = partial(write_data, new)
        thumbs_only = frozenset(collection.machines if lean and has_both else ())
        sides = {"thumbs": thumb_side, "images": large}
        pictures = write_pictures(collection, ids, new, out, sides, progress, thumbs_only)
        looks = write_looks(searches, blends, put, 1 if lean else None)
        if looks and large:
            named = zip(ids, pictures, strict=True)
            write_parts([one[0] for id, one in named if id not in thumbs_only], new, out, put)
        descriptors = []
        with Progress(len(searches), "Rows", show=progress, unit="searches") as bar:
            for network, crop in searches:
                name = f"{_file_name(network)}--{_file_name(crop)}"
                place = (yours or {}).get((network, crop))
                one = {"network": network, "crop": crop, "dial": None, "yours": place}
                one["final"] = write_final(searches[network, crop], ids, f"{name}--final", put)
                if dials:
                    at = partial(searches.dial, network, crop)
                    one["dial"] = write_blend(at, ids, f"{name}--dial", put)
                descriptors.append(one)
                bar.update()
        works = _describe_works(collection, ids, pictures)
        works["thumbs_only"] = [row for row, id in enumerate(ids) if id in thumbs_only]
        first = choose_opening(collection, first_searches(searches), min(10, k))
        head = {
            "format": FORMAT,
            "networks": [{"name": one.name, "title": one.title} for one in searches.networks],
            "crops": [{"name": crop, "title": words(crop)} for crop in searches.crops],
            "crop": default_crop(searches.crops),
            "descriptors": descriptors,
            "has_both": has_both,
            "first": _open_on(first, searches, k, not has_both),
            "near_at": NEAR_AT,
            "usual_at": RECALL_AT,
            "k": k,
            "images": large > 0,
            "looks": looks,
            "parts": bool(looks and large),
            "works": pack(json.dumps(works).encode()),
            "origin": describe_origin(collection),
            **describe_table(collection, ids, put),
        }
        put("works", head)
        put("session", {"page": empty_page()})
        for name in ASSETS:
            shutil.copyfile(WEB / name, new / name)
        html = render(
            "site.html",
            title=title,
            said=say_networks(searches),
            works=f"{len(ids):,}",
            version=artsearch.__version__,
            recalls=_say_recalls(descriptors, searches),
            unit=descriptors[0]["final"]["unit"],
            networks=[_network_note(one) for one in searches.networks],
            looks=_say_looks(looks, searches),
            assets=ASSETS,
            judging=LINK if _take_over(JUDGING, out, new) else NO_LINK,
        )
        (new / "index.html").write_text(html, encoding="utf-8", newline="\n")

    return write_folder(out, write, OWN) / "index.html"


def _common_ids(
    collection: Collection, searches: Mapping[tuple[str, str], Search], dials: Sequence[Search]
) -> list[str]:
    """Return the ids that the indexes hold, in the collection's order."""
    named = {f"{network} and {crop}": search for (network, crop), search in searches.items()}
    named |= {f"the dial of {name}": one for name, one in zip(list(named), dials, strict=False)}
    (of, one), *_ = named.items()
    first = set(one.index.ids)
    for name, search in named.items():
        differ = sorted(first.symmetric_difference(search.index.ids))
        if differ:
            raise MismatchError(
                f"the searches of {of} and of {name} are not over the same works: "
                f"{len(differ)} are in one only, the first is {differ[0]!r}; compute features and "
                "index again"
            )
    return [id for id in collection if id in first]


def _open_on(
    first: str, searches: Mapping[tuple[str, str], Search], k: int, machine_made: bool
) -> dict:
    """Return a work, and what each network answers to it."""
    question = Question(first, k=max(1, min(10, k)), machine_made=machine_made)
    found = first_searches(searches) if k else {}
    answers = {name: search.answer(question) for name, search in found.items()}
    return {
        "id": first,
        "answers": {
            name: {
                "ids": answer.ids,
                "distances": answer.distances,
                "notes": answer.notes,
                "rarities": [one.rarity for one in answer],
            }
            for name, answer in answers.items()
        },
    }


def _say_recalls(descriptors: Sequence[dict], searches: Mapping) -> list[str]:
    """Say of each network and crop how many of the ten nearest works the page's rows find."""
    titles, said = {one.name: one.title for one in searches.networks}, []
    for one in descriptors:
        parts = [("final layer", one["final"]["recall"])]
        parts += [("dial", one["dial"]["recall"])] if one["dial"] else []
        shares = "; ".join(f"{name} {_share(recall)}" for name, recall in parts)
        said.append(f"{titles[one['network']]}, {words(one['crop'])}: {shares}")
    return said


def _share(recall: Sequence[float]) -> str:
    # Cut, since no share is rounded up to all.
    low, high = (np.floor(1000 * end + 1e-6) / 1000 for end in (min(recall), max(recall)))
    return f"{low:.3f}" if low == high else f"{low:.3f} to {high:.3f}"


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
    thumbs_only: frozenset[str] = frozenset(),
) -> list[tuple[str, int, int]]:
    """Write all works' pictures; return of each its name and the size of its thumbnail.

    `sides` gives the longest side of the pictures in each folder, 0 for none; `thumbs_only` are
    works that have one in the folder "thumbs" alone.
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
            wanted = {"thumbs": sides["thumbs"]} if work_id in thumbs_only else sides
            name = hashlib.sha256(f"{content} {wanted}".encode()).hexdigest()[:12]
            with lock:
                is_first = name not in begun
                begun.add(name)
            if is_first:
                _write_picture(path, name, wanted, new, old)
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
) -> dict[str, list | str | dict]:
    """Return what the page shows of the works, column by column."""
    table = collection.works.set_index("id", drop=False).loc[ids]
    columns = {name: table[name].tolist() if name in table else [] for name in COLUMNS}
    if "link" in table:
        columns["source"] = table["link"].where(table["link"] != "", table["source"]).tolist()
    names, widths, heights = map(list, zip(*pictures, strict=True))
    if collection.machines:
        columns[MACHINE_MADE] = [collection.machine_made(id) for id in ids]
    columns["dates"] = describe_dates(columns["year"])
    return columns | {"picture": "".join(names), "width": widths, "height": heights}


def write_data(new: Path, name: str, data: dict) -> None:
    """Write data as a script that hands it over: pages from file:// may load nothing else."""
    # No character beyond ASCII (U+2028 ends a line in old JavaScript), and none that means
    # something in HTML.
    script = f"receive({htmlsafe_json_dumps(name)}, {htmlsafe_json_dumps(data)});\n"
    (new / "data" / f"{name}.js").write_text(script, encoding="ascii", newline="\n")


def _say_looks(looks: list[dict], searches: Mapping) -> str:
    """Return what the page says of pictures of the visitor's own."""
    titles = {one.name: one.title for one in searches.networks}
    if not looks:
        return (
            "To ask by a picture of your own, open the app (make app): no network of this page is "
            "one that a browser looks by, as EfficientNet-Lite is."
        )
    by = "; ".join(f"{titles[one['network']]} ({one['megabytes']} MB)" for one in looks)
    return (
        "A picture of your own never leaves your browser, which looks at it by a network that it "
        f"loads at the first use: {by}."
    )


def empty_page() -> str:
    """Return the page of a session of which the static page fills in all."""
    nothing = {"title": "", "about": "", "kept": [], "steps": []}
    return render("session.html", "session.css", **nothing, version=artsearch.__version__)


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
