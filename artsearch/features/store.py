"""Features on disk, in files that others can read without this project."""

from __future__ import annotations

import errno
import glob
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from artsearch.base import vectors as shards
from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.features import Features
from artsearch.features.journal import Entry
from artsearch.works.collection import Collection
from artsearch.works.file_state import FileState

T = TypeVar("T")

FORMAT = 2
MANIFEST = "manifest.json"
#: What lies in a folder of features; one with anything else in it is the user's own.
OWN = ("img_emb", "metadata", MANIFEST)
#: The columns that say in which state a work's file was.
STATE = ("file_size", "file_modified_ns", "file_changed_ns", "file_sha256")


@dataclass(frozen=True)
class Contents:
    """What is to be written as a store: works in order, and a way to their rows.

    `take` gives the rows of a range of places; `works` is a table with a column `id`. `skipped` are
    the works without a row. `captions` tells one state of the works' table from another.
    """

    works: pd.DataFrame
    dims: int
    take: Callable[[int, int], np.ndarray]
    made_by: dict
    skipped: Sequence[Entry] = ()
    captions: str = ""
    shard_rows: int = field(default=shards.SHARD_ROWS)

    @property
    def parts(self) -> list[tuple[int, int]]:
        """The ranges of places that make a shard each."""
        starts = range(0, max(1, len(self.works)), self.shard_rows)
        return [(start, min(start + self.shard_rows, len(self.works))) for start in starts]

    @property
    def shards(self) -> list[int]:
        """The number of rows of each shard."""
        return [stop - start for start, stop in self.parts]


def save_features(
    features: Features, folder: str | os.PathLike, collection: Collection | None = None
) -> Path:
    """Write features as a folder: vectors as .npy, works as Parquet, and a manifest.json.

    The layout is the one of clip-retrieval and autofaiss (`img_emb/img_emb_0.npy`,
    `metadata/metadata_0.parquet`). With a collection, the works' columns go with their ids. The
    folder appears whole or not at all; one that holds anything else is not replaced.
    """
    works = pd.DataFrame({"id": list(features.ids)})
    if collection is not None:
        works = works.merge(collection.works, on="id", how="left")
    skipped = [Entry(id, FileState(0, 0, 0), reason) for id, reason in features.skipped]

    def take(start: int, stop: int) -> np.ndarray:
        return features.vectors[start:stop]

    return write_store(folder, Contents(works, features.dims, take, features.made_by, skipped))


def write_store(folder: str | os.PathLike, contents: Contents) -> Path:
    """Write a store, shard by shard; it takes the place of an older one when all is there."""

    def write(new: Path) -> None:
        _make_folders(new)
        for number, (start, stop) in enumerate(contents.parts):
            vectors, _ = shards.names(number, len(contents.parts))
            places = range(start, stop, shards.CHUNK)
            chunks = (contents.take(at, min(at + shards.CHUNK, stop)) for at in places)
            shards.write_rows(new / vectors, (stop - start, contents.dims), chunks)
        _write_words(new, contents)

    return write_folder(folder, write, OWN)


def write_words(folder: Path, contents: Contents) -> Path:
    """Write what is said of the rows anew; the rows themselves are taken from the older store."""

    def write(new: Path) -> None:
        _make_folders(new)
        for path in sorted((folder / "img_emb").iterdir()):
            _link(path, new / "img_emb" / path.name)
        _write_words(new, contents)

    return write_folder(folder, write, OWN)


def load_features(folder: str | os.PathLike, **wanted: object) -> Features:
    """Open a folder of features; the vectors stay on disk until they are used.

    What is `wanted` (such as network="vgg16", crop, layer, weights, precision) must be what the
    features were made by. Raises MismatchError, with both values, when it is not, and
    ArtsearchError when there is no such folder, or its parts do not belong together.
    """
    folder = Path(folder)
    features = _reading(folder, _read_features)
    refuse_others(folder, features.made_by, wanted)
    return features


def refuse_others(folder: Path, made_by: dict, wanted: dict) -> None:
    """Raise MismatchError, with both values, where a store was made by something else."""
    for key, value in wanted.items():
        if made_by.get(key) != value:
            raise MismatchError(
                f"{str(folder)!r} holds features by {key} {made_by.get(key)!r}, asked for is "
                f"{value!r}; name another folder, or remove this one"
            )


def read_manifest(folder: Path) -> dict:
    """Return what a store says of itself; raises ArtsearchError when it holds none."""
    return _reading(folder, _read_manifest)


def read_entries(folder: Path) -> list[Entry]:
    """Return the works of a store as they were seen: first those with rows, in order."""
    return _reading(folder, _read_entries)


def read_sound_shards(folder: Path) -> tuple[Features | None, list[Entry]]:
    """Return what can still be read of a damaged store: the works of the shards that are whole.

    Raises ArtsearchError where not even its manifest can be read.
    """
    manifest = read_manifest(folder)
    vectors, entries = [], []
    for number, size in enumerate(manifest["shards"]):
        # Whatever a library says of a broken file: that shard is not among the whole ones.
        with suppress(Exception):
            paths = [folder / name for name in shards.names(number, len(manifest["shards"]))]
            rows, works = shards.read_rows(paths[:1]), _read_table(paths[1])
            if rows.shape == (size, manifest["dims"]) and len(works) == size:
                vectors.append(rows)
                entries += works
    if not vectors:
        return None, []
    ids = [entry.id for entry in entries]
    return Features(shards.ShardedRows(vectors), ids, manifest["made_by"]), entries


