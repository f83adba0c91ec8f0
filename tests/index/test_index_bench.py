"""The benchmark of indexes: what it finds is so, and a method that is broken is seen to be."""

import importlib
import json
import mmap
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import psutil
import pytest
from click.testing import CliRunner
from index_bench import ARTICLE, METHODS, Method, measure, reach, write_json
from index_bench_data import SHARES, draw_filters, find_nearest
from index_bench_libraries import make_way
from index_bench_process import Apart, build, count_bytes, open_built
from matplotlib.colors import to_hex
from mixing import mix_features
from recall_plot import show_recall

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.features import Features

ROOT = Path(__file__).parents[2]
EXACT = Method("exact", "kind", {"kind": "exact"})
FEW_TREES = Method("annoy", "annoy", {"trees": 2}, ({}, {"search_k": 5_000}))
FIELDS = {
    *("method", "params", "works", "dims", "recall_at_10", "ms_per_query", "build_s", "bytes"),
    *("ms_per_query_batch", "memory", "open_s", "built", "ours", "settings"),
    *(f"recall_at_10_filter_{percent}" for percent in (1, 10, 50)),
    *(f"ms_filter_{percent}" for percent in (1, 10, 50)),
}


@pytest.fixture(scope="module")
def real(few_features) -> Features:
    """The features of five paintings, in a fortieth of their numbers."""
    return Features(few_features.vectors[:, ::40], few_features.ids, few_features.provenance)


@pytest.fixture(scope="module")
def mixed() -> Features:
    """Two thousand works of random numbers, which no tree tells apart well."""
    rows = np.random.default_rng(0).normal(size=(40, 32))
    return mix_features(Features(rows, [str(row) for row in range(40)]), 2_000, seed=1)


@pytest.fixture(scope="module")
def queries() -> np.ndarray:
    """Twenty others."""
    return np.random.default_rng(1).normal(size=(20, 32)).astype(np.float32)


# Mixing


def test_the_works_of_the_collection_come_first_as_they_are(real):
    mixed = mix_features(real, 8)
    assert mixed.ids[:5] == real.ids and mixed.ids[5:] == (
        *("mixed 0000001", "mixed 0000002", "mixed 0000003"),
    )
    assert (mixed.vectors[:5] == real.vectors).all()
    assert mixed.provenance["network"] == "efficientnet_lite0" and mixed.provenance["mixed"] == 3


def test_a_mix_lies_between_two_works_and_near_to_neither(real):
    pairs = [(a, b) for a in range(5) for b in range(a)]
    for mix in mix_features(real, 40).vectors[5:]:
        found = []
        for a, b in pairs:
            line = real.vectors[a] - real.vectors[b]
            share = (mix - real.vectors[b]) @ line / (line @ line)
            if np.allclose(mix, real.vectors[b] + share * line, atol=1e-5):
                found.append(share)
        assert len(found) == 1 and 0.3 <= found[0] <= 0.7


def test_the_same_seed_mixes_the_same_in_memory_and_on_disk(real, tmp_path):
    path = tmp_path / "a" / "mixed.npy"
    mapped = mix_features(real, 5_000, seed=3, path=path)
    base = mapped.vectors
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap) and mapped.vectors.shape == (5_000, 32)
    assert (mapped.vectors == mix_features(real, 5_000, seed=3).vectors).all()
    assert (mapped.vectors != mix_features(real, 5_000, seed=4).vectors).any()
    assert [child.name for child in path.parent.iterdir()] == ["mixed.npy"]


def test_fewer_than_there_are_is_a_sample_and_one_work_is_refused(real):
    some = mix_features(real, 3)
    assert set(some.ids) < set(real.ids) and len(some) == 3
    assert (some.vectors == [real.vector(id) for id in some.ids]).all()
    with pytest.raises(ArtsearchError, match="two works or more, and here are 1"):
        mix_features(Features(np.ones((1, 3)), ["a.jpg"]), 10)
    with pytest.raises(ArtsearchError, match="works is 0"):
        mix_features(real, 0)


# What is to be found


def test_filters_keep_the_share_that_they_say():
    filters = draw_filters(3_000, SHARES)
    assert filters.sum(axis=1).tolist() == [30, 300, 1_500]
    assert (filters == draw_filters(3_000, SHARES)).all()
    assert draw_filters(20, SHARES).sum(axis=1).tolist() == [1, 2, 10]


