"""A collection: a folder of images, here or in object storage, and what is known of each work."""

import os
import posixpath
import re
import unicodedata
import warnings
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from artsearch.base.disk import MANIFEST, fingerprint
from artsearch.base.errors import ArtsearchError, CollectionError, ImageError, unknown
from artsearch.base.text import count_of, cut_text, fold, shorten
from artsearch.works.cards import Card
from artsearch.works.conditions import Columns
from artsearch.works.file_state import hash_file
from artsearch.works.formats import SUFFIXES, why_left_out
from artsearch.works.images import open_image
from artsearch.works.storage import RemoteFile, RemoteFolder, as_local, check_address, is_address
from artsearch.works.table import match_files, read_works_csv

TABLE = "works.csv"
#: Folder of vectors within a collection that has these in place of pictures.
VECTORS = "vectors"
#: Characters of one field of a table; what is longer was not meant as a caption, and is cut.
LONGEST = 10_000
COLUMNS = ("artist", "title", "year", "style")
MISSING = "the file is missing"
#: Column that names what machine made a work; empty, or a word that says none, for one by hand.
MACHINE_MADE = "machine_made"
NO_MACHINE = {"", "no", "none", "false", "0"}


class Collection:
    """The works of a folder, subfolders included, with what their `works.csv` says of them.

    A work's id is its path relative to the folder, with `/` between the parts; works are sorted by
    id, so ids and order stay the same from run to run. A `works.csv` (columns `file, artist, title,
    year, style` and any others; `file` relative to the table) may lie in the folder or in any
    subfolder; where two tables name the same work, the one higher up wins. Works that no table
    names are taken too, and the title of a work without one is its file name. Names that begin
    with a dot are passed over, and links to folders are not followed. A column `machine_made` names
    the tool that made a work: such works are marked wherever they are shown, and can be left out.

    The folder may be in object storage: any address that fsspec has a protocol for, such as
    `s3://bucket/folder`. It is listed once, here; what changes there afterwards is seen when the
    collection is opened anew.

    A folder may hold vectors in place of pictures (see `artsearch fetch vectors`): its works are
    then those of its `works.csv`, in that order, by the column `id`; `has_pictures` tells. What is
    shown of such a work is the picture at the address in its column `image`, or a card.

    `works` is a pandas table, one row a work, all columns text. `skipped` lists what was left out,
    as (name, reason). Raises CollectionError for a folder that is missing or holds no image, and
    for a table that cannot be read.
    """

    has_pictures = True

    def __init__(self, folder: str | os.PathLike):
        self.folder = _check_folder(folder)
        if _holds_vectors(self.folder):
            self.has_pictures = False
            self.works, self.skipped = _read_works(self.folder / TABLE)
            self.ids: list[str] = self.works["id"].tolist()
        else:
            self._paths, tables, self.skipped = find_files(self.folder)
            self.ids = list(self._paths)
            self.works = _describe(self.ids, self._read_tables(tables))
        self._row = {id: row for row, id in enumerate(self.ids)}
        if self.skipped:
            warnings.warn(self._report(), stacklevel=2)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __contains__(self, work_id: object) -> bool:
        return work_id in self._row

    def __repr__(self) -> str:
        return f"<Collection of {count_of(len(self), 'work')} in {self.name}>"

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.resolve().name

    @cached_property
    def columns(self) -> Columns:
        """The columns of the table, as conditions compare them."""
        return Columns(self.works)

    def row(self, work_id: str) -> int:
        """Return the row of a work; raises ArtsearchError with the nearest ids if there is none."""
        if work_id not in self._row:
            raise unknown("work", work_id, self.ids)
        return self._row[work_id]

    def path(self, work_id: str) -> Path | RemoteFile | Card:
        """Return the file of a work; what stands for it where there is none."""
        self.row(work_id)
        return self._paths[work_id] if self.has_pictures else self._card(work_id)

    def open(self, work_id: str):
        """Open a work as an RGB image; raises ImageError when it cannot be read."""
        return open_image(self.path(work_id))

    def readable(self) -> Iterator[str]:
        """Yield the ids of the works that can be opened, opening one after the other.

        Raises CollectionError where there is none, ImageError where there are vectors alone.
        """
        skipped = []
        if not self.has_pictures:
            self.open(self.ids[0])
        for id in self.ids:
            try:
                self.open(id)
            except ImageError as error:
                skipped.append((id, str(error)))
            else:
                yield id
        if len(skipped) == len(self):
            raise none_readable(self, skipped)

    def work(self, work_id: str) -> dict[str, str]:
        """Return all that is known of a work, by column."""
        return self.works.iloc[self.row(work_id)].to_dict()

    def caption(self, work_id: str) -> str:
        """Return a work's artist, title, year and style in one line, and whether a machine made it.

        >>> Collection("data/paintings").caption("albrecht-durer_lion.jpg")
        'Albrecht Dürer, Lion, 1494, Northern Renaissance'
        """
        work = self.work(work_id)
        parts = [shorten(work[column], 300) for column in COLUMNS]
        parts.append("made by a machine" if self.machine_made(work_id) else "")
        return ", ".join(part for part in parts if part)

    def machine_made(self, work_id: str) -> str:
        """Return what machine made a work, as its column `machine_made` has it; "" if none did."""
        self.row(work_id)
        return self.machines.get(work_id, "")

    @cached_property
    def machines(self) -> Mapping[str, str]:
        """The works that a machine made, each with what made it."""
        if MACHINE_MADE not in self.works:
            return {}
        provenance = zip(self.ids, self.works[MACHINE_MADE].str.strip(), strict=True)
        return {id: name for id, name in provenance if fold(name) not in NO_MACHINE}

    @cached_property
    def is_machine_made(self) -> pd.Series:
        """For each row of the table whether a machine made the work."""
        return pd.Series([id in self.machines for id in self.ids], self.works.index)

    def has_both(self, ids: Sequence[str]) -> bool:
        """Whether of these works some are made by a machine, and two or more by hand."""
        machines = sum(id in self.machines for id in ids)
        return 0 < machines <= len(ids) - 2

    def by_hand_first(self, ids: Sequence[str]) -> list[str]:
        """Return works in the order given, but those made by a machine after the others."""
        return sorted(ids, key=lambda work_id: work_id in self.machines)

    def sample(self, n: int, seed: int = 0) -> list[str]:
        """Return n ids drawn at random without repeats, the same ones for the same seed."""
        if not isinstance(n, int | np.integer) or not 1 <= n <= len(self):
            raise ArtsearchError(
                f"cannot draw {n!r} works; the collection holds {len(self)}: take 1 to {len(self)}"
            )
        rows = np.random.default_rng(seed).choice(len(self), n, replace=False)
        return [self.ids[row] for row in rows]

    def fingerprint(self) -> str:
        """Return a hash of the ids and the contents of all files: it tells one state from another.

        Captions do not count: a corrected title leaves every feature as it is. Raises
        CollectionError where a remote store does not answer.
        """
        if not self.has_pictures:
            return fingerprint((id, "") for id in self.ids)
        return fingerprint((id, _content(self._paths[id])) for id in self.ids)

    def _card(self, work_id: str) -> Card:
        work = self.work(work_id)
        said = {name: work.get(name, "") for name in ("artist", "title", "year", "link")}
        return Card(work_id, self.folder, work.get("image", ""), **said)

    def _read_tables(self, tables: dict[str, Path | RemoteFile]) -> dict[str, dict[str, str]]:
        """Read every works.csv below the folder; the ones higher up come last and win."""
        known = {unicodedata.normalize("NFC", id): id for id in self._paths}
        rows: dict[str, dict[str, str]] = {}
        for id in sorted(tables, key=lambda work_id: (-work_id.count("/"), work_id)):
            rows.update(self._match(id, read_works_csv(tables[id]), known))
        return rows

    def _match(self, place: str, table: pd.DataFrame, known: dict[str, str]) -> dict:
        """Match the rows of one table to the images by name; note the rows without one."""
        parent = place.rpartition("/")[0]
        files = table.pop("file").tolist()
        names, reasons = [], {}
        for row, name in enumerate(files):
            inside = self._inside(parent, name, known)
            if inside not in known:
                reasons[row] = self._why_not(name, inside)
            names.append(inside if reasons.get(row, MISSING) == MISSING else "")
        # What is spelled otherwise is looked for below the table's folder.
        begin, end = (bisect_left(self.ids, parent and parent + mark) for mark in "/0")
        ids = dict.fromkeys(self.ids[begin : end if parent else None])
        ids |= dict.fromkeys(known[name] for name in names if name in known)
        matches = match_files(names, ids)
        for row, found in matches.unclear.items():
            also = " or ".join(repr(id) for id in found[:5])
            reasons[row] = f"it may be {also}" if found[1:] else "a second row for the same file"
        for row in sorted({*matches.missing, *matches.unclear}):
            self.skipped.append((files[row], f"row of {place}: {reasons[row]}"))
        rows = table.to_dict("records")
        return {id: rows[row] for id, row in matches.rows.items()}

    def _inside(self, parent: str, name: str, known: dict[str, str]) -> str:
        """Return where a name in a table leads, as an id would have it."""
        for spelling in (name, name.strip(), name.strip().replace("\\", "/")):
            if isinstance(self.folder, RemoteFolder):
                inside = posixpath.normpath(posixpath.join(parent, spelling))
            else:
                target = os.path.normpath(self.folder / parent / spelling)
                inside = os.path.relpath(target, self.folder).replace(os.sep, "/")
            inside = unicodedata.normalize("NFC", inside)
            if inside in known:
                break
        return inside

    def _why_not(self, name: str, inside: str) -> str:
        # Whether a store has it without a suffix of images would take a question for each row.
        is_remote = isinstance(self.folder, RemoteFolder)
        is_there = not is_remote and os.path.exists(self.folder / inside)
        if not name.strip():
            return "no file named"
        if inside.split("/")[0] == ".." and (is_there or is_remote):
            return "lies outside the folder"
        return "not an image file" if is_there else MISSING

    def _report(self) -> str:
        # One message for all: a table of 10,000 rows may come with 500 images.
        shown = "; ".join(
            f"{cut_text(name, 300)!r} ({reason})" for name, reason in self.skipped[:5]
        )
        more = f"; and {len(self.skipped) - 5} more" if len(self.skipped) > 5 else ""
        return f"{len(self.skipped)} left out of {self.name}: {shown}{more}"


