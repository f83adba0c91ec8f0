"""Features of a whole collection on disk: computed once, resumed, and grown with it."""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import numpy as np

from artsearch.base.disk import cannot_write, fingerprint, has_leftovers, recover_folder
from artsearch.base.errors import ArtsearchError, MismatchError, VectorsAloneError, unknown
from artsearch.base.text import count_of
from artsearch.base.vectors import SHARD_ROWS
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.features.journal import Entry, Journal
from artsearch.features.pipeline import Rows, Work, run
from artsearch.features.store import (
    STATE,
    Contents,
    describe_captions,
    load_features,
    read_entries,
    read_manifest,
    read_signatures,
    read_sound_shards,
    refuse_others,
    write_store,
    write_words,
)
from artsearch.networks.network import Network
from artsearch.networks.transforms import CROPS, NO_CROP
from artsearch.works.collection import Collection, none_readable
from artsearch.works.file_state import is_proof, signature

if TYPE_CHECKING:
    from torch import nn

#: What runs the pipeline: this process, or Ray Data on this machine or on many.
ENGINES = ("local", "ray")

#: What features are found by: network, crop, layer.
Key = tuple[str, str, str]


def stored_features(
    collection: Collection,
    network: Network | str,
    crop: str = NO_CROP,
    out: str | os.PathLike = "build",
    layer: str | None = None,
    progress: bool = True,
    precision: str = "auto",
    model: nn.Module | None = None,
) -> Features:
    """Return a collection's features, computed once and kept below `out` for the next time.

    Takes what compute_features takes for one layer, and raises what `extract` raises.
    """
    extractor = FeatureExtractor(network, crop, layer, None, model, precision)
    (features,) = extract(collection, [extractor], out, progress=progress).values()
    return features


def extract(
    collection: Collection,
    extractors: Sequence[FeatureExtractor],
    out: str | os.PathLike = "build",
    batch_size: int | None = None,
    workers: int | None = None,
    progress: bool = True,
    shard_rows: int = SHARD_ROWS,
    engine: str = "local",
    address: str | None = None,
) -> dict[Key, Features]:
    """Bring the stores of a collection up to date, in one pass over its files; return them.

    There is one store below `out` for each network, crop and layer; the key has these three. Only
    works that are new or changed (by size and content) are computed; those that are gone are left
    out. Rows go to disk as they come: a run that is stopped, killed or out of room goes on where it
    was when it is started again. While another process works on the same store, this one waits.

    The `engine` "ray" spreads the work over the processors and GPUs of a Ray cluster, and the store
    is the same. Without an `address` a Ray of this machine starts and ends with the run; "auto" or
    "HOST:PORT" joins one that is there. Its nodes must see the files under the same names, and have
    the packages and weights that are here. A cluster that asks for a token (Ray's own default)
    wants RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH naming its file, on every node and here.

    Raises what compute_features raises, MismatchError where a folder holds features of something
    else, and ArtsearchError where it cannot write; nothing computed is lost then.
    """
    pipeline = _choose_engine(engine, address)
    folders = {key: store_folder(out, collection, *key) for key in _keys(extractors)}
    if _outdated(folders, collection):
        with _locked(folders.values()):
            # Asked again: while this one waited, another process may have done it all.
            outdated = _outdated(folders, collection)
            for folder in outdated.values():
                recover_folder(folder)
            with _open_updates(outdated, shard_rows) as updates:
                _compute(collection, updates, pipeline, batch_size, workers, progress)
                for update in updates.values():
                    update.finish(collection)
    for folder in folders.values():
        _clear_up(folder)
    return {
        (extractor.network.name, extractor.transform.crop, layer): load_features(folder)
        for (extractor, layer), folder in folders.items()
    }


def extractors_for(
    networks: Iterable[Network | str],
    crops: Sequence[str] = CROPS,
    layers: Sequence[str] | str | None = None,
    precision: str = "auto",
) -> list[FeatureExtractor]:
    """Return an extractor for each network and crop; each network is loaded once for all crops."""
    extractors = []
    for network in networks:
        first = FeatureExtractor(network, crops[0], layers, precision=precision)
        extractors += [first, *(first.with_crop(crop) for crop in crops[1:])]
    return extractors


