"""From a collection to one row of numbers a work: the features of a layer."""

from __future__ import annotations

import copy
import hashlib
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import ArtsearchError, CollectionError, check_whole, unknown
from artsearch.base.vectors import ShardedRows
from artsearch.networks.hooks import describe_pooling, split_layer
from artsearch.networks.registry import Network, as_network, load_model
from artsearch.networks.transforms import NO_CROP, transform_for
from artsearch.networks.weights import fetch_weights, file_sha256, find_weights
from artsearch.works.collection import Collection
from artsearch.works.file_state import fingerprint
from artsearch.works.images import ImageSource, open_image

if TYPE_CHECKING:
    from torch import nn

    from artsearch.networks.forward import Forward, Runner

#: "fast" computes in bfloat16, "exact" in float32; "auto" is fast where the machine has it.
PRECISIONS = ("auto", "fast", "exact")
#: A forward pass is compiled when it would otherwise go on for as many seconds as this: compiling
#: takes 10 to 60 seconds, and what follows then takes about two thirds of the time.
REPAYS_FROM = 240


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
        vectors = self.vectors
        if not isinstance(vectors, ShardedRows):  # which are on disk, and stay there
            vectors = np.asarray(vectors, dtype=np.float32).view()
            vectors.flags.writeable = False
        if vectors.ndim != 2 or len(vectors) != len(self.ids):
            raise ArtsearchError(
                f"features need one row an id; got an array of shape {vectors.shape} "
                f"for {len(self.ids)} ids"
            )
        if len(set(self.ids)) != len(self.ids):
            raise ArtsearchError("features need ids that differ; some are there twice")
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
        if id not in self._row:
            raise unknown("work", id, self.ids)
        return self.vectors[self._row[id]]

    @cached_property
    def _row(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.ids)}

    def report(self, shown: int = 5) -> str:
        """Say in a sentence how many works are there, and which were skipped and why.

        `shown` is how many of the skipped ones are named; `skipped` has them all.
        """
        text = f"{len(self):,} works, {self.dims:,} numbers each"
        if not self.skipped:
            return f"{text}."
        named = "; ".join(f"{id} ({reason})" for id, reason in self.skipped[:shown])
        left = len(self.skipped) - shown
        more = f"; and {left} more" if left > 0 else ""
        # An id may be any file name, with line ends in it; a report is one line.
        return f"{text}; {len(self.skipped)} skipped: {' '.join(named.split())}{more}."


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


def fast_is_possible() -> bool:
    """Tell whether the GPU, or else the processor, computes in bfloat16 by itself."""
    known = _ask_linux() if "torch" not in sys.modules else None
    if known is not None:
        return known
    from artsearch.networks.forward import has_bf16

    return has_bf16()


def _ask_linux() -> bool | None:
    """Tell it from what Linux says of a processor, or return None: importing torch takes seconds.

    None too where there may be a GPU, or a processor that names its abilities otherwise.
    """
    cards = Path("/proc/driver/nvidia").exists() or Path("/dev/kfd").exists()
    if cards or platform.machine() != "x86_64":
        return None
    try:
        lines = Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    except OSError:
        return None
    flags = next((line.split() for line in lines if line.startswith("flags")), None)
    return None if flags is None else not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def choose_precision(precision: str = "auto") -> str:
    """Return "fast" or "exact"; raises ArtsearchError where "fast" is asked for and cannot be."""
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if precision == "exact":
        return "exact"
    possible = fast_is_possible()
    if precision == "fast" and not possible:
        raise ArtsearchError(
            "precision is 'fast', but this machine does not compute in bfloat16 by itself (it "
            "wants AVX512-BF16, AMX, or a GPU of 2020 or newer); take 'exact' or 'auto'"
        )
    return "fast" if possible else "exact"


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
