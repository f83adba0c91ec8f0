"""A store of objects for fsspec that counts what is asked of it, and fails as stores fail."""

from __future__ import annotations

import hashlib
import posixpath
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import fsspec
from fsspec.spec import AbstractFileSystem

#: What the store holds, by path; and what was asked of it, as "ls PATH", "info PATH", "get PATH".
OBJECTS: dict[str, bytes] = {}
ASKED: Counter[str] = Counter()
#: What to do instead of answering: an exception or a function of the content, by what is asked.
INSTEAD: dict[str, object] = {}

DATE = datetime(2024, 5, 17, 12, tzinfo=UTC)


class ObjectStore(AbstractFileSystem):
    """Objects with an ETag each, as S3 has them; `find` lists them all at once."""

    protocol = "artstore"
    marks = True

    def ls(self, path, detail=True, **options):
        _ask("ls", path)
        files = [self._describe(one) for one in OBJECTS if posixpath.dirname(one) == path]
        below = [one[len(path) + 1 :] for one in OBJECTS if one.startswith(f"{path}/")]
        folders = sorted({one.partition("/")[0] for one in below if "/" in one})
        if path in OBJECTS:
            files = [self._describe(path)]
        elif not below:
            raise FileNotFoundError(path)
        found = [{"name": f"{path}/{one}", "size": 0, "type": "directory"} for one in folders]
        return [*files, *found] if detail else [one["name"] for one in [*files, *found]]

    def info(self, path, **options):
        _ask("info", path)
        if path not in OBJECTS:
            if any(one.startswith(f"{path}/") for one in OBJECTS):
                return {"name": path, "size": 0, "type": "directory"}
            raise FileNotFoundError(path)
        return self._describe(path)

    def cat_file(self, path, start=None, end=None, **options):
        change = _ask("get", path)
        if path not in OBJECTS:
            raise FileNotFoundError(path)
        return change(OBJECTS[path]) if change else OBJECTS[path]

    def _describe(self, path):
        data = OBJECTS[path]
        told = {"name": path, "size": len(data), "type": "file", "LastModified": DATE}
        size = INSTEAD.get(f"size {path}")
        tag = hashlib.md5(data).hexdigest()
        return (
            told | ({"ETag": f'"{tag}"'} if self.marks else {}) | ({"size": size} if size else {})
        )


class FlatStore(ObjectStore):
    """The same objects, listed all at once."""

    protocol = "flatstore"

    def find(self, path, maxdepth=None, withdirs=False, detail=False, **options):
        _ask("find", path)
        assert detail and not options, options
        return {one: self._describe(one) for one in OBJECTS if one.startswith(f"{path}/")}


class StoreWithoutMarks(FlatStore):
    """The same objects in a store that tells dates alone."""

    protocol = "datestore"
    marks = False


def put(folder: Path, bucket: str = "bucket/art") -> None:
    """Empty the store, and put a local folder into it."""
    forget()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            OBJECTS[f"{bucket}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()


def forget() -> None:
    """Empty the store."""
    for one in (OBJECTS, ASKED, INSTEAD):
        one.clear()


def gets() -> dict[str, int]:
    """Return how often each object was fetched, by its name."""
    return {
        posixpath.basename(what[4:]): times for what, times in ASKED.items() if what[:4] == "get "
    }


def slowly(data: bytes) -> bytes:
    """Answer with the content, after a while."""
    time.sleep(0.05)
    return data


def _ask(what: str, path: str):
    ASKED[f"{what} {path}"] += 1
    instead = INSTEAD.get(f"{what} {path}") or INSTEAD.get(what)
    if isinstance(instead, Exception):
        raise instead
    return instead


for kind in (ObjectStore, FlatStore, StoreWithoutMarks):
    fsspec.register_implementation(kind.protocol, kind, clobber=True)
