"""tools/install.py: what is installed and when, what half a package is, and stopped ones go on."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from contextlib import suppress
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "install.py"
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "mine"
version = "1"
dependencies = [{demo}]

[project.optional-dependencies]
lab = [{lab}]
map = []
"""
# A build backend of the project's own: nothing but the wheels below has to be found anywhere.
BACKEND = """
import zipfile

def build_editable(folder, settings=None, metadata=None):
    name = "mine-1.dist-info"
    extras = "".join(
        f'Provides-Extra: {extra}\\n' for extra in ("lab", "map")
    ) + "".join(f"Requires-Dist: {line}\\n" for line in open("needs.txt").read().splitlines())
    files = {
        f"{name}/METADATA": f"Metadata-Version: 2.1\\nName: mine\\nVersion: 1\\n{extras}",
        f"{name}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = "".join(f"{path},,\\n" for path in [*files, f"{name}/RECORD"])
    with zipfile.ZipFile(f"{folder}/mine-1-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{name}/RECORD": record}.items():
            wheel.writestr(path, text)
    return "mine-1-py3-none-any.whl"
"""


@pytest.fixture
def install():
    """The script as a module of its own, whose names may be changed."""
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project to install, as the current folder; its demo wants two packages."""
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(demo='"a", "b"', lab='"c"'))
    (tmp_path / "constraints.txt").write_text("a==1\nb==1\nc==1\n")
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "needs.txt").write_text("a\nb\nc; extra == 'lab'\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def asked(project, install, monkeypatch):
    """Let the script believe that all goes well, and note the sets that it installs."""
    asked = []
    monkeypatch.setattr(install, "make_ready", lambda: None)
    monkeypatch.setattr(install, "install", asked.append)
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to(sys.executable)
    return asked


# What is wanted, and what is there


def test_a_set_is_installed_once(install, asked, capsys):
    install.main(["demo"])
    assert "Installing into .venv, once (demo): 3.4 GB to download" in capsys.readouterr().out
    install.main(["demo"])
    install.main([])
    assert asked == [{"demo"}]
    assert capsys.readouterr().out == ""


def test_a_further_set_comes_beside_what_is_there(install, asked, capsys):
    install.main(["demo"])
    install.main(["lab"])
    assert "once (lab): 30 MB to download" in capsys.readouterr().out
    install.main(["demo"])
    install.main(["all"])
    assert asked == [{"demo"}, {"demo", "lab"}, {"demo", "lab", "map"}]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_change_brings_all_that_is_there_up_to_date(install, asked, project, capsys, name):
    install.main(["lab"])
    with (project / name).open("a") as file:
        file.write("# another\n")
    capsys.readouterr()
    install.main(["demo"])
    assert asked == [{"demo", "lab"}] * 2
    assert capsys.readouterr().out.startswith("Bringing .venv up to date")


def test_what_failed_is_not_noted_as_done(install, asked, monkeypatch):
    monkeypatch.setattr(install, "install", lambda sets: sys.exit("no"))
    with pytest.raises(SystemExit, match="no"):
        install.main(["demo"])
    assert install.missing({"demo"}) == {"demo"} and install.BEGUN.exists()


def test_an_unknown_set_is_named_with_those_there_are(install, project):
    with pytest.raises(SystemExit, match="unknown set 'dem'; known: demo, lab, map, all"):
        install.main(["dem"])


def test_an_old_python_is_told_which_is_wanted(install, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 2))
    with pytest.raises(SystemExit, match=r"wants Python 3\.11 or newer.*make PYTHON=python3\.11"):
        install.main(["demo"])


def test_a_missing_compiler_is_named(install, project, monkeypatch):
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match=r"wants a C\+\+ compiler.*\n.*install g\+\+ python3-dev"):
        install.main(["demo"])


def test_the_size_of_every_set_is_known(install):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert install.SIZES.keys() == {"demo", *extras["optional-dependencies"]}


# Half of a package


def put_package(site: Path, name: str) -> Path:
    """Write a package as pip leaves it, and return its .dist-info."""
    info = site / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (site / f"{name}.py").write_text("x = 1\n")
    (info / "INSTALLER").write_text("pip\n")
    rows = [f"{name}.py,sha256=x,6", f"{info.name}/INSTALLER,sha256=y,4", f"{info.name}/RECORD,,"]
    (info / "RECORD").write_text("\n".join(rows) + "\n")
    return info


def drop_installer(site, info):
    rows = (info / "RECORD").read_text().splitlines(keepends=True)
    (info / "RECORD").write_text("".join(row for row in rows if "INSTALLER" not in row))


DAMAGES = {
    "RECORD of the wheel": drop_installer,
    "no RECORD": lambda site, info: (info / "RECORD").unlink(),
    "RECORD broken off": lambda site, info: (info / "RECORD").write_text("half.py,sha2"),
    "file missing": lambda site, info: (site / "half.py").unlink(),
    "file cut off": lambda site, info: (site / "half.py").write_text("x"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_half_a_package_looks_missing_and_whole_ones_stay(install, project, capsys, damage):
    site = project / ".venv/lib/python3.11/site-packages"
    whole, half = put_package(site, "whole"), put_package(site, "half")
    (site / "nvidia/~udnn").mkdir(parents=True)
    damage(site, half)
    install.mend()
    assert whole.exists() and not half.exists()
    assert list(site.rglob("~*")) == []
    assert capsys.readouterr().out == "Half installed, so installed anew: half\n"


# uv and pip


@pytest.fixture
def commands(install, project, monkeypatch):
    """Note the commands that would run; `fails` holds a word of those that fail."""
    commands, fails = [], []

    def run(command):
        commands.append(" ".join(map(str, command)))
        return int(any(word in commands[-1] for word in fails))

    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(install, "uv_index", list)
    monkeypatch.setattr(install.shutil, "which", lambda name: f"/bin/{name}")
    return commands, fails


def test_uv_installs_where_it_is_there(install, commands):
    install.install({"demo", "map", "lab"})
    (command,) = commands[0]
    assert command.startswith("/bin/uv pip install --python .venv/bin/python")
    assert "--constraint constraints.txt --build-constraint constraints.txt" in command
    assert command.endswith("pip --editable .[lab,map]")


def test_where_uv_fails_it_says_so_and_pip_goes_on(install, commands, capsys):
    commands, fails = commands
    fails.append("/bin/uv")
    install.install({"demo"})
    assert capsys.readouterr().out == "uv could not install it; going on with pip.\n"
    assert [" -m pip " in command for command in commands] == [False, True, True]
    assert commands[-1].endswith("--build-constraint constraints.txt --editable .")


@pytest.mark.parametrize("is_had", [True, False])
def test_uv_is_fetched_where_it_is_not_there(install, commands, monkeypatch, is_had):
    fetched = []
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    monkeypatch.setattr(
        install.subprocess, "call", lambda command, **_: fetched.append(command) or int(not is_had)
    )
    install.install({"demo"})
    assert fetched[0][-3:] == ["--constraint", "constraints.txt", "uv"]
    by_uv = [command.startswith(".venv/bin/uv pip install") for command in commands[0]]
    assert by_uv == ([True] if is_had else [False, False])  # pip installs itself first


def test_where_both_fail_it_ends_in_a_sentence(install, commands):
    commands[1].extend(["/bin/uv", "-m pip"])
    with pytest.raises(
        SystemExit, match="The installation failed.*goes on from there.*install.log"
    ):
        install.install({"demo"})


def test_uv_looks_for_packages_where_pip_is_told_to(install, project, monkeypatch):
    settings = "[global]\nindex-url = {0}main\nextra-index-url = {0}one\n    {0}two\n"
    settings += "[install]\nindex-url = {0}other\n"
    (project / "pip.conf").write_text(settings.format("https://museum.example/"))
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(project / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", "wheels")
    monkeypatch.setenv("PIP_CERT", "trusted.crt")
    monkeypatch.setenv("SSL_CERT_FILE", "")  # put back afterwards
    del os.environ["SSL_CERT_FILE"]
    monkeypatch.setattr(install, "PYTHON", sys.executable)
    options = " ".join(install.uv_index())
    assert "--default-index https://museum.example/other" in options
    assert "--index https://museum.example/one --index https://museum.example/two" in options
    assert options.endswith("--find-links wheels --index-strategy unsafe-best-match")
    assert os.environ["SSL_CERT_FILE"] == "trusted.crt"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://museum.example/uv")
    assert install.uv_index() == []


@pytest.mark.parametrize(
    ("line", "is_said"),
    [
        ("  Downloading torch-2.15.0-cp311.whl (539.1 MB)", True),
        ("Downloading torch (514.2MiB)", True),
        ("  Downloading big.whl (1.2 GB)", True),
        ("  Downloading tqdm-4.70.1-py3-none-any.whl (78 kB)", False),
        ("  Downloading pandas-3.1.1-cp311.whl (11.8 MB)", False),
        ("Installing collected packages: a, b", True),
        ("Requirement already satisfied: tqdm", False),
    ],
)
def test_a_log_gets_a_line_for_what_takes_long(install, line, is_said):
    assert install.is_worth_a_line(line) is is_said


# Stopped for real


def make_wheel(folder: Path, name: str, files: int) -> None:
    """Write a wheel of many small modules."""
    info = f"{name}-1.dist-info"
    texts = {f"{name}/part_{i}.py": f"x = {i}\n" * 50 for i in range(files)}
    texts |= {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    texts[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*texts, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as wheel:
        for path, text in texts.items():
            wheel.writestr(path, text)


def copy_pip(folder: Path) -> str:
    """Write the pip that is installed here as a wheel, and return its version."""
    pip = distribution("pip")
    with zipfile.ZipFile(folder / f"pip-{pip.version}-py3-none-any.whl", "w") as wheel:
        for file in pip.files:
            if ".." not in file.parts and file.suffix != ".pyc" and file.locate().is_file():
                wheel.write(file.locate(), str(file))
    return pip.version


def count_files(site: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(site))


def contents(site: Path) -> dict[str, bytes]:
    """Return the files of a folder, but for caches and for the order of lines in RECORD."""
    found = {}
    for path in sorted(site.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            rows = path.read_bytes().splitlines() if path.name == "RECORD" else []
            found[str(path.relative_to(site))] = b"\n".join(sorted(rows)) or path.read_bytes()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_an_installation_that_is_killed_goes_on_to_the_same_end(project, monkeypatch, tool):
    if tool == "uv" and not shutil.which("uv"):
        pytest.skip("uv is not installed here")
    if tool == "pip":  # a PATH without uv
        folder = project / "bin"
        folder.mkdir()
        for name in ("c++", "python3"):
            (folder / name).symlink_to(shutil.which(name))
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    wheels = project / "wheels"
    wheels.mkdir()
    for name in "abc":
        make_wheel(wheels, name, 400)
    # The pip that comes with Python is replaced, and half of it is the worst that can be left.
    (project / "constraints.txt").write_text(f"a==1\nb==1\nc==1\npip=={copy_pip(wheels)}\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_CACHE_DIR", str(project / "cache"))
    command = [getattr(sys, "_base_executable", sys.executable), str(SCRIPT), "demo", "lab"]
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}

    done = subprocess.run(command, **said)
    assert done.returncode == 0, done.stdout
    (site,) = project.glob(".venv/lib/python*/site-packages")
    whole, files = contents(site), count_files(site)
    assert json.loads((project / ".venv/.installed").read_text())["sets"] == ["demo", "lab"]
    shutil.rmtree(project / ".venv")

    killed = 0
    for share in (0.1, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99):
        process = subprocess.Popen(command, start_new_session=True, **said)
        while process.poll() is None and count_files(site) < share * files:
            time.sleep(0.002)
        if process.poll() is None:
            killed += 1
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT if share == 0.8 else signal.SIGKILL)
        process.communicate()
    assert killed >= 3
    done = subprocess.run(command, **said)
    assert done.returncode == 0, done.stdout
    assert contents(site) == whole
    check = subprocess.run([".venv/bin/python", "-m", "pip", "check"], **said)
    assert check.returncode == 0, check.stdout
    assert subprocess.run(command, **said).stdout == ""