def test_the_nearest_are_those_of_a_sort_of_all_distances():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(20_000, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    filters = draw_filters(len(rows), (0.0001, 0.5))
    nearest = find_nearest(rows, rows[:5], filters, k=4)
    distances = np.linalg.norm(rows[None] - rows[:5, None], axis=2)
    assert (nearest[0] == np.argsort(distances, axis=1)[:, :4]).all()
    assert (nearest[1] >= 0).sum(axis=1).tolist() == [2] * 5  # no more match
    away = np.where(filters[1], distances, np.inf)
    assert (nearest[2] == np.argsort(away, axis=1)[:, :4]).all()


# Every library


@pytest.fixture(scope="module")
def data(mixed, queries, tmp_path_factory):
    """A folder in which all libraries are built."""
    from index_bench_data import prepare

    return prepare(tmp_path_factory.mktemp("data") / "bench", mixed, queries, SHARES, 10)


#: The libraries of the default tier; the others are built and asked in the slow one.
QUICK = ("exact", "exact bfloat16", "annoy trees=25")


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(one, id=one.title, marks=() if one.title in QUICK else pytest.mark.slow)
        for one in METHODS
        if one.build.get("kind") != "auto"
    ],
)
def test_a_library_that_looks_far_finds_all_one_by_one_in_a_batch_and_under_filters(
    method, data, tmp_path
):
    if method.way in ("hnswlib", "faiss", "usearch", "milvus") or method.name.startswith("arts"):
        pytest.importorskip({"faiss": "faiss", "milvus": "milvus_lite"}.get(method.way, "usearch"))
    options, kept = (method.way, method.build, data.folder), {}
    if method.way == "milvus":  # it keeps its file to the process that made it
        with Apart() as process:
            note = process.ask(build, *options, tmp_path / "index")
    else:
        note = build({}, *options, tmp_path / "index")
    assert note["bytes"] == count_bytes(tmp_path / "index") - len(json.dumps(note)) > 2_000 * 32
    open_built(kept, *options, tmp_path / "index")
    way, queries = kept["way"], kept["queries"]
    way.set(**method.settings[-1])
    found = [list(way.one(query, 10)) for query in queries]
    assert found == [list(rows) for rows in way.many(queries, 10)]
    # int8 alone rounds too much to tell neighbours in order; what artsearch adds puts it right.
    coarse = method.way in ("faiss", "usearch") and method.built in ("IVF,SQ8", "i8")
    least = 0.8 if coarse else 0.99
    assert share(found, data.nearest[0]) >= least
    for number, mask in enumerate(way.filters):
        kept_rows = [list(way.among(query, number, 10)) for query in queries]
        assert all(mask[rows].all() for rows in kept_rows)
        if method.way not in ("faiss", "milvus"):  # whose graphs lose works under a filter
            assert share(kept_rows, data.nearest[1 + number]) >= (0.5 if coarse else 0.9)


def share(found: list[list[int]], nearest: np.ndarray) -> float:
    """Return the share of the nearest that were found."""
    pairs = zip(found, nearest.tolist(), strict=True)
    hits = [len(set(have) & set(want) - {-1}) for have, want in pairs]
    return sum(hits) / (nearest >= 0).sum()


# A run


@pytest.mark.slow
def test_exact_search_finds_all_and_few_trees_do_not(mixed, queries, tmp_path):
    said = []
    methods = [EXACT, FEW_TREES, Method("nothing", "nowhere"), Method("toy", "half", most=100)]
    rows, left_out = measure(
        *(mixed, methods, queries), rounds=2, seconds=0.05, folder=tmp_path, say=said.append
    )
    exact, few, many = rows
    assert all(set(row) == FIELDS for row in rows)
    assert exact["recall_at_10"] == 1 and exact["ours"] and exact["settings"] == {"kind": "exact"}
    assert all(exact[f"recall_at_10_filter_{percent}"] == 1 for percent in (1, 10, 50))
    assert few["params"] == "trees=2" and many["params"] == "trees=2, search_k=5000"
    assert few["recall_at_10"] < 0.8 < many["recall_at_10"] and not few["ours"]
    for row in rows:
        assert row["works"] == 2_000 and row["dims"] == 32 and row["bytes"] > 2_000 * 32 * 4
        assert row["memory"] > 0 and row["build_s"] > 0 and row["open_s"] > 0
        assert row["ms_per_query"] > 0 and row["ms_per_query_batch"] > 0 and row["ms_filter_1"] > 0
    nothing, toy = left_out
    assert nothing["reason"].startswith("unknown way to search 'nowhere'")
    assert toy == {
        **{"method": "toy", "built": "", "works": 2_000, "dims": 32},
        "reason": "it is measured up to 100 works",
    }
    assert "2,000 × 32: building exact" in said and "round 2 of 2" in said


