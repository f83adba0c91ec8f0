"""Any network of timm as an entry: its size, weights and licence are what timm says of them."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.networks.hooks import LayerHook
from artsearch.networks.loading import build_model
from artsearch.networks.network import BlendLayers, Network, blend_of
from artsearch.networks.weights import Weights


@lru_cache
def timm_network(name: str) -> Network:
    import timm

    if not timm.is_model(name):
        raise unknown("network of timm", name, timm.list_models())
    tags = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    if not tags or "." in name and name not in tags:
        raise unknown("trained network of timm", name, tags or timm.list_pretrained())
    config = timm.get_pretrained_cfg(name)
    architecture = f"{config.architecture}.{config.tag}" if config.tag else config.architecture
    papers = config.paper_ids or "see timm"
    network = Network(
        name=f"timm:{name}",
        title=architecture,
        library="timm",
        architecture=architecture,
        layer="",
        dims=0,
        size=(config.test_input_size or config.input_size)[1],
        mean=config.mean,
        std=config.std,
        interpolation=config.interpolation,
        weights=_weights(config, architecture),
        licence=config.license or "not stated",
        paper=papers if isinstance(papers, str) else ", ".join(papers),
    )
    return replace(network, dims=_output_dims(network), blend=_blend(network))


def _blend(network: Network) -> BlendLayers | None:
    """Return layers of a timm network by their reduction, where timm says what that is.

    None where it does not, or where what it names gives no tensor.
    """
    import torch

    with torch.device("meta"), torch.inference_mode():
        model = build_model(network)
        stages = getattr(model, "feature_info", None) or []
        by_reduction = {stage["reduction"]: stage["module"] for stage in stages}
        if not {2, 4, 8, 16} <= by_reduction.keys():
            return None
        early, *middle = (by_reduction[reduction] for reduction in (2, 4, 8, 16))
        try:
            with LayerHook(model, early, *middle) as hook:
                model(torch.empty(1, 3, network.size, network.size))
            if any(hook[name].ndim != 4 for name in (early, *middle)):
                return None
        except ArtsearchError:
            return None
    return blend_of(early, tuple(middle), network.layer)


def _output_dims(network: Network) -> int:
    """Return how many numbers a network's own output has, without computing it."""
    import torch

    with torch.device("meta"), torch.inference_mode():
        model = build_model(network)
        try:
            output = model(torch.empty(1, 3, network.size, network.size))
        except Exception as error:  # each network has its own way to say so
            raise ArtsearchError(
                f"{network.name} takes no square images of {network.size} pixels: {error}"
            ) from None
    return output.shape[-1] if output.ndim == 3 else output.shape[1]


def _weights(config, architecture: str) -> Weights:
    if config.hf_hub_id:
        return Weights(file=f"{architecture}.safetensors", hub=config.hf_hub_id)
    # As in torch.hub: a file's name ends in the first digits of its SHA-256.
    known = re.search(r"-([0-9a-f]{8,})\.", config.url)
    return Weights(
        file=config.url.rpartition("/")[2], url=config.url, sha256=known[1] if known else ""
    )
