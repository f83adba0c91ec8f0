"""What the browser is told of works and answers, as plain data, and the table of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

import pandas as pd

from artsearch.base.text import count_of
from artsearch.gallery.answers import Answers
from artsearch.gallery.asked import Asked, words_of
from artsearch.gallery.which import Said
from artsearch.search.learnt import your_dial
from artsearch.search.path import find_earlier
from artsearch.search.results import Neighbour, Results
from artsearch.search.wording import EXPORTED, has_dial, motif_text, say_networks, words
from artsearch.works.collection import COLUMNS, MACHINE_MADE
from artsearch.works.images import thumbnail
from artsearch.works.thumbnails import SIDES, Thumbnails
from artsearch.works.years import dated

#: What is told of a work.
TOLD = (*COLUMNS, MACHINE_MADE, "licence", "source")


def tell_about(answers: Answers, k_max: int, has_both: bool) -> dict:
    """Return what there is to be asked: About of state.js."""
    searches, collection = answers.searches, answers.collection
    networks = {network.name: network.title for network in searches.networks}
    ids = next(iter(searches.values())).index.ids
    return {
        **say_networks(searches),
        "networks": _choices(networks),
        "crops": _choices({crop: words(crop) for crop in searches.crops}),
        "dial": has_dial(searches),
        "k_max": k_max,
        "has_both": has_both,
        "machines": sum(id in collection.machines for id in ids),
        "columns": [column for column in collection.works if column != "id"],
        "values": collection.columns.choices(),
        "looks": list(networks),
    }


def _choices(titles: Mapping[str, str]) -> list[dict]:
    return [{"name": name, "title": title} for name, title in titles.items()]


def tell_answer(answers: Answers, asked: Asked, answer: Results) -> dict:
    """Return an answer of one network: Answer of state.js."""
    return {
        "works": list(map(_found, answer)),
        "notes": list(answer.notes),
        "metric": answer.metric,
        "unit": answer.unit,
        "cut": answer.cut_text,
        "yours": your_dial(answers.out, answers.collection, asked.network, asked.crop)
        if has_dial(answers.searches)
        else None,
        "words": not answers.search(asked).no_words,
    }


def _found(one: Neighbour) -> dict:
    rarity = one.rarity and {"share": one.rarity.share, "by_chance": one.rarity.by_chance}
    said = {"id": one.id, "distance": one.distance, "group": one.group}
    said |= {"duplicates": one.duplicates, "rarity": rarity}
    if one.region:
        word, text = f"{100 * one.share:.0f} % found again", motif_text(one.share)
        said["motif"] = {"region": list(one.region), "word": word, "text": text}
    return said


def tell_works(answers: Answers, thumbnails: Thumbnails, ids: Iterable[str]) -> list[dict]:
    """Return what is told of works and of images of the visitor's own; words are passed over."""
    ids = [id for id in dict.fromkeys(ids) if not words_of(id)]
    here = [id for id in ids if id in answers.collection]
    thumbnails.prepare(here)
    known = {*here, *answers.uploads}
    return [_tell_work(answers, thumbnails, id) for id in ids if id in known]


def _tell_work(answers: Answers, thumbnails: Thumbnails, id: str) -> dict:
    collection = answers.collection
    if id in answers.uploads:
        name, data = answers.uploads[id]
        caption = f"Your image {name}".strip()
        work = {"title": name or "Your image"}
        width, height = thumbnail(data, SIDES["thumb"]).size
    else:
        caption, work = collection.caption(id), collection.work(id)
        work[MACHINE_MADE] = collection.machine_made(id)
        work["source"] = work.get("link") or work.get("source", "")
        width, height = thumbnails.size(id)
    return {
        "id": id,
        **{column: work.get(column, "") for column in TOLD},
        **{"caption": caption, "alt": caption, "years": dated(work.get("year", ""))},
        "own": id in answers.uploads,
        **{kind: f"{kind}/{id}" for kind in ("small", "thumb", "image")},
        **{"width": width, "height": height},
    }


def tell_which(answers: Answers, thumbnails: Thumbnails, id: str, said: Said) -> dict:
    """Return what is said of which work an image of the visitor's own shows."""
    view = {"text": said.sentence, "more": said.more, "offer": said.offer, "busy": said.busy}
    found = said.found
    if found is None or found.work is None:
        return view | {"work": None}
    [work] = tell_works(answers, thumbnails, [found.work])
    points = {id: count_of(number, "point") for id, number in found.others}
    others = [
        other | {"distance_text": points[other["id"]], "thumb": other["small"]}
        for other in tell_works(answers, thumbnails, points)
    ]
    outlines = {"in_work": found.in_work, "in_picture": found.in_picture}
    return view | outlines | {"work": work, "others": others}


def tell_why(answers: Answers, asked: Asked, other: str, tried: bool) -> dict:
    """Return which places match in two works, and what experiment says: Explained of state.js."""
    matches = answers.matches(asked, other)
    count = f"{len(matches)} place{'' if len(matches) == 1 else 's'}" if matches else "no places"
    title = next(one.title for one in answers.searches.networks if one.name == asked.network)
    text = f"{title} finds {count} in these two pictures that are each other's nearest."
    said = {"matches": list(map(asdict, matches)), "text": text, "tried": None}
    if tried:
        found = answers.experiment(asked, other)
        trials = [asdict(one) | {"fell": one.fell} for one in found.trials]
        said["tried"] = {"text": found.text, "notes": list(found.notes), "trials": trials}
        said["tried"] |= {"rank": found.rank, "works": found.works}
    return said


def tell_earlier(answers: Answers, asked: Asked, ids: Iterable[str]) -> dict[str, dict | None]:
    """Return what came before works: Before of state.js, by their ids."""
    found = find_earlier(answers.search(asked), asked.question, list(ids))
    return {
        id: one.work and {"id": one.work.id, "distance": one.work.distance}
        for id, one in found.items()
    }


def tabulate(answers: Answers, asked: Asked, found: Mapping[str, Results], both: bool):
    """Return answers by network as a table, a row a neighbour.

    The column `dial` is its weight, and empty (NaN) for the network's final layer. There is a
    column `group` where the nearest in each of a column were asked for. Where the collection has
    works made by a machine beside others, `left_out` says whether these were left out
    ("machine_made"), and `machine_made` what made each of those that were not. `rarity` and `share`
    are there where they are known of a work.
    """
    rows = []
    left_out = "" if asked.question.machine_made else MACHINE_MADE
    for network, answer in found.items():
        put = [asked.query, network, asked.crop, asked.dial, left_out]
        for rank, one in enumerate(answer, 1):
            work = answers.collection.work(one.id) | {"caption": one.caption}
            known = [work.get(column, "") for column in EXPORTED]
            rarity = [one.rarity.word, one.rarity.share] if one.rarity else ["", None]
            here = [rank, one.distance, *rarity, one.group, one.id, *known]
            rows.append([*put, *here, answers.collection.machine_made(one.id)])
    columns = ["query", "network", "crop", "dial", "left_out", "rank", "distance"]
    columns += ["rarity", "share", "group", "id", *EXPORTED, MACHINE_MADE]
    table = pd.DataFrame(rows, columns=columns)
    unused = [] if asked.question.group_by else ["group"]
    unused += [] if (table["rarity"] != "").any() else ["rarity", "share"]
    unused += [] if both else ["left_out", MACHINE_MADE]
    return table.drop(columns=unused).astype({"dial": float})
