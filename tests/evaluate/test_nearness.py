"""What rarities are worth, measured: on works whose hands are known by construction."""

import numpy as np
import pandas as pd
import pytest
from madeup import make_folder

from artsearch.evaluate.nearness import HIDDEN, NOTHING, UNUSUAL, nearness
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
