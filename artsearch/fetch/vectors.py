"""Vectors that others publish, with what they say of the works, into a folder of their own."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from artsearch.base.disk import replace_file, write_whole
from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import count_of, shorten
from artsearch.base.vectors import first_not_finite
from artsearch.features.published import MADE, PREFIX, batch_folder
from artsearch.features.store import Contents, read_manifest, write_store
from artsearch.fetch.column_names import OF_VECTORS, map_columns
from artsearch.fetch.data_files import Form, Part, find_form, is_vector
from artsearch.fetch.folder import clean, name_column, opened_alone, using
from artsearch.works.collection import COLUMNS, TABLE, VECTORS
from artsearch.works.table import read_table, read_works_csv, to_text

if TYPE_CHECKING:
    import pyarrow as pa

#: What every table has, in this order; further columns come behind.
FIRST = ("id", *COLUMNS, "licence", "source", "image", "link")
#: Columns that say what a vector is, and nothing of the work.
NOT_WORDS = ("vector", "model", "dim", "attributes")
#: Reasons of rows left out that are named in a report; of more, how many there are.
NAMED = 5


@dataclass
class FetchedVectors:
    """What a run brought: how many rows of how many numbers, and which were left out and why."""

    folder: Path
    model: str
    source: str
    dims: int = 0
    rows: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def report(self) -> str:
        """Return one sentence with the numbers, and what was left out."""
        said = (
            f"{count_of(self.rows, 'vector')} of {self.dims:,} numbers each by {self.model!r} "
            f"from {self.source!r} in {str(self.folder)!r}"
        )
        kinds = Counter(reason for _, reason in self.skipped)
        first = {reason: id for id, reason in reversed(self.skipped)}
        for reason, count in kinds.most_common(NAMED):
            said += f"; {count_of(count, 'row')} left out: {reason} (first {first[reason]!r})"
        return said


def fetch_vectors(
    source: str,
    out: str | os.PathLike,
    model: str = "",
    name: str = "",
    table: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> FetchedVectors:
    """Bring the vectors of one model from a source into a folder, which is then a collection.

    `source` is what `find_form` takes. Columns are known by their usual names; `columns` names
    others, as {"id": "objectID", "vector": "embedding"}. `model` says which one is meant where the
    source has several, or none is stated. `name` is what the column `source` says where no column
    of the files does: the owner of a dataset, or the file's name. `table` has what is known of the
    works, matched by the id, or row by row for `.npy` files.

    Ids begin with the source, so that several lie side by side; a second source, or a second model,
    is added to what is there, and the same source again takes the place of its older vectors. Rows
    go through the memory in batches. A row without an id or a model, with a vector of another
    length, of zeros or with numbers that are not finite, or of an id that came before, is left out
    and said.

    Raises ArtsearchError for a source that cannot be read, for columns that are not there, and
    where the model is not clear.
    """
    form = find_form(source, table)
    mapping = _map(form, dict(columns or {}))
    model = _choose_model(form, mapping, model.strip())
    name = clean(name) or clean(_name_of(source))
    words = read_words(table) if table and not _is_npy(form) else None
    with _opened(Path(os.path.expanduser(out))) as folder:
        store = batch_folder(folder, model, _batch(source))
        reader = _Reader(mapping, model, name, _ids_there(store))
        with tempfile.TemporaryDirectory(prefix=".vectors-", dir=folder) as scratch:
            with using(folder):
                rows = reader.write_rows(form, Path(scratch, "rows.f32"))
            report = FetchedVectors(folder, model, name, reader.dims, len(rows), reader.skipped)
            if not len(rows):
                raise ArtsearchError(
                    f"no vector of {form.name!r} can be taken; {report.report()}; see --columns"
                )
            works = reader.works(words)
            passport = form.passport()
            _check_batches(store, model, reader.dims, passport)
            write_table(folder, works)
            provenance = {
                "network": f"{PREFIX}{model}",
                "model": model,
                "source": name,
                "from": form.name,
                "made": _made(passport),
                "licence": str((passport or {}).get("licence", "")) or "an unstated licence",
            }
            ids = works[["id"]]
            take = rows.__getitem__
            write_store(
                store, Contents(ids, reader.dims, lambda a, b: take(slice(a, b)), provenance)
            )
            beside = store.with_name(f"{store.name}.json")
            beside.unlink(missing_ok=True)  # of an older fetch
            if passport is not None:
                write_whole(beside, json.dumps(passport, indent=1).encode())
            del rows
    return report


class _Reader:
    """Takes rows from the parts of a form, one batch after the other."""

    def __init__(self, mapping: dict[str, str], model: str, source: str, there: Mapping[str, str]):
        self._theirs = {ours: name for name, ours in mapping.items()}
        self._mapping, self._model, self._source = mapping, model, source
        self._there = dict(there)
        self._frames: list[pd.DataFrame] = []
        self.dims = 0
        self.skipped: list[tuple[str, str]] = []

    def write_rows(self, form: Form, path: Path) -> np.ndarray:
        """Write the rows that are good into a file; return them, mapped into memory."""
        count = 0
        with open(path, "wb") as file:
            for part in form.parts:
                _check_has(part, self._theirs)
                others = {*part.vectors, self._theirs.get("dim")} - {self._theirs["vector"]}
                wanted = [name for name in part.columns if name not in others]
                for batch in part.read(wanted):
                    rows = self._take(batch.rename_columns([self._mapping[n] for n in wanted]))
                    file.write(rows)
                    count += len(rows)
        if not count:
            return np.empty((0, 0), np.float32)
        return np.memmap(path, "<f4", "r", shape=(count, self.dims))

    def works(self, words: pd.DataFrame | None) -> pd.DataFrame:
        """Return what is known of the works, a row a vector; `words` are matched by id."""
        works = pd.concat(self._frames, ignore_index=True).fillna("")
        if words is not None:
            words = words.drop_duplicates("id").set_index("id")
            found = words.reindex(works.pop("their id")).fillna("").reset_index(drop=True)
            for column in found:
                known = works[column] if column in works else ""
                works[column] = found[column].where(found[column] != "", known)
        return works.drop(columns="their id", errors="ignore")

    def _take(self, batch: pa.Table) -> np.ndarray:
        """Return the good rows of a batch as float32, and keep what is said of them."""
        works = self._describe(batch)
        reasons = self._judge_words(batch, works)
        vectors, lengths = _lists(batch["vector"])
        ours = lengths[np.array([not reason for reason in reasons]) & (lengths > 0)]
        if not self.dims and len(ours):
            # What most rows of the first batch have: the first row alone may be the odd one.
            self.dims = int(np.bincount(ours).argmax())
        for row in np.flatnonzero(lengths != self.dims):
            stated = "no vector" if lengths[row] < 1 else f"a vector of {lengths[row]:,} numbers"
            others = f", where the others have {self.dims:,}" if self.dims else ""
            reasons[row] = reasons[row] or stated + others
        rows = np.zeros((len(works), self.dims), np.float32)
        whole = lengths == self.dims
        rows[whole] = vectors(whole, self.dims)
        if first_not_finite(rows)[0]:
            for row in np.flatnonzero(~np.isfinite(rows).all(axis=1)):
                reasons[row] = reasons[row] or "numbers that are not finite"
        for row in np.flatnonzero(~rows.any(axis=1)):
            reasons[row] = reasons[row] or "a vector of zeros, which has no direction"
        for row, id in enumerate(works["id"]):
            if not reasons[row] and id in self._there:
                reasons[row] = self._there[id]
            if not reasons[row]:
                self._there[id] = "an id that came before"
        bad = np.array([bool(reason) for reason in reasons])
        names = works["their id"].tolist()
        self.skipped += [(shorten(names[row], 60), reasons[row]) for row in np.flatnonzero(bad)]
        self._frames.append(works[~bad])
        return rows[~bad]

    def _describe(self, batch: pa.Table) -> pd.DataFrame:
        """Return what a batch says of its works as text, with an id of our own."""
        told = [name for name in batch.column_names if name not in NOT_WORDS]
        found = {name: [to_text(one) for one in batch[name].to_pylist()] for name in told}
        works = pd.DataFrame(found, dtype=object)
        if "attributes" in batch.column_names:
            works = _add_attributes(works, batch["attributes"].to_pylist())
        works = works.map(clean).rename(columns=name_column)
        works = works.loc[:, ~works.columns.duplicated()]
        theirs = pd.Series(found["id"], dtype=object)
        source = works["source"] if "source" in works else pd.Series("", works.index, dtype=object)
        is_link = source.str.contains("://", regex=False)
        if is_link.any() and "link" not in works:
            works["link"] = source.where(is_link, "")
        works["source"] = source.where((source != "") & ~is_link, self._source)
        pairs = zip(theirs, works["source"], strict=True)
        works["id"] = [clean(_own_id(id, of)) for id, of in pairs]
        return works.assign(**{"their id": theirs})

    def _judge_words(self, batch: pa.Table, works: pd.DataFrame) -> list[str]:
        reasons = ["" if id.strip() else "no id" for id in works["their id"]]
        if "model" in batch.column_names:
            for row, model in enumerate(batch["model"].to_pylist()):
                model = to_text(model)
                if model != self._model:
                    reasons[row] = f"the model is {model!r}" if model else "no model is stated"
        return reasons


def _own_id(id: str, source: str) -> str:
    """Return an id that no other source has.

    >>> _own_id("436532", "met"), _own_id("met/436532", "met")
    ('met/436532', 'met/436532')
    """
    return id if id.startswith(f"{source}/") else f"{source}/{id}"


def _lists(column: pa.ChunkedArray):
    """Return a way to some rows of a column of lists, and the length of each (-1 for none)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if not is_vector(kind):
        if pa.types.is_null(kind):
            return lambda which, dims: np.empty((0, dims), np.float32), np.full(len(column), -1)
        raise ArtsearchError(
            f"the column of the vectors holds {kind}, not lists of numbers; name another one, as "
            "in --columns vector=embedding"
        )
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy().astype(np.int64)

    def take(which: np.ndarray, dims: int) -> np.ndarray:
        values = pc.list_flatten(column.filter(pa.array(which)))
        found = values.to_numpy(zero_copy_only=False) if len(values) else np.empty(0)
        with np.errstate(over="ignore"):  # what float32 cannot hold is found as not finite
            return found.astype(np.float32).reshape(int(which.sum()), dims)

    return take, lengths