def store_folder(
    out: str | os.PathLike, collection: Collection, extractor: FeatureExtractor, layer: str
) -> Path:
    """Return the folder in which the features of a collection by one layer are kept.

    Raises VectorsAloneError for a collection that has vectors in place of pictures.
    """
    if not collection.has_pictures:
        raise VectorsAloneError(
            f"{collection.name} has vectors that others published, and no pictures to look at; "
            "name a folder of pictures (python -m artsearch fetch brings some)"
        )
    provenance = extractor.provenance(layer)
    # Cut, since a file name holds 255 bytes at most; the manifest inside tells all.
    parts = [provenance["network"][-60:], provenance["weights"][:8]]
    parts += [layer[-40:], f"pool{provenance['pool']}", provenance["crop"], provenance["precision"]]
    return Path(out, "stores", f"{collection_key(collection)}-{_safe_name('-'.join(parts))}")


def collection_key(collection: Collection) -> str:
    """Return how the names of a collection's stores begin."""
    # Two collections may have the same name; the same one keeps its store when it grows.
    address = hashlib.sha256(os.fsencode(collection.folder.resolve())).hexdigest()[:8]
    return f"{_safe_name(collection.name[:20])}-{address}"


def _safe_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)


class StoreUpdate:
    """A store in the making: what it had before, and what this run and killed ones brought."""

    def __init__(self, folder: Path, provenance: dict, shard_rows: int):
        self.folder, self.provenance = folder, provenance
        self._shard_rows = shard_rows
        self.old, entries, self.is_read_otherwise = _open_old(folder, provenance)
        rows = len(self.old) if self.old else 0
        self._old_contents = [one.state.sha256 for one in entries[:rows]]
        self._old_rows = {sha256: row for row, sha256 in enumerate(self._old_contents)}
        self.journal = Journal(_partial(folder), provenance)
        self.seen = {one.id: one for one in [*entries, *self.journal.entries]}

    @property
    def contents(self) -> set[str]:
        """The contents of which there are rows."""
        return self._old_rows.keys() | self.journal.rows.keys()

    def has(self, sha256: str) -> bool:
        """Tell whether there is a row for a file with this content."""
        return sha256 in self._old_rows or sha256 in self.journal.rows

    def is_sure_of(self, work_id: str, now: tuple[int, int, int] | None) -> bool:
        """Tell whether a file with this signature is known without being read again."""
        entry = self.seen.get(work_id)
        if entry is None or not is_proof(now) or entry.state.signature != now:
            return False
        return bool(entry.reason) or self.has(entry.state.sha256)

    def add(self, works: Sequence[Work], rows: np.ndarray | None = None) -> None:
        """Keep works that were read, with a row each or without."""
        entries = [Entry(work.id, work.state, work.reason) for work in works]
        self.journal.add(entries, rows)
        self.seen |= {entry.id: entry for entry in entries}

    def finish(self, collection: Collection) -> None:
        """Write the store as one built from nothing would be, and remove the journal."""
        entries = [self.seen[id] for id in collection.ids]
        kept = [entry for entry in entries if not entry.reason]
        skipped = [entry for entry in entries if entry.reason]
        if not kept:
            raise none_readable(collection, [(one.id, one.reason) for one in skipped])
        contents = self._contents(collection, kept, skipped)
        if self._has_the_rows_of(kept, contents):
            write_words(self.folder, contents)
        else:
            write_store(self.folder, contents)
        self.journal.remove()

    def _contents(
        self, collection: Collection, kept: list[Entry], skipped: list[Entry]
    ) -> Contents:
        ids = [entry.id for entry in kept]
        works = collection.works.set_index("id", drop=False).loc[ids]
        states = zip(*((*one.state.signature, one.state.sha256) for one in kept), strict=True)
        works = works.assign(**dict(zip(STATE, states, strict=True)))
        everything = sorted([*kept, *skipped], key=lambda entry: collection.row(entry.id))
        made_of = fingerprint((entry.id, entry.state.sha256) for entry in everything)
        return Contents(
            works,
            self.old.dims if self.old else self.journal.dims,
            self._rows_of([entry.state.sha256 for entry in kept]),
            self.provenance | {"collection": made_of},
            skipped,
            describe_captions(collection.works),
            self._shard_rows,
        )

    def _has_the_rows_of(self, kept: list[Entry], contents: Contents) -> bool:
        if self.old is None or self.old.ids != tuple(one.id for one in kept):
            return False
        if read_manifest(self.folder)["shards"] != contents.shards:
            return False
        same = (self._old_contents[row] == one.state.sha256 for row, one in enumerate(kept))
        return all(same)

    def _rows_of(self, contents: list[str]):
        """Return a function that gives the rows of a range of works, from where each one lies."""
        before = np.array([self._old_rows.get(sha256, -1) for sha256 in contents])
        new = np.array([self.journal.rows.get(sha256, -1) for sha256 in contents])

        def take(start: int, stop: int) -> np.ndarray:
            old, fresh = before[start:stop], new[start:stop]
            is_old = old >= 0
            if is_old.all():
                return self.old.vectors[old]
            rows = self.journal.take(np.where(is_old, 0, fresh))
            if is_old.any():
                rows[is_old] = self.old.vectors[old[is_old]]
            return rows

        return take