@pytest.mark.slow
def test_what_was_built_is_used_again_unless_the_features_are_others(mixed, queries, tmp_path):
    options = {"rounds": 1, "seconds": 0.05, "folder": tmp_path, "shares": (0.1,)}
    (first,), _ = measure(mixed, [EXACT], queries, **options)
    (again,), _ = measure(mixed, [EXACT], queries, **options)
    assert again["build_s"] == first["build_s"] and "ms_filter_10" in again
    others = Features(mixed.vectors[::-1].copy(), mixed.ids)
    (new,), _ = measure(others, [EXACT], queries, **options)
    assert new["build_s"] != first["build_s"] and new["recall_at_10"] == 1


def test_a_build_that_takes_too_long_is_left_out(mixed, queries):
    rows, (left_out,) = measure(mixed, [EXACT], queries, rounds=1, limit=0.001)
    assert rows == [] and left_out["reason"].startswith("it took longer than")


def test_a_process_that_dies_is_a_reason_and_no_end():
    with Apart() as process, pytest.raises(ArtsearchError, match="ended by itself with 3"):
        process.ask(end_at_once)


@pytest.mark.slow
def test_a_build_ends_with_the_benchmark(tmp_path):
    program = (
        "import os, sys\n"
        f"sys.path[:0] = {[str(ROOT / 'tests' / room) for room in ('index', 'bench', '')]!r}\n"
        "from test_index_bench import wait_long\n"
        "from index_bench_process import Apart\n"
        "with Apart() as process:\n"
        "    process._pipe.send((wait_long, ()))\n"
        "    print(process._process.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    script = tmp_path / "killed.py"
    script.write_text(f"if __name__ == '__main__':\n{textwrap.indent(program, '    ')}")
    done = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, timeout=60)
    for _ in range(600):
        if not psutil.pid_exists(int(done.stdout)):
            break
        time.sleep(0.1)
    assert not psutil.pid_exists(int(done.stdout))


def wait_long(kept: dict) -> None:
    time.sleep(300)


def end_at_once(kept: dict) -> None:
    os._exit(3)


def test_what_does_not_fit_is_refused_in_a_sentence(mixed, queries):
    with pytest.raises(MismatchError, match="the queries have the shape"):
        measure(mixed, [EXACT], queries[:, 1:])
    with pytest.raises(ArtsearchError, match="k is 2001, but there are 2000 works"):
        measure(mixed, [EXACT], queries, k=2001)
    with pytest.raises(ArtsearchError, match="rounds is 0"):
        measure(mixed, [EXACT], queries, rounds=0)


