"""A network whose feature maps are layers of their own, the same in every family."""

from __future__ import annotations

import copy

import torch
from torch import nn

from artsearch.base.errors import ArtsearchError


class Map(nn.Identity):
    """A feature map as a layer: what goes in comes out, for a hook to catch."""


class WithMaps(nn.Module):
    """A network of timm with its feature maps beside its modules: `maps.0` to the deepest.

    A map is images × channels × height × width in every family, as `forward_intermediates` of timm
    brings it: tokens laid out as in the picture, class and register tokens left out, channels
    first. Only maps that have a hook are computed. In a network of one width throughout (a plain
    transformer) they go through the final normalisation, as DINOv2 takes its intermediate layers
    (Oquab et al. 2023, arXiv:2304.07193, code): a few channels are far larger than all others else.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        widths = [stage["num_chs"] for stage in network.feature_info]
        self.maps = nn.ModuleList(Map() for _ in widths)
        self.normalised = len(set(widths)) == 1

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        wanted = [number for number, one in enumerate(self.maps) if one._forward_hooks]
        if not wanted:
            return self.network(pixels)
        final, maps = self.network.forward_intermediates(
            pixels, indices=wanted, norm=self.normalised, output_fmt="NCHW", stop_early=False
        )
        for number, one in zip(wanted, maps, strict=True):
            self.maps[number](one)
        return self.network.forward_head(final)


def with_maps(model: nn.Module) -> nn.Module:
    """Return a model with its maps as layers, where it gives them; else as it is."""
    able = hasattr(model, "forward_intermediates") and hasattr(model, "forward_head")
    return WithMaps(model) if able and getattr(model, "feature_info", None) else model


def copy_own(model: nn.Module) -> nn.Module:
    """Return a copy of a model of one's own, in float32 and eval mode, with its maps."""
    return with_maps(copy.deepcopy(model).float()).eval()


def channels_first(output: torch.Tensor) -> torch.Tensor:
    """Return maps with their channels first: those of square images are square, and tell.

    >>> channels_first(torch.zeros(1, 7, 7, 768)).shape
    torch.Size([1, 768, 7, 7])
    """
    sides = output.shape[1:]
    is_last = len(sides) == 3 and sides[0] == sides[1] != sides[2]
    return output.movedim(3, 1) if is_last else output


def check_row(layer: str, output: torch.Tensor) -> None:
    """Raise ArtsearchError unless a layer gave a row of the image that went through alone.

    Attention in windows, and weights that are computed anew, are of no image.
    """
    if output.shape[:1] != (1,) or output.ndim < 2 or not output.numel():
        raise ArtsearchError(
            f"layer {layer!r} gives the shape {tuple(output.shape)} for one image, and no row an "
            "image; take another layer, see layers(network)"
        )
