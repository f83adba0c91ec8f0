"""What several tests start from: the shipped paintings, tiny pictures, a network at work."""

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import settings
from loopback import Loopback, closed_address
from PIL import Image
from tiers import FEW as FEW_EXAMPLES

settings.register_profile("short", max_examples=FEW_EXAMPLES, deadline=None)
settings.register_profile("long", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or "short")

#: There are no examples in here, and notebooks/ has a file of the same name.
collect_ignore = ["conftest.py"]

ROOT = Path(__file__).parents[1]
FEW = (
    "giuseppe-arcimboldo_spring.jpg",
    "katsushika-hokusai_poppies.jpg",
    "katsushika-hokusai_the-great-wave-off-kanagawa.jpg",
    "leonardo-da-vinci_mona-lisa.jpg",
    "wassily-kandinsky_composition-viii.jpg",
)


@pytest.fixture(scope="session")
def paintings() -> Path:
    """The folder of the 21 shipped paintings."""
    return ROOT / "data" / "paintings"


@pytest.fixture(scope="module")
def collection(paintings):
    """The 21 shipped paintings."""
    from artsearch import Collection

    return Collection(paintings)


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium; see browser.py."""
    from browser import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """A folder for what a module's tests make."""
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="session")
def few(paintings, tmp_path_factory) -> Path:
    """A folder of five of the paintings, with the whole table's rows for them."""
    folder = tmp_path_factory.mktemp("few")
    for name in FEW:
        shutil.copy(paintings / name, folder)
    lines = (paintings / "works.csv").read_text("utf-8").splitlines(keepends=True)
    rows = [line for line in lines if line.startswith(("file,", *FEW))]
    (folder / "works.csv").write_text("".join(rows), "utf-8")
    return folder


@pytest.fixture(scope="session")
def one_thread():
    """Keep torch to one thread: a busy machine loses four fifths of its speed to waiting."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def few_features(few, one_thread):
    """The features of the five paintings by the packaged EfficientNet-Lite0."""
    from artsearch import Collection, compute_features

    collection = Collection(few)
    return compute_features(collection, "efficientnet_lite0", progress=False)


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A machine with empty caches; gives the folder of both."""
    for name in ("ARTSEARCH_WEIGHTS", "ARTSEARCH_OFFLINE", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setenv("HF_ENDPOINT", closed_address())
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path


@pytest.fixture
def server(fresh, monkeypatch):
    """A loopback server that is also the Hugging Face hub."""
    with Loopback() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def paint(tmp_path):
    """Paint a tiny picture below tmp_path and return its path; parents are made."""

    def paint(name: str, size=(8, 6), color="red", mode="RGB", **options) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, color).save(path, **options)
        return path

    return paint


@pytest.fixture
def noise():
    """Make an RGB picture of seeded noise, in which no pixel is like its neighbour."""

    def noise(width: int, height: int, seed: int = 0) -> Image.Image:
        values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return Image.fromarray(values)

    return noise


@pytest.fixture
def as_nobody():
    """A context in which permissions count, even where the tests run as root."""

    @contextmanager
    def as_nobody():
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if is_root:
                os.seteuid(0)

    return as_nobody


@pytest.fixture(scope="session")
def milvus_at_once():
    """Let no test wait half a second for each index: Milvus Lite has it when it answers."""
    handler = pytest.importorskip("pymilvus.client.grpc_handler")
    quick = SimpleNamespace(time=time.time, sleep=lambda seconds: time.sleep(min(seconds, 0.01)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "time", quick)
        yield