def _add_attributes(works: pd.DataFrame, found: list) -> pd.DataFrame:
    """Add what records say in a mapping of their own, such as go-embeddingsdb's `attributes`."""
    rows = [_as_mapping(one) for one in found]
    names = list(dict.fromkeys(name for row in rows for name in row))
    mapping = map_columns(names, {}, OF_VECTORS)
    for name in names:
        ours = mapping[name]
        if ours not in works and ours not in NOT_WORDS:
            works[ours] = [to_text(row.get(name)) for row in rows]
    return works


def _as_mapping(found: object) -> dict:
    if isinstance(found, str):
        try:
            found = json.loads(found or "{}")
        except ValueError:
            found = {}
    # Arrow gives a map as pairs.
    found = dict(found) if isinstance(found, list | dict) else {}
    return {str(name): value for name, value in found.items()}


def _map(form: Form, columns: dict[str, str]) -> dict[str, str]:
    """Return our name for each column; raises ArtsearchError where the vectors or ids have none."""
    unknown_names = set(columns) - {*OF_VECTORS.values(), "attributes"}
    if unknown_names:
        choices = dict.fromkeys(OF_VECTORS.values())
        raise unknown("name before the = of --columns", min(unknown_names), choices)
    if form.url_is_picture and "url" in form.columns and "image" not in columns:
        columns["image"] = "url"
    if form.url_is_picture and "caption" in form.columns and "title" not in columns:
        columns["title"] = "caption"
    mapping = map_columns(form.columns, columns, OF_VECTORS)
    for ours, example in (("vector", "embedding"), ("id", "objectID")):
        if ours not in mapping.values():
            shown = ", ".join(repr(name[:60]) for name in form.columns[:12])
            raise ArtsearchError(
                f"no column of {form.name!r} is known to hold the {ours}; its columns are: "
                f"{shown}; say which one it is, as in --columns {ours}={example}"
            )
    return mapping