def none_readable(collection: Collection, skipped: Sequence[tuple[str, str]]) -> CollectionError:
    """Make the error for a collection in which no work can be read."""
    return CollectionError(
        f"none of the {len(collection):,} works of {collection.name} can be read as an image, the "
        f"first one because: {skipped[0][1]}"
    )


def _check_folder(folder: str | os.PathLike) -> Path | RemoteFolder:
    if not str(folder or ""):
        raise CollectionError("no collection named; name a folder of images")
    if is_address(folder):
        path = as_local(folder)
        if path is None:
            return check_address(folder)
    else:
        path = Path(os.path.expanduser(folder))
    if not os.path.isdir(path):
        what = "is a file, not a folder" if os.path.exists(path) else "does not exist"
        hint = ""
        if re.match(r"\w{2,}:/[^/]", str(path)):
            hint = " (an address is given as a text; a Path takes a slash from it)"
        raise CollectionError(
            f"the collection {str(folder)!r} {what}{hint}; name a folder of images"
        )
    return path


def find_files(folder: Path | RemoteFolder) -> tuple[dict, dict, list[tuple[str, str]]]:
    """Return images and tables below a folder, each by id; and what had to be left out."""
    images, tables, skipped = {}, {}, []
    is_remote = isinstance(folder, RemoteFolder)
    for id, path in folder.files(skipped) if is_remote else _list_files(folder, skipped):
        is_table = path.name.casefold() == TABLE
        is_picture = path.name.lower().endswith(SUFFIXES)
        if not is_remote and not os.path.isfile(path):  # a pipe would be waited for without end
            if not is_table and not is_picture:
                continue
            skipped.append((path.name, "no regular file, or a link that leads nowhere"))
        elif is_table:
            tables[id] = path
        elif reason := why_left_out(path):
            skipped.append((path.name, reason))
        elif is_picture:
            if id in images:  # a name of bytes, and one that spells the same bytes out
                skipped.append((path.name, f"a second file that is written {id!r}; rename it"))
            else:
                images[id] = path
    if not images:
        reasons = "".join(f"; {name!r}: {reason}" for name, reason in skipped[:3])
        raise CollectionError(
            f"no images in {str(folder)!r} or its subfolders; "
            f"a collection takes files that end in {', '.join(SUFFIXES)}{reasons}"
        )
    return dict(sorted(images.items())), tables, skipped


