"""From rounds to what is read: medians, tables, JSON files."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

#: Column by key; a row without one of them leaves its place empty.
SPEED_COLUMNS = {
    "network": "network",
    "method": "method",
    "works_per_second": "works/s",
    "lowest": "lowest",
    "highest": "highest",
    "peak_mb": "peak MB",
    "compile_s": "compile s",
    "repays_from": "repays from",
}


def summarise(works: int, seconds: Sequence[float]) -> dict:
    """Return the median round as works a second, with the slowest and the quickest.

    >>> summarise(12, [3.0, 1.0, 2.0])
    {'works_per_second': 6.0, 'lowest': 4.0, 'highest': 12.0, 'works': 12, 'rounds': 3}
    """
    return {
        "works_per_second": works / statistics.median(seconds),
        "lowest": works / max(seconds),
        "highest": works / min(seconds),
        "works": works,
        "rounds": len(seconds),
    }


def repays_from(compile_s: float, eager: float, compiled: float) -> int | None:
    """Return from how many works on compiling has paid for itself; None if it never does.

    >>> repays_from(10, eager=1, compiled=2), repays_from(10, eager=2, compiled=2)
    (20, None)
    """
    gained = 1 / eager - 1 / compiled
    return round(compile_s / gained) if gained > 0 else None


def compare(rows: Sequence[Mapping], goals: Sequence[tuple[str, str, float]]) -> list[dict]:
    """Return how many times the speed of one method another has, for each network and goal.

    >>> rows = [{"network": "n", "method": "fast", "works_per_second": 6.0},
    ...         {"network": "n", "method": "article", "works_per_second": 2.0}]
    >>> compare(rows, [("fast", "article", 4), ("fast", "a peer that is missing", 2)])
    [{'network': 'n', 'method': 'fast', 'than': 'article', 'ratio': 3.0, 'goal': 4, 'met': False}]
    """
    speeds = {(row["network"], row["method"]): row["works_per_second"] for row in rows}
    found = []
    for network in dict.fromkeys(row["network"] for row in rows):
        for method, other, goal in goals:
            if (network, method) in speeds and (network, other) in speeds:
                ratio = speeds[network, method] / speeds[network, other]
                pair = {"network": network, "method": method, "than": other}
                found.append(pair | {"ratio": ratio, "goal": goal, "met": ratio >= goal})
    return found


def table(rows: Sequence[Mapping], columns: Mapping[str, str]) -> str:
    """Return rows as lines of text, with columns as wide as they need to be.

    >>> print(table([{"name": "a", "n": 1234.5}, {"name": "long"}], {"name": "name", "n": "works"}))
    name  works
    a     1,234
    long
    """
    cells = [list(columns.values()), *([show_in(key, row) for key in columns] for row in rows)]
    numbers = [any(isinstance(row.get(key), int | float) for row in rows) for key in columns]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    places = list(zip(widths, numbers, strict=True))
    lines = []
    for line in cells:
        pairs = zip(line, places, strict=True)
        padded = [
            text.rjust(width) if right else text.ljust(width) for text, (width, right) in pairs
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def show_in(key: str, row: Mapping) -> str:
    """Return the cell of a row in a column; what matters in a cosine begins behind the nines."""
    value = row.get(key)
    return f"{value:.6f}" if "cosine" in key and isinstance(value, float) else show(value)


def show(value: object) -> str:
    """Return a value as a cell: three digits are enough where nothing is counted.

    >>> [show(value) for value in (None, True, 12345, 1234.5, 0.98765, 12.345, 152.34)]
    ['', 'yes', '12,345', '1,234', '0.988', '12.3', '152']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3}f}"
    return "" if value is None else str(value)


def write_rows(path: Path, rows: Sequence[Mapping]) -> None:
    """Write rows as a JSON list, which any program can read as a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(rows, indent=1, ensure_ascii=False)}\n", encoding="utf-8")


def write(path: Path, **parts: object) -> None:
    """Write the parts of a result as JSON, and on what machine it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": describe_machine(), **parts}, indent=1, ensure_ascii=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def describe_machine() -> dict:
    """Return processor, number of cores, and the versions that matter."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
        processor = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        processor = platform.processor() or platform.machine()
    versions = {name: version(name) for name in ("torch", "timm", "pillow")}
    allowed = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return {"processor": processor, "cores": len(allowed), **versions}
