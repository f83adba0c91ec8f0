"""Pages from templates: what is put into them is text, and escaped; and the parts of a page.

The parts are the macros of templates/parts.html: `parts.head(text)`, `parts.table(heads, groups)`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from artsearch.base.errors import ImageError
from artsearch.networks.transforms import default_crop
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.images import thumbnail, to_jpeg

WEB = Path(__file__).parent / "web"
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    keep_trailing_newline=True,
)
parts = _templates.get_template("parts.html").module

#: What the names in tables mean.
TITLES = {
    "final": "final layer (the article’s)",
    "content": "dial at content",
    "blend": "blend (ours)",
    "style": "dial at style",
    "final, csls": "final layer, corrected",
    "blend, csls": "blend, corrected",
    "chance": "by chance",
    "final, chance": "final layer, by chance",
    "blend, chance": "blend, by chance",
    "map": "mean average precision",
}


def render(template: str, style: str = "", **values: object) -> str:
    """Return a page; `style` is a file of the folder web that stands in it, known by its hash."""
    if style:
        css = (WEB / style).read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode("ascii")
        values |= {"style": Markup(css), "style_hash": Markup(f"sha256-{digest}")}
    return _templates.get_template(template).render(**values)


def to_url(data: bytes, kind: str = "image/jpeg") -> str:
    """Return the content of a file as a data: URL."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


class Pictures:
    """The pictures of a page as data: URLs, each made once."""

    def __init__(self, collection: Collection, side: int = 112):
        self.collection, self.side = collection, side
        self._made: dict[str, str] = {}

    def url(self, work_id: str) -> str:
        """Return a work's picture as a data: URL; raises ImageError where it cannot be read."""
        if work_id not in self._made:
            data = to_jpeg(thumbnail(self.collection.path(work_id), self.side), quality=60)
            self._made[work_id] = to_url(data)
        return self._made[work_id]

    def show(self, work_id: str, note: str = "", kind: str = "") -> dict[str, object]:
        """Return what the macro `work` shows of a work, with a note before its caption."""
        return {
            "id": work_id,
            "url": self.url(work_id),
            "caption": self.collection.caption(work_id),
            "note": note,
            "kind": kind,
            "machine_made": self.collection.machine_made(work_id),
        }


def first_searches(searches: Mapping[tuple[str, str], Search]) -> dict[str, Search]:
    """Return the searches that a visitor sees first, by network."""
    crop = default_crop(searches.crops)
    return {network.name: searches[network.name, crop] for network in searches.networks}


def title(name: str) -> str:
    """Return what a descriptor or a metric is called, with a capital.

    >>> title("map"), title("blend at 0.25")
    ('Mean average precision', 'Blend at 0.25')
    """
    said = TITLES.get(name, name)
    return said[:1].upper() + said[1:]


def bullets(sentences: Iterable[str]) -> Markup:
    """Return sentences as a list, each with a capital and a full stop.

    >>> print(bullets(["no work has a style"]))
    <ul><li>No work has a style.</li></ul>
    """
    return parts.bullets([f"{one[:1].upper()}{one[1:]}".rstrip(".") + "." for one in sentences])


def cell(value: float, low: float = np.nan, high: float = np.nan, mark: str = "") -> Markup:
    """Return a figure with its interval, marked "better" or "worse".

    >>> print(cell(0.25), cell(0.25, 0.2, 0.3))
    <td>0.250</td> <td>0.250 <small>(0.20–0.30)</small></td>
    """
    return parts.cell(f"{value:.3f}", "" if np.isnan(low) else f"{low:.2f}–{high:.2f}", mark)


def change(value: float, low: float, high: float, mark: str = "") -> Markup:
    """Return a difference with its sign.

    >>> print(change(-0.00001, np.nan, np.nan), change(0.25, -0.1, 0.6))
    <td>0.000</td> <td>+0.250 <small>(−0.100 to +0.600)</small></td>
    """
    span = "" if np.isnan(low) else f"{_signed(low)} to {_signed(high)}"
    return parts.cell(_signed(value), span, mark)


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return text[1:] if not float(text) else text.replace("-", "−")


def cells(rows: pd.DataFrame, column: str, wanted: Iterable[object]) -> list[Markup]:
    """Return a figure for each value wanted in a column; a dash where no row has it."""
    by = {row[column]: row for row in rows.to_dict("records")}
    found = (by.get(one) for one in wanted)
    return [
        cell(row["value"], row["low"], row["high"], row.get("significance", ""))
        if row
        else parts.cell("–")
        for row in found
    ]


def works(pictures: Pictures, ids_and_notes: Iterable[tuple[str, str]]) -> Markup:
    """Return works as a row of pictures with captions; one that cannot be read is left out."""
    shown = []
    for id, note in ids_and_notes:
        try:
            shown.append(pictures.show(id, note))
        except ImageError:
            continue
    return parts.works(shown)


def network_title(titles: dict[str, str], network: str) -> str:
    """Return the titles of one network or of two that are compared ("a + b").

    >>> network_title({"a": "A-Net", "b": "B-Net"}, "a + b")
    'A-Net + B-Net'
    """
    return " + ".join(titles.get(one, one) for one in network.split(" + "))
