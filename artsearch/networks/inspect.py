"""What layers a network has, and what each of them gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

from artsearch.base.errors import ArtsearchError
from artsearch.networks.hooks import LayerHook
from artsearch.networks.loading import build_model
from artsearch.networks.network import Network
from artsearch.networks.registry import as_network

if TYPE_CHECKING:
    from torch import nn


def layers(network: Network | str | nn.Module, size: int | None = None) -> pd.DataFrame:
    """List a network's layers: name, type, shape of the output for one image, parameters.

    Takes a registered network (no weights are needed) or any model, for which `size` is the side
    of its input in pixels (224 if not given). Layers that the forward pass does not reach, or that
    give no tensor, are left out. Raises ArtsearchError for a size that the model does not take.
    """
    import torch

    if isinstance(network, torch.nn.Module):
        model, size = network, size or 224
    else:
        network = as_network(network)
        # On "meta" a tensor has a shape and no numbers: nothing is computed.
        with torch.device("meta"):
            model, size = build_model(network), size or network.size
    modules = {name: module for name, module in model.named_modules() if name}
    shapes = _output_shapes(model, modules, size)
    rows = [
        {
            "layer": name,
            "type": type(module).__name__,
            "shape": shapes[name],
            "parameters": sum(p.numel() for p in module.parameters(recurse=False)),
        }
        for name, module in modules.items()
        if name in shapes
    ]
    return pd.DataFrame(rows, columns=["layer", "type", "shape", "parameters"])


def has_attention(network: Network) -> bool:
    """Tell whether a network has attention, by the numbers of heads that its modules state."""
    import torch

    with torch.device("meta"):
        model = build_model(network)
    named = ("num_heads", "n_heads")
    return any(hasattr(module, name) for module in model.modules() for name in named)


def _output_shapes(model: nn.Module, names: Iterable[str], size: int) -> dict[str, tuple[int, ...]]:
    """Send one image through, and leave each module in the mode in which it was."""
    import torch

    like = next(model.parameters(), torch.empty(0))
    modes = {module: module.training for module in model.modules()}
    try:
        with LayerHook(model, *names) as hook, torch.inference_mode():
            model.eval()(torch.zeros(1, 3, size, size, dtype=like.dtype, device=like.device))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ArtsearchError(
            f"an image of {size} × {size} pixels does not go through {type(model).__name__}: "
            f"{reason}; name the side of its input as `size`"
        ) from None
    finally:
        for module, mode in modes.items():
            module.training = mode
    return {name: tuple(output.shape[1:]) for name, output in hook.outputs.items()}