def test_a_folder_with_other_things_in_it_is_left_as_it_is(mixed, queries, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(ArtsearchError, match="has other things in it; name an empty folder"):
        measure(mixed, [EXACT], queries, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_a_missing_library_is_named_with_its_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "hnswlib", None)
    with pytest.raises(ArtsearchError, match=r"pip install 'artsearch\[scale\]'"):
        make_way("hnswlib", M=16)


# What is told of it


def made_up(method: str, recall: float, ms: float, works: int = 10_000, **more) -> dict:
    """Make a row as a run gives it."""
    row = {"method": method, "built": "", "params": "", "works": works, "dims": 512, "ours": False}
    return row | {"recall_at_10": recall, "ms_per_query": ms, "memory": 2e9, "open_s": 0.5} | more


def test_the_reach_is_told_as_it_is():
    rows = [
        made_up("annoy", 0.96, 4.0, params="trees=25, search_k=9"),
        made_up("annoy", 0.80, 0.1),
        made_up("auto", 0.995, 1.0, ours=True, params="hnswlib"),
        made_up("auto", 0.98, 0.2, ours=True),
        made_up("auto", 0.97, 3.25, works=1_000_000, ours=True),
    ]
    small, large = reach(rows)
    assert small.startswith("10,000 × 512: auto (hnswlib) has recall 0.995 in 1.00 ms, 0.25 × the")
    assert large.startswith("1,000,000 × 512: auto has recall 0.970 in 3.25 ms a query, holds 2.00")
    assert reach([made_up("exact", 1, 1, ours=True)]) == []


def test_the_picture_rings_what_nothing_beats_and_stars_the_article():
    rows = [
        made_up("annoy", 0.74, 0.5, built="trees=25", params="trees=25"),
        made_up("annoy", 0.95, 2.0, built="trees=25", params="trees=25, search_k=9"),
        made_up("hnswlib", 0.99, 0.4, built="M=16", params="M=16, ef=50"),
        made_up("exact", 1.0, 1.8),
        made_up("exact", 1.0, 18, works=100_000),
    ]
    figure = show_recall(rows)
    small, large = figure.axes
    lines = {line.get_label(): line for line in small.get_lines()}
    assert set(lines) >= {"annoy trees=25", "exact", "hnswlib M=16"}
    assert lines["none beats it"].get_xydata().tolist() == [[0.4, 0.99], [1.8, 1.0]]
    assert lines["the article's Annoy"].get_xydata().tolist() == [[0.5, 0.74]]
    assert [text.get_text() for text in small.texts] == ["hnswlib M=16, ef=50", "exact"]
    assert "100,000 works" in large.get_title()
    colours = {to_hex(line.get_color()) for name, line in lines.items() if "=" in name}
    assert len(colours) == 2
    plt.close(figure)
    figure = show_recall(pd.DataFrame(rows))
    assert len(figure.axes) == 2
    plt.close(figure)


def test_the_article_is_among_the_methods():
    assert any((one.name, one.tell({}, {})) == ARTICLE and {} in one.settings for one in METHODS)
    names = [(one.name, one.built) for one in METHODS]
    assert len(set(names)) == len(names)


def test_what_is_written_is_read_again(tmp_path):
    path = write_json([made_up("exact", 1, 1)], tmp_path / "a" / "index.json", machine={"cores": 2})
    found = json.loads(path.read_text("utf-8"))
    assert found["machine"] == {"cores": 2} and found["rows"][0]["method"] == "exact"


# The command


@pytest.fixture
def bench(few, out, monkeypatch):
    """Run the command on five paintings, whose features are computed once."""
    monkeypatch.syspath_prepend(ROOT / "tests" / "bench")
    command = importlib.import_module("index").main
    folders = ["--collection", str(few), "--stores", str(out), "--out", str(out / "bench")]
    return lambda *words: CliRunner().invoke(command, [*folders, "--queries", "20", *words])


@pytest.mark.slow
def test_the_command_prints_what_it_writes_and_goes_on_where_it_was(bench, out, few):
    show = importlib.import_module("report").show
    options = ["--dims", "1280", "--rounds", "1"]
    done = bench("--sizes", "300", "--methods", "exact; annoy", *options)
    assert done.exit_code == 0, done.output
    path = out / "bench" / "index.json"
    first = json.loads(path.read_text("utf-8"))
    assert first["machine"]["cores"] and first["machine"]["annoy"] and first["queries"] == 20
    assert str(out) not in path.read_text("utf-8") and first["collection"] == few.name
    assert {row["method"] for row in first["rows"]} == {"exact", "annoy"}
    exact = first["rows"][0]
    assert set(exact) == FIELDS and exact["recall_at_10"] == 1 and exact["works"] == 300
    assert f"exact {show(1.0)} {show(exact['ms_per_query'])}" in " ".join(done.stdout.split())
    assert "Written to" in done.stdout
    kept = [child.name for child in path.parent.rglob("*") if child.is_file()]
    assert kept == ["index.json"]

    done = bench("--sizes", "300,320", "--methods", "exact", "--resume", *options)
    assert done.exit_code == 0, done.output
    second = json.loads(path.read_text("utf-8"))
    assert second["rows"][: len(first["rows"])] == first["rows"]
    assert [row["works"] for row in second["rows"][len(first["rows"]) :]] == [320]
    assert "320 × 1,280: building exact" in done.stderr and "300 × " not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "anoy"], "unknown method 'anoy'; did you mean 'annoy'?"),
        (["--sizes", "many"], "'many' is no list of whole numbers"),
        (["--sizes", "300", "--dims", "7"], "dims is 7, but a row of the final layer has 1280"),
    ],
)
def test_errors_are_one_sentence(bench, words, message):
    done = bench(*words)
    assert done.exit_code == 1 and done.output.splitlines()[-1].startswith(f"Error: {message}")


@pytest.mark.slow
def test_it_starts_as_a_user_starts_it(tmp_path):
    command = [sys.executable, str(ROOT / "tests" / "bench" / "index.py"), "--sizes", "few"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 1 and done.stderr.startswith("Error: 'few' is no list")