def _choose_model(form: Form, mapping: dict[str, str], model: str) -> str:
    """Return the model whose vectors are taken; raises ArtsearchError where that is not clear."""
    column = next((name for name, ours in mapping.items() if ours == "model"), None)
    if column is None:
        if not model:
            raise ArtsearchError(
                f"no column of {form.name!r} says which model made the vectors; name it, as in "
                "--model dinov2-giant: vectors of different models cannot be compared"
            )
        return model
    parts = (part for part in form.parts if column in part.columns)
    found = Counter(
        to_text(one)
        for part in parts
        for batch in part.read([column])
        for one in batch[column].to_pylist()
    )
    names = [name for name in found if name]
    if not names and not model:
        raise ArtsearchError(
            f"the column {column!r} of {form.name!r} states no model; name it, as in "
            "--model dinov2-giant: vectors of different models cannot be compared"
        )
    if not names:
        mapping[column] = f"{column} (of the table)"
        return model
    if model and model not in names:
        raise unknown("model", model, names)
    if not model and len(names) > 1:
        raise ArtsearchError(
            f"{form.name!r} has vectors of {len(names)} models: {', '.join(sorted(names)[:20])}; "
            "choose one with --model, and fetch the others after it into the same folder"
        )
    return model or names[0]


def _check_has(part: Part, theirs: Mapping[str, str]) -> None:
    for ours in ("id", "vector"):
        if theirs[ours] not in part.columns:
            raise ArtsearchError(
                f"{part.name!r} has no column {theirs[ours]!r} as the other files have; take it out"
            )


