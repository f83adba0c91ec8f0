"""One plain page: queries and their neighbours, in a file that can be sent."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

import artsearch
from artsearch.base.errors import ArtsearchError
from artsearch.index.metrics import METRICS
from artsearch.networks.network import Network
from artsearch.networks.transforms import default_crop
from artsearch.search.opening import choose_opening
from artsearch.search.question import Question
from artsearch.search.results import Results
from artsearch.search.search import Search
from artsearch.search.wording import distance_text, say_networks, words
from artsearch.works.collection import Collection
from artsearch.works.images import thumbnail, to_jpeg

WEB = Path(__file__).parent / "web"
TEMPLATES = Path(__file__).parent / "templates"


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
    and `sentence`. Pictures lie in the file itself, so it can be sent as it is. The first query is
    chosen for its answers (see choose_opening), the others are drawn at random, those made by hand
    first. Where the collection has works made by a machine beside others, each answer is there
    with them and without, and a box in the page says which is shown: without, at first.
    """
    path = Path(path)
    crop = default_crop(searches.crops)
    used = {network.name: searches[network.name, crop] for network in searches.networks}
    known = next(iter(used.values())).index
    drawn = _draw(collection, known.ids, queries, choose_opening(collection, used, k, seed), seed)
    k, pictures = min(k, len(known) - 1), Pictures(collection)
    sections = [_query_section(id, used, searches.networks, k, pictures) for id in drawn]
    style = (WEB / "page.css").read_text(encoding="utf-8")
    page = Template((TEMPLATES / "page.html").read_text(encoding="utf-8")).substitute(
        style=style,
        style_hash="sha256-" + _base64(hashlib.sha256(style.encode()).digest()),
        networks_line=networks_line(searches),
        introduction=_introduction(len(sections), len(known), path),
        toggle=_toggle(collection, known.ids),
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


class Pictures:
    """The pictures of a page as data: URLs, each made once."""

    def __init__(self, collection: Collection, side: int = 112):
        self.collection, self.side = collection, side
        self._made: dict[str, str] = {}

    def url(self, id: str) -> str:
        """Return a work's picture as a data: URL; raises ImageError where it cannot be read."""
        if id not in self._made:
            data = to_jpeg(thumbnail(self.collection.path(id), self.side), quality=60)
            self._made[id] = f"data:image/jpeg;base64,{_base64(data)}"
        return self._made[id]

    def show(self, id: str, note: str = "", kind: str = "") -> str:
        """Return a work as a list item: its picture and caption, with a note before it."""
        url = self.url(id)
        caption = escape(self.collection.caption(id))
        # <bdi>: a title that runs from right to left must not turn what stands beside it.
        badge = '<i class="machine">machine</i> ' if self.collection.machine_made(id) else ""
        return (
            f'<li class="{kind}" data-id="{escape(id)}">'
            f'<img src="{url}" alt="{caption}" loading="lazy">'
            f"{badge}<b>{note}</b> <bdi>{caption}</bdi></li>"
        )


def networks_line(searches: Mapping) -> str:
    """Return which networks were taken, in a line that opens to say why, where there is a reason.

    All of it is HTML.
    """
    said = {name: escape(text) for name, text in say_networks(searches).items()}
    if not said["reason"]:
        return f"<p>{said['sentence']}</p>"
    return (
        f'<details class="networks"><summary>{said["sentence"]} <u>Why?</u></summary>'
        f"<p>{said['reason']}</p></details>"
    )


def _draw(
    collection: Collection, ids: Sequence[str], count: int, first: str, seed: int
) -> list[str]:
    """Return works in random order, those made by hand first, behind one that is to be first."""
    readable = {*ids} - {first}
    drawn = [id for id in collection.sample(len(collection), seed) if id in readable]
    return [first, *collection.by_hand_first(drawn)][:count]


def _query_section(
    id: str,
    searches: Mapping[str, Search],
    networks: Sequence[Network],
    k: int,
    pictures: Pictures,
) -> str:
    """Return a query and its neighbours; without works made by a machine too, if there are both."""
    answers = {name: search.by_work(id, k) if k else () for name, search in searches.items()}
    rows = _rows(answers, networks, pictures)
    if pictures.collection.has_both(next(iter(searches.values())).index.ids):
        question = Question(id, k=k, machine_made=False)
        by_hand = {name: search.answer(question) for name, search in searches.items()}
        without = _rows(by_hand, networks, pictures)
        rows = f'<div class="by-hand">{without}</div>\n<div class="all">{rows}</div>'
    query = f'<ol class="query">{pictures.show(id)}</ol>'
    return f"<section>\n{query}\n{rows}\n</section>"


def _rows(answers: Mapping[str, Results], networks: Sequence[Network], pictures: Pictures) -> str:
    """Return answers, a row a network; works in one row only are marked."""
    rows = []
    for network in networks:
        others = [answers[name] for name in answers if name != network.name]
        shared = {work.id for answer in others for work in answer}
        items = [
            pictures.show(
                work.id,
                distance_text(work.distance),
                "only" if others and work.id not in shared else "",
            )
            for work in answers[network.name]
        ]
        rows.append(f"<h3>{escape(network.title)}</h3>\n<ol>{''.join(items)}</ol>")
    return "".join(rows)


def _introduction(queries: int, works: int, path: Path) -> str:
    text = (
        f"{queries} of {works:,} works, the first chosen for its answers and the others drawn at "
        "random, each with the works that are nearest to it for each network. The number is the "
        "distance; framed are works that no other network has in its row."
    )
    if (path.parent / "site" / "index.html").exists():
        text += ' <a href="site/index.html">The whole collection, to explore</a>.'
    return text


def _toggle(collection: Collection, ids: Sequence[str]) -> str:
    """Return the box that shows works made by a machine, where there are others too; as HTML."""
    if not collection.has_both(ids):
        return ""
    count = sum(id in collection.machines for id in ids)
    works = f"the {count:,} works" if count > 1 else "the one work"
    return (
        '<input type="checkbox" id="machine-made"> '
        f'<label for="machine-made">Show {works} made by a machine too</label>'
    )


def _footer(metric: str, crop: str) -> str:
    return escape(
        f"Made by artsearch {artsearch.__version__}. Crop: {words(crop)}. "
        f"Distances are {metric}: {METRICS[metric]}."
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
