"""The page of an evaluation: one file, to be read by somebody who cares for art."""

from __future__ import annotations

import io
import os
import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from markupsafe import Markup

import artsearch
from artsearch.base.disk import write_whole
from artsearch.evaluate.agreement import compare_crops
from artsearch.evaluate.alterations import ALTERATIONS, STRONG
from artsearch.evaluate.experiments import CONTENT, CORRECTED, MANNER, alpha_of, verdicts
from artsearch.evaluate.report import Report
from artsearch.networks.transforms import default_crop
from artsearch.search.wording import say_networks, words
from artsearch.show import html
from artsearch.show.html import Pictures, parts

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


def make_page(report: Report) -> str:
    """Return the page as HTML, with all pictures in it."""
    searches, dial = report.searches, report.dial.table
    titles = {network.name: network.title for network in searches.networks}
    show_works = partial(_works, titles, Pictures(searches.collection))
    return html.render(
        "report.html",
        "report.css",
        report=report,
        networks=say_networks(searches),
        summary=html.bullets([*report.verdicts, *report.ratios]),
        dial=_dial_table(titles, dial),
        dial_verdicts=html.bullets(
            f"{words(crop)}: {sentence}" for (_, crop), sentence in verdicts(report.dial).items()
        ),
        dial_figures=[] if dial.empty else [_figure(report, titles, c) for c in searches.crops],
        labels={
            _label_title(*key): _metrics_table(titles, rows)
            for key, rows in report.labels.table.groupby(["label", "same_artist"], sort=False)
        },
        drawn=min(len(searches.collection), report.settings["sample"]),
        recovery=_recovery_tables(titles | {"points": "By points"}, _found_first(report)),
        crops=_crop_table(titles, compare_crops(report.dial, report.labels)),
        changes=show_works(
            report.changes, SHOWN, lambda row: f"{row.overlap * 100:.0f} % of neighbours kept"
        ),
        agreement=_metrics_table(titles, report.agreement.table),
        hubs=_metrics_table(titles, report.hubs.table),
        nearness=_metrics_table(titles, report.nearness.table),
        motifs=_metrics_table(titles, report.motifs.table),
        learnt=_label_table(titles, report.learnt.table),
        reasons=_label_table(titles, report.reasons.table),
        biggest=show_works(report.biggest, 3, lambda row: f"found {row.times:,} times"),
        notes=html.bullets(report.notes),
        facts=_facts(report, titles),
    )


def _descriptor_table(
    titles: dict[str, str], table: pd.DataFrame, column: str, heads: dict[str, str]
) -> Markup | str:
    """Return a row a descriptor, and a column for each value of a column that has a head."""
    groups = []
    for (network, crop), of_pair in table.groupby(["network", "crop"], sort=False):
        rows = [
            [parts.head(html.title(name)), *html.cells(of_name, column, heads)]
            for name, of_name in of_pair.groupby("descriptor", sort=False)
        ]
        groups.append(parts.group([html.network_title(titles, network), words(crop)], rows))
    return parts.table([*HEADS, *heads.values()], groups) if groups else ""


def _dial_table(titles: dict[str, str], table: pd.DataFrame) -> Markup | str:
    """Return the final layer, the dial's ends and middle, and chance."""
    table = table[table["descriptor"].isin(["final", "content", "blend", "style", "chance"])]
    key = ["network", "crop", "descriptor"]
    either = table.groupby(key, sort=False, as_index=False)["value"].sum().assign(label="either")
    heads = {CONTENT: "Same content", MANNER: "Same manner", "either": "Either"}
    return _descriptor_table(titles, pd.concat([table, either]), "label", heads)


def _metrics_table(titles: dict[str, str], table: pd.DataFrame) -> Markup | str:
    """Return a row a descriptor, chance last, and a column a metric."""
    table = table.sort_values("descriptor", key=lambda name: name == "chance", kind="stable")
    ks = table.groupby("metric", sort=False)["k"].first()
    heads = {m: html.title(m) + ("" if pd.isna(k) else f" at {k}") for m, k in ks.items()}
    return _descriptor_table(titles, table, "metric", heads)


def _label_table(titles: dict[str, str], table: pd.DataFrame) -> Markup | str:
    heads = {label: f"{label[0].upper()}{label[1:]}" for label in table["label"].unique()}
    return _descriptor_table(titles, table, "label", heads)


