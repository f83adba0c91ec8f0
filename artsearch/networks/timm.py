"""Any network of timm: its entry, which is what timm says of it, and its model."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.networks.network import Network, blend_by_depth
from artsearch.networks.weights import Weights

if TYPE_CHECKING:
    from torch import nn

#: What a network's own output is made of, by timm's word for its pooling.
DESCRIPTORS = {
    "token": "class token",
    "avg": "mean of patches",
    "map": "attention pooling",
}


#: What stands for a file where weights are to be random.
RANDOM = "random"


@lru_cache
def timm_network(name: str) -> Network:
    """Return the entry of a network by its name in timm, or NAME@FILE for a checkpoint of it.

    NAME@random has random weights, the same ones each time: for shapes and speed, and to try
    whether all runs where no weights can be had.

    Raises ArtsearchError for a name that timm does not have trained, for a file that is missing,
    and for a network that takes no square images.
    """
    import timm

    name, _, file = name.partition("@")
    if not timm.is_model(name):
        raise unknown("network of timm", name, timm.list_models())
    tags = timm.list_pretrained(f"{name.partition('.')[0]}.*")
    if "." in name and name not in tags or not file and not tags:
        raise unknown("trained network of timm", name, tags or timm.list_pretrained())
    config = timm.get_pretrained_cfg(name)
    if file:
        # A file of one's own has another one than the network it began as: see _own_config.
        config = replace(config, license=RANDOM if file == RANDOM else "of the file's maker")
    weights = Weights(file="")
    if file and file != RANDOM:
        path = Path(file).expanduser()
        config, weights = _own_config(name, path, config), Weights(path.name, path=str(path))
    architecture = f"{config.architecture}.{config.tag}" if config.tag else config.architecture
    papers = config.paper_ids or "see timm"
    network = Network(
        name=f"timm:{name}@{file}" if file else f"timm:{name}",
        title=f"{name} ({Path(file).name})" if file else architecture,
        library="timm",
        architecture=name if file else architecture,
        layer="",
        dims=0,
        size=(config.test_input_size or config.input_size)[1],
        mean=tuple(config.mean),
        std=tuple(config.std),
        interpolation=config.interpolation,
        weights=weights if file else _weights(config, architecture),
        licence=config.license or "not stated",
        paper=papers if isinstance(papers, str) else ", ".join(papers),
    )
    network = replace(network, **look_at(network))
    return replace(network, module=_random(network)) if file == RANDOM else network


def look_at(network: Network) -> dict:
    """Return what a network of timm gives, without computing it: `dims`, `descriptor`, `blend`."""
    import torch

    with torch.device("meta"), torch.inference_mode():
        model = build(network)
        try:
            output = model(torch.empty(1, 3, network.size, network.size))
        except Exception as error:  # each network has its own way to say so
            raise ArtsearchError(
                f"{network.name} takes no square images of {network.size} pixels: {error}"
            ) from None
    pooling = getattr(getattr(model, "network", model), "global_pool", "")
    return {
        "dims": output.shape[-1] if output.ndim == 3 else output.shape[1],
        "descriptor": DESCRIPTORS.get(
            pooling if isinstance(pooling, str) else "", "the head's own pooling"
        ),
        "blend": blend_by_depth(len(getattr(model, "maps", ()))),
    }


def build(network: Network) -> nn.Module:
    """Return the bare architecture; with layer "" without its classes, and with its maps."""
    import timm

    if not timm.is_model(network.architecture):
        raise unknown("architecture of timm", network.architecture, timm.list_models())
    return _finish(timm.create_model(network.architecture, **_side(network)), network)


def load(network: Network, path: Path) -> nn.Module:
    """Let timm load a file into one of its networks: it knows each one's peculiarities."""
    import timm
    from timm.models import load_state_dict

    # `custom_load` is for the files of other libraries; the hub has each network in timm's form.
    overlay: dict = {"file": str(path), "custom_load": False}
    more = _side(network)
    if path.suffix != ".safetensors" or network.weights.path:
        # Refuses a pickle that does more than hold numbers; not every timm does.
        state = load_state_dict(str(path), weights_only=True)
    if network.weights.path:  # which may tell other classes apart than the network it began as
        head = timm.create_model(network.architecture).pretrained_cfg.get("classifier") or ""
        first = head if isinstance(head, str) else head[0]
        classes = len(state.get(f"{first}.weight", ()))
        more["num_classes"] = classes
        overlay |= {"num_classes": classes, "label_offset": 0}
    model = timm.create_model(
        network.architecture, pretrained=True, pretrained_cfg_overlay=overlay, **more
    )
    return _finish(model, network)


def _random(network: Network) -> nn.Module:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(network)


def _finish(model: nn.Module, network: Network) -> nn.Module:
    if network.layer != "":
        return model.eval()
    from artsearch.networks.maps import with_maps

    # The network's own output is to be features, not classes. The head goes after the weights came:
    # without a head timm would take a file in which most is missing.
    if getattr(model, "num_classes", 0):
        model.reset_classifier(0)
    return with_maps(model).eval()


def _side(network: Network) -> dict:
    """Return what makes a network for its entry's size, where its parts are made for one size."""
    import timm

    config = timm.get_pretrained_cfg(network.architecture)
    fixed = config is not None and config.fixed_input_size
    return {"img_size": network.size} if fixed and network.size != config.input_size[1] else {}


def _own_config(name: str, file: Path, config):
    """Return timm's configuration with what a config.json beside the file says, the hub's form."""
    if not file.is_file():
        raise ArtsearchError(
            f"the checkpoint {str(file)!r} is not there; name a .safetensors or .pth file of the "
            f"network, without a comma, as in timm:{name}@model.safetensors"
        )
    beside = file.with_name("config.json")
    if not beside.is_file():
        return config
    try:
        said = json.loads(beside.read_text("utf-8"))
        own, trained = said.get("pretrained_cfg") or {}, said.get("architecture", "")
    except (OSError, ValueError, AttributeError) as error:
        raise ArtsearchError(f"{str(beside)!r} cannot be read ({error}); remove it") from None
    if trained and trained != name.partition(".")[0]:
        raise ArtsearchError(
            f"{str(file)!r} is a checkpoint of {trained!r}, as the config.json beside it says, and "
            f"not of {name!r}; name it timm:{trained}@{file}"
        )
    known = ("input_size", "test_input_size", "mean", "std", "interpolation", "license")
    return replace(config, **{key: own[key] for key in known if own.get(key)})


def _weights(config, architecture: str) -> Weights:
    if config.hf_hub_id:
        return Weights(file=f"{architecture}.safetensors", hub=config.hf_hub_id)
    # As in torch.hub: a file's name ends in the first digits of its SHA-256.
    known = re.search(r"-([0-9a-f]{8,})\.", config.url)
    return Weights(
        file=config.url.rpartition("/")[2], url=config.url, sha256=known[1] if known else ""
    )
