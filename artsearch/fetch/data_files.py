"""Data files as others publish them, here or on the Hugging Face hub, read batch by batch."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np
import pandas as pd

from artsearch.base.errors import ArtsearchError, CollectionError, reason_of
from artsearch.base.http import hub_endpoint, is_offline, unreachable
from artsearch.base.vectors import CHUNK
from artsearch.works.table import read_table, to_text

if TYPE_CHECKING:
    import pyarrow as pa

#: What says, beside the files, how their vectors were made (see docs/vectors.md).
PASSPORT = "passport.json"
#: The column of the vectors where they lie in files of their own.
VECTOR = "vector"
#: The number of a row, where no table names its work.
ROW = "id"


def find_dataset(name: str, hint: str):
    """Return what `datasets` knows of a dataset of the hub, or of a folder, before it is read.

    Raises ArtsearchError, which ends in a hint, where it cannot be had.
    """
    datasets = import_datasets()
    reason = "" if os.path.isdir(name) else why_no_hub(name)
    try:
        if not reason:
            return datasets.load_dataset_builder(name)
    # Whatever goes wrong with a hub or a folder there, in any of its many ways: it is no use.
    except Exception as error:
        reason = reason_of(error)
    raise ArtsearchError(f"cannot open the dataset {name!r} ({reason}); {hint}")


def open_file(address: str) -> BinaryIO:
    """Open a data file by its path or address."""
    # fsspec knows the hub's hf:// once `datasets` is imported; a local name may hold signs that
    # mean something to it.
    if "://" not in address:
        return open(address, "rb")
    import fsspec

    return fsspec.open(address, "rb").open()


def why_no_hub(name: str) -> str:
    """Return why a dataset cannot be had from the hub, or ""; `datasets` itself is slow to say."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        return "no such file or folder"
    if is_offline():
        return "downloads are switched off: ARTSEARCH_OFFLINE or HF_HUB_OFFLINE is set"
    return unreachable([f"{hub_endpoint()}/api/datasets/{name}"])


def import_datasets():
    """Return the package datasets; raises ArtsearchError where it is missing."""
    try:
        import datasets
    except ImportError:
        raise ArtsearchError(
            "datasets of the Hugging Face hub are read by the package datasets; install it with "
            "`pip install 'artsearch[fetch]'`"
        ) from None
    return datasets


