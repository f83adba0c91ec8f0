"""An index in Milvus: real Milvus Lite, in this process and as a server of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from asking import make_vectors

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.features import Features
from artsearch.index.factory import construct_exact_index, construct_index
from artsearch.index.milvus.fields import to_expression
from artsearch.index.milvus.index import MilvusIndex
from artsearch.index.milvus.store import MilvusStore
from artsearch.works.conditions import Columns, parse

pytest.importorskip("pymilvus")
pytest.importorskip("milvus_lite")
pytestmark = pytest.mark.usefixtures("milvus_at_once")
METRICS = ("angular", "euclidean", "dot")
MADE_BY = {"network": "vgg16", "layer": "fc1", "collection": "as it was"}
#: Ids that would end a text, a line or an expression, and longer ones than a key may be.
IDS = ('a" or pk != "', "b\\", "c'\n", "d%_{x}", "e\0", "星月夜", "f" * 5000, "g.jpg", "")


def make_features(count: int, seed: int = 0, **provenance: str) -> Features:
    ids = [*IDS, *(f"work {n:04}" for n in range(count))][:count]
    return Features(make_vectors(count, seed), ids, MADE_BY | provenance)


def make_table(features: Features) -> pd.DataFrame:
    years = [str(1500 + n) for n in range(len(features))]
    return pd.DataFrame({"id": features.ids, "year": years})


def stored_milvus(
    features: Features, works, uri, metric: str = "angular", **options
) -> MilvusIndex:
    return MilvusIndex.build(metric, features, works=works, uri=uri, **options)


def count(index: MilvusIndex, where: str) -> int:
    """Return how many works Milvus finds for a condition."""
    return index.store.count(to_expression(parse(where), Columns(index.works), index.attributes))


def same_search(index, exact, queries, k) -> None:
    for query in queries:
        ids, distances = index.search(query, k)
        expected, right = exact.search(query, k)
        assert ids == expected
        np.testing.assert_allclose(distances, right, rtol=1e-12, atol=1e-12)


@contextmanager
def python(code: str, *arguments: str):
    """Run a program beside this one, ended at the latest when the block is left."""
    # Unbuffered: what it says is waited for.
    command = [sys.executable, "-u", "-c", code, *map(str, arguments)]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield run
    finally:
        run.kill()
        run.communicate()


@pytest.fixture
def written(monkeypatch):
    """The keys of the works written to Milvus, one after the other."""
    keys, upsert = [], MilvusStore.upsert

    def write(self, records):
        keys.extend(record["id"] for record in records)
        upsert(self, records)

    monkeypatch.setattr(MilvusStore, "upsert", write)
    return keys


@pytest.mark.parametrize("metric", METRICS)
def test_it_finds_what_exact_search_finds(tmp_path, metric):
    features = make_features(80)
    vectors = features.vectors.copy()
    vectors[20] = 0  # which has no direction
    vectors[21] = vectors[22] * 2  # in the same direction
    features = Features(vectors, features.ids, MADE_BY)
    exact = construct_exact_index(metric, features)
    index = construct_index("milvus", metric, features, uri=tmp_path / "works.db")
    assert (index.ids, index.dims, index.provenance) == (features.ids, features.dims, MADE_BY)
    same_search(index, exact, [*IDS, *features.ids[20:23], features.vectors[9]], 10)
    np.testing.assert_array_equal(index.row(IDS[0]), exact.row(IDS[0]))
    rows, distances = index.search_many(features.vectors[:7], 5)
    expected, right = exact.search_many(features.vectors[:7], 5)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(distances, right, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(index.exact()._vectors, exact._vectors)
    index.close()
    again = MilvusIndex.open(tmp_path / "works.db")
    assert again.ids == tuple(sorted(features.ids)) and again.metric == metric
    assert again.search(IDS[3], 3)[0] == exact.search(IDS[3], 3)[0]
    again.close()


def test_works_come_change_and_go_without_a_rebuild(tmp_path, written):
    before, uri = make_features(60), tmp_path / "works.db"
    stored_milvus(before, make_table(before), uri).close()
    assert len(written) == 60
    written.clear()
    stored_milvus(before, make_table(before), uri).close()
    assert written == []

    vectors = np.concatenate([before.vectors[5:], make_vectors(2, seed=9)])
    vectors[3] += 1
    after = Features(vectors, [*before.ids[5:], "new", "newer"], MADE_BY | {"collection": "now"})
    table = make_table(after)
    table["year"] = [*make_table(before)["year"][5:], "1999", "2000"]
    table.loc[4, "year"] = "1"
    index = stored_milvus(after, table, uri)
    assert written == [before.ids[8], before.ids[9], "new", "newer"]
    same_search(index, construct_exact_index("angular", after), after.ids[:10], 8)
    assert index.provenance["collection"] == "now" and index.store.count("") == len(after)
    assert count(index, "year < 1000") == 1
    written.clear()
    index = index.update(before)
    assert written == [*before.ids[:5], before.ids[8]] and index.ids == before.ids
    index.close()


def test_a_new_column_is_taken_in_and_one_that_is_gone_stays_away(tmp_path, written):
    features, uri = make_features(20), tmp_path / "works.db"
    table = make_table(features)
    stored_milvus(features, table, uri).close()
    index = stored_milvus(features, table.assign(style="x"), uri)
    assert count(index, 'style == "x" and year >= 1510') == 10
    index.close()
    written.clear()
    index = stored_milvus(features, table, uri)
    assert count(index, "year >= 1510") == 10
    index.close()


def test_an_older_format_is_told_apart_and_written_again(tmp_path, written):
    features, uri = make_features(5), tmp_path / "works.db"
    index = stored_milvus(features, None, uri)
    index.store.write_metadata({"format": 1, "whole": True})
    index.close()
    with pytest.raises(MismatchError, match="has the format 1, this version 3; build it from"):
        MilvusIndex.open(uri)
    with pytest.warns(UserWarning, match="has the format 1, this version 3; it is written again"):
        stored_milvus(features, None, uri).close()
    assert len(written) == 10
    MilvusIndex.open(uri).close()


def test_other_features_are_refused_with_both_values(tmp_path):
    features, uri = make_features(12), tmp_path / "works.db"
    stored_milvus(features, None, uri).close()
    with pytest.raises(MismatchError, match="with network 'vgg16', asked for is 'resnet50'"):
        stored_milvus(make_features(12, network="resnet50"), None, uri)
    with pytest.raises(MismatchError, match="with metric 'angular', asked for is 'dot'"):
        stored_milvus(features, None, uri, metric="dot")
    narrow = Features(features.vectors[:, :5], features.ids, MADE_BY)
    with pytest.raises(MismatchError, match="'vector': 24}, asked for is {'vector': 5}"):
        stored_milvus(narrow, None, uri)
    other = stored_milvus(narrow, None, uri, name="narrow -- ones")
    assert other.dims == 5
    other.close()
    replaced = stored_milvus(narrow, None, uri, metric="dot", replace=True)
    assert (replaced.dims, replaced.metric) == (5, "dot")
    replaced.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"metric": "hamming"}, "unknown metric of Milvus 'hamming'; known: angular, dot"),
        ({"structure": "ivf"}, "unknown structure 'ivf'.*known: flat, hnsw"),
        ({"uri": "works.csv"}, "the uri 'works.csv' is neither a server nor a file of Milvus"),
        ({"uri": "http://127.0.0.1:9"}, "no Milvus answers at 'http://127.0.0.1:9'"),
        ({"uri": "http://[bad"}, r"no Milvus answers at 'http://\[bad'"),
        ({"uri": "/dev/null/works.db"}, "cannot be written"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(tmp_path, options, said):
    features = make_features(5)
    with pytest.raises(ArtsearchError, match=said) as raised:
        MilvusIndex.build(**{"metric": "angular", "features": features, "uri": "x.db"} | options)
    assert "\n" not in str(raised.value)


def test_of_more_columns_than_milvus_takes_the_first_ones_travel(tmp_path):
    features = make_features(3)
    wide = make_table(features).assign(**{f"c{n}": "x" for n in range(30)})
    with pytest.warns(UserWarning, match="32 columns, and Milvus takes 20; .* after 'c17'"):
        index = stored_milvus(features, wide, tmp_path / "works.db")
    assert count(index, 'c17 == "x"') == 3
    with pytest.raises(ArtsearchError, match="'c18' is not kept with the vectors in Milvus"):
        count(index, 'c18 == "x"')


def test_it_is_no_folder_and_says_when_it_was_closed(tmp_path):
    index = stored_milvus(make_features(5), None, tmp_path / "works.db")
    with pytest.raises(ArtsearchError, match="not saved as a folder; open it by its uri"):
        index.save(tmp_path / "index")
    index.close()
    with pytest.raises(ArtsearchError, match="was closed; open it again"):
        index.search(IDS[0], 2)


@pytest.mark.parametrize("missing", ["pymilvus", "milvus_lite"])
def test_a_missing_package_is_named_with_its_command(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ArtsearchError, match=r"pip install 'artsearch\[scale\]'"):
        stored_milvus(make_features(5), None, tmp_path / "works.db")


def test_files_that_milvus_did_not_write_are_left_as_they_are(tmp_path):
    path = tmp_path / "works.db"
    path.write_text("my own")
    with pytest.raises(ArtsearchError, match="is no file that Milvus Lite can open"):
        stored_milvus(make_features(5), None, path)
    assert path.read_text() == "my own"


def test_a_damaged_file_is_said_in_a_sentence(tmp_path):
    uri = tmp_path / "works.db"
    stored_milvus(make_features(50), None, uri).close()
    for path in uri.rglob("*"):
        if path.is_file() and path.name != "LOCK":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ArtsearchError, match="remove it and build again"):
        MilvusIndex.open(uri)


def test_a_collection_of_somebody_else_is_not_touched(tmp_path):
    uri = str(tmp_path / "works.db")
    store = MilvusStore(uri, "theirs")
    store._client.create_collection("theirs", dimension=4)
    for replace in (False, True):
        with pytest.raises(ArtsearchError, match="was not made by artsearch, and is not touched"):
            stored_milvus(make_features(5), None, uri, name="theirs", replace=replace)
    assert store.has_works()
    store.close()
    with pytest.raises(ArtsearchError, match="holds no collection 'artsearch'; build it"):
        MilvusIndex.open(uri)


def test_a_second_process_is_told_what_to_do(tmp_path):
    uri, features = tmp_path / "works.db", make_features(5)
    stored_milvus(features, None, uri).close()
    held = (
        "import sys; from artsearch.index.milvus.index import MilvusIndex\n"
        "index = MilvusIndex.open(sys.argv[1]); print('open', flush=True); input()"
    )
    with python(held, uri) as run:
        assert run.stdout.readline() == "open\n"
        with pytest.raises(ArtsearchError, match="open in another process.*milvus-lite server"):
            MilvusIndex.open(uri)
        run.communicate("\n")
    index = MilvusIndex.open(uri)
    assert len(index) == 5
    index.close()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path, written):
    uri, count = tmp_path / "works.db", 2500
    np.save(tmp_path / "vectors.npy", make_vectors(count))
    build = """
