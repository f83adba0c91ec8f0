"""`python -m artsearch export` and `compare`: vectors for others, and how theirs are to ours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from artsearch.base.errors import ArtsearchError, reason_of
from artsearch.base.text import count_of

if TYPE_CHECKING:
    import pandas as pd

    from artsearch.features.features import Features


@click.command()
@click.argument("folder")
@click.option("--to", required=True, help="Folder for the Parquet files; one in it for each store.")
@click.option("--network", default="", help="One network alone; else all that are there.")
@click.option("--out", default="build", help="Folder where features are kept.")
def export(folder: str, to: str, network: str, out: str) -> None:
    """Write the vectors of FOLDER as Parquet, in the form in which museums publish theirs.

    FOLDER is a collection, whose features are taken from --out (nothing is computed for it but the
    calibration strip), a folder of fetched vectors, or a store of features. Beside the files goes a
    passport: what made the vectors, and those of the shipped paintings by the same pipeline.
    """
    from artsearch.features.parquet import write_parquet

    for name, features, works, passport in _find_vectors(Path(folder), network, out):
        place = write_parquet(Path(to, name), features, works, passport)
        click.echo(
            f"{count_of(len(features), 'vector')} of {features.dims:,} numbers in:\n  {place}"
        )
        if not passport.get("strip"):
            click.echo(f"  {passport['note']}")


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--out", default="build", help="Folder where features are kept.")
@click.pass_context
def compare(context: click.Context, first: str, second: str, out: str) -> None:
    """Say whether two sets of vectors may be compared: by their calibration strips.

    Each is what `export` wrote or `fetch vectors` takes, a passport (.json), a folder of fetched
    vectors, a store, or a collection with features in --out. The exit code is 0 where they may, 1
    where they may not, and where it cannot be told.
    """
    from artsearch.features.passport import compare as compare_strips

    passports = [_find_passport(Path(name), out) for name in (first, second)]
    found = compare_strips(*passports)
    for sentence in found.sentences():
        click.echo(sentence)
    context.exit(0 if found.same else 1)


def _find_vectors(
    folder: Path, network: str, out: str
) -> Iterator[tuple[str, Features, pd.DataFrame, dict]]:
    """Yield what is to be exported: a name, vectors, the works' table and a passport of each."""
    import pandas as pd

    from artsearch.features.passport import make_passport
    from artsearch.features.published import choose_vectors, pass_on, safe_name, vector_features
    from artsearch.features.store import load_features
    from artsearch.works.collection import Collection

    if _is_store(folder):
        features = load_features(folder)
        passport = make_passport(features.provenance, features.dims, out)
        yield folder.name, features, pd.DataFrame({"id": features.ids}), passport
        return
    works = Collection(folder)
    if not works.has_pictures:
        for one in choose_vectors(works, network or "all").networks:
            features = vector_features(works, one)
            yield safe_name(one.title), features, works.works, pass_on(works, one)
        return
    # What a folder of pictures calls the source is where each work is from, not who publishes it.
    table = works.works
    if "link" not in table:
        table = table.rename(columns={"source": "link"})
    for store in _stores(works, network, out):
        features = load_features(store)
        passport = make_passport(features.provenance, features.dims, out)
        name = "-".join(features.provenance[part] for part in ("network", "crop", "precision"))
        yield name.replace(":", "_").replace("/", "_"), features, table, passport


def _find_passport(path: Path, out: str) -> dict:
    """Return a passport; where it has no strip, one that is computed here, if that is possible."""
    passport = dict(_read_passport(path, out))
    if not passport.get("strip"):
        from artsearch.features.passport import compute_strip

        try:
            passport["strip"] = compute_strip(passport, out)
        except ArtsearchError as error:
            passport["note"] = passport.get("note") or str(error)
    return passport


def _read_passport(path: Path, out: str) -> Mapping:
    from artsearch.features.passport import make_passport
    from artsearch.features.published import choose_vectors, pass_on
    from artsearch.features.store import read_manifest
    from artsearch.fetch.data_files import find_form
    from artsearch.works.collection import VECTORS, Collection

    if path.suffix == ".json":
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise ArtsearchError(
                f"{str(path)!r} is no passport that can be read ({reason_of(error)})"
            ) from None
    if _is_store(path):
        manifest = read_manifest(path)
        return make_passport(manifest["provenance"], manifest["dims"], out)
    if (path / VECTORS).is_dir():
        works = Collection(path)
        networks = choose_vectors(works, "all").networks
        _refuse_several(path, [one.title for one in networks])
        return pass_on(works, networks[0])
    if not path.is_dir() or next(path.rglob("*.parquet"), None) or next(path.rglob("*.npy"), None):
        passport = find_form(str(path)).passport()
        if passport is None:
            raise ArtsearchError(
                f"{str(path)!r} has no passport.json beside its vectors, so nothing says how they "
                "were made; ask who published them (docs/vectors.md describes one)"
            )
        return passport
    stores = list(_stores(Collection(path), "", out))
    _refuse_several(path, list(map(str, stores)))
    manifest = read_manifest(stores[0])
    return make_passport(manifest["provenance"], manifest["dims"], out)


def _refuse_several(path: Path, names: list[str]) -> None:
    if len(names) > 1:
        raise ArtsearchError(
            f"{str(path)!r} has the vectors of several networks: {', '.join(names)}; export it, "
            "and compare one of the folders"
        )


def _stores(works, network: str, out: str) -> Iterator[Path]:
    """Yield the stores of a collection, of final layers; raises ArtsearchError where none is."""
    from artsearch.features.extract import collection_key
    from artsearch.features.store import read_manifest
    from artsearch.networks.registry import as_network

    found = []
    for folder in sorted(Path(out, "stores").glob(f"{collection_key(works)}-*")):
        try:
            provenance = read_manifest(folder)["provenance"]
            is_final = provenance["layer"] == as_network(provenance["network"]).layer
        except ArtsearchError:
            continue
        if is_final and network in ("", provenance["network"]):
            found.append(folder)
    if not found:
        named = f" by {network}" if network else ""
        raise ArtsearchError(
            f"no features of {works.name}{named} are in {out!r}; compute them first "
            f"(python -m artsearch extract {works.folder})"
        )
    yield from found


def _is_store(folder: Path) -> bool:
    from artsearch.base.disk import MANIFEST

    return (folder / MANIFEST).is_file() and (folder / "img_emb").is_dir()
