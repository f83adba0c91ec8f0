"""A Ray of two nodes on this machine, and what is computed there."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from extracting import LITE, Slow, tiny_model

from artsearch.features.features import Features
from artsearch.features.ray.session import VARIABLES, warm_up

NODE = {"num_cpus": 1, "object_store_memory": 200_000_000}


@contextmanager
def two_nodes() -> Iterator:
    """Start a cluster of two nodes with a processor each, and connect this process to it."""
    import ray
    from ray.cluster_utils import Cluster

    head = NODE | {"include_dashboard": False}
    with pytest.MonkeyPatch.context() as patch:
        tests = str(Path(__file__).parent)  # for the extractors that are defined here
        patch.setenv("PYTHONPATH", tests, prepend=os.pathsep)
        for name, value in VARIABLES.items():
            patch.setenv(name, value)
        warm_up()
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            cluster.add_node(**NODE)
            ray.init(cluster.address, log_to_driver=False, logging_level="critical")
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def make_many(folder: Path, noise) -> Path:
    """Make a folder of 48 small pictures, one of them twice, and a file that cannot be read."""
    folder.mkdir()
    for number in range(48):
        noise(20 + number, 30, seed=number).save(folder / f"work {number:02}.png")
    shutil.copy(folder / "work 00.png", folder / "the same.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def settle(folder: Path) -> None:
    """Wait until the dates of all files are a proof: of younger ones a store notes none."""
    newest = max(path.stat().st_ctime for path in folder.iterdir())
    time.sleep(max(0, newest + 2.1 - time.time()))


class Marking(Slow):
    """A slow extractor that leaves the name of its node, and waits until others have, too."""

    def rows(self, inputs):
        import ray

        Path(self.marks, ray.get_runtime_context().get_node_id()).touch()
        wait_for(lambda: len(os.listdir(self.marks)) >= self.nodes)
        return super().rows(inputs)


def marking(folder: Path, seconds: float, nodes: int = 1) -> Marking:
    extractor = Marking(LITE, layers="2", precision="exact", model=tiny_model())
    folder.mkdir(exist_ok=True)
    extractor.marks, extractor.seconds, extractor.nodes = str(folder), seconds, nodes
    return extractor


def same(first: Features, second: Features) -> bool:
    """Tell whether two stores hold the same works and rows."""
    assert first.ids == second.ids and first.skipped == second.skipped
    assert first.provenance == second.provenance
    assert cosines(first, second).min() >= 1 - 1e-4
    return True


def cosines(first: Features, second: Features) -> np.ndarray:
    one, other = np.asarray(first.vectors, float), np.asarray(second.vectors, float)
    return (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def journal_lines(out: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in out.glob("stores/.*partial/*.jsonl"))


def raylet_of(node) -> int:
    """Return the process that is a node to Ray; its workers end with it."""
    (raylet,) = node.all_processes["raylet"]
    return raylet.process.pid


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
