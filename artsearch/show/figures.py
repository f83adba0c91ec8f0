"""The figures of the notebooks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from PIL import Image

from artsearch.networks.network import Network
from artsearch.networks.registry import transform_for
from artsearch.networks.transforms import CENTER_CROP, NO_CROP
from artsearch.search.matches import Match
from artsearch.search.results import Results
from artsearch.search.wording import words
from artsearch.works.collection import Collection
from artsearch.works.images import ImageSource, thumbnail

if TYPE_CHECKING:
    from artsearch.points.identify import Identification

LIKED, UNLIKED = "tab:orange", "tab:gray"


def visualise_transforms(
    collection: Collection, ids: Sequence[str], network: Network | str
) -> Figure:
    """Draw each step from painting to input, one work a row.

    Left the work, with the part that center crop throws away shaded; then for each crop the square
    that is left, and the same square normalised with the network's mean and standard deviation
    (drawn with its lowest value black and its highest white).
    """
    figure, axes = _grid(len(ids), 5, side=1.75)
    for row, id in enumerate(ids):
        image = collection.open(id)
        _draw(axes[row, 0], image, collection.work(id)["title"])
        _shade(axes[row, 0], image.size, transform_for(network, CENTER_CROP).kept(*image.size))
        for column, crop in ((1, CENTER_CROP), (3, NO_CROP)):
            transform = transform_for(network, crop)
            square = transform.resize(image)
            pixels = transform.normalise(square).permute(1, 2, 0).numpy()
            pixels = (pixels - pixels.min()) / max(np.ptp(pixels), 1e-6)
            title = words(crop) if row == 0 else ""
            _draw(axes[row, column], square, title)
            _draw(axes[row, column + 1], pixels, title and f"{title}, normalised")
    return figure


def show_works(collection: Collection, ids: Sequence[str], columns: int = 7) -> Figure:
    """Draw works in rows, each with its title."""
    figure, axes = _grid(-(-len(ids) // columns), columns, side=1.4)
    for ax, id in zip(axes.flat, ids, strict=False):
        _draw_work(ax, collection, id)
    return figure


def show_results(collection: Collection, answers: Mapping[str, Results]) -> Figure:
    """Draw answers one below the other: the query at the left, then its neighbours.

    `answers` maps what is written at the left of a row (a network, a crop) to its results. Works
    that only one of the rows has are framed.
    """
    longest = max(len(results) for results in answers.values())
    figure, axes = _grid(len(answers), longest + 1, side=1.3)
    for row, (name, results) in enumerate(answers.items()):
        if results.query:
            _draw_work(axes[row, 0], collection, results.query)
        elif results.question is not None:
            for words, _ in results.question.words[:1]:
                _write(axes[row, 0], words)
        axes[row, 0].set_ylabel(name, fontsize=9, parse_math=False)
        elsewhere = {id for other in answers for id in answers[other].ids if other != name}
        for ax, work in zip(axes[row, 1:], results, strict=False):
            title = collection.work(work.id)["title"]
            _draw_work(ax, collection, work.id, f"{work.distance:.3g}  {title}")
            if len(answers) > 1 and work.id not in elsewhere:
                _frame(ax)
    return figure


def show_answer(collection: Collection, results: Results, columns: int = 9) -> Figure:
    """Draw one answer over as many lines as it takes: what was asked for, framed, then the works.

    A part that was asked for is drawn, what is not liked has a grey frame. Titles hold what the
    work has in the column of the groups, where there are any, and its distance (for stepping stones
    that of the step).
    """
    question = results.question
    queries = {results.query: LIKED}
    if question is not None:
        queries = {id: LIKED for id, _ in question.positive}
        queries |= {id: UNLIKED for id, _ in question.negative}
    queries = {id: colour for id, colour in queries.items() if id in collection}
    words = () if question is None else (*question.words, *question.negative_words)
    cells = len(words) + len(queries) + len(results)
    lines = max(1, -(-cells // columns))
    figure, axes = _grid(lines, -(-cells // lines), side=1.5)
    for ax, (text, _) in zip(axes.flat, words, strict=False):
        _write(ax, text)
        _frame(ax, LIKED if text in dict(question.words) else UNLIKED)
    for ax, (id, colour) in zip(axes.flat[len(words) :], queries.items(), strict=False):
        picture = _draw_work(ax, collection, id)
        _frame(ax, colour)
        if question is not None and question.region is not None:
            _mark(ax, picture.size, question.region, colour)
    for ax, work in zip(axes.flat[len(words) + len(queries) :], results, strict=False):
        group = f"{work.group}\n" if work.group else ""
        title = textwrap.shorten(collection.work(work.id)["title"], 44, placeholder=" …")
        picture = _draw_work(ax, collection, work.id, f"{group}{work.distance:.2f}  {title}")
        if work.region is not None:
            _mark(ax, picture.size, work.region, LIKED)
    return figure


def show_matches(
    first: ImageSource, second: ImageSource, matches: Sequence[Match], titles: Sequence[str] = ()
) -> Figure:
    """Show two pictures side by side, with the regions that match in the same colour and number."""
    figure, axes = _grid(1, 2, 4.5)
    for ax, source, side, title in zip_longest(
        axes.flat, (first, second), ("first", "second"), titles, fillvalue=""
    ):
        picture = thumbnail(source, 640)
        _draw(ax, picture, title)
        for number, match in enumerate(matches):
            _mark(ax, picture.size, getattr(match, side), f"C{number % 10}", str(number + 1))
    return figure


def show_identified(
    collection: Collection, asked: Mapping[str, tuple[ImageSource, Identification]], pairs: int = 3
) -> Figure:
    """Show pictures by name, each beside the work that it was found to show.

    In each the outline of the other is drawn, cut where the picture ends. Beside what is none of
    the works stands that it is none.
    """
    lines = -(-len(asked) // pairs)
    figure, axes = _grid(lines, 2 * min(pairs, len(asked)), side=1.6)
    for (ours, theirs), (name, (source, found)) in zip(
        axes.reshape(-1, 2), asked.items(), strict=False
    ):
        picture = thumbnail(source, 480)
        _draw(ours, picture, name)
        if found.work is None:
            _write(theirs, "none of these")
            continue
        said = f"{found.points} points{', mirrored' if found.mirrored else ''}\n"
        work = _draw_work(
            theirs, collection, found.work, said + collection.work(found.work)["title"]
        )
        _outline(ours, picture.size, found.in_picture)
        _outline(theirs, work.size, found.in_work)
    return figure


def plot_recall(table: pd.DataFrame, x: str, label: str, exact_ms: float | None = None) -> Figure:
    """Draw recall against one column of a table and against milliseconds, a line a label.

    `exact_ms` is the time of exact search, drawn as a dashed line.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
    for ax, column in zip(axes, (x, "ms"), strict=True):
        for name, rows in table.groupby(label, sort=False):
            ax.plot(rows[column], rows["recall"], marker="o", label=str(name))
        ax.set(xlabel={"ms": "milliseconds a query"}.get(column, column), ylim=(0, 1.03))
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("recall against exact search")
    axes[0].set_xscale("log")
    if exact_ms is not None:
        axes[1].axvline(exact_ms, color="gray", linestyle="--", label="exact search")
    axes[1].legend(fontsize=8)
    return figure