import os, signal, sys
import numpy as np
from artsearch.features.features import Features
from artsearch.index.milvus.index import MilvusIndex
from artsearch.index.milvus.store import MilvusStore
upsert, done = MilvusStore.upsert, []
def write(self, records):
    upsert(self, records)
    done.append(1)
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
MilvusStore.upsert = write
vectors = np.load(sys.argv[2])
features = Features(vectors, [str(n) for n in range(len(vectors))])
MilvusIndex.build("angular", features, uri=sys.argv[1])
"""
    with python(build, uri, tmp_path / "vectors.npy") as run:
        assert run.wait(60) == -signal.SIGKILL
    with pytest.raises(ArtsearchError, match="was not written to its end"):
        MilvusIndex.open(uri)
    features = Features(np.load(tmp_path / "vectors.npy"), [str(n) for n in range(count)])
    index = stored_milvus(features, None, uri)
    assert written == [str(n) for n in range(2000, 2500)]
    assert index.store.count("") == count
    same_search(index, construct_exact_index("angular", features), ["0", "1999", "2499"], 20)
    index.close()


def wait_for_port(port: int, run: subprocess.Popen, seconds: float = 120) -> None:
    """Wait until a process listens."""
    end = time.monotonic() + seconds
    while True:
        assert run.poll() is None and time.monotonic() < end, "it does not listen"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)


@pytest.fixture
def server(tmp_path):
    """The address of a Milvus Lite that runs as a server of its own, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from milvus_lite.cmdline import main; main(sys.argv[1:])"
    where = "--data-dir", tmp_path / "server.db", "--host", "127.0.0.1", "--port", str(port)
    with python(code, "server", *where) as run:
        wait_for_port(port, run)
        yield f"http://127.0.0.1:{port}", run


