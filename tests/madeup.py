"""Made-up collections and searches for tests: quick, with no network and no weights."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from artsearch.features.blend import Blend
from artsearch.features.features import Features
from artsearch.index.blend import BlendIndex
from artsearch.index.factory import construct_exact_index
from artsearch.networks.network import BlendLayers
from artsearch.networks.registry import NETWORKS, PACKAGED
from artsearch.networks.transforms import CROPS
from artsearch.search.results import Described
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

    _dims = 24
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
        self._blends = {}
        if dial:  # without it there is no such method, as with searches that have no dial
            self.dial = self._dial

    def __getitem__(self, key):
        if key not in self._made:
            ids, made = tuple(self.collection.ids), dict(zip(("network", "crop"), key, strict=True))
            features = Features(self._project(*key), ids, made)
            self._made[key] = Search(self.collection, construct_exact_index("angular", features))
        return self._made[key]

    def _dial(self, network, crop, place=0.5):
        if (network, crop) not in self._blends:
            ids = tuple(self.collection.ids)
            layers = {
                name: Features(self._project(network, crop, name), ids)
                for name in ("content", "middle", "style")
            }
            blend = Blend.fit(layers, BlendLayers(*([(name, 1)] for name in layers)), 48)
            # Averaged as those of a collection of some hundred works are.
            blend.metadata |= {"neighbours": 2, "network": network, "crop": crop}
            blend.vectors = blend.average(blend.raw)
            self._blends[network, crop] = blend
        return MadeUpDial(self.collection, self._blends[network, crop], place)

    def _project(self, network, crop, half=""):
        seed = [list(self).index((network, crop)), *half.encode()]
        random = np.random.default_rng(seed).normal(size=(self._vectors.shape[1], self._dims))
        return (self._vectors @ random) ** 2

    def __iter__(self):
        return ((network.name, crop) for crop in self.crops for network in self.networks)

    def __len__(self):
        return len(self.networks) * len(self.crops)


class MadeUpDial(Search):
    """A search in a blend of random projections; it takes any image for the first work."""

    described = 0  # images, by all places of all dials

    def __init__(self, collection: Collection, blend: Blend, place: float):
        super().__init__(collection, BlendIndex(blend, place))
        self.blend = blend

    def look(self, image):
        MadeUpDial.described += 1
        return Described(self.blend.vectors[0], self.blend.raw[0])


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


class RandomSearches(MadeUpSearches):
    """Made-up searches over many works, in no time: nothing about them is regular."""

    def __init__(self, collection: Collection, dims: int = 24, dial: bool = False, **which):
        rows = np.random.default_rng(0).normal(size=(len(collection), 32)).astype(np.float32)
        super().__init__(collection, rows, dial=dial, **which)
        self._dims = dims
