"""The benchmark runs, and its tables say what its files hold. How fast anything is, is not judged.

Its modules lie in tests/bench, where each finds the others beside it.
"""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import chromium

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "tests" / "bench"
LITE = "efficientnet_lite0"


@pytest.fixture
def module(monkeypatch):
    """Import a module of the benchmark by its name."""
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module


def bench(*words: str, script: str = "extract.py") -> str:
    """Run the command as a user does, and return what it prints."""
    command = [sys.executable, str(BENCH / script), *words]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


# The command


@pytest.mark.slow
def test_speed_prints_what_it_writes(few, tmp_path, module):
    methods = ["article", "exact", "forward_exact"]
    options = ["--networks", LITE, "--methods", ",".join(methods), "--rounds", "1", "--no-peers"]
    options += ["--only", "speed", "--no-compile", "--out", str(tmp_path)]
    text = " ".join(bench("--collection", str(few), *options).split())
    rows, notes = (
        json.loads((tmp_path / name).read_text("utf-8"))
        for name in ("extract.json", "extract_notes.json")
    )
    show = module("report").show
    assert [row["method"] for row in rows] == methods and notes["left_out"] == []
    for row in rows:
        assert row["network"] == LITE and row["works"] == 5 and row["rounds"] == 1
        assert row["lowest"] == row["works_per_second"] == row["highest"] > 0
        assert row["peak_mb"] > 100 and row["compiled"] is False
        cells = [LITE, row["method"], *[show(row["works_per_second"])] * 3, show(row["peak_mb"])]
        assert " ".join(cells) in text
    pairs = [(row["method"], row["than"]) for row in notes["goals"]]
    assert pairs == [("exact", "article"), ("exact", "forward_exact")]
    assert all(
        f"{row['method']} {row['than']} {show(row['ratio'])}" in text for row in notes["goals"]
    )
    assert notes["machine"]["torch"] and notes["collection"] == few.name


@pytest.mark.slow
def test_the_other_parts_print_what_they_write(few, tmp_path, module):
    parts = ["--only", "faithful", "--only", "open", "--only", "decode", "--only", "vectors"]
    options = ["--out", str(tmp_path), "--quick", "--no-compile"]
    text = " ".join(bench("--collection", str(few), *options, *parts).split())
    faithful, opened, decoded, vectors = (
        json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
        for name in ("faithful", "open", "decode", "vectors")
    )
    plain = faithful["pairs"][0]
    assert faithful["works"] == 5 and plain["pair"] == "exact and a plain loop"
    assert plain["met"] is True and plain["lowest_cosine"] >= 0.9999 and plain["same_nearest"] == 1
    assert all(row["pair"] in text for row in faithful["pairs"])
    assert [row["dims"] for row in opened["rows"]] == [64, 1280]
    assert opened["rows"][0]["rows"] == 1_000 and " 1,000 1,280 " in text
    (row,) = vectors["rows"]
    assert (row["rows"], row["dims"]) == (1_000, 1_152) and min(row.values()) > 0
    assert decoded["rows"][0]["scans"] == 2 and decoded["rows"][0]["full_ms"] > 0
    assert 0.9 < decoded["rows"][0]["lowest_cosine"] <= 1
    assert "Written to" in text


@pytest.mark.slow
def test_peak_memory_is_that_of_a_process_of_its_own(module, tmp_path):
    memory = module("memory")
    folder = memory.make_works(tmp_path / "works", 20)
    row = memory.extract_apart(folder, "exact", 20)
    assert row["precision"] == "exact" and row["works"] == 20 and row["peak_mb"] > 100


@pytest.mark.slow
def test_errors_are_one_sentence(tmp_path):
    command = [sys.executable, str(BENCH / "extract.py"), "--networks", "vg16"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("Error: unknown network 'vg16'")


# Rounds and rows


def test_a_row_is_the_median_round(module):
    turns = module("turns")
    told = turns.Turns(
        works=12,
        seconds={"exact": [2.0, 6.0, 3.0], "exact_eager": [6.0, 6.0, 5.0], "fast": [1.0]},
        notes={"exact": {"compile_s": 5.0, "peak_mb": 9.0}, "exact_eager": {}, "fast": {}},
        failed={"fast": "it was ended by signal 9"},
    )
    rows = {row["method"]: row for row in turns.summarise(told)}
    assert set(rows) == {"exact", "exact_eager"}
    assert rows["exact"]["works_per_second"] == 4 and rows["exact_eager"]["works_per_second"] == 2
    assert (rows["exact"]["lowest"], rows["exact"]["highest"]) == (2, 6)
    # Each work takes half a second, or a quarter: after 20 works 5 seconds are won.
    assert rows["exact"]["repays_from"] == 20


def test_every_method_goes_once_a_round_in_changing_order(module, tmp_path):
    told = tmp_path / "told"
    script = tmp_path / "method.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(BENCH)!r})\n"
        "from worker import serve\n"
        f"told = open({str(told)!r}, 'a', buffering=1)\n"
        "def run():\n"
        "    told.write(sys.argv[1] + '\\n')\n"
        "    print('a library says something')\n"
        "    return 16\n"
        "serve(lambda: (run, {'note': sys.argv[1]}))\n"
    )
    names = ["a", "b", "c", "d"]
    commands = {name: [sys.executable, str(script), name] for name in names}
    turns = module("turns").take_turns(commands, 3, tmp_path / "logs", tmp_path)
    order = told.read_text().split()
    rounds = [order[start : start + 4] for start in (0, 4, 8)]
    assert all(sorted(one) == names for one in rounds) and len(set(map(tuple, rounds))) > 1
    assert turns.works == 16 and not turns.failed
    assert [len(turns.seconds[name]) for name in names] == [3] * 4
    assert turns.notes["c"]["note"] == "c" and turns.notes["c"]["peak_mb"] > 1


