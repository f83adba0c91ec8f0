"""Works in object storage or on another machine, by address: whatever fsspec has a protocol for.

An address is `s3://bucket/folder`, `gs://…`, `memory://…`; https://filesystem-spec.readthedocs.io
lists them. Keys and endpoints come from the environment or from fsspec's own configuration, never
from an address: it goes into names, notes and messages.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from artsearch.base.errors import ArtsearchError, CollectionError, reason_of, unknown

#: What stores call that which changes with an object's content, and the date of its last change.
_MARKS = ("ETag", "etag", "e_tag", "md5Hash", "content_hash", "checksum", "sha", "blob_id")
_DATES = ("LastModified", "last_modified", "mtime", "modified", "updated", "Last-Modified")
#: Protocols in whose addresses an @ stands before a branch: `github://owner:repository@main/art`.
_WITH_BRANCH = ("github", "git")

#: Size, date and mark of an object, as file_state.signature has them of a file.
Stamp = tuple[int, int, int]


class _Kept(threading.local):
    """The file that is fetched once, in this thread, and what was fetched."""

    file: RemoteFile | None = None
    data: bytes | None = None


_KEPT = _Kept()


class RemoteFolder(str):
    """The address of a folder: a text that also answers what is asked of a local folder's Path."""

    @property
    def name(self) -> str:
        """The last part of the address."""
        return address_name(self)

    def resolve(self) -> RemoteFolder:
        """Return the folder itself: an address is the same wherever it is asked from."""
        return self

    def files(self, skipped: list[tuple[str, str]]) -> Iterator[tuple[str, RemoteFile]]:
        """List the folder at once; yield the files at any depth, by their path below it.

        Names that begin with a dot are passed over; folders that cannot be listed are noted in
        `skipped`. Raises CollectionError where there is no such folder, or the store does not
        answer: half a listing would pass for a collection that shrank.
        """
        file_system, root = _connect(self)
        try:
            found = _list(file_system, root, skipped)
            exists = bool(found) or file_system.exists(root)
        except FileNotFoundError:
            exists = False
        except Exception as error:
            raise _lost(self, error) from None
        if not exists:
            raise CollectionError(
                f"the collection {str(self)!r} does not exist; name a folder of images"
            )
        if root in found:
            raise CollectionError(f"{str(self)!r} is a file, not a folder; name its folder")
        unquoted = unquote if self.startswith(("http:", "https:")) else str
        source = str(self)
        while found:  # let go as they are passed on: descriptions are larger than what is kept
            path, info = found.popitem()
            inside = path[len(root) :].lstrip("/")
            id, kind = unquoted(inside), info.get("type")
            if kind == "directory" or any(part.startswith(".") for part in id.split("/")):
                continue
            if kind == "file":
                listed = _stamp(info) if info.get("size") is not None else None
                yield id, RemoteFile(source, path, _join(source, inside), listed)
            else:
                skipped.append((posixpath.basename(id), "no regular file"))


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that is read by its address; it can be sent to another process.

    `source` is the address by which its file system is found, `path` its path there, and `listed`
    its signature from the listing in which it was found, if that told.
    """

    source: str
    path: str
    address: str
    listed: Stamp | None = field(default=None, compare=False)

    @classmethod
    def at(cls, address: str) -> RemoteFile:
        """Return the file at an address; raises ArtsearchError for an unknown protocol."""
        return cls(address, _connect(address)[1], address)

    def __str__(self) -> str:
        return self.address

    @property
    def name(self) -> str:
        """The name of the file."""
        return _file_name(self.path)

    @property
    def suffix(self) -> str:
        """The end of the name, from its last point on."""
        return posixpath.splitext(self.name)[1]

    @property
    def size(self) -> int:
        """Its size in bytes, 0 where the store does not tell; raises FileNotFoundError."""
        if _KEPT.file == self and _KEPT.data is not None:
            return len(_KEPT.data)
        found = self.listed or self.ask()
        if found is None:
            raise FileNotFoundError(self.address)
        return found[0]

    def ask(self) -> Stamp | None:
        """Ask the store for the file's signature now; None where it has no such file, or hides it.

        Raises CollectionError where the store does not answer.
        """
        file_system, _ = _connect(self.source)
        try:
            file_system.invalidate_cache(self.path)
            info = file_system.info(self.path)
        except (FileNotFoundError, PermissionError):
            return None
        except Exception as error:
            raise _lost(self.source, error) from None
        return _stamp(info) if info.get("type") == "file" else None

    def read_bytes(self) -> bytes:
        """Return the whole content, fetched at once; raises OSError with a reason."""
        kept = _KEPT.file == self
        if kept and _KEPT.data is not None:
            return _KEPT.data
        file_system, _ = _connect(self.source)
        try:
            data = bytes(file_system.cat_file(self.path))
        except FileNotFoundError:
            raise
        except Exception as error:
            raise OSError(_reason(error)) from None
        if kept:
            _KEPT.data = data
        return data

    @contextmanager
    def fetched_once(self) -> Iterator[None]:
        """Within the block, and this thread, fetch the file once, however often it is read."""
        _KEPT.file, _KEPT.data = self, None
        try:
            yield
        finally:
            _KEPT.file = _KEPT.data = None


def is_address(name: object) -> bool:
    """Tell an address, which is a text, from a path.

    >>> is_address("s3://bucket/art"), is_address("/home/ada/art")
    (True, False)
    """
    return isinstance(name, str) and re.match(r"[A-Za-z][\w+.-]*(::[\w+.-]+)*://", name) is not None


def as_local(address: str) -> Path | None:
    """Return the path of a `file://` address; None for another one.

    >>> as_local("s3://bucket/art") is None
    True
    """
    protocol, _, rest = address.partition("://")
    if protocol not in ("file", "local"):
        return None
    rest = rest.removeprefix("localhost")
    rest = rest.lstrip("/") if os.name == "nt" else rest
    literal, decoded = Path(rest), Path(unquote(rest))
    # A file manager writes %20 for a blank, fsspec and pandas take it as it stands.
    return literal if literal.exists() or not decoded.exists() else decoded


def check_address(address: str) -> RemoteFolder:
    """Return a folder's address without a slash at its end.

    Raises CollectionError where a password or a signature is in it.
    """
    _refuse_secrets(address)
    if address.startswith(("http:", "https:")) and "?" in address:
        raise CollectionError("an address with a question mark is no folder; leave it out")
    bare = address.rstrip("/")
    return RemoteFolder(f"{bare}//" if bare.endswith(":") else bare)


def address_name(address: str) -> str:
    """Return the last part of an address, as a file name.

    >>> address_name("https://example.org/art/The%20Wave.jpg?key=1"), address_name("memory://")
    ('The Wave.jpg', 'memory')
    """
    first, *others = address.split("::")
    return _file_name(first if "://" in first or not others else others[0])


def _file_name(place: str) -> str:
    if place.startswith(("http:", "https:")):
        return unquote(posixpath.basename(place.partition("?")[0].rstrip("/")))
    return posixpath.basename(place.rstrip("/:"))


def _join(folder: str, inside: str) -> str:
    """Return the address of a file; of linked ones (zip://art::s3://…) the first has the path."""
    first, link, others = folder.partition("::")
    if "://" not in first:
        first, link, others = folder, "", ""
    slash = "" if first.endswith("/") else "/"
    return f"{first}{slash}{inside}{link}{others}"


def _connect(address: str):
    """Return the file system of an address, and the path there; fsspec keeps it for next time."""
    _refuse_secrets(address)
    try:
        import fsspec
    except ImportError:
        raise ArtsearchError(
            "works at an address are read by fsspec; pip install 'artsearch[scale]'"
        ) from None
    protocol = re.split("::|://", address, maxsplit=1)[0]
    known = sorted({*fsspec.available_protocols(), *fsspec.registry})
    if protocol not in known:
        raise unknown("protocol", protocol, known)
    try:
        return fsspec.core.url_to_fs(address)
    except ImportError as error:
        raise ArtsearchError(
            f"{protocol}:// wants another package: {str(error).rstrip('.')}, with pip install"
        ) from None
    except Exception as error:
        raise _lost(address, error) from None


def _refuse_secrets(address: str) -> None:
    for protocol, host in re.findall(r"(\w*)://[^/]*:[^/]*@([^/]*)", address):
        if protocol not in _WITH_BRANCH:
            raise CollectionError(
                f"the address has a password in it, which would end up in notes and messages; "
                f"write {f'{protocol}://{host}/…'!r}, and put the password into the environment "
                "or fsspec's configuration"
            )


def _list(file_system, root: str, skipped: list[tuple[str, str]]) -> dict[str, dict]:
    """Return what the store says of all files below a folder, by path.

    Some stores list all at once. Where fsspec goes from folder to folder it is done here, since its
    walk passes in silence over folders that fail below the first one.
    """
    from fsspec.asyn import AsyncFileSystem
    from fsspec.spec import AbstractFileSystem

    kind, default = type(file_system), AsyncFileSystem._find
    walks = kind.find is AbstractFileSystem.find and getattr(kind, "_find", default) is default
    file_system.invalidate_cache()
    found = _walk(file_system, root, skipped) if walks else file_system.find(root, detail=True)
    file_system.invalidate_cache()  # what is asked of a file later is how it is then
    return found


def _walk(file_system, root: str, skipped: list[tuple[str, str]]) -> dict[str, dict]:
    found, folders = {}, [root]
    while folders:
        folder = folders.pop()
        try:
            listed = file_system.ls(folder, detail=True)
        except (PermissionError, FileNotFoundError) as error:
            if folder == root:
                raise
            skipped.append((folder, f"the folder cannot be read: {_unsigned(reason_of(error))}"))
            continue
        for info in listed:
            path = info["name"].rstrip("/")
            if info["type"] != "directory":
                found[info["name"]] = info
            elif path != folder.rstrip("/") and not posixpath.basename(path).startswith("."):
                folders.append(info["name"])
    return found


def _lost(address: str, error: Exception) -> CollectionError:
    return CollectionError(
        f"{_unsigned(address)!r} cannot be reached: {_reason(error)}; see to it, then start again"
    )


def _reason(error: Exception) -> str:
    """Say in a few words why a store refused, with nothing in it that signs a request."""
    if isinstance(error, PermissionError):
        return "no permission; give the environment credentials that may list and read it"
    if "Credential" in type(error).__name__:
        return "no credentials; put them into the environment, as the store's own tools have them"
    return _unsigned(reason_of(error))


def _unsigned(text: str) -> str:
    """Return a text whose addresses have no user and no query, which may be what signs them."""
    return re.sub(r"(://[^?\s]*\?)\S+", r"\1…", re.sub(r"://[^/\s]*@", "://", text))


def _stamp(info: dict) -> Stamp:
    """Return size, date and mark of an object; date and mark are 0 where there is no mark.

    The mark is a number from the ETag or checksum of the store, which changes with the content; a
    date alone can be set back. It stands for the date as well where the store has none.
    """
    size = int(info.get("size") or 0)
    mark = next((str(info[key]).strip('"') for key in _MARKS if info.get(key)), "")
    if not mark or mark.startswith("W/"):  # a weak one (RFC 9110, 8.8.3) is no proof
        return size, 0, 0
    number = int.from_bytes(hashlib.sha256(mark.encode()).digest()[:7], "big") | 1
    date = next((info[key] for key in _DATES if info.get(key)), None)
    return size, _nanoseconds(date) or number, number


def _nanoseconds(date: object) -> int:
    """Return a date in nanoseconds, to the second: listings and headers differ in what is below."""
    from pandas import Timestamp

    try:
        found = Timestamp(date, unit="s" if isinstance(date, int | float) else None)
        return int(found.timestamp()) * 1_000_000_000
    except (TypeError, ValueError):
        return 0
