"""What tells one state of a file from another: its content, not its date alone."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from artsearch.base.errors import ArtsearchError, ImageError
from artsearch.works.images import refuse_unread
from artsearch.works.storage import RemoteFile

#: A file written this short a time before it was read may change again within the same tick of the
#: disk's clock, and keep its dates: such a one is read again next time.
UNSETTLED_NS = 2_000_000_000

T = TypeVar("T")


@dataclass(frozen=True)
class FileState:
    """A file's size in bytes, its two dates in nanoseconds, and the SHA-256 of its content.

    `changed` (ctime) moves with every change of the content, also where a copy or an archive set
    `modified` back; of a file in object storage it is a number made of the store's ETag or
    checksum. Both are 0 where they are no proof. `sha256` is "" for a file not read.
    """

    size: int
    modified: int
    changed: int
    sha256: str = ""

    @property
    def stamp(self) -> tuple[int, int, int]:
        """What can be asked of a file without reading it."""
        return self.size, self.modified, self.changed


def stamp(path: str | os.PathLike | RemoteFile) -> tuple[int, int, int] | None:
    """Return size and dates of a file, without reading it; None where there is none.

    A remote file has those of the listing that its collection began with: asking for one after the
    other would take a journey each.
    """
    if isinstance(path, RemoteFile):
        return path.listed or path.ask()
    try:
        return _stamp(os.stat(path))
    except OSError:
        return None


def is_proof(found: tuple[int, int, int] | None) -> bool:
    """Tell whether a stamp that comes again proves that the content is the same."""
    return found is not None and 0 not in found[1:]


def read_steadily(
    path: Path | RemoteFile, read: Callable[[str], T]
) -> tuple[FileState, T | None, str]:
    """Return a file's state, and what `read` makes of it (given its SHA-256) or why it cannot.

    The state is that of the very bytes that were read: when the file changes meanwhile, it is read
    again, and given up on after three times. An ImageError becomes the reason.

    What `read` asks of a remote file is answered from the bytes that were fetched for the hash.
    Raises CollectionError where its store does not answer: the file is not to blame.
    """
    if isinstance(path, RemoteFile):
        return _read_remote(path, read)
    for _ in range(3):
        before = stamp(path)
        sha256, value, reason = _read(path, read)
        if before == stamp(path):
            return FileState(*_settled(before), sha256), value, reason
    return FileState(0, 0, 0), None, _restless(path)


def write_whole(path: Path, data: bytes) -> Path:
    """Write a file under another name, then put it in the place of an older one at once.

    Returns its path. Raises ArtsearchError where it cannot be written; the older one is then as it
    was.
    """
    # Through a link, so that a file that lies on another disk stays there.
    place = Path(os.path.realpath(path))
    new = place.with_name(f".{uuid.uuid4().hex}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(new, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, place)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise ArtsearchError(
            f"cannot write {str(path)!r} ({error.strerror}); name another place"
        ) from None
    return path


def hash_file(path: Path | RemoteFile) -> str:
    """Return the SHA-256 of a file's content; raises ImageError where it cannot be read."""
    try:
        refuse_unread(path)
        if isinstance(path, RemoteFile):
            return hashlib.sha256(path.read_bytes()).hexdigest()
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ImageError(f"no such image file: {path.name!r}; it was there before") from None
    except OSError as error:
        raise ImageError(f"cannot read {path.name!r}: {error.strerror or error}") from None


def fingerprint(contents: Iterable[tuple[str, str]]) -> str:
    """Return a hash of ids and contents, in pairs: it tells one state of a collection from another.

    >>> fingerprint([("a.jpg", "12"), ("b.jpg", "34")])
    'c251adb875908710'
    """
    digest = hashlib.sha256()
    for id, content in contents:
        digest.update(f"{id}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def _read_remote(file: RemoteFile, read: Callable[[str], T]) -> tuple[FileState, T | None, str]:
    before = stamp(file)
    for _ in range(3):
        with file.fetched_once():
            sha256, value, reason = _read(file, read)
            size = file.size if sha256 else 0
        after = file.ask()
        if not sha256:
            # It may have been the way and not the file: nothing is known for the next time.
            return FileState(0, 0, 0), None, reason
        if before == after:
            if after is not None and after[0] not in (0, size):
                reason = f"only {size:,} of the {after[0]:,} bytes of {file.name!r} came; run again"
                return FileState(0, 0, 0), None, reason
            return FileState(*(after or (size, 0, 0)), sha256), value, reason
        before = after
    return FileState(0, 0, 0), None, _restless(file)


def _restless(path: Path | RemoteFile) -> str:
    return f"{path.name!r} changes while it is read; run again when it is complete"


def _read(path: Path | RemoteFile, read: Callable[[str], T]) -> tuple[str, T | None, str]:
    sha256 = ""
    try:
        sha256 = hash_file(path)
        return sha256, read(sha256), ""
    except ImageError as error:
        return sha256, None, str(error)


def _settled(found: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """Return a stamp without its dates where they prove nothing."""
    if found is None:
        return 0, 0, 0
    size, modified, changed = found
    young = time.time_ns() - max(modified, changed) < UNSETTLED_NS
    # On Windows the third date is that of the file's making, and a copy can set both others back.
    return (size, 0, 0) if young or os.name == "nt" else found


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
