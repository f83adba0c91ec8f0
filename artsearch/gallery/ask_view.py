"""What the gallery shows of a question, as plain data (see web/ask.js, which shows it)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from artsearch.gallery.state import GalleryState

#: Columns whose sameness a visitor may want to leave out, where the collection has them.
KIN = ("artist", "series")


def ask_view(state: GalleryState, show) -> dict:
    """Return what is asked, what can be asked, and what is to be said of the answer.

    `show(id, kind)` gives a work as the view gives works.
    """
    asked = state.now.asked
    columns = [column for column in state.collection.works if column != "id"]
    values = state.collection.columns.choices()
    sides = (("like", asked.liked), ("unlike", asked.unliked))
    return {
        "columns": columns,
        "values": values,
        "where": asked.where,
        "per": asked.per,
        "each": asked.each,
        "per_columns": list(values),
        "other": list(asked.other),
        "other_columns": [column for column in KIN if column in columns],
        "copies": asked.copies,
        "part": asked.part and list(asked.part),
        "weight": asked.weight,
        "liked": [
            show(id, "small") | {"weight": weight, "side": side}
            for side, works in sides
            for id, weight in works
        ],
        "excluded": [show(id, "small") for id in asked.exclude],
        "goal": show(asked.goal, "small") if asked.goal else None,
        "notes": _notes(state),
        "link": state.link(),
        "active": asked != type(asked)(why=asked.why),
        "why": _why(state, show) if asked.why else None,
        "kept": list(state.diary.kept),
        "steps": len(state.diary.steps),
    }


def _notes(state: GalleryState) -> list[str]:
    """Return the sentences on the answers, each once; with several networks, named."""
    notes = {name: answer.notes for name, answer in state.answers.items()}
    if len(set(notes.values())) <= 1:
        return list(next(iter(notes.values()), ()))
    return [f"{state.titles[name]}: {note}" for name, said in notes.items() for note in said]


def _why(state: GalleryState, show) -> dict:
    matches = state.matches()
    rows = [
        {"first": list(one.first), "second": list(one.second), "strength": one.strength}
        for one in matches
    ]
    title = state.titles[state.now.network]
    count = f"{len(rows)} place{'s' if len(rows) != 1 else ''}" if rows else "no places"
    text = f"{title} finds {count} in these two pictures that are each other's nearest."
    return {"work": show(state.now.asked.why, "image"), "matches": rows, "text": text}
