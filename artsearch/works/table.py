"""Tables of works as people keep them, in CSV, Excel or JSON, and the files their rows mean."""

from __future__ import annotations

import csv
import gc
import io
import json
import math
import os
import re
import unicodedata
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from artsearch.base.errors import CollectionError, reason_of, unknown
from artsearch.base.text import disarm, shorten
from artsearch.works.formats import SUFFIXES
from artsearch.works.storage import RemoteFile

#: Bytes of a table, unpacked where it is packed.
MOST_BYTES = 512 * 1024**2
SEPARATORS = ",;\t|"
_LINE_END = re.compile(r"\r\n|\r|\n")
_EMPTY_LINES = re.compile(r"(?:[ ,;\t|]*+[\r\n]++)*+")
_QUOTED = re.compile("[\"'“„«‘](.+)[\"'”“»’]")
_SEPARATOR_LINE = re.compile(r' *"?sep=(.)"?[ ,;\t|]*', re.IGNORECASE)


def to_safe_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV; texts that a spreadsheet takes for a formula get an apostrophe.

    >>> to_safe_csv(pd.DataFrame({"title": ["=1+1"], "k": [-1]}))
    "title,k\\n'=1+1,-1\\n"
    """
    texts = table.select_dtypes(exclude="number")
    return table.assign(**texts.map(disarm)).to_csv(index=False)


def read_table(path: str | os.PathLike | RemoteFile) -> tuple[pd.DataFrame, str]:
    """Read a table of any kind as text; return it with its encoding where that is not UTF-8.

    The first row that holds anything has the names of the columns; columns without a name are left
    out, and of two of one name the first is kept. Rows that are too short are filled up. Raises
    CollectionError for what is no table, with the line where there is one to mend.
    """
    path = path if isinstance(path, RemoteFile) else Path(path)
    read = dict.fromkeys((".csv", ".tsv", ".txt"), _read_csv)
    read |= {".xlsx": _read_xlsx, ".json": _read_json, ".jsonl": _read_json}
    suffix = os.path.splitext(path.name)[1].lower()
    if suffix not in read:
        raise unknown("kind of table", path.name, read, "; save it as one of these")
    try:
        if isinstance(path, Path):
            _check_size(path, path.stat().st_size)
        with _collecting_no_garbage():
            return read[suffix](path, path.read_bytes())
    except CollectionError:
        raise
    except ImportError:
        raise CollectionError(
            f"{path} is read by the package openpyxl; install it with "
            "`pip install 'artsearch[fetch]'`, or save the table as CSV"
        ) from None
    # The readers of three formats raise whatever broken bytes lead them to.
    except Exception as error:
        raise CollectionError(
            f"{path} cannot be read as a table ({reason_of(error)}); mend it, or save it anew"
        ) from None


def read_works_csv(
    path: str | os.PathLike | RemoteFile,
    key: str = "file",
    what: str = "the image's path relative to the table",
) -> pd.DataFrame:
    """Read a works.csv: its columns in small letters, one of them `key`, which says `what`.

    Raises CollectionError as `read_table` does, and where there is no such column.
    """
    table, encoding = read_table(path)
    if encoding:
        warnings.warn(f"{path} is read as {encoding}; look at its accents", stacklevel=2)
    columns = [column.lower() for column in table.columns]
    if columns.count(key) != 1:
        number = "two columns" if key in columns else "no column"
        shown = ", ".join(repr(shorten(name, 60)) for name in columns[:12]) or "none"
        raise CollectionError(
            f"{path} has {number} {key!r} ({what}); its columns are: {shown}; mend it, or remove it"
        )
    table.columns = columns
    return table.loc[:, ~table.columns.duplicated()]


@dataclass(frozen=True)
class Matches:
    """Which rows of a table are of which files: `rows` by id; rows without a file; rows that more
    than one file fits, or a file that another row has already, with these files."""

    rows: dict[str, int] = field(default_factory=dict)
    missing: list[int] = field(default_factory=list)
    unclear: dict[int, list[str]] = field(default_factory=dict)


def match_files(names: Sequence[str], ids: Iterable[str]) -> Matches:
    r"""Find the files that the rows of a table name by their paths.

    First all files are found that are spelled as in the table, whatever form their accents have;
    then, whether in capitals or quotes or not, by path, by name, and by name without the ending of
    an image. What fits two files is not guessed.

    >>> match_files(["a.jpg", "B.JPG", "x\\c", "d.jpg"], ["a.jpg", "b.jpg", "x/c.png"])
    Matches(rows={'a.jpg': 0, 'b.jpg': 1, 'x/c.png': 2}, missing=[3], unclear={})
    """
    exact, similar = {}, [defaultdict(list) for _ in range(3)]
    for id in ids:
        exact[_compose(id)] = id
        for index, spelling in zip(similar, _spellings(id), strict=True):
            index[spelling].append(id)
    matches = Matches()
    left = []
    for row, name in enumerate(names):
        spellings = (name, name.strip(), _plain(name))
        id = next((exact[one] for one in map(_compose, spellings) if one in exact), None)
        if id is None:
            left.append(row)
        elif id in matches.rows:
            matches.unclear[row] = [id]
        else:
            matches.rows[id] = row
    for row in left:
        spellings = zip(similar, _spellings(_plain(names[row])), strict=True)
        found = next((index[one] for index, one in spellings if one and one in index), [])
        if not found:
            matches.missing.append(row)
        elif len(found) > 1 or found[0] in matches.rows:
            matches.unclear[row] = found
        else:
            matches.rows[found[0]] = row
    return matches


def _compose(name: str) -> str:
    return unicodedata.normalize("NFC", name).removeprefix("./")


def _plain(name: str) -> str:
    """Return a path as it was before Windows, a web page or an editor wrote it down."""
    name = name.strip()
    quoted = _QUOTED.fullmatch(name)
    return unquote((quoted[1] if quoted else name).replace("\\", "/"))


def _spellings(name: str) -> tuple[str, str, str]:
    """Return a path, its file name, and that without the ending of an image, without capitals."""
    path = _compose(name).casefold()
    base = path.rsplit("/", 1)[-1]
    # "1975.1.34" is an inventory number and has no ending.
    stem, ending = os.path.splitext(base)
    return path, base, stem if ending in SUFFIXES else base


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Let Python look for no rubbish: among the lists of 300,000 rows that took half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _check_size(path: Path | RemoteFile, size: int, when: str = "") -> None:
    if size > MOST_BYTES:
        raise CollectionError(f"{path} has more than {MOST_BYTES // 1024**2} MB{when}")


def _decode(path: Path | RemoteFile, data: bytes) -> tuple[str, str]:
    """Return a text, and its encoding where that is not UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16"), "UTF-16"
    if b"\0" in data.partition(b"\n")[0]:
        raise CollectionError(f"{path} is no text in UTF-8; save it as 'CSV UTF-8'")
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252"), "Windows-1252, since it is not UTF-8"


