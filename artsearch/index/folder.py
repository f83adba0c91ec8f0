"""An index as a folder: what lies in it, and how it is told whether that is as it was written.

`index.json` says what the index is and holds the SHA-256 of every other file; `ids.json` has the
ids. `stamps.json` notes size and dates of the large files at a moment when their content was known
to be right: as long as these are the same a file is not read again, so that an index of a million
works opens at once. Without it, or in a copy of the folder, everything is read once.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.store import write_folder
from artsearch.works.file_state import UNSETTLED_NS, stamp, write_whole

FORMAT = 2
NOTE = "index.json"
IDS = "ids.json"
STAMPS = "stamps.json"
MEDIANS = "medians.npy"
#: The rows as the metric compares them.
VECTORS = "vectors.npy"
#: What an approximate index keeps beside them: Annoy's forest, a graph, lists.
LIBRARY = "index.ann"
#: What lies in a folder of an index; one with anything else in it is the user's own.
OWN = (NOTE, IDS, STAMPS, MEDIANS, VECTORS, LIBRARY)
#: Bytes from which on a file is known by its stamp; a smaller one is read in no time.
LARGE = 16_000_000


class Written(NamedTuple):
    """An index as it lies in a folder: its note, its ids, and the medians of Hamming or None."""

    folder: Path
    note: dict
    ids: list[str]
    medians: np.ndarray | None

    @property
    def basics(self) -> tuple:
        """What every index is made from: metric, ids, dims, made_by, medians."""
        note = self.note
        return note["metric"], self.ids, note["dims"], note["made_by"], self.medians


def write_index(
    folder: str | os.PathLike,
    note: dict,
    ids: Sequence[str],
    medians: np.ndarray | None,
    write_vectors: Callable[[Path], None],
) -> Path:
    """Write an index as a folder, whole or not at all; one that holds other things is refused."""

    def write(new: Path) -> None:
        write_vectors(new)
        (new / IDS).write_text(json.dumps(list(ids)), encoding="utf-8")
        if medians is not None:
            np.save(new / MEDIANS, medians, allow_pickle=False)
        names = sorted(path.name for path in new.iterdir())
        stamps = _stamps(new, names)
        files = {name: _hash(new / name) for name in names}
        whole = note | {"format": FORMAT, "files": files}
        whole["sha256"] = _hash_note(whole)
        (new / NOTE).write_text(json.dumps(whole), encoding="utf-8")
        _wait_until_settled(stamps.values())
        _note_stamps(new, files, stamps)

    return write_folder(folder, write, OWN)


def read_index(folder: Path) -> Written:
    """Return what a folder holds, all of it as it was written.

    What is not gets MismatchError; what cannot be read at all raises what json and NumPy raise.
    """
    note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    if note["format"] != FORMAT:
        raise MismatchError(f"its format is {note['format']!r}, this version has {FORMAT}")
    if note.pop("sha256") != _hash_note(note):
        raise MismatchError("its files are not as they were written")
    _check_files(folder, note["files"])
    ids = json.loads((folder / IDS).read_text(encoding="utf-8"))
    has_medians = MEDIANS in note["files"]
    medians = np.load(folder / MEDIANS, allow_pickle=False) if has_medians else None
    return Written(folder, note, ids, medians)


def library_file(folder: Path) -> str:
    """Return the path of a library's file as it wants it; raises ArtsearchError where it cannot.

    The libraries take a path as UTF-8, which not every name of a folder on Linux is.
    """
    path = str(folder / LIBRARY)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ArtsearchError(
            f"the folder {str(folder)!r} has a name that is not UTF-8, so an index cannot be "
            "kept there; name another one"
        ) from None
    return path


def _hash_note(note: dict) -> str:
    return hashlib.sha256(json.dumps(note, sort_keys=True).encode()).hexdigest()


def _hash(path: Path) -> str:
    # Not file_sha256, which remembers by name and date what it read.
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_files(folder: Path, files: dict[str, str]) -> None:
    """Raise MismatchError where a file is not as it was written; the libraries trust theirs."""
    known, before = _read_stamps(folder), _stamps(folder, files)
    unproven = [name for name in files if known.get(name) != [*before[name], files[name]]]
    for name in unproven:
        if _hash(folder / name) != files[name]:
            raise MismatchError("its files are not as they were written")
    if any(before[name][0] >= LARGE for name in unproven):
        with suppress(ArtsearchError):  # such as a folder that is only lent for reading
            _note_stamps(folder, files, before)


def _stamps(folder: Path, files: Iterable[str]) -> dict[str, tuple[int, int, int]]:
    return {name: stamp(folder / name) or (0, 0, 0) for name in files}


def _note_stamps(folder: Path, files: dict[str, str], before: dict) -> None:
    """Note the stamps of the large files, taken before their content was seen to be right."""
    now = _stamps(folder, files)
    known = {
        name: [*found, files[name]]
        for name, found in before.items()
        if found[0] >= LARGE and found == now[name] and _left_to_settle(found) <= 0
    }
    if known and os.name != "nt":  # where the third date is no proof, see files.py
        write_whole(folder / STAMPS, json.dumps(known).encode())


def _read_stamps(folder: Path) -> dict:
    with suppress(OSError, ValueError):
        known = json.loads((folder / STAMPS).read_text(encoding="utf-8"))
        return known if isinstance(known, dict) else {}
    return {}


def _left_to_settle(found: tuple[int, int, int]) -> int:
    """Return for how many nanoseconds the dates of a file prove nothing yet."""
    return max(found[1:]) + UNSETTLED_NS - time.time_ns()


def _wait_until_settled(stamps: Iterable[tuple[int, int, int]]) -> None:
    """Wait, where there are large files, until their dates prove something."""
    left = max((_left_to_settle(found) for found in stamps if found[0] >= LARGE), default=0)
    time.sleep(max(0, left) / 1e9)