def _keys(extractors: Iterable[FeatureExtractor]) -> list[tuple[FeatureExtractor, str]]:
    return [(extractor, layer) for extractor in extractors for layer in extractor.layers]


def _choose_engine(engine: str, address: str | None) -> Callable[..., Iterator[Work | Rows]]:
    """Return what gives a stream of works and rows; it takes what `run` takes, and what is known.

    Raises ArtsearchError for an unknown engine, and for an address where there is none.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    if engine == "local":
        if address is not None:
            raise ArtsearchError(
                f"the address {address!r} is for the engine 'ray', and the engine is 'local'"
            )
        return _run_here
    from artsearch.features.ray.engine import run_on_ray
    from artsearch.features.ray.session import check_address, import_ray

    import_ray()
    check_address(address)
    return partial(run_on_ray, address=address)


def _run_here(paths, extractors, missing, known, *options) -> Iterator[Work | Rows]:
    # What is known is asked here, content by content, and need not be sent anywhere.
    return run(paths, extractors, missing, *options)


def _compute(
    collection: Collection,
    updates: dict[tuple[FeatureExtractor, str], StoreUpdate],
    pipeline: Callable[..., Iterator[Work | Rows]],
    batch_size: int | None,
    workers: int | None,
    progress: bool,
) -> None:
    """Read what is not known for sure, and compute the rows that are missing."""
    extractors = list(dict.fromkeys(extractor for extractor, _ in updates))
    by_extractor = {
        extractor: [update for (one, _), update in updates.items() if one is extractor]
        for extractor in extractors
    }
    paths = dict(_files_to_read(collection, list(updates.values())))
    if not paths:
        return
    for extractor, mine in by_extractor.items():
        if any(update.old is None for update in mine):
            extractor.load()  # a wrong layer or missing weights are said now, not at the end

    def extractors_missing(sha256: str) -> list[FeatureExtractor]:
        return [
            extractor
            for extractor, mine in by_extractor.items()
            if not all(update.has(sha256) for update in mine)
        ]

    # Only looked at where it is sent away: of millions of works it takes much memory.
    known = chain.from_iterable(update.contents for update in updates.values())
    stream = pipeline(paths, extractors, extractors_missing, known, batch_size, workers, progress)
    with closing(stream):
        for done in stream:
            if isinstance(done, Work):
                _keep_without_rows(done, updates.values())
            else:
                _keep_rows(done, updates)


def _files_to_read(
    collection: Collection, updates: Sequence[StoreUpdate]
) -> Iterator[tuple[str, Path]]:
    for id in collection.ids:
        path = collection.path(id)
        now = signature(path)
        if not all(update.is_sure_of(id, now) for update in updates):
            yield id, path


def _keep_without_rows(work: Work, updates: Iterable[StoreUpdate]) -> None:
    for update in updates:
        if work.reason or update.has(work.state.sha256):
            update.add([work])


def _keep_rows(done: Rows, updates: dict[tuple[FeatureExtractor, str], StoreUpdate]) -> None:
    for layer, rows in done.by_layer.items():
        update = updates.get((done.extractor, layer))
        if update is not None:
            update.add(done.works, rows)


def _outdated(folders: dict, collection: Collection) -> dict:
    """Return the stores that do not hold just what the collection's files are now."""
    return {
        (extractor, layer): folder
        for (extractor, layer), folder in folders.items()
        if not _is_current(folder, extractor.provenance(layer), collection)
    }


