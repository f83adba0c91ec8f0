"""pyproject.toml, constraints.txt and environment.yml say the same, and it is what is installed."""

import ast
import re
import sys
import tomllib
from importlib.metadata import (
    Distribution,
    PackageNotFoundError,
    distribution,
    packages_distributions,
)
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
FILES = ["pyproject.toml", "constraints.txt", "environment.yml"]
#: Packages that conda-forge has under another name.
CONDA_NAMES = {"python-annoy": "annoy", "pytorch": "torch"}
#: Packages of the environment that are not ours to pin: the project itself.
OURS = {"artsearch"}


def read_project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def read_direct() -> dict[str, Requirement]:
    """Return the direct dependencies, extras included, by canonical name."""
    project = read_project()
    texts = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    requirements = [Requirement(text) for text in texts]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def read_pins() -> dict[str, str]:
    """Return the versions of constraints.txt by canonical name; every line has to be a pin."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def read_conda() -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of environment.yml: those from conda-forge, and those from pip."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = [entry.partition("=") for entry in entries if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    by_pip = [entry.partition("==") for entry in pip if not entry.startswith("-")]
    return (
        {canonicalize_name(CONDA_NAMES.get(name, name)): version for name, _, version in conda},
        {canonicalize_name(name.partition("[")[0]): version for name, _, version in by_pip},
    )


def find_closure() -> dict[str, Distribution]:
    """Return all that the package and its extras want, directly or not, as installed here."""
    found: dict[str, Distribution] = {}
    todo = [(requirement, "") for requirement in read_direct().values()]
    seen = set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                found[name] = distribution(name)
                todo += [(Requirement(text), wanted) for text in found[name].requires or []]
    return found


def test_every_direct_dependency_has_a_lower_bound_and_a_pin_within_its_range():
    pins = read_pins()
    for name, requirement in read_direct().items():
        assert any(bound.operator == ">=" for bound in requirement.specifier), name
        assert requirement.specifier.contains(pins[name]), f"{requirement} and =={pins[name]}"


def test_pins_are_sorted_unique_and_for_every_machine():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins == sorted(pins, key=str.lower)
    assert len(read_pins()) == len(pins)
    for name, version in read_pins().items():
        assert str(Version(version)) == version, f"{name}: {version!r} is not a plain version"
        assert Version(version).local is None, f"{name}: {version} is a build for some machines"


def test_conda_has_every_direct_dependency_in_the_version_of_its_pin():
    conda, by_pip = read_conda()
    assert not set(conda) & set(by_pip)
    assert conda.pop("python") == "3.11"
    assert conda.pop("pip") == ""
    pins = read_pins()
    assert conda | by_pip == {name: pins[name] for name in read_direct()}


def test_conda_installs_the_project_itself():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert "--editable ." in entries[-1]["pip"]


def find_imports(folder: Path) -> set[str]:
    """Return the top-level names that the Python files of a folder import from elsewhere."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        if "bench" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    ours = {"artsearch", *(path.stem for path in folder.glob("*.py"))}
    ours |= {path.stem for path in folder.glob("bench/*.py")}
    ours |= {name for name in names if name.startswith("test_")}
    return names - set(sys.stdlib_module_names) - ours


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("artsearch", ["app", "fetch", "heic", "identify", "lab", "map", "scale", "text"]),
        ("tests", ["app", "fetch", "heic", "identify", "lab", "map", "scale", "test", "text"]),
    ],
)
def test_what_is_imported_is_a_direct_dependency(folder, extras):
    project = read_project()
    texts = project["dependencies"] + sum(map(project["optional-dependencies"].get, extras), [])
    direct = {canonicalize_name(Requirement(text).name) for text in texts}
    origins = packages_distributions()
    for name in find_imports(ROOT / folder):
        packages = {canonicalize_name(package) for package in origins.get(name, [name])}
        assert packages & direct, f"{folder} imports {name!r}; add it to pyproject.toml"


