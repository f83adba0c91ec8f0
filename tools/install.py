"""Install into .venv what a command wants: `python3 tools/install.py demo lab`.

The set `demo` is the dependencies of pyproject.toml, every other set is one of its extras, and
`all` is all of them. A set that is there is not installed again; when pyproject.toml or
constraints.txt have changed, all that is there is brought up to date. An installation that was
stopped, at any moment, goes on when it is started again.

This runs before anything is installed, so it imports nothing but the standard library; and it can
be read by Pythons that are too old for the project, to say so.
"""

import ast
import csv
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import deque
from pathlib import Path

OLDEST = (3, 11)
VENV = Path(".venv")
PYTHON = VENV / "bin" / "python"
#: What is installed: the sets, and a hash of what says which versions they have.
DONE = VENV / ".installed"
#: Is there, and locked, while an installation goes on; left behind by one that was stopped.
BEGUN = VENV / ".installing"
LOG = Path("build") / "install.log"
#: Megabytes to download and on the disk, the demo's by itself and each other set's beside it, as
#: measured on Linux (x86-64, Python 3.11): by what pip says that it downloads, and by the files of
#: the packages. Some packages are of two sets, so that all together are somewhat less.
#: Three quarters of it is CUDA, which the Python package index sends with torch.
SIZES = {
    "demo": (3378, 6869),
    "heic": (6, 27),
    "identify": (85, 220),
    "lab": (30, 89),
    "app": (17, 57),
    "fetch": (2, 12),
    "map": (71, 244),
    "scale": (107, 332),
    "test": (87, 307),
    "text": (18, 148),
}
#: annoy comes as source: it wants a C++ compiler and Python's headers. Debian keeps these two, and
#: venv, in packages of their own.
DEBIAN = ("g++", "python3-dev", "python3-venv")
CONSTRAINTS = ("--constraint", "constraints.txt", "--build-constraint", "constraints.txt")


def main(sets):
    if sys.version_info < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        sys.exit(
            f"artsearch wants Python {wanted} or newer; this is {sys.version.split()[0]}. "
            f"Name another: make PYTHON=python{wanted}"
        )
    wanted = choose(sets)
    if not missing(wanted):
        return
    make_ready()
    VENV.mkdir(exist_ok=True)
    stopped = BEGUN.exists()
    with BEGUN.open("a") as lock:
        wait_for(lock)
        todo = missing(wanted)  # another one may have installed it meanwhile
        if todo:
            announce(todo)
            if stopped:
                mend()
            make_venv()
            install(installed() | wanted)
            note = {"from": fingerprint(), "sets": sorted(installed() | wanted)}
            DONE.write_text(json.dumps(note), encoding="utf-8")
        BEGUN.unlink(missing_ok=True)


# What is wanted, and what is there


def choose(sets):
    """Return the sets that are named, `all` being every one; the demo is always among them."""
    import tomllib  # not in Pythons that are too old

    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {"demo", *project["optional-dependencies"]}
    unknown = set(sets) - known - {"all"}
    if unknown:
        sys.exit(f"unknown set {min(unknown)!r}; known: {', '.join(sorted(known))}, all")
    return known if "all" in sets else {"demo", *sets}


