"""The peers' environments: made when they are needed, each with its own pinned packages."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from worker import WorkerError

PINS = Path(__file__).with_name("peers")
NAMES = ("img2vec_pytorch", "imagededup", "thingsvision")
#: The networks of a peer that takes no others.
KNOWN = {"img2vec_pytorch": ("resnet50", "vgg16")}


def why_unable(name: str, network: str) -> str:
    """Return why a peer cannot run a network, or "" when it can.

    >>> why_unable("img2vec_pytorch", "inception_v4")
    'it does not have this network, and takes no other'
    """
    able = network in KNOWN.get(name, [network])
    return "" if able else "it does not have this network, and takes no other"


def find_python(name: str, folder: Path) -> Path:
    """Return the Python of a peer's environment below a folder; it is made where it is missing.

    Raises WorkerError when the packages cannot be installed.
    """
    home, pins = folder / name, PINS / f"{name}.txt"
    python, done = home / "bin" / "python", home / "pins.txt"
    wanted = pins.read_text(encoding="utf-8")
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        print(f"Making an environment for {name} (once)", flush=True)
        venv.EnvBuilder(clear=True, symlinks=True).create(home)
        _install(python, pins, folder / f"{name}.log")
        _share_packages(home)
        done.write_text(wanted, encoding="utf-8")
    return python


def _install(python: Path, pins: Path, log: Path) -> None:
    # By the project's pip, and nothing but what is pinned: torch with CUDA has 5 GB, and a peer's
    # own idea of it would be another version than the one that we are measured with.
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    with open(log, "wb") as out:
        code = subprocess.call(
            [*pip, "install", "--no-deps", "--requirement", str(pins)], stdout=out, stderr=out
        )
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        errors = [line for line in lines if line.startswith("ERROR: ")] or ["pip gave no reason"]
        reason = errors[0].removeprefix("ERROR: ")[:120]
        raise WorkerError(f"its packages cannot be installed: {reason}")


def _share_packages(home: Path) -> None:
    """Let an environment find the project's packages behind its own: torch, torchvision, timm."""
    own = sysconfig.get_path("purelib", "venv", {"base": str(home)})
    shared = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    Path(own, "project.pth").write_text("".join(f"{path}\n" for path in shared), encoding="utf-8")
