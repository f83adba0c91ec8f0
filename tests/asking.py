"""Questions to made-up collections, and their answers counted out in NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from madeup import HOSTILE, make_folder

from artsearch.features.blend import Blend
from artsearch.features.features import Features
from artsearch.index.factory import construct_ann_index, construct_exact_index
from artsearch.networks.network import BlendLayers
from artsearch.search.search import Search
from artsearch.search.searches import BlendSearch
from artsearch.works.collection import Collection
from artsearch.works.conditions import quote

DIMS = 24
#: What stands in for the layers of a network.
LAYERS = BlendLayers(content=(("final", 1.0),), middle=(("mid", 1.0),), style=(("early", 1.0),))
#: Dates as catalogues write them, by the remainder of a work's number; two of them are none.
DATES = ("{}", "c. {}", "{}–99", "{}/06", "", "19th century", "{} (?)", "n.d.", "{}", "{}")


def make_works(count: int) -> pd.DataFrame:
    """Make a table of works: 1 in 100 is Pointillism, half are prints, artists of uneven size."""
    numbers = np.arange(count)
    styles = np.where(numbers % 100 == 7, "Pointillism", "Style " + (numbers % 7).astype(str))
    artists = np.where(
        numbers % 11 == 0, "", "Künstler " + (np.sqrt(numbers).astype(int)).astype(str)
    )
    dates = [DATES[number % 10].format(1500 + 7 * number % 400) for number in numbers]
    return pd.DataFrame(
        {
            "file": [f"work {number:05}.png" for number in numbers],
            "artist": artists,
            "title": [HOSTILE[number % len(HOSTILE)] for number in numbers],
            "year": dates,
            "style": styles,
            "kind": np.where(numbers % 2, "print", "painting"),
            "only": np.where(numbers == 13, "this one", ""),
        },
        dtype=str,
    )


def make_collection(folder: Path, count: int) -> Collection:
    """Fill a folder with such works."""
    works = make_works(count)
    make_folder(folder, works["title"].tolist(), side=8, alike=True)
    works.to_csv(folder / "works.csv", index=False)
    return Collection(folder)


def make_vectors(count: int, seed: int = 0) -> np.ndarray:
    """Make rows as a network gives them: not negative, of uneven length."""
    random = np.random.default_rng(seed)
    rows = np.maximum(random.normal(size=(count, DIMS)), 0) * random.uniform(0.5, 2, (count, 1))
    return rows.astype(np.float32)


def make_search(collection: Collection, kind: str, metric: str, vectors: np.ndarray) -> Search:
    """Make a search by Annoy or an exact index."""
    features = Features(vectors, tuple(collection.ids))
    if kind == "exact":
        return Search(collection, construct_exact_index(metric, features))
    return Search(collection, construct_ann_index(metric, 3, features))


def make_blend_search(collection: Collection, place: float, seed: int = 0) -> BlendSearch:
    """Make a search in a blend of random layers, at a place of its dial."""
    ids, random = tuple(collection.ids), np.random.default_rng(seed)
    features = {
        layer: Features(random.normal(size=(len(ids), DIMS)), ids, {"layer": layer})
        for layer in LAYERS.names
    }
    return BlendSearch(collection, Blend.fit(features, LAYERS, 64), None, place)


def distances_by_hand(metric: str, rows: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return the distances of rows to a row, each by the words of METRICS, in double precision."""
    rows, row = np.float64(rows), np.float64(row)
    if metric == "angular":
        lengths = np.sqrt((rows**2).sum(axis=1))
        cosines = (rows * row).sum(axis=1) / lengths / np.sqrt((row**2).sum())
        return np.sqrt(np.maximum(0, 2 - 2 * cosines))
    if metric == "dot":
        return -(rows * row).sum(axis=1)
    if metric == "hamming":
        medians = np.median(rows, axis=0)
        return ((rows > medians) != (row > medians)).sum(axis=1).astype(float)
    differences = np.abs(rows - row)
    return (
        differences.sum(axis=1) if metric == "manhattan" else np.sqrt((differences**2).sum(axis=1))
    )


def nearest_by_hand(distances: np.ndarray, keep: np.ndarray, k: int) -> list[int]:
    """Return the rows of the k smallest distances among those to keep, one after the other."""
    rows = [row for row in range(len(distances)) if keep[row]]
    return sorted(rows, key=lambda row: (distances[row], row))[:k]


def check_answer(answer, collection: Collection, distances: np.ndarray, rows: list[int]) -> None:
    """See that an answer holds these rows in this order, with these distances."""
    assert answer.ids == [collection.ids[row] for row in rows]
    np.testing.assert_allclose(answer.distances, distances[rows], rtol=1e-4, atol=1e-4)
    assert [one.caption for one in answer] == [collection.caption(id) for id in answer.ids]


#: Values of one column, those in a row being the same, in whatever way they are written.
SPELLINGS = (
    ("Hokusai", "hokusai ", "HOKUSAI", "\tHokusai", "Hoku\u0301sai", "Ｈｏｋｕｓａｉ"),
    ("Albrecht Dürer", "Albrecht  Du\u0308rer", "ALBRECHT DÜRER", "albrecht\u00a0durer"),
    ("Straße", "STRASSE"),
    ("ハス",),
    ("バス", "ハ\u3099ス"),
    ("", " ", "\u3000"),
)


def make_spelt_collection(folder: Path) -> Collection:
    """Fill a folder with works by artists of whom each spelling stands twice."""
    artists = [one for spellings in SPELLINGS for one in spellings] * 2
    make_folder(folder, ["x"] * len(artists), side=8, alike=True)
    files = [f"work {number:05}.png" for number in range(len(artists))]
    works = pd.DataFrame({"file": files, "artist": artists, "title": "x"})
    works.to_csv(folder / "works.csv", index=False)
    return Collection(folder)


def check_values_agree(search: Search) -> None:
    """See that groups, conditions and exclusions agree on which values are the same."""
    collection, k = search.collection, len(search.collection)
    artists = [spellings for spellings in SPELLINGS for _ in spellings] * 2
    ids = {
        spellings: {id for id, one in zip(collection.ids, artists, strict=True) if one is spellings}
        for spellings in SPELLINGS
    }
    groups = search.ask(collection.ids[0], group_by="artist", group_size=k).groups
    assert list(groups) and set(groups) == {spellings[0].strip() for spellings in SPELLINGS[:-1]}
    for query, spellings in zip(collection.ids, artists, strict=True):
        others = ids[spellings] - {query}
        for artist in spellings:
            assert set(search.ask(query, k, where={"artist": artist}).ids) == others, artist
        if spellings[0]:
            found = search.ask(query, k, where=f"artist contains {quote(spellings[-1])}")
            assert set(found.ids) == others, spellings
            left = search.ask(query, k, exclude_same="artist")
            assert set(left.ids) == set(collection.ids) - ids[spellings], spellings
            group = {work.id for work in groups[spellings[0]]}
            assert group == ids[spellings] - {collection.ids[0]}
