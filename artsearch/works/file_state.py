"""What tells one state of a file from another: its content, not its date alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from artsearch.base.disk import Signature, hash_now, signature_of
from artsearch.base.errors import ImageError
from artsearch.works.images import refuse_unread
from artsearch.works.storage import RemoteFile

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
    def signature(self) -> tuple[int, int, int]:
        """What can be asked of a file without reading it."""
        return self.size, self.modified, self.changed


def signature(path: str | os.PathLike | RemoteFile) -> tuple[int, int, int] | None:
    """Return size and dates of a file, without reading it; None where there is none.

    A remote file has those of the listing that its collection began with: asking for one after the
    other would take a journey each.
    """
    if isinstance(path, RemoteFile):
        return path.listed or path.ask()
    return signature_of(path)


def is_proof(found: tuple[int, int, int] | None) -> bool:
    """Tell whether a signature that comes again proves that the content is the same."""
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
        before = signature(path)
        sha256, value, reason = _read(path, read)
        if before == signature(path):
            return FileState(*_proven(before), sha256), value, reason
    return FileState(0, 0, 0), None, _restless(path)


def hash_file(path: Path | RemoteFile) -> str:
    """Return the SHA-256 of a file's content; raises ImageError where it cannot be read."""
    try:
        refuse_unread(path)
        if isinstance(path, RemoteFile):
            return hashlib.sha256(path.read_bytes()).hexdigest()
        return hash_now(path)
    except FileNotFoundError:
        raise ImageError(f"no such image file: {path.name!r}; it was there before") from None
    except OSError as error:
        raise ImageError(f"cannot read {path.name!r}: {error.strerror or error}") from None


def _read_remote(file: RemoteFile, read: Callable[[str], T]) -> tuple[FileState, T | None, str]:
    before = signature(file)
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


def _proven(found: Signature | None) -> Signature:
    """Return a signature, without its dates where they prove nothing."""
    # On Windows the third date is that of the file's making, and a copy can set both others back.
    return (found[0], 0, 0) if found and os.name == "nt" else found or (0, 0, 0)
