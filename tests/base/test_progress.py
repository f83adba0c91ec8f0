"""The bar where it is shown: on a terminal, in a log file, in a notebook, and nowhere."""

import contextlib
import io
import os
import re
import subprocess
import sys
import textwrap

import pytest

from artsearch.base import progress
from artsearch.base.progress import Progress

END = re.compile(r"Lite0: (\d[\d,]*) works in \d\d:\d\d, [\d,.]+ works/s")


def go(total: int, **options) -> None:
    with Progress(total, "Lite0", **options) as bar:
        for _ in range(total):
            bar.update(1)


# A log file


def test_a_log_file_gets_one_line_at_the_end():
    log = io.StringIO()
    go(1_234, file=log)
    (line,) = log.getvalue().splitlines()
    assert END.fullmatch(line)[1] == "1,234"
    assert log.getvalue().endswith("\n") and "\r" not in log.getvalue()


def test_a_long_run_leaves_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    log = io.StringIO()
    go(5, file=log)
    *lines, last = log.getvalue().splitlines()
    states = [re.fullmatch(r"Lite0: (\d) of 5 works, [\d,.]+ works/s, \S+ left", x) for x in lines]
    numbers = [int(state[1]) for state in states]
    assert len(numbers) >= 5 and numbers == sorted(numbers)
    assert END.fullmatch(last)[1] == "5"
    assert "\r" not in log.getvalue() and "\033" not in log.getvalue()


def test_what_is_going_on_is_said(monkeypatch):
    log = io.StringIO()
    with Progress(5, "Lite0", file=log) as bar:
        bar.set_postfix_str("compiling")
        bar.set_postfix_str("")
    assert re.search(r"Lite0: 0 of 5 works, .* left, compiling\n", log.getvalue())
    assert "compiling" not in log.getvalue().splitlines()[-1]


def test_a_run_that_breaks_off_says_how_far_it_came():
    log = io.StringIO()
    with contextlib.suppress(KeyboardInterrupt), Progress(9, "Lite0", file=log) as bar:
        bar.update(4)
        raise KeyboardInterrupt
    assert END.fullmatch(log.getvalue().strip())[1] == "4"


def test_nothing_to_do_is_no_trouble():
    log = io.StringIO()
    go(0, file=log)
    assert END.fullmatch(log.getvalue().strip())[1] == "0"


def test_where_it_is_not_wanted_nothing_is_shown(capfd):
    log = io.StringIO()
    with Progress(3, "Lite0", file=log, show=False) as bar:
        bar.update(2)
        bar.set_postfix_str("compiling")
    go(3, show=False)
    assert log.getvalue() == "" and capfd.readouterr() == ("", "")


def test_without_a_file_it_goes_to_stderr(capsys):
    go(3)
    out, err = capsys.readouterr()
    assert out == "" and END.fullmatch(err.strip())[1] == "3"


# A terminal

TERMINAL = """
import time
from artsearch.base.progress import Progress
with Progress({total}, "Lite0") as bar:
    for _ in range({total}):
        time.sleep(0.12)
        bar.update(1)
"""


def on_a_terminal(total: int, columns: int) -> str:
    """Run a bar on a terminal of its own; return all that it wrote there."""
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, (24).to_bytes(2, "little") + columns.to_bytes(2, "little")
                + bytes(4))  # fmt: skip
    code = [sys.executable, "-c", TERMINAL.format(total=total)]
    process = subprocess.Popen(code, stdin=side, stdout=side, stderr=side)
    os.close(side)
    written = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(main, 4096):
            written += data
    os.close(main)
    assert process.wait() == 0
    return written.decode()


@pytest.mark.parametrize("columns", [100, 60])
def test_on_a_terminal_it_is_a_bar_that_leaves_one_line(columns):
    written = on_a_terminal(4, columns)
    *states, last = [state.strip() for state in written.split("\r") if state.strip()]
    assert written.endswith("\n") and written.count("\n") == 1
    assert END.fullmatch(last)[1] == "4"
    assert len(states) >= 4 and max(map(len, states)) <= columns
    bar = r"Lite0: +\d+%\|.*\| \d of 4 works, [\d,.]+ works/s, \S+ left"
    assert all(re.fullmatch(bar, state) for state in states)
    assert "50%" in written and ("█" in written or "#" in written)


def test_on_a_terminal_nothing_to_do_is_no_trouble():
    assert END.search(on_a_terminal(0, 80))[1] == "0"


# A notebook


def test_a_notebook_keeps_one_plain_line(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    code = """
    import time
    from artsearch.base.progress import Progress
    with Progress(3, "Lite0") as bar:
        for _ in range(3):
            time.sleep(0.6)
            bar.update(1)
    """
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(code))]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data" and list(output.data) == ["text/plain"]
    assert END.fullmatch(output.data["text/plain"])[1] == "3"


def test_in_a_notebook_the_text_is_replaced(monkeypatch):
    class Shell:
        kernel = "there is one"

    shown, handles = [], []

    class Handle:
        def update(self, data, raw):
            handles.append(self)
            shown.append(data)

    def display(data, raw, display_id):
        shown.append(data)
        return Handle()

    monkeypatch.setattr("IPython.get_ipython", Shell)
    monkeypatch.setattr("IPython.display.display", display)
    with Progress(100, "Lite0") as bar:
        bar.update(40)
        bar.refresh()
    assert [list(data) for data in shown] == [["text/plain"]] * len(shown)
    assert len(shown) >= 3 and len(set(map(id, handles))) == 1
    assert any("Lite0:  40%|" in data["text/plain"] for data in shown)
    assert all(len(data["text/plain"]) <= 100 for data in shown)
    assert END.fullmatch(shown[-1]["text/plain"])[1] == "40"


def test_ipython_in_a_terminal_is_no_notebook(monkeypatch):
    monkeypatch.setattr("IPython.get_ipython", lambda: object())
    log = io.StringIO()
    go(3, file=log)
    assert END.fullmatch(log.getvalue().strip())[1] == "3"