class Part(Protocol):
    """A file of vectors: the names of its columns, and its rows in batches.

    `vectors` are those of its columns that hold lists of numbers.
    """

    name: str
    columns: list[str]
    vectors: set[str]

    def read(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield some columns, CHUNK rows at a time; raises ArtsearchError for a broken file."""


@dataclass(frozen=True)
class Form:
    """Files that are published together: `parts` in order, and where a passport may lie.

    `url_is_picture` says that a column `url` has the address of the picture, as in clip-retrieval.
    """

    name: str
    parts: list[Part]
    passports: list[str]
    url_is_picture: bool = False

    @property
    def columns(self) -> list[str]:
        """The names of all columns, each once."""
        return list(dict.fromkeys(name for part in self.parts for name in part.columns))

    def passport(self) -> dict | None:
        """Return what says how the vectors were made; None where nothing does.

        Raises ArtsearchError for one that is broken.
        """
        for address in self.passports:
            data = b""
            with suppress(Exception):  # a hub and a disk have many ways to say that there is none
                with open_file(address) as file:
                    data = file.read()
            if data:
                try:
                    return dict(json.loads(data))
                except (ValueError, TypeError):
                    raise ArtsearchError(
                        f"{address} is no passport that can be read; mend it, or take it away"
                    ) from None
        return None


def find_form(source: str, table: str | None = None) -> Form:
    """Return the files of a source: a file, a folder, a pattern, or a dataset of the hub.

    Parquet and JSON lines hold vectors and words together. A `.npy` file has its words in a table
    beside it, of the same name or as `table` says. A folder with `img_emb` and `metadata` is
    clip-retrieval's. Raises ArtsearchError for what is none of these.
    """
    path = Path(os.path.expanduser(source))
    if path.is_dir():
        return _find_in_folder(path, table)
    if path.is_file():
        return Form(path.name, [_open_part(path, table)], [str(path.parent / PASSPORT)])
    if found := sorted(glob.glob(str(path))):
        parts = [_open_part(Path(name), None) for name in found]
        return Form(path.name, parts, [str(Path(found[0]).parent / PASSPORT)])
    hint = (
        "name a .parquet, .jsonl or .npy file, a folder of them, or a dataset of the Hugging Face "
        "hub, such as 'metmuseum/…'"
    )
    return _on_hub(source, hint)


def _on_hub(source: str, hint: str) -> Form:
    files = find_dataset(source, hint).config.data_files or {}
    names = [str(name) for split in files.values() for name in split]
    parts = [_ParquetPart(name) for name in names if name.endswith(".parquet")]
    if not parts:
        raise ArtsearchError(f"the dataset {source!r} has no Parquet files; {hint}")
    folder = names[0].rpartition("/")[0]
    places = folder, folder.rpartition("/")[0]
    return Form(source, parts, [f"{place}/{PASSPORT}" for place in places])


def _find_in_folder(folder: Path, table: str | None) -> Form:
    passports = [str(folder / PASSPORT)]
    vectors = sorted((folder / "img_emb").glob("*.npy"))
    words = sorted((folder / "metadata").glob("*.parquet"))
    if vectors and len(vectors) == len(words):
        parts = [_NpyPart(*pair) for pair in zip(vectors, words, strict=True)]
        return Form(folder.name, parts, passports, url_is_picture=True)
    for kind in ("**/*.parquet", "**/*.jsonl", "*.npy", "img_emb/*.npy"):
        if found := sorted(folder.glob(kind)):
            if kind.endswith(".npy"):
                found = [path for path in found if not path.name.startswith("ids")]
            return Form(folder.name, [_open_part(path, table) for path in found], passports)
    raise ArtsearchError(
        f"{str(folder)!r} has no .parquet, .jsonl or .npy files; name a folder or a file with "
        "vectors (docs/vectors.md has the forms)"
    )


def _open_part(path: Path, table: str | None) -> Part:
    kind = path.suffix.lower()
    if kind == ".parquet":
        return _ParquetPart(str(path))
    if kind in (".jsonl", ".ndjson", ".json"):
        return _JsonPart(path)
    if kind != ".npy":
        raise ArtsearchError(
            f"{path.name!r} holds no vectors that can be read; take a .parquet, .jsonl or .npy file"
        )
    beside = (path.with_suffix(ending) for ending in (".parquet", ".csv", ".tsv", ".xlsx", ".json"))
    found = Path(os.path.expanduser(table)) if table else next(filter(Path.is_file, beside), None)
    if found is not None and not found.is_file():
        raise CollectionError(f"no table {str(table)!r}; name one that exists")
    return _NpyPart(path, found)


class _ParquetPart:
    """A Parquet file: vectors are a column of lists."""

    def __init__(self, address: str):
        import pyarrow.parquet as pq

        self._address, self.name = address, address.rpartition("/")[2]
        with _telling(self.name), open_file(address) as file:
            schema = pq.ParquetFile(file, pre_buffer=False).schema_arrow
        # Pictures and other files that come along are not wanted.
        fields = [field for field in schema if not _is_file(field.type)]
        self.columns = [field.name for field in fields]
        self.vectors = {field.name for field in fields if is_vector(field.type)}

    def read(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with _telling(self.name), open_file(self._address) as file:
            table = pq.ParquetFile(file, pre_buffer=False)
            for batch in table.iter_batches(CHUNK, columns=[*columns]):
                yield pa.Table.from_batches([batch])


class _NpyPart:
    """Rows in a .npy file, which stay on disk until they are read, and a table in their order."""

    def __init__(self, path: Path, table: Path | None):
        self.name = path.name
        with _telling(path.name):
            self._rows = np.load(path, mmap_mode="r", allow_pickle=False)
        if self._rows.ndim != 2 or not self._rows.shape[1] or self._rows.dtype.kind not in "fiu":
            raise ArtsearchError(
                f"{path.name} holds {self._rows.dtype} in the shape {self._rows.shape}; take works "
                "× numbers"
            )
        self._table = _read_words(table, len(self._rows), path.stem)
        if len(self._table) != len(self._rows):
            raise ArtsearchError(
                f"{path.name} has {len(self._rows):,} rows and {table.name} {len(self._table):,}; "
                "they belong together only row by row: take the table that was written with it"
            )
        self.columns, self.vectors = [*self._table, VECTOR], {VECTOR}

    def read(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        import pyarrow as pa

        words = [name for name in columns if name != VECTOR]
        for start in range(0, len(self._rows), CHUNK):
            part = slice(start, start + CHUNK)
            found = {name: pa.array(self._table[name].iloc[part].tolist()) for name in words}
            if VECTOR in columns:
                with np.errstate(over="ignore"):  # what float32 cannot hold is found as not finite
                    values = np.ascontiguousarray(self._rows[part], np.float32)
                flat = pa.array(values.ravel())
                found[VECTOR] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
            yield pa.table(found)


class _JsonPart:
    """A record a line, or one list of them, with vectors as lists of numbers."""

    def __init__(self, path: Path):
        self._path, self.name = path, path.name
        with _telling(self.name):
            first = [*islice(self._records(), CHUNK)]
        self.columns = list(dict.fromkeys(name for record in first for name in record))
        told = ((name, [record.get(name) for record in first]) for name in self.columns)
        self.vectors = {name for name, values in told if _are_rows(values)}

    def read(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        import pyarrow as pa

        with _telling(self.name):
            records = self._records()
            while some := [*islice(records, CHUNK)]:
                found = {name: [record.get(name) for record in some] for name in columns}
                pairs = ((name, values, name in self.vectors) for name, values in found.items())
                yield pa.table({name: _to_column(*pair) for name, *pair in pairs})

    def _records(self) -> Iterator[dict]:
        with open(self._path, encoding="utf-8-sig") as file:
            if self._path.suffix.lower() == ".json":
                found = json.load(file)
                found = found if isinstance(found, list) else [found]
            else:
                found = (json.loads(line) for line in file if line.strip())
            for record in found:
                if not isinstance(record, dict):
                    raise ValueError(f"it holds {str(record)[:40]!r} where a record should be")
                yield record


def _to_column(values: list, are_rows: bool) -> pa.Array:
    import pyarrow as pa

    if are_rows:
        found = [[*map(float, value)] if _is_row(value) else None for value in values]
        return pa.array(found, pa.list_(pa.float64()))
    # Halves of characters, which JSON may hold, are taken by no library.
    return pa.array([to_text(value).encode("utf-8", "replace").decode() for value in values])


def _is_row(value: object) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)


def _are_rows(values: list) -> bool:
    """Whether most of what is there are rows: one odd value makes no vectors of ids."""
    found = [_is_row(value) for value in values if value is not None]
    return sum(found) > len(found) / 2


def is_vector(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists of numbers, or of nothing but gaps."""
    import pyarrow.types as types

    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    numbers = types.is_floating, types.is_integer, types.is_decimal, types.is_null
    return is_list and any(is_kind(kind.value_type) for is_kind in numbers)


def _is_file(kind: pa.DataType) -> bool:
    import pyarrow.types as types

    has_bytes = types.is_binary(kind) or types.is_large_binary(kind)
    return has_bytes or (types.is_struct(kind) and "bytes" in [field.name for field in kind])


def _read_words(table: Path | None, rows: int, stem: str) -> pd.DataFrame:
    if table is None:  # as autofaiss has it: a work is known by its row
        return pd.DataFrame({ROW: [f"{stem}-{row}" for row in range(rows)]})
    if table.suffix.lower() != ".parquet":
        return read_table(table)[0].drop(columns=VECTOR, errors="ignore")
    with _telling(table.name):
        return pd.read_parquet(table).drop(columns=VECTOR, errors="ignore")


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """Turn what libraries say of a broken file, or a hub that hangs up, into a sentence."""
    try:
        yield
    except ArtsearchError:
        raise
    except Exception as error:
        raise ArtsearchError(
            f"cannot read {name!r} ({reason_of(error)}); try again, or take the file away"
        ) from None
