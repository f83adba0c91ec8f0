"""The benchmark of extraction: `python tests/bench/extract.py`, or `make bench-extract`.

Each part prints a table and writes a JSON file below build/bench. All of it, on two cores, takes
about an hour; run it on a machine that does nothing else.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click
from speed import METHODS, NETWORKS_MEASURED, Settings

from artsearch.base.errors import ArtsearchError, unknown
from artsearch.evaluate.repaint import ensure_demo_data
from artsearch.networks.registry import as_network

#: The module of each part; each has a `measure(settings)`.
PARTS = {
    "speed": "speed",
    "workers": "feeding",
    "memory": "memory",
    "open": "opening",
    "vectors": "vectors",
    "decode": "decode",
    "faithful": "faithful",
}


@click.command()
@click.option("--collection", default="data", help="A folder of works; the shipped one is `data`.")
@click.option("--networks", default=",".join(NETWORKS_MEASURED), help="With commas between them.")
@click.option("--rounds", default=5, type=click.IntRange(1), help="Each method's turns.")
@click.option("--works", type=click.IntRange(1), help="Works a round, for every network.")
@click.option("--methods", default=",".join(METHODS), help="Ours; the peers go by themselves.")
@click.option("--out", default="build/bench", help="Where results, logs and environments go.")
@click.option("--peers/--no-peers", default=True, help="Install and measure other projects.")
@click.option("--compile/--no-compile", default=True, help="Let torch compile the networks.")
@click.option("--quick", is_flag=True, help="Toy sizes: to see that it runs, not to measure.")
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Parts, not all.")
def main(collection, networks, rounds, works, methods, out, peers, compile, quick, only):
    """Measure how fast, how large and how faithful extraction is."""
    names = NETWORKS_MEASURED if networks in ("", "auto") else networks.split(",")
    try:
        settings = Settings(
            collection=ensure_demo_data(Path(collection)),
            out=Path(out).absolute(),
            networks=tuple(as_network(name.strip()).name for name in names),
            rounds=1 if quick else rounds,
            peers=peers,
            compile=compile,
            works=works or (16 if quick else None),
            methods=[choose(name.strip()) for name in methods.split(",")],
            quick=quick,
        )
        warn_if_busy()
        for part in only or PARTS:
            importlib.import_module(PARTS[part]).measure(settings)
            print(flush=True)
    except ArtsearchError as error:
        sys.exit(f"Error: {error}")
    print(f"Written to {out}: {', '.join(sorted(path.name for path in Path(out).glob('*.json')))}")


def warn_if_busy() -> None:
    """Say so when the machine has other things to do: the times are then of little worth."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores / 4:
        print(f"Note: the load is {load:.1f} on {cores} cores; times taken now are of little worth")


def choose(method: str) -> str:
    """Return the name of a method; raises ArtsearchError when there is none of that name."""
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    return method


if __name__ == "__main__":
    main()
