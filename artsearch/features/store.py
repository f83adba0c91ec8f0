"""Features on disk, in files that others can read without this project."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from artsearch.base import sealed
from artsearch.base import vectors as shards
from artsearch.base.disk import sync
from artsearch.base.errors import ArtsearchError, DamagedError, MismatchError, reason_of
from artsearch.features.features import Features
from artsearch.features.journal import Entry
from artsearch.works.collection import Collection
from artsearch.works.file_state import FileState

T = TypeVar("T")

KIND = "features"
#: What lies in a folder of features; one with anything else in it is the user's own.
OWN = ("img_emb", "metadata")
#: What makes rows of pictures.
PACKAGES = ("artsearch", "torch", "torchvision", "timm", "pillow")
#: The columns that say in which state a work's file was.
STATE = ("file_size", "file_modified_ns", "file_changed_ns", "file_sha256")


@dataclass(frozen=True)
class Contents:
    """What is to be written as a store: works in order, and a way to their rows.

    `take` gives the rows of a range of works; `works` is a table with a column `id`. `skipped` are
    the works without a row. `captions` tells one state of the works' table from another.
    """

    works: pd.DataFrame
    dims: int
    take: Callable[[int, int], np.ndarray]
    provenance: dict
    skipped: Sequence[Entry] = ()
    captions: str = ""
    shard_rows: int = field(default=shards.SHARD_ROWS)

    @property
    def parts(self) -> list[tuple[int, int]]:
        """The ranges of works that make a shard each."""
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

    return write_store(folder, Contents(works, features.dims, take, features.provenance, skipped))


def write_store(folder: str | os.PathLike, contents: Contents) -> Path:
    """Write a store, shard by shard; it takes the place of an older one when all is there."""

    def write(new: Path) -> None:
        _make_folders(new)
        for number, (start, stop) in enumerate(contents.parts):
            vectors, _ = shards.names(number, len(contents.parts))
            starts = range(start, stop, shards.CHUNK)
            chunks = (contents.take(at, min(at + shards.CHUNK, stop)) for at in starts)
            shards.write_rows(new / vectors, (stop - start, contents.dims), chunks)
        _write_words(new, contents)

    return sealed.seal(folder, KIND, _describe(contents), write, OWN)


def write_words(folder: Path, contents: Contents) -> Path:
    """Write what is said of the rows anew; the rows themselves are taken from the older store."""
    files = read_manifest(folder)["files"]
    rows = {name: sha256 for name, sha256 in files.items() if name.startswith(OWN[0])}

    def write(new: Path) -> None:
        _make_folders(new)
        for path in sorted((folder / "img_emb").iterdir()):
            _link(path, new / "img_emb" / path.name)
        _write_words(new, contents)

    return sealed.seal(folder, KIND, _describe(contents), write, OWN, rows)


def load_features(folder: str | os.PathLike, **wanted: object) -> Features:
    """Open a folder of features; the vectors stay on disk until they are used.

    Its files are compared with what was written (see artsearch.base.sealed).
    What is `wanted` (such as network="vgg16", crop, layer, weights, precision) must be what the
    features were made by. Raises MismatchError, with both values, when it is not, and
    ArtsearchError when there is no such folder, or its parts do not belong together.
    """
    folder = Path(folder)
    features = _reading(folder, _read_features)
    refuse_others(folder, features.provenance, wanted)
    return features


def refuse_others(folder: Path, provenance: dict, wanted: dict) -> None:
    """Raise MismatchError, with both values, where a store was made by something else."""
    for key, value in wanted.items():
        if provenance.get(key) != value:
            raise MismatchError(
                f"{str(folder)!r} holds features by {key} {provenance.get(key)!r}, asked for is "
                f"{value!r}; name another folder, or remove this one"
            )


def read_manifest(folder: Path) -> dict:
    """Return what a store says of itself; raises ArtsearchError when it holds none."""
    return _reading(folder, lambda folder: sealed.read_manifest(folder, KIND))


def read_entries(folder: Path) -> list[Entry]:
    """Return the works of a store as they were seen: first those with rows, in order."""
    return _reading(folder, _read_entries)


def read_sound_shards(folder: Path) -> tuple[Features | None, list[Entry]]:
    """Return what can still be read of a damaged store: the works of the shards that are whole.

    Raises ArtsearchError where not even its manifest can be read.
    """
    manifest = read_manifest(folder)
    vectors, entries = [], []
    for number in range(len(manifest["shards"])):
        # Whatever a library says of a broken file: that shard is not among the whole ones.
        with suppress(Exception):
            names = shards.names(number, len(manifest["shards"]))
            for name in names:
                sealed.check_file(folder, manifest, name)
            vectors.append(shards.read_rows([folder / names[0]]))
            entries += _read_table(folder / names[1])
    if not vectors:
        return None, []
    ids = [entry.id for entry in entries]
    return Features(shards.ShardedRows(vectors), ids, manifest["provenance"]), entries


def read_signatures(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return size and dates of a store's works by id, as they were when they were read."""
    return _reading(folder, _read_signatures)


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
    known = isinstance(problem, MismatchError | DamagedError)
    kind = type(problem) if known else ArtsearchError
    raise kind(
        f"{str(folder)!r} holds no features that can be read ({reason_of(problem)}); "
        "compute them again with compute_features and save_features"
    )


def _which(folder: Path) -> int | None:
    try:
        return os.stat(folder).st_ino
    except OSError:
        return None


def _read_features(folder: Path) -> Features:
    manifest = sealed.open_sealed(folder, KIND)
    vectors = shards.read_rows(_files(folder, manifest, 0))
    ids = _read_works(folder, manifest, ["id"])["id"].tolist()
    stated = manifest["rows"], manifest["dims"]
    if vectors.shape != stated or len(ids) != len(vectors):
        raise MismatchError(
            f"it has {vectors.shape} numbers and {len(ids)} ids, its manifest says {stated}"
        )
    skipped = tuple((work["id"], work["reason"]) for work in manifest["skipped"])
    return Features(vectors, tuple(ids), manifest["provenance"], skipped)


def _read_entries(folder: Path) -> list[Entry]:
    manifest = sealed.read_manifest(folder, KIND)
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


def _read_signatures(folder: Path) -> dict[str, tuple[int, int, int]]:
    manifest = sealed.read_manifest(folder, KIND)
    table = _read_works(folder, manifest, ["id", *STATE[:3]])
    ids, *signatures = (table[name].tolist() for name in table)
    found = dict(zip(ids, zip(*signatures, strict=True), strict=True))
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
    for name in OWN:
        (new / name).mkdir()


def _write_words(new: Path, contents: Contents) -> None:
    for number, (start, stop) in enumerate(contents.parts):
        _, words = shards.names(number, len(contents.parts))
        contents.works.iloc[start:stop].to_parquet(new / words, index=False)
        sync(new / words)


def _describe(contents: Contents) -> dict:
    return {
        "provenance": contents.provenance,
        "rows": len(contents.works),
        "dims": contents.dims,
        "shards": contents.shards,
        "skipped": [_describe_skipped(entry) for entry in contents.skipped],
        "captions": contents.captions,
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what makes rows of pictures."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def _describe_skipped(entry: Entry) -> dict:
    state = entry.state
    values = (*state.signature, state.sha256)
    return {"id": entry.id, "reason": entry.reason} | dict(zip(STATE, values, strict=True))


def _link(path: Path, new: Path) -> None:
    try:
        os.link(path, new)
    except OSError:  # a disk without hard links
        shutil.copyfile(path, new)
