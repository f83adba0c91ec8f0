"""A folder that is known again: a manifest beside its files has the SHA-256 of each.

Features, indexes, blends and maps are kept in such folders. What was changed since it was written
is refused: libraries that map a damaged file would find wrong neighbours without a word.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from artsearch.base.disk import MANIFEST, hash_now, signature_of, sync, write_folder, write_whole
from artsearch.base.errors import ArtsearchError, DamagedError, MismatchError

#: Size, dates and hash of the large files when they were last seen to be right.
CHECKED = "checked.json"
#: Bytes from which on a file is known by its size and dates; a smaller one is read in no time.
LARGE = 16_000_000
#: What is sealed, and the format of each; a folder of another format is computed again.
FORMATS = {"features": 3, "index": 3, "blend": 2, "votes": 2, "pyramid": 1, "learnt": 1}
#: What older versions wrote in place of the manifest.
OLDER = ("index.json", "blend.json")


def seal(
    folder: str | os.PathLike,
    kind: str,
    metadata: Mapping,
    write: Callable[[Path], None],
    own: Iterable[str],
    known: Mapping[str, str] | None = None,
) -> Path:
    """Let `write` fill a new folder, put a manifest beside it, and put all in place at once.

    `own` names what may lie in an older folder that is replaced; `known` has the hashes of files
    that need not be read for it. Raises ArtsearchError where the folder cannot be written, or holds
    other things.
    """

    def fill(new: Path) -> None:
        write(new)
        files = {name: (known or {}).get(name) or hash_now(new / name) for name in _names(new)}
        manifest = {"kind": kind, "format": FORMATS[kind], **metadata, "files": files}
        manifest["sha256"] = _hash(manifest)
        _note_checked(new, files, {name: signature_of(new / name) for name in files})
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        sync(new / MANIFEST)

    return write_folder(folder, fill, (*own, MANIFEST, CHECKED, *OLDER))


def read_manifest(folder: Path, kind: str = "") -> dict:
    """Return what a sealed folder says of itself, of any kind without one named.

    Raises MismatchError for another kind or format, DamagedError where the manifest is not as it
    was written, and what the system raises where there is none.
    """
    path = folder / MANIFEST
    if not path.exists() and any((folder / name).exists() for name in OLDER):
        raise MismatchError("it is of an older version's format; compute it again")
    damaged = DamagedError(f"{MANIFEST} is not as it was written")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise damaged from None
    if not isinstance(manifest, dict):
        raise damaged
    stated, version = manifest.pop("sha256", None), manifest.get("format")
    current = FORMATS.get(kind or str(manifest.get("kind")))
    # Formats before the first that was sealed had a number alone.
    if stated is None and isinstance(version, int) and version != current:
        raise MismatchError(f"its format is {version}, this version has {current}")
    if stated != _hash(manifest):
        raise damaged
    if (manifest["kind"], version) != (kind or manifest["kind"], current):
        raise MismatchError(
            f"it holds {manifest['kind']} of format {version}, not {kind or manifest['kind']} "
            f"of {current}"
        )
    return manifest


def open_sealed(folder: Path, kind: str) -> dict:
    """Return the manifest of a folder whose files are as they were written.

    A large file is read when it is seen for the first time since its size or dates changed, such as
    in a copy of the folder; else its size and dates are taken as proof. Raises what `read_manifest`
    raises, and DamagedError, which names the file.
    """
    manifest = read_manifest(folder, kind)
    files = manifest["files"]
    before = {name: signature_of(folder / name) for name in files}
    checked = _read_checked(folder)
    unproven = [name for name in files if checked.get(name) != [*(before[name] or ()), files[name]]]
    for name in unproven:
        check_file(folder, manifest, name)
    if any(before[name][0] >= LARGE for name in unproven):
        with suppress(ArtsearchError):  # such as a folder that is only lent for reading
            _note_checked(folder, files, before)
    return manifest


def check_file(folder: Path, manifest: Mapping, name: str) -> None:
    """Read a file; raise DamagedError unless it is as it was written."""
    try:
        same = hash_now(folder / name) == manifest["files"][name]
    except OSError as error:
        raise DamagedError(f"{name} cannot be read: {error.strerror or error}") from None
    if not same:
        raise DamagedError(f"{name} is not as it was written")


def find_sealed(out: Path) -> Iterator[Path]:
    """Yield the folders below a folder that are sealed, or were by an older version."""
    for place, folders, files in os.walk(out):
        folders.sort()
        if {MANIFEST, *OLDER} & set(files):
            yield Path(place)


def verify(folder: Path) -> dict:
    """Read all of a sealed folder; return its manifest.

    Raises DamagedError, which names the file, and MismatchError for an older version's format.
    """
    try:
        manifest = read_manifest(folder)
    except OSError as error:
        raise DamagedError(f"{MANIFEST} cannot be read: {error.strerror or error}") from None
    for name in manifest["files"]:
        check_file(folder, manifest, name)
    return manifest


def _names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def _hash(manifest: dict) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _note_checked(folder: Path, files: Mapping[str, str], seen: Mapping) -> None:
    """Note the large files whose signatures, taken before they were read, are still the same."""
    checked = {
        name: [*found, files[name]]
        for name, found in seen.items()
        if found[0] >= LARGE and found == signature_of(folder / name)
    }
    # On Windows the third date is that of the file's making, and a copy can set both others back.
    if checked and os.name != "nt":
        write_whole(folder / CHECKED, json.dumps(checked).encode())


def _read_checked(folder: Path) -> dict:
    with suppress(OSError, ValueError):
        checked = json.loads((folder / CHECKED).read_text(encoding="utf-8"))
        return checked if isinstance(checked, dict) else {}
    return {}
