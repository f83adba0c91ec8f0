"""A network as data for the static page, with which a browser looks at a visitor's own pictures."""

from __future__ import annotations

import base64
import os
import shutil
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from artsearch.base.errors import ArtsearchError
from artsearch.features.blend import POWER, Blend
from artsearch.networks.loading import choose_layer, load_model
from artsearch.networks.network import CHANNELS, Network, split_layer
from artsearch.search.search import Search
from artsearch.works.images import thumbnail, to_jpeg

if TYPE_CHECKING:
    from torch import nn

Write = Callable[[str, dict], None]
#: Longest side of a picture of which parts are looked at.
PART_SIDE = 512

#: Bits of a weight of a 1 × 1 convolution; of the others, which are few, it is 16-bit floating
#: point. With eight bits the page had 0.92 of ten neighbours in common with Python, with ten 0.99.
BITS = 10
#: Poolings that forward.js knows; "" is the mean.
POOLINGS = ("", "gram", "covariance", "moments")
#: Base 85 without the characters that mean something in HTML.
_PLAIN = str.maketrans("<>&", ",.:")


def write_looks(
    searches: Mapping[tuple[str, str], Search],
    blends: Mapping[tuple[str, str], Blend],
    write: Write,
    most: int | None = None,
) -> list[dict]:
    """Write what the page looks at pictures with; return the networks that it can look by.

    These are `most` at most, the first ones.

    Of each there are the name of its data file, its megabytes, and by crop the file of what its
    blend learnt. Rows that no network here made are none to compare pictures with.
    """
    looks: dict[str, dict] = {}
    networks = {network.name: network for network in searches.networks}
    for name, crop in searches:
        made_by = searches[name, crop].index.provenance.get("weights")
        if not made_by or not can_look(networks[name]):
            continue
        if name not in looks:
            if len(looks) == most:
                continue
            data = network_data(networks[name])
            size = sum(len(text) for text in data.values() if isinstance(text, str))
            looks[name] = {"network": name, "file": f"network--{name}", "fits": {}}
            looks[name]["megabytes"] = round(size / 1e6, 1)
            write(looks[name]["file"], data)
        if (name, crop) in blends:
            looks[name]["fits"][crop] = f"network--{name}--{crop}"
            write(looks[name]["fits"][crop], fit_data(blends[name, crop]))
    return list(looks.values())


def write_parts(names: Sequence[str], new: Path, old: Path, write: Write) -> None:
    """Write a site's pictures once more as data, smaller: the page looks at parts of them.

    A page from file:// may show its pictures, but not read them. What an older site has is taken
    over.
    """

    def write_one(name: str) -> None:
        file = f"picture--{name}"
        before = old / "data" / f"{file}.js"
        if before.is_file():
            shutil.copyfile(before, new / "data" / before.name)
        else:
            picture = thumbnail(new / "images" / name[:2] / f"{name}.jpg", PART_SIDE)
            write(file, {"jpeg": base64.b64encode(to_jpeg(picture)).decode("ascii")})

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write_one, dict.fromkeys(names)))


def can_look(network: Network) -> bool:
    """Return whether a page can look at pictures by a network: one of EfficientNet-Lite's family.

    They are made of nothing but convolutions, sums and ReLU6.
    """
    return (
        network.library == "timm"
        and network.architecture.startswith("tf_efficientnet_lite")
        and network.layer == "global_pool"
        and network.interpolation == "bicubic"
        and all(split_layer(name)[1] in POOLINGS for name in _wanted(network))
    )


def network_data(network: Network) -> dict:
    """Return a network as plain data: its steps, and the numbers of all of them, one after another.

    A step takes the outputs `of` earlier ones (0 is the square that goes in): it is "point" (a
    1 × 1 convolution), "depth" (one filter a channel), "full" (any other) or "sum". Batch
    normalisation is folded into the convolutions. Weights of "point" are whole numbers with one
    scale an output, their low bytes and high bits apart. `places` says after how many steps there
    are the maps by which two pictures are compared place by place, see choose_layer. Raises
    ArtsearchError for a network that the page cannot look by, and what load_model raises.
    """
    if not can_look(network):
        raise ArtsearchError(
            f"a page cannot look at pictures by {network.name}; take efficientnet_lite0, 1 or 2"
        )
    steps, ends, weights, biases = _walk(load_model(network))
    most = 2 ** (BITS - 1) - 1
    point = [one for do, one in weights if do == "point"]
    scales = [_scales(one, most) for one in point]
    whole = np.concatenate(
        [
            np.rint(one / scale[:, None]).ravel() + most + 1
            for one, scale in zip(point, scales, strict=True)
        ]
    ).astype(np.uint16)
    layers = [[name, ends[split_layer(name)[0]], split_layer(name)[1]] for name in _wanted(network)]
    return {
        "size": network.size,
        "mean": network.mean,
        "std": network.std,
        "final": network.layer,
        "layers": layers,
        "places": ends.get(choose_layer(network)),
        "steps": steps,
        "bits": BITS,
        "low": pack85(whole.astype(np.uint8).tobytes()),
        "high": pack85(_pairs(whole >> 8)),
        "half": _pack([one for do, one in weights if do != "point"], "<f2"),
        "scales": _pack(scales, "<f4"),
        "biases": _pack(biases, "<f4"),
        "directions": _directions(steps, layers),
    }


