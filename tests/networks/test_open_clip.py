"""Networks of open_clip: their entries, their files on the hub, and the rows of words."""

import json
import shutil

import numpy as np
import pytest
import torch
from words import HUB, tiny_siglip

from artsearch.base.errors import ArtsearchError, EngineError, WeightsError
from artsearch.cli.notebook import choose_wordy
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.words import TextEncoder
from artsearch.networks import open_clip as ours
from artsearch.networks.loading import layers, load_model
from artsearch.networks.registry import NETWORKS
from artsearch.networks.weights import find_weights

TEXTS = ["a mountain lake", "night"]
SMALL = ("tokenizer.json", "tokenizer_config.json")


@pytest.fixture
def siglip(fresh, monkeypatch):
    """A tiny SigLIP 2 that open_clip knows; its files are in `siglip.folder`, not on the hub."""
    yield tiny_siglip(monkeypatch, fresh / "repository")
    ours._trained.cache_clear()
    ours.open_clip_network.cache_clear()


@pytest.fixture
def on_hub(siglip, server):
    """The same with its files on a hub at loopback."""
    weights = (siglip.folder / "open_clip_model.safetensors").read_bytes()
    server.put_on_hub(HUB, weights, file="open_clip_model.safetensors")
    for name in SMALL:
        server.put_small_on_hub(HUB, (siglip.folder / name).read_bytes(), name)
    return siglip


def rows_of_open_clip(siglip, texts):
    """Return what open_clip itself makes of texts."""
    import open_clip

    tokenizer = open_clip.get_tokenizer(f"local-dir:{siglip.folder}")
    with torch.inference_mode():
        return siglip.model.encode_text(tokenizer(texts)).numpy()


# Entries


def test_an_entry_is_what_open_clip_says():
    network = NETWORKS["open_clip:ViT-B-16-SigLIP2"]
    assert (network.library, network.layer, network.dims, network.size) == (
        "open_clip",
        "",
        768,
        224,
    )
    assert network.mean == network.std == (0.5, 0.5, 0.5)
    assert network.title == "ViT-B-16-SigLIP2 (webli)" and network.licence == "apache-2.0"
    weights = network.weights
    assert weights.address.endswith(
        "/timm/ViT-B-16-SigLIP2/resolve/main/open_clip_model.safetensors"
    )
    assert weights.otherwise.hub_file == "open_clip_pytorch_model.bin"


def test_weights_are_those_of_the_tag_or_the_first_that_fit():
    assert NETWORKS["open_clip:ViT-B-32"].title == "ViT-B-32 (laion2b_e16)"
    named = NETWORKS["open_clip:ViT-B-32/datacomp_xl_s13b_b90k"]
    assert named.weights.hub == "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K"
    # OpenAI's were trained with another activation than this configuration has.
    with pytest.raises(ArtsearchError, match="unknown weights of ViT-B-32 'openai'"):
        NETWORKS["open_clip:ViT-B-32/openai"]
    assert NETWORKS["open_clip:ViT-B-32-quickgelu/openai"].licence == "apache-2.0"
    assert NETWORKS["open_clip:ViT-B-16-quickgelu/metaclip_400m"].licence == "cc-by-nc-4.0"
    assert NETWORKS["open_clip:MobileCLIP2-S0"].is_non_commercial


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ViT-B16-SigLIP2", "did you mean 'ViT-B-16-SigLIP2'"),
        ("ViT-B-16-SigLIP2/webly", "did you mean 'webli'"),
        ("coca_ViT-B-32", "unknown network of open_clip 'coca_ViT-B-32'"),
        ("roberta-ViT-B-32", "unknown network of open_clip 'roberta-ViT-B-32'"),
        ("local-dir:/nowhere", "'/nowhere' holds no network of open_clip: open_clip_config.json"),
    ],
)
def test_what_is_unknown_is_answered_with_the_nearest(name, said):
    with pytest.raises(ArtsearchError, match=said):
        NETWORKS[f"open_clip:{name}"]


def test_a_missing_package_is_named_with_its_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "open_clip", None)
    ours.open_clip_network.cache_clear()
    with pytest.raises(EngineError, match=r"open_clip_torch: pip install 'artsearch\[text\]'"):
        NETWORKS["open_clip:ViT-B-16-SigLIP2"]


# Files


def test_weights_and_tokenizer_come_from_the_hub_once(on_hub, server, noise):
    network = NETWORKS[on_hub.name]
    rows = TextEncoder(network)(TEXTS)
    assert rows.shape == (2, 64) and rows.dtype == np.float32
    assert rows.tolist() == rows_of_open_clip(on_hub, TEXTS).tolist()
    pixels = FeatureExtractor(network).transform(noise(40, 30))[None]
    with torch.inference_mode():
        seen = load_model(network)(pixels)
        assert seen.tolist() == on_hub.model.encode_image(pixels).tolist()
    server.asked.clear()
    TextEncoder(network), load_model(network)
    assert server.asked == []


