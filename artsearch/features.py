"""From a collection to one row of numbers a work: the features of a layer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from artsearch.collection import Collection, ImageDataset
from artsearch.errors import ArtsearchError, CollectionError, ImageError, check_whole, unknown
from artsearch.images import ImageSource, open_image
from artsearch.networks import Network, as_network, load_model
from artsearch.transforms import NO_CROP, transform_for
from artsearch.weights import file_sha256, find_weights

if TYPE_CHECKING:
    import torch
    from torch import nn


# Compared by identity: `==` between arrays has no single answer.
@dataclass(frozen=True, eq=False, repr=False)
class Features:
    """One row of numbers a work, with the ids beside them and a note of what made them.

    `vectors` is float32, works × dims, and read-only; `ids` names its rows. `made_by` holds
    network, weights (SHA-256), layer, pool, crop, size and the collection's fingerprint. `skipped`
    lists the works that could not be read, as (id, reason).
    """

    vectors: np.ndarray
    ids: tuple[str, ...]
    made_by: dict = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "ids", tuple(self.ids))
        vectors = np.asarray(self.vectors, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(self.ids):
            raise ArtsearchError(
                f"features need one row an id; got an array of shape {vectors.shape} "
                f"for {len(self.ids)} ids"
            )
        if len(set(self.ids)) != len(self.ids):
            raise ArtsearchError("features need ids that differ; some are there twice")
        vectors = vectors.view()
        vectors.flags.writeable = False
        object.__setattr__(self, "vectors", vectors)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<Features: {self.report()}>"

    @property
    def dims(self) -> int:
        """The number of dimensions."""
        return self.vectors.shape[1]

    def vector(self, id: str) -> np.ndarray:
        """Return the row of a work; raises ArtsearchError if it has none."""
        if id not in self.ids:
            raise unknown("work", id, self.ids)
        return self.vectors[self.ids.index(id)]

    def report(self) -> str:
        """Say in a sentence how many works are there, and which were skipped and why."""
        text = f"{len(self):,} works, {self.dims:,} numbers each"
        if not self.skipped:
            return f"{text}."
        shown = "; ".join(f"{id} ({reason})" for id, reason in self.skipped[:5])
        more = f"; and {len(self.skipped) - 5} more" if len(self.skipped) > 5 else ""
        return f"{text}; {len(self.skipped)} skipped: {shown}{more}."


class FeatureExtractor:
    """A network made ready: images in, the rows of one or several layers out.

    `layers` are dotted module names, the registered layer if none is given. A feature map is
    average-pooled to `pool` × `pool` (the entry's own for its registered layer, 1 for others) and
    flattened; a sequence of tokens is averaged. Runs on a GPU where there is one. A `model` given
    takes the place of the registered weights; it is put into eval mode, and its own hash goes into
    the note.
    """

    def __init__(
        self,
        network: Network | str,
        crop: str = NO_CROP,
        layers: Sequence[str] | str | None = None,
        pool: int | None = None,
        model: nn.Module | None = None,
    ):
        import torch

        self.network = as_network(network)
        self.transform = transform_for(self.network, crop)
        names = [self.network.layer] if layers is None else layers
        self.layers = [names] if isinstance(names, str) else list(names)
        if pool is not None:
            check_whole("pool", pool)
        self._pool = pool
        # With its own hash, a model of the user's is never taken for the registered one.
        self._weights = {} if model is None else {"weights": _hash_model(model)}
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        model = load_model(self.network) if model is None else model
        self.model = model.eval().to(self.device, memory_format=torch.channels_last)

    def made_by(self, layer: str) -> dict:
        """Return the note that goes with the rows of a layer."""
        note = made_by(self.network, self.transform.crop, layer, self.pool(layer))
        return note | self._weights

    def pool(self, layer: str) -> int:
        """Return the side of the grid to which a layer's feature maps are pooled."""
        return self._pool or (self.network.pool if layer == self.network.layer else 1)

    def rows(self, pixels: torch.Tensor) -> dict[str, np.ndarray]:
        """Return a float32 array of images × dims for each layer, from normalised pixels."""
        import torch

        from artsearch.hooks import LayerHook

        pixels = pixels.to(self.device, memory_format=torch.channels_last)
        with LayerHook(self.model, *self.layers) as hook, torch.inference_mode():
            self.model(pixels)
        return {
            layer: flatten(hook[layer], self.pool(layer)).float().cpu().numpy()
            for layer in self.layers
        }

    def __call__(self, image: ImageSource) -> np.ndarray:
        """Return the row of one image for the first layer; raises ImageError if unreadable."""
        pixels = self.transform(open_image(image))
        return self.rows(pixels[None])[self.layers[0]][0]


def compute_features(
    collection: Collection,
    network: Network | str,
    crop: str = NO_CROP,
    layers: Sequence[str] | str | None = None,
    batch_size: int = 16,
    pool: int | None = None,
    model: nn.Module | None = None,
    progress: bool = True,
) -> Features | dict[str, Features]:
    """Run every work of a collection through a network and catch what a layer gives.

    Returns Features with one row a work; for a list of `layers` a dict of them by layer, from one
    pass. An unreadable work is skipped and named in `Features.skipped`. `model` takes the place of
    the registered weights (such as a network you trained yourself).

    Raises ArtsearchError for an unknown network, crop or layer, WeightsError where the weights
    cannot be had, CollectionError when no work can be read.
    """
    from tqdm.auto import tqdm

    check_whole("batch_size", batch_size)
    extractor = FeatureExtractor(network, crop, layers, pool, model)
    # Before the files are read: one that changes meanwhile then gives another fingerprint next
    # time, and is not taken for the one that was seen.
    fingerprint = collection.fingerprint()
    dataset = ImageDataset(collection, extractor.transform)
    rows: dict[str, list[np.ndarray]] = {layer: [] for layer in extractor.layers}
    ids: list[str] = []
    skipped: list[tuple[str, str]] = []
    bar = tqdm(
        total=len(dataset),
        desc=extractor.network.title,
        unit="work",
        disable=not progress,
        leave=False,
    )
    with bar:
        for batch in _batches(dataset, batch_size, skipped, bar.update):
            # Stacked and never squeezed: a batch of one image keeps its first dimension.
            pixels, names = _stack(batch)
            for layer, values in extractor.rows(pixels).items():
                rows[layer].append(values)
            ids += names
    if not ids:
        raise CollectionError(
            f"none of the {len(collection)} works of {collection.name} can be read as an "
            f"image, the first one because: {skipped[0][1]}"
        )
    found = {
        layer: Features(
            np.concatenate(rows[layer]),
            tuple(ids),
            {**extractor.made_by(layer), "collection": fingerprint},
            tuple(skipped),
        )
        for layer in extractor.layers
    }
    return found[extractor.layers[0]] if layers is None or isinstance(layers, str) else found


def made_by(network: Network | str, crop: str, layer: str, pool: int) -> dict:
    """Return the note of what makes features: it tells one kind of row from another."""
    network = as_network(network)
    path = find_weights(network.weights)
    return {
        "network": network.name,
        "weights": file_sha256(path) if path else "",
        "layer": layer,
        "pool": pool,
        "crop": crop,
        "size": network.size,
    }


def flatten(output: torch.Tensor, pool: int = 1) -> torch.Tensor:
    """Return a layer's output as one row an image: maps pooled to a grid, tokens averaged."""
    if output.ndim == 4:
        from torch.nn.functional import adaptive_avg_pool2d

        output = adaptive_avg_pool2d(output, pool)
    elif output.ndim == 3:
        output = output.mean(dim=1)
    return output.flatten(1)


def _hash_model(model: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers of a model."""
    import torch

    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _batches(dataset: ImageDataset, size: int, skipped: list, step):
    """Yield lists of (pixels, id); note the works that cannot be read, and go on."""
    batch = []
    for row, id in enumerate(dataset.ids):
        try:
            batch.append(dataset[row])
        except ImageError as error:
            skipped.append((id, str(error)))
        step(1)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _stack(batch: list) -> tuple[torch.Tensor, list[str]]:
    import torch

    return torch.stack([pixels for pixels, _ in batch]), [id for _, id in batch]
