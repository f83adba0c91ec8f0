"""Words made ready: texts in, rows out that lie in the space of a network's rows of pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from artsearch.base.errors import ArtsearchError, WeightsError
from artsearch.networks.loading import load_both_towers
from artsearch.networks.network import Network
from artsearch.networks.open_clip import read_config, tokenizer_weights
from artsearch.networks.weights import Weights, fetch_weights, find_weights


class TextEncoder:
    """The tower for words of a network of open_clip: `encoder(["a mountain lake"])`.

    Loads the weights and the tokenizer, from where load_model takes weights; raises WeightsError
    where they cannot be had. It runs on the processor: a question has few words.
    """

    def __init__(self, network: Network):
        self.network = network
        self.tokenizer = load_tokenizer(network)
        # Without the tower for pictures, so that its memory is free again.
        self._model = load_both_towers(network)
        self._model.visual = None

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Return a float32 array of texts × dims, to be compared by cosine.

        Raises ArtsearchError for a text that is longer than the network reads.
        """
        import torch

        tokens = self.tokenizer(list(texts))
        read = tokens.shape[1]
        longer = self.tokenizer(list(texts), context_length=read + 1)
        for text, one, more in zip(texts, tokens, longer, strict=True):
            if not torch.equal(one, more[:read]):  # its end was cut off
                raise ArtsearchError(
                    f"{text[:60]!r}… is longer than what {self.network.name} reads, {read} tokens "
                    "of one to a few letters; take fewer words"
                )
        with torch.inference_mode():
            return self._model.encode_text(tokens).numpy()


@lru_cache(maxsize=1)
def text_encoder(network: Network) -> TextEncoder:
    """Return the encoder of a network, loaded once: it may take a gigabyte of memory."""
    return TextEncoder(network)


def load_tokenizer(network: Network) -> Callable:
    """Return what cuts texts into a network's tokens: texts in, texts × tokens out.

    Raises WeightsError where its files are neither here nor on the hub.
    """
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    settings = read_config(network.architecture)["text_cfg"]
    more = settings.get("tokenizer_kwargs", {}) | {
        "context_length": settings.get("context_length", 77)
    }
    files = tokenizer_weights(network)
    if not files:
        return SimpleTokenizer(**more)
    with TemporaryDirectory() as folder:
        for name, path in _gather(files, network.name).items():
            shutil.copy(path, Path(folder, name))
        try:
            return HFTokenizer(folder, tokenizer_mode=settings.get("tokenizer_mode"), **more)
        except Exception as error:  # transformers and tokenizers each have their own
            reason = " ".join(str(error).split())[:300]
    raise WeightsError(f"the tokenizer of {network.name} cannot be read: {reason}")


def _gather(files: dict[str, Weights], name: str) -> dict[str, Path]:
    """Return where the files of a tokenizer are, fetched where they are not here."""
    *others, last = files
    if find_weights(files[last]) is None:
        for one in others:
            if find_weights(files[one]) is None:
                _fetch_where_there(files[one], name)
        fetch_weights(files[last], name)
    found = {one: find_weights(weights) for one, weights in files.items()}
    return {one: path for one, path in found.items() if path is not None}


def _fetch_where_there(weights: Weights, name: str) -> None:
    """Fetch a file that a repository may have or not; raise WeightsError for all other failures."""
    try:
        fetch_weights(weights, name)
    except WeightsError as error:
        if "answered 404" not in str(error) and not weights.path:
            raise
