"""The user's own pictures, with whatever table says what they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from artsearch.base.errors import ArtsearchError, CollectionError
from artsearch.base.text import count_of
from artsearch.fetch.column_names import map_columns
from artsearch.fetch.items import Item
from artsearch.works.collection import find_files
from artsearch.works.table import match_files, read_table

#: Tables that are taken where none is named.
TABLES = ("works.csv", "works.xlsx", "works.json")


@dataclass(frozen=True)
class TableReport:
    """How a table and a folder fit together; `mapping` is our name of a column by the table's.

    `without_file` are rows as they name their file, `without_row` files; `unclear` are rows that
    more than one file fits, or a file that another row has already; `left_out` are files that are
    no pictures to us, with the reason.
    """

    matched: int = 0
    without_file: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    without_row: list[str] = field(default_factory=list)
    mapping: dict[str, str] = field(default_factory=dict)
    table: str = ""
    encoding: str = ""
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def sentence(self) -> str:
        """Return all of it in one sentence.

        >>> print(TableReport(2, ["c.jpg"], mapping={"Datei": "file"}, table="a.csv").sentence())
        2 works found in a.csv (file from 'Datei'); 1 row without a file ('c.jpg')
        """
        if not self.table:
            return (
                f"{count_of(len(self.without_row), 'work')}, and no table that says what they are"
            )
        how = [f"{ours} from {theirs!r}" for theirs, ours in self.mapping.items()]
        how += [f"read as {self.encoding}"] if self.encoding else []
        said = f"{count_of(self.matched, 'work')} found in {self.table}"
        said += f" ({', '.join(how)})" if how else ""
        said += _count(self.without_file, "row", "without a file")
        said += _count(self.unclear, "row", "whose file is not clear")
        return said + _count(self.without_row, "file", "without a row")


def items(
    path: str | os.PathLike,
    table: str | os.PathLike | None = None,
    columns: Mapping[str, str] | None = None,
) -> tuple[Iterator[Item], TableReport]:
    """Return the works of a folder, and how its table fits them; nothing in the folder is changed.

    `table` is a .csv (any usual separator; UTF-8, UTF-16 or Windows-1252), .xlsx or .json file (a
    list of objects, an object of columns, or an object a line), by default a `works.csv`,
    `works.xlsx` or `works.json` in the folder. Columns are known by their usual names in six
    languages; `columns` names others, as {"artist": "Gemalt von"}. All further ones are kept.

    A row's file is found by its path in the folder, else by its name, else by its name without the
    ending, whether in capitals or not; where there is no column of files, the inventory number is
    taken for that name. What fits two files is not guessed. Works without a row come too. Only
    files below the folder are taken, whatever a table or a link says.

    Raises ArtsearchError for a folder or table that cannot be used, and for an unknown column.
    """
    folder = _check_folder(path)
    images, left_out = _find_images(folder)
    table = _find_table(folder, table)
    if table is None:
        return _make_items(images, {}), TableReport(without_row=list(images), left_out=left_out)
    rows, encoding = read_table(table)
    if rows.empty:
        raise CollectionError(f"{table} has no rows below its column names; name another table")
    mapping = map_columns(list(rows.columns), columns or {})
    names = rows[_find_name_column(mapping, list(rows.columns), table)].tolist()
    matches = match_files(names, images)
    records = rows.to_dict("records")
    found = {id: _rename(records[row], mapping) for id, row in matches.rows.items()}
    report = TableReport(
        matched=len(found),
        without_file=[names[row] for row in matches.missing],
        unclear=[names[row] for row in sorted(matches.unclear)],
        without_row=[id for id in images if id not in found],
        mapping={theirs: ours for theirs, ours in mapping.items() if theirs != ours},
        table=table.name,
        encoding=encoding,
        left_out=left_out,
    )
    return _make_items(images, found), report


def _check_folder(path: str | os.PathLike) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise CollectionError(f"{str(path)!r} {what}; name a folder of images")
    return folder


def _find_images(folder: Path) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """Return the image files below a folder by their ids, and what is left out, with the reason."""
    images, _, left_out = find_files(folder)
    root = folder.resolve()
    inside = {id: path for id, path in images.items() if path.resolve().is_relative_to(root)}
    left_out += [(id, "a link out of the folder") for id in images if id not in inside]
    return inside, left_out


def _find_table(folder: Path, table: str | os.PathLike | None) -> Path | None:
    if table is None:
        there = {path.name.casefold(): path for path in sorted(folder.iterdir()) if path.is_file()}
        return next((there[name] for name in TABLES if name in there), None)
    given = Path(table).expanduser()
    for path in (given, folder / given):
        if path.is_file():
            return path
    raise CollectionError(f"no table {str(table)!r}; name a .csv, .xlsx or .json file that exists")


def _find_name_column(mapping: dict[str, str], names: list[str], table: Path) -> str:
    """Return the column by which files are found, as the table calls it."""
    theirs = {ours: name for name, ours in reversed(mapping.items())}
    for ours in ("file", "inventory"):
        if ours in theirs:
            return theirs[ours]
    shown = ", ".join(repr(name[:60]) for name in names[:12])
    raise ArtsearchError(
        f"no column of {table.name!r} is known to name the files; its columns are: {shown}; say "
        f"which one it is, as in --columns file={names[0][:60]!r}"
    )


def _rename(row: dict[str, str], mapping: dict[str, str]) -> dict[str, str]:
    return {mapping[name]: text.strip() for name, text in row.items() if mapping[name] != "file"}


def _make_items(images: dict[str, Path], rows: dict[str, dict[str, str]]) -> Iterator[Item]:
    for id, path in images.items():
        about = {"artist": "", "title": "", "year": "", "style": "", **rows.get(id, {})}
        about["title"] = about["title"] or Path(id).stem.replace("_", " ").strip()
        about["source"] = about.get("source") or id
        yield Item(id, path, about)


def _count(names: list[str], what: str, how: str) -> str:
    if not names:
        return ""
    shown = ", ".join(repr(" ".join(name[:60].split())) for name in names[:5])
    more = ", …" if len(names) > 5 else ""
    return f"; {count_of(len(names), what)} {how} ({shown}{more})"
