"""From an entry to a model: the bare architecture, and its trained weights."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError, WeightsError, unknown
from artsearch.networks.network import Network
from artsearch.networks.weights import fetch_weights, find_weights

if TYPE_CHECKING:
    from torch import nn


def build_model(network: Network) -> nn.Module:
    """Return the bare architecture with random weights: for shapes and speed, never for search."""
    if network.library == "torchvision":
        import torchvision

        known = torchvision.models.list_models()
        if network.architecture not in known:
            raise unknown("architecture of torchvision", network.architecture, known)
        return torchvision.models.get_model(network.architecture, weights=None).eval()
    if network.library == "open_clip":
        from artsearch.networks.open_clip import build_towers

        return build_towers(network).visual
    if network.library != "timm":
        raise unknown("library", network.library, ("open_clip", "timm", "torchvision"))
    import timm

    if not timm.is_model(network.architecture):
        raise unknown("architecture of timm", network.architecture, timm.list_models())
    return _without_head(timm.create_model(network.architecture, pretrained=False), network).eval()


def load_model(network: Network) -> nn.Module:
    """Return the network with its trained weights, in eval mode.

    Weights are taken from the folder ARTSEARCH_WEIGHTS, the caches of torch and timm, the package,
    or the download, in this order. Raises WeightsError when none of them has the weights, or when
    a file is not what it should be.
    """
    return _load_with(_load, network)


def load_both_towers(network: Network) -> nn.Module:
    """Return a network of open_clip with the tower that takes words; raises what load_model does.

    `model.visual` is what load_model returns of it.
    """
    from artsearch.networks.open_clip import load_towers

    return _load_with(load_towers, network)


def _load_with(load: Callable[[Network, Path], nn.Module], network: Network) -> nn.Module:
    path = find_weights(network.weights) or fetch_weights(network.weights, network.name)
    try:
        return load(network, path)
    except ArtsearchError:
        raise
    except pickle.UnpicklingError:
        # torch says here how to open the file all the same, which is no advice to pass on.
        reason = "it is damaged, or holds more than numbers, and is not opened"
    except Exception as error:  # torch, safetensors and timm each have their own
        reason = " ".join(str(error).split())[:300]
    raise WeightsError(
        f"{path} does not hold the weights of {network.name}: {reason}; remove it and run again"
    )


def _load(network: Network, path: Path) -> nn.Module:
    if network.library == "open_clip":
        from artsearch.networks.open_clip import load_towers

        return load_towers(network, path).visual
    if network.library == "timm" and network.layer == "":
        return _load_with_timm(network, path)
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


def _load_with_timm(network: Network, path: Path) -> nn.Module:
    """Let timm load a file into one of its networks: it knows each one's peculiarities."""
    import timm

    if path.suffix != ".safetensors":
        _read_state(path)  # refuses a pickle that does more than hold numbers; not every timm does
    # `custom_load` is for the files of other libraries; the hub has each network in timm's form.
    overlay = {"file": str(path), "custom_load": False}
    model = timm.create_model(network.architecture, pretrained=True, pretrained_cfg_overlay=overlay)
    return _without_head(model, network).eval()


def _without_head(model: nn.Module, network: Network) -> nn.Module:
    # A layer "" takes the network's own output, which must then be features, not classes. The head
    # goes after the weights came: without a head timm would take a file in which most is missing.
    if network.layer == "" and getattr(model, "num_classes", 0):
        model.reset_classifier(0)
    return model
