"""A Ray of our own or a cluster's, faked: what is set and taken back, tried, and said."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from index_bench import Method, measure
from mixing import mix_features

import artsearch.features.ray.session
from artsearch.base.errors import ArtsearchError, EngineError
from artsearch.cli.notebook import if_possible
from artsearch.features.ray.session import import_ray, session
from artsearch.index.factory import construct_index
from artsearch.index.milvus.index import MilvusIndex

NODE_LATE = "The current node timed out during startup."


class FakeRay(SimpleNamespace):
    """Ray as far as a session asks it: `fails` says what each start ends with, None for well."""

    def __init__(self, *fails: str | None, initialized: bool = False):
        super().__init__(fails=list(fails), initialized=initialized, inits=[], shutdowns=0)

    def is_initialized(self) -> bool:
        return self.initialized

    def init(self, address: str, **options) -> None:
        os.environ["RAY_AUTH_MODE"] = "token"  # as the real one does
        self.inits.append((address, dict(os.environ)))
        reason = self.fails.pop(0) if self.fails else None
        if reason:
            raise Exception(reason)

    def shutdown(self) -> None:
        self.shutdowns += 1


@pytest.fixture
def fake(monkeypatch):
    """Put a fake in the place of Ray; a call says how its starts end."""

    def fake(*fails: str | None, **options) -> FakeRay:
        ray = FakeRay(*fails, **options)
        monkeypatch.setattr(artsearch.features.ray.session, "import_ray", lambda: ray)
        monkeypatch.setattr(artsearch.features.ray.session, "AGENTS", "")
        return ray

    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    return fake


def test_the_environment_is_what_it_was(fake, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")  # the user's own stays
    ray, before = fake(), dict(os.environ)
    with session() as started:
        assert started is ray
    ((address, there),) = ray.inits
    assert address == "local" and there["RAY_gcs_server_port_wait_time_s"] == "60"
    assert there["RAY_USAGE_STATS_ENABLED"] == "1" and there["RAY_enable_worker_prestart"] == "0"
    assert dict(os.environ) == before and ray.shutdowns == 1


def test_a_start_that_comes_too_late_is_tried_again(fake, monkeypatch):
    monkeypatch.setattr(artsearch.features.ray.session, "AT_ONCE", 0)
    ray = fake(NODE_LATE, NODE_LATE, None)
    with session():
        assert len(ray.inits) == 3 and ray.shutdowns == 2


def test_a_ray_that_does_not_start_is_a_sentence(fake, monkeypatch):
    monkeypatch.setattr(artsearch.features.ray.session, "AT_ONCE", 0)
    ray, before = fake(NODE_LATE, NODE_LATE, f"{NODE_LATE}\nA page of details"), dict(os.environ)
    with pytest.raises(EngineError, match=r"^Ray does not start .*startup\.\); take the engine"):
        with session():
            raise AssertionError("it has not started")
    assert len(ray.inits) == 3 and dict(os.environ) == before


def test_what_fails_at_once_is_not_tried_again(fake):
    ray = fake("no space left on /dev/shm")
    with pytest.raises(EngineError, match="no space left"), session():
        pass
    assert len(ray.inits) == 1


def test_a_cluster_that_is_not_ours_to_join_does_not_shorten_the_next_start(fake):
    ray = fake("wrong token")
    with pytest.raises(ArtsearchError, match=r"cannot join .*10\.0\.0\.7:6379.*wrong token"):
        with session("10.0.0.7:6379"):
            pass
    with session():
        pass
    waits = [there["RAY_gcs_server_port_wait_time_s"] for _, there in ray.inits]
    assert waits == ["1", "60"]


def test_a_ray_that_is_connected_is_used_and_stays(fake):
    ray = fake(initialized=True)
    with session():
        pass
    with pytest.raises(ArtsearchError, match="connected to a Ray already.*ray.shutdown"):
        with session("auto"):
            pass
    assert not ray.inits and not ray.shutdowns


# Without engines


ENGINES = ("faiss", "pymilvus", "milvus_lite", "ray")


@pytest.fixture
def without_engines(monkeypatch):
    """Let no engine be installed."""
    for name in [*sys.modules]:
        if name.split(".")[0] in ENGINES:
            monkeypatch.setitem(sys.modules, name, None)
    for name in ENGINES:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def features(few_features):
    return mix_features(few_features, 30, 0)


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda rows: construct_index("faiss", "angular", rows), "the kind 'faiss' needs"),
        (lambda rows: MilvusIndex.build("angular", rows, uri="a.db"), "Milvus wants pymilvus"),
        (lambda rows: import_ray(), "the engine 'ray' wants"),
    ],
    ids=["faiss", "milvus", "ray"],
)
def test_notebook_9_says_what_is_left_out_and_goes_on(
    use, said, without_engines, features, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with if_possible():
        use(features)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Left out here: ") and said in line
    assert "pip install 'artsearch[scale]'" in line


def test_notebook_9_says_it_of_a_ray_that_does_not_start(fake, capsys):
    fake(NODE_LATE, NODE_LATE)
    with if_possible(), session():
        pass
    said = capsys.readouterr().out
    assert said.startswith("Left out here: Ray does not start on this machine (The current node")


def test_a_mistake_is_not_left_out(features):
    with pytest.raises(ArtsearchError, match="unknown metric"), if_possible():
        construct_index("exact", "cosine", features)


def test_a_measurement_goes_on_without_filters(features):
    rows, left_out = measure(
        features,
        [Method("exact", "kind", {"kind": "exact"})],
        np.array(features.vectors[:3]),
        rounds=1,
        shares=(),
        seconds=0.01,
    )
    assert rows[0]["recall_at_10"] == 1 and not left_out
    assert not any("filter" in name for name in rows[0])
