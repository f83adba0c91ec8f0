"""A network made ready: images in, the rows of one or several layers out."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.disk import file_sha256
from artsearch.base.errors import ArtsearchError, check_whole
from artsearch.networks.hooks import describe_pooling, split_layer
from artsearch.networks.precision import choose_precision
from artsearch.networks.registry import Network, as_network, load_model
from artsearch.networks.transforms import NO_CROP, transform_for
from artsearch.networks.weights import fetch_weights, find_weights
from artsearch.works.images import ImageSource, open_image

if TYPE_CHECKING:
    from torch import nn

    from artsearch.networks.forward import Forward, Runner

#: A forward pass is compiled when it would otherwise go on for as many seconds as this: compiling
#: takes 10 to 60 seconds, and what follows then takes about two thirds of the time.
REPAYS_FROM = 240


class FeatureExtractor:
    """A network made ready: images in, the rows of one or several layers out.

    `layers` are dotted module names, the registered layer if none is given. A feature map is
    average-pooled to `pool` × `pool` (the entry's own for its registered layer, 1 for others) and
    flattened; a sequence of tokens is averaged. Another pooling stands behind the name, as in
    "layer3:gram" (see `artsearch.networks.pooling.POOLINGS`). Runs on a GPU where there is one. A
    `model` given takes the place of the registered weights, and its own hash goes into the note; it
    is left as it is. The network is loaded when it is first needed.

    `precision` is one of PRECISIONS. `compile` says whether a pass over a collection compiles the
    network: True (at its first full batch), False (never), or None: when it is long enough to repay
    it.

    Raises ArtsearchError for an unknown network, crop or precision, and for "fast" where the
    machine cannot compute in bfloat16.
    """

    def __init__(
        self,
        network: Network | str,
        crop: str = NO_CROP,
        layers: Sequence[str] | str | None = None,
        pool: int | None = None,
        model: nn.Module | None = None,
        precision: str = "auto",
        compile: bool | None = None,
    ):
        self.network = as_network(network)
        self.transform = transform_for(self.network, crop)
        names = [self.network.layer] if layers is None else layers
        self.layers = [names] if isinstance(names, str) else list(dict.fromkeys(names))
        if not self.layers:
            raise ArtsearchError("no layer named; name one or more, see layers(network)")
        if pool is not None:
            check_whole("pool", pool)
        self._pool = pool
        self.precision = choose_precision(precision)
        self.compile = compile
        self._given = model
        self._shared: FeatureExtractor | None = None

    @property
    def fast(self) -> bool:
        """Whether it computes in bfloat16, and resizes and decodes the faster way."""
        return self.precision == "fast"

    @property
    def side(self) -> int | None:
        """The side of a picture that is enough to decode, in pixels; None for all of it."""
        # The same for all the usual networks, so that one decoded picture serves them all, and
        # their rows do not depend on which of them are computed together.
        return max(640, 2 * self.network.size) if self.fast else None

    def with_crop(self, crop: str) -> FeatureExtractor:
        """Return an extractor for another crop that shares this one's network."""
        other = copy.copy(self)
        other.transform = transform_for(self.network, crop)
        other._shared = self
        return other

    def without_model(self) -> FeatureExtractor:
        """Return an extractor that makes squares alone, and is light to send to another process."""
        other = copy.copy(self)
        other._given = other._shared = None
        return other

    def __getstate__(self) -> dict:
        # What another process needs to load the network itself. The hash is taken there again, of
        # what is found there.
        left_out = ("runner", "weights")
        state = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return state | {"_given": _on_processor(self._given)}

    def made_by(self, layer: str) -> dict:
        """Return the note that goes with the rows of a layer."""
        return {
            "network": self.network.name,
            "weights": self.weights,
            "layer": layer,
            "pool": self._note_pooling(layer),
            "crop": self.transform.crop,
            "size": self.network.size,
            "precision": self.precision,
        }

    def pool(self, layer: str) -> int:
        """Return the side of the grid to which a layer's feature maps are pooled."""
        return self._pool or (self.network.pool if layer == self.network.layer else 1)

    def _note_pooling(self, layer: str) -> int | str:
        pooling = split_layer(layer)[1]
        return describe_pooling(pooling) if pooling else self.pool(layer)

    def square(self, image) -> np.ndarray:
        """Return an RGB image as the bytes that go in: size × size × 3."""
        return self.transform.square(image, self.fast)

    def rows(self, squares: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return a float32 array of images × dims for each layer, from squares of pixels."""
        import torch

        outputs = self.runner(torch.from_numpy(np.stack(squares)))
        return {layer: rows.numpy() for layer, rows in zip(self.layers, outputs, strict=True)}

    def wants_compiling(self, works: int, seconds_each: float | None) -> bool:
        """Tell whether to compile now: it is asked for, or so many works take long enough.

        `seconds_each` is None as long as it is not known. What was tried is not tried again.
        """
        if self.compile is False or self.runner.tried:
            return False
        return bool(self.compile) or (seconds_each or 0) * works > REPAYS_FROM

    def __call__(self, image: ImageSource) -> np.ndarray:
        """Return the row of one image for the first layer; raises ImageError if unreadable."""
        return self.rows([self.square(open_image(image, self.side))])[self.layers[0]][0]

    @cached_property
    def runner(self) -> Runner:
        """The network with its hooks, loaded; raises ArtsearchError for an unknown layer."""
        from artsearch.networks.forward import Forward, Runner

        if self._shared is not None:
            return self._shared.runner
        model = load_model(self.network) if self._given is None else self._given
        pools = {layer: self.pool(layer) for layer in self.layers}
        network = self.network
        forward: Forward = Forward(model, pools, network.size, network.mean, network.std)
        forward.check()
        return Runner(forward, self.precision)

    @cached_property
    def weights(self) -> str:
        """The SHA-256 of the weights; raises WeightsError where they cannot be had."""
        if self._given is not None:
            # With its own hash, a model of the user's is never taken for the registered one.
            return _hash_model(self._given)
        weights = self.network.weights
        return file_sha256(find_weights(weights) or fetch_weights(weights, self.network.name))


def _on_processor(model: nn.Module | None) -> nn.Module | None:
    """Return the model, or a copy where it is on a GPU, which another machine may not have."""
    if model is None or all(one.device.type == "cpu" for one in model.state_dict().values()):
        return model
    return copy.deepcopy(model).cpu()


def _hash_model(model: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers of a model."""
    import torch

    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
