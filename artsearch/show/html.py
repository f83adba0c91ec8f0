"""The parts of a report's page: sections, tables of figures, rows of works; all texts escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
import pandas as pd

from artsearch.base.errors import ImageError
from artsearch.show.page import Pictures

#: What the names in tables mean.
TITLES = {
    "final": "final layer (the article’s)",
    "content": "dial at content",
    "blend": "blend (ours)",
    "style": "dial at style",
    "final, csls": "final layer, corrected",
    "blend, csls": "blend, corrected",
    "chance": "by chance",
    "map": "mean average precision",
}
MARKS = {
    "better": '<b class="better" title="better, beyond the interval">▲</b>',
    "worse": '<b class="worse" title="worse, beyond the interval">▼</b>',
}


def title(name: str) -> str:
    """Return what a descriptor or a metric is called, with a capital; escaped.

    >>> title("map"), title("blend at 0.25")
    ('Mean average precision', 'Blend at 0.25')
    """
    said = TITLES.get(name, name)
    return escape(said[:1].upper() + said[1:])


def section(heading: str, *parts: str) -> str:
    """Return a section of parts that are HTML."""
    body = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(heading)}</h2>\n{body}\n</section>"


def subsection(heading: str, body: str) -> str:
    """Return a heading and what belongs to it."""
    return f"<h3>{escape(heading)}</h3>\n{body}"


def says(text: str) -> str:
    """Return a paragraph.

    >>> says("a < b")
    '<p>a &lt; b</p>'
    """
    return f"<p>{escape(text)}</p>"


def bullets(sentences: Iterable[str]) -> str:
    """Return sentences as a list, each with a capital and a full stop.

    >>> bullets(["no work has a style"])
    '<ul><li>No work has a style.</li></ul>'
    """
    whole = (f"{one[:1].upper()}{one[1:]}".rstrip(".") + "." for one in sentences)
    items = "".join(f"<li>{escape(one)}</li>" for one in whole)
    return f"<ul>{items}</ul>" if items else ""


def table(heads: Sequence[str], body: str) -> str:
    """Return a table that scrolls by itself where it is wider than the page."""
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{body}</table></div>'


def group(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells that share their first columns."""
    shared = "".join(
        f'<th scope="rowgroup" rowspan="{len(rows)}">{escape(one)}</th>' for one in heads
    )
    lines = [f"<tr>{shared if not n else ''}{''.join(row)}</tr>" for n, row in enumerate(rows)]
    return f"<tbody>{''.join(lines)}</tbody>"


def head(text: str, more: str = "") -> str:
    """Return the head of a row, with more in small letters."""
    small = f" <small>{escape(more)}</small>" if more else ""
    return f'<th scope="row">{escape(text)}{small}</th>'


def name(descriptor: str) -> str:
    """Return the head of a descriptor's row."""
    return f'<th scope="row">{title(descriptor)}</th>'


def cell(value: float, low: float = np.nan, high: float = np.nan, mark: str = "") -> str:
    """Return a figure with its interval, marked "better" or "worse".

    >>> cell(0.25), cell(0.25, 0.2, 0.3)
    ('<td>0.250</td>', '<td>0.250 <small>(0.20–0.30)</small></td>')
    """
    span = "" if np.isnan(low) else f" <small>({low:.2f}–{high:.2f})</small>"
    sign = MARKS.get(mark, "")
    return f"<td>{value:.3f}{span}{' ' if sign else ''}{sign}</td>"


def change(value: float, low: float, high: float, mark: str = "") -> str:
    """Return a difference with its sign.

    >>> change(-0.00001, np.nan, np.nan), change(0.25, -0.1, 0.6)
    ('<td>0.000</td>', '<td>+0.250 <small>(−0.100 to +0.600)</small></td>')
    """
    span = "" if np.isnan(low) else f" <small>({_signed(low)} to {_signed(high)})</small>"
    sign = MARKS.get(mark, "")
    return f"<td>{_signed(value)}{span}{' ' if sign else ''}{sign}</td>"


def _signed(value: float) -> str:
    text = f"{value:+.3f}"
    return text[1:] if not float(text) else text.replace("-", "−")


def cells(rows: pd.DataFrame, column: str, wanted: Iterable[object]) -> list[str]:
    """Return a figure for each value wanted in a column; empty where no row has it."""
    by = {row[column]: row for row in rows.to_dict("records")}
    found = (by.get(one) for one in wanted)
    return [
        cell(row["value"], row["low"], row["high"], row.get("beyond", "")) if row else "<td>–</td>"
        for row in found
    ]


def works(pictures: Pictures, ids_and_notes: Iterable[tuple[str, str]]) -> str:
    """Return works as a row of pictures with captions; one that cannot be read is left out."""
    items = []
    for id, note in ids_and_notes:
        try:
            items.append(pictures.show(id, escape(note)))
        except ImageError:
            continue
    return f"<ol>{''.join(items)}</ol>"


def network_title(titles: dict[str, str], network: str) -> str:
    """Return the titles of one network or of two that are compared ("a + b").

    >>> network_title({"a": "A-Net", "b": "B-Net"}, "a + b")
    'A-Net + B-Net'
    """
    return " + ".join(titles.get(one, one) for one in network.split(" + "))