def _holds_vectors(folder: Path | RemoteFolder) -> bool:
    # A folder of that name may hold pictures: what was fetched is known by its manifest.
    stores = Path(folder, VECTORS).glob(f"*/*/{MANIFEST}") if isinstance(folder, Path) else ()
    return any(True for _ in stores)


def _read_works(path: Path) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Return the works of a table that has their ids, and the rows that name none or one twice."""
    table = read_works_csv(path, "id", "what its vector is found by")
    is_twice = table["id"].duplicated()
    skipped = [
        (id, "no id" if not id else "a second row of this id")
        for id in table["id"][is_twice | (table["id"] == "")]
    ]
    works = table[~is_twice & (table["id"] != "")].reset_index(drop=True)
    if works.empty:
        raise CollectionError(f"{path} names no work; fetch the vectors again")
    return _complete(works), skipped


def _list_files(folder: Path, skipped: list[tuple[str, str]]) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder, by id; note the folders that are not looked into."""

    def note(error: OSError) -> None:
        skipped.append((error.filename, f"the folder cannot be read: {error.strerror}"))

    for parent, folders, files in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if os.path.islink(os.path.join(parent, name)):
                skipped.append((name, "a link to a folder, which is not followed"))
        paths = (Path(parent, name) for name in files if not name.startswith("."))
        yield from ((_id(path, folder), path) for path in paths)


