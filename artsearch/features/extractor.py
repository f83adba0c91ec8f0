"""A network made ready: images in, the rows of one or several layers out."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from artsearch.base.disk import file_sha256
from artsearch.base.errors import ArtsearchError, check_whole, reason_of
from artsearch.networks.hooks import LayerHook
from artsearch.networks.loading import load_model
from artsearch.networks.network import Network, describe_pooling, split_layer
from artsearch.networks.precision import choose_precision, full_float32
from artsearch.networks.registry import as_network, transform_for
from artsearch.networks.transforms import NO_CROP
from artsearch.networks.weights import fetch_weights, find_weights
from artsearch.works.images import READING, ImageSource, open_image

if TYPE_CHECKING:
    from torch import nn

    from artsearch.networks.forward import Runner

#: A forward pass is compiled when it would otherwise go on for as many seconds as this: compiling
#: takes 10 to 60 seconds, and what follows then takes about two thirds of the time.
REPAYS_FROM = 240


class FeatureExtractor:
    """A network made ready: images in, the rows of one or several layers out.

    `layers` are dotted module names, the registered layer if none is given. A feature map is
    average-pooled to `pool` × `pool` (the entry's own for its registered layer, 1 for others) and
    flattened; a sequence of tokens is averaged. Another pooling stands behind the name, as in
    "layer3:gram" (see artsearch.networks.pooling). Runs on a GPU where there is one. A `model`
    given takes the place of the registered weights, and its own hash goes into the provenance; it
    is left as it is. The network is loaded when it is first needed.

    `precision` is one of PRECISIONS. `compile` says whether a pass over a collection compiles the
    network: True (at its first full batch), False (never), or None: when it is one that compiling
    makes quicker, and the pass is long enough to repay it.

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
        self._given = self.network.module if model is None else model
        self._shared: FeatureExtractor | None = None

    def __call__(self, image: ImageSource) -> np.ndarray:
        """Return the row of one image for the first layer; raises ImageError if unreadable."""
        return self.describe([open_image(image)])[self.layers[0]][0]

    def describe(self, images: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        """Return a float32 array of images × dims for each layer, of RGB images, at once."""
        import torch

        from artsearch.networks.pooling import pool_output

        device = "cuda" if torch.cuda.is_available() else "cpu"
        batch = torch.stack([self.transform(image) for image in images]).to(device)
        named = {layer: split_layer(layer) for layer in self.layers}
        autocast = torch.autocast(device, torch.bfloat16, enabled=self.fast)
        products = autocast if self.fast else full_float32(device)
        with LayerHook(self.model, *(module for module, _ in named.values())) as hook:
            with torch.inference_mode(), products:
                self.model.to(device)(batch)
                pooled = {
                    layer: pool_output(hook[module], pooling, self.pool(layer))
                    for layer, (module, pooling) in named.items()
                }
        return {layer: rows.cpu().numpy() for layer, rows in pooled.items()}

    def read(self, texts: Sequence[str]) -> np.ndarray:
        """Return a float32 array of texts × dims, by the network's tower for words.

        Raises WeightsError, and ArtsearchError for a text that is too long.
        """
        from artsearch.features.words import text_encoder

        return text_encoder(self.network)(texts)

    @cached_property
    def model(self) -> nn.Module:
        """The network with its weights, in eval mode; raises WeightsError where it has none."""
        if self._shared is not None:
            return self._shared.model
        if self._given is None:
            return load_model(self.network)
        from artsearch.networks.maps import copy_own

        return copy_own(self._given)

    def provenance(self, layer: str) -> dict:
        """Return what goes with the rows of a layer: what made them."""
        pooling = split_layer(layer)[1]
        return {
            "network": self.network.name,
            "weights": self.weights,
            "layer": layer,
            "pool": describe_pooling(pooling) if pooling else self.pool(layer),
            "crop": self.transform.crop,
            "size": self.network.size,
            "precision": self.precision,
            "reading": READING,
        }

    def pool(self, layer: str) -> int:
        """Return the side of the grid to which a layer's feature maps are pooled."""
        return self._pool or (self.network.pool if layer == self.network.layer else 1)

    @cached_property
    def weights(self) -> str:
        """The SHA-256 of the weights; raises WeightsError where they cannot be had."""
        if self._given is not None:
            # With its own hash, a model of the user's is never taken for the registered one.
            try:
                return _hash_model(self._given)
            except (AttributeError, RuntimeError, TypeError) as error:
                raise ArtsearchError(
                    f"the weights of {self.network.name} have no hash ({reason_of(error)[:200]}); "
                    "hand in the model as it was trained: tensors that are there, and not quantised"
                ) from None
        weights = self.network.weights
        return file_sha256(find_weights(weights) or fetch_weights(weights, self.network.name))

    # ---- what the fast way asks (see artsearch.features.pipeline) -------------------------------

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
        other = self._copy(crop, self._given)
        other._shared = self
        return other

    def without_model(self) -> FeatureExtractor:
        """Return an extractor that preprocesses alone, and is light to send to another process."""
        other = self._copy(self.transform.crop, None)
        other._given = None
        return other

    def _copy(self, crop: str, model: nn.Module | None) -> FeatureExtractor:
        more = self._pool, model, self.precision, self.compile
        return type(self)(self.network, crop, self.layers, *more)

    def __getstate__(self) -> dict:
        # What another process needs to load the network itself. The hash is taken there again, of
        # what is found there.
        left_out = ("model", "runner", "weights")
        state = {name: value for name, value in self.__dict__.items() if name not in left_out}
        network = replace(self.network, module=None)
        return state | {"network": network, "_given": _on_processor(self._given)}

    def preprocess(self, image: Image.Image) -> np.ndarray:
        """Return an RGB image as the bytes that go in: size × size × 3."""
        return self.transform.preprocess(image, self.fast)

    def rows(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return a float32 array of images × dims for each layer, from preprocessed images."""
        import torch

        outputs = self.runner(torch.from_numpy(np.stack(inputs)))
        return {layer: rows.numpy() for layer, rows in zip(self.layers, outputs, strict=True)}

    def wants_compiling(self, works: int, seconds_each: float | None) -> bool:
        """Tell whether to compile now: it is asked for, or repays itself with so many works.

        `seconds_each` is None as long as it is not known. What was tried is not tried again.
        """
        if self.compile is False or self.runner.tried:
            return False
        repays = self.network.compiles and (seconds_each or 0) * works > REPAYS_FROM
        return bool(self.compile) or repays

    def load(self) -> Runner:
        """Load the network where it is not loaded yet; raises ArtsearchError for a wrong layer."""
        return self.runner

    @cached_property
    def runner(self) -> Runner:
        """The network with its hooks, as the fast way runs it."""
        from artsearch.networks.forward import Forward, Runner

        if self._shared is not None:
            return self._shared.runner
        pools = {layer: self.pool(layer) for layer in self.layers}
        network = self.network
        forward = Forward(self.model, pools, network.size, network.mean, network.std)
        forward.check()
        return Runner(forward, self.precision)


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