def test_a_method_that_fails_is_named_with_the_reason_and_the_others_go_on(module, tmp_path):
    fails = [sys.executable, "-c", "raise ValueError('no such layer')"]
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    turns = module("turns").take_turns({"a": fails, "b": killed}, 1, tmp_path, tmp_path)
    assert turns.failed == {
        "a": "ValueError: no such layer",
        "b": "it was ended by signal 9 (out of memory?)",
    }


def test_a_peer_that_cannot_be_installed_is_named_with_the_reason(module, tmp_path, monkeypatch):
    speed, peers = module("speed"), module("peers")
    for name in peers.NAMES:
        (tmp_path / f"{name}.txt").write_text("this is no requirement\n")
    monkeypatch.setattr(peers, "PINS", tmp_path)
    monkeypatch.setattr(speed, "NAMES", peers.NAMES[:2])
    settings = speed.Settings(ROOT / "data", tmp_path / "out")
    job = {"network": "inception_v4", "scratch": str(tmp_path)}
    commands, failed = speed.peer_commands(job, settings)
    assert commands == {} and list(failed) == ["img2vec_pytorch", "imagededup"]
    assert failed["img2vec_pytorch"] == "it does not have this network, and takes no other"
    assert failed["imagededup"].startswith("its packages cannot be installed: Invalid requirement")


def test_works_are_drawn_flat_readable_and_the_same_each_time(few, tmp_path, module):
    from artsearch import Collection

    draw_works = module("works").draw_works
    folder = tmp_path / "collection"
    (folder / "deep").mkdir(parents=True)
    for number, path in enumerate(sorted(few.glob("*.jpg"))):
        (folder / "deep" / f"{number}.JPG").write_bytes(path.read_bytes())
    (folder / "broken.jpg").write_text("Dear museum,")
    collection = Collection(folder)
    drawn = draw_works(collection, 9, tmp_path / "one")
    assert drawn == draw_works(collection, 9, tmp_path / "two")
    assert sorted(drawn) == [f"{number:05}.jpg" for number in range(5)]
    assert sorted(drawn.values()) == [f"deep/{number}.JPG" for number in range(5)]
    for name, id in drawn.items():
        assert (tmp_path / "one" / name).read_bytes() == collection.path(id).read_bytes()


# Tables


def test_a_table_leaves_empty_what_a_row_does_not_have(module):
    rows = [{"method": "exact", "speed": 98.76, "met": True}, {"method": "article", "speed": 1234}]
    text = module("report").table(rows, {"method": "method", "speed": "works/s", "met": "met"})
    assert text.split("\n") == [
        "method   works/s  met",
        "exact       98.8  yes",
        "article    1,234",
    ]


def test_a_table_without_rows_is_its_head(module):
    assert module("report").table([], {"method": "method"}) == "method"


# Faithfulness


def test_nearest_leaves_the_work_itself_out(module):
    vectors = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], dtype=np.float32)
    assert module("faithful").nearest(vectors, 1)[:, 0].tolist() == [1, 0, 3, 2]


def test_labels_are_compared_among_the_works_that_have_one(few, module):
    from artsearch import Collection

    faithful, collection = module("faithful"), Collection(few)
    styles = [collection.work(id)["style"] for id in collection.ids]
    exact = np.array([[styles.index(style), 1] for style in styles], dtype=np.float32)
    rows = faithful.compare_labels(collection, collection.ids, {"exact": exact, "fast": exact})
    # Of the five only the two by Hokusai share a style, and one style is nothing to tell apart.
    assert rows == []
    labels = np.array(["a", "a", "", "b", "b"])
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.05], [0, 1], [0.1, 1]], dtype=np.float32)
    shares = faithful.label_shares(vectors, labels, [0, 1, 3, 4])
    # Three others each, one of which has the label: the work without a label is not there.
    assert shares == pytest.approx([1 / 3] * 4)


def test_the_interval_holds_the_mean(module):
    shares = np.random.default_rng(0).random(200)
    low, high = module("faithful").confidence(shares)
    assert low < shares.mean() < high and high - low < 0.1
    assert module("faithful").confidence(np.ones(5)) == (1, 1)


# The page


@pytest.mark.slow
def test_figures_of_the_page(few, tmp_path):
    with chromium():  # or the test is skipped
        pass
    options = ["--collection", str(few), "--out", str(tmp_path)]
    table = bench(*options, "--works", "200", script="page.py")
    assert "| figure | 200 works |" in table
    for name in ("first view, MB", "stepping stones, ms", "recall, dial, least"):
        assert re.search(rf"^\| {name} \| [\d,.]+ \|$", table, re.MULTILINE), name
    said = bench(*options, "--pictures", str(few), script="page_network.py")
    found = re.search(r"^places that match, in common: (\S+); ", said, re.MULTILINE)
    assert float(found[1]) > 0.8
