"""The demo: what it prints in which order, what it does not do twice, and how it ends."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from artsearch.base.errors import ArtsearchError
from artsearch.cli import demo
from artsearch.cli.commands import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def show(few, out, one_thread, monkeypatch):
    """Run `artsearch demo` on five paintings with one network; its features are computed once."""
    monkeypatch.chdir(ROOT)

    def show(*words: str):
        words = ("demo", "--networks", "efficientnet_lite0", "--out", str(out), *words)
        collection = [] if "--collection" in words else ["--collection", str(few)]
        return CliRunner().invoke(main, [*words, *collection])

    return show


@pytest.fixture
def executed(monkeypatch, out):
    """Let notebooks be executed at once; note which, and fail or be stopped where one says so."""
    executed = []
    executed_how = {}

    def run_notebook(notebook, output, parameters, environment):
        how = executed_how.get(notebook.name[:2])
        if how:
            raise how
        output.parent.mkdir(exist_ok=True)
        output.write_text(f"{notebook.stem} with {parameters}")
        executed.append((notebook.name[:2], dict(parameters), dict(environment)))
        return output

    monkeypatch.setattr(demo, "run_notebook", run_notebook)
    (out / "notebooks" / demo.MADE_FROM).unlink(missing_ok=True)
    return executed, executed_how


def test_where_to_look_is_said_before_the_notebooks_and_again_at_the_end(show, executed, out):
    done = show()
    assert done.exit_code == 0, done.output
    first, notebooks, last = re.split(r"Executing.*\n|Done in \d+ s\. Look at:\n", done.output)
    for part in (first, last):
        assert f"  {out / 'site/index.html'}\n  {out / 'gallery.html'}\n" in part
    names = ["01_transforms", "02_features", "03_index", "04_compare_networks"]
    lines = re.findall(r"^  (\w+) +\d+ s, done$", notebooks, re.MULTILINE)
    assert lines == [*names, "05_content_and_style"] and notebooks.count("\n") == 5
    assert last.count("/notebooks/") == 5
    assert (out / "site/index.html").exists() and (out / "gallery.html").exists()


def test_notebooks_get_the_parameters_and_the_choice_of_networks(show, executed, few, out):
    show("--notebooks", "3", "--index", "exact")
    ((_, parameters, environment),) = executed[0]
    assert parameters == {
        "COLLECTION": str(few.resolve()),
        "OUT": str(out.resolve()),
        "NETWORKS": "efficientnet_lite0",
        "INDEX": "exact",
        "K": 4,  # of five works each has four others
    }
    assert "EfficientNet-Lite0, as asked for." in environment["ARTSEARCH_AUTO"]


def test_a_notebook_that_fails_is_named_and_the_others_go_on(show, executed, out):
    reason = "02_features.ipynb, cell 7: ValueError: no such\n  thing"
    executed[1]["02"] = ArtsearchError(reason)
    done = show("--notebooks", "1-3")
    assert done.exit_code == 1
    assert [number for number, *_ in executed[0]] == ["01", "03"]
    *_, end = done.output.partition("1 of 3 notebooks failed:\n")
    assert end.startswith("  02_features.ipynb, cell 7: ValueError: no such thing\nDone in")
    assert "02_features" not in end.partition("Done in")[2]
    assert f"  {out / 'site/index.html'}\n" in end
    assert re.search(r"02_features +\d+ s, failed\n", done.output)


def test_stopped_it_says_so_and_goes_on_without_doing_it_again(show, executed):
    executed[1]["03"] = KeyboardInterrupt()
    done = show()
    assert done.exit_code == 130
    assert "Stopped. The same command goes on from there." in done.output
    executed[1].clear()
    done = show()
    assert done.exit_code == 0
    assert [number for number, *_ in executed[0]] == ["01", "02", "03", "04", "05"]
    assert re.findall(r"(\d\d)_\w+ +as before", done.output) == ["01", "02"]
    assert done.output.partition("Done in")[2].count("/notebooks/") == 5


@pytest.fixture
def no_pages(monkeypatch):
    """Write no pages, which take longest of what a demo does with five paintings."""
    for name in ("write_site", "write_page"):
        monkeypatch.setattr(demo, name, lambda *given, **options: None)


def change_a_picture(few, out, monkeypatch):
    os.utime(next(few.glob("*.jpg")))


def change_a_setting(few, out, monkeypatch):
    monkeypatch.setenv("ARTSEARCH_WEIGHTS", str(out))


def change_what_was_written(few, out, monkeypatch):
    (out / "notebooks/01_transforms.ipynb").write_text("mine")


def remove_what_was_written(few, out, monkeypatch):
    (out / "notebooks/01_transforms.ipynb").unlink()


def break_the_note(few, out, monkeypatch):
    (out / "notebooks" / demo.MADE_FROM).write_text("{")


def change_a_version(few, out, monkeypatch):
    monkeypatch.setattr(demo.importlib.metadata, "distributions", list)


@pytest.mark.usefixtures("no_pages")
@pytest.mark.parametrize(
    "change",
    [
        change_a_picture,
        change_a_setting,
        change_what_was_written,
        remove_what_was_written,
        break_the_note,
        change_a_version,
    ],
)
def test_what_may_have_changed_is_executed_again(show, executed, few, out, monkeypatch, change):
    show("--notebooks", "1")
    show("--notebooks", "1")
    assert len(executed[0]) == 1
    change(few, out, monkeypatch)
    show("--notebooks", "1")
    assert len(executed[0]) == 2


def test_without_notebooks_there_are_the_pages(show, executed, out):
    done = show("--notebooks", "none")
    assert done.exit_code == 0 and executed[0] == []
    assert done.output.endswith(f"  {out / 'site/index.html'}\n  {out / 'gallery.html'}\n")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("all", range(1, 13)), ("1-5", range(1, 6)), ("5, 1,2", (1, 2, 5)), ("none", ())],
)
def test_notebooks_are_chosen_by_number(text, numbers, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert [int(path.name[:2]) for path in demo.choose_notebooks(text)] == list(numbers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("21", "unknown notebook 21; did you mean '2'? known: 1, 2, 3"),
        ("0-2", "unknown notebook 0;"),
        ("5-2", "unknown notebook '5-2';"),
        ("some", "unknown choice of notebooks 'some';"),
        ("", "unknown choice of notebooks ''"),
    ],
)
def test_a_wrong_choice_of_notebooks_is_said_before_all_else(show, text, message):
    done = show("--notebooks", text, "--collection", "nowhere")
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: {message}")


@pytest.mark.parametrize(
    ("works", "message"),
    [
        (0, "none of the 2 works of pictures can be read as an image, the first one because"),
        (1, "only 1 work of "),
    ],
)
def test_fewer_than_two_works_are_a_sentence(show, few, tmp_path, works, message):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "letter.jpg").write_text("Dear museum,")
    (folder / "empty.jpg").touch()
    (folder / "film.mov").write_bytes(bytes(99))
    for path in sorted(few.glob("*.jpg"))[:works]:
        (folder / path.name).write_bytes(path.read_bytes())
    done = show("--collection", str(folder), "--out", str(tmp_path / "out"))
    assert done.exit_code == 1
    assert done.output.splitlines()[-1].startswith(f"Error: {message}")
    asked = [
        "site",
        str(tmp_path / "site"),
        "--collection",
        str(folder),
        "--networks",
        "efficientnet_lite0",
    ]
    site = CliRunner().invoke(main, [*asked, "--out", str(tmp_path / "out")])
    assert site.exit_code == 1 and not (tmp_path / "site").exists()
    assert site.output.splitlines()[-1] == done.output.splitlines()[-1]


# For real


@pytest.mark.slow
def test_ctrl_c_in_a_notebook_leaves_no_process_and_no_chatter(few, tmp_path):
    command = [sys.executable, "-m", "artsearch", "demo", "--collection", str(few)]
    command += ["--networks", "efficientnet_lite0", "--out", str(tmp_path), "--notebooks", "1,3"]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": ROOT}
    process = subprocess.Popen(command, start_new_session=True, **options)
    said = ""
    while "01_transforms" not in said:
        letter = process.stdout.read(1)
        assert letter, said
        said += letter
    kernels = wait_for_children(process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    said += process.stdout.read()
    assert process.wait() == 130
    assert said.endswith("\nStopped. The same command goes on from there.\n")
    assert "Traceback" not in said and "kernel" not in said
    assert not [pid for pid in kernels if Path(f"/proc/{pid}").exists()]
    again = subprocess.run(command, **options)
    assert again.returncode == 0, again.stdout
    assert len(re.findall(r"0[13]_\w+ +\d+ s, done", again.stdout)) == 2


def wait_for_children(parent: subprocess.Popen) -> list[int]:
    """Wait until a process has begun another one; return the numbers of all."""
    while parent.poll() is None:
        with contextlib.suppress(OSError):
            tasks = Path(f"/proc/{parent.pid}/task").glob("*/children")
            if text := "".join(path.read_text() for path in tasks):
                time.sleep(1)
                return [int(pid) for pid in text.split()]
        time.sleep(0.05)
    raise AssertionError(f"it ended with {parent.returncode}: {parent.stdout.read()}")