def read_words(table: str) -> pd.DataFrame:
    """Return a table of works with our names for its columns, one of them `id`."""
    rows, _ = read_table(os.path.expanduser(table))
    mapping = map_columns(list(rows.columns), {}, OF_VECTORS)
    if "id" not in mapping.values():
        shown = ", ".join(repr(name[:60]) for name in list(rows.columns)[:12])
        raise ArtsearchError(
            f"no column of {table!r} is known to hold the ids; its columns are: {shown}; call the "
            "one with the ids 'id'"
        )
    words = rows.rename(columns={name: name_column(ours) for name, ours in mapping.items()})
    words = words.loc[:, ~words.columns.duplicated()].drop(columns=[*NOT_WORDS], errors="ignore")
    return words.assign(**{name: words[name].map(clean) for name in words if name != "id"})


def write_table(folder: Path, works: pd.DataFrame) -> None:
    """Add works to a folder's works.csv; what stands there stays, and gaps in it are filled."""
    path = folder / TABLE
    if path.is_file():
        old = read_works_csv(path, "id").set_index("id")
        new = works.set_index("id")
        known = new[new.index.isin(old.index)]
        for column in known:
            if column not in old:
                old[column] = ""
            gaps = old.index[old[column] == ""].intersection(known.index)
            old.loc[gaps, column] = known.loc[gaps, column]
        works = pd.concat([old, new[~new.index.isin(old.index)]]).fillna("").reset_index()
    columns = [*FIRST, *(name for name in works if name not in FIRST)]
    works = works.reindex(columns=columns, fill_value="")
    with using(folder):
        replace_file(path, works.to_csv(index=False, lineterminator="\n").encode())


def _name_of(source: str) -> str:
    """Return what a source is called where nobody says.

    >>> _name_of("metmuseum/dinov2"), _name_of("/data/moma.parquet")
    ('metmuseum', 'moma')
    """
    path = Path(os.path.expanduser(source))
    return source.partition("/")[0] if not path.exists() and source.count("/") == 1 else path.stem


def _batch(source: str) -> str:
    path = Path(os.path.expanduser(source))
    return str(path.resolve()) if path.exists() else source


def _is_npy(form: Form) -> bool:
    return all(part.name.endswith(".npy") for part in form.parts)


def _ids_there(store: Path) -> dict[str, str]:
    """Return the ids that other sources have of the same model, each with the reason."""
    found: dict[str, str] = {}
    for manifest in store.parent.glob("*/manifest.json"):
        if manifest.parent != store:
            name = read_manifest(manifest.parent)["provenance"]["from"]
            for path in sorted((manifest.parent / "metadata").glob("*.parquet")):
                ids = pd.read_parquet(path, columns=["id"])["id"]
                found |= dict.fromkeys(ids, f"an id that {name!r} has, in the folder already")
    return found


def _made(passport: dict | None) -> dict:
    return {name: passport[name] for name in MADE if passport and name in passport}


def _check_batches(store: Path, model: str, dims: int, passport: dict | None) -> None:
    """Refuse vectors that cannot be compared with those of the same model in the folder."""
    made = _made(passport)
    for path in sorted(store.parent.glob("*/manifest.json")):
        manifest = read_manifest(path.parent)
        said = manifest["provenance"]
        if path.parent == store:
            continue
        if manifest["dims"] != dims:
            raise ArtsearchError(
                f"the vectors of {model!r} from {said['from']!r} in this folder have "
                f"{manifest['dims']:,} numbers, these {dims:,}; fetch them as another one, as in "
                f"--model {model}-{dims}, or into another folder"
            )
        # One network in float32 and in bfloat16 is one network.
        for name in sorted(made.keys() & said["made"].keys() - {"precision"}):
            if made[name] != said["made"][name]:
                raise ArtsearchError(
                    f"the vectors of {model!r} from {said['from']!r} in this folder were made "
                    f"with {name} {said['made'][name]!r}, these with {made[name]!r}; `artsearch "
                    "compare` tells how far apart they are; fetch them as another one with --model"
                )


@contextmanager
def _opened(folder: Path) -> Iterator[Path]:
    """Open a folder of vectors for one run at a time; refuse one that is somebody's own."""
    with opened_alone(folder, VECTORS):
        with using(folder):
            for left in folder.glob(".vectors-*"):  # of a run that was killed
                shutil.rmtree(left, ignore_errors=True)
        yield folder
