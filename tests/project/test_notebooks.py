"""The notebooks as committed, and as readers run them: with other parameters, and with wrong ones.

That each gives what is committed is checked by nbval and by notebooks/conftest.py.
"""

import base64
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from PIL import Image

from artsearch.base.errors import ArtsearchError
from artsearch.cli.notebook import PARAMETERS, check_parameters
from artsearch.cli.runner import run_notebook
from artsearch.works.collection import Collection

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
# Another network, the other crop, another metric.
CHANGED = {
    "NETWORKS": "efficientnet_lite1",
    "CROP": "center_crop",
    "METRIC": "euclidean",
    "INDEX": "auto",
    "NUM_TREES": 10,
    "K": 5,
    "SEED": 3,
}

each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def text_of(path: Path) -> str:
    """Return all that the cells of a notebook printed."""
    cells = nbformat.read(path, 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "\n".join(output.get("text", "") for output in outputs)


def number_after(words: str, text: str) -> float:
    """Return the number that follows the words."""
    return float(re.search(re.escape(words) + r"\D*?([\d.]+)", text)[1])


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """Run a notebook once with the changed parameters; return what it printed."""
    folder, texts = tmp_path_factory.mktemp("changed"), {}

    def run(name: str) -> str:
        if name not in texts:
            notebook = next(path for path in NOTEBOOKS if path.stem.endswith(name))
            texts[name] = text_of(run_notebook(notebook, folder / notebook.name, CHANGED))
        return texts[name]

    return run


def test_there_are_notebooks():
    assert [path.stem[:2] for path in NOTEBOOKS][:4] == ["01", "02", "03", "04"]


@each_notebook
def test_the_sentence_about_the_networks_comes_first(notebook):
    first = text_of(notebook).strip().splitlines()[0]
    if notebook.stem == "10_words":
        assert first.startswith("Networks: tiny@random, standing in for ViT-B-16-SigLIP2 (webli)")
        assert "What random weights find means nothing" in first
        return
    assert first.startswith("Networks: EfficientNet-Lite0, EfficientNet-Lite1 and")
    assert "standing in for the article's three" in first


@each_notebook
def test_committed_notebooks_are_small_and_whole(notebook):
    assert notebook.stat().st_size < 1_000_000
    cells = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert [output for output in outputs if "image/jpeg" in output.get("data", {})]


@each_notebook
def test_every_notebook_has_the_same_parameters(notebook):
    assert set(papermill.inspect_notebook(notebook)) == set(PARAMETERS)


def test_nothing_that_random_weights_find_is_shown():
    """Not in a table, not in a picture, not in the printed answer of a command."""
    (notebook,) = (path for path in NOTEBOOKS if path.stem == "10_words")
    cells = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    asked = [cell for cell in cells if re.search(r"(?m)^ *show\(|similar|Gallery\(", cell.source)]
    assert len(asked) > 6
    works = Collection(ROOT / "data" / "paintings")
    for cell in asked:
        assert [output.output_type for output in cell.outputs] == ["stream"] * len(cell.outputs)
        said = "".join(output.get("text", "") for output in cell.outputs)
        assert not any(works.caption(id) in said for id in works)
    assert sum(text_of(notebook).count(word) for word in ("held back", "No gallery here")) > 8


@pytest.mark.slow
def test_other_crop_and_network_change_the_transforms(changed):
    text = changed("transforms")
    assert "EfficientNet-Lite1, as asked for" in text
    assert "(3, 240, 240)" in text
    assert 30 < number_after("On average", text) < 95


@pytest.mark.slow
@pytest.mark.parametrize("number", ["04", "05"])
def test_three_families_of_timm_go_through_the_comparisons(tmp_path, number):
    """A transformer, channels last, a ConvNeXt; random weights are said to mean nothing."""
    (notebook,) = [path for path in NOTEBOOKS if path.stem.startswith(number)]
    names = ("test_vit", "swin_tiny_patch4_window7_224", "test_convnext2")
    networks = ",".join(f"timm:{name}@random" for name in names)
    parameters = {"NETWORKS": networks, "OUT": str(tmp_path / "build")}
    text = text_of(run_notebook(notebook, tmp_path / notebook.name, parameters))
    assert "are random: what is found by them means nothing." in text


@pytest.mark.slow
def test_every_work_is_its_own_nearest_neighbour(changed):
    assert "every work is its own nearest neighbour: True" in changed("features")
    assert "the same row alone: True" in changed("features")
    assert "a work is its own nearest neighbour: True" in changed("index")


@pytest.mark.slow
def test_recall_of_annoy_against_exact_search(changed):
    assert "euclidean" in changed("index")
    assert number_after("recall of Annoy against exact search:", changed("index")) >= 0.8
    assert "looking at more works never finds fewer: True" in changed("index")


@pytest.mark.slow
def test_repainted_works_are_found_by_content(changed):
    content, manner = re.search(
        r"EfficientNet-Lite1 +([\d.]+) +([\d.]+)", changed("networks")
    ).groups()
    assert float(content) > 0.4 > float(manner) > 0.1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"NUM_TREE": 5}, "unknown parameter 'NUM_TREE'; did you mean 'NUM_TREES'"),
        ({"k": 5}, "unknown parameter 'k'"),
        ({"CROP": "centre_crop"}, "unknown crop 'centre_crop'; did you mean 'center_crop'"),
        ({"METRIC": "cosine"}, "unknown metric 'cosine'; known: angular"),
        ({"NUM_TREES": 0}, "NUM_TREES is 0; take a whole number from 1 on"),
        ({"INDEX": "anoy"}, "unknown kind of index 'anoy'; did you mean 'annoy'"),
        ({"K": True}, "K is True; take a whole number from 1 on"),
        ({"SEED": "one"}, "SEED is 'one'; take a whole number from 0 on"),
        ({"SEED": -5}, "SEED is -5; take a whole number from 0 on"),
        ({"K": -5}, "K is -5; take a whole number from 1 on"),
        ({"K": 2.5}, "K is 2.5; take a whole number from 1 on"),
        ({"NETWORKS": 3}, "NETWORKS is 3; give it a text or a list"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ArtsearchError, match=message):
        check_parameters(parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"NUM_TREE": 5}, r"unknown parameter of 01.*'NUM_TREE'; did you mean 'NUM_TREES'"),
        pytest.param(
            {"K": 1000}, "k is 1000, but there are 461 other works", marks=pytest.mark.slow
        ),
        ({"COLLECTION": "no/such/folder"}, "'.*no/such/folder' does not exist; name a folder"),
    ],
)
def test_wrong_parameters_end_a_run_in_one_sentence(parameters, message, tmp_path):
    with pytest.raises(ArtsearchError, match=message):
        run_notebook(NOTEBOOKS[0], tmp_path / "out.ipynb", parameters)


