"""Recall against time, as the benchmark of indexes found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from index_bench import ARTICLE
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: Colours that are told apart without telling red from green, too (Okabe and Ito 2008).
COLOURS = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73"),
    *("#0072B2", "#D55E00", "#CC79A7", "#B8A800"),  # their yellow, darker: on white it is lost
)


def show_recall(rows: Sequence[Mapping] | pd.DataFrame) -> Figure:
    """Draw what `index_bench.measure` found: recall against milliseconds a query, a panel a size.

    A line is one index and its points are its settings; further up and further left is better. Of
    those that nothing beats in both (ringed) the first of each line is named. The last percents
    have more room than the first. A star is the article's setting.
    """
    table = pd.DataFrame(rows)
    lines = list(table.groupby(["method", "built"], sort=False).groups)
    looks = dict(zip(lines, _looks([method for method, _ in lines]), strict=True))
    sizes = table.groupby(["works", "dims"])
    figure, axes = plt.subplots(
        1, len(sizes), figsize=(2.5 + 5.5 * len(sizes), 5.2), layout="constrained", squeeze=False
    )
    for ax, ((works, dims), here) in zip(axes[0], sizes, strict=True):
        _draw_recall(ax, here, looks)
        ax.set(title=f"{works:,} works × {dims:,} numbers", xlabel="milliseconds a query")
    axes[0, 0].set_ylabel("recall of the 10 nearest")
    drawn = {}
    for ax in axes[0]:
        drawn |= {line.get_label(): line for line in ax.get_lines()}
    figure.legend(drawn.values(), drawn, loc="outside right center", fontsize=8, frameon=False)
    return figure


def _draw_recall(ax: Axes, table: pd.DataFrame, looks: Mapping[tuple, Mapping]) -> None:
    """Draw the lines of one size, the front, and the article's star."""
    for (method, built), line in table.groupby(["method", "built"], sort=False):
        line = line.sort_values("recall_at_10")
        name = f"{method} {built}".strip()
        x, y = line["ms_per_query"], line["recall_at_10"]
        ax.plot(x, y, label=name, markersize=5, linewidth=1.2, **looks[method, built])
    front = _front(table)
    x, y = front["ms_per_query"], front["recall_at_10"]
    ax.plot(x, y, "o", markersize=10, markerfacecolor="none", color="black", label="none beats it")
    # Left of the front there is nothing, so its names find room there.
    ax.set_xscale("log")
    ax.set_xlim(table["ms_per_query"].min() / 15)
    named = front[front["recall_at_10"] >= 0.8].drop_duplicates(["method", "built"])
    height = -1.0
    for row in named.itertuples():
        if _spread(row.recall_at_10) < height + 0.12:
            continue  # it would lie on the name below it
        height = _spread(row.recall_at_10)
        ax.annotate(
            f"{row.method} {row.params}".strip(),
            (row.ms_per_query, row.recall_at_10),
            xytext=(-7, 5),
            textcoords="offset points",
            ha="right",
            fontsize=7,
        )
    article = table[(table["method"] == ARTICLE[0]) & (table["params"] == ARTICLE[1])]
    x, y = article["ms_per_query"], article["recall_at_10"]
    ax.plot(x, y, "*", markersize=16, color="black", label="the article's Annoy")
    ax.set_yscale("function", functions=(_spread, lambda place: 1.001 - 10.0**-place))
    ax.set_yticks([0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1])
    ax.set_ylim(min(0.5, table["recall_at_10"].min()), 1.0003)
    ax.grid(alpha=0.3)


def _spread(recall: np.ndarray) -> np.ndarray:
    """Give the last percents more room; a thousandth more than 1, so that 1 has a place, too."""
    return -np.log10(np.maximum(1.001 - recall, 1e-6))


def _front(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows than which none is quicker and finds as much, the quickest first."""
    table = table.sort_values(["ms_per_query", "recall_at_10"], ascending=[True, False])
    best = table["recall_at_10"].cummax().shift(fill_value=-1)
    return table[table["recall_at_10"] > best]


def _looks(methods: Sequence[str]) -> list[dict]:
    """Give each library a colour, and each index of it a marker: ours over it are hollow."""
    libraries = [method.removeprefix("artsearch ") for method in methods]
    colours = dict(zip(dict.fromkeys(libraries), cycle(COLOURS), strict=False))
    looks = []
    for place, (method, library) in enumerate(zip(methods, libraries, strict=True)):
        number = libraries[:place].count(library) % 5
        look = {"color": colours[library], "marker": "os^Dv"[number]}
        look["linestyle"] = ("-", "--", ":", "-.", (0, (6, 1)))[number]
        looks.append(look | ({} if method == library else {"markerfacecolor": "white"}))
    return looks
