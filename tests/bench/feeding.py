"""How the network is best fed: by threads, as ours does it, or by the processes of a DataLoader."""

from __future__ import annotations

import tempfile
from pathlib import Path

import report
from speed import WORKS, Settings, make_job, our_command
from turns import summarise, take_turns
from works import draw_works, whole_batches

from artsearch.works.collection import Collection

NETWORK = "efficientnet_lite0"  # the quickest: the one that is hungriest
FEEDS = (("threads", 1), ("threads", 2), ("threads", 4), ("processes", 1), ("processes", 2))
COLUMNS = {"method": "workers", "works_per_second": "works/s", "lowest": "lowest"}


def measure(settings: Settings) -> None:
    """Measure `fast` with each feed, in turns; print the table and write workers.json."""
    collection = Collection(settings.collection)
    number = whole_batches(settings.works or WORKS[NETWORK], collection)
    print(f"Workers: {NETWORK}, fast, {settings.rounds} rounds of {number} works", flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch, "works")
        draw_works(collection, number, folder)
        job = make_job(NETWORK, folder, Path(scratch), settings.compile)
        commands = {
            f"{workers} {kind}": our_command(job, kind, workers=workers) for kind, workers in FEEDS
        }
        logs = settings.out / "logs" / "workers"
        turns = take_turns(commands, settings.rounds, logs, Path(scratch))
    rows = summarise(turns)
    print(report.table(rows, COLUMNS | {"highest": "highest", "peak_mb": "peak MB"}))
    for method, reason in turns.failed.items():
        print(f"{method} left out: {reason}")
    report.write(settings.out / "workers.json", rows=rows, left_out=turns.failed)
