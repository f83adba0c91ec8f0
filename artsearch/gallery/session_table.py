"""A session in words, and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from functools import cache

from artsearch.base.text import cut_text, disarm, shorten, write_number
from artsearch.gallery.session import Session, Step, join_names
from artsearch.search.question import Question, Thing, Words
from artsearch.search.wording import EXPORTED
from artsearch.works.collection import Collection

#: Characters of a text in a table: a spreadsheet takes 32,767 in a cell, and nobody reads them.
MOST_TEXT = 1_000
#: Columns of the table, before and behind those on the work itself.
ASKED = ("step", "at", "asked", "link", "network", "crop", "dial")
FOUND = ("rank", "distance", "rarity", "share", "group", "region", "found_again", "id")
KEPT = ("kept", "note")


def make_table(session: Session) -> str:
    """Return a table as CSV, a row a work seen; works kept that no step found come last.

    Texts that a spreadsheet would take for a formula begin with an apostrophe, and texts are cut
    after 1,000 characters; links and ids are whole.
    """
    out = io.StringIO(newline="")
    table = csv.writer(out)
    table.writerow([*ASKED, *FOUND, *EXPORTED, *KEPT])
    about = cache(lambda work_id: _about(session, work_id))
    found: set[str] = set()
    for number, step in enumerate(session.steps, 1):
        asked = [number, step.at, *map(disarm, _asked(session, step))]
        for rank, (id, distance, group, rarity, place) in enumerate(step.found, 1):
            near = [distance, *((rarity.word, rarity.share) if rarity else ("", ""))]
            where = [",".join(map(write_number, place.region)), place.share] if place else ["", ""]
            table.writerow([*asked, rank, *near, _cell(group), *where, *about(id)])
        found.update(step.ids)
    nothing = [""] * (len(ASKED) + len(FOUND) - 1)
    table.writerows([*nothing, *about(id)] for id in session.kept if id not in found)
    return out.getvalue()


def describe(question: Question, collection: Collection, goal: str = "") -> str:
    """Return a question in words; `goal` is the work to which stepping stones lead.

    >>> collection = Collection("data/paintings")
    >>> lion = "albrecht-durer_lion.jpg"
    >>> prints = 'style == "Ukiyo-e"'
    >>> describe(Question(lion, where=prints, near_duplicates=False), collection)
    'Near Lion (Albrecht Dürer); only style == "Ukiyo-e"; without near-duplicates'
    """

    def name(works: Iterable[tuple[Thing, float]]) -> str:
        return join_names([_name(id, weight, collection) for id, weight in works])

    first, *more = question.liked
    near = f"Near {name([first])}"
    if goal:
        near = f"Stepping stones from {name([first])} to {name([(goal, 1)])}"
    if more:
        near += f", like also {name(more)}"
    if question.unliked:
        near += f", not like {name(question.unliked)}"
    said = [near]
    if question.region:
        left, top, right, bottom = (f"{100 * end:.0f}" for end in question.region)
        said.append(f"the part from {left} to {right} % of the width and")
        said[-1] += f" from {top} to {bottom} % of the height"
        said[-1] += ", sought in other works" if question.motif else ""
    if question.where:
        said.append(f"only {shorten(question.where, 300)}")
    if question.exclude_same:
        columns = [shorten(column, 80) for column in question.exclude_same]
        said.append(f"not of the same {join_names(columns, ' or ')}")
    if not question.near_duplicates:
        said.append("without near-duplicates")
    if not question.machine_made:
        said.append("without works made by a machine")
    if question.exclude:
        said.append(f"without {name((id, 1) for id in question.exclude)}")
    if question.group_by:
        count = "" if question.group_size == 1 else f"{question.group_size:,} "
        said.append(f"the {count}nearest in each {shorten(question.group_by, 80)}")
    return "; ".join(said)


def _name(work_id: Thing, weight: float, collection: Collection) -> str:
    in_words = isinstance(work_id, Words)
    named = f"“{shorten(work_id.text, 200)}”" if in_words else shorten(work_id, 80)
    if not in_words and work_id in collection:
        work = collection.work(work_id)
        artist = shorten(work["artist"], 60)
        named = shorten(work["title"], 80) + (f" ({artist})" if artist else "")
    return named if weight == 1 else f"{named} (weight {write_number(weight)})"


def _asked(session: Session, step: Step) -> tuple[str, ...]:
    dial = "" if step.dial is None else write_number(step.dial)
    said = describe(step.question, session.collection, step.goal)
    return said, step.link(), step.network, step.crop, dial


def _about(session: Session, work_id: str) -> list[str]:
    """Return the cells on a work from its id on."""
    work, kept = {}, session.kept
    if work_id in session.collection:
        caption = session.collection.caption(work_id)
        work = session.collection.work(work_id) | {"caption": caption}
    about = (_cell(work.get(column, "")) for column in EXPORTED)
    return [disarm(work_id), *about, "yes" if work_id in kept else "", _cell(kept.get(work_id, ""))]


def _cell(text: str) -> str:
    return disarm(cut_text(text, MOST_TEXT))
