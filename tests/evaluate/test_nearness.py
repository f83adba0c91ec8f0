"""What rarities are worth, measured: on works whose hands are known by construction."""

import numpy as np
import pandas as pd
import pytest
from madeup import make_folder
from PIL import Image

from artsearch.evaluate.nearness import (
    GIVEN,
    HIDDEN,
    NAMED,
    NOTHING,
    UNUSUAL,
    nearness,
    reasons,
)
from artsearch.features.blend import OneLayer
from artsearch.features.features import Features
from artsearch.works.collection import Collection

KEY = ("made up", "no_crop", "final", "artist")


class OneSearch(dict):
    """One network's features, as Searches has them."""

    def __init__(self, collection, rows):
        super().__init__({KEY[:2]: None})
        self.collection, self._features = collection, Features(rows, tuple(collection.ids))

    def descriptors(self, network, crop):
        return {"final": OneLayer("final", self._features)}


def measure(folder, like, artist=True):
    """Measure 50 hands of three works each; the first two of a hand are alike, the third is not."""
    random, hands = np.random.default_rng(2), 50
    make_folder(folder, [""] * 3 * hands, side=4, alike=True)
    files = [f"work {row:05}.png" for row in range(3 * hands)]
    artists = np.repeat([f"Hand {hand}" for hand in range(hands)], 3)
    table = pd.DataFrame({"file": files, "artist": artists} if artist else {"file": files})
    table.to_csv(folder / "works.csv", index=False)
    rows = random.normal(size=(3 * hands, 32))
    rows[1::3] = rows[::3] + random.normal(size=(hands, 32)) * like
    return nearness(OneSearch(Collection(folder), rows.astype(np.float32)), k=5)


def test_what_is_measured(tmp_path):
    metrics = measure(tmp_path / "works", like=0.5)
    estimates = {name: metrics.estimates.get((*KEY, name, "yes")) for name in (NOTHING, HIDDEN)}
    alone = [id for id in metrics.estimates[*KEY, UNUSUAL, "no"].ids if int(id[5:10]) % 3 == 2]
    nothing = dict(zip(estimates[NOTHING].ids, estimates[NOTHING].values, strict=True))
    assert 0.2 < np.mean([nothing[id] for id in alone]) < 0.6
    assert not any(nothing[id] for id in nothing if id not in alone)
    assert set(estimates[HIDDEN].ids) == {id for id in nothing if nothing[id]}
    # Of works that are no nearer to their own hand than to others, as many hide it as by chance.
    assert estimates[HIDDEN].chance == pytest.approx(
        1 - (147 * 146 * 145 * 144 * 143) / (149 * 148 * 147 * 146 * 145)
    )
    assert estimates[HIDDEN].value < 0.3
    assert metrics.estimates[*KEY, UNUSUAL, "no"].value < 0.2
    assert metrics.value(descriptor="final, chance", metric=UNUSUAL) == 0.1
    assert set(metrics.table["metric"]) == {UNUSUAL, NOTHING, HIDDEN}


def test_without_artists_nothing_is_measured(tmp_path):
    metrics = measure(tmp_path / "works", like=0.5, artist=False)
    assert metrics.table.empty and "artist" in metrics.notes[0]


class Seeing:
    """A network that sees the light of a picture in 8 × 8 places, its mean colour and its edge."""

    def describe(self, images):
        return {"plain": np.stack([self._see(image) for image in images])}

    def _see(self, image):
        pixels = np.asarray(image.resize((16, 16)), np.float32) / 255
        light = pixels.mean(axis=2) - pixels.mean()
        colour = pixels.mean(axis=(0, 1)) - pixels.mean()
        edge = pixels[[0, -1]].mean(axis=(0, 1)) - pixels.mean()
        return np.concatenate([light[2:-2, 2:-2].ravel(), 30 * colour, 20 * edge])


class Seen(OneSearch):
    def __init__(self, collection):
        rows = [Seeing()._see(collection.open(id)) for id in collection.ids]
        super().__init__(collection, np.stack(rows).astype(np.float32))
        self.descriptors = lambda *key: {"final": OneLayer("plain", self._features)}

    def extractor(self, network, crop, blend=False):
        return Seeing()


def test_causes_are_named_where_they_are_the_ones(tmp_path, monkeypatch):
    turn = lambda image, manner: image.rotate(180)  # noqa: E731
    monkeypatch.setattr("artsearch.search.experiment.painter", lambda: turn)
    random = np.random.default_rng(3)
    for number in range(90):
        patches = random.uniform(60, 200, (8, 8, 1)) + random.normal(0, 6, 3)
        image = Image.fromarray(np.clip(patches, 0, 255).astype(np.uint8))
        image.resize((64, 64), Image.Resampling.NEAREST).save(tmp_path / f"{number:02}.png")
    metrics = reasons(Seen(Collection(tmp_path)), sample=8, progress=False)
    key = {"network": "made up", "label": "colours", "metric": NAMED}
    assert metrics.value(descriptor="final", **key) > 0.7
    assert not metrics.select(descriptor="final, other causes", label="colours").empty
    assert any(note.startswith("manner: no answer") for note in metrics.notes)
    assert set(GIVEN) == {"colours", "fine detail", "margins"}
