"""The pipeline on a real Ray of two nodes on this machine: the same store, whatever is killed."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from clusters import journal_lines, make_many, marking, same, settle, two_nodes, wait_for
from extracting import LITE, run, tiny_extractor, tiny_model

import artsearch.features.extract
import artsearch.features.ray.workers
from artsearch import Collection
from artsearch.base.disk import MANIFEST
from artsearch.base.errors import ArtsearchError, CollectionError, WeightsError
from artsearch.features.extract import extract
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.pipeline import Rows, Work
from artsearch.features.ray.engine import _blocks, _taken
from artsearch.features.ray.workers import Known, Networks, Unseen, read_files, unpack
from artsearch.works.file_state import FileState

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster():
    """A Ray of two nodes with a processor each, to which this process is connected."""
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture
def many(tmp_path, noise) -> Path:
    return make_many(tmp_path / "many", noise)


@pytest.fixture
def came(monkeypatch) -> list[str]:
    """The ids of the works whose rows came from a network, in this process or elsewhere."""
    ids: list[str] = []
    keep = artsearch.features.extract._keep_rows

    def counting(done, targets):
        ids.extend(work.id for work in done.works)
        keep(done, targets)

    monkeypatch.setattr(artsearch.features.extract, "_keep_rows", counting)
    return ids


def manifest_of(out: Path, name: str = "[!.]*") -> dict:
    """Return what a store says of itself, but for its hashes: rows differ in the last digit."""
    (path,) = out.glob(f"stores/{name}/{MANIFEST}")
    manifest = json.loads(path.read_text())
    manifest["files"] = sorted(manifest["files"])
    return {key: value for key, value in manifest.items() if key != "sha256"}


def shell(*words: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "artsearch", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        env=os.environ | environment,
    )


# The same store


@pytest.mark.slow
def test_paintings_have_the_rows_that_one_machine_gives(cluster, few, tmp_path):
    folder = tmp_path / "few"
    shutil.copytree(few, folder)
    (folder / "letter.jpg").write_text("Dear museum,")
    first = next(folder.glob("*hokusai_poppies.jpg"))
    (folder / "cut off.jpg").write_bytes(first.read_bytes()[:20_000])
    settle(folder)
    found = {}
    for engine in ("local", "ray"):
        extractor = FeatureExtractor(LITE, precision="exact")
        pair = [extractor, extractor.with_crop("center_crop")]
        out = tmp_path / engine
        found[engine] = extract(Collection(folder), pair, out, progress=False, engine=engine)
    assert found["local"].keys() == found["ray"].keys() and len(found["ray"]) == 2
    for key, features in found["ray"].items():
        assert same(features, found["local"][key])
        assert len(features) == 5 and len(features.skipped) == 2
    names = [sorted(path.name for path in (tmp_path / one / "stores").iterdir()) for one in found]
    assert names[0] == names[1]
    for name in names[0]:
        if not name.startswith("."):
            assert manifest_of(tmp_path / "local", name) == manifest_of(tmp_path / "ray", name)


@pytest.mark.slow
def test_a_folder_that_grows_has_only_its_new_works_computed(cluster, many, tmp_path, noise, came):
    first = run(many, tmp_path / "out", engine="ray")
    assert len(first) == 49 and "not a JPEG" in dict(first.skipped)["broken.jpg"]
    came.clear()
    noise(9, 9, seed=99).save(many / "new.png")
    shutil.copy(many / "work 07.png", many / "an old one again.png")
    (many / "work 08.png").unlink()
    settle(many)
    grown = run(many, tmp_path / "out", engine="ray")
    assert came == ["new.png"] and len(grown) == 50
    assert same(grown, run(many, tmp_path / "local"))
    assert manifest_of(tmp_path / "out") == manifest_of(tmp_path / "local")


def test_where_all_is_known_ray_is_not_even_asked(many, tmp_path, monkeypatch):
    run(many, tmp_path / "out")
    monkeypatch.setattr(artsearch.features.ray.engine, "session", None)
    settle(many)
    run(many, tmp_path / "out")  # with dates that are a proof by now
    assert len(run(many, tmp_path / "out", engine="ray")) == 49


# Errors


@pytest.mark.slow
def test_an_error_of_a_worker_is_the_sentence_it_would_be_here(cluster, many, tmp_path):
    extractor = tiny_extractor()
    extractor.weights = "0" * 64  # as if the file here were another one than on the nodes
    with pytest.raises(
        WeightsError, match="node .* has other weights of efficientnet_lite0.*not 0"
    ):
        run(many, tmp_path / "out", extractors=[extractor], engine="ray")
    assert ray.is_initialized()


class Broken(FeatureExtractor):
    """An extractor with a mistake in it."""

    def rows(self, inputs):
        raise ZeroDivisionError("a cosmic ray")


@pytest.mark.slow
def test_a_mistake_in_a_network_ends_the_job_in_a_sentence(cluster, many, tmp_path):
    broken = Broken(LITE, layers="2", precision="exact", model=tiny_model())
    with pytest.raises(ArtsearchError, match=r"ended before its time \(.*cosmic ray.*goes on"):
        run(many, tmp_path / "out", extractors=[broken], engine="ray")


@pytest.mark.slow
def test_nothing_but_unreadable_works_is_one_error(cluster, tmp_path):
    (tmp_path / "works").mkdir()
    (tmp_path / "works" / "a.jpg").write_text("no picture")
    with pytest.raises(CollectionError, match="none of the 1 works"):
        run(tmp_path / "works", tmp_path / "out", engine="ray")


@pytest.mark.slow
def test_one_that_is_connected_joins_no_other(cluster, many, tmp_path):
    with pytest.raises(ArtsearchError, match="connected to a Ray already.*ray.shutdown"):
        run(many, tmp_path / "out", engine="ray", address=cluster.address)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"engine": "rai"}, "unknown engine 'rai'; did you mean 'ray'. known: local, ray"),
        ({"address": "auto"}, "address 'auto' is for the engine 'ray'"),
    ],
)
def test_engines_and_addresses_are_checked_first(many, tmp_path, options, message):
    with pytest.raises(ArtsearchError, match=message):
        run(many, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_without_the_package_it_is_named(many, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ArtsearchError, match=r"pip install 'artsearch\[scale\]'"):
        run(many, tmp_path / "out", engine="ray")


@pytest.mark.parametrize(
    "address, message",
    [
        ("127.0.0.1:1", "no Ray cluster answers at '127.0.0.1:1'"),
        ("nonsense", "'nonsense' is no address of a Ray cluster; take 'auto'"),
    ],
)
def test_the_command_names_an_address_of_nobody(few, tmp_path, address, message):
    words = ("--networks", LITE, "--precision", "exact", "--out", tmp_path, "--address", address)
    done = shell("extract", few, "--engine", "ray", *words)
    assert done.returncode == 1 and message in done.stderr
    assert "Traceback" not in done.stderr


# What travels, and what nodes do, without a cluster


def test_a_loaded_network_stays_and_a_given_one_travels(few):
    picture = next(few.glob("*.jpg"))
    packaged, given = FeatureExtractor(LITE, precision="exact"), tiny_extractor()
    before = len(pickle.dumps(packaged))
    row, own = packaged(picture), given(picture)
    assert len(pickle.dumps(packaged)) == before < 5_000
    first, second = pickle.loads(pickle.dumps([packaged, packaged.with_crop("center_crop")]))
    assert first.runner is second.runner and first.weights == packaged.weights
    assert first(picture) == pytest.approx(row, abs=1e-4)
    assert pickle.loads(pickle.dumps(given))(picture) == pytest.approx(own, abs=1e-4)
    assert len(pickle.dumps(given.without_model())) < 5_000 < len(pickle.dumps(given))


def test_contents_that_are_known_are_told_by_extractor():
    first, second = tiny_extractor(), tiny_extractor(layers="0")
    wanted = {"a" * 64: [second], "c" * 64: []}
    known = Known(wanted, wanted.get, [first, second])
    copies = pickle.loads(pickle.dumps(known)), ["one", "two"]
    answers = [copies[0].wanted(letter * 64, copies[1]) for letter in "abcd"]
    assert answers == [["two"], ["one", "two"], [], ["one", "two"]]
    assert Known([], None, [first]).wanted("a" * 64, ["one"]) == ["one"]


def as_block(*paths: Path):
    import pyarrow as pa

    files = [pickle.dumps(path) for path in paths]
    return pa.table({"id": [path.name for path in paths], "path": files})


def test_a_node_reads_and_computes_what_is_there(many):
    extractor = tiny_extractor()
    block = as_block(many / "work 01.png", many / "broken.jpg", many / "gone.png")
    read = read_files(block, [extractor], Known([], None, [extractor]))
    good, bad, unseen = unpack(read)
    assert good.inputs[0].shape == (224, 224, 3) and "not a JPEG" in bad.reason
    assert isinstance(unseen, Unseen) and "no such image file" in unseen.work.reason
    networks = Networks([extractor], [extractor.weights], None, 3, 1)
    (done,) = unpack(networks(read))
    assert [type(one) for one in done] == [Work, Work, Unseen, Rows]
    assert done[0].inputs == {} and done[3].extractor == 0
    row = extractor(many / "work 01.png")
    assert done[3].by_layer["2"][0] == pytest.approx(row, abs=1e-5)


def test_a_node_without_bfloat16_is_named_with_what_to_do(many, monkeypatch):
    monkeypatch.setattr(artsearch.features.ray.workers, "fast_is_possible", lambda: False)
    extractor = tiny_extractor()
    extractor.precision = "fast"
    read = read_files(as_block(many / "work 01.png"), [extractor], Known([], None, [extractor]))
    (error,) = unpack(Networks([extractor], [extractor.weights], None, 1, 1)(read))
    assert isinstance(error, ArtsearchError)
    assert "node " in str(error) and "--precision exact" in str(error)


def test_each_file_travels_under_its_own_id(many):
    paths = {path.name: path for path in many.glob("*.png")}
    blocks = list(_blocks(paths, 20))
    assert [len(block) for block in blocks] == [20, 20, len(paths) - 40]
    for block in blocks:
        for id, path in zip(*(block[name].to_pylist() for name in ("id", "path")), strict=True):
            assert pickle.loads(path) == paths[id].absolute()


def test_a_file_that_only_this_machine_sees_ends_the_job(many):
    work = Work("a", FileState(0, 0, 0), {}, "no such image file: 'a'")
    unseen = Unseen(work, "10.0.0.7")
    with pytest.raises(
        ArtsearchError, match="node 10.0.0.7 does not see .*work 01.*all nodes share"
    ):
        _taken(unseen, {"a": many / "work 01.png"}, [])
    assert _taken(unseen, {"a": many / "gone.png"}, []) is work


# Killed


DRIVER = """
import sys
from pathlib import Path
from extracting import run
from clusters import marking
folder, out, marks, address = sys.argv[1:]
run(folder, out, extractors=[marking(Path(marks), 1.0)], engine="ray", address=address)
"""


@pytest.mark.slow
def test_a_killed_driver_goes_on_where_it_was(cluster, many, tmp_path, came):
    out, marks = tmp_path / "out", tmp_path / "marks"
    words = [sys.executable, "-c", DRIVER, many, out, marks, cluster.address]
    process = subprocess.Popen(list(map(str, words)))
    try:
        wait_for(lambda: journal_lines(out) >= 3 or process.poll() is not None)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    finally:
        process.kill()
    journal = next(out.glob("stores/.*partial/rows.f32"))
    kept = journal.stat().st_size // (4 * 6)
    assert 0 < kept < 49
    features = run(many, out, extractors=[marking(marks, 0)], engine="ray")
    assert len(came) <= 49 - kept + 1 and len(set(came)) == len(came)
    assert same(features, run(many, tmp_path / "local"))


@pytest.mark.slow
def test_the_command_joins_a_cluster(cluster, few, tmp_path):
    options = ("--networks", LITE, "--crops", "no_crop", "--precision", "exact")
    words = ("extract", few, *options, "--out", tmp_path / "out", "--engine", "ray")
    done = shell(*words, "--address", cluster.address)
    assert done.returncode == 0, done.stderr
    assert "5 works, 1,280 numbers each, in:" in done.stdout
    lines = done.stderr.strip().splitlines()  # our own progress, and nothing of Ray's
    assert all(line.startswith("EfficientNet-Lite0: ") for line in lines)
    assert lines[-1].startswith("EfficientNet-Lite0: 5 works in")
    local = tmp_path / "local"
    assert shell(*words[:-3], local).returncode == 0
    assert manifest_of(local) == manifest_of(tmp_path / "out")


# A Ray of our own


def processes_with(mark: str) -> list[str]:
    """Return the names of the processes that have a text in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes().decode("utf-8", "replace"):
                found.append((folder / "comm").read_text().strip())
        except OSError:
            continue  # ended meanwhile
    return found


@pytest.mark.slow
def test_the_command_starts_a_ray_of_its_own_and_leaves_nothing(few, tmp_path):
    """In a home where nobody has used Ray before."""
    mark = uuid.uuid4().hex
    words = ("--networks", LITE, "--crops", "no_crop", "--precision", "exact", "--engine", "ray")
    out = ("--out", tmp_path / "out")
    done = shell("extract", few, *words, *out, HOME=str(tmp_path), ARTSEARCH_MARK=mark)
    assert done.returncode == 0, done.stderr
    assert "5 works, 1,280 numbers each, in:" in done.stdout
    lines = done.stderr.strip().splitlines()  # more than one where it takes long
    assert all(line.startswith("EfficientNet-Lite0: ") for line in lines), lines
    assert lines[-1].startswith("EfficientNet-Lite0: 5 works in")
    wait_for(lambda: processes_with(mark) == [], 30)