def _read_csv(path: Path | RemoteFile, data: bytes) -> tuple[pd.DataFrame, str]:
    text, encoding = _decode(path, data)
    start = _EMPTY_LINES.match(text).end()
    header = _LINE_END.split(text[start:], 1)[0]
    separator = max(SEPARATORS, key=header.count)
    # The line by which Excel is told the separator, such as "sep=;".
    if told := _SEPARATOR_LINE.fullmatch(header):
        separator, start = told[1], start + len(header)
    line = 1 + len(_LINE_END.findall(text[:start]))
    try:
        rows = list(_split(text[start:], separator, line))
    except csv.Error:
        rows = list(_split_leniently(path, text[start:], separator, line))
    return _make_frame(path, rows), encoding


def _split(text: str, separator: str, line: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV with the number of their line; raises csv.Error for stray quotes."""
    # newline="" leaves line ends inside quotes as they are.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    # Python's own limit (131,072 characters) would refuse the whole table for one field.
    before = csv.field_size_limit(max(len(text), csv.field_size_limit()))
    try:
        first = line
        for row in reader:
            yield first, row
            first = line + reader.line_num
    finally:
        csv.field_size_limit(before)


def _split_leniently(
    path: Path | RemoteFile, text: str, separator: str, line: int
) -> Iterator[tuple[int, list[str]]]:
    r"""Yield the rows of a CSV with stray quotes, with the number of their line.

    A field is quoted where its closing quote ends it, if need be with `\"` for quotes inside; else
    its quotes are part of the text, as in `"Nude" (study)`. Raises CollectionError for one alone.
    """
    stop = re.escape(separator) + r"\r\n"
    field = re.compile(
        rf'"(?P<doubled>[^"]*+(?:""[^"]*+)*+)"(?=[{stop}]|\Z)'
        rf'|"(?P<escaped>(?:[^"\\]|\\.)*+)"(?=[{stop}]|\Z)'
        rf"|(?P<plain>[^{stop}]*+)",
        re.DOTALL,
    )
    place, first, row = 0, line, []
    while place < len(text):
        found = field.match(text, place)
        value = found[found.lastgroup]
        if found.lastgroup == "doubled":
            value = value.replace('""', '"')
        elif found.lastgroup == "escaped":
            value = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        elif value.startswith('"') and value.count('"') % 2:
            raise CollectionError(
                f"{path} has a quotation mark in line {line} that is never closed "
                f"({shorten(value, 60)!r}); close it, or remove it"
            )
        row.append(value)
        line += len(_LINE_END.findall(found[0]))
        place = found.end()
        if text.startswith(separator, place):
            place += 1
            continue
        yield first, row
        place += 2 if text.startswith("\r\n", place) else 1
        line += 1
        first, row = line, []
    if row:
        yield first, row


def _make_frame(path: Path | RemoteFile, numbered: Sequence[tuple[int, list[str]]]) -> pd.DataFrame:
    """Make a table of the rows that hold anything; the first of them has the names."""
    numbered = [(line, row) for line, row in numbered if any(map(str.strip, row))]
    if not numbered:
        return pd.DataFrame()
    names = [name.strip() for name in numbered[0][1]]
    places = {name: names.index(name) for name in names if name}
    for line, row in numbered[1:]:
        if len(row) > len(names) and any(map(str.strip, row[len(names) :])):
            raise CollectionError(
                f"{path} has {len(names)} columns, but its line {line} has {len(row)} "
                f"({shorten(row[0], 60)!r}); put quotes around a text that has commas"
            )
        row += [""] * (len(names) - len(row))
    values = list(zip(*(row[: len(names)] for _, row in numbered[1:]), strict=True))
    columns = {name: values[place] if values else [] for name, place in places.items()}
    return pd.DataFrame(columns, dtype=str)


def _read_xlsx(path: Path | RemoteFile, data: bytes) -> tuple[pd.DataFrame, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        _check_size(path, sum(part.file_size for part in parts.infolist()), " when unpacked")
    cells = pd.read_excel(io.BytesIO(data), header=None, dtype=object, engine="openpyxl")
    return _make_frame(path, list(enumerate(cells.map(to_text).values.tolist(), start=1))), ""


def _read_json(path: Path | RemoteFile, data: bytes) -> tuple[pd.DataFrame, str]:
    text, encoding = _decode(path, data)
    try:
        found = json.loads(text)
    except ValueError:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    rows = _find_rows(found)
    if not all(isinstance(row, dict) for row in rows):
        raise CollectionError(
            f"{path} is neither a list of objects, nor an object of columns, nor an object "
            "a line; save it as one of these"
        )
    texts = [{str(name).strip(): to_text(value) for name, value in row.items()} for row in rows]
    return pd.DataFrame(texts, dtype=object).fillna("").astype(str), encoding


def _find_rows(found: object) -> list:
    """Return the rows of a list, of the only list in an object, or of an object of columns."""
    if isinstance(found, list):
        return found
    if not isinstance(found, dict) or not found:
        return [None]
    values = list(found.values())
    lists = [value for value in values if isinstance(value, list)]
    if len(lists) == 1 and lists[0] and all(isinstance(row, dict) for row in lists[0]):
        return lists[0]
    if not all(isinstance(value, list | dict) for value in values):
        return [found]  # one work
    columns = {
        name: value if isinstance(value, dict) else dict(enumerate(value))
        for name, value in found.items()
    }
    keys = dict.fromkeys(key for column in columns.values() for key in column)
    return [{name: column.get(key) for name, column in columns.items()} for key in keys]


def to_text(value: object) -> str:
    """Return a cell as a person writes it.

    >>> [to_text(cell) for cell in (1831.0, datetime(1831, 5, 1), None, ["oil", "canvas"], True)]
    ['1831', '1831-05-01', '', 'oil; canvas', 'true']
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(filter(None, map(to_text, value)))
    if isinstance(value, dict | bool):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, datetime) and value is not pd.NaT:
        value = value.date() if value.time() == time() else value
        return value.isoformat()
    if isinstance(value, date | time) and value is not pd.NaT:
        return value.isoformat()
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)
