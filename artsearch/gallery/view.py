"""What a visitor of the gallery sees, as plain data, and what can be taken away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import chain

import pandas as pd

from artsearch.base.text import count_of
from artsearch.gallery.moment import IN_WORDS, words_of
from artsearch.gallery.state import GalleryState
from artsearch.search.results import Neighbour
from artsearch.search.wording import (
    EXPORTED,
    distance_text,
    has_dial,
    motif_text,
    say_networks,
    words,
)
from artsearch.works.collection import COLUMNS, MACHINE_MADE
from artsearch.works.images import thumbnail
from artsearch.works.table import to_safe_csv
from artsearch.works.thumbnails import SIDES

FEW = 12  # works at once up to which their larger thumbnails are shown
#: Columns whose sameness a visitor may want to leave out, where the collection has them.
SAME_ARTIST = ("artist", "series")
#: What is told of a work.
TOLD = (*COLUMNS, MACHINE_MADE, "licence", "source")


def make_view(state: GalleryState) -> dict:
    """Return what gallery.js shows: plain data, in which pictures are names."""
    now, answers, question = state.now, state.answers, state.now.question
    page, pages, matches = state.drawer()
    beside = [*question.works, *question.exclude, *filter(None, (now.goal, now.why))]
    shown = chain(now.history, page, beside, *(answer.ids for answer in answers.values()))
    state.thumbnails.prepare(id for id in shown if id in state.collection)
    return {
        **say_networks(state.searches),
        "networks": _choices(state.titles, now.network),
        "crops": _choices({crop: words(crop) for crop in state.searches.crops}, now.crop),
        "k": question.k,
        "k_max": state.k_max,
        "dial": {
            "available": has_dial(state.searches),
            "alpha": now.dial,
            "yours": state.your_dial,
        },
        "compare": now.compare,
        "machine_made": {
            "available": state.has_both,
            "shown": question.machine_made,
            "count": state.machines,
        },
        "can_upload": True,
        "query": _work(state, now.query, "image"),
        "which": _which(state) if now.query in state.uploads else None,
        "rows": _rows(state),
        "unit": next((answer.unit for answer in answers.values()), ""),
        "ask": _asked(state),
        "drawer": {
            "works": _works(state, page),
            "search": now.search,
            "page": now.page,
            "pages": pages,
            "matches": matches,
        },
        "history": {"works": _works(state, now.history), "position": now.position},
        "error": state.error,
    }


def results(state: GalleryState) -> pd.DataFrame:
    """Return the current results as a table, a row a neighbour.

    The column `dial` is its weight, and empty (NaN) for the network's final layer. There is a
    column `group` where the nearest in each of a column were asked for. Where the collection has
    works made by a machine beside others, `left_out` says whether these were left out
    ("machine_made"), and `machine_made` what made each of those that were not. `rarity` and `share`
    are there where they are known of a work.
    """
    now, rows = state.now, []
    left_out = "" if now.question.machine_made else MACHINE_MADE
    for network, answer in state.answers.items():
        asked = [now.query, network, now.crop, now.dial, left_out]
        for rank, one in enumerate(answer, 1):
            work = state.collection.work(one.id) | {"caption": one.caption}
            known = [work.get(column, "") for column in EXPORTED]
            rarity = [one.rarity.word, one.rarity.share] if one.rarity else ["", None]
            found = [rank, one.distance, *rarity, one.group, one.id, *known]
            rows.append([*asked, *found, state.collection.machine_made(one.id)])
    columns = ["query", "network", "crop", "dial", "left_out", "rank", "distance"]
    columns += ["rarity", "share", "group", "id", *EXPORTED, MACHINE_MADE]
    table = pd.DataFrame(rows, columns=columns)
    unused = [] if now.question.group_by else ["group"]
    unused += [] if (table["rarity"] != "").any() else ["rarity", "share"]
    unused += [] if state.has_both else ["left_out", MACHINE_MADE]
    return table.drop(columns=unused).astype({"dial": float})


def to_csv(state: GalleryState) -> str:
    """Return the current results as CSV, in which no text is a formula."""
    return to_safe_csv(results(state))


def _choices(titles: Mapping[str, str], selected: str) -> list[dict]:
    return [
        {"name": name, "title": title, "selected": name == selected}
        for name, title in titles.items()
    ]


def _rows(state: GalleryState) -> list[dict]:
    shown = sum(len(answer) for answer in state.answers.values())
    kind = "thumb" if shown <= FEW else "small"

    def neighbour(one: Neighbour) -> dict:
        said = {"distance": one.distance, "distance_text": distance_text(one.distance)}
        said |= {"group": one.group, "duplicates": one.duplicates}
        if one.region:
            said |= {"region": list(one.region), "rarity_text": motif_text(one.share)}
            said |= {"rarity": f"{100 * one.share:.0f} % found again"}
        said |= {"rarity": one.rarity.word, "rarity_text": str(one.rarity)} if one.rarity else {}
        return _work(state, one.id, kind) | said

    return [
        {
            "network": network,
            "title": state.titles[network],
            "cut": answer.cut_text,
            "works": list(map(neighbour, answer)),
        }
        for network, answer in state.answers.items()
    ]


def _work(state: GalleryState, work_id: str, kind: str) -> dict:
    """Return what is said of a work; `kind` is the kind of its picture, which words have not."""
    if text := words_of(work_id):
        said = {"title": f"“{text}”", "caption": f"In words: {text}", "alt": f"In words: {text}"}
        blank = dict.fromkeys((*TOLD, "thumb", "image"), "")
        return blank | {"id": work_id, "words": text, "width": 4, "height": 3} | said
    if work_id in state.uploads:
        name, data = state.uploads[work_id]
        caption = f"Your image {name}".strip()
        work = {"title": name or "Your image"}
        width, height = thumbnail(data, SIDES["thumb"]).size
    else:
        caption, work = state.collection.caption(work_id), state.collection.work(work_id)
        work[MACHINE_MADE] = state.collection.machine_made(work_id)
        work["source"] = work.get("link") or work.get("source", "")
        width, height = state.thumbnails.size(work_id)
    # Only the selected work has a large picture.
    large = {"thumb": f"thumb/{work_id}", "image": f"image/{work_id}"}
    return {
        "id": work_id,
        **{column: work.get(column, "") for column in TOLD},
        "caption": caption,
        "alt": caption,
        **(large if kind == "image" else {"thumb": f"{kind}/{work_id}"}),
        "width": width,
        "height": height,
    }


def _works(state: GalleryState, ids: Iterable[str]) -> list[dict]:
    return [_work(state, id, "small") for id in ids]


def _asked(state: GalleryState) -> dict:
    """Return what is asked, what can be asked, and what is to be said of the answer."""
    now, asked = state.now, state.now.question
    columns = [column for column in state.collection.works if column != "id"]
    values = state.collection.columns.choices()
    liked = dict((*asked.positive, *_in_words(asked.words)))
    weight = liked.pop(now.query)
    unliked = (*asked.negative, *_in_words(asked.negative_words))
    sides = (("like", liked.items()), ("unlike", unliked))
    search = state.asking.search(now.network, now)
    return {
        "columns": columns,
        "values": values,
        "where": asked.where,
        "group_by": asked.group_by,
        "group_size": asked.group_size,
        "group_columns": list(values),
        "exclude_same": list(asked.exclude_same),
        "same_columns": [column for column in SAME_ARTIST if column in columns],
        "near_duplicates": asked.near_duplicates,
        "in_words": "" if search.no_words else IN_WORDS,
        "region": asked.region and list(asked.region),
        "motif": asdict(state.making.said) | {"on": asked.motif},
        "weight": weight,
        "liked": [
            _work(state, id, "small") | {"weight": weight, "side": side}
            for side, works in sides
            for id, weight in works
        ],
        "excluded": _works(state, asked.exclude),
        "goal": _work(state, now.goal, "small") if now.goal else None,
        "notes": _notes(state),
        "link": state.link(),
        "active": bool(now.goal) or asked != now.plain,
        "why": _why(state) if now.why else None,
        "kept": list(state.session.kept),
        "steps": len(state.session.steps),
    }


def _in_words(pairs: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return [(IN_WORDS + text, weight) for text, weight in pairs]


def _notes(state: GalleryState) -> list[str]:
    """Return the sentences on the answers, each once; with several networks, named."""
    notes = {name: answer.notes for name, answer in state.answers.items()}
    if len(set(notes.values())) <= 1:
        return list(next(iter(notes.values()), ()))
    return [f"{state.titles[name]}: {note}" for name, said in notes.items() for note in said]


def _which(state: GalleryState) -> dict:
    """Return what is said of which work an image of the visitor's own shows."""
    said = state.which.said(state.now.query)
    view = {"text": said.sentence, "more": said.more, "offer": said.offer, "busy": said.busy}
    found = said.found
    if found is None or found.work is None:
        return view | {"work": None}
    others = [
        _work(state, id, "small") | {"distance_text": count_of(points, "point")}
        for id, points in found.others
    ]
    outlines = {"in_work": found.in_work, "in_picture": found.in_picture}
    return view | outlines | {"work": _work(state, found.work, "image"), "others": others}


def _why(state: GalleryState) -> dict:
    matches = state.asking.matches(state.now)
    count = f"{len(matches)} place{'' if len(matches) == 1 else 's'}" if matches else "no places"
    title = state.titles[state.now.network]
    text = f"{title} finds {count} in these two pictures that are each other's nearest."
    work = _work(state, state.now.why, "image")
    said = {"work": work, "matches": list(map(asdict, matches)), "text": text, "tried": None}
    if state.now.tried:
        found = state.asking.experiment(state.now)
        trials = [asdict(one) | {"fell": one.fell} for one in found.trials]
        said["tried"] = {"text": found.text, "notes": list(found.notes), "trials": trials}
        said["tried"] |= {"rank": found.rank, "works": found.works}
    return said
