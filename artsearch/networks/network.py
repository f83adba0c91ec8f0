"""What is known of a network, an entry that is data; and how its layers are named."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError, check_whole, reason_of, unknown
from artsearch.networks.hooks import LayerHook
from artsearch.networks.weights import Weights

if TYPE_CHECKING:
    from torch import nn

#: Mean and standard deviation of RGB, as most networks take them.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: Channels up to which a layer's own are compared with each other. More are first projected onto
#: this many random directions, so that no row has more than 1,176 numbers: the Gram matrix of
#: VGG-16's last block would have 131,328. The neighbours stay, see 05_content_and_style.
CHANNELS = 48
#: What can be asked for behind a layer's name, as in "blocks.4:gram"; see
#: artsearch.networks.pooling.
POOLINGS = ("gram", "covariance", "moments", "gem")
#: Layers with their weights, as ("blocks.4:gram", 1.0).
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
    names the layers for content and for style; `descriptor` says what the network's own output is
    made of, `good_for` what its makers say it is good for. `module` is a model of one's own (see
    `from_module`). `compiles` says whether torch.compile repays itself
    in a long pass on a processor. For EfficientNet-Lite0 it does not (two cores of an AMD EPYC,
    files to store, works a second: 137 compiled, 179 not; ResNet-50 79 and 63, Inception-V4 31 and
    24, VGG-16 26 and 16).
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
    compiles: bool = False
    descriptor: str = ""
    good_for: str = ""
    module: nn.Module | None = field(default=None, compare=False, repr=False)

    @property
    def is_non_commercial(self) -> bool:
        """Whether the licence of the weights allows no commercial use.

        Creative Commons say so by NC; Apple's licence for models (AMLR) is for research alone.
        """
        return bool(re.search(r"\bnc\b|non-?commercial|amlr", self.licence.lower()))

    @property
    def is_random(self) -> bool:
        """Whether its weights are random, so that what it finds means nothing."""
        return self.name.endswith("@random")

    @classmethod
    def from_module(
        cls,
        module: nn.Module,
        name: str,
        size: int = 224,
        mean: tuple[float, float, float] = IMAGENET[0],
        std: tuple[float, float, float] = IMAGENET[1],
        layer: str = "",
        title: str = "",
        interpolation: str = "bicubic",
        blend: BlendLayers | None = None,
        licence: str = "of one's own",
    ) -> Network:
        """Return the entry of a model of one's own, which is known by its name from then on.

        `layer` is what is taken of it: a dotted module name, as `layers(module)` lists them, or
        "", its own output. What is computed is kept by a hash of its weights, so one that is
        trained on is another. A network of timm has a dial; for others `blend` names its layers
        (see blend_of). Raises ArtsearchError for a layer that gives no tensor, and for a size that
        the model does not take, and for a `mean` or `std` of other values than from 0 to 1.

        >>> from torch import nn
        >>> mine = nn.Sequential(nn.Conv2d(3, 8, 7, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        >>> Network.from_module(mine, "mine", size=64, layer="2").dims
        8
        """
        if "," in name or not name.strip():
            raise ArtsearchError(
                f"a network cannot be called {name!r}: it is asked for by its name, and commas "
                "stand between several; give it another one"
            )
        check_whole("size", size)
        _check_colours("mean", mean)
        _check_colours("std", std)
        entry = cls(
            name=name,
            title=title or name,
            library="one's own",
            architecture=type(module).__name__,
            layer=layer,
            dims=0,
            size=size,
            mean=tuple(mean),
            std=tuple(std),
            interpolation=interpolation,
            weights=Weights(file=""),
            licence=licence,
            paper="one's own",
            blend=blend,
            module=module,
        )
        OWN[name] = replace(entry, **_look_at(entry))
        return OWN[name]


#: Models of one's own, by the names that `Network.from_module` gave them.
OWN: dict[str, Network] = {}


def _check_colours(name: str, values: tuple[float, float, float]) -> None:
    """Raise ArtsearchError unless values are three of RGB from 0 to 1; a deviation is not 0."""
    least = 0 if name == "mean" else 1e-6
    try:
        right = len(values) == 3 and all(least <= one <= 1 for one in values)
    except TypeError:
        right = False
    if not right:
        raise ArtsearchError(
            f"{name} is {values!r}; take three numbers, of red, green and blue from 0 to 1, as in "
            f"{name}={IMAGENET[name == 'std']}"
        )


def _look_at(entry: Network) -> dict:
    """Return the numbers a work, and the layers of the dial where they follow from the maps."""
    import torch

    from artsearch.networks.maps import channels_first, check_row, copy_own

    try:
        model = copy_own(entry.module)
        like = next(model.parameters(), torch.empty(0))
        with LayerHook(model, entry.layer) as hook, torch.inference_mode():
            model(torch.zeros(1, 3, entry.size, entry.size, device=like.device))
    except ArtsearchError:
        raise
    except Exception as error:  # each model has its own way to say so
        raise ArtsearchError(
            f"an image of {entry.size} × {entry.size} pixels does not go through {entry.name}: "
            f"{reason_of(error)[:200]}; name the side of its input as `size`, and hand in a torch "
            "module that takes RGB images, and can be copied and hooked"
        ) from None
    check_row(entry.layer, hook.output)
    sides = channels_first(hook.output).shape[1:]
    # Maps and tokens are averaged; what else there is is laid in a row.
    dims = {2: sides[-1], 3: sides[0]}.get(len(sides), sides.numel())
    own = blend_by_depth(len(getattr(model, "maps", ())), entry.layer)
    return {"dims": dims, "blend": entry.blend or own}


#: How deep the layers of a blend lie in a network of any number of maps, from 0 to 1: the early one
#: and the three of growing depth. Of five maps they are the first four, those of EfficientNet-Lite.
DEPTHS = (0.1, 0.4, 0.65, 0.85)


def blend_by_depth(maps: int, final: str = "") -> BlendLayers | None:
    """Return the layers of a blend for a network of so many maps (see maps.WithMaps).

    They are chosen by relative depth, as they were measured on EfficientNet-Lite. None for a
    network of less than three maps.

    >>> blend_by_depth(12).names[:4]
    ['', 'maps.9:covariance', 'maps.4:gram', 'maps.7:gram']
    """
    if maps < 3:
        return None
    early, *middle = (f"maps.{int(depth * (maps - 1))}" for depth in DEPTHS)
    return blend_of(early, tuple(dict.fromkeys(middle)), final)


def blend_of(early: str, middle: tuple[str, ...], final: str) -> BlendLayers:
    """Return the layers of a blend: one early layer, some of growing depth, and the final one.

    Which poolings go where was found with EfficientNet-Lite0 and 2 on the repainted works, and the
    middle checked on labelled ones (notebooks 5 and 6 have the figures): the moments and the Gram
    matrix of the first stage see the manner alone; the covariance of a deep stage sees the content
    better than the final layer does; all depths together have the best neighbours.
    """
    covariance = f"{middle[-1]}:covariance"
    grams = tuple((f"{layer}:gram", 1.0) for layer in middle)
    return BlendLayers(
        content=((final, 1.0), (covariance, 2.0)),
        middle=((final, 1.0), *grams, (covariance, 1.0)),
        style=((f"{early}:moments", 1.0), (f"{early}:gram", 1.0)),
    )


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
