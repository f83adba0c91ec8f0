"""Whether several networks together find more than the best of them: precision of a label.

    .venv/bin/python tests/bench/several.py FOLDER --networks efficientnet_lite0,efficientnet_lite2

Each network's final layer, whitened, and each one's blend half way, alone and side by side, brought
to 512 numbers by PCA. FOLDER needs labels in its works.csv.
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np
from sklearn.decomposition import PCA

from artsearch.evaluate.labels import score_labels
from artsearch.features.blend import DIMS
from artsearch.features.features import Features
from artsearch.index.metrics import unit_rows
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection

#: The exponent of the variances by which a final layer is whitened; 0.5 would be whole.
WHITENING = 0.25


def whiten(rows: np.ndarray, dims: int = 256) -> np.ndarray:
    """Return unit rows of less spread between their directions."""
    units = unit_rows(rows)
    pca = PCA(min(dims, len(units) - 1, units.shape[1]), random_state=0).fit(units)
    spread = np.maximum(pca.explained_variance_, 1e-12)
    return unit_rows(pca.transform(units) * spread**-WHITENING)


def join(parts: list[np.ndarray]) -> np.ndarray:
    """Return rows side by side, of at most 512 numbers."""
    rows = np.concatenate(parts, axis=1)
    return PCA(min(DIMS, len(rows) - 1, rows.shape[1]), random_state=0).fit_transform(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--networks", default="efficientnet_lite0,efficientnet_lite2")
    parser.add_argument("--labels", default="style,artist")
    parser.add_argument("--out", default="build")
    options = parser.parse_args()
    collection = Collection(options.folder)
    searches = Searches(collection, options.networks, ["no_crop"], options.out)
    searches.extract()
    names = [network.name for network in searches.networks]
    final = {name: searches.features(name, "no_crop") for name in names}
    kinds = {
        "final, whitened": {name: whiten(final[name].vectors[:]) for name in names},
        "blend": {name: searches.dial(name, "no_crop").blend.at(0.5).vectors for name in names},
    }
    ids = final[names[0]].ids
    for kind, rows in kinds.items():
        for number in range(1, len(names) + 1):
            for some in combinations(names, number):
                features = Features(join([rows[name] for name in some]), ids)
                found = [
                    str(score_labels(features, collection.works, label)["precision"])
                    for label in options.labels.split(",")
                ]
                print(f"{kind:16} {' + '.join(some):40} {'; '.join(found)}")


if __name__ == "__main__":
    main()
