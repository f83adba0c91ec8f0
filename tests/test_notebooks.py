"""Every notebook again, as its readers run it: with other parameters, and with wrong ones."""

import base64
import re
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest

from artsearch.errors import ArtsearchError
from artsearch.features import fast_is_possible
from artsearch.images import open_image
from artsearch.notebook import PARAMETERS, check_parameters
from artsearch.runner import run_notebook

ROOT = Path(__file__).parent.parent
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


def pictures_of(path: Path) -> list[np.ndarray]:
    """Return the pictures of a notebook, but for those of times, and of a map.

    UMAP is chaotic: the last digit of a sum, another one on another processor, moves a crowd.
    """
    found = []
    for cell in nbformat.read(path, 4).cells:
        varies = {"times", "map"} & set(cell.metadata.get("tags", []))
        for output in [] if varies else cell.get("outputs", []):
            if data := output.get("data", {}).get("image/jpeg"):
                found.append(np.asarray(open_image(base64.b64decode(data)), dtype=float))
    return found


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
    assert first.startswith("Networks: EfficientNet-Lite0, EfficientNet-Lite1 and")
    assert "stand in for the article's three" in first


@each_notebook
def test_committed_notebooks_are_small_and_whole(notebook):
    assert notebook.stat().st_size < 1_000_000
    cells = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]


@each_notebook
def test_every_notebook_has_the_same_parameters(notebook):
    assert set(papermill.inspect_notebook(notebook)) == set(PARAMETERS)


@each_notebook
@pytest.mark.skipif(not fast_is_possible(), reason="the committed ones were made in bfloat16")
def test_pictures_are_still_the_committed_ones(notebook, tmp_path):
    new = pictures_of(run_notebook(notebook, tmp_path / notebook.name, {}))
    old = pictures_of(notebook)
    assert len(new) == len(old) > 0
    for number, (one, other) in enumerate(zip(new, old, strict=True), 1):
        assert one.shape == other.shape, f"picture {number}"
        difference = np.sqrt(np.mean((one - other) ** 2))
        assert difference < 10, f"picture {number} differs by {difference:.1f} of 255"


def test_other_crop_and_network_change_the_transforms(changed):
    text = changed("transforms")
    assert "EfficientNet-Lite1, as asked for" in text
    assert "(3, 240, 240)" in text
    assert 30 < number_after("On average", text) < 95


def test_every_work_is_its_own_nearest_neighbour(changed):
    assert "every work is its own nearest neighbour: True" in changed("features")
    assert "the same row alone: True" in changed("features")
    assert "a work is its own nearest neighbour: True" in changed("index")


def test_recall_of_annoy_against_exact_search(changed):
    assert "euclidean" in changed("index")
    assert number_after("recall of Annoy against exact search:", changed("index")) >= 0.8
    assert "looking at more works never finds fewer: True" in changed("index")


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
        ({"NUM_TREES": 0}, "NUM_TREES is 0; take 1 or more"),
        ({"INDEX": "anoy"}, "unknown kind of index 'anoy'; did you mean 'annoy'"),
        ({"K": True}, "K is True; give it a number"),
        ({"SEED": "one"}, "SEED is 'one'; give it a number"),
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
        ({"K": 1000}, "k is 1000, but there are 461 other works"),
        ({"COLLECTION": "no/such/folder"}, "'.*no/such/folder' does not exist; name a folder"),
    ],
)
def test_wrong_parameters_end_a_run_in_one_sentence(parameters, message, tmp_path):
    with pytest.raises(ArtsearchError, match=message):
        run_notebook(NOTEBOOKS[0], tmp_path / "out.ipynb", parameters)


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
