"""The commands, as a shell runs them."""

import html
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from artsearch.cli.commands import main
from artsearch.features.features import Features
from artsearch.index.factory import construct_exact_index

ROOT = Path(__file__).parents[2]


def artsearch(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "artsearch", *words]
    # The demo executes five notebooks; on a busy machine that takes minutes.
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=1800)


@pytest.fixture
def folder(tmp_path):
    """A user's folder: nine paintings, a picture that is none, one that is cut off, no table."""
    folder = tmp_path / "my pictures"
    folder.mkdir()
    paintings = sorted((ROOT / "data/paintings").glob("*.jpg"))[:9]
    for path in paintings:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "letter.jpg").write_text("Dear museum,")
    (folder / "cut off.jpg").write_bytes(paintings[0].read_bytes()[:20_000])
    return folder


@pytest.mark.slow
def test_demo_on_a_folder_of_the_users(folder, tmp_path):
    out = tmp_path / "out"
    done = artsearch("demo", "--collection", str(folder), "--out", str(out))
    assert done.returncode == 0, done.stderr
    for name in ("01_transforms", "02_features", "03_index", "04_compare_networks"):
        notebook = (out / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
        assert "2 skipped: cut off.jpg" in notebook
        assert '"output_type": "error"' not in notebook
        assert '"name": "stderr"' not in notebook
    page = (out / "gallery.html").read_text(encoding="utf-8")
    assert "standing in for the article's three." in html.unescape(page)
    assert (out / "site/index.html").exists()
    assert "2 skipped" in done.stdout
    assert "letter.jpg" in done.stdout
    assert "Look at:" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--collection", "nowhere"], "'nowhere' does not exist; name a folder of images"),
        (["--collection", "tests"], "no images in"),
        (["--networks", "vg16"], "unknown network 'vg16'; did you mean 'vgg16'?"),
        (["--networks", "resnet50"], "Three remedies"),
    ],
)
def test_errors_are_one_sentence(words, message, tmp_path):
    done = artsearch("demo", "--collection", "data/paintings", "--out", str(tmp_path), *words)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_run_names_the_parameters_there_are(tmp_path):
    words = ["notebooks/03_index.ipynb", str(tmp_path / "out.ipynb"), "-p", "TREES", "5"]
    done = artsearch("run", *words)
    assert done.returncode == 1
    assert "unknown parameter of 03_index.ipynb 'TREES'; did you mean 'NUM_TREES'?" in done.stderr


def test_verify_names_what_is_not_as_it_was_written(tmp_path):
    features = Features(np.eye(3), "abc")
    for name in ("one", "two"):
        construct_exact_index("angular", features).save(tmp_path / name)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "index.json").write_text("{}")
    sound = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert sound.exit_code == 0 and sound.output.endswith("2 sound, 1 older, 0 damaged.\n")
    (tmp_path / "two" / "vectors.npy").write_bytes(b"rubbish")
    damaged = CliRunner().invoke(main, ["verify", str(tmp_path)])
    assert damaged.exit_code == 1 and damaged.output.endswith("1 sound, 1 older, 1 damaged.\n")
    assert "two: vectors.npy is not as it was written; it is made again" in damaged.output