def _id(path: Path, folder: Path) -> str:
    # A name of bytes that are no UTF-8 is kept readable, so that any table can store the id.
    relative = os.fsencode(path.relative_to(folder).as_posix())
    return relative.decode("utf-8", "backslashreplace")


def _describe(ids: list[str], rows: dict[str, dict[str, str]]) -> pd.DataFrame:
    # The id comes last too: a table may have a column of that name.
    return _complete(pd.DataFrame([{"id": id} | rows.get(id, {}) | {"id": id} for id in ids]))


def _complete(works: pd.DataFrame) -> pd.DataFrame:
    """Return a table that has all COLUMNS, first, as texts of a bearable length."""
    missing = [column for column in COLUMNS if column not in works]
    works = works.assign(**dict.fromkeys(missing, "")).fillna("").astype(str)
    for column in works.columns.drop("id"):
        if works[column].str.len().max() > LONGEST:
            works[column] = works[column].map(lambda text: cut_text(text, LONGEST))
    bare = works["title"].str.strip() == ""
    stems = works["id"][bare].map(lambda work_id: Path(work_id).stem.replace("_", " ").strip())
    works.loc[bare, "title"] = stems
    first = ["id", *COLUMNS]
    return works[first + [column for column in works if column not in first]]


def _content(path: Path | RemoteFile) -> str:
    try:
        return hash_file(path)
    except ImageError:
        if isinstance(path, RemoteFile):
            path.ask()  # raises where it is the store that is gone, and not the file
        return ""
