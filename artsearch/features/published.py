"""Vectors that others publish, in the folder of a collection that has them in place of pictures.

`vectors/MODEL/BATCH` is a store as any other, one for each model and each time that vectors were
fetched; `vectors/MODEL/BATCH.json` is the passport that came with them, if one did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from artsearch.base.disk import MANIFEST
from artsearch.base.errors import ArtsearchError, VectorsAloneError, unknown
from artsearch.base.vectors import ShardedRows
from artsearch.features.features import Features
from artsearch.features.store import load_features, read_manifest
from artsearch.networks.network import Network
from artsearch.networks.registry import Chosen
from artsearch.networks.transforms import AS_PUBLISHED
from artsearch.networks.weights import Weights
from artsearch.works.collection import VECTORS, Collection

#: How the names of networks begin of which the vectors alone are here.
PREFIX = "vectors:"
#: What a passport, and a store's provenance, say of how vectors were made.
MADE = ("network", "weights", "layer", "pool", "crop", "size", "precision", "reading")


def batch_folder(folder: Path, model: str, batch: str) -> Path:
    """Return the store of a model's vectors of one source, within a collection's folder.

    >>> batch_folder(Path("met"), "facebook/dinov2", "met").as_posix()
    'met/vectors/facebook_dinov2-5872bc/met-6efcbf'
    """
    return folder / VECTORS / safe_name(model) / safe_name(batch)


def choose_vectors(collection: Collection, names: str | Sequence[str] = "auto") -> Chosen:
    """Return the networks whose vectors a collection has, and a line that says which they are.

    `names` is "auto", "all", or models, with `vectors:` before them or without. "auto" takes the
    one with the most works, and those that have just the same works: others could not stand beside
    it. Raises ArtsearchError for another network: it would want pictures.
    """
    known = {network.name: network for network in map(_entry, *_models(collection))}
    if isinstance(names, str) and {names, f"{PREFIX}{names}"} & known.keys():
        names = [names]  # a model may have a comma in its name
    elif isinstance(names, str):
        names = [name.strip() for name in names.split(",") if name.strip()]
    said = ""
    if list(names) == ["all"]:
        names = list(known)
    if list(names) == ["auto"]:
        names = _with_the_same_works(collection, list(known))
        left = [known[name].title for name in known if name not in names]
        said = f"; {', '.join(left)}: other works, to be asked for by name" if left else ""
    wanted = [name if name.startswith(PREFIX) else f"{PREFIX}{name}" for name in names]
    for name, asked in zip(wanted, names, strict=True):
        if name not in known:
            hint = f"; {collection.name} has vectors and no pictures that another could look at"
            raise unknown("network", asked, known, hint)
    chosen = [known[name] for name in dict.fromkeys(wanted)]
    if not chosen:
        raise ArtsearchError("no network named; name one or more, or 'auto'")
    titles = ", ".join(network.title for network in chosen)
    return Chosen(chosen, f"Vectors: {titles}, as published{said}.")


def vector_features(collection: Collection, network: Network | str) -> Features:
    """Return the vectors of one network over a collection, which stay on disk until they are used.

    Rows come source by source, in the order of the works' table. What that names no more is left
    out; a work without a vector is among the skipped.
    """
    name = network if isinstance(network, str) else network.name
    found = [load_features(folder) for folder in _batches(collection, name)]
    place = {id: row for row, id in enumerate(collection)}
    found.sort(key=lambda one: place.get(one.ids[0], len(place)))
    rows = [one.vectors for one in found]
    vectors = rows[0] if len(rows) == 1 else ShardedRows(rows)
    ids = [id for one in found for id in one.ids]
    provenance = {"network": name, "crop": AS_PUBLISHED, "dims": found[0].dims}
    provenance["sources"] = sorted({one.provenance["source"] for one in found})
    if not place.keys() >= set(ids):
        kept = np.array([row for row, id in enumerate(ids) if id in place], np.int64)
        vectors, ids = vectors[kept], [ids[row] for row in kept]
    there = set(ids)
    reason = f"it has no vector of {name.removeprefix(PREFIX)}"
    skipped = tuple((id, reason) for id in collection if id not in there)
    return Features(vectors, tuple(ids), provenance, skipped)


def pass_on(collection: Collection, network: Network) -> dict:
    """Return the passport that came with a network's vectors; of several sources, if it is one."""
    folders = _batches(collection, network.name)
    paths = [folder.with_name(f"{folder.name}.json") for folder in folders]
    found = [path.read_text(encoding="utf-8") for path in paths if path.is_file()]
    if len(found) == len(folders) and len(set(found)) == 1:
        return json.loads(found[0]) | {"model": network.title}
    note = "without a strip: the vectors were published without their network, and no passport "
    note += "came with them" if not found else "holds for all their sources"
    return {"model": network.title, "dims": network.dims, "strip": None, "note": note}


def no_network(name: str, what: str) -> VectorsAloneError:
    """Make the error for what wants a network where its vectors alone are here.

    >>> print(str(no_network("vectors:dinov2", "a dial")).partition(";")[0])
    a dial wants the network itself, and of 'dinov2' only the vectors that were published are here
    """
    model = name.removeprefix(PREFIX)
    return VectorsAloneError(
        f"{what} wants the network itself, and of {model!r} only the vectors that were published "
        "are here; ask by works of the collection, or fetch pictures (python -m artsearch fetch) "
        "and let a network look at them"
    )


def _with_the_same_works(collection: Collection, names: list[str]) -> list[str]:
    if len(names) < 2:
        return names
    works = {name: set(vector_features(collection, name).ids) for name in names}
    most = max(works.values(), key=len)
    return [name for name in names if works[name] == most]


def _models(collection: Collection) -> tuple[list[str], list[list[dict]]]:
    """Return the models of which a folder has vectors, and the manifests of each."""
    found: dict[str, list[dict]] = {}
    for folder in _stores(collection):
        manifest = read_manifest(folder)
        found.setdefault(manifest["provenance"]["network"], []).append(manifest)
    return list(found), list(found.values())


def _entry(name: str, manifests: list[dict]) -> Network:
    model = name.removeprefix(PREFIX)
    sources = ", ".join(dict.fromkeys(one["provenance"]["source"] for one in manifests))
    return Network(
        name=name,
        title=model,
        library="vectors",
        architecture=model,
        layer="",
        dims=manifests[0]["dims"],
        size=0,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        interpolation="bicubic",
        weights=Weights(""),
        licence=next((one["provenance"]["licence"] for one in manifests), ""),
        paper=f"vectors as published by {sources}",
    )


def _batches(collection: Collection, name: str) -> list[Path]:
    found = [
        folder
        for folder in _stores(collection)
        if read_manifest(folder)["provenance"]["network"] == name
    ]
    if not found:
        raise unknown("network", name, _models(collection)[0])
    return found


def _stores(collection: Collection) -> Iterator[Path]:
    paths = (Path(collection.folder) / VECTORS).glob(f"*/*/{MANIFEST}")
    return (path.parent for path in sorted(paths))


def safe_name(name: str) -> str:
    """Return a name that every disk takes, and no other model or source has."""
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:60].strip(".")
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
