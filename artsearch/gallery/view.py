"""What a visitor of the gallery sees, as plain data, and what can be taken away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING

import pandas as pd

from artsearch.base.text import disarm
from artsearch.gallery.ask_view import ask_view
from artsearch.networks.registry import WHY
from artsearch.works.collection import COLUMNS, MACHINE_MADE
from artsearch.works.images import thumbnail
from artsearch.works.thumbnails import SIDES

if TYPE_CHECKING:
    from artsearch.gallery.state import GalleryState

FEW = 12  # works at once up to which their larger thumbnails are shown
#: What is told of a work.
TOLD = (*COLUMNS, MACHINE_MADE, "licence", "source")
#: Columns of an exported table.
EXPORTED = ("caption", "artist", "title", "year", "style", "licence", "source")


def view(state: GalleryState) -> dict:
    """Return what gallery.js shows: plain data, in which pictures are names."""
    now, answers = state.now, state.answers
    page, pages, matches = state.drawer()
    asked = [id for id, _ in (*now.asked.liked, *now.asked.unliked)]
    beside = [*asked, *now.asked.exclude, *filter(None, (now.asked.goal, now.asked.why))]
    shown = chain(now.trail, page, beside, *(answer.ids for answer in answers.values()))
    state.thumbnails.prepare(id for id in shown if id in state.collection)
    return {
        **say_networks(state.searches),
        "count": len(state),
        "networks": _choices(state.titles, now.network),
        "crops": _choices({crop: words(crop) for crop in state.searches.crops}, now.crop),
        "k": now.k,
        "k_max": state.k_max,
        "dial": {
            "available": has_dial(state.searches),
            "place": now.dial,
            "text": dial_text(now.dial),
        },
        "compare": now.compare,
        "compare_available": len(state.titles) > 1,
        "machine_made": {
            "available": state.has_both,
            "shown": now.machine_made,
            "count": state.machines,
        },
        "can_upload": True,
        "query": _work(state, now.query, "image"),
        "rows": _rows(state),
        "unit": next((answer.unit for answer in answers.values()), ""),
        "overlap": _overlap(state) if now.compare else None,
        "ask": ask_view(state, lambda id, kind: _work(state, id, kind)),
        "drawer": {
            "works": [_work(state, id, "small") for id in page],
            "search": now.search,
            "page": now.page,
            "pages": pages,
            "matches": matches,
        },
        "trail": {
            "works": [_work(state, id, "small") for id in now.trail],
            "place": now.place,
            "back": now.place,
            "forward": len(now.trail) - 1 - now.place,
        },
        "error": state.error,
        "busy": "",
    }


def results(state: GalleryState) -> pd.DataFrame:
    """Return the current results as a table, a row a neighbour.

    The column `dial` is its place, and empty (NaN) for the network's final layer. There is a column
    `group` where the nearest in each of a column were asked for. Where the collection has works
    made by a machine beside others, `left_out` says whether these were left out ("machine_made"),
    and `machine_made` what made each of those that were not.
    """
    more = [MACHINE_MADE] if state.has_both else []
    now, rows = state.now, []
    for network, answer in state.answers.items():
        asked = {"query": now.query, "network": network, "crop": now.crop, "dial": now.dial}
        asked["left_out"] = "" if now.machine_made else MACHINE_MADE
        for rank, one in enumerate(answer, 1):
            work = state.collection.work(one.id) | {"caption": one.caption}
            known = {column: work.get(column, "") for column in EXPORTED}
            known[MACHINE_MADE] = state.collection.machine_made(one.id)
            found = {"rank": rank, "distance": one.distance, "group": one.group, "id": one.id}
            rows.append({**asked, **found, **known})
    columns = ["query", "network", "crop", "dial", *(["left_out"] if more else [])]
    columns += ["rank", "distance", "group", "id", *EXPORTED, *more]
    table = pd.DataFrame(rows, columns=columns).astype({"dial": float})
    return table if now.asked.per else table.drop(columns="group")


def to_csv(table: pd.DataFrame) -> str:
    """Return a table of results as CSV, its texts safe for a spreadsheet."""
    texts = table.columns.difference(["dial", "rank", "distance"])
    return table.assign(**{column: table[column].map(disarm) for column in texts}).to_csv(
        index=False
    )


def say_networks(searches: Mapping) -> dict[str, str]:
    """Return which networks were taken, in a line, and why these; "" where that needs no reason."""
    return {
        "sentence": searches.sentence.replace(WHY, ""),
        "reason": getattr(searches, "reason", ""),
    }


def words(name: str) -> str:
    """Return a name as words.

    >>> words("no_crop")
    'no crop'
    """
    return name.replace("_", " ")


def has_dial(searches: Mapping) -> bool:
    """Whether searches can be turned between content and style, for all their networks."""
    return hasattr(searches, "dial") and getattr(searches, "has_dial", True)


def dial_text(place: float | None) -> str:
    """Return a place of the dial in words, as dialText in gallery.js does.

    >>> dial_text(0.5), dial_text(0.25)
    ('half way: content and style alike', 'more content than style (0.25)')
    """
    if place is None:
        return "the network's final layer"
    plain = {0: "content alone", 0.5: "half way: content and style alike", 1: "style alone"}
    more = "more content than style" if place < 0.5 else "more style than content"
    return plain.get(place, f"{more} ({place:.2f})")


def distance_text(distance: float) -> str:
    """Return a distance with the digits that tell neighbours apart.

    >>> distance_text(0.61234), distance_text(1203.0), distance_text(52.345)
    ('0.612', '1,203', '52.3')
    """
    whole = float(distance).is_integer()
    digits = 3 if abs(distance) < 10 else 0 if whole else 1
    return f"{distance:,.{digits}f}"


def _choices(titles: Mapping[str, str], selected: str) -> list[dict]:
    return [
        {"name": name, "title": title, "selected": name == selected}
        for name, title in titles.items()
    ]


def _rows(state: GalleryState) -> list[dict]:
    times = Counter(id for answer in state.answers.values() for id in answer.ids)
    shown = sum(len(answer) for answer in state.answers.values())
    kind = "thumb" if shown <= FEW else "small"

    def neighbour(one) -> dict:
        only = state.now.compare and times[one.id] == 1
        said = {"distance": one.distance, "distance_text": distance_text(one.distance)}
        return _work(state, one.id, kind) | said | {"only": only, "group": one.group}

    return [
        {"network": network, "title": state.titles[network], "works": list(map(neighbour, answer))}
        for network, answer in state.answers.items()
    ]


def _overlap(state: GalleryState) -> dict:
    """Return what share of the works all networks find, and a sentence about it."""
    lists = [set(answer.ids) for answer in state.answers.values()]
    common = len(set.intersection(*lists)) if lists else 0
    alone = sum(times == 1 for times in Counter(chain(*lists)).values())
    k = max(map(len, lists), default=0)
    text = (
        f"in common: {common} of {k} works are in all {len(lists)} rows, "
        f"{alone} {'is' if alone == 1 else 'are'} in one row only."
    )
    return {"value": common / max(k, 1), "text": text}


def _work(state: GalleryState, id: str, kind: str) -> dict:
    """Return what is said of a work; `kind` is the kind of its picture."""
    if id in state.uploads:
        name, data = state.uploads[id]
        caption = f"Your image {name}".strip()
        work = {"title": name or "Your image"}
        width, height = thumbnail(data, SIDES["thumb"]).size
    else:
        caption, work = state.collection.caption(id), state.collection.work(id)
        work[MACHINE_MADE] = state.collection.machine_made(id)
        width, height = state.thumbnails.size(id)
    # Only the selected work has a large picture.
    large = {"thumb": f"thumb/{id}", "image": f"image/{id}"}
    return {
        "id": id,
        **{column: work.get(column, "") for column in TOLD},
        "caption": caption,
        "alt": caption,
        **(large if kind == "image" else {"thumb": f"{kind}/{id}"}),
        "width": width,
        "height": height,
    }
