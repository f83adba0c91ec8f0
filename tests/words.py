"""A tiny network that takes words, as a trained one would stand on the hub."""

import json
from types import SimpleNamespace

HUB = "timm/Tiny-SigLIP2"
#: Words that the tiny tokenizer knows, by their numbers.
VOCABULARY = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "mountain": 4, "lake": 5, "night": 6}
TOKENIZER = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [
        {"id": number, "content": word, "special": True, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for word, number in VOCABULARY.items() if word[0] == "<"
    ],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}},
                   {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
    },
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": VOCABULARY, "unk_token": "<unk>"},
}  # fmt: skip
ABOUT_TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "pad_token": "<pad>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "padding_side": "right",
}


def tiny_siglip(monkeypatch, folder):
    """Let open_clip know a tiny SigLIP 2, and write its files as they stand in a repository.

    Gives the entry's name, the folder, and the model itself.
    """
    import open_clip
    import torch
    from open_clip import factory, pretrained
    from safetensors.torch import save_file

    from artsearch.networks import open_clip as ours

    text = {"context_length": 8, "vocab_size": 16, "hf_tokenizer_name": HUB, "width": 16}
    text |= {"heads": 2, "layers": 1, "no_causal_mask": True, "proj_bias": True}
    text |= {"pool_type": "last", "tokenizer_kwargs": {"clean": "canonicalize"}}
    seen = {"image_size": 32, "timm_model_name": "test_vit", "timm_model_pretrained": False}
    seen |= {"timm_pool": "map", "timm_proj": "none"}
    config = {"embed_dim": 64, "init_logit_bias": -10, "custom_text": True}
    config |= {"vision_cfg": seen, "text_cfg": text}
    about = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    monkeypatch.setitem(factory._MODEL_CONFIGS, "Tiny-SigLIP2", config)
    tags = {"webli": about | {"hf_hub": f"{HUB}/", "url": "", "resize_mode": "squash"}}
    monkeypatch.setitem(pretrained._PRETRAINED, "Tiny-SigLIP2", tags)
    for cached in (ours._trained, ours.open_clip_network):
        cached.cache_clear()

    torch.manual_seed(0)
    model = open_clip.create_model("Tiny-SigLIP2").eval()
    folder.mkdir()
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    for name, content in {
        "open_clip_config.json": {"model_cfg": config, "preprocess_cfg": about},
        "tokenizer.json": TOKENIZER,
        "tokenizer_config.json": ABOUT_TOKENIZER,
    }.items():
        (folder / name).write_text(json.dumps(content))
    return SimpleNamespace(name="open_clip:Tiny-SigLIP2", folder=folder, model=model)
