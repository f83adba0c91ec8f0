"""A folder of fetched works: pictures, their works.csv, and a journal of what is finished."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from artsearch.base.disk import replace_file
from artsearch.base.errors import ArtsearchError, reason_of
from artsearch.base.text import cut_text, disarm
from artsearch.works.collection import COLUMNS, TABLE
from artsearch.works.table import read_works_csv

#: What every table has, in this order; further columns come behind.
FIRST = ("file", *COLUMNS, "licence", "source")
#: One line a finished work, written after its picture: what is in it is not fetched again; and one
#: a work that was refused.
JOURNAL = ".fetch.jsonl"
LOCK = ".fetch.lock"
FORMAT = {"format": 1}

#: Longest text of a cell, in characters.
MOST_TEXT = 1000

# Controls, halves of surrogate pairs, and marks that turn the direction of all that follows. White
# space among the controls is left to str.split.
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]"
)


class FetchFolder:
    """What is in a folder of fetched works, by key, and the way to add to it.

    A work counts as finished when its picture and its line in the journal are there. What a person
    changed in works.csv stays; a picture that is gone is fetched again. To be opened by `locked`.
    """

    def __init__(self, path: Path):
        self.path = path
        for left in path.glob(".*.part"):  # of a run that was killed
            left.unlink(missing_ok=True)
        lines, self._refused, end = _read_journal(path)
        self._ours = {line["row"]["file"] for line in lines}
        self._rows = {line["key"]: line["row"] for line in lines if self._has(line["row"]["file"])}
        self._read_table()  # one that cannot be read is said before anything is fetched
        self._fresh = 0
        with open(path / JOURNAL, "ab") as file:
            if file.tell() > end:
                file.truncate(end)
        if not end:
            self._append(FORMAT)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def add(self, key: str, about: Mapping[str, object], picture: bytes) -> None:
        """Write a work's picture, then note that it is there."""
        texts = {name_column(name): clean(value) for name, value in about.items()}
        name = name_file(key, texts.get("artist", ""), texts.get("title", ""))
        row = {"file": name} | {name: texts[name] for name in texts if name not in ("", "file")}
        with using(self.path):
            replace_file(self.path / name, picture)
            self._append({"key": key, "row": row})
        self._ours.add(name)
        self._rows[key] = row
        self._fresh += 1
        # Ever more works between two times: a table of 80,000 rows is not written 4,000 times.
        if self._fresh >= max(20, len(self) // 20):
            self.write_table()

    def note_refused(self, key: str) -> bool:
        """Note that a server refused a work; tell whether it is the first time."""
        is_first = key not in self._refused
        if is_first:
            with using(self.path):
                self._append({"refused": key})
            self._refused.add(key)
        return is_first

    def write_table(self) -> None:
        """Write works.csv anew; rows that are in it already stay as they are."""
        self._fresh = 0
        table = self._read_table()
        there = {row["file"] for row in table}
        gone = {name for name in self._ours & there if not self._has(name)}
        rows = [row for row in table if row["file"] not in gone]
        rows += [row for row in self._rows.values() if row["file"] not in there]
        if rows == table:
            return
        text = io.StringIO()
        columns = dict.fromkeys(FIRST) | {name: None for row in rows for name in row}
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        with using(self.path):
            replace_file(self.path / TABLE, text.getvalue().encode())

    def _read_table(self) -> list[dict[str, str]]:
        """Return the rows of works.csv as it is now: what a person says there is worth more."""
        path = self.path / TABLE
        return read_works_csv(path).to_dict("records") if path.exists() else []

    def _has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def _append(self, line: dict) -> None:
        with open(self.path / JOURNAL, "ab") as file:
            file.write(json.dumps(line).encode() + b"\n")


@contextmanager
def locked(out: str | os.PathLike) -> Iterator[FetchFolder]:
    """Open a folder for one run at a time; refuse one that is somebody's own."""
    with opened_alone(_expand(out), JOURNAL) as path:
        with using(path):
            folder = FetchFolder(path)
        yield folder


@contextmanager
def opened_alone(path: Path, mark: str) -> Iterator[Path]:
    """Make a folder, for one run at a time; refuse one that holds other things and not `mark`."""
    import filelock

    with ExitStack() as stack:
        with using(path):
            path.mkdir(parents=True, exist_ok=True)
            _refuse_others(path, mark)
            try:
                stack.enter_context(filelock.FileLock(path / LOCK, timeout=0))
            except filelock.Timeout:
                raise ArtsearchError(
                    f"another run is fetching into {str(path)!r}; wait until it has ended"
                ) from None
        yield path


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Turn an OSError into a sentence."""
    try:
        yield
    except OSError as error:
        raise ArtsearchError(
            f"cannot use {str(path)!r} for works ({reason_of(error)}); what came so far is "
            "kept: make room or allow writing and run again, or name another folder"
        ) from None


def known(out: str | os.PathLike) -> frozenset[str]:
    """Return the keys of the works that a folder has: a source need not ask for them again."""
    path = _expand(out)
    with using(path):
        lines, *_ = _read_journal(path)
        return frozenset(line["key"] for line in lines if (path / line["row"]["file"]).is_file())


def clean(value: object) -> str:
    """Return what a catalogue says as one line of text that does no harm in a table.

    >>> clean("  Vincent\\n van Gogh\\0 "), clean(["oil", "canvas"]), clean(1889), clean(None)
    ('Vincent van Gogh', 'oil, canvas', '1889', '')
    >>> clean("=HYPERLINK(0)"), len(clean("a" * 10**6))
    ("'=HYPERLINK(0)", 1000)
    """
    if isinstance(value, list | tuple):
        value = ", ".join(one for one in value if isinstance(one, str))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    text = " ".join(_UNSEEN.sub("", value).split()) if isinstance(value, str) else ""
    return disarm(cut_text(text, MOST_TEXT))


def name_file(key: str, artist: str = "", title: str = "") -> str:
    """Return a name for a work's picture that every system takes, and no other work has.

    >>> name_file("met/45734", "Kiyohara Yukinobu", "Quail and Millet")
    'kiyohara-yukinobu_quail-and-millet_928a293db4a4.jpg'
    """
    from slugify import slugify

    words = (
        slugify(text[:MOST_TEXT], max_length=40, word_boundary=True) for text in (artist, title)
    )
    mark = hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:12]
    # With the mark no name is one of those that Windows keeps for itself, such as CON.
    return "_".join(filter(None, (*words, mark))) + ".jpg"


def name_column(name: str) -> str:
    """Return a column's name as a table has it, without anything that could part columns."""
    return " ".join(re.sub(r"[^\w ]", " ", clean(name)).lower().split())[:60]


def _refuse_others(path: Path, mark: str) -> None:
    others = sorted(name for name in os.listdir(path) if not name.startswith("."))
    if others and not (path / mark).exists():
        raise ArtsearchError(
            f"{str(path)!r} holds other things, such as {others[0]!r}, and nothing is put among "
            "them; name a new folder"
        )


def _read_journal(folder: Path) -> tuple[list[dict], set[str], int]:
    """Return the works in a folder's journal, those refused, and where its last whole line ends."""
    path = folder / JOURNAL
    data = path.read_bytes() if path.is_file() else b""
    end = data.rfind(b"\n") + 1
    found = []
    for line in data[:end].splitlines():
        with suppress(ValueError):  # spoiled by a failing disk: the work is fetched again
            found.append(json.loads(line))
    if end and found[:1] != [FORMAT]:
        raise ArtsearchError(
            f"{str(path)!r} is no journal that this version can read; name a new folder"
        )
    refused = {line["refused"] for line in found if _has_text(line, "refused")}
    return [line for line in found if _is_work(line)], refused, end


def _has_text(line: object, name: str) -> bool:
    return isinstance(line, dict) and isinstance(line.get(name), str)


def _is_work(line: object) -> bool:
    match line:
        case {"key": str(), "row": {"file": str(name)}}:
            return name == os.path.basename(name)
    return False


def _expand(out: str | os.PathLike) -> Path:
    if not str(out or ""):
        raise ArtsearchError("no folder named to fetch into; name one")
    return Path(os.path.expanduser(out))
