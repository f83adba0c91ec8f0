"""Networks of today, family by family: maps, descriptor, dial, why, and rows, by random weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiers import slow

from artsearch.base.errors import ArtsearchError, WeightsError
from artsearch.features.compute import compute_features
from artsearch.features.extractor import FeatureExtractor
from artsearch.networks import timm as ours
from artsearch.networks.hooks import LayerHook
from artsearch.networks.loading import layers, load_model
from artsearch.networks.network import Network
from artsearch.networks.registry import NETWORKS, as_network, choose_networks
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection

pytestmark = pytest.mark.usefixtures("one_thread")

#: A network of each family, the side of its input here, and what its own output is made of.
FAMILIES = {
    "test_resnet": (64, "the head's own pooling"),
    "test_efficientnet": (64, "the head's own pooling"),
    "test_nfnet": (96, "the head's own pooling"),
    "test_byobnet": (96, "mean of patches"),
    "convnextv2_atto": (128, "the head's own pooling"),
    "poolformer_s12": (64, "the head's own pooling"),
    "densenet121": (96, "the head's own pooling"),
    "test_vit": (160, "class token"),
    "test_vit3": (160, "attention pooling"),
    "vit_small_patch14_reg4_dinov2": (56, "class token"),
    "vit_small_patch16_dinov3": (64, "mean of patches"),
    "deit_tiny_distilled_patch16_224": (64, "class token"),
    "xcit_nano_12_p16_224": (64, "class token"),
    "swin_tiny_patch4_window7_224": (128, "mean of patches"),
    "hiera_tiny_224": (224, "the head's own pooling"),
    "coatnet_nano_rw_224": (224, "mean of patches"),
    "vit_tiny_r_s16_p8_224": (224, "class token"),
    "davit_tiny": (128, "the head's own pooling"),
}
#: Those that go all the way, at their own size: the head's own pooling, class token, attention
#: pooling, and mean of patches with channels last. In the slow tier also those that share with one
#: of these what is ours, hybrids and networks of three maps alone among them.
WHOLE = ("test_resnet", "test_vit", "test_vit3", "swin_tiny_patch4_window7_224")
ALIKE = ("test_efficientnet", "test_nfnet", "test_byobnet", "convnextv2_atto", "test_vit2")
ALIKE += ("deit_tiny_distilled_patch16_224", "levit_128s", "xcit_nano_12_p16_224")
ALIKE += ("vit_tiny_r_s16_p8_224", "hiera_tiny_224")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_lit_corner_is_lit_in_every_map(name):
    """In each map what changes most lies in the corner that was lit: no axis is another's."""
    size, descriptor = FAMILIES[name]
    network = replace(NETWORKS[f"timm:{name}"], size=size)
    assert network.descriptor == descriptor and network.blend is not None
    torch.manual_seed(0)
    model, quarter, half = ours.build(network), size // 4, size // 2
    pictures = torch.randn(1, 3, size, size).repeat(3, 1, 1, 1)
    pictures[1, :, :quarter, -quarter:] += 3  # top right
    pictures[2, :, -quarter:, :quarter] += 3  # bottom left
    names = [f"maps.{number}" for number in range(len(model.maps))]
    with LayerHook(model, *names) as hook, torch.inference_mode():
        output = model(pictures)
        assert torch.allclose(output, model.network(pictures), atol=1e-4)
    with LayerHook(model, "maps.0"), torch.inference_mode():  # the rest of the way is gone as well
        assert torch.allclose(model(pictures[:1]), output[:1], atol=1e-4)
    assert output.shape == (3, network.dims)
    for name in names:
        change = (hook[name][1:] - hook[name][:1]).square().sum(dim=1)
        side = change.shape[1]
        assert change.shape == (2, side, side) and side >= 2
        across = torch.nn.functional.interpolate(change[None], (size, size))[0]
        corners = across.unfold(1, half, half).unfold(2, half, half).mean(dim=(3, 4))
        assert corners.flatten(1).argmax(dim=1).tolist() == [1, 2], name