def _is_current(folder: Path, provenance: dict, collection: Collection) -> bool:
    """Tell whether a store holds just what the collection's files are, without reading them."""
    try:
        manifest, signatures = read_manifest(folder), read_signatures(folder)
        load_features(folder)  # that its rows are there as well
    except ArtsearchError:
        return False
    if _is_of_another_reading(manifest, provenance):
        return False
    refuse_others(folder, manifest["provenance"], provenance)
    if signatures.keys() != set(collection.ids):
        return False
    if manifest["captions"] != describe_captions(collection.works):
        return False
    return all(
        is_proof(now) and signature(collection.path(id)) == now for id, now in signatures.items()
    )


def _is_of_another_reading(manifest: dict, provenance: dict) -> bool:
    return manifest["provenance"].get("reading") != provenance["reading"]


def _clear_up(folder: Path) -> None:
    """Remove what a run left that was killed after its store was complete."""
    partial = _partial(folder)
    if partial.exists() or has_leftovers(folder):
        # If another process is at it, or this one may not write, what is there does no harm.
        with suppress(filelock.Timeout, OSError), _lock_of(folder).acquire(timeout=0):
            recover_folder(folder)
            shutil.rmtree(partial, ignore_errors=True)


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.partial")


def _lock_of(folder: Path) -> filelock.FileLock:
    return filelock.FileLock(folder.with_name(f".{folder.name}.lock"))


def _open_old(folder: Path, provenance: dict) -> tuple[Features | None, list[Entry], bool]:
    """Open what a store had before and its works; of a damaged one what is still whole.

    Returns, too, whether it is of no use because pictures were read otherwise.
    """
    if not folder.exists():
        return None, [], False
    try:
        manifest = read_manifest(folder)
        if _is_of_another_reading(manifest, provenance):
            return None, [], True
        refuse_others(folder, manifest["provenance"], provenance)
        return load_features(folder), read_entries(folder), False
    except MismatchError:
        raise
    except ArtsearchError as error:
        found, entries = _open_damaged(folder)
        sound = 0 if found is None else len(found)
        reason = str(error).partition("; ")[0]
        warnings.warn(
            f"{reason}: {sound:,} works are kept, the rest is computed anew", stacklevel=2
        )
        return found, entries, False


def _open_damaged(folder: Path) -> tuple[Features | None, list[Entry]]:
    try:
        return read_sound_shards(folder)
    except ArtsearchError:
        return None, []


@contextmanager
def _open_updates(folders: dict, shard_rows: int) -> Iterator[dict]:
    """Open a update for each folder, and close their files in the end, come what may."""
    updates: dict = {}
    try:
        for key, folder in folders.items():
            extractor, layer = key
            updates[key] = StoreUpdate(folder, extractor.provenance(layer), shard_rows)
        older = [update.folder.name for update in updates.values() if update.is_read_otherwise]
        if older:
            more = f" and {count_of(len(older) - 1, 'other store')}" if older[1:] else ""
            warnings.warn(
                f"pictures were read otherwise when {older[0]}{more} came about (colours by "
                "profile, TIFF): all works are computed anew",
                stacklevel=2,
            )
        yield updates
    finally:
        for update in updates.values():
            update.journal.close()


@contextmanager
def _locked(folders: Iterable[Path]) -> Iterator[None]:
    """Hold the locks of some stores, always in the same order; wait where others hold them."""
    with ExitStack() as stack:
        for folder in sorted(folders):
            stack.enter_context(_lock(folder))
        yield


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    # The system lets go of a lock when its process ends, however it ends.
    lock = _lock_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            warnings.warn(f"waiting for another process that writes {folder.name}", stacklevel=2)
            lock.acquire()
    except OSError as error:
        raise cannot_write(folder, error) from None
    try:
        yield
    finally:
        lock.release()
