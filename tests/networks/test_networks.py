"""The registry: every entry, the sizes it states, and the models it leads to."""

import dataclasses
import subprocess
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artsearch.base.errors import ArtsearchError, WeightsError
from artsearch.networks.hooks import named_layers
from artsearch.networks.loading import build_model, load_model
from artsearch.networks.network import Network
from artsearch.networks.registry import ARTICLE, NETWORKS, PACKAGED, as_network, choose_networks
from artsearch.networks.timm import look_at
from artsearch.networks.weights import Weights, find_weights

PAINTINGS = Path(__file__).parents[2] / "data" / "paintings"
#: What the article states, and what the others are known to give.
DIMS = {
    "inception_v4": 1536,
    "resnet50": 2048,
    "vgg16": 2048,
    "vgg16_fc7": 4096,
    "dinov2_small": 384,
    "dinov3_small": 384,
    "dinov3_convnext": 768,
    "siglip2_base": 768,
    "pe_core_small": 384,
    "convnextv2_tiny": 768,
    "efficientnet_lite0": 1280,
    "efficientnet_lite1": 1280,
    "efficientnet_lite2": 1280,
}


@lru_cache(maxsize=1)
def random_model(architecture: str):
    """Build an architecture once for the entries that share it."""
    return build_model(next(one for one in NETWORKS.values() if one.architecture == architecture))


# The entries


def test_the_registry_is_known():
    assert {name: network.dims for name, network in NETWORKS.items()} == DIMS
    assert {*ARTICLE, *PACKAGED} <= NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_entry_is_filled(name):
    network = NETWORKS[name]
    assert network.name == name and as_network(name) is network
    for field in ("title", "library", "architecture", "licence", "paper", "good_for"):
        assert getattr(network, field), field
    assert bool(network.layer) != bool(network.descriptor)
    assert network.interpolation in ("bilinear", "bicubic")
    assert len(network.mean) == len(network.std) == 3
    assert all(0 < value < 1 for value in (*network.mean, *network.std))
    assert network.size >= 224 and network.pool >= 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.dims = 3


@pytest.mark.parametrize("name", NETWORKS)
def test_every_entry_has_one_source_and_a_hash(name):
    weights = NETWORKS[name].weights
    assert len([source for source in (weights.url, weights.hub, weights.package) if source]) == 1
    assert weights.hub or len(weights.sha256) >= 8 and weights.sha256 in weights.file
    assert not weights.address or weights.address.startswith("https://")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_stated_megabytes_are_those_of_all_numbers_in_the_network(name):
    import timm
    import torch

    network = NETWORKS[name]
    with torch.device("meta"):
        whole = timm.create_model(network.architecture) if network.library == "timm" else None
        numbers = (whole or build_model(network)).state_dict().values()
    size = sum(values.numel() * values.element_size() for values in numbers)
    assert NETWORKS[name].weights.megabytes == pytest.approx(size / 1e6, abs=1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_real_architecture_gives_the_stated_dimensions(name):
    from artsearch.features.extractor import FeatureExtractor

    network = NETWORKS[name]
    model = random_model(network.architecture)
    assert network.layer in named_layers(model)
    row = FeatureExtractor(network, model=model)(Image.new("RGB", (40, 30), "olive"))
    assert row.shape == (DIMS[name],)
    assert np.isfinite(row).all() and row.std() > 0


@pytest.mark.parametrize("name", [name for name in NETWORKS if NETWORKS[name].library == "timm"])
def test_the_input_is_what_timm_says_of_the_weights(name):
    import timm

    network, config = NETWORKS[name], timm.get_pretrained_cfg(NETWORKS[name].architecture)
    size = (config.test_input_size or config.input_size)[1]
    assert size == (518 if name == "dinov2_small" else network.size)
    assert (config.mean, config.std) == (network.mean, network.std)
    assert config.interpolation == network.interpolation
    assert config.license.removesuffix("-license") == network.licence.lower()
    if network.layer == "":
        stated = {"dims": network.dims, "descriptor": network.descriptor, "blend": network.blend}
        assert stated == look_at(network)


@pytest.mark.parametrize("name", ["resnet50", "vgg16"])
def test_the_input_is_what_torchvision_says_of_the_weights(name):
    import torchvision

    network = NETWORKS[name]
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    transforms = weights.transforms()
    assert weights.url == network.weights.url
    assert transforms.crop_size == [network.size]
    assert (tuple(transforms.mean), tuple(transforms.std)) == (network.mean, network.std)
    assert transforms.interpolation.value == network.interpolation


# Packaged weights


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_weights_belong_key_by_key(name):
    import torch

    state = torch.load(find_weights(NETWORKS[name].weights), weights_only=True)
    own = build_model(NETWORKS[name]).state_dict()
    assert [value.shape for value in state.values()] == [value.shape for value in own.values()]
    kinds = [[key.rpartition(".")[2] for key in keys] for keys in (state, own)]
    assert kinds[0] == kinds[1]
    loaded = load_model(NETWORKS[name]).state_dict()
    assert all(map(torch.equal, state.values(), loaded.values()))


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_weights_see_a_ship(name):
    """Hokusai's cargo ship is class 724 of ImageNet, a pirate ship, before all others."""
    import torch

    from artsearch.networks.registry import transform_for

    with Image.open(PAINTINGS / "katsushika-hokusai_kazusa-sea-route.jpg") as image:
        pixels = transform_for(name)(image.convert("RGB"))
    with torch.inference_mode():
        assert load_model(NETWORKS[name])(pixels[None]).argmax() == 724


# Names


def test_an_unknown_network_is_answered_with_the_nearest():
    with pytest.raises(ArtsearchError, match="'vg16'; did you mean 'vgg16'.*timm:NAME"):
        NETWORKS["vg16"]
    for name in (None, 5, ""):
        with pytest.raises(ArtsearchError, match="known: inception_v4, resnet50"):
            as_network(name)


@pytest.mark.parametrize(
    "names, expected",
    [
        ("vgg16", ["vgg16"]),
        (" vgg16, resnet50 ,", ["vgg16", "resnet50"]),
        (["vgg16", "vgg16"], ["vgg16"]),
        ([NETWORKS["vgg16"]], ["vgg16"]),
    ],
)
def test_networks_are_taken_as_asked_for(names, expected):
    networks, sentence, reason = choose_networks(names)
    assert [network.name for network in networks] == expected
    assert sentence.endswith("as asked for.") and not reason


def test_a_licence_that_is_not_commercial_is_said():
    sentence = choose_networks("vgg16,convnextv2_tiny").sentence
    assert sentence.endswith("ConvNeXt V2-T are not for commercial use (CC-BY-NC-4.0).")


@pytest.mark.parametrize("names", ["", " , ", [], None])
def test_no_network_is_an_error(names):
    with pytest.raises(ArtsearchError, match="no network named"):
        choose_networks(names)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"library": "keras"}, "unknown library 'keras'; known: open_clip, timm, torchvision"),
        ({"architecture": "resnet5"}, "unknown architecture of torchvision 'resnet5'; did you"),
        ({"library": "timm", "architecture": "resnet5"}, "unknown architecture of timm 'resnet5'"),
    ],
)
def test_an_entry_of_nothing_known_is_an_error(change, message):
    with pytest.raises(ArtsearchError, match=message):
        build_model(replace(NETWORKS["resnet50"], **change))


