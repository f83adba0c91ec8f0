"""A notebook's kernel: of this Python, silent, and named when it dies."""

import json
import sys

import nbformat
import pytest
from click.testing import CliRunner

from artsearch.base.errors import ArtsearchError
from artsearch.cli.commands import main
from artsearch.cli.runner import read_parameter, run_notebook


def put_notebook(folder, *cells: str):
    """Write a notebook of these cells and return its path."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "x", "language": "python"}
    nbformat.write(notebook, folder / "mine.ipynb")
    return folder / "mine.ipynb"


def test_the_kernel_is_of_this_python_and_says_nothing_to_the_terminal(
    tmp_path, monkeypatch, capfd
):
    # What users have at home: a kernel of the same name, start-up code, a backend for scripts.
    spec = tmp_path / "jupyter/kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["false"], "display_name": "old", "language": "python"}))
    startup = tmp_path / "ipython/profile_default/startup/00.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("spoilt = True")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = put_notebook(
        tmp_path,
        "import os, sys\nprint(sys.executable, os.environ['MINE'], 'spoilt' in globals())",
        "import matplotlib\nprint(matplotlib.get_backend())",
        "os.write(2, b'chatter of the debugger')\nsys.__stderr__.write('caught in kernel');",
    )
    output = run_notebook(notebook, tmp_path / "out.ipynb", {}, {"MINE": "handed on"})
    cells = nbformat.read(output, 4).cells
    assert cells[0].outputs[0].text == f"{sys.executable} handed on False\n"
    assert "inline" in cells[1].outputs[0].text
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_kernel_that_dies_is_named_with_its_cell(tmp_path, capfd):
    notebook = put_notebook(tmp_path, "1", "import os\nos.kill(os.getpid(), 9)", "3")
    with pytest.raises(ArtsearchError, match=r"mine\.ipynb, cell 2: Kernel died; .*out\.ipynb\)"):
        run_notebook(notebook, tmp_path / "out.ipynb", {})
    assert capfd.readouterr() == ("", "")
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[0].outputs


@pytest.mark.slow
def test_a_kernel_that_cannot_start_says_why(tmp_path, monkeypatch, capfd):
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit('no kernel today')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ArtsearchError, match=r"mine\.ipynb, cell 1: .*no kernel today"):
        run_notebook(put_notebook(tmp_path, "1"), tmp_path / "out.ipynb", {})
    assert capfd.readouterr() == ("", "")


def test_a_negative_number_reaches_the_notebook_as_a_number(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr("artsearch.cli.runner.run_notebook", lambda *paths: given.update(paths[2]))
    words = ["run", "in.ipynb", "out.ipynb", "-p", "X", "-5", "-p", "Y", "-0.5", "-p", "Z", "-"]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert given == {"X": -5, "Y": -0.5, "Z": "-"}


def test_a_checkpoint_reaches_the_notebook_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.pth").touch()
    names = "vgg16,timm:resnet18@{}mine.pth,timm:resnet18@random"
    assert read_parameter(names.format("")) == names.format(f"{tmp_path}/")


SMALL = """
import matplotlib.pyplot as plt
from artsearch.base.errors import TooFewWorks
from artsearch.cli.notebook import LeftOut
LeftOut(get_ipython())
LeftOut(get_ipython())  # as when the cell is run again
found, later = "of an earlier cell", 2
"""
WANTS = """
print("as far as this")
plt.figure()
raise TooFewWorks("a pair wants two works")
found = 1
"""


def test_a_cell_that_wants_more_works_says_so_and_the_others_run(tmp_path):
    notebook = put_notebook(tmp_path, SMALL, WANTS, "print(found)", "found = later", "print(found)")
    cells = nbformat.read(run_notebook(notebook, tmp_path / "out.ipynb", {}), 4).cells
    said = ["".join(output.text for output in cell.outputs) for cell in cells]
    assert said == [
        "",
        "as far as this\nLeft out here: a pair wants two works.\n",
        "Left out here: it wants 'found' from above.\n",
        "",
        "2\n",
    ]


@pytest.mark.parametrize("wrong", ["print(nowhere)", "1 / 0"])
def test_another_error_still_ends_a_run(wrong, tmp_path):
    notebook = put_notebook(tmp_path, SMALL, WANTS, wrong)
    with pytest.raises(ArtsearchError, match="cell 3: (NameError|ZeroDivisionError)"):
        run_notebook(notebook, tmp_path / "out.ipynb", {})
