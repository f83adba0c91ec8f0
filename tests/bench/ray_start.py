"""How often a Ray of our own starts, and how soon: cold or warm, under load, behind a proxy."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

# A home where nobody has used Ray: its token is made there, too.
TRY = """
import time
from artsearch.features.ray.session import import_ray, session
begin = time.perf_counter()
import_ray()
imported = time.perf_counter()
with session() as ray:
    started = time.perf_counter()
    assert ray.get(ray.remote(lambda: 41 + 1).remote()) == 42
    print(imported - begin, started - imported, time.perf_counter() - started)
"""
#: Nobody listens there.
PROXY = "http://127.0.0.1:9"


@click.command()
@click.option("--tries", default=20, show_default=True, help="How often it is started.")
@click.option("--cold", is_flag=True, help="Nothing compiled, and no file of a package in memory.")
@click.option("--busy", default=0, show_default=True, help="Processes that compute meanwhile.")
@click.option("--proxy", is_flag=True, help="With the variables of a proxy that is not there.")
def main(tries: int, cold: bool, busy: int, proxy: bool) -> None:
    """Start a Ray again and again, each in a process and a home of its own, and let it compute."""
    seconds, failed = [], 0
    with _load(busy):
        for number in range(1, tries + 1):
            done = _try(cold, proxy)
            if done.returncode:
                failed += 1
                said = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
                click.echo(f"{number:3} did not start: {said[-1]}")
                continue
            seconds.append([float(word) for word in done.stdout.split()])
            told = "import {:.1f} s, start {:.1f} s, first task {:.1f} s".format(*seconds[-1])
            click.echo(f"{number:3} {told}, load {os.getloadavg()[0]:.1f}")
    words = [f"{busy} busy processes", "cold" if cold else "warm"] + ["a dead proxy"] * proxy
    click.echo(f"{tries - failed} of {tries} started ({', '.join(words)})")
    if seconds:
        starts = [one[1] for one in seconds]
        click.echo(f"start: median {statistics.median(starts):.1f} s, longest {max(starts):.1f} s")
    sys.exit(failed > 0)


def _try(cold: bool, proxy: bool) -> subprocess.CompletedProcess:
    with tempfile.TemporaryDirectory(prefix="ray-start-") as home:
        environment = os.environ | {"HOME": home}
        if cold:
            _forget_packages()
            environment["PYTHONPYCACHEPREFIX"] = str(Path(home, "compiled"))
            environment["PYTHONDONTWRITEBYTECODE"] = ""  # the next process finds it compiled
        if proxy:
            for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
                environment |= {name: PROXY, name.upper(): PROXY}
            environment |= {"no_proxy": "", "NO_PROXY": ""}
        command = [sys.executable, "-c", TRY]
        return subprocess.run(command, capture_output=True, text=True, env=environment)


def _forget_packages() -> None:
    """Ask the system to forget what it holds in memory of the files of installed packages."""
    for folder in {Path(one) for one in sys.path if one.endswith("-packages")}:
        for path in folder.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def _load(busy: int) -> Iterator[None]:
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(busy)]
    try:
        time.sleep(1 if busy else 0)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