@pytest.fixture(scope="module")
def works(tmp_path_factory):
    """Some pictures of noise, of several shapes."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("works")
    random = np.random.default_rng(0)
    for number in range(5):
        small = random.integers(0, 255, (6, 5 + number, 3), dtype=np.uint8)
        Image.fromarray(small).resize((120 + 20 * number, 140)).save(folder / f"{number}.png")
    return Collection(folder)


def put_weights(network: Network, folder) -> None:
    """Put random weights of a network, with its whole head, where its own are looked for."""
    import timm

    torch.manual_seed(0)
    state = timm.create_model(network.architecture).state_dict()
    whole = {name: value.contiguous() for name, value in state.items()}
    save_file(whole, folder / network.weights.file)


@pytest.mark.parametrize("name", [*WHOLE, *map(slow, ALIKE)])
def test_a_family_goes_all_the_way(name, works, tmp_path, monkeypatch):
    """Loaded as its file has it; exact against a plain loop; store, dial, a part, and why."""
    network = NETWORKS[f"timm:{name}"]
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(tmp_path))
    put_weights(network, tmp_path)
    options = {"crops": "no_crop", "precision": "exact", "progress": False, "index": "exact"}
    searches = Searches(works, network.name, out=tmp_path / "out", **options)
    searches.extract()
    key = network.name, "no_crop"
    features = searches.features(*key)
    plain = compute_features(works, network, batch_size=2)
    assert np.allclose(features.vectors, plain.vectors, rtol=1e-3, atol=1e-4)
    again = Searches(works, network.name, out=tmp_path / "out", **options).features(*key)
    assert np.array_equal(again.vectors, features.vectors)

    first, second = works.ids[:2]
    dial = searches.dial(*key, 0.5)
    assert len(dial.by_work(first, 3)) == 3
    own = dial.by_image(works.path(first), 1)
    assert own.ids == [first] and own.distances[0] < 1e-2
    part = searches[key].ask(first, 2, region=(0, 0, 0.5, 0.5))
    assert len(part) == 2
    for match in searches[key].why(first, second):
        assert all(0 <= end <= 1 for end in (*match.first, *match.second))
    (same,) = list(searches[key].why(first, first, 1))
    assert same.first == same.second


def test_maps_are_among_the_layers():
    table = layers("timm:test_vit").set_index("layer")["shape"]
    assert table["maps.5"] == (64, 10, 10) and table["blocks.5"] == (101, 64)


# Models of one's own


def own_model() -> torch.nn.Module:
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, 16, 8, 4)
    return torch.nn.Sequential(convolution, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1))


def test_a_model_of_ones_own_goes_all_the_way(works, tmp_path):
    network = Network.from_module(own_model(), "mine", size=64, layer="2")
    assert NETWORKS["mine"] is network and network.dims == 16
    options = {"crops": "no_crop", "progress": False, "index": "exact", "out": tmp_path}
    search = Searches(works, "mine", **options)["mine", "no_crop"]
    first, second = works.ids[:2]
    assert search.by_image(works.path(first), 1).ids == [first]
    assert all(match.strength > 0 for match in search.why(first, second))
    with torch.no_grad():
        network.module[0].weight.mul_(-1)  # trained on: another network, by its hash
    trained = Network.from_module(network.module, "mine", size=64, layer="2")
    other = Searches(works, [trained], **options)["mine", "no_crop"]
    assert other.index.provenance["weights"] != search.index.provenance["weights"]
    assert len(list((tmp_path / "stores").glob("works*"))) == 2


def test_a_network_of_timm_of_ones_own_has_a_dial():
    import timm

    model = timm.create_model("test_vit")
    network = Network.from_module(model, "my_vit", size=160)
    assert network.dims == 1000 and network.blend == NETWORKS["timm:test_vit"].blend
    assert model.training  # it is left as it was


class Given(torch.nn.Module):
    """A convolution, and what becomes of its maps."""

    def __init__(self, given):
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.given = torch.nn.Conv2d(3, 8, 16, 16), given

    def forward(self, pixels):
        return self.given(self.convolution(pixels))


def test_a_model_of_ones_own_may_be_in_half_precision_and_have_its_channels_last(works):
    turned = Network.from_module(Given(lambda maps: maps.permute(0, 2, 3, 1)).half(), "turned", 64)
    plain = Network.from_module(Given(torch.nn.Identity()), "plain", 64)
    assert turned.dims == 8
    vectors = [compute_features(works, one, batch_size=2).vectors for one in (turned, plain)]
    assert np.allclose(*vectors, atol=1e-3)


@pytest.mark.parametrize(
    "given", [torch.squeeze, torch.mean, lambda maps: maps[0], lambda maps: maps[:, :0].flatten(1)]
)
def test_a_layer_that_gives_no_row_an_image_is_refused(given):
    with pytest.raises(ArtsearchError, match="layer '' gives the shape .* and no row an image"):
        Network.from_module(Given(given), "mine", size=16)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "a,b"}, "cannot be called 'a,b': .* commas stand between several"),
        ({"size": (64, 64)}, r"size is \(64, 64\)"),
        ({"mean": (123.7, 116.3, 103.5)}, "mean is .* from 0 to 1, as in mean=.0.485"),
        ({"std": (1, 1, 0)}, "std is .* as in std=.0.229"),
    ],
)
def test_what_is_said_of_a_model_of_ones_own_is_checked(options, sentence):
    with pytest.raises(ArtsearchError, match=sentence):
        Network.from_module(own_model(), **{"name": "mine"} | options)


def test_weights_that_have_no_hash_are_refused():
    with pytest.raises(ArtsearchError, match="the weights of mine have no hash .*no data"):
        FeatureExtractor(Network.from_module(own_model().to("meta"), "mine", 64)).provenance("")


def test_a_model_of_ones_own_that_cannot_be_taken_says_why():
    with pytest.raises(ArtsearchError, match="unknown layer 'pool'.*known: 0, 1, 2"):
        Network.from_module(own_model(), "mine", layer="pool")
    with pytest.raises(ArtsearchError, match="4 × 4 pixels does not go through mine: .*`size`"):
        Network.from_module(own_model(), "mine", size=4)
    two = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 8), torch.nn.AdaptiveMaxPool2d(1, True))
    with pytest.raises(ArtsearchError, match="layer '1' gives a tuple and no tensor"):
        Network.from_module(two, "mine", layer="1")
    own = Network.from_module(own_model(), "vgg16", layer="2")
    with pytest.raises(ArtsearchError, match="'vgg16' is a registered network already"):
        as_network(own)


# A checkpoint of one's own


def test_a_checkpoint_with_other_classes_is_taken(tmp_path):
    import timm

    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=7).eval()
    file = tmp_path / "mine.safetensors"
    save_file(model.state_dict(), file)
    network = NETWORKS[f"timm:test_resnet@{file}"]
    picture = torch.rand(1, 3, network.size, network.size)
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features(picture), pre_logits=True)
        assert torch.equal(load_model(network)(picture), expected)
    assert network.blend and FeatureExtractor(network).weights


def test_a_checkpoint_says_what_it_takes(tmp_path):
    import timm

    file = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), file)
    own = {"input_size": [3, 96, 96], "license": "cc-by-nc-4.0"}
    said = {"architecture": "test_resnet", "pretrained_cfg": own}
    (tmp_path / "config.json").write_text(json.dumps(said))
    network = NETWORKS[f"timm:test_resnet@{file}"]
    assert network.size == 96 and network.is_non_commercial
    with pytest.raises(
        ArtsearchError, match="is a checkpoint of 'test_resnet'.* not of 'test_vit'"
    ):
        NETWORKS[f"timm:test_vit@{file}"]


@pytest.mark.parametrize("other", ["test_vit", "test_efficientnet"])
def test_a_checkpoint_of_another_architecture_is_refused(tmp_path, other):
    import timm

    file = tmp_path / "mine.safetensors"
    save_file(timm.create_model(other).state_dict(), file)
    network = NETWORKS[f"timm:test_resnet@{file}"]
    with pytest.raises(WeightsError, match="the weights of timm:test_resnet: .*checkpoint"):
        load_model(network)


def test_a_whole_model_is_no_checkpoint(tmp_path):
    torch.save(own_model(), tmp_path / "mine.pth")
    with pytest.raises(WeightsError, match="more than numbers, .*; save the model's state_dict"):
        load_model(NETWORKS[f"timm:test_resnet@{tmp_path / 'mine.pth'}"])


def test_a_checkpoint_that_is_not_there_is_named():
    with pytest.raises(ArtsearchError, match="'gone.pth' is not there; name a .safetensors or"):
        NETWORKS["timm:test_resnet@gone.pth"]
    with pytest.raises(ArtsearchError, match="unknown trained network of timm 'test_resnet.gone'"):
        NETWORKS["timm:test_resnet.gone@random"]


def test_random_weights_are_the_same_each_time_and_are_said():
    network = NETWORKS["timm:test_vit@random"]
    weights = FeatureExtractor(network).weights
    ours.timm_network.cache_clear()
    again = NETWORKS["timm:test_vit@random"]
    assert again.module is not network.module
    assert FeatureExtractor(again).weights == weights
    sentence = choose_networks("timm:test_vit@random").sentence
    assert sentence.endswith(
        "The weights of test_vit (random) are random: what is found by them means nothing."
    )
