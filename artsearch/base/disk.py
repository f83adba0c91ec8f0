"""Writing files and folders whole or not at all, and telling one content from another."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from artsearch.base.errors import ArtsearchError

#: The file that a complete folder has, and one that is being written has not yet.
MANIFEST = "manifest.json"

#: Size in bytes, and when content and anything at all changed last, in nanoseconds.
Signature = tuple[int, int, int]


def signature_of(path: str | os.PathLike) -> Signature | None:
    """Return size and dates of a file, without reading it; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def file_sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, computed once for each state of it; raises OSError."""
    os.stat(path)  # raises what open would
    return _sha256(os.path.abspath(path), signature_of(path))


@lru_cache(maxsize=64)
def _sha256(path: str, signature: Signature) -> str:
    return hash_now(path)


def hash_now(path: str | os.PathLike) -> str:
    """Return the SHA-256 of what a file holds at this moment; raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(contents: Iterable[tuple[str, str]]) -> str:
    """Return a hash of ids and contents, in pairs: it tells one state of a collection from another.

    >>> fingerprint([("a.jpg", "12"), ("b.jpg", "34")])
    'c251adb875908710'
    """
    digest = hashlib.sha256()
    for id, content in contents:
        digest.update(f"{id}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def write_whole(path: str | os.PathLike, data: bytes, durable: bool = True) -> Path:
    """Write a file as `replace_file` does; return its path.

    Raises ArtsearchError where it cannot be written; an older one is then as it was.
    """
    try:
        replace_file(path, data, durable)
    except OSError as error:
        raise ArtsearchError(
            f"cannot write {str(path)!r} ({error.strerror}); name another place"
        ) from None
    return Path(path)


def replace_file(path: str | os.PathLike, data: bytes, durable: bool = True) -> None:
    """Write a file under another name, then put it in the place of an older one at once.

    With `durable` it is on the disk by then, also when the power fails. Raises OSError.
    """
    # Through a link, so that a file that lies on another disk stays there.
    place = Path(os.path.realpath(path))
    new = place.with_name(f".{uuid.uuid4().hex}.part")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(new, "xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(new, place)
    finally:
        new.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """See that a file reaches the disk before it takes the place of another."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def write_folder(
    folder: str | os.PathLike, write: Callable[[Path], None], own: Iterable[str] = ()
) -> Path:
    """Let `write` fill a new folder, then put it in place at once; an older one is replaced.

    `own` names what may lie in an older one: a folder with anything else in it is refused.
    """
    # Through a link, so that a folder that lies on another disk stays there.
    folder = Path(os.path.realpath(folder))
    _refuse_others(folder, own)
    new = _make_temporary(folder)
    try:
        write(new)
        new.chmod(0o755)
        _swap(new, folder)
    except OSError as error:
        raise cannot_write(folder, error) from None
    finally:
        for left in folder.parent.glob(f"{glob.escape(new.name)}*"):
            shutil.rmtree(left, ignore_errors=True)
    return folder


def has_leftovers(folder: Path) -> bool:
    """Tell whether a write_folder that was killed left something beside a folder."""
    return bool(_leftovers(Path(os.path.realpath(folder))))


def recover_folder(folder: Path) -> None:
    """Clear up behind a write_folder that was killed; to be called while nobody else writes there.

    In the blink between taking the old folder away and putting the new one in its place there is
    none: the new one, which is complete then, is put there.
    """
    folder = Path(os.path.realpath(folder))
    for left in _leftovers(folder):
        if not folder.exists() and (left / MANIFEST).exists():
            left.rename(folder)
        shutil.rmtree(left, ignore_errors=True)


def _leftovers(folder: Path) -> list[Path]:
    # The new folder's name is the beginning of the older one's, so it comes first.
    return sorted(folder.parent.glob(f"{glob.escape(_temporary_prefix(folder))}*"))


def _refuse_others(folder: Path, own: Iterable[str]) -> None:
    try:
        others = set(os.listdir(folder)) - set(own)
    except FileNotFoundError:  # none there, or another process is just replacing it
        return
    except OSError as error:
        raise cannot_write(folder, error) from None
    if others:
        raise ArtsearchError(
            f"{str(folder)!r} holds other things, such as {min(others)!r}, and is not "
            "replaced; name a new folder"
        )


def _make_temporary(folder: Path) -> Path:
    """Make an empty hidden folder beside the one that is to be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=folder.parent, prefix=_temporary_prefix(folder)))
    except OSError as error:
        raise cannot_write(folder, error) from None


def _temporary_prefix(folder: Path) -> str:
    # Short, since the name itself may be as long as a disk allows, and still its own.
    mark = hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:8]
    return f".{folder.name[:40]}-{mark}-"


def _swap(new: Path, folder: Path) -> None:
    """Put a folder in the place of the old one; another process may do so at the same moment."""
    for attempt in range(10):
        old = Path(f"{new}-{attempt}")
        with suppress(FileNotFoundError):
            folder.rename(old)
        try:
            new.rename(folder)
            return
        except OSError as error:
            # Another process was faster: what it put there is replaced in the next round.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == 9:
                with suppress(OSError):
                    old.rename(folder)
                raise


def cannot_write(folder: Path, error: OSError) -> ArtsearchError:
    """Make the error for a folder that cannot be written."""
    in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
    reason = "a file is in the way" if in_the_way else error.strerror or error
    return ArtsearchError(f"cannot write {str(folder)!r} ({reason}); name another folder")
