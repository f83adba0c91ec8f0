"""Catching what a layer gives, without touching the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError, unknown

if TYPE_CHECKING:
    import torch
    from torch import nn


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
        return self.attach()

    def __exit__(self, *error: object) -> None:
        self.detach()

    def attach(self) -> LayerHook:
        """Register the hooks, which stay until `detach`; a `with` block does both."""
        self.outputs, self._others = {}, {}
        for name, module in self._modules.items():
            self._handles.append(module.register_forward_hook(self._catch(name)))
        return self

    def detach(self) -> None:
        """Remove the hooks."""
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


def named_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules of a model by name; those of a WithMaps as the network itself has them."""
    from artsearch.networks.maps import WithMaps

    prefix = "network." if isinstance(model, WithMaps) else ""
    return {name.removeprefix(prefix): one for name, one in model.named_modules()}


def _find(model: nn.Module, layer: str | nn.Module) -> tuple[str, nn.Module]:
    if isinstance(layer, str):
        modules = named_layers(model)
        if layer not in modules:
            names = [name for name in modules if name]
            raise unknown("layer", layer, names, "; see layers(network)")
        return layer, modules[layer]
    for name, module in named_layers(model).items():
        if module is layer:
            return name, module
    raise ArtsearchError(f"the {type(layer).__name__} given is no module of this network")