@pytest.mark.slow
def test_a_server_answers_as_a_file_does(server, written):
    uri, run = server
    features = make_features(60)
    index = stored_milvus(features, make_table(features), uri)
    same_search(index, construct_exact_index("angular", features), [*IDS], 10)
    assert count(index, "year < 1510") == 10
    second = MilvusIndex.open(uri)  # a server is open to many
    assert second.ids == tuple(sorted(features.ids))
    second.close()
    written.clear()
    vectors = np.concatenate([features.vectors, make_vectors(1)])
    more = Features(vectors, [*features.ids, "one more"], MADE_BY)
    stored_milvus(more, make_table(more), uri).close()
    assert written == ["one more"]
    run.kill()
    run.wait()
    start = time.monotonic()
    with pytest.raises(ArtsearchError, match="could not answer.*see that the server runs"):
        index.search(IDS[0], 3)
    assert time.monotonic() - start < 60
    index.close()


@pytest.mark.slow
def test_nothing_is_left_running(tmp_path):
    """A file is free for another process as soon as the last index of it was closed."""
    uri, features = tmp_path / "works.db", make_features(5)
    first, second = (stored_milvus(features, None, uri) for _ in range(2))
    first.close()
    assert second.search(IDS[0], 1)[0]
    del second  # closed by itself when nobody has it any more
    code = (
        "import sys; from artsearch.index.milvus.index import MilvusIndex as M; M.open(sys.argv[1])"
    )
    environment = os.environ | {"PYTHONWARNINGS": "error::ResourceWarning"}
    subprocess.run([sys.executable, "-c", code, uri], check=True, env=environment)
