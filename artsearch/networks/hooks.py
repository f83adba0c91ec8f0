"""Catching what a layer gives, without touching the network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError, unknown

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from torch import nn

    from artsearch.networks.registry import Network


#: Channels up to which a layer's own are compared with each other. More are first projected onto
#: this many random directions, so that no row has more than 1,176 numbers: the Gram matrix of
#: VGG-16's last block would have 131,328. The neighbours stay, see 05_content_and_style.
CHANNELS = 48
#: What can be asked for behind a layer's name, as in "blocks.4:gram"; see
#: artsearch.networks.pooling.
POOLINGS = ("gram", "covariance", "moments", "gem")


def split_layer(layer: str) -> tuple[str, str]:
    """Return the module's name and the pooling that a layer asks for; "" is the mean.

    >>> split_layer("blocks.4:gram"), split_layer("layer4")
    (('blocks.4', 'gram'), ('layer4', ''))
    """
    module, colon, pooling = layer.rpartition(":")
    if not colon:
        return layer, ""
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS, ", as in 'layer4:gram'")
    return module, pooling


def describe_pooling(pooling: str) -> str:
    """Return what is noted of a pooling: its name, with the number of directions where it has one.

    >>> describe_pooling("gram"), describe_pooling("moments")
    ('gram48', 'moments')
    """
    return f"{pooling}{CHANNELS}" if pooling in ("gram", "covariance") else pooling


class LayerHook:
    """Catch the outputs of one or several layers while the `with` block runs.

    A layer is a dotted module name, such as "layer4" or "features.30", or a module of the network;
    "" is the network itself. `hook["layer4"]` is what the layer gave in the last forward pass, a
    copy that later layers cannot change; `hook.output` is the same where there is only one. The
    hooks are gone after the block, also after an exception. Raises ArtsearchError for a layer that
    the network does not have, and for one that the forward pass did not reach.

    >>> from torch import nn, zeros
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> with LayerHook(model, "0") as hook:
    ...     _ = model(zeros(1, 3, 5, 5))
    >>> hook["0"].shape
    torch.Size([1, 8, 3, 3])
    """

    def __init__(self, model: nn.Module, *layers: str | nn.Module):
        if not layers:
            raise ArtsearchError("no layer named; name one or more, see layers(network)")
        self.outputs: dict[str, torch.Tensor] = {}
        self._modules = dict(_find(model, layer) for layer in layers)
        self._others: dict[str, str] = {}
        self._handles: list = []

    def __enter__(self) -> LayerHook:
        self.outputs, self._others = {}, {}
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._catch(name)))
        return self

    def __exit__(self, *error: object) -> None:
        while self._handles:
            self._handles.pop().remove()

    def __getitem__(self, layer: str | nn.Module) -> torch.Tensor:
        name = next((name for name, module in self._modules.items() if module is layer), layer)
        if name not in self._modules:
            raise unknown("hooked layer", name, self._modules)
        if name in self._others:
            raise ArtsearchError(
                f"layer {name!r} gives a {self._others[name]} and no tensor; take a layer inside it"
            )
        if name not in self.outputs:
            raise ArtsearchError(
                f"layer {name!r} gave nothing: no image went through it in the `with` block"
            )
        return self.outputs[name]

    @property
    def output(self) -> torch.Tensor:
        """What the layer gave; with several layers hooked, ask by name."""
        if len(self._modules) > 1:
            names = ", ".join(self._modules)
            raise ArtsearchError(f"{len(self._modules)} layers are hooked; name one: {names}")
        return self[next(iter(self._modules))]

    def _catch(self, name: str):
        def catch(module, inputs, output):
            if hasattr(output, "detach"):
                # A copy: an in-place ReLU behind the layer would otherwise change what we hold.
                self.outputs[name] = output.detach().clone()
            else:
                self._others[name] = type(output).__name__

        return catch


def layers(network: Network | str | nn.Module, size: int | None = None) -> pd.DataFrame:
    """List a network's layers: name, type, shape of the output for one image, parameters.

    Takes a registered network (no weights are needed) or any model, for which `size` is the side
    of its input in pixels (224 if not given). Layers that the forward pass does not reach, or that
    give no tensor, are left out. Raises ArtsearchError for a size that the model does not take.
    """
    import pandas as pd
    import torch

    from artsearch.networks.registry import as_network, build_model

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


def _find(model: nn.Module, layer: str | nn.Module) -> tuple[str, nn.Module]:
    if isinstance(layer, str):
        modules = dict(model.named_modules())
        if layer not in modules:
            names = [name for name in modules if name]
            raise unknown("layer", layer, names, "; see layers(network)")
        return layer, modules[layer]
    for name, module in model.named_modules():
        if module is layer:
            return name, module
    raise ArtsearchError(f"the {type(layer).__name__} given is no module of this network")
