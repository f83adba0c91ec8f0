"""Rows as they come, on disk at once: a run that is killed goes on where it was."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.works.file_state import FileState

FORMAT = 1
#: One line a batch, each with a checksum of itself and of its rows; the first says what is made.
LINES = "journal.jsonl"
#: The rows, float32, one behind the other.
ROWS = "rows.f32"


@dataclass(frozen=True)
class Entry:
    """A work that was seen: its file's state, and the reason if it could not be read."""

    id: str
    state: FileState
    reason: str = ""


class Journal:
    """An append-only record of works and their rows, in a folder of its own.

    A line is written after its rows, so a killed run leaves at most rows without a line, or half a
    line; both are cut off when it is opened again, and so is whatever a power failure spoiled.
    `entries` are what is in it, in order; `rows` gives the number of the row by content.

    Raises MismatchError for a journal of something else, and ArtsearchError where it cannot write.
    """

    def __init__(self, folder: Path, provenance: dict):
        self.folder = folder
        self.entries: list[Entry] = []
        self.rows: dict[str, int] = {}
        self.dims = 0
        self._count = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lines = open(folder / LINES, "a+b")
            self._rows = open(folder / ROWS, "a+b")
            self._take_up(provenance)
        except OSError as error:
            raise self._cannot_write(error) from None

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, entries: Sequence[Entry], rows: np.ndarray | None = None) -> None:
        """Append works: with one row each, or without rows (known by content, or unreadable)."""
        content = b"" if rows is None else np.ascontiguousarray(rows, dtype="<f4").tobytes()
        facts = {
            "dims": 0 if rows is None else rows.shape[1],
            "crc": zlib.crc32(content),
            "works": [[one.id, *asdict(one.state).values(), one.reason] for one in entries],
        }
        try:
            self._rows.write(content)
            self._rows.flush()
            self._lines.write(_line(facts))
            self._lines.flush()
        except OSError as error:
            raise self._cannot_write(error) from None
        self._register(facts, entries)

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Return rows by their numbers: a float32 array, numbers × dims."""
        # Opened for each call: pages of a mapped file would stay in memory as long as it is open.
        stored = np.memmap(self.folder / ROWS, np.float32, "r").reshape(-1, self.dims)
        return stored[numbers]

    def close(self) -> None:
        """Close the files; what is in them stays for the next run."""
        for file in (self._lines, self._rows):
            try:
                file.close()
            except OSError:
                pass  # what could not be written was said when it was tried

    def remove(self) -> None:
        """Remove the journal: all of it is in the store."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _take_up(self, provenance: dict) -> None:
        """Read what is there as far as it is whole, cut off the rest, and stand at the end."""
        lines = _whole_lines(self.folder / LINES)
        first, end = next(lines, (None, 0))
        theirs = (first or {}).get("provenance", {}).get("reading")
        # Rows of pictures that were read otherwise are of no use.
        if first is None or theirs != provenance.get("reading"):
            self._cut(0, 0)
            self._lines.write(_line({"format": FORMAT, "provenance": provenance}))
            self._lines.flush()
            return
        self._check(first, provenance)
        rows_end = 0
        with open(self.folder / ROWS, "rb") as file:
            for facts, line_end in lines:
                works = [_entry(work) for work in facts["works"]]
                size = 4 * facts["dims"] * len(works)
                content = file.read(size)
                if len(content) != size or zlib.crc32(content) != facts["crc"]:
                    break
                self._register(facts, works)
                end, rows_end = line_end, rows_end + size
        self._cut(end, rows_end)

    def _check(self, first: dict, provenance: dict) -> None:
        theirs = {"format": first.get("format")} | first.get("provenance", {})
        ours = {"format": FORMAT} | provenance
        for key in ours | theirs:
            if theirs.get(key) != ours.get(key):
                raise MismatchError(
                    f"{str(self.folder)!r} holds an unfinished run with {key} {theirs.get(key)!r}, "
                    f"asked for is {ours.get(key)!r}; remove that folder, or name another"
                )

    def _register(self, facts: dict, works: Sequence[Entry]) -> None:
        self.entries += works
        if facts["dims"]:
            self.dims = facts["dims"]
            for number, work in enumerate(works, self._count):
                self.rows.setdefault(work.state.sha256, number)
            self._count += len(works)

    def _cut(self, lines: int, rows: int) -> None:
        self._lines.truncate(lines)
        self._rows.truncate(rows)

    def _cannot_write(self, error: OSError) -> ArtsearchError:
        return ArtsearchError(
            f"cannot write {str(self.folder)!r} ({error.strerror or error}); the "
            f"{len(self):,} works computed so far are kept there: make room or allow writing, and "
            "run again, or name another folder"
        )


def _line(facts: dict) -> bytes:
    text = json.dumps(facts, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _whole_lines(path: Path) -> Iterator[tuple[dict, int]]:
    """Yield what each line says and where it ends, until one is not as it was written."""
    end = 0
    with open(path, "rb") as file:
        for line in file:
            crc, _, text = line.removesuffix(b"\n").partition(b" ")
            if not line.endswith(b"\n") or crc != b"%08x" % zlib.crc32(text):
                return
            end += len(line)
            yield json.loads(text), end


def _entry(work: list) -> Entry:
    id, size, modified, changed, sha256, reason = work
    return Entry(id, FileState(size, modified, changed, sha256), reason)
