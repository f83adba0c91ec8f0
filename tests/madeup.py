"""Made-up collections and searches for tests: quick, with no network and no weights."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from artsearch.features.features import Features
from artsearch.index.exact import ExactIndex
from artsearch.index.factory import construct_exact_index
from artsearch.index.folder import Basics
from artsearch.networks.registry import NETWORKS, PACKAGED
from artsearch.networks.transforms import CROPS
from artsearch.search.search import Search
from artsearch.works.collection import Collection
from artsearch.works.images import thumbnail

#: Titles that would do harm if anything took them for more than text.
HOSTILE = (
    "<img src=x onerror=\"document.title='broken in'\">",
    "</script><script>document.title='broken in'</script>",
    "\"><svg/onload=document.title='broken in'> 'quoted' & &amp; ${title} $title",
    "line\u2028and\u2029paragraph",
    "امرأة تقرأ \u202edesrever",
    "🎨🖼️ 星月夜",
    "=HYPERLINK(0)",
)


class MadeUpSearches(Mapping):
    """What Searches gives, from random projections of tiny thumbnails or of random numbers."""

    sentence = "Networks: three that tests <made up> & nobody trained."

    def __init__(
        self,
        collection: Collection,
        vectors: np.ndarray,
        networks=PACKAGED,
        crops=CROPS,
        dial: bool = False,
    ):
        self.collection = collection
        self.networks = [NETWORKS[name] for name in networks]
        self.crops = list(crops)
        self._vectors = vectors
        self._made = {}
        self._rows = {}
        if dial:  # without it there is no such method, as with searches that have no dial
            self.dial = self._dial

    def __getitem__(self, key):
        if key not in self._made:
            features = Features(self._project(*key), tuple(self.collection.ids))
            self._made[key] = Search(self.collection, construct_exact_index("angular", features))
        return self._made[key]

    def _dial(self, network, crop, place):
        if (network, crop) not in self._rows:
            halves = [self._project(network, crop, half) for half in ("content", "style")]
            lengths = [np.linalg.norm(half, axis=1, keepdims=True) for half in halves]
            self._rows[network, crop] = np.hstack(
                [half / length for half, length in zip(halves, lengths, strict=True)]
            )
        return MadeUpDial(self.collection, self._rows[network, crop], place)

    def _project(self, network, crop, half=""):
        seed = [list(self).index((network, crop)), *half.encode()]
        random = np.random.default_rng(seed).normal(size=(self._vectors.shape[1], 24))
        return (self._vectors @ random) ** 2

    def __iter__(self):
        return ((network.name, crop) for crop in self.crops for network in self.networks)

    def __len__(self):
        return len(self.networks) * len(self.crops)


class MadeUpDial(Search):
    """A search that weighs the two halves of its rows; it takes any image for the first work."""

    described = 0  # images, by all places of all dials

    def __init__(self, collection: Collection, rows: np.ndarray, place: float):
        self._first = rows[0]
        self._weights = np.repeat(np.sqrt([1 - place, place]), rows.shape[1] // 2)
        features = Features(rows * self._weights, tuple(collection.ids))
        super().__init__(collection, construct_exact_index("angular", features))

    def describe(self, image):
        MadeUpDial.described += 1
        return self._first

    def by_vector(self, vector, k=10, normalise=""):
        return super().by_vector(vector * self._weights, k, normalise)


def searches_by_colour(collection: Collection, dial: bool = False) -> MadeUpSearches:
    """Compare the works of a small collection by their colours."""
    tiny = [np.asarray(thumbnail(collection.path(id), 64).resize((6, 6))) for id in collection]
    return MadeUpSearches(collection, np.stack(tiny).reshape(len(tiny), -1) / 255.0, dial=dial)


def make_folder(folder: Path, titles: Sequence[str], side: int = 48, alike: bool = False) -> Path:
    """Fill a folder with one small picture a title, and its works.csv.

    With `alike` there are only 50 different files, which makes a site of many works quickly.
    """
    folder.mkdir(parents=True)
    pictures = [_picture(number, side) for number in range(min(len(titles), 50))]
    with open(folder / "works.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "artist", "title", "year", "style", "licence", "source"])
        for number, title in enumerate(titles):
            name = f"work {number:05}.png"
            # A PNG says itself where it ends: a number behind that makes the files differ.
            tail = b"" if alike else str(number).encode()
            (folder / name).write_bytes(pictures[number % 50] + tail)
            artist, year = f"Artist {number // 10}", 1500 + number % 400
            source = "https://example.org/works" if number % 2 else "an attic"
            table.writerow([name, artist, title, year, "Style", "public domain", source])
    return folder


def _picture(number: int, side: int) -> bytes:
    colours = np.random.default_rng(number).integers(0, 256, (3, 3, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(colours).resize((side, side + 8 * (number % 5))).save(out, "PNG")
    return out.getvalue()


class RandomIndex:
    """Answers drawn at random: for data the worst case, since nothing about them is regular."""

    metric = "angular"
    provenance: dict = {}

    def __init__(self, ids: list[str], k: int, seed: int):
        random = np.random.default_rng(seed)
        self.ids = ids
        self._row = {id: row for row, id in enumerate(ids)}
        self._rows = random.integers(0, len(ids), (len(ids), k))
        # As far apart as those of 895 WikiArt paintings: the 20th is 0.14 behind the nearest.
        gaps = random.exponential(0.04 / np.maximum(1, np.arange(k)), (len(ids), k))
        self._distances = random.normal(0.6, 0.08, (len(ids), 1)) + gaps.cumsum(axis=1)

    def __len__(self):
        return len(self.ids)

    def search(self, id, k):
        row = self._row[id]
        return [self.ids[other] for other in self._rows[row][:k]], self._distances[row][:k]

    def rows_of(self, ids):
        return np.array([self._row[id] for id in ids])

    def raw(self):
        return None

    def part(self, rows):
        ids = [self.ids[row] for row in rows]  # of an answer, where one may come twice
        vectors = np.random.default_rng(rows).normal(size=(len(rows), 8))
        return ExactIndex(Basics("angular", ids, 8, {}), vectors)

    def all_neighbours(self, k):
        return self._rows[:, :k], self._distances[:, :k]


class RandomSearches(MadeUpSearches):
    """Made-up searches over many works, in no time."""

    def __init__(self, collection: Collection, k: int = 20):
        super().__init__(collection, np.zeros((1, 1)))
        self._k = k

    def __getitem__(self, key):
        if key not in self._made:
            index = RandomIndex(self.collection.ids, self._k, list(self).index(key))
            self._made[key] = Search(self.collection, index)
        return self._made[key]