def fingerprint():
    """Return a hash of the files that say what is installed."""
    files = (Path(name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    return hashlib.sha256(b"\0".join(files)).hexdigest()


def installed():
    """Return the sets that are there, in whichever version."""
    return set(_note().get("sets", ()))


def missing(wanted):
    """Return the sets that are to be installed or brought up to date."""
    current = PYTHON.exists() and _note().get("from") == fingerprint()
    return wanted - installed() if current else wanted | installed()


def _note():
    try:
        return json.loads(DONE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def announce(sets):
    """Say what is installed, and how large it is."""
    new = sets - installed()
    if not new:
        print("Bringing .venv up to date with pyproject.toml and constraints.txt", flush=True)
        return
    download, disk = (sum(SIZES[name][i] for name in new if name in SIZES) for i in (0, 1))
    names = ", ".join(sorted(new))
    print(
        f"Installing into .venv, once ({names}): {megabytes(download)} to download, "
        f"{megabytes(disk)} on the disk, some minutes",
        flush=True,
    )
    free = shutil.disk_usage(VENV).free // 1_000_000
    if free < download + disk:
        print(f"Only {megabytes(free)} are free here, which may be too little.", flush=True)


def megabytes(number):
    """Say a size: 3351 is "3.4 GB"."""
    return f"{number / 1000:.1f} GB" if number >= 1000 else f"{number} MB"


# Before


def make_ready():
    """See to a compiler, Python's headers and venv; end in one sentence where they are missing."""
    if _is_ready():
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("Installing from Debian:", *DEBIAN, flush=True)
        os.environ["DEBIAN_FRONTEND"] = "noninteractive"
        subprocess.call(["apt-get", "-qq", "update"])
        get = ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *DEBIAN]
        subprocess.call(get, stdout=subprocess.DEVNULL)
    if not _is_ready():
        sys.exit(
            f"artsearch wants a C++ compiler and the headers and venv of {sys.executable}.\n"
            f"On Debian and Ubuntu, as root: apt-get install {' '.join(DEBIAN)}"
        )


def _is_ready():
    # Tried, not asked for by name: Pythons that are not from Debian bring theirs.
    command = ["c++", "-x", "c++", "-fsyntax-only", "-", "-I", sysconfig.get_path("include")]
    have_venv = subprocess.call([sys.executable, "-c", "import ensurepip, venv"], **_SILENT) == 0
    if not have_venv or not shutil.which("c++"):
        return False
    return subprocess.run(command, input=b"#include <Python.h>", stderr=-3).returncode == 0


_SILENT = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def wait_for(lock):
    """Let one installation at a time go on in this folder."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another installation goes on in .venv; waiting for it.", flush=True)
        fcntl.flock(lock, fcntl.LOCK_EX)


def make_venv():
    """Make .venv, or finish one whose making was stopped."""
    if not PYTHON.exists() or subprocess.call([PYTHON, "-m", "pip", "--version"], **_SILENT):
        subprocess.check_call([sys.executable, "-m", "venv", VENV])


def mend():
    """Make every package look missing that is not there as a whole, so that it comes anew.

    Both pip and uv end a package by a RECORD that names the file INSTALLER; the RECORD that comes
    in a wheel does not. What pip took aside to replace it is named "~…".
    """
    for folder in VENV.glob("lib/python*/site-packages"):
        for aside in [path for path in folder.rglob("~*") if path.is_dir()]:
            shutil.rmtree(aside, ignore_errors=True)
        for info in folder.glob("*.dist-info"):
            if not is_whole(info):
                print(f"Half installed, so installed anew: {info.name.split('-')[0]}", flush=True)
                shutil.rmtree(info)
        if not any(folder.glob("pip-*.dist-info")):  # half of pip cannot install the other half
            shutil.rmtree(folder / "pip", ignore_errors=True)


def is_whole(info):
    """Tell whether the package of a .dist-info is there with all its files, in their sizes."""
    try:
        with (info / "RECORD").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
        if f"{info.name}/INSTALLER" not in {row[0] for row in rows}:
            return False
        sized = [(info.parent / name, int(size)) for name, _, size in rows if size]
        return all(path.stat().st_size == size for path, size in sized)
    except (OSError, ValueError):
        return False


# The installation itself


def install(sets):
    """Install the sets with uv, and where it fails or cannot be had, with pip."""
    extras = ",".join(sorted(sets - {"demo"}))
    project = ["--editable", f".[{extras}]" if extras else "."]
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    uv = shutil.which("uv") or fetch_uv()
    if uv:
        os.environ.setdefault("UV_HTTP_TIMEOUT", "180")  # seconds; its own 30 are few for torch
        command = [uv, "pip", "install", "--python", PYTHON, *uv_index(), *CONSTRAINTS]
        if run([*command, "pip", *project]) == 0:
            return
        print("uv could not install it; going on with pip.", flush=True)
        mend()
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", *CONSTRAINTS[:2]]
    if not _on_terminal():
        pip += ["--progress-bar", "off"]
    # pip first: older ones know no build constraints.
    if run([*pip, "pip"]) or run([*pip, *CONSTRAINTS[2:], *project]):
        sys.exit(
            "The installation failed, as said above; the same command goes on from there."
            + ("" if _on_terminal() else f" All that was said is in {LOG}.")
        )


def fetch_uv():
    """Put uv into .venv, which downloads many packages at once; return its path, None without."""
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    uv = PYTHON.with_name("uv")
    return uv if subprocess.call([*command, *CONSTRAINTS[:2], "uv"], **_SILENT) == 0 else None


def uv_index():
    """Return as uv's options where pip is told to find packages, which uv does not read itself.

    uv also trusts the certificates then that pip is told to trust.
    """
    if any(name in os.environ for name in ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL")):
        return []
    said = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True)
    found = {}
    for section in ("global", "install", ":env:"):  # what comes later counts
        for name, value in re.findall(rf"^{section}\.([\w-]+)=(.*)$", said.stdout, re.MULTILINE):
            found[name] = ast.literal_eval(value).split()
    if "cert" in found:
        os.environ.setdefault("SSL_CERT_FILE", found["cert"][0])
    options = []
    names = {"index-url": "default-index", "extra-index-url": "index", "find-links": "find-links"}
    for name, option in names.items():
        for value in found.get(name, ()):
            options += [f"--{option}", value]
    if "extra-index-url" in found:  # pip takes the best of all indexes
        options += ["--index-strategy", "unsafe-best-match"]
    return options + (["--no-index"] if "no-index" in found else [])


def run(command):
    """Run a command and return its exit code, with its own progress where there is a terminal.

    Elsewhere (a log file, CI) a line is printed for each large download and each step, all goes to
    LOG, and its end is printed where the command fails.
    """
    if _on_terminal():
        return subprocess.call(command)
    last = deque(maxlen=40)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with LOG.open("a") as log, subprocess.Popen(command, text=True, **pipes) as process:
        for line in process.stdout:
            log.write(line)
            last.append(line)
            if is_worth_a_line(line):
                print("  " + line.strip()[:100], flush=True)
    if process.returncode:
        print("".join(last), end="", flush=True)
    return process.returncode


def is_worth_a_line(line):
    """Tell whether a line of pip or uv says something of a large download or of a step."""
    size = re.search(r"Downloading .*\(([\d.]+) ?(MB|MiB|GB|GiB)\)", line)
    if size:
        return float(size[1]) >= 30 or size[2].startswith("G")
    steps = r"\s*(Resolved|Prepared|Installed|Building|Built|Installing collected packages)\b"
    return re.match(steps, line) is not None


def _on_terminal():
    return sys.stdout.isatty() and sys.stderr.isatty()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from there.", flush=True)
        sys.exit(130)