def fit_data(blend: Blend) -> dict:
    """Return what a blend learnt as plain data, component by component.

    Directions are bytes with one scale each.
    """
    components = []
    for component in blend.components.values():
        scales = _scales(component.basis.T, 127)
        basis = np.rint(component.basis.T / scales[:, None]).astype(np.int8)
        components.append(
            {
                "layers": [
                    [name, weight, component.spreads[name]] for name, weight in component.layers
                ],
                "dims": component.basis.shape[1],
                "means": _pack([component.means[name] for name, _ in component.layers], "<f4"),
                "basis": pack85(basis.tobytes()),
                "scales": _pack([scales], "<f4"),
            }
        )
    return {"others": blend.metadata["neighbours"], "power": POWER, "components": components}


def pack85(data: bytes) -> str:
    """Deflate bytes and write them in base 85; unpack85 of forward.js brings them back.

    >>> len(pack85(bytes(1000))) < 30, pack85(b"any") == pack85(b"any")
    (True, True)
    """
    return base64.b85encode(zlib.compress(data, 9)).decode("ascii").translate(_PLAIN)


def _wanted(network: Network) -> list[str]:
    return list(dict.fromkeys([network.layer, *(network.blend.names if network.blend else [])]))


def _walk(model: nn.Module) -> tuple[list[dict], dict[str, int], list, list]:
    """Return an EfficientNet's steps, the outputs where its layers end, weights and biases."""
    from torch import nn

    steps: list[dict] = []
    weights: list[tuple[str, np.ndarray]] = []
    biases: list[np.ndarray] = []

    def follow(modules: list[nn.Module]) -> None:
        convolutions = [one for one in modules if isinstance(one, nn.Conv2d)]
        norms = [one for one in modules if isinstance(one, nn.BatchNorm2d)]
        for convolution, norm in zip(convolutions, norms, strict=True):
            weight, bias = _fold(convolution, norm)
            step, weight = _describe(convolution, weight)
            clip = isinstance(norm.act, nn.ReLU6)
            weights.append((step["do"], weight))
            steps.append({**step, "of": [len(steps)], "clip": clip})
            biases.append(bias)

    ends = {}
    follow([model.conv_stem, model.bn1])
    for number, stage in enumerate(model.blocks):
        for block in stage:
            start = len(steps)
            follow(list(block.children()))
            if block.has_skip:
                steps.append({"do": "sum", "of": [len(steps), start], "out": steps[-1]["out"]})
        ends[f"blocks.{number}"] = len(steps)
    follow([model.conv_head, model.bn2])
    ends["global_pool"] = len(steps)
    return steps, ends, weights, biases


def _fold(convolution: nn.Module, norm: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and biases of a convolution together with what normalises its outputs."""
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = convolution.weight * gain[:, None, None, None]
    return weight.detach().numpy(), (norm.bias - norm.running_mean * gain).detach().numpy()


def _describe(convolution: nn.Module, weight: np.ndarray) -> tuple[dict, np.ndarray]:
    """Return a convolution as a step, and its weights in the order in which the page takes them."""
    outs, ins, side, _ = weight.shape
    step = {"in": convolution.in_channels, "out": outs, "stride": convolution.stride[0]}
    if side == 1:
        return {"do": "point", **step}, weight.reshape(outs, ins)
    step["side"] = side
    if convolution.groups == outs:
        return {"do": "depth", **step}, weight.reshape(outs, -1).T
    return {"do": "full", **step}, weight.transpose(0, 2, 3, 1).reshape(outs, -1)


def _directions(steps: list[dict], layers: list[list]) -> dict[str, str]:
    """Return the random directions onto which layers of many channels are projected, by number."""
    from artsearch.networks.pooling import directions

    widths = {steps[end - 1]["out"] for _, end, pooling in layers if pooling in POOLINGS[1:3]}
    return {
        str(width): _pack([directions(width, CHANNELS).numpy()], "<f4")
        for width in sorted(widths)
        if width > CHANNELS
    }


def _scales(rows: np.ndarray, most: int) -> np.ndarray:
    """Return the scale of each row with which its numbers lie between -most and most."""
    return np.maximum(np.abs(rows).max(axis=1), 1e-12) / most


def _pairs(high: np.ndarray) -> bytes:
    """Pack numbers of two bits, four to a byte."""
    four = np.pad(high, (0, -len(high) % 4)).reshape(-1, 4) << np.array([0, 2, 4, 6])
    return four.sum(axis=1).astype(np.uint8).tobytes()


def _pack(arrays: list[np.ndarray], kind: str) -> str:
    return pack85(np.concatenate([one.ravel() for one in arrays]).astype(kind).tobytes())
