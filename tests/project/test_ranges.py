"""The ranges of pyproject.toml are true: the oldest versions do, and so does the package alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import copied
from packaging.requirements import Requirement
from test_environment import ROOT, read_project

pytestmark = pytest.mark.slow

#: Tests that use each of the packages, and run in minutes.
TELLING = [
    *("transforms", "images", "collection", "features", "networks", "extract", "store", "where"),
    *("session", "descriptors", "index", "index_kinds", "similar", "gallery", "map", "http"),
    *("museums", "own_folder", "wikiart", "remote", "evaluate_labels", "milvus_filter", "repaint"),
    *("progress", "ray"),
]
#: Left out: what old libraries say of each other (torch warns of timm's) is no fault of the range.
WORDS = "tests/networks/test_networks.py::test_a_packaged_network_is_loaded_without_a_word"
#: What `make test` sets too: nothing that was downloaded before, and nothing from the internet.
APART = {"ARTSEARCH_OFFLINE": "1", "TORCH_HOME": "torch", "HF_HOME": "huggingface"}


def run(*words: object, **options) -> str:
    """Run a program and return what it printed; fail with its last lines where it fails."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{words[:4]}: {(done.stdout + done.stderr)[-3000:]}"
    return done.stdout


@pytest.fixture
def install(tmp_path):
    """Install packages into an environment of their own; return its interpreter."""
    folder = tmp_path / "installed"
    python, uv = folder / "bin" / "python", shutil.which("uv")

    def install(*requirements: object) -> Path:
        run(sys.executable, "-m", "venv", folder)
        if uv:
            run(uv, "pip", "install", "--quiet", "--python", python, *requirements)
        else:
            run(python, "-m", "pip", "install", "--quiet", *requirements)
        return python

    yield install
    shutil.rmtree(folder)  # gigabytes


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a program that knows nothing of this project or its caches."""
    paths = {name: str(folder / value) for name, value in APART.items() if name.endswith("HOME")}
    left = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return left | APART | paths | {"IPYTHONDIR": str(folder / "ipython")}


def test_the_oldest_versions_of_all_ranges(install, tmp_path):
    project = read_project()
    texts = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    oldest = {str(Requirement(text)).replace(">=", "==") for text in texts}
    assert all("==" in one for one in oldest)
    with copied() as root:
        python = install(*sorted(oldest), root)
        tests = [
            str(path.relative_to(ROOT))
            for name in TELLING
            for path in ROOT.glob(f"tests/*/test_{name}.py")
        ]
        marks = ("-m", "not slow and not quality", "-o", "addopts=--strict-markers")
        words = ("-q", "-p", "no:cacheprovider", *marks, "--deselect", WORDS, *tests)
        run(python, "-m", "pytest", *words, cwd=root, env=environment(tmp_path))
        parameters = ("-p", "COLLECTION", "data/paintings", "-p", "OUT", tmp_path / "out")
        words = ("run", root / "notebooks/03_index.ipynb", tmp_path / "03.ipynb", *parameters)
        run(python, "-m", "artsearch", *words, cwd=root, env=environment(tmp_path))


def test_the_package_alone(install, tmp_path):
    """As a wheel, without extras, in a folder from which the project is not to be seen."""
    with copied() as root:
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, root)
    (wheel,) = tmp_path.glob("*.whl")
    python = install(wheel)
    here = tmp_path / "elsewhere"
    shutil.copytree(ROOT / "data" / "paintings", here / "paintings")
    shutil.copy(ROOT / "notebooks" / "01_transforms.ipynb", here / "notebook.ipynb")
    script = shutil.copy(ROOT / "tests" / "alone.py", here)
    found = run(python, "-I", script, cwd=here, env=environment(tmp_path)).splitlines()
    package = ROOT / "artsearch"
    files = [path for path in package.rglob("*") if path.is_file()]
    files = [path for path in files if path.suffix not in (".py", ".pyc")]
    assert found[-len(files) :] == sorted(path.relative_to(package).as_posix() for path in files)
