"""The judging room as a page: it opens by double click, and keeps the votes in the browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from artsearch.base.disk import write_folder, write_whole
from artsearch.base.errors import VectorsAloneError
from artsearch.judge.questions import name_of, sides_of, works_in
from artsearch.judge.triplets import BLOCK, Triplet
from artsearch.judge.votes import COLUMNS, QUESTIONS
from artsearch.show.html import WEB, render
from artsearch.show.site import JUDGING, LINK, NO_LINK, write_data, write_pictures
from artsearch.works.collection import Collection

ASSETS = ("gallery.css", "gallery.js", "site.css", "judge.css", "judge.js", "judge_page.js")
OWN = {"data", "images", "thumbs", *ASSETS}


def write_judge_page(
    collection: Collection,
    questions: Sequence[Triplet],
    folder: str | os.PathLike,
    side: int = 800,
    progress: bool = True,
) -> Path:
    """Write `judge.html` into a folder, with all it wants in `judging`; return its path.

    In the folder of a site (see write_site) the site's page gets a link to it. Pictures are at most
    `side` pixels long, and named by what is in them. Each file is whole or as it was. Raises
    ArtsearchError where the folder `judging` holds anything else, and VectorsAloneError for a
    collection without pictures, whose cards would tell the titles.
    """
    if not collection.has_pictures:
        raise VectorsAloneError(
            "this collection has no pictures at hand, and cards would tell what the works are; "
            "the notebook and the app show those that their addresses give"
        )
    folder, works = Path(folder), works_in(questions)
    page, own = (folder / name for name in JUDGING)

    def write(new: Path) -> None:
        sides = {"thumbs": 240, "images": side}
        pictures = write_pictures(collection, works, new, own, sides, progress)
        (new / "data").mkdir()
        data = describe_questions(questions, works) | {
            "set": name_of(questions),
            "columns": COLUMNS,
            "pictures": [name for name, *_ in pictures],
            # What goes into the table of votes, and into nothing that is shown.
            "rows": [_row(one) for one in questions],
        }
        write_data(new, "questions", data)
        for name in ASSETS:
            shutil.copyfile(WEB / name, new / name)

    folder.mkdir(parents=True, exist_ok=True)
    write_folder(own, write, OWN)
    write_whole(page, render("judge.html", assets=own.name).encode())
    _link_from(folder / "index.html")
    return page


def describe_questions(questions: Sequence[Triplet], works: Sequence[str]) -> dict:
    """Return what judge.js is told of questions: pictures by number, and how to ask."""
    number = {id: place for place, id in enumerate(works)}

    def name(question: Triplet, id: str, is_query: bool = False) -> str:
        kind = "large" if is_query or question.kind == "triplet" else "thumb"
        return f"{kind}/{number[id]}"

    asked = []
    for one in questions:
        left, right = ([name(one, id) for id in side] for side in sides_of(one))
        query = name(one, one.query, is_query=True)
        what = {"kind": one.kind, "question": one.question}
        asked.append(what | {"query": query, "left": left, "right": right})
    return {"questions": asked, "words": QUESTIONS, "block": BLOCK}


def _row(question: Triplet) -> dict[str, str]:
    wanted = (name for name in COLUMNS if hasattr(question, name))
    return {name: getattr(question, name) for name in wanted}


def _link_from(index: Path) -> None:
    """Put a link to the judging page into the page of a site, where there is one."""
    if index.is_file() and NO_LINK in (text := index.read_text("utf-8")):
        write_whole(index, text.replace(NO_LINK, LINK).encode())
