"""Tables as people keep them: CSV of any kind, Excel, JSON; all cells come out as text."""

from __future__ import annotations

import io
import json
import math
import zipfile
from datetime import date, datetime, time
from pathlib import Path

import pandas as pd

from artsearch.base.errors import ArtsearchError, unknown

#: Bytes of a table, unpacked where it is packed.
MOST_BYTES = 512 * 1024**2


def read_rows(path: Path) -> tuple[pd.DataFrame, str]:
    """Read a table as text; return it with its encoding where that is not UTF-8.

    Raises ArtsearchError for what is no table.
    """
    read = {".csv": _read_csv, ".tsv": _read_csv, ".txt": _read_csv, ".xlsx": _read_xlsx}
    read |= {".json": _read_json, ".jsonl": _read_json}
    suffix = path.suffix.lower()
    if suffix not in read:
        raise unknown("kind of table", path.name, read, "; save it as one of these")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ArtsearchError(f"{path.name!r} has more than {MOST_BYTES // 1024**2} MB")
        frame, encoding = read[suffix](path)
    except ArtsearchError:
        raise
    except ImportError:
        raise ArtsearchError(
            f"{path.name!r} is read by the package openpyxl; install it with "
            "`pip install 'artsearch[fetch]'`, or save the table as CSV"
        ) from None
    # The readers of three formats raise whatever broken bytes lead them to.
    except Exception as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise ArtsearchError(
            f"cannot read {path.name!r} as a table ({reason or type(error).__name__}); "
            "mend it, or save it anew"
        ) from None
    if frame.empty:
        raise ArtsearchError(f"{path.name!r} has no rows below its column names; name another")
    return frame, encoding


def _read_csv(path: Path) -> tuple[pd.DataFrame, str]:
    text, encoding = _decode(path)
    if not text.strip():
        return pd.DataFrame(), encoding
    header = text.lstrip().partition("\n")[0]
    separator = max(",;\t|", key=header.count)
    lines = pd.read_csv(
        io.StringIO(text), sep=separator, header=None, dtype=str, keep_default_na=False
    )
    return _with_header(lines), encoding


def _decode(path: Path) -> tuple[str, str]:
    """Return a text, and its encoding where that is not UTF-8."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16"), "UTF-16"
    if b"\0" in data:
        raise ArtsearchError(f"{path.name!r} is no text in UTF-8; save it as 'CSV UTF-8'")
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return data.decode("cp1252"), "Windows-1252, since it is not UTF-8"


def _read_xlsx(path: Path) -> tuple[pd.DataFrame, str]:
    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > MOST_BYTES:
            raise ArtsearchError(
                f"{path.name!r} has more than {MOST_BYTES // 1024**2} MB when unpacked"
            )
    cells = pd.read_excel(path, header=None, dtype=object, engine="openpyxl")
    return _with_header(cells.map(_to_text)), ""


def _with_header(lines: pd.DataFrame) -> pd.DataFrame:
    """Take the first line that holds anything for the names; leave out what is empty."""
    lines = lines.fillna("").map(str.strip)
    lines = lines[(lines != "").any(axis=1)]
    if lines.empty:
        return lines
    names = lines.iloc[0].tolist()
    # Of two columns of one name the first is kept, as in a works.csv.
    places = {name: names.index(name) for name in names if name}
    return pd.DataFrame({name: lines.iloc[1:, place] for name, place in places.items()})


def _read_json(path: Path) -> tuple[pd.DataFrame, str]:
    text, encoding = _decode(path)
    try:
        found = json.loads(text)
    except ValueError:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    rows = _find_rows(found)
    if not all(isinstance(row, dict) for row in rows):
        raise ArtsearchError(
            f"{path.name!r} is neither a list of objects, nor an object of columns, nor an object "
            "a line; save it as one of these"
        )
    texts = [{str(name).strip(): _to_text(value) for name, value in row.items()} for row in rows]
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
    places = dict.fromkeys(place for column in columns.values() for place in column)
    return [{name: column.get(place) for name, column in columns.items()} for place in places]


def _to_text(value: object) -> str:
    """Return a cell as a person writes it.

    >>> [_to_text(cell) for cell in (1831.0, datetime(1831, 5, 1), None, ["oil", "canvas"], True)]
    ['1831', '1831-05-01', '', 'oil; canvas', 'true']
    """
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(filter(None, map(_to_text, value)))
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