def test_all_that_is_installed_for_us_is_pinned():
    pins = read_pins()
    missing = sorted(set(find_closure()) - set(pins) - OURS)
    assert not missing, f"not in constraints.txt: {', '.join(missing)}"


def test_what_make_installed_is_what_is_pinned():
    if not (ROOT / ".venv" / ".installed").exists():
        pytest.skip("this environment was not made by make, so it may have other versions")
    pins = read_pins()
    other = [
        f"{name} {found.version} (pinned: {pins[name]})"
        for name, found in find_closure().items()
        if Version(found.version).public != pins[name]
    ]
    assert not other, f"run make again; installed are {', '.join(sorted(other))}"


def test_what_builds_from_source_is_pinned():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    pins = read_pins()
    for requirement in map(Requirement, [*build, "pip"]):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_all_packages_run_on_the_oldest_python_we_name():
    wanted = SpecifierSet(read_project()["requires-python"])
    (oldest,) = [bound.version for bound in wanted if bound.operator == ">="]
    # Debian 12 has Python 3.11.2, and there are packages that want 3.11.5.
    newer = [
        f"{name} wants Python {found.metadata['Requires-Python']}"
        for name, found in find_closure().items()
        if not SpecifierSet(found.metadata["Requires-Python"] or "").contains(f"{oldest}.0")
    ]
    assert not newer, "; ".join(newer)


def test_torch_and_torchvision_are_the_pair_that_is_installed():
    import torch
    import torchvision

    pins = read_pins()
    assert Version(torch.__version__).public == pins["torch"]
    assert Version(torchvision.__version__).public == pins["torchvision"]
    boxes, scores = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 2]]), torch.tensor([0.5, 0.9])
    # The operator that is missing when the two do not belong together.
    assert torchvision.ops.nms(boxes, scores, 0.5).tolist() == [1]


@pytest.mark.parametrize("name", [*FILES, "Makefile", ".ci/run"])
def test_no_file_names_the_address_of_an_index_or_a_path_of_one_machine(name):
    text = (ROOT / name).read_text()
    address = r"\w+://|\bfile:|--(extra-)?index-url|--find-links|(^|[\s\"'=])/(home|opt|root|work)/"
    found = re.search(address, text, re.MULTILINE)
    assert not found, f"{name} has {found.group()!r}"


def test_the_stated_licence_is_the_one_shipped():
    assert read_project()["license"] in (ROOT / "LICENSE").read_text().splitlines()[0]


def test_a_package_outside_the_environment_is_not_found():
    # The tests above rest on importlib.metadata raising for what is not installed.
    with pytest.raises(PackageNotFoundError):
        distribution("no-such-package-as-this")


@pytest.mark.parametrize(
    ("output", "compared"),
    [
        ("462 works in 12.3 s (37.6 works/s)", "462 works in TIME (SPEED)"),
        ("recall 0.953, 2.25 ms a query", "recall 0.953, TIME a query"),
        ("resnet50: 2,048 dims, 224 px, 25 trees", "resnet50: 2,048 dims, 224 px, 25 trees"),
        ("after 1 min 20 s, 5 stones", "after TIME TIME, 5 stones"),
        ("<Collection at 0x7f3a12>", "<Collection at ADDRESS>"),
        ("see /tmp/x-1/build/gallery.html or ../data", "see PATH or ../data"),
        ("in build/notebooks and/or index.html", "in build/notebooks and/or index.html"),
        ("\r 10%|█   | 1/9 [00:01<00:08]\r100%|███| 9/9 [00:09<00:00]\ndone", "PROGRESS\ndone"),
        ("titled 1831, 3 manners, 2 sets", "titled 1831, 3 manners, 2 sets"),
    ],
)
def test_committed_outputs_are_compared_without_times_and_paths(output, compared):
    from nbval.plugin import get_sanitize_patterns

    patterns = get_sanitize_patterns((ROOT / "tests" / "nbval_sanitize.cfg").read_text())
    for pattern, replacement in patterns:
        output = re.sub(pattern, replacement, output)
    assert output == compared
