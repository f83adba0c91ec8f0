"""A node of a Ray cluster is killed in mid-run: no work is lost, and none comes twice."""

import os
import signal
import threading

import pytest
from clusters import journal_lines, make_many, marking, raylet_of, same, two_nodes, wait_for
from extracting import run

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


@pytest.fixture
def cluster():
    """A cluster of this test's own: one of its nodes is gone afterwards."""
    with two_nodes() as cluster:
        yield cluster


def test_a_killed_node_costs_no_work_and_doubles_none(cluster, noise, tmp_path):
    many = make_many(tmp_path / "many", noise)
    marks, out = tmp_path / "marks", tmp_path / "out"
    victim = next(iter(cluster.worker_nodes))
    left: list[int] = []

    def kill() -> None:
        wait_for(lambda: (marks / victim.node_id).exists() and journal_lines(out) >= 2)
        os.kill(raylet_of(victim), signal.SIGKILL)
        left.append(49 * 24 - next(out.glob("stores/.*partial/rows.f32")).stat().st_size)

    killer = threading.Thread(target=kill)
    killer.start()
    features = run(many, out, extractors=[marking(marks, 0.5, nodes=2)], engine="ray")
    killer.join()
    assert left[0] > 0  # in mid-run: rows were still to come when it was killed
    alive = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    assert victim.node_id not in alive and len(alive) == 1
    assert same(features, run(many, tmp_path / "local"))
