"""What people said is similar, as a page: who judged, with whom they agree, what is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from markupsafe import Markup

import artsearch
from artsearch.base.disk import write_whole
from artsearch.base.text import count_of
from artsearch.features.features import Features
from artsearch.judge.report import VoteReport, contradicted, key_of
from artsearch.judge.votes import QUESTIONS
from artsearch.search.wording import words
from artsearch.show import html
from artsearch.show.html import Pictures, parts
from artsearch.works.collection import Collection

PAGE, TABLE = "judged.html", "judged.csv"
#: Triplets that are shown of those on which a descriptor contradicts people.
SHOWN = 4


def write_judged(
    report: VoteReport,
    collection: Collection,
    descriptors: Mapping[str, Features],
    out: str | os.PathLike,
) -> Path:
    """Write judged.csv (all shares) and judged.html into a folder; return the path of the page.

    Shown are, for the final layer of each network, triplets on which all judges agree and it says
    otherwise. Raises ArtsearchError where it cannot be written.
    """
    out, pictures = Path(out), Pictures(collection, 200)
    finals = {name: one for name, one in descriptors.items() if key_of(name)[2] == "final"}
    wrong = {}
    for name, features in finals.items():
        rows = contradicted(report.votes, features, SHOWN).itertuples()
        wrong[name] = [_triplet(pictures, row) for row in rows]
    page = html.render(
        "judged.html",
        "report.css",
        name=collection.name,
        report=report,
        short=html.bullets(report.sentences),
        judges=html.bullets([one.sentence for one in report.judges] + _people(report)),
        shares=_shares(report.shares.table),
        ranking=_ranking(report.ranking),
        notes=html.bullets(report.notes),
        wrong={name: rows for name, rows in wrong.items() if rows},
        version=artsearch.__version__,
    )
    table = report.shares.table.to_csv(index=False, lineterminator="\n")
    write_whole(out / TABLE, table.encode())
    return write_whole(out / PAGE, page.encode())


def _shares(table: pd.DataFrame) -> Markup | str:
    if table.empty:
        return ""
    questions = [one for one in QUESTIONS if (table["label"] == one).any()]
    groups = [
        parts.group(
            [network, words(crop)],
            [
                [parts.head(html.title(descriptor)), *html.cells(own, "label", questions)]
                for descriptor, own in rows.groupby("descriptor", sort=False)
            ],
        )
        for (network, crop), rows in table.groupby(["network", "crop"], sort=False)
    ]
    heads = ["Network", "Crop", "Descriptor", *(QUESTIONS[one] for one in questions)]
    return parts.table(heads, groups)


def _people(report: VoteReport) -> list[str]:
    lines = [
        f"{row.who}{', ' * bool(row.question)}{QUESTIONS.get(row.question, '')}: the same answer "
        f"in {row.value:.2f} ({row.low:.2f} to {row.high:.2f}) of {row.pairs:,} pairs"
        for row in report.people.itertuples()
    ]
    if report.alpha == report.alpha:
        lines.append(
            f"Krippendorff’s alpha {report.alpha:.2f} (1 is full agreement, 0 that by chance)"
        )
    return lines


def _ranking(table: pd.DataFrame) -> Markup | str:
    if table.empty:
        return ""
    lines = [
        [
            parts.head(row.search),
            html.cell(row.strength, row.low, row.high),
            html.cell(row.chance),
            parts.cell(row.compared),
        ]
        for row in table.itertuples()
    ]
    return parts.table(
        ["Search", "Strength", "Wins against the average", "Rows compared"],
        [parts.group([], lines)],
    )


def _triplet(pictures: Pictures, row: tuple) -> Markup:
    people = f"by {count_of(row.judges, 'judge')}"
    query, network = (row.query, QUESTIONS[row.question]), (row.network, "by the network")
    return html.works(pictures, (query, (row.people, people), network))
