"""Which regions of two pictures match, and which networks can tell."""

import pytest
import torch
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.networks.loading import choose_layer
from artsearch.networks.network import Network
from artsearch.networks.registry import NETWORKS
from artsearch.networks.transforms import NO_CROP
from artsearch.search.matches import Matcher


class Attention(torch.nn.Identity):
    """By its name; what it gives could be heads × tokens, or a map with its channels last."""


@pytest.mark.parametrize(
    ("deepest", "reason"),
    [
        (Attention(), "it has attention, .* such as 'resnet50'"),
        (torch.nn.Flatten(), "no layer in its second half gives a map"),
    ],
)
def test_a_network_whose_maps_are_not_known_says_that_it_cannot(deepest, reason):
    layers = torch.nn.Conv2d(3, 8, 8, 8), deepest, torch.nn.Flatten(), torch.nn.Dropout()
    network = Network.from_module(torch.nn.Sequential(*layers), "mine", size=64)
    with pytest.raises(ArtsearchError, match=f"mine cannot say why .*{reason}"):
        choose_layer(network)


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
