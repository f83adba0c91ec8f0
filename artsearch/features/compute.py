"""The article's loop: every work of a collection through a network, in float32, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import ImageError, check_whole
from artsearch.base.progress import Progress
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.networks.network import Network
from artsearch.networks.transforms import NO_CROP
from artsearch.works.collection import Collection, none_readable
from artsearch.works.images import few_notes

if TYPE_CHECKING:
    from torch import nn


def compute_features(
    collection: Collection,
    network: Network | str,
    crop: str = NO_CROP,
    layers: Sequence[str] | str | None = None,
    batch_size: int = 8,
    pool: int | None = None,
    model: nn.Module | None = None,
    progress: bool = True,
) -> Features | dict[str, Features]:
    """Run every work of a collection through a network and catch what a layer gives.

    Returns Features with one row a work, in memory; for a list of `layers` a dict of them by layer,
    from one pass. An unreadable work is skipped and named in `Features.skipped`. `model` takes the
    place of the registered weights (such as a network you trained yourself). What is large, or is
    wanted again, goes to disk with `extract`, which is quicker and can be stopped at any time; its
    rows are held to these.

    Raises ArtsearchError for an unknown network, crop or layer, WeightsError where the weights
    cannot be had, CollectionError when no work can be read.
    """
    check_whole("batch_size", batch_size)
    extractor = FeatureExtractor(network, crop, layers, pool, model, precision="exact")
    made_of = {"collection": collection.fingerprint()}
    ids, skipped, parts = [], [], []
    with Progress(len(collection), extractor.network.title, show=progress) as bar, few_notes():
        for start in range(0, len(collection), batch_size):
            pictures = {}
            for id in collection.ids[start : start + batch_size]:
                try:
                    pictures[id] = collection.open(id)
                except ImageError as error:
                    skipped.append((id, str(error)))
            if pictures:
                parts.append(extractor.describe(list(pictures.values())))
            ids += pictures
            bar.update(batch_size)
    if not ids:
        raise none_readable(collection, skipped)
    found = {
        layer: Features(
            np.concatenate([rows[layer] for rows in parts]),
            tuple(ids),
            extractor.provenance(layer) | made_of,
            tuple(skipped),
        )
        for layer in extractor.layers
    }
    return found[extractor.layers[0]] if layers is None or isinstance(layers, str) else found
