"""`python -m artsearch similar`, as a shell runs it."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from tiers import slow

from artsearch.cli.commands import main
from artsearch.search.question import Words, read_link
from artsearch.search.searches import Searches
from artsearch.works.collection import Collection

ROOT = Path(__file__).parents[2]
LITE = "efficientnet_lite0"
MONA_LISA = "leonardo-da-vinci_mona-lisa.jpg"
WAVE = "katsushika-hokusai_the-great-wave-off-kanagawa.jpg"
SPRING = "giuseppe-arcimboldo_spring.jpg"
ESCAPES = "\x1b]0;broken in\x07\x1b[2J\x9b31m \u202edesrever\rover\x08\x7f"


@pytest.fixture(scope="module")
def out(few, tmp_path_factory, one_thread) -> Path:
    """A folder in which the features of the five paintings are, of the final layer and the dial."""
    out = tmp_path_factory.mktemp("out")
    options = {"crops": "no_crop", "out": out, "progress": False, "precision": "exact"}
    Searches(Collection(few), LITE, **options).extract()
    return out


@pytest.fixture(scope="module")
def searches(few, out):
    return Searches(Collection(few), LITE, "no_crop", out, progress=False, precision="exact")


def run(folder: Path, out: Path, *words: object) -> subprocess.CompletedProcess:
    """Run the command as a program of its own."""
    command = [sys.executable, "-m", "artsearch", "similar", *words]
    command += ["--collection", str(folder), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def call(folder: Path, out: Path, *words: object) -> subprocess.CompletedProcess:
    """Run the command within the tests, which is quicker."""
    words = ["similar", *map(str, words), "--collection", str(folder), "--out", str(out)]
    done = CliRunner().invoke(main, words)
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def similar(few, out):
    """Put a question to the five paintings; return what is printed."""

    def similar(*words: object) -> str:
        done = call(few, out, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return similar


def same(found: dict, answer, abs: float = 1e-6) -> bool:
    """Return whether what was printed as JSON is the answer of a search."""
    ids = [work["id"] for work in found["works"]]
    distances = [work["distance"] for work in found["works"]]
    return ids == answer.ids and distances == pytest.approx(answer.distances, abs=abs)


# Answers


def test_it_says_what_is_near(few, out, searches):
    answer = searches[LITE, "no_crop"].ask(MONA_LISA, 3)
    done = run(few, out, MONA_LISA, "--k", "3")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[1:-1:2] == [f"         {id}" for id in answer.ids]
    for line, one in zip(lines[:-1:2], answer, strict=True):
        distance, caption = line.split(maxsplit=1)
        assert caption == one.caption
        assert float(distance) == pytest.approx(one.distance, abs=1e-3)
    assert lines[-1] == f"({answer.unit})"


def test_json_is_the_answer_of_ask_with_all_that_is_known_of_the_works(similar, searches):
    search = searches[LITE, "no_crop"]
    found = json.loads(similar(MONA_LISA, "--json"))
    answer = search.ask(MONA_LISA)
    assert same(found, answer) and found["notes"] == list(answer.notes)
    assert (found["network"], found["crop"], found["dial"]) == (LITE, "no_crop", None)
    assert found["metric"] == "angular"
    assert found["works"][0]["artist"] == search.collection.work(answer.ids[0])["artist"]
    assert found["works"][0]["licence"] == "public domain"
    assert read_link(found["link"]) == (answer.question, {"network": LITE, "crop": "no_crop"})


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (["--where", "year >= 1700"], {"where": "year >= 1700"}),
        (["--where", 'style == "Ukiyo-e"', "--k", "1"], {"where": 'style == "Ukiyo-e"', "k": 1}),
        (["--where", "year > 3000"], {"where": "year > 3000"}),
        (["--unlike", WAVE], {"negative": [WAVE]}),
        (["--other", "artist", "--other", "style"], {"exclude_same": ["artist", "style"]}),
        (["--no-copies", "--exclude", WAVE], {"near_duplicates": False, "exclude": WAVE}),
        (["--per", "style", "--each", "2"], {"group_by": "style", "group_size": 2}),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_each_option_is_that_of_ask(similar, searches, words, question):
    answer = searches[LITE, "no_crop"].ask(MONA_LISA, **question)
    found = json.loads(similar(MONA_LISA, "--json", *words))
    assert same(found, answer) and found["notes"] == list(answer.notes)
    assert [work["group"] for work in found["works"]] == [one.group for one in answer]
    assert read_link(found["link"])[0] == answer.question


def test_several_works_and_the_dial(similar, searches):
    answer = searches.dial(LITE, "no_crop", 0.25).ask([MONA_LISA, SPRING])
    found = json.loads(similar(MONA_LISA, SPRING, "--dial", 0.25, "--json"))
    assert same(found, answer) and found["dial"] == 0.25
    assert read_link(found["link"])[1] == {"network": LITE, "crop": "no_crop", "dial": 0.25}


def test_groups_are_named_in_the_text(similar):
    lines = similar(MONA_LISA, "--per", "style").splitlines()
    assert lines[0] == "3 different in style."
    assert any("Ukiyo-e: Katsushika Hokusai, " in line for line in lines)


def test_stepping_stones(similar, searches, few):
    answer = searches[LITE, "no_crop"].path(MONA_LISA, WAVE, 2, "year < 1900", SPRING)
    words = [
        "--path-to",
        few / WAVE,
        "--waypoints",
        2,
        "--where",
        "year < 1900",
        "--exclude",
        SPRING,
    ]
    found = json.loads(similar(few / MONA_LISA, *words, "--json"))
    assert same(found, answer) and found["notes"] == list(answer.notes)
    assert found["works"][-1]["id"] == WAVE and read_link(found["link"])[1]["goal"] == WAVE


def test_a_file_of_the_collection_is_the_work(similar, few, tmp_path):
    answer = json.loads(similar(MONA_LISA, "--json"))
    link = tmp_path / "the folder"
    link.symlink_to(few)
    for name in (few / MONA_LISA, os.path.relpath(few / MONA_LISA, ROOT), link / MONA_LISA):
        assert json.loads(similar(name, "--json")) == answer
    by_exclusion = json.loads(similar(MONA_LISA, "--exclude", few / WAVE, "--json"))
    assert WAVE not in [work["id"] for work in by_exclusion["works"]]


def test_an_image_from_elsewhere_is_described_by_the_network(similar, searches, few, tmp_path):
    shutil.copy(few / MONA_LISA, tmp_path / "photo.jpg")
    found = json.loads(similar(tmp_path / "photo.jpg", "--json"))
    assert same(found, searches[LITE, "no_crop"].ask(tmp_path / "photo.jpg"), abs=1e-3)
    assert found["link"] == ""  # which could not say what the picture is
    assert found["works"][0]["id"] == MONA_LISA
    without = json.loads(similar(tmp_path / "photo.jpg", "--no-copies", "--json"))
    assert [work["id"] for work in without["works"]] == [work["id"] for work in found["works"][1:]]


def test_a_part_of_a_work_is_described_by_the_network(similar, searches):
    part = (0.2, 0.1, 0.8, 0.5)
    found = json.loads(similar(MONA_LISA, "--part", ",".join(map(str, part)), "--json"))
    assert same(found, searches[LITE, "no_crop"].ask(MONA_LISA, region=part), abs=1e-3)
    assert read_link(found["link"])[0].region == part


def test_features_are_computed_where_there_are_none(few, tmp_path):
    done = call(few, tmp_path / "out", MONA_LISA, "--network", LITE, "--k", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["works"]) == 1
    assert list((tmp_path / "out" / "stores").iterdir())


# Quick


def test_a_work_is_answered_without_torch_or_any_network(few, out):
    code = (
        "import sys; from click.testing import CliRunner; from artsearch.cli.commands import main;"
        f"done = CliRunner().invoke(main, ['similar', {MONA_LISA!r}, '--collection', {str(few)!r},"
        f" '--out', {str(out)!r}, '--where', 'year > 1000', '--per', 'style', '--no-copies',"
        f" '--unlike', {WAVE!r}, '--json']);"
        "slow = {'torch', 'torchvision', 'timm', 'fastai', 'sklearn', 'matplotlib'};"
        "print(done.exit_code, sorted(slow & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "0 []\n", done.stderr


def test_features_there_already_are_taken_whatever_their_precision(few, out):
    before = sorted(path.name for path in (out / "stores").iterdir())
    assert call(few, out, MONA_LISA).returncode == 0
    assert sorted(path.name for path in (out / "stores").iterdir()) == before


# Mistakes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mona-lisa.jpg"], f"unknown work or file 'mona-lisa.jpg'; did you mean '{MONA_LISA}'?"),
        (["~nobody-of-this-name/x.jpg"], "unknown work or file"),
        (["."], "unknown work or file '.'"),
        ([""], "unknown work or file ''"),
        (["README.md"], "README.md"),
        ([MONA_LISA, "--where", "year =>"], "cannot read the condition at '>', after 'year ='"),
        (
            [MONA_LISA, "--where", 'style == "Ukiyo"'],
            "unknown style 'Ukiyo'; did you mean 'Ukiyo-e'",
        ),
        ([MONA_LISA, "--where", "stlye == 'x'"], "unknown column 'stlye'; did you mean 'style'?"),
        ([MONA_LISA, "--k", "0"], "k is 0; take a whole number from 1 on"),
        ([MONA_LISA, "--per", "stlye"], "unknown column 'stlye'; did you mean 'style'?"),
        ([MONA_LISA, "--other", "stlye"], "unknown column 'stlye'"),
        ([MONA_LISA, "--each", "0"], "group_size is 0"),
        ([MONA_LISA, "--unlike", "wave.jpg"], "unknown work or file 'wave.jpg'"),
        ([MONA_LISA, "--exclude", "wave.jpg"], "unknown work or file 'wave.jpg'"),
        ([MONA_LISA, "--exclude", "docs/gallery.jpg"], "'docs/gallery.jpg' is no work of few"),
        ([MONA_LISA, "--unlike", MONA_LISA], "cancel each other out"),
        ([MONA_LISA, MONA_LISA], f"'{MONA_LISA}' is named twice"),
        ([MONA_LISA, "--part", "0,0,1"], "take (left, top, right, bottom)"),
        ([MONA_LISA, "--part", "left"], "--part is 'left'; take four numbers from 0 to 1"),
        ([MONA_LISA, WAVE, "--part", "0,0,1,1"], "a part is of one work"),
        ([MONA_LISA, "--dial", "2"], "the dial is at 2.0; take a number from 0"),
        ([MONA_LISA, "--network", "vg16"], "unknown network 'vg16'; did you mean 'vgg16'?"),
        ([MONA_LISA, "--crop", "crop"], "unknown crop 'crop'"),
        ([MONA_LISA, "--path-to", MONA_LISA], "these are the same"),
        ([MONA_LISA, "--path-to", "wave.jpg"], "unknown work or file 'wave.jpg'"),
        ([MONA_LISA, "--path-to", "docs/gallery.jpg"], "is no work of few"),
        ([MONA_LISA, "--path-to", WAVE, "--waypoints", "0"], "waypoints is 0"),
        ([MONA_LISA, SPRING, "--path-to", WAVE], "from one work to another; besides --path-to"),
        (
            [MONA_LISA, "--path-to", WAVE, "--per", "style"],
            "besides --path-to it takes --waypoints",
        ),
    ],
    ids=lambda words: " ".join(words[:3]) if isinstance(words, list) else "",
)
def test_a_mistake_is_one_sentence(few, out, words, message):
    done = call(few, out, *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    assert message.replace("of few", f"of {few.name}") in done.stderr


@pytest.mark.slow
def test_a_mistake_is_one_sentence_in_a_shell(few, out):
    done = run(few, out, "mona-lisa.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: unknown work or file 'mona-lisa.jpg'; did you mean '")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("runs", [call, slow(run)])
@pytest.mark.parametrize("words", [[b"\xff.jpg"], [MONA_LISA, "--where", b"style contains '\xff'"]])
def test_bytes_that_are_no_text_are_named(few, out, runs, words):
    done = runs(few, out, *map(os.fsdecode, words))
    *progress, sentence = done.stderr.splitlines()  # features that are missing are computed first
    assert done.returncode == 1 and all(line.startswith("EfficientNet") for line in progress)
    assert sentence.startswith("Error: ") and r"\udcff" in sentence


def test_a_collection_that_is_none_and_no_image_at_all(few, out):
    done = call(Path("nowhere"), out, MONA_LISA)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr == "Error: the collection 'nowhere' does not exist; name a folder of images\n"
    )
    assert call(few, out).returncode == 2  # as click says it, with the usage


def test_a_damaged_store_is_no_traceback(few, out, tmp_path):
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    for number, manifest in enumerate(sorted((copy / "stores").glob("*/manifest.json"))):
        manifest.write_text(("", "{}", '{"provenance": 3}', "[]")[number % 4])
    done = call(few, copy, MONA_LISA, "--network", LITE, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["works"]) == 4


# Hostile words


@pytest.fixture(scope="module")
def hostile(few, tmp_path_factory, one_thread):
    """The five paintings with titles, styles and a name that would command a terminal."""
    folder = tmp_path_factory.mktemp("hostile") / "works"
    shutil.copytree(few, folder)
    (folder / WAVE).rename(folder / "wave\x1b[2J\nof colour.jpg")
    works = pd.read_csv(folder / "works.csv", dtype=str, keep_default_na=False)
    works.loc[works["file"] == WAVE, "file"] = "wave\x1b[2J\nof colour.jpg"
    works["title"] = ESCAPES
    works["style"] = [ESCAPES + str(number) for number in range(len(works))]
    works["artist"] = "<b>" + "x" * 100_000
    works.to_csv(folder / "works.csv", index=False, quoting=csv.QUOTE_ALL)
    out = folder.parent / "out"
    options = {"out": out, "progress": False, "precision": "exact"}
    Searches(Collection(folder), LITE, "no_crop", **options).features(LITE, "no_crop")
    return folder, out


def no_commands(text: str) -> bool:
    return all(one.isprintable() or one == "\n" for one in text)


@pytest.mark.parametrize("runs", [call, slow(run)])
@pytest.mark.parametrize("words", [[], ["--per", "style"], ["--where", 'title contains "\x1b"']])
def test_no_word_of_a_work_commands_the_terminal(hostile, runs, words):
    done = runs(*hostile, MONA_LISA, *words)
    assert done.returncode == 0, done.stderr
    assert no_commands(done.stdout) and no_commands(done.stderr)
    assert r"\x1b]0;broken in\x07" in done.stdout and r"\u202edesrever" in done.stdout
    assert r"         wave\x1b[2J\nof colour.jpg" in done.stdout.splitlines()


def test_json_keeps_every_word_as_it_is_in_ascii(hostile):
    done = call(*hostile, MONA_LISA, "--json")
    assert done.stdout.isascii() and no_commands(done.stdout)
    found = json.loads(done.stdout)
    assert {work["title"] for work in found["works"]} == {ESCAPES}
    assert "wave\x1b[2J\nof colour.jpg" in [work["id"] for work in found["works"]]
    assert len(found["works"][0]["artist"]) == 10_000  # as the collection cuts it


def test_a_row_is_finite_and_so_is_every_distance(similar):
    found = json.loads(similar(MONA_LISA, "--json"), parse_constant=pytest.fail)
    assert np.isfinite([work["distance"] for work in found["works"]]).all()


# Words


@pytest.fixture(scope="module")
def wordy(few, out) -> Searches:
    """Searches by a tiny network that takes words, whose features are there beside the others."""
    searches = Searches(
        Collection(few), "open_clip:tiny@random", "no_crop", out, progress=False, precision="exact"
    )
    searches.extract()
    return searches


def test_words_are_asked_of_the_network_that_takes_them(similar, wordy):
    (search,) = wordy.values()
    found = json.loads(similar("--text", "a mountain lake", "--k", 3, "--json"))
    answer = search.ask(Words("a mountain lake"), 3)
    assert same(found, answer) and found["network"] == wordy.networks[0].name
    assert read_link(found["link"])[0] == answer.question
    more = [WAVE, "--text", "at night", "--unlike-text", "a portrait"]
    found = json.loads(similar(*more, "--k", 3, "--json", "--network", wordy.networks[0].name))
    assert same(found, search.ask([WAVE, Words("at night")], 3, negative=Words("a portrait")))
    assert "angular" in similar("--text", "a mountain lake", "--k", 3)


def test_what_is_wrong_with_words_is_said(few, out, wordy, tmp_path):
    for words, said in (
        ([], "name an IMAGE, or words: --text 'a mountain lake'"),
        (["--text", "lake", "--network", LITE], f"{LITE} takes no words; take a network that does"),
        (["--text", " "], "the words are ' '; take some"),
        ([WAVE, "--text", "x", "--path-to", SPRING], "a path leads from one work to another"),
        (["a mountain lake"], "unknown work or file 'a mountain lake'.*; words go behind --text"),
    ):
        done = call(few, out, *words)
        assert done.returncode and re.search(re.escape(said).replace(r"\.\*", ".*"), done.stderr)
    done = call(few, tmp_path, "--text", "lake", "--network", "efficientnet_lite2")
    assert "takes no words" in done.stderr and not list(tmp_path.iterdir())  # nothing is computed
    done = call(few, tmp_path, "--text", "a mountain lake")
    assert "name one, such as --network open_clip:ViT-B-16-SigLIP2" in done.stderr


def test_why_by_experiment(few, out, searches):
    """With the network itself, and the one that repaints; of five works ranks alone are told."""
    done = call(few, out, WAVE, "--why", MONA_LISA, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rank = searches[LITE, "no_crop"].ask(WAVE, 4).ids.index(MONA_LISA) + 1
    assert (found["rank"], found["works"]) == (rank, 4) and not found["notes"]
    causes = ["colours", "composition", "fine detail", "margins", "shapes", "manner", "manner"]
    assert [one["cause"] for one in found["trials"]] == causes
    done = call(few, out, WAVE, "--why", MONA_LISA)
    assert done.stdout.splitlines()[0] == found["text"] and "in grey" in done.stdout
    done = call(few, out, WAVE, "--why", MONA_LISA, "--per", "style")
    assert done.returncode and "--why is asked of one IMAGE" in done.stderr
