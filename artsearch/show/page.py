"""One plain page: queries and their neighbours, in a file that can be sent."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import artsearch
from artsearch.base.disk import write_whole
from artsearch.index.metrics import unit_of
from artsearch.networks.network import Network
from artsearch.networks.transforms import default_crop
from artsearch.search.question import Question
from artsearch.search.results import Results
from artsearch.search.search import Search
from artsearch.search.wording import distance_text, say_networks, words
from artsearch.show.html import Pictures, first_searches, render
from artsearch.show.opening import choose_opening
from artsearch.works.collection import Collection

INTRODUCTION = (
    "{queries} of {works:,} works, the first chosen for its answers and the others drawn at "
    "random, each with the works that are nearest to it for each network. The number is the "
    "distance, then how unusual it is to be as near, and than what share of pairs by different "
    "hands it is nearer; framed are works that no other network has in its row."
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
    path, used = Path(path), first_searches(searches)
    index = next(iter(used.values())).index
    first, has_both = choose_opening(collection, used, k, seed), collection.has_both(index.ids)
    k, pictures = min(k, len(index) - 1), Pictures(collection)
    others = {*index.ids} - {first}
    drawn = [id for id in collection.sample(len(collection), seed) if id in others]
    drawn = [first, *collection.by_hand_first(drawn)][:queries]
    page = render(
        "page.html",
        "page.css",
        networks=say_networks(searches),
        introduction=INTRODUCTION.format(queries=len(drawn), works=len(index)),
        has_site=(path.parent / "site" / "index.html").exists(),
        machine_made=has_both and sum(id in collection.machines for id in index.ids),
        queries=[_query(id, used, searches.networks, k, pictures, has_both) for id in drawn],
        footer=f"Made by artsearch {artsearch.__version__}. Crop: "
        f"{words(default_crop(searches.crops))}. Distances are {unit_of(index.metric)}.",
    )
    return write_whole(path, page.encode())


def _query(
    work_id: str,
    searches: Mapping[str, Search],
    networks: Sequence[Network],
    k: int,
    pictures: Pictures,
    has_both: bool,
) -> dict[str, object]:
    """Return a query and its neighbours; without works made by a machine too, if there are both."""
    answers = {name: search.by_work(work_id, k) if k else () for name, search in searches.items()}
    found = {"query": pictures.show(work_id), "all": _rows(answers, networks, pictures)}
    found["by_hand"] = []
    if has_both:
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
        works = []
        for work in answers[network.name]:
            kind = "only" if others and work.id not in shared else ""
            rarity = f" {work.rarity.brief}" if work.rarity else ""
            works.append(pictures.show(work.id, distance_text(work.distance) + rarity, kind))
        cut = answers[network.name].cut_text if works else ""
        rows.append({"title": network.title, "cut": cut, "works": works})
    return rows
