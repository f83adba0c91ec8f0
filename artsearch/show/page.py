"""One plain page: queries and their neighbours, in a file that can be sent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import artsearch
from artsearch.base.disk import write_whole
from artsearch.index.metrics import METRICS
from artsearch.networks.network import Network
from artsearch.networks.transforms import default_crop
from artsearch.search.opening import choose_opening
from artsearch.search.question import Question
from artsearch.search.results import Results
from artsearch.search.search import Search
from artsearch.search.wording import distance_text, words
from artsearch.show.html import Pictures, networks_said, render
from artsearch.works.collection import Collection

INTRODUCTION = (
    "{queries} of {works:,} works, the first chosen for its answers and the others drawn at "
    "random, each with the works that are nearest to it for each network. The number is the "
    "distance; framed are works that no other network has in its row."
)


def write_page(
    collection: Collection,
    searches: Mapping[tuple[str, str], Search],
    path: str | os.PathLike,
    queries: int = 12,
    k: int = 8,
    seed: int = 0,
) -> Path:
    """Write one HTML file of queries and their neighbours, a row a network, and return its path.

    `searches` is a Searches: besides the searches by (network, crop) it has `networks`, `crops`
    and `sentence`. Pictures lie in the file itself, so it can be sent as it is. The first query is
    chosen for its answers (see choose_opening), the others are drawn at random, those made by hand
    first. Where the collection has works made by a machine beside others, each answer is there
    with them and without, and a box in the page says which is shown: without, at first.
    """
    path = Path(path)
    crop = default_crop(searches.crops)
    used = {network.name: searches[network.name, crop] for network in searches.networks}
    known = next(iter(used.values())).index
    drawn = _draw(collection, known.ids, queries, choose_opening(collection, used, k, seed), seed)
    k, pictures = min(k, len(known) - 1), Pictures(collection)
    page = render(
        "page.html",
        "page.css",
        networks=networks_said(searches),
        introduction=INTRODUCTION.format(queries=len(drawn), works=len(known)),
        has_site=(path.parent / "site" / "index.html").exists(),
        machine_made=_count_machine_made(collection, known.ids),
        queries=[_query(id, used, searches.networks, k, pictures) for id in drawn],
        footer=f"Made by artsearch {artsearch.__version__}. Crop: {words(crop)}. "
        f"Distances are {known.metric}: {METRICS[known.metric]}.",
    )
    return write_whole(path, page.encode())


def _draw(
    collection: Collection, ids: Sequence[str], count: int, first: str, seed: int
) -> list[str]:
    """Return works in random order, those made by hand first, behind one that is to be first."""
    readable = {*ids} - {first}
    drawn = [id for id in collection.sample(len(collection), seed) if id in readable]
    return [first, *collection.by_hand_first(drawn)][:count]


def _query(
    work_id: str,
    searches: Mapping[str, Search],
    networks: Sequence[Network],
    k: int,
    pictures: Pictures,
) -> dict[str, object]:
    """Return a query and its neighbours; without works made by a machine too, if there are both."""
    answers = {name: search.by_work(work_id, k) if k else () for name, search in searches.items()}
    found = {
        "query": pictures.show(work_id),
        "all": _rows(answers, networks, pictures),
        "by_hand": [],
    }
    if pictures.collection.has_both(next(iter(searches.values())).index.ids):
        question = Question(work_id, k=k, machine_made=False)
        by_hand = {name: search.answer(question) for name, search in searches.items()}
        found["by_hand"] = _rows(by_hand, networks, pictures)
    return found


def _rows(
    answers: Mapping[str, Results], networks: Sequence[Network], pictures: Pictures
) -> list[dict[str, object]]:
    """Return answers, a row a network; works in one row only are marked."""
    rows = []
    for network in networks:
        others = [answers[name] for name in answers if name != network.name]
        shared = {work.id for answer in others for work in answer}
        works = [
            pictures.show(
                work.id,
                distance_text(work.distance),
                "only" if others and work.id not in shared else "",
            )
            for work in answers[network.name]
        ]
        rows.append({"title": network.title, "works": works})
    return rows


def _count_machine_made(collection: Collection, ids: Sequence[str]) -> int:
    """Return how many works a machine made, where there are others too."""
    both = collection.has_both(ids)
    return sum(id in collection.machines for id in ids) if both else 0