def _figure(report: Report, titles: dict[str, str], crop: str) -> Markup:
    """Return the path of the dial, for all networks with one crop, as an SVG in a data: URL.

    It is drawn as the notebooks do, with the final layer as diamonds at the left.
    """
    import matplotlib.pyplot as plt

    from artsearch.show.figures import plot_dial

    rows = report.dial.select(crop=crop)
    path = rows.assign(alpha=[alpha_of(name) for name in rows["descriptor"]])
    chance, final = (rows[rows["descriptor"] == name] for name in ("chance", "final"))
    figure = plot_dial(path[path["alpha"].notna()], final, titles, chance["value"].mean())
    out = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "artsearch"}):
        figure.savefig(out, format="svg", facecolor="white", metadata={"Date": None})
    plt.close(figure)
    alt = f"The dial of each network, {words(crop)}; the table has its ends and its middle"
    return parts.figure(html.to_url(out.getvalue(), "image/svg+xml"), alt, words(crop))


def _label_title(label: str, same_artist: str) -> str:
    left_out = ", works by the same artist left out" if same_artist == "no" else ""
    return f"Same {label}{left_out}"


def _found_first(report: Report) -> pd.DataFrame:
    parts = (report.recovered, report.identified)
    return pd.concat([part.select(metric="recall", k=1) for part in parts], ignore_index=True)


def _recovery_tables(titles: dict[str, str], table: pd.DataFrame) -> dict[str, dict[str, Markup]]:
    """Return tables by what was done and by network: a row an alteration, a column a descriptor."""
    table = table.assign(key=list(zip(table["crop"], table["descriptor"], strict=True)))
    details = table["label"].str.startswith("detail of ")
    every = ALTERATIONS | STRONG
    descriptions = {name: alteration.description for name, alteration in every.items()}
    tables: dict[str, dict[str, Markup]] = {"Altered works": {}, "Details": {}}
    for by_network, part in zip(tables.values(), (table[~details], table[details]), strict=True):
        for network, of_network in part.groupby("network", sort=False):
            columns = of_network["key"].unique()
            heads = ["", *(f"{html.title(name)}, {words(crop)}" for crop, name in columns)]
            body = [
                [parts.head(label, descriptions.get(label, "")), *html.cells(rows, "key", columns)]
                for label, rows in of_network.groupby("label", sort=False)
            ]
            by_network[titles[network]] = parts.table(heads, [parts.group([], body)])
    return tables


def _crop_table(titles: dict[str, str], table: pd.DataFrame) -> Markup | str:
    table = table[(table["metric"] == "precision") & table["descriptor"].isin(CORRECTED)]
    groups = []
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
        groups.append(parts.group([titles[network], html.TITLES[descriptor]], lines))
    heads = ["Network", "Descriptor", "Label", "No crop", "Center crop", "Center less no crop"]
    return parts.table(heads, groups) if groups else ""


def _works(
    titles: dict[str, str],
    pictures: Pictures,
    tables: dict[str, pd.DataFrame],
    most: int,
    describe: Callable,
) -> dict[str, Markup]:
    """Return the first works of each network's table as pictures, each with a note on its row."""
    return {
        titles[network]: html.works(
            pictures, [(row.id, describe(row)) for row in table.head(most).itertuples()]
        )
        for network, table in tables.items()
    }


def _facts(report: Report, titles: dict[str, str]) -> dict[str, object]:
    """Return what was run, and with what."""
    searches, settings, repainted = report.searches, report.settings, report.repainted
    crops = ", ".join(words(crop) for crop in searches.crops)
    versions = {"artsearch": artsearch.__version__, "Python": platform.python_version()}
    versions |= {name: version(name) for name in PACKAGES}
    return {
        "Collection": f"{searches.collection.folder} ({len(searches.collection):,} works)",
        "Content and manner": repainted.folder if repainted else "not measured",
        "Networks": ", ".join(titles.values()),
        "Crops": f"{crops}; what is said of one crop is of {words(default_crop(searches.crops))}",
        "Precision": searches.features(*next(iter(searches))).provenance.get(
            "precision", "as published"
        ),
        "Neighbours": f"k = {settings['k']}",
        "Works altered": settings["sample"],
        "Seed": settings["seed"],
        "Versions": ", ".join(map(" ".join, versions.items())),
    }
