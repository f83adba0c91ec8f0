"""The README keeps its word: its code runs and prints what it says, its files and targets exist."""

import contextlib
import io
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_code_prints_what_the_readme_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    examples = re.findall(r"```python\n(.*?)```\n\n((?: {4}[^\n]*\n)+)", README, re.S)
    assert len(examples) == README.count("```python")
    for code, printed in examples:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, {})
        assert out.getvalue() == textwrap.dedent(printed)


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 4
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_command_is_a_target_of_make():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"make ([a-z-]+)", README))
    assert targets >= {"demo", "test", "lab"}
    assert [name for name in targets if f"\n{name}:" not in makefile] == []


def test_ci_runs_the_same_command():
    assert "exec make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_the_table_of_networks_is_the_registry():
    from artsearch.networks import NETWORKS

    for network in NETWORKS.values():
        short = network.name.replace("efficientnet_lite", "_lite")
        assert f"`{network.name}`" in README or f"`{short}`" in README
        assert f"{network.dims:,}" in README
