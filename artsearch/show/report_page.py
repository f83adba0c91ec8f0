"""The page of an evaluation: one file, to be read by somebody who cares for art."""

from __future__ import annotations

import io
import os
import platform
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from markupsafe import Markup

import artsearch
from artsearch.base.disk import write_whole
from artsearch.evaluate.agreement import compare_crops
from artsearch.evaluate.alterations import ALTERATIONS
from artsearch.evaluate.experiments import CONTENT, CORRECTED, MANNER, place_of, verdicts
from artsearch.evaluate.report import Report, make_folder, make_report
from artsearch.networks.transforms import default_crop
from artsearch.search.wording import words
from artsearch.show import html
from artsearch.show.html import Pictures, parts
from artsearch.works.collection import Collection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Works that are shown of those that change their neighbours most.
SHOWN = 8
HEADS = ["Network", "Crop", "Descriptor"]
PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "pillow")

METRICS, PAGE = "metrics.csv", "report.html"


def write(report: Report, out: str | os.PathLike) -> Path:
    """Write metrics.csv and report.html, each whole or not at all; return the page's path."""
    out = Path(out)
    page, table = make_page(report), report.table.to_csv(index=False, lineterminator="\n")
    write_whole(out / METRICS, table.encode())
    return write_whole(out / PAGE, page.encode())


def write_report(
    collection: Collection | str | os.PathLike,
    networks: str | Sequence[str] = "auto",
    out: str | os.PathLike = "build/evaluate",
    **options,
) -> Path:
    """Measure all that can be measured, write it below `out`, and return the path of the page.

    `options` are those of make_report.
    """
    make_folder(out)
    return write(make_report(collection, networks, **options), out)


def make_page(report: Report) -> str:
    """Return the page as HTML, with all pictures in it."""
    pictures = Pictures(report.searches.collection)
    sections = (
        _summary(report),
        _dial(report),
        _labels(report),
        _recovery(report),
        _crops(report, pictures),
        _agreement(report),
        _hubs(report, pictures),
        _notes(report),
        _what_was_run(report),
    )
    return html.render(
        "report.html",
        "report.css",
        name=report.searches.collection.name,
        networks=html.networks_said(report.searches),
        sections=sections,
    )


def _summary(report: Report) -> str:
    said = [*report.verdicts, *report.ratios]
    return parts.section(
        "In short", html.bullets(said or ["nothing could be measured; the notes say why"])
    )


def _dial(report: Report) -> str:
    rows = report.dial.table
    if rows.empty:
        return ""
    how = (
        f"How many of the {_k(rows)} nearest works show the same thing (content), and how many are "
        f"painted in the same way (manner): of the {len(report.repainted):,} works of "
        f"{report.repainted.name}, each of which is one picture in the manner of another. A "
        "network sees content, or style, where that is at least twice as far above chance as the "
        "other; else it balances the two. Along the dial one passes into the other; the diamonds "
        "at the left are the final layer, which the article compares. Bands and brackets are 95 % "
        "intervals."
    )
    figures = [_figure(report, crop) for crop in report.searches.crops]
    said = [f"{words(crop)}: {one}" for (_, crop), one in verdicts(report.dial).items()]
    table = _by_network(report, rows, _dial_rows)
    heads = [*HEADS, "Same content", "Same manner", "Either"]
    text = parts.says(how), html.bullets(said)
    table = parts.table(heads, table)
    return parts.section("Content and manner", *text, parts.figures(figures), table)


def _dial_rows(rows: pd.DataFrame) -> list[list[str]]:
    """Return the final layer, the dial's ends and middle, and chance."""
    found = []
    for name in ("final", "content", "blend", "style", "chance"):
        some = rows[rows["descriptor"] == name]
        if len(some):
            both = html.cells(some, "label", (CONTENT, MANNER))
            found.append([parts.head(html.title(name)), *both, html.cell(some["value"].sum())])
    return found


def _figure(report: Report, crop: str) -> str:
    """Return the path of the dial, for all networks with one crop, as an SVG in a data: URL."""
    import matplotlib.pyplot as plt

    figure = _draw_dial(report, crop)
    out = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "artsearch"}):
        figure.savefig(out, format="svg", facecolor="white", metadata={"Date": None})
    plt.close(figure)
    alt = f"The dial of each network, {words(crop)}; the table has its ends and its middle"
    return parts.figure(html.to_url(out.getvalue(), "image/svg+xml"), alt, words(crop))