# Any network of timm


def test_a_timm_network_becomes_an_entry():
    network = NETWORKS["timm:resnet18"]
    assert isinstance(network, Network) and network is NETWORKS["timm:resnet18"]
    assert (network.name, network.title) == ("timm:resnet18", "resnet18.a1_in1k")
    assert (network.dims, network.size, network.licence) == (512, 288, "apache-2.0")
    assert network.weights == Weights("resnet18.a1_in1k.safetensors", hub="timm/resnet18.a1_in1k")
    assert network.paper == "arXiv:2110.00476"


@pytest.mark.parametrize(
    "name, dims", [("resnet18.tv_in1k", 512), ("vit_tiny_patch16_224", 192), ("test_resnet", 96)]
)
def test_a_timm_network_gives_the_stated_dimensions(name, dims):
    from artsearch.features.extractor import FeatureExtractor

    network = NETWORKS[f"timm:{name}"]
    row = FeatureExtractor(network, model=build_model(network))(Image.new("RGB", (40, 30), "olive"))
    assert row.shape == (network.dims,) == (dims,)


def test_an_older_timm_network_comes_by_address_and_hash():
    weights = NETWORKS["timm:legacy_seresnet18"].weights
    assert weights.file == "seresnet18-4bb0ce65.pth" and weights.sha256 == "4bb0ce65"
    assert weights.address.endswith(weights.file) and not weights.hub


@pytest.mark.parametrize(
    "name, message",
    [
        ("resnet1", "unknown network of timm 'resnet1'; did you mean 'resnet18'"),
        ("resnet18.a1_in2k", "'resnet18.a1_in2k'; did you mean 'resnet18.a1_in1k'"),
        ("vgg13.", "unknown trained network of timm 'vgg13.'; did you mean"),
        ("resnet18_v2/x", "unknown network of timm"),
        ("", "unknown network of timm ''"),
    ],
)
def test_an_unknown_timm_network_is_answered_with_the_nearest(name, message):
    with pytest.raises(ArtsearchError, match=message):
        NETWORKS[f"timm:{name}"]


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A tiny network of timm and its state, with its whole head, in ARTSEARCH_WEIGHTS."""
    import timm

    network = NETWORKS["timm:test_resnet"]
    model = timm.create_model(network.architecture).eval()
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(tmp_path))
    return network, model, tmp_path / network.weights.file


def test_a_timm_network_is_loaded_and_its_head_left_out(tiny):
    import torch
    from safetensors.torch import save_file

    network, model, file = tiny
    save_file(model.state_dict(), file)
    image = torch.rand(1, 3, network.size, network.size)
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features(image), pre_logits=True)
        found = load_model(network)(image)
    assert torch.equal(found, expected)


def test_a_timm_file_in_which_something_is_missing_is_refused(tiny):
    from safetensors.torch import save_file

    network, model, file = tiny
    state = model.state_dict()
    del state["conv1.0.weight"]
    save_file(state, file)
    with pytest.raises(WeightsError, match="does not hold .*test_resnet: .*conv1.0.weight"):
        load_model(network)


def test_a_timm_file_of_another_network_is_refused(tiny):
    from safetensors.torch import save_file

    network, _, file = tiny
    save_file(build_model(NETWORKS["efficientnet_lite0"]).state_dict(), file)
    with pytest.raises(WeightsError, match="does not hold the weights of timm:test_resnet: "):
        load_model(network)


# What an import costs


def run_python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_a_packaged_network_is_loaded_without_a_word():
    run = run_python(
        "from artsearch import NETWORKS\nfrom artsearch.networks.loading import load_model\n"
        "load_model(NETWORKS['efficientnet_lite0'])"
    )
    assert (run.stdout, run.stderr) == ("", "")
