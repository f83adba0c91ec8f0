"""What is known of a network: an entry that is data."""

from __future__ import annotations

from dataclasses import dataclass

from artsearch.networks.weights import Weights

#: Layers with their weights, as ("blocks.4:gram", 1.0); the poolings are those of
#: artsearch.networks.pooling.
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
    names the layers for content and for style. `compiles` says whether torch.compile repays itself
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