def _draw_dial(report: Report, crop: str) -> Figure:
    """Draw the dial as the notebooks do, with the final layer as diamonds at the left."""
    from artsearch.show.figures import plot_dial

    rows = report.dial.select(crop=crop)
    path = rows.assign(place=[place_of(name) for name in rows["descriptor"]])
    chance = rows[rows["descriptor"] == "chance"]["value"].mean()
    final = rows[rows["descriptor"] == "final"]
    return plot_dial(path[path["place"].notna()], final, _titles(report), chance)


def _labels(report: Report) -> Markup | str:
    table = report.labels.table
    if table.empty:
        return ""
    how = (
        f"Of the {report.settings['k']} nearest works, how many have the same label (precision); "
        "of all works with that label, how many are among them (recall); and how far up they are "
        "in the whole ranking (mean average precision). In brackets the 95 % interval, drawing "
        "artists again. ▲ and ▼ are better and worse than the final layer of the same network and "
        "crop, beyond the interval of the difference. “Corrected” is CSLS, which puts back works "
        "that are everyone’s neighbour."
    )
    found = [
        parts.subsection(_label_title(*key), _metrics_table(report, found))
        for key, found in table.groupby(["label", "same_artist"], sort=False)
    ]
    return parts.section("Labels", parts.says(how), *found)


def _label_title(label: str, same_artist: str) -> str:
    left_out = ", works by the same artist left out" if same_artist == "no" else ""
    return f"Same {label}{left_out}"


def _metrics_table(report: Report, table: pd.DataFrame) -> str:
    """Return a row a descriptor and a column a metric."""
    ks = table.groupby("metric", sort=False)["k"].first()
    heads = [html.title(metric) + ("" if pd.isna(k) else f" at {k}") for metric, k in ks.items()]
    body = _by_network(report, table, partial(_metrics_rows, metrics=list(ks.index)))
    return parts.table([*HEADS, *heads], body)


def _metrics_rows(table: pd.DataFrame, metrics: Sequence[str]) -> list[list[str]]:
    names = sorted(dict.fromkeys(table["descriptor"]), key=lambda name: name == "chance")
    return [
        [
            parts.head(html.title(name)),
            *html.cells(table[table["descriptor"] == name], "metric", metrics),
        ]
        for name in names
    ]


def _recovery(report: Report) -> Markup | str:
    table = report.recovered.select(metric="recall", k=1)
    details = table["label"].str.startswith("detail of ")
    works = len(report.searches.collection)
    drawn = min(works, report.settings["sample"])
    found = []
    for title, rows, how in (
        ("Altered works", table[~details], "A work is altered as the first column says"),
        ("Details", table[details], "A part as large is cut out of a work, at a random place"),
    ):
        text = (
            f"{how}. The number says how often it finds its work first, before all others; in "
            f"brackets the 95 % interval. {drawn:,} of {works:,} works were drawn for it."
        )
        if len(rows):
            found.append(parts.section(title, parts.says(text), _recovery_table(report, rows)))
    return Markup("\n").join(found)


def _recovery_table(report: Report, table: pd.DataFrame) -> str:
    """Return a table a network: a row an alteration, a column a crop and descriptor."""
    table = table.assign(key=list(zip(table["crop"], table["descriptor"], strict=True)))
    tables = []
    for network, found in table.groupby("network", sort=False):
        columns = list(dict.fromkeys(found["key"]))
        body = []
        for label, rows in found.groupby("label", sort=False):
            said = ALTERATIONS[label].description if label in ALTERATIONS else ""
            body.append([parts.head(label, said), *html.cells(rows, "key", columns)])
        heads = ["", *(f"{html.title(name)}, {words(crop)}" for crop, name in columns)]
        shown = parts.table(heads, [parts.group([], body)])
        tables.append(parts.subsection(_titles(report)[network], shown))
    return Markup("\n").join(tables)


def _crops(report: Report, pictures: Pictures) -> str:
    table = compare_crops(report.dial, report.labels)
    table = table[(table["metric"] == "precision") & table["descriptor"].isin(CORRECTED)]
    if table.empty and not report.changes:
        return ""
    how = (
        "Center crop takes the largest square from the middle of a work, no crop squeezes all of "
        "it into a square. For each, the share of the nearest works with the same label; ▲ and ▼ "
        "are where the center is better and worse, beyond the interval of the difference. Below, "
        "the works whose neighbours depend most on the crop."
    )
    found = [parts.says(how), _crop_table(report, table)]
    kept = {
        network: [
            (row.id, f"{row.overlap * 100:.0f} % of neighbours kept")
            for row in changes.head(SHOWN).itertuples()
        ]
        for network, changes in report.changes.items()
    }
    found += _works_by_network(report, pictures, kept)
    return parts.section("Center crop against no crop", *found)


