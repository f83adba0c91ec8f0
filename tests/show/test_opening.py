"""The first view: on made-up rows of which the right work is known."""

import csv
from collections import Counter

import numpy as np
import pytest
from madeup import make_folder
from PIL import Image

from artsearch.features.features import Features
from artsearch.index.factory import construct_exact_index
from artsearch.search.search import Search
from artsearch.show.opening import SAMPLE, choose_opening
from artsearch.works.collection import Collection


def make_works(folder, works):
    """Make a collection of works, each given by its name as artist, style and what made it."""
    folder.mkdir()
    with open(folder / "works.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "artist", "style", "machine_made"])
        for name, told in works.items():
            Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
            table.writerow([f"{name}.png", *told])
    return Collection(folder)


def search_at(collection, degrees):
    """Return a search that compares works by where they stand on a circle."""
    angles = np.radians([degrees[id.removesuffix(".png")] for id in collection])
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return Search(collection, construct_exact_index("angular", Features(rows, collection.ids)))


# Two groups of four, at the same distances: within a group any three are a work's nearest.
GROUPS = {name: 2 * n for n, name in enumerate("abcd")} | {
    name: 90 + 2 * n for n, name in enumerate("efgh")
}


def test_neighbours_by_other_hands_and_of_another_kind_are_worth_seeing(tmp_path):
    same = dict.fromkeys("abcd", ("Monet", "Impressionism", ""))
    artists = {"e": "Dürer", "f": "Hokusai", "g": "Durer", "h": "Klimt"}
    mixed = {name: (artists[name], f"style of {artists[name]}", "") for name in "efgh"}
    collection = make_works(tmp_path / "works", same | mixed)
    # b and c are nearest to theirs, all by one hand. f and g are alike near, but g's Durer is e's
    # Dürer.
    tighter = GROUPS | {"a": 0.5, "d": 5.5}
    assert choose_opening(collection, {"one": search_at(collection, tighter)}, 3) == "f.png"


def test_near_ones_are_worth_more_than_far_ones(tmp_path):
    works = {name: (f"artist {name}", f"style {name}", "") for name in GROUPS}
    collection = make_works(tmp_path / "works", works)
    tighter = GROUPS | {"e": 88, "h": 98}
    assert choose_opening(collection, {"one": search_at(collection, tighter)}, 3) in {
        "b.png",
        "c.png",
    }


def test_without_labels_nearness_decides(tmp_path):
    collection = make_works(tmp_path / "works", dict.fromkeys(GROUPS, ("", "", "")))
    degrees = {name: 3 * n * n for n, name in enumerate("abcdefgh")}
    assert choose_opening(collection, {"one": search_at(collection, degrees)}, 3) == "b.png"


def test_networks_that_agree_on_some_and_differ_on_others(tmp_path):
    collection = make_works(tmp_path / "works", dict.fromkeys(GROUPS, ("", "", "")))
    # Both see a to d, which are nearest to each other, alike. To the other one h is far away, and
    # the third neighbour of e, f and g is d.
    tighter = GROUPS | {"a": 3, "b": 4, "c": 5}
    searches = {
        "one": search_at(collection, tighter),
        "two": search_at(collection, tighter | {"h": 200}),
    }
    assert choose_opening(collection, searches, 3) in {"e.png", "f.png", "g.png"}
    assert choose_opening(collection, {"one": searches["one"]}, 3) in {"b.png", "c.png"}


@pytest.mark.parametrize("seed", range(5))
def test_works_made_by_a_machine_change_nothing(tmp_path, seed):
    by_hand = {name: (f"artist {name}", f"style {name}", "no") for name in "abcdef"}
    degrees = {name: 7 * n * n for n, name in enumerate("abcdef")}
    # The farthest work has three beside it, by others and of another kind; the fourth is itself the
    # nearest to others.
    machines = {f"{n} again": (f"after {n}", f"style {n}", "a tool") for n in "1234"}
    alone = make_works(tmp_path / "alone", by_hand)
    both = make_works(tmp_path / "both", by_hand | machines)
    near = degrees | {f"{n} again": degrees["f"] + 0.1 * n for n in (1, 2, 3)} | {"4 again": 3.5}
    first = choose_opening(alone, {"one": search_at(alone, degrees)}, 3, seed)
    assert choose_opening(both, {"one": search_at(both, near)}, 3, seed) == first


def test_where_all_are_made_by_a_machine_and_where_there_is_one(tmp_path):
    machines = make_works(tmp_path / "a", dict.fromkeys(GROUPS, ("", "", "a tool")))
    assert choose_opening(machines, {"one": search_at(machines, GROUPS)}) in machines
    alone = make_works(tmp_path / "b", {"a": ("", "", "")})
    assert choose_opening(alone, {"one": search_at(alone, GROUPS)}) == "a.png"


def test_a_large_collection_is_asked_a_few_questions_only(tmp_path, monkeypatch):
    titles = [f"Work {n}" for n in range(300)]
    collection = Collection(make_folder(tmp_path / "works", titles, side=8, alike=True))
    rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    search = Search(collection, construct_exact_index("angular", Features(rows, collection.ids)))
    asked = Counter()
    ask = search.by_work
    monkeypatch.setattr(search, "by_work", lambda id, k: asked.update([id]) or ask(id, k))
    assert choose_opening(collection, {"one": search}) in asked
    assert set(asked.values()) == {1} and len(asked) == SAMPLE
    again = choose_opening(collection, {"one": search})
    assert choose_opening(collection, {"one": search}) == again
