"""How a layer is named: a module, and behind a colon the pooling that is asked for."""

from __future__ import annotations

from artsearch.base.errors import unknown

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