def _crop_table(report: Report, table: pd.DataFrame) -> str:
    body = []
    for (network, descriptor), rows in table.groupby(["network", "descriptor"], sort=False):
        lines = [
            [
                parts.head(_label_title(row.label, row.same_artist)),
                html.cell(row.no_crop),
                html.cell(row.center_crop),
                html.change(row.difference, row.low, row.high, row.significance),
            ]
            for row in rows.itertuples()
        ]
        body.append(parts.group([_titles(report)[network], html.TITLES[descriptor]], lines))
    heads = ["Network", "Descriptor", "Label", "No crop", "Center crop", "Center less no crop"]
    return parts.table(heads, body) if body else ""


def _agreement(report: Report) -> Markup | str:
    table = report.agreement.table
    if table.empty:
        return ""
    how = (
        "How many of the nearest works two networks, or the two crops, have in common (overlap), "
        "and how alike they rank them, the first ones counting most (rank-biased overlap): 1 is "
        "the same answer. In brackets the 95 % interval, drawing artists again."
    )
    return parts.section("Agreement", parts.says(how), _metrics_table(report, table))


def _hubs(report: Report, pictures: Pictures) -> Markup | str:
    table = report.hubs.table
    if table.empty:
        return ""
    how = (
        f"Some works are among the {_k(table)} nearest of very many others, which says more of the "
        "numbers than of the works. Hubness is 0 where all works are found alike, and 1 or more "
        "where a few are found by most; antihubs are the share of works that no other has among "
        "its nearest. “Corrected” is CSLS. Below, the three works that are found most often by the "
        "final layer."
    )
    most = {
        network: [(id, f"found {count:,} times") for id, count in biggest]
        for network, biggest in report.biggest.items()
    }
    shown = _works_by_network(report, pictures, most)
    heading, table = "Everyone’s neighbours", _metrics_table(report, table)
    return parts.section(heading, parts.says(how), table, *shown)


def _works_by_network(
    report: Report, pictures: Pictures, works: dict[str, list[tuple[str, str]]]
) -> Iterator[str]:
    """Yield a row of works with a note each under every network's title."""
    for network, ids_and_notes in works.items():
        row = html.works(pictures, ids_and_notes)
        yield parts.subsection(_titles(report)[network], row)


def _notes(report: Report) -> str:
    if not report.notes:
        return ""
    return parts.section("Notes, and what could not be measured", html.bullets(report.notes))


def _what_was_run(report: Report) -> str:
    searches, settings, repainted = report.searches, report.settings, report.repainted
    crops = ", ".join(words(crop) for crop in searches.crops)
    facts = {
        "Collection": f"{searches.collection.folder} ({len(searches.collection):,} works)",
        "Content and manner": repainted.folder if repainted else "not measured",
        "Networks": ", ".join(_titles(report).values()),
        "Crops": f"{crops}; what is said of one crop is of {words(default_crop(searches.crops))}",
        "Precision": searches.extractor(*next(iter(searches))).precision,
        "Neighbours": f"k = {settings['k']}",
        "Works altered": settings["sample"],
        "Seed": settings["seed"],
        "Versions": ", ".join(_versions()),
    }
    more = "All figures, also precision and F1 and those at 3 and 5, are in metrics.csv beside it."
    return parts.section("What was run", parts.facts(facts), parts.says(more))


def _versions() -> Iterator[str]:
    yield f"artsearch {artsearch.__version__}"
    yield f"Python {platform.python_version()}"
    for name in PACKAGES:
        yield f"{name} {version(name)}"


def _by_network(report: Report, table: pd.DataFrame, make_rows) -> list[Markup]:
    """Return the rows that are made of each network and crop, one group after the other."""
    titles = _titles(report)
    return [
        parts.group([html.network_title(titles, network), words(crop)], make_rows(rows))
        for (network, crop), rows in table.groupby(["network", "crop"], sort=False)
    ]


def _titles(report: Report) -> dict[str, str]:
    return {network.name: network.title for network in report.searches.networks}


def _k(table: pd.DataFrame) -> int:
    return table["k"].iloc[0]
