"""The figures of the notebooks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from artsearch.collection import Collection
from artsearch.images import thumbnail
from artsearch.networks import Network
from artsearch.search import Results
from artsearch.transforms import CENTER_CROP, NO_CROP, transform_for

TITLES = {CENTER_CROP: "center crop", NO_CROP: "no crop"}


def visualise_transforms(
    collection: Collection, ids: Sequence[str], network: Network | str
) -> Figure:
    """Draw each step from painting to input, one work a row.

    Left the work, with the part that center crop throws away shaded; then for each crop the square
    that is left, and the same square normalised with the network's mean and standard deviation
    (drawn with its lowest value black and its highest white).
    """
    figure, axes = _grid(len(ids), 5, side=1.75)
    steps = [f"{TITLES[crop]}{step}" for crop in TITLES for step in ("", ", normalised")]
    for row, id in enumerate(ids):
        image = collection.open(id)
        _draw(axes[row, 0], image, collection.work(id)["title"])
        _shade(axes[row, 0], image.size, transform_for(network, CENTER_CROP).kept(*image.size))
        squares = []
        for crop in TITLES:
            transform = transform_for(network, crop)
            square = transform.resize(image)
            pixels = transform.normalise(square).permute(1, 2, 0).numpy()
            squares += [square, (pixels - pixels.min()) / max(np.ptp(pixels), 1e-6)]
        for ax, picture, step in zip(axes[row, 1:], squares, steps, strict=True):
            _draw(ax, picture, step if row == 0 else "")
    return figure


def show_works(collection: Collection, ids: Sequence[str], columns: int = 7) -> Figure:
    """Draw works in rows, each with its title."""
    rows = -(-len(ids) // columns)
    figure, axes = _grid(rows, columns, side=1.4)
    for ax, id in zip(axes.flat, ids, strict=False):
        _draw(ax, thumbnail(collection.path(id)), collection.work(id)["title"])
    return figure


def show_results(collection: Collection, answers: Mapping[str, Results]) -> Figure:
    """Draw answers one below the other: the query at the left, then its neighbours.

    `answers` maps what is written at the left of a row (a network, a crop) to its results. Works
    that only one of the rows has are framed.
    """
    longest = max(len(results) for results in answers.values())
    figure, axes = _grid(len(answers), longest + 1, side=1.3)
    for row, (name, results) in enumerate(answers.items()):
        title = collection.work(results.query)["title"] if results.query else "your image"
        if results.query:
            _draw(axes[row, 0], thumbnail(collection.path(results.query)), title)
        axes[row, 0].set_ylabel(name, fontsize=9, parse_math=False)
        elsewhere = {id for other in answers for id in answers[other].ids if other != name}
        for ax, work in zip(axes[row, 1:], results, strict=False):
            label = f"{work.distance:.3g}  {collection.work(work.id)['title']}"
            _draw(ax, thumbnail(collection.path(work.id)), label)
            if len(answers) > 1 and work.id not in elsewhere:
                _frame(ax)
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


def _grid(rows: int, columns: int, side: float) -> tuple[Figure, np.ndarray]:
    size = (columns * side, rows * (side + 0.3))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[], frame_on=False)
    return figure, axes


def _draw(ax: Axes, picture, title: str) -> None:
    ax.imshow(np.asarray(picture))
    # A title is text of the user's: a dollar sign in it is no formula.
    ax.set_title("\n".join(textwrap.wrap(title, 24)[:3]), fontsize=7, parse_math=False)


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


def _frame(ax: Axes) -> None:
    ax.set_frame_on(True)
    for spine in ax.spines.values():
        spine.set(color="tab:orange", linewidth=2.5)
