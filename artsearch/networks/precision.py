"""Whether this machine computes in bfloat16, and the precision that follows."""

from __future__ import annotations

import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from artsearch.base.errors import ArtsearchError, unknown

#: "fast" computes in bfloat16, "exact" in float32; "auto" is fast where the machine has it.
PRECISIONS = ("auto", "fast", "exact")


def fast_is_possible() -> bool:
    """Tell whether the GPU, or else the processor, computes in bfloat16 by itself."""
    known = _ask_linux() if "torch" not in sys.modules else None
    if known is not None:
        return known
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


def full_float32(kind: str) -> AbstractContextManager:
    """Let a GPU multiply float32 as it is; left alone, it rounds in convolutions to TF32's 10 bits.

    On an H200 that took the cosine to the processor's rows from 1.0000 down to 0.9996.

    >>> import torch
    >>> with full_float32("cuda"):
    ...     print(torch.backends.cudnn.allow_tf32)
    False
    """
    import torch

    return torch.backends.cudnn.flags(True, allow_tf32=False) if kind == "cuda" else nullcontext()


def device() -> str:
    """Return where networks run: "cuda" where there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def has_bf16() -> bool:
    """Tell whether the GPU, or else the processor, computes in bfloat16 by itself.

    torch also emulates it where the instructions are missing, which is slower than plain float32.
    """
    import torch

    if device() == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
