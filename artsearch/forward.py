"""The forward pass: squares of pixels in, the rows of some layers out, as fast as it goes here."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from artsearch.errors import ArtsearchError
from artsearch.hooks import LayerHook

#: Images a forward pass: more gain nothing on a processor.
CPU_BATCH = 16
#: Where a GPU begins; halved until it fits.
GPU_BATCH = 512


def device() -> str:
    """Return where networks run: "cuda" where there is a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def has_bf16() -> bool:
    """Tell whether the GPU, or else the processor, computes in bfloat16 by itself.

    torch also emulates it where the instructions are missing, which is slower than plain float32.
    """
    if device() == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class Forward(nn.Module):
    """A network with its hooks: squares in (bytes, images × size × size × 3), rows out.

    `layers` gives the grid to which each layer's maps are pooled. It works on a twin of the model
    that shares its parameters, so that the hooks are never on the one that was handed in.
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
        # What still has to move is copied: moved in place, it would take the model's half with it.
        everything = [*model.parameters(), *model.buffers()]
        shared = [tensor for tensor in everything if tensor.device.type == device()]
        self.model = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
        self.layers = dict(layers)
        self.size = size
        # Entered and never left: the twin lives and dies with its hooks.
        self.hook = LayerHook(self.model, *layers).__enter__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        self.eval().to(device(), memory_format=torch.channels_last)

    def forward(self, squares: torch.Tensor) -> list[torch.Tensor]:
        """Return a float32 tensor of images × dims for each layer."""
        # Bytes of RGB, RGB, …: seen as channels × height × width they are channels_last already.
        pixels = (squares.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        self.model(pixels)
        outputs = self.hook.outputs
        return [flatten(outputs[layer], pool).float() for layer, pool in self.layers.items()]

    def check(self) -> None:
        """Send one black image through; raise ArtsearchError for a layer that gives no tensor."""
        with torch.no_grad():
            self.model(torch.zeros(1, 3, self.size, self.size, device=self.mean.device))
        for layer in self.layers:
            self.hook[layer]


class Runner:
    """Forward passes in one precision, compiled or not, that survive a GPU that is too small.

    `precision` is "exact" (float32) or "fast" (bfloat16 where that does no harm, by autocast).
    """

    def __init__(self, forward: Forward, precision: str):
        self.precision = precision
        self.batch_size = GPU_BATCH if device() == "cuda" else CPU_BATCH
        self.compiled = False
        self._plain = self._forward = forward

    def compile(self, batch_size: int) -> None:
        """Let torch make its own program of the network, for batches of this size alone.

        Takes 10 to 60 seconds. Where it cannot be done (it wants a C++ compiler) a note says so,
        and things go on as they were.
        """
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
        self.batch_size, self.compiled = batch_size, True
        size = self._plain.size
        try:
            self._forward = torch.compile(self._plain, dynamic=False)
            self(torch.zeros(batch_size, size, size, 3, dtype=torch.uint8))
        except Exception as error:  # the compiler of the machine, or of torch, each in its own way
            self._forward, self.compiled = self._plain, False
            reason = " ".join(str(error).split())[:200]
            warnings.warn(f"torch.compile is not possible here ({reason}); slower", stacklevel=2)

    def __call__(self, squares: torch.Tensor) -> list[torch.Tensor]:
        """Return a float32 tensor of images × dims on the processor for each layer."""
        try:
            return self._run(squares)
        except torch.OutOfMemoryError:
            if len(squares) == 1:
                raise ArtsearchError(
                    "the GPU's memory does not hold one image's way through the network; free some "
                    "of it, or set CUDA_VISIBLE_DEVICES='' to run on the processor"
                ) from None
        # Outside of the except block: what the failed pass held is freed only then.
        half = len(squares) // 2
        self.batch_size = min(self.batch_size, half)
        torch.cuda.empty_cache()
        halves = [self(squares[:half]), self(squares[half:])]
        return [torch.cat(pair) for pair in zip(*halves, strict=True)]

    def _run(self, squares: torch.Tensor) -> list[torch.Tensor]:
        number = len(squares)
        if self.compiled and number < self.batch_size:
            # Filled up: another number of images would be compiled again.
            empty = squares.new_zeros(self.batch_size - number, *squares.shape[1:])
            squares = torch.cat([squares, empty])
        kind = self._plain.mean.device.type
        if kind == "cuda":
            squares = squares.pin_memory().to(kind, non_blocking=True)
        fast = self.precision == "fast"
        frozen = _frozen() if self.compiled else nullcontext()
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=fast), frozen:
            outputs = self._forward(squares)
        return [output[:number].cpu() for output in outputs]


@contextmanager
def _frozen() -> Iterator[None]:
    """Let the compiler take the weights as constants, laid out as the processor likes them."""
    from torch._inductor import config
    from torch._inductor.fx_passes import binary_folding

    # It would also fold batch norm into weights that are rounded to bfloat16 already, and round
    # them again: on paintings the mean cosine to float32 fell from 0.9991 to 0.9973. In float32
    # nothing is marked by this function, and folding stays.
    mark = binary_folding.mark_mixed_dtype_allowed_computation_ops
    binary_folding.mark_mixed_dtype_allowed_computation_ops = lambda graph: None
    try:
        with config.patch(freezing=True):
            yield
    finally:
        binary_folding.mark_mixed_dtype_allowed_computation_ops = mark


def flatten(output: torch.Tensor, pool: int = 1) -> torch.Tensor:
    """Return a layer's output as one row an image: maps pooled to a grid, tokens averaged."""
    if output.ndim == 4:
        output = nn.functional.adaptive_avg_pool2d(output, pool)
    elif output.ndim == 3:
        output = output.mean(dim=1)
    return output.flatten(1)
