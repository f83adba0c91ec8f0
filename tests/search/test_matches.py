"""Which regions of two pictures match, and which networks can tell."""

import pytest
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.networks.inspect import layers
from artsearch.networks.registry import NETWORKS
from artsearch.networks.transforms import NO_CROP
from artsearch.search.matches import Matcher, choose_layer


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_a_network_with_attention_says_that_it_cannot(name):
    """The last layer of three dimensions is no map there: heads × tokens, or channels last."""
    with pytest.raises(
        ArtsearchError, match=f"{name} cannot say why .* has attention.* 'resnet50'"
    ):
        choose_layer(NETWORKS[f"timm:{name}"])


def test_a_network_that_mixes_tokens_says_that_it_cannot():
    """The only maps of ResMLP are those of its first layer."""
    with pytest.raises(ArtsearchError, match="no layer in its second half gives a map"):
        choose_layer(NETWORKS["timm:resmlp_12_224"])


def test_a_layer_that_gives_channels_last_is_not_taken():
    network = NETWORKS["timm:convnext_tiny"]
    shapes = dict(layers(network)[["layer", "shape"]].itertuples(index=False))
    assert (9, 9, 768) in shapes.values()
    assert shapes[choose_layer(network)] == (768, 9, 9)


@pytest.mark.usefixtures("one_thread")
def test_what_moved_is_found_where_it_is(paintings):
    """The left half of a painting, pasted to the right of another, matches there."""
    one, other = sorted(paintings.glob("*.jpg"))[:2]
    with Image.open(one) as image:
        first = image.convert("RGB").resize((448, 448))
    with Image.open(other) as image:
        second = image.convert("RGB").resize((448, 448))
    second.paste(first.crop((0, 0, 224, 448)), (224, 0))
    matches = Matcher(NETWORKS["efficientnet_lite0"], NO_CROP).match(first, second, 3)
    assert len(matches) == 3
    for match in matches:
        middles = [(left + right) / 2 for left, _, right, _ in (match.first, match.second)]
        assert middles[1] - middles[0] == pytest.approx(0.5, abs=0.1)