def plot_shares(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw bars side by side for the columns of a table, a group a row, with their values."""
    figure, ax = plt.subplots(figsize=(9, 3), layout="constrained")
    table.plot.bar(ax=ax, rot=0, width=0.75)
    for bars in ax.containers:
        ax.bar_label(bars, fmt="%.2f", fontsize=8)
    ax.set(ylim=(0, 1), ylabel="share of the nearest works", xlabel="", title=title)
    ax.grid(alpha=0.3, axis="y")
    return figure


def plot_dial(
    table: pd.DataFrame, final: pd.DataFrame, titles: Mapping[str, str], chance: float
) -> Figure:
    """Draw what the nearest share with the query along the dial, a panel a network.

    `table` has the columns network, alpha, label, k, value, low, high; the band is the interval.
    `final` has network, label and value of the final layer, drawn as diamonds at the left. `titles`
    are the networks' titles by name, `chance` what any order of the works would give.
    """
    size = (3.4 * len(titles), 3.3)
    figure, axes = plt.subplots(1, len(titles), figsize=size, layout="constrained", sharey=True)
    axes = np.atleast_1d(axes)
    for ax, (network, title) in zip(axes, titles.items(), strict=True):
        rows = table[table["network"] == network]
        for label, line in rows.groupby("label", sort=False):
            (curve,) = ax.plot(line["alpha"], line["value"], marker="o", label=f"same {label}")
            color = curve.get_color()
            ax.fill_between(line["alpha"], line["low"], line["high"], color=color, alpha=0.2)
            values = final[(final["network"] == network) & (final["label"] == label)]["value"]
            ax.plot([-0.08] * len(values), values, "D", color=color, label=f"{label}, final layer")
        either = rows.groupby("alpha")["value"].sum()
        ax.plot(either.index, either, color="gray", linestyle=":", label="either")
        ax.axhline(chance, color="gray", linestyle="--", linewidth=1, label="by chance")
        ax.set(title=title, xlabel="content  ←  dial  →  style", ylim=(0, 1.03))
        ax.grid(alpha=0.3)
    axes[0].set_ylabel(f"share of the {table['k'].max()} nearest")
    lines = axes[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=2 * min(3, len(axes)), fontsize=7)
    return figure


def plot_plane(table: pd.DataFrame, x: str, y: str, chance: float) -> Figure:
    """Draw the rows of a table as points with their names, from 0 to 1 in both directions.

    The dotted line is where nothing else than x and y is left to share.
    """
    figure, ax = plt.subplots(figsize=(6.5, 5), layout="constrained")
    ax.plot([0, 1], [1, 0], color="gray", linestyle=":", linewidth=1)
    for draw_line in (ax.axvline, ax.axhline):
        draw_line(chance, color="gray", linestyle="--", linewidth=0.7)
    for pooling, rows in table.groupby("pooling", sort=False):
        ax.scatter(rows[x], rows[y], s=26, label=pooling)
    for name, row in table.iterrows():
        ax.annotate(name, (row[x], row[y]), xytext=(4, 3), textcoords="offset points", fontsize=7)
    ax.set(xlim=(-0.02, 1.05), ylim=(-0.02, 1.05), xlabel=f"same {x}", ylabel=f"same {y}")
    ax.legend(fontsize=8)
    return figure


def plot_intervals(table: pd.DataFrame, title: str = "", chance: float | None = None) -> Figure:
    """Draw values with their intervals, a line a row of the table: columns value, low, high."""
    figure, ax = plt.subplots(figsize=(8, 0.6 + 0.27 * len(table)), layout="constrained")
    heights = np.arange(len(table))[::-1]
    spans = [table["value"] - table["low"], table["high"] - table["value"]]
    ax.errorbar(table["value"], heights, xerr=spans, fmt="o", capsize=3)
    ax.set_yticks(heights, [str(name) for name in table.index], parse_math=False)
    if chance is not None:
        ax.axvline(chance, color="gray", linestyle="--", linewidth=1, label="by chance")
        ax.legend(fontsize=8)
    ax.set_title(title, fontsize=10, parse_math=False)
    ax.set_xlim(left=0)
    ax.grid(alpha=0.3, axis="x")
    return figure


def plot_table(table: pd.DataFrame, title: str = "") -> Figure:
    """Draw a table of shares as coloured squares with their numbers."""
    size = (1.6 + 1.2 * len(table.columns), 0.9 + 0.28 * len(table))
    figure, ax = plt.subplots(figsize=size, layout="constrained")
    ax.imshow(table, vmin=0, vmax=1, cmap="YlGnBu", aspect="auto")
    ax.set_xticks(range(len(table.columns)), table.columns, fontsize=8, parse_math=False)
    ax.set_yticks(range(len(table)), table.index, fontsize=8, parse_math=False)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        color = "white" if value > 0.6 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color)
    ax.set_title(title, fontsize=10, parse_math=False)
    return figure


def show_pictures(pictures: Mapping[str, object], columns: int = 5) -> Figure:
    """Draw pictures in rows, each under its name."""
    figure, axes = _grid(-(-len(pictures) // columns), columns, side=1.6)
    for ax, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        _draw(ax, picture, name)
    return figure


def _grid(rows: int, columns: int, side: float) -> tuple[Figure, np.ndarray]:
    """Return a figure of squares and their axes, rows × columns; of none, one that says so."""
    if not rows * columns:
        figure, ax = plt.subplots(figsize=(4, 0.4))
        ax.set_axis_off()
        ax.text(0, 0.5, "There is no work to show.", fontsize=9, va="center")
        return figure, np.empty((rows, columns), object)
    size = (columns * side, rows * (side + 0.3))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[], frame_on=False)
    return figure, axes


def _draw_work(ax: Axes, collection: Collection, work_id: str, title: str = "") -> Image.Image:
    """Draw a work under a title, its own if none is given; return its picture."""
    picture = thumbnail(collection.path(work_id))
    _draw(ax, picture, title or collection.work(work_id)["title"])
    return picture


def _draw(ax: Axes, picture, title: str) -> None:
    ax.imshow(np.asarray(picture))
    # A title is text of the user's: a dollar sign in it is no formula.
    lines = [line for part in title.splitlines() for line in textwrap.wrap(part, 24)]
    ax.set_title("\n".join(lines[:3]), fontsize=7, parse_math=False)


def _write(ax: Axes, words: str) -> None:
    """Write words where else a work is drawn."""
    lines = "\n".join(textwrap.wrap(f"“{words}”", 16)[:6])
    ax.text(0.5, 0.5, lines, ha="center", va="center", fontsize=8, parse_math=False)


def _mark(ax: Axes, size: tuple, region: Sequence[float], colour: str, text: str = "") -> None:
    """Outline a region, given in shares of the width and the height, and number it."""
    left, top, right, bottom = np.array(region) * [*size, *size]
    outline = {"fill": False, "edgecolor": colour, "linewidth": 2}
    ax.add_patch(Rectangle((left, top), right - left, bottom - top, **outline))
    if text:
        paper = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
        ax.text(left + 4, top + 4, text, color="white", fontsize=8, va="top", bbox=paper)


def _outline(ax: Axes, size: tuple, corners: Sequence[tuple[float, float]]) -> None:
    """Draw four corners, in shares of the width and the height, as far as the picture goes."""
    for colour, width in (("black", 3.5), ("yellow", 2)):
        line = {"fill": False, "edgecolor": colour, "linewidth": width}
        ax.add_patch(Polygon(np.array(corners) * size - 0.5, **line))


def _shade(ax: Axes, size: tuple[int, int], kept: tuple[int, int, int, int]) -> None:
    width, height = size
    left, top, right, bottom = kept
    for x, y, w, h in (
        (0, 0, left, height),
        (right, 0, width - right, height),
        (0, 0, width, top),
        (0, bottom, width, height - bottom),
    ):
        ax.add_patch(Rectangle((x - 0.5, y - 0.5), w, h, color="black", alpha=0.6, linewidth=0))


def _frame(ax: Axes, colour: str = LIKED) -> None:
    ax.set_frame_on(True)
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=2.5)
