"""The house: what a wheel holds, and what stands behind the five files of the core."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

#: Run by an interpreter to which the wheel's package is known, and no folder of the project. No
#: engine can be imported there: where one is wanted, it is imported when it is.
WALK = """
import importlib, pkgutil, sys
from importlib import resources
import artsearch
assert "site-packages" in artsearch.__file__, artsearch.__file__
sys.modules.update(dict.fromkeys(("faiss", "pymilvus", "milvus_lite", "ray")))
for module in pkgutil.walk_packages(artsearch.__path__, "artsearch."):
    importlib.import_module(module.name)
    print("import", module.name)
root = resources.files("artsearch")
for path in sorted(root.rglob("*")):
    if path.is_file() and path.suffix not in (".py", ".pyc"):
        assert path.read_bytes() or path.name == "empty", path
        print("file", path.relative_to(root).as_posix())
"""


def run(*words: object, **options) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_wheel_holds_every_room_and_every_file(tmp_path):
    """An editable install, as make's is, would hide what a wheel lacks."""
    project = tmp_path / "project"
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "artsearch", project / "artsearch", ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, project)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, project)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.rmtree(project)

    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "installed")
    python = tmp_path / "installed/bin/python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    with zipfile.ZipFile(wheel) as files:
        files.extractall(site)
    # The packages it wants are those that are installed here; no .pth of theirs is followed.
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    printed = run(python, "-I", "-c", WALK, cwd=tmp_path).split("\n")

    files = [path for path in (ROOT / "artsearch").rglob("*") if path.is_file()]
    files = [path.relative_to(ROOT) for path in files if "__pycache__" not in path.parts]
    modules = [path.with_suffix("") for path in files if path.suffix == ".py"]
    named = {".".join(one.parts).removesuffix(".__init__") for one in modules} - {"artsearch"}
    assert {line[7:] for line in printed if line.startswith("import ")} == named
    data = {path.relative_to("artsearch").as_posix() for path in files if path.suffix != ".py"}
    assert {line[5:] for line in printed if line.startswith("file ")} == data
    assert len(data) > 10


# What one reads first

CORE = (
    "works.collection", "features.extractor", "features.compute", "index.annoy", "search.search",
)  # fmt: skip
#: What makes it fast, safe, large or pretty lies beside the core: none of these words is in the
#: name of a module that stands behind it.
BESIDE = ("journal", "pipeline", "store.", "extract.", "ray", "milvus", "gallery", "report", "show",
          "evaluate", "fetch", "forward", "cli", "faiss", "blend", "searches")  # fmt: skip


def test_behind_the_five_files_of_the_core_stands_nothing_else():
    imports = "".join(f"import artsearch.{name}\n" for name in CORE)
    code = f"{imports}import sys\nprint(*sorted(sys.modules))"
    loaded = run(sys.executable, "-c", code, cwd=ROOT).split()
    ours = [f"{name.removeprefix('artsearch.')}." for name in loaded if "artsearch." in name]
    assert len(ours) > len(CORE) and "torch" not in loaded
    assert [name for name in ours for word in BESIDE if word in name] == []


def test_the_readme_says_which_five_to_read_first():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [f"artsearch/{name.replace('.', '/')}.py" for name in CORE]
    places = [readme.index(name) for name in names]
    assert places == sorted(places)
