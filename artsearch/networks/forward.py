"""The forward pass: inputs of pixels in, the rows of some layers out, as fast as it goes here."""

from __future__ import annotations

import copy
import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from artsearch.base.errors import ArtsearchError
from artsearch.networks.hooks import LayerHook
from artsearch.networks.maps import check_row
from artsearch.networks.network import split_layer
from artsearch.networks.pooling import pool_output
from artsearch.networks.precision import device, full_float32

#: Images a forward pass on a processor: with more, what lies between the layers leaves its cache
#: (two workers of EfficientNet-Lite0, compiled: 113 images a second with 16, 145 with 8).
CPU_BATCH = 8
#: Where a GPU begins; halved until it fits.
GPU_BATCH = 512
#: Passes side by side at most: each holds the maps of a batch (0.5 GB for VGG-16).
MOST_WORKERS = 8


class Forward(nn.Module):
    """A network with its hooks: inputs in (bytes, images × size × size × 3), rows out.

    `layers` gives the grid to which each layer's maps are pooled, where its name asks for no other
    pooling. It works on a twin of the model that shares its parameters, so that the hooks are never
    on the one that was handed in.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Mapping[str, int],
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
    ):
        super().__init__()
        if any(tensor.device.type != device() for tensor in _tensors(model)):
            # Moved while it is shared, it would take one half of the model handed in with it.
            model = copy.deepcopy(model).to(device())
        shared = _tensors(model)
        self.model = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
        self.layers = dict(layers)
        self.size = size
        # Another one over the same parameters, for another thread: hooks hold one batch at a time.
        self.twin = lambda: type(self)(model, layers, size, mean, std)
        # Never detached: the twin lives and dies with its hooks.
        modules = dict.fromkeys(split_layer(layer)[0] for layer in layers)
        self.hook = LayerHook(self.model, *modules).attach()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        self.eval().to(device(), memory_format=torch.channels_last)

    def forward(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """Return a float32 tensor of images × dims for each layer."""
        # Bytes of RGB, RGB, …: seen as channels × height × width they are channels_last already.
        pixels = (inputs.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        self.model(pixels)
        return [self._pool(layer, grid) for layer, grid in self.layers.items()]

    def check(self) -> None:
        """Send a black image through; raise ArtsearchError for a layer that gives no row of it."""
        with torch.no_grad():
            self.model(torch.zeros(1, 3, self.size, self.size, device=self.mean.device))
        for layer, grid in self.layers.items():
            check_row(layer, self.hook[split_layer(layer)[0]])
            self._pool(layer, grid)

    def _pool(self, layer: str, grid: int) -> torch.Tensor:
        module, pooling = split_layer(layer)
        return pool_output(self.hook.outputs[module], pooling, grid)


class Runner:
    """Forward passes in one precision, compiled or not, that survive a GPU that is too small.

    `precision` is "exact" (float32) or "fast" (bfloat16 where that does no harm, by autocast).
    Several threads may call it at once.
    """

    def __init__(self, forward: Forward, precision: str):
        self.precision = precision
        self.batch_size = GPU_BATCH if device() == "cuda" else CPU_BATCH
        self.compiled = self.tried = False
        self.most: int | None = None  # images that fit, once it is known that more do not
        self._plain, self._compiled = forward, None
        self._own = threading.local()

    def compile(self, batch_size: int) -> None:
        """Let torch make its own program of the network, for batches of this size alone.

        Takes 10 to 60 seconds. Where it cannot be done (it wants a C++ compiler) a note says so,
        and things go on as they were.
        """
        from torch._inductor import config

        # torch warns that it makes no more than eight programs of _pool, which has one for each
        # layer: the others go the plain way.
        for name in ("torch.utils.cpp_extension", "torch._dynamo"):
            logging.getLogger(name).setLevel(logging.ERROR)
        self.batch_size, self.compiled, self.tried = batch_size, True, True
        size = self._plain.size
        try:
            self._compiled = torch.compile(self._plain, dynamic=False)
            # Weights as constants, with batch normalisation folded into them: 41 works a second by
            # EfficientNet-Lite0 in place of 34. In bfloat16 what is folded is rounded twice, and
            # the mean cosine to float32 fell from 0.9991 to 0.9973; so there they stay as they are.
            with config.patch(freezing=self.precision == "exact"):
                self(torch.zeros(batch_size, size, size, 3, dtype=torch.uint8))
        except Exception as error:  # the compiler of the machine, or of torch, each in its own way
            self.compiled = False
            reason = " ".join(str(error).split())[:200]
            warnings.warn(f"torch.compile is not possible here ({reason}); slower", stacklevel=2)

    def __call__(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """Return a float32 tensor of images × dims on the processor for each layer."""
        try:
            return self._run(inputs)
        except torch.OutOfMemoryError:
            if len(inputs) == 1:
                raise ArtsearchError(
                    "the GPU's memory does not hold one image's way through the network; free some "
                    "of it, or set CUDA_VISIBLE_DEVICES='' to run on the processor"
                ) from None
        # Outside of the except block: what the failed pass held is freed only then. What was
        # compiled is for batches that do not fit.
        half, self.compiled = len(inputs) // 2, False
        self.most = min(self.most or half, half)
        self.batch_size = min(self.batch_size, half)
        torch.cuda.empty_cache()
        halves = [self(inputs[:half]), self(inputs[half:])]
        return [torch.cat(pair) for pair in zip(*halves, strict=True)]

    def _run(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        number = len(inputs)
        if self.compiled and number < self.batch_size:
            # Filled up: another number of images would be compiled again.
            empty = inputs.new_zeros(self.batch_size - number, *inputs.shape[1:])
            inputs = torch.cat([inputs, empty])
        kind = self._plain.mean.device.type
        if kind == "cuda":
            inputs = inputs.pin_memory().to(kind, non_blocking=True)
        fast = self.precision == "fast"
        products = nullcontext() if fast else full_float32(kind)
        with torch.no_grad(), products, torch.autocast(kind, torch.bfloat16, enabled=fast):
            outputs = self._forward(inputs)
        return [output[:number].cpu() for output in outputs]

    @property
    def _forward(self) -> Callable[[torch.Tensor], list[torch.Tensor]]:
        if self.compiled:
            return self._compiled
        if not hasattr(self._own, "forward"):
            main = threading.current_thread() is threading.main_thread()
            self._own.forward = self._plain if main else self._plain.twin()
        return self._own.forward


def count_workers() -> int:
    """Return how many forward passes may best run side by side: one on a GPU.

    On a processor each one has a core to itself. Threads that share a pass wait for the slowest of
    them at each layer, and on a busy machine a pass on two cores took four times as long.
    """
    return 1 if device() == "cuda" else min(torch.get_num_threads(), MOST_WORKERS)


@contextmanager
def thread_limit(workers: int) -> Iterator[None]:
    """Let torch use as many threads a pass as there are cores for each worker."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*model.parameters(), *model.buffers()]