def test_the_folder_of_weights_may_hold_the_repository(siglip, fresh, monkeypatch):
    shutil.move(siglip.folder, fresh / "mine" / "Tiny-SigLIP2")
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(fresh / "mine"))
    siglip.folder = fresh / "mine" / "Tiny-SigLIP2"
    rows = TextEncoder(NETWORKS[siglip.name])(TEXTS)
    assert rows.tolist() == rows_of_open_clip(siglip, TEXTS).tolist()


def test_the_older_form_is_taken_where_the_hub_has_no_other(siglip, server, fresh):
    torch.save(siglip.model.state_dict(), fresh / "old.bin")
    server.put_on_hub(HUB, (fresh / "old.bin").read_bytes(), file="open_clip_pytorch_model.bin")
    network = NETWORKS[siglip.name]
    assert load_model(network)(torch.zeros(1, 3, 32, 32)).shape == (1, 64)
    assert find_weights(network.weights).name == "Tiny-SigLIP2.bin"


def test_weights_that_are_nowhere_are_said_with_the_remedies(siglip):
    with pytest.raises(
        WeightsError, match="(?s)weights of open_clip:Tiny-SigLIP2 .*Three remedies"
    ):
        load_model(NETWORKS[siglip.name])


def test_another_tokenizer_than_the_hub_names_is_refused(on_hub, server):
    server.put_small_on_hub(HUB, b"{}", "tokenizer.json", git="0" * 40)
    with pytest.raises(
        WeightsError, match="another file: its Git hash begins with .*, not 00000000"
    ):
        TextEncoder(NETWORKS[on_hub.name])


def test_a_server_that_fails_is_not_taken_for_a_tokenizer_without_a_file(on_hub, server):
    server.put(f"/{HUB}/resolve/main/special_tokens_map.json", status=500)
    with pytest.raises(WeightsError, match="answered 500"):
        TextEncoder(NETWORKS[on_hub.name])


def test_a_tokenizer_that_is_none_is_named(on_hub, server):
    server.put_small_on_hub(HUB, b"{}", "tokenizer.json")
    with pytest.raises(
        WeightsError, match="the tokenizer of open_clip:Tiny-SigLIP2 cannot be read"
    ):
        TextEncoder(NETWORKS[on_hub.name])


def test_a_folder_in_the_hubs_form_is_a_network(siglip, noise):
    network = NETWORKS[f"open_clip:local-dir:{siglip.folder}"]
    assert network.mean == (0.5, 0.5, 0.5) and network.licence == "not stated"
    assert TextEncoder(network)(TEXTS).tolist() == rows_of_open_clip(siglip, TEXTS).tolist()
    assert FeatureExtractor(network)(noise(40, 30)).shape == (64,)


def test_a_folder_without_weights_is_named(siglip):
    (siglip.folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(WeightsError, match="there is no file .*open_clip_model.safetensors"):
        load_model(NETWORKS[f"open_clip:local-dir:{siglip.folder}"])


def test_weights_of_another_network_are_named(siglip):
    config = json.loads((siglip.folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["width"] = 32
    (siglip.folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="does not hold the weights of open_clip:local-dir"):
        load_model(NETWORKS[f"open_clip:local-dir:{siglip.folder}"])


# Words


def test_words_that_are_too_many_are_refused(siglip):
    encode = TextEncoder(NETWORKS[f"open_clip:local-dir:{siglip.folder}"])
    assert encode(["lake " * 7]).shape == (1, 64)
    with pytest.raises(ArtsearchError, match="is longer than what .* reads, 8 tokens"):
        encode(["night", "lake " * 8])


def test_random_weights_are_the_same_each_time(noise):
    network = NETWORKS["open_clip:tiny@random"]
    assert network.is_random and (network.dims, network.size) == (24, 32)
    rows = TextEncoder(network)(TEXTS)
    assert rows.shape == (2, 24) and rows.tolist() == TextEncoder(network)(TEXTS).tolist()
    seen = FeatureExtractor(network)(noise(40, 30))
    ours.open_clip_network.cache_clear()
    again = NETWORKS["open_clip:tiny@random"]
    assert FeatureExtractor(again)(noise(40, 30)).tolist() == seen.tolist()
    assert "ln_post" in list(layers("open_clip:tiny@random")["layer"])
    for name in ("tiny", "tiny@", "tiny@file", "tiny/x@random"):
        with pytest.raises(ArtsearchError, match="unknown network of open_clip 'tiny"):
            NETWORKS[f"open_clip:{name}"]


def test_a_notebook_takes_random_weights_where_there_are_no_others(siglip):
    network, sentence = choose_wordy(f"resnet50, {siglip.name}")
    assert network.name == "open_clip:tiny@random" and network.is_random
    assert "standing in for Tiny-SigLIP2 (webli)" in sentence and "means nothing" in sentence


def test_a_notebook_takes_the_weights_that_can_be_had(on_hub, server):
    network, sentence = choose_wordy(["resnet50", on_hub.name])
    assert (network.name, sentence) == (
        on_hub.name,
        "Networks: Tiny-SigLIP2 (webli), as asked for.",
    )
    assert load_model(network) and f"GET /{HUB}/resolve/main/tokenizer.json" in server.asked