@pytest.mark.slow
def test_bare_papermill_also_ends_at_a_mistyped_parameter(tmp_path):
    output = tmp_path / "out.ipynb"
    with pytest.raises(papermill.PapermillExecutionError, match="did you mean 'METRIC'"):
        papermill.execute_notebook(
            NOTEBOOKS[0], output, {"METRICS": "dot"}, cwd=NOTEBOOKS[0].parent, progress_bar=False
        )
    # What the reader sees is the sentence, not a traceback.
    errors = [
        output
        for cell in nbformat.read(output, 4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    assert len(errors) == 1
    assert len(errors[0].traceback) == 1
    assert "\n" not in errors[0].traceback[0]


def test_variables_of_a_notebook_are_no_parameters():
    check_parameters({"collection": object(), "NETWORKS": "auto", "table": [1, 2], "x": 3, "k": []})


def test_missing_notebook_is_named(tmp_path):
    with pytest.raises(ArtsearchError, match="no notebook 'nowhere.ipynb'"):
        run_notebook("nowhere.ipynb", tmp_path / "out.ipynb", {})


def test_a_notebook_runs_with_the_parameters_given(tmp_path):
    parameters = nbformat.v4.new_code_cell("K = 1\nSEED = 2", metadata={"tags": ["parameters"]})
    cells = [parameters, nbformat.v4.new_code_cell("print(K, SEED)")]
    write_notebook(tmp_path / "some.ipynb", cells)
    output = run_notebook(tmp_path / "some.ipynb", tmp_path / "out" / "done.ipynb", {"K": 7})
    assert text_of(output).split() == ["7", "2"]


# What checks the notebooks

PICTURE = """
from IPython.display import Image, display
from PIL import Image as Pictures
from io import BytesIO

def show(color, size=(8, 6)):
    file = BytesIO()
    Pictures.new("L", size, color).save(file, "jpeg")
    display(Image(file.getvalue()))
"""


def write_notebook(path: Path, cells) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)


def printed(text: str):
    return nbformat.v4.new_output("stream", text=text)


def shown(color: int, size=(8, 6)):
    file = io.BytesIO()
    Image.new("L", size, color).save(file, "jpeg")
    data = {"image/jpeg": base64.b64encode(file.getvalue()).decode(), "text/plain": ""}
    return nbformat.v4.new_output("display_data", data)


#: Cells, what is committed of them, their tags, and what is said where that is wrong.
CHECKED = [
    (PICTURE, [], [], None),
    ("print('0.953 in 1.2 s')", [printed("0.953 in 3.4 s\n")], ["nbval-check-output"], None),
    ("print('0.953')", [printed("0.943\n")], ["nbval-check-output"], "0.943"),
    ("print('0.953')", [printed("0.943\n")], [], None),
    ("print('0.953')", [], ["nbval-check-output"], "Unexpected output fields"),
    ("show(100)", [shown(105)], [], None),
    ("show(100)", [shown(115)], [], "Picture 1 differs by 15.0 of 255"),
    ("show(100)", [shown(100, (8, 7))], [], r"Picture 1 is (6, 8, 3), committed (7, 8, 3)"),
    ("show(100)", [shown(100)] * 2, [], "Cell has 1 pictures, and 2 are committed"),
    ("show(100)", [], [], "Cell has 1 pictures, and 0 are committed"),
    ("show(100)", [shown(200)], ["times"], None),
    ("show(100)", [shown(200)], ["map"], None),
    ("import sys; print('far too old', file=sys.stderr)", [], [], "far too old"),
    ("1 / 0", [], [], "ZeroDivisionError"),
    ("'hidden';", [], ["nbval-check-output"], None),
]


def test_what_differs_from_the_committed_notebook_is_named_cell_by_cell(tmp_path):
    cells = [
        nbformat.v4.new_code_cell(
            source, outputs=outputs, execution_count=number, metadata={"tags": tags}
        )
        for number, (source, outputs, tags, _) in enumerate(CHECKED)
    ]
    write_notebook(tmp_path / "some.ipynb", cells)
    # Pictures are compared where the same unit computed the committed ones: here, this one.
    flags = Path("/proc/cpuinfo").read_text("ascii", "replace").split()
    unit = next((one for one in ("amx_bf16", "avx512_bf16") if one in flags), "")
    notebook = nbformat.read(tmp_path / "some.ipynb", 4)
    notebook.metadata["computed_by"] = unit
    nbformat.write(notebook, tmp_path / "some.ipynb")
    shutil.copy(ROOT / "notebooks" / "conftest.py", tmp_path)
    settings = [f"--config-file={ROOT / 'pyproject.toml'}", f"--rootdir={ROOT}", "--color=no"]
    command = [sys.executable, "-m", "pytest", *settings, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    reports = re.split(r"^_+ .*::Cell (\d+) _+$", done.stdout, flags=re.MULTILINE)[1:]
    said = dict(zip(map(int, reports[::2]), reports[1::2], strict=True))
    bad = {number: words for number, (*_, words) in enumerate(CHECKED) if words}
    assert {int(number) for number in re.findall(r"^FAILED .*Cell (\d+)", done.stdout, re.M)} == {
        *bad
    }, done.stdout
    assert f"{len(CHECKED) - len(bad)} passed" in done.stdout
    for number, words in bad.items():
        assert words in said[number]