def read_stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return size and dates of a store's works by id, as they were when they were read."""
    return _reading(folder, _read_stamps)


def describe_captions(works: pd.DataFrame) -> str:
    """Return a hash of a table: it tells one state of the captions from another."""
    rows = pd.util.hash_pandas_object(works, index=False).to_numpy()
    return hashlib.sha256(repr(list(works)).encode() + rows.tobytes()).hexdigest()[:16]


def _reading(folder: Path, read: Callable[[Path], T]) -> T:
    while True:
        before = _which(folder)
        try:
            found, problem = read(folder), None
        # NumPy, Arrow and json each raise their own for a broken file, and all mean the same here.
        except Exception as error:
            found, problem = None, error
        # When a new folder took the place of the old one meanwhile, parts of both were read.
        if before == _which(folder):
            break
    if problem is None:
        return found
    kind = MismatchError if isinstance(problem, MismatchError) else ArtsearchError
    reason = " ".join(str(getattr(problem, "strerror", None) or problem).split())[:200]
    raise kind(
        f"{str(folder)!r} holds no features that can be read ({reason}); "
        "compute them again with compute_features and save_features"
    )


def _which(folder: Path) -> int | None:
    try:
        return os.stat(folder).st_ino
    except OSError:
        return None


def _read_manifest(folder: Path) -> dict:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise MismatchError(f"its format is {manifest['format']!r}, this version has {FORMAT}")
    return manifest


def _read_features(folder: Path) -> Features:
    manifest = _read_manifest(folder)
    vectors = shards.read_rows(_files(folder, manifest, 0))
    ids = _read_works(folder, manifest, ["id"])["id"].tolist()
    stated = manifest["rows"], manifest["dims"]
    if vectors.shape != stated or len(ids) != len(vectors):
        raise MismatchError(
            f"it has {vectors.shape} numbers and {len(ids)} ids, its manifest says {stated}"
        )
    skipped = tuple((work["id"], work["reason"]) for work in manifest["skipped"])
    return Features(vectors, tuple(ids), manifest["made_by"], skipped)


def _read_entries(folder: Path) -> list[Entry]:
    manifest = _read_manifest(folder)
    entries = [entry for path in _files(folder, manifest, 1) for entry in _read_table(path)]
    skipped = manifest["skipped"]
    return entries + [
        Entry(work["id"], FileState(*(work[key] for key in STATE)), work["reason"])
        for work in skipped
    ]


def _read_table(path: Path) -> list[Entry]:
    table = pd.read_parquet(path, columns=["id", *STATE])
    columns = (table[name].tolist() for name in table)
    return [Entry(id, FileState(*state)) for id, *state in zip(*columns, strict=True)]


def _read_stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    manifest = _read_manifest(folder)
    table = _read_works(folder, manifest, ["id", *STATE[:3]])
    ids, *stamps = (table[name].tolist() for name in table)
    found = dict(zip(ids, zip(*stamps, strict=True), strict=True))
    skipped = manifest["skipped"]
    return found | {work["id"]: tuple(work[key] for key in STATE[:3]) for work in skipped}


def _files(folder: Path, manifest: dict, which: int) -> list[Path]:
    number = len(manifest["shards"])
    return [folder / shards.names(shard, number)[which] for shard in range(number)]


def _read_works(folder: Path, manifest: dict, columns: list[str]) -> pd.DataFrame:
    tables = [pd.read_parquet(path, columns=columns) for path in _files(folder, manifest, 1)]
    if [len(table) for table in tables] != manifest["shards"]:
        raise MismatchError("its shards have not as many works as its manifest says")
    return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def _make_folders(new: Path) -> None:
    for name in OWN[:2]:
        (new / name).mkdir()


def _write_words(new: Path, contents: Contents) -> None:
    for number, (start, stop) in enumerate(contents.parts):
        _, words = shards.names(number, len(contents.parts))
        contents.works.iloc[start:stop].to_parquet(new / words, index=False)
        _sync(new / words)
    (new / MANIFEST).write_text(json.dumps(_manifest(contents), indent=1), encoding="utf-8")
    _sync(new / MANIFEST)


def _manifest(contents: Contents) -> dict:
    return {
        "format": FORMAT,
        "made_by": contents.made_by,
        "rows": len(contents.works),
        "dims": contents.dims,
        "shards": contents.shards,
        "skipped": [_describe_skipped(entry) for entry in contents.skipped],
        "captions": contents.captions,
        "versions": {
            name: importlib.metadata.version(name)
            for name in ("artsearch", "torch", "torchvision", "timm", "pillow")
        },
    }


def _describe_skipped(entry: Entry) -> dict:
    state = entry.state
    values = (*state.stamp, state.sha256)
    return {"id": entry.id, "reason": entry.reason} | dict(zip(STATE, values, strict=True))


def _sync(path: Path) -> None:
    """See that a file reaches the disk before it takes the place of another."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _link(path: Path, new: Path) -> None:
    try:
        os.link(path, new)
    except OSError:  # a disk without hard links
        shutil.copyfile(path, new)


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
    if folder.exists():
        if not folder.is_dir():
            raise cannot_write(folder, FileExistsError())
        others = {path.name for path in folder.iterdir()} - set(own)
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
