"""How many works a second: ours, the article's loop, the limit and the peers, in turns."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import report
from peers import NAMES, find_python, why_unable
from turns import summarise, take_turns
from worker import WorkerError
from works import draw_works, whole_batches

from artsearch.networks.registry import NETWORKS
from artsearch.works.collection import Collection

HERE = Path(__file__).parent
NETWORKS_MEASURED = ("efficientnet_lite0", "resnet50", "inception_v4", "vgg16")
#: So many works take the slowest method 10 to 15 seconds on two cores; full batches of 16.
WORKS = {"efficientnet_lite0": 384, "resnet50": 144, "inception_v4": 48, "vgg16": 48}
#: The two without compiling tell from how many works on compiling repays.
METHODS = (
    *("article", "exact", "fast", "exact_eager", "fast_eager"),
    *("forward_exact", "forward_fast"),
)
#: How many times the speed of the other a method is to have, by the project's own aims.
GOALS = (
    ("fast", "article", 3.0),
    ("exact", "article", 1.5),
    ("fast", "forward_fast", 0.85),
    ("exact", "forward_exact", 0.85),
    *(("fast", name, 2.0) for name in NAMES),
)


@dataclass(frozen=True)
class Settings:
    """What the user asked for. `quick` is a toy size: it shows that things run, and no more."""

    collection: Path
    out: Path
    networks: Sequence[str] = NETWORKS_MEASURED
    rounds: int = 5
    peers: bool = True
    compile: bool = True
    works: int | None = None
    methods: Sequence[str] = METHODS
    quick: bool = False


def measure(settings: Settings) -> None:
    """Measure every network, print the tables, and write extract.json as each is done."""
    rows, left_out = [], []
    for network in settings.networks:
        found, missing = measure_network(network, settings)
        rows += found
        left_out += missing
        print(report.table(found, report.SPEED_COLUMNS), flush=True)
        for row in missing:
            print(f"{row['network']}: {row['method']} left out: {row['reason']}", flush=True)
        print(flush=True)
        write(settings, rows, left_out)
    columns = {"network": "network", "method": "method", "than": "than", "ratio": "times"}
    print(report.table(report.compare(rows, GOALS), columns | {"goal": "goal", "met": "met"}))


def write(settings: Settings, rows: list[dict], left_out: list[dict]) -> None:
    """Write what is known so far, so that a run that is stopped has not been for nothing."""
    report.write_rows(settings.out / "extract.json", rows)
    report.write(
        settings.out / "extract_notes.json",
        goals=report.compare(rows, GOALS),
        left_out=left_out,
        collection=settings.collection.resolve().name,
        compiled=settings.compile,
    )


def measure_network(network: str, settings: Settings) -> tuple[list[dict], list[dict]]:
    """Return the rows of a network, and the methods that are left out with the reason."""
    collection = Collection(settings.collection)
    number = whole_batches(settings.works or WORKS.get(network, 48), collection)
    title = NETWORKS[network].title
    print(f"{title}: warming up, then {settings.rounds} rounds of {number} works", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch, "works")
        draw_works(collection, number, folder)
        job = make_job(network, folder, Path(scratch), settings.compile)
        methods = [name for name in settings.methods if settings.compile or "eager" not in name]
        commands = {method: our_command(job, method) for method in methods}
        peers, failed = peer_commands(job, settings)
        logs = settings.out / "logs" / network
        turns = take_turns(commands | peers, settings.rounds, logs, Path(scratch))
    rows = [{"network": network, **row} for row in summarise(turns)]
    failed |= turns.failed
    missing = [{"network": network, "method": name, "reason": failed[name]} for name in failed]
    return rows, missing


def make_job(network: str, folder: Path, scratch: Path, compile: bool) -> dict:
    """Return what a method has to know, as it is sent to its process."""
    entry = NETWORKS[network]
    return {
        "network": network,
        "library": entry.library,
        "architecture": entry.architecture,
        "layer": entry.layer,
        "size": entry.size,
        "folder": str(folder),
        "scratch": str(scratch),
        "compile": compile,
    }


def our_command(job: dict, method: str, **more: object) -> list[str]:
    """Return the command that starts one of our own methods."""
    words = json.dumps(job | {"method": method} | more)
    return [sys.executable, str(HERE / "methods.py"), words]


def peer_commands(job: dict, settings: Settings) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the commands of the peers, and why some of them cannot be measured."""
    commands, failed = {}, {}
    for name in NAMES if settings.peers else ():
        try:
            if reason := why_unable(name, job["network"]):
                raise WorkerError(reason)
            python = find_python(name, settings.out / "peers")
        except WorkerError as error:
            failed[name] = str(error)
            continue
        # Each its own folder: one of the peers writes a list of files.
        words = json.dumps(job | {"method": name, "scratch": f"{job['scratch']}/{name}"})
        commands[name] = [str(python), str(HERE / "peer_methods.py"), words]
    return commands, failed
