"""Features on disk, in files that others can read without this project."""

from __future__ import annotations

import errno
import glob
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from artsearch.collection import Collection
from artsearch.errors import ArtsearchError, MismatchError, unknown
from artsearch.features import Features, compute_features, made_by
from artsearch.networks import Network, as_network
from artsearch.transforms import CROPS, NO_CROP

FORMAT = 1
VECTORS = "img_emb/img_emb_0.npy"
METADATA = "metadata/metadata_0.parquet"
MANIFEST = "manifest.json"
#: What lies in a folder of features; one with anything else in it is the user's own.
OWN = ("img_emb", "metadata", MANIFEST)


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
    manifest = {
        "format": FORMAT,
        "made_by": features.made_by,
        "rows": len(features),
        "dims": features.dims,
        "skipped": [list(pair) for pair in features.skipped],
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "timm")},
    }

    def write(new: Path) -> None:
        for name in (VECTORS, METADATA):
            (new / name).parent.mkdir(parents=True)
        np.save(new / VECTORS, features.vectors, allow_pickle=False)
        works.to_parquet(new / METADATA, index=False)
        (new / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    return write_folder(folder, write, OWN)


def load_features(folder: str | os.PathLike) -> Features:
    """Open a folder of features; the vectors stay on disk until they are used.

    Raises ArtsearchError when there is no such folder, or its parts do not belong together.
    """
    try:
        return _read_folder(Path(folder))
    # NumPy, Arrow and json each raise their own for a broken file, and all mean the same here.
    except Exception as error:
        kind = MismatchError if isinstance(error, MismatchError) else ArtsearchError
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise kind(
            f"{str(folder)!r} holds no features that can be read ({reason}); "
            "compute them again with compute_features and save_features"
        ) from None


def _read_folder(folder: Path) -> Features:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise MismatchError(f"its format is {manifest['format']!r}, this version has {FORMAT}")
    vectors = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
    ids = pd.read_parquet(folder / METADATA, columns=["id"])["id"].tolist()
    stated = manifest["rows"], manifest["dims"]
    if vectors.shape != stated or len(ids) != len(vectors):
        raise MismatchError(
            f"it has {vectors.shape} numbers and {len(ids)} ids, its manifest says {stated}"
        )
    skipped = tuple((id, reason) for id, reason in manifest["skipped"])
    return Features(vectors, tuple(ids), manifest["made_by"], skipped)


def stored_features(
    collection: Collection,
    network: Network | str,
    crop: str = NO_CROP,
    out: str | os.PathLike = "build",
    layer: str | None = None,
    progress: bool = True,
) -> Features:
    """Return a collection's features, computed once and kept below `out` for the next time.

    What is kept is taken only for the same files, network, weights, layer and crop; what is damaged
    is computed again. Takes what compute_features takes, and raises what it raises.
    """
    network = as_network(network)
    if crop not in CROPS:
        raise unknown("crop", crop, CROPS)
    layer = network.layer if layer is None else layer
    pool = network.pool if layer == network.layer else 1
    note = {
        **made_by(network, crop, layer, pool),
        "collection": collection.fingerprint(),
    }
    folder = Path(out, "stores", _folder_name(collection, note))
    with suppress(ArtsearchError):
        features = load_features(folder)
        if features.made_by == note:
            return features
    _make_temporary(folder).rmdir()  # to fail before minutes of computing, not after
    features = compute_features(collection, network, crop, layer, progress=progress)
    save_features(features, folder, collection)
    return features


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
        raise _cannot_write(folder, error) from None
    finally:
        for left in folder.parent.glob(f"{glob.escape(new.name)}*"):
            shutil.rmtree(left, ignore_errors=True)
    return folder


def _refuse_others(folder: Path, own: Iterable[str]) -> None:
    if folder.exists():
        if not folder.is_dir():
            raise _cannot_write(folder, FileExistsError())
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
        return Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:40]}-"))
    except OSError as error:
        raise _cannot_write(folder, error) from None


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


def _cannot_write(folder: Path, error: OSError) -> ArtsearchError:
    in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
    reason = "a file is in the way" if in_the_way else error.strerror or error
    return ArtsearchError(f"cannot write {str(folder)!r} ({reason}); name another folder")


def _folder_name(collection: Collection, note: dict) -> str:
    # Cut, since a file name holds 255 bytes at most; the hashes still tell one from another.
    parts = [collection.name[:30], note["collection"][:8], note["network"][-60:]]
    name = "-".join([*parts, note["weights"][:8], note["layer"][-40:], note["crop"]])
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
