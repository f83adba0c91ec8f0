"""Networks of open_clip as entries: each has a tower for pictures and one for words.

What both give lies in one space, in which a picture and words that tell of it are near by cosine
(Radford et al. 2021, arXiv:2103.00020).
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError, EngineError, unknown
from artsearch.networks.network import Network
from artsearch.networks.weights import Weights

if TYPE_CHECKING:
    from torch import nn

#: How the name of a folder begins that holds a network in the hub's form, as open_clip writes it.
FOLDER = "local-dir:"
CONFIG = "open_clip_config.json"
#: The two forms of weights in a repository of the hub, in the order in which open_clip asks.
FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
#: What a tokenizer may be made of; the last is there for all, and is fetched when the others were.
TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json", "config.json", "tokenizer.json")


#: A network of no use but to show, with random weights, how words are asked: "tiny@random".
TINY = {
    "embed_dim": 24,
    "vision_cfg": {"width": 32, "layers": 2, "head_width": 16, "image_size": 32, "patch_size": 8},
    "text_cfg": {"width": 32, "layers": 2, "heads": 2, "context_length": 32, "vocab_size": 49408},
    "custom_text": True,
}


@lru_cache
def open_clip_network(name: str) -> Network:
    """Return the entry for NAME, NAME/TAG, local-dir:FOLDER, or NAME@random.

    NAME is a configuration of open_clip, TAG one of the weights that it lists for it: without one
    the first that was trained with the configuration's own activation. FOLDER holds a network as
    open_clip saves it for the hub. Random weights are the same ones each time; tiny@random is a
    network that wants no files. Raises ArtsearchError for what is unknown.
    """
    if name.startswith(FOLDER):
        return _in_folder(name)
    trained, (architecture, at, file) = _trained(), name.partition("@")
    architecture, _, tag = architecture.partition("/")
    known = [*trained, "tiny"] if at else [*trained]
    if architecture not in known or at and (tag or file != "random"):
        raise unknown("network of open_clip", architecture if not file else name, known)
    if file:
        entry = _entry(name, name, architecture, {}, Weights(file=""), "random")
        return replace(entry, module=load_towers(entry).visual)
    tags = trained[architecture]
    if tag and tag not in tags:
        raise unknown(
            f"weights of {architecture}", tag, tags, f", as in {architecture}/{[*tags][0]}"
        )
    tag = tag or next(iter(tags))
    found = tags[tag]
    hub, _, file = found["hf_hub"].rpartition("/")
    files = (f"{Path(file).stem}.safetensors", file) if file else FILES
    licence = _licence(hub, read_config(architecture)["vision_cfg"].get("timm_model_name"))
    return _entry(
        name, f"{architecture} ({tag})", architecture, found, _from_hub(hub, files), licence
    )


def read_config(architecture: str) -> dict:
    """Return open_clip's configuration of a network, by its name or its folder."""
    return deepcopy(TINY) if architecture == "tiny" else _library().get_model_config(architecture)


def build_towers(network: Network) -> nn.Module:
    """Return both towers with random weights: for shapes and speed, never for search."""
    library, config = _library(), read_config(network.architecture)
    config["vision_cfg"]["timm_model_pretrained"] = False
    custom = config.pop("custom_text", False)
    return (library.CustomTextCLIP if custom else library.CLIP)(**config).eval()


def load_towers(network: Network, path: Path | None = None) -> nn.Module:
    """Return both towers in eval mode, with the weights of a file, or without one random ones."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_towers(network)
    if path is not None:
        _library().load_checkpoint(model, str(path), weights_only=True)
    return model.eval()


def tokenizer_weights(network: Network) -> dict[str, Weights]:
    """Return the files of a network's tokenizer by their names; none where open_clip brings it."""
    hub = read_config(network.architecture)["text_cfg"].get("hf_tokenizer_name")
    if not hub:
        return {}
    if network.architecture.startswith(FOLDER):
        folder = network.architecture.removeprefix(FOLDER)
        return {file: Weights(file=file, path=str(Path(folder, file))) for file in TOKENIZER}
    name = hub.rpartition("/")[2]
    return {file: Weights(file=f"{name}/{file}", hub=hub, hub_file=file) for file in TOKENIZER}


def _library() -> ModuleType:
    try:
        import open_clip
    except ImportError:
        raise EngineError(
            "networks that take words want the package open_clip_torch: pip install "
            "'artsearch[text]'"
        ) from None
    return open_clip


@lru_cache
def _trained() -> dict[str, dict[str, dict]]:
    """Return what open_clip knows of weights, by configuration and tag: those that are taken.

    Left out are weights that want another activation than their configuration has (their own one is
    called -quickgelu), and networks whose words are read by a model of transformers, or that write
    captions.
    """
    library, found = _library(), {}
    for name, tag in library.list_pretrained():
        config = library.get_model_config(name)
        if config is None or "multimodal_cfg" in config or "hf_model_name" in config["text_cfg"]:
            continue
        weights = library.get_pretrained_cfg(name, tag)
        if weights.get("quick_gelu", False) == config.get("quick_gelu", False):
            found.setdefault(name, {})[tag] = weights
    return found


def _in_folder(name: str) -> Network:
    folder = Path(name.removeprefix(FOLDER)).expanduser()
    try:
        about = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        about["model_cfg"]["text_cfg"], about["model_cfg"]["vision_cfg"]["image_size"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArtsearchError(
            f"{str(folder)!r} holds no network of open_clip: {CONFIG} is not there or not in its "
            f"form ({type(error).__name__}); name a folder that open_clip saved for the hub"
        ) from None
    forms = [Weights(file=file, path=str(folder / file)) for file in FILES]
    weights = next((one for one in forms if Path(one.path).exists()), forms[0])
    return _entry(name, folder.name, f"{FOLDER}{folder}", about.get("preprocess_cfg", {}), weights)


def _entry(
    name: str, title: str, architecture: str, pixels: dict, weights: Weights, licence: str = ""
) -> Network:
    library, config = _library(), read_config(architecture)
    size = config["vision_cfg"].get("image_size", 224)
    return Network(
        name=f"open_clip:{name}",
        title=title,
        library="open_clip",
        architecture=architecture,
        layer="",
        dims=config["embed_dim"],
        size=size if isinstance(size, int) else size[0],
        mean=tuple(pixels.get("mean", library.OPENAI_DATASET_MEAN)),
        std=tuple(pixels.get("std", library.OPENAI_DATASET_STD)),
        interpolation=pixels.get("interpolation", "bicubic"),
        weights=weights,
        licence=licence or "not stated",
        paper="see open_clip",
        descriptor="projection",
        good_for="words and pictures in one space",
    )


def _from_hub(hub: str, files: tuple[str, str]) -> Weights:
    """Return the weights of a repository: the first of these files, or else the second."""
    name = hub.rpartition("/")[2]
    first, second = (
        Weights(file=f"{name}{Path(file).suffix}", hub=hub, hub_file=file) for file in files
    )
    return replace(first, otherwise=second)


def _licence(hub: str, tower: str | None) -> str:
    """Return the licence that timm states of a repository, or of all weights of an image tower."""
    import timm

    configs = [timm.get_pretrained_cfg(name) for name in timm.list_pretrained()]
    stated = {config.license for config in configs if config.hf_hub_id == hub}
    if not stated and tower:
        stated = {
            timm.get_pretrained_cfg(name).license for name in timm.list_pretrained(f"{tower}.*")
        }
    return stated.pop() or "" if len(stated) == 1 else ""
