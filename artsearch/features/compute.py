"""From a collection to one row of numbers a work: the features of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.disk import fingerprint
from artsearch.base.errors import CollectionError
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.networks.registry import Network
from artsearch.networks.transforms import NO_CROP
from artsearch.works.collection import Collection

if TYPE_CHECKING:
    from torch import nn


def compute_features(
    collection: Collection,
    network: Network | str,
    crop: str = NO_CROP,
    layers: Sequence[str] | str | None = None,
    batch_size: int | None = None,
    pool: int | None = None,
    model: nn.Module | None = None,
    progress: bool = True,
    precision: str = "auto",
    workers: int | None = None,
) -> Features | dict[str, Features]:
    """Run every work of a collection through a network and catch what a layer gives.

    Returns Features with one row a work, in memory; for a list of `layers` a dict of them by layer,
    from one pass. An unreadable work is skipped and named in `Features.skipped`. `model` takes the
    place of the registered weights (such as a network you trained yourself). `batch_size` is 8 on
    a processor, and as many as fit on a GPU; `workers` threads decode ahead. What is large, or what
    is wanted again, goes to disk with `extract`, and can be stopped at any time.

    Raises ArtsearchError for an unknown network, crop, layer or precision, WeightsError where the
    weights cannot be had, CollectionError when no work can be read.
    """
    from artsearch.features.pipeline import Rows, run

    extractor = FeatureExtractor(network, crop, layers, pool, model, precision)
    paths = {id: collection.path(id) for id in collection.ids}
    contents, skipped, ids = {}, [], []
    rows: dict[str, list[np.ndarray]] = {layer: [] for layer in extractor.layers}
    for done in run(paths, [extractor], batch_size=batch_size, workers=workers, progress=progress):
        if isinstance(done, Rows):
            ids += [work.id for work in done.works]
            for layer, values in done.by_layer.items():
                rows[layer].append(values)
            continue
        contents[done.id] = done.state.sha256
        if done.reason:
            skipped.append((done.id, done.reason))
    if not ids:
        raise none_readable(collection, skipped)
    note = {"collection": fingerprint(contents.items())}
    found = {
        layer: Features(
            np.concatenate(rows[layer]),
            tuple(ids),
            extractor.made_by(layer) | note,
            tuple(skipped),
        )
        for layer in extractor.layers
    }
    return found[extractor.layers[0]] if layers is None or isinstance(layers, str) else found


def none_readable(collection: Collection, skipped: Sequence[tuple[str, str]]) -> CollectionError:
    """Make the error for a collection in which no work can be read."""
    return CollectionError(
        f"none of the {len(collection)} works of {collection.name} can be read as an image, the "
        f"first one because: {skipped[0][1]}"
    )
