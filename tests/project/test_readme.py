"""README and docs keep their word: their code prints what they say, what they name is there."""

import contextlib
import io
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    ROOT / "data" / "paintings" / "DATASHEET.md",
]
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n((?: {4}[^\n]*\n)+)", re.S)
WITH_CODE = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder with the data, in which nothing was computed yet."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "data").symlink_to(ROOT / "data")
    return folder


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_the_code_prints_what_the_page_says(page, monkeypatch, elsewhere):
    monkeypatch.chdir(elsewhere)
    text = page.read_text(encoding="utf-8")
    examples = EXAMPLE.findall(text)
    assert len(examples) == text.count("```python")
    for code, printed in examples:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, {})
        assert out.getvalue() == textwrap.dedent(printed)


def test_code_is_found_in_the_pages():
    assert [page.name for page in sorted(WITH_CODE)] == [
        "README.md",
        "dial.md",
        "index.md",
        "questions.md",
        "words.md",
    ]


@each_page
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        if name.startswith("https://keepachangelog.com/"):
            continue
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            assert heading in [title.lower().replace(" ", "-") for title in titles], link


def test_the_readme_leads_to_every_page_of_docs():
    for page in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{page.name})" in README


@each_page
def test_every_command_is_a_target_of_make(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"(?:^ {4}|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M)
    assert [name for name in targets if f"\n{name}:" not in makefile] == []


@each_page
def test_every_command_of_ours_is_one(page):
    from artsearch.cli.commands import main

    words = re.findall(r"-m artsearch ([a-z]+)", page.read_text(encoding="utf-8"))
    assert [word for word in words if word not in main.commands] == []


def test_the_readme_opens_with_two_commands_and_tells_of_lab():
    assert re.findall(r"^ {4}make (\w+)", README, re.M)[:2] == ["demo", "test"]
    assert "`make lab`" in README


def test_the_readme_says_how_large_the_installation_is():
    source = (ROOT / "tools" / "install.py").read_text(encoding="utf-8")
    sizes = re.findall(r'^    "(\w+)": \((\d+), (\d+)\),$', source, re.M)
    demo = next(row[1:] for row in sizes if row[0] == "demo")
    everything = [sum(int(row[i]) for row in sizes) for i in (1, 2)]
    (download, disk), (all_download, all_disk) = [
        [f"{int(size) / 1000:.1f} GB" for size in pair] for pair in (demo, everything)
    ]
    readme = " ".join(README.split())
    assert f"`make demo` {download} to download and {disk} on the disk" in readme
    assert f"`make test` {all_download} and {all_disk}" in readme


def test_ci_runs_the_same_command():
    assert "exec make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_the_table_of_networks_is_the_registry():
    from artsearch.cli.networks import table_of_networks

    page = (ROOT / "docs" / "networks.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- networks: [^>]* -->\n\n(.*?)\n\n<!-- /networks -->", page, re.S)
    assert found, "docs/networks.md has lost the marks around its table of networks"
    assert found[1] == table_of_networks()


def test_the_command_prints_the_table():
    from click.testing import CliRunner

    from artsearch.cli.commands import main
    from artsearch.networks.registry import NETWORKS

    lines = CliRunner().invoke(main, ["networks"]).output.splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert [line.split("`")[1] for line in lines[2:]] == [*NETWORKS, "timm:NAME", "open_clip:NAME"]
