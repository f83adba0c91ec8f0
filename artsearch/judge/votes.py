"""Votes of people on what is similar: a CSV that grows vote by vote, and what is read from it."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from filelock import FileLock

from artsearch.base.disk import write_whole
from artsearch.base.errors import ArtsearchError, unknown
from artsearch.base.text import count_of, printable

#: What can be asked, as it stands in the file, and as a judge reads it.
QUESTIONS = {"what": "in what it shows", "how": "in how it is made", "whole": "as a whole"}
#: What can be answered; "undo" takes back an earlier vote of the same judge.
ANSWERS = ("first", "second", "equal", "neither")
UNDO = "undo"
#: What votes that no person gave have as `choice`.
SIMULATED = "simulated"
#: Three works, or a work and two whole rows of neighbours.
KINDS = ("triplet", "rows")
#: Why a triplet was asked: networks disagree, it is easy, it was asked before, to try it out, at
#: random, or a visitor said of a work that it is alike and of another that it is not.
REASONS = ("disagree", "easy", "again", "tried", "random", "session")

SAID_OF_SIMULATED = """

**Votes of simulated judges are among these.** No person gave them, and they say nothing of art."""
DATASHEET = """\
# Votes on similar artworks: {name}

{votes} by {judges}, {span}.{simulated}

## What a row is

A judge saw a work (`query`) and two others (`first`, `second`), or two rows of works, and said
which is more like it. No caption and no network was shown; `left` says which stood left, drawn by
chance. `answer` is first, second, equal or neither; a row with `undo` takes back the vote that
`undoes` names. Rows whose `why` is tried are answers to drawn examples, and not counted here.

{asked}

## How the questions were chosen

As `artsearch.judge.triplets` says: where descriptors disagree most, some easy ones, some twice. So
they are no sample of all triplets, and shares of agreement are those on disputed cases. Why each
was asked:

{reasons}

Different works in the triplets: {works}.

## Who judged

{each}

{own}
- Who are the judges (training, relation to the works), and were they paid?
- Did they agree that their votes are published, and under which name?
- Which collection is it, and under which licence are its pictures?
- Under which licence may the votes be used?
"""
#: From where on a datasheet is theirs who asked: what they wrote is kept.
OWN = "## To be filled in by those who asked\n"


@dataclass(frozen=True)
class Vote:
    """One answer of one judge, as a row of the file.

    `first` and `second` are works, or for `kind` "rows" the works of two rows as a JSON list, found
    by `first_by` and `second_by`. `left` says which of the two stood left ("first" or "second"),
    `why` is one of REASONS, `seconds` what the vote took, `choice` names the set of questions it
    belongs to. `undoes` is the vote that this one takes back. Raises ArtsearchError for an unknown
    kind, question, answer or side.
    """

    judge: str
    question: str
    query: str
    first: str
    second: str
    answer: str
    kind: str = "triplet"
    left: str = "first"
    why: str = "disagree"
    first_by: str = ""
    second_by: str = ""
    seconds: float = 0.0
    choice: str = ""
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    undoes: str = ""

    def __post_init__(self):
        for name, value, choices in (
            ("kind", self.kind, KINDS),
            ("question", self.question, QUESTIONS),
            ("answer", self.answer, (*ANSWERS, UNDO)),
            ("side", self.left, ("first", "second")),
            ("reason", self.why, REASONS),
        ):
            if value not in choices:
                raise unknown(name, value, choices)
        if not 0 <= self.seconds < math.inf:
            raise ArtsearchError(f"it took {self.seconds} seconds; take 0 or more")
        if not self.judge.strip():
            raise ArtsearchError("the judge has no name; give a name or a number")
        for name, value in asdict(self).items():
            if isinstance(value, str) and ("\n" in value or "\r" in value):
                raise ArtsearchError(f"the {name} {value!r} has a line break; a vote is one line")

    @property
    def rows(self) -> tuple[list[str], list[str]]:
        """The works of both rows, of a vote on rows."""
        return json.loads(self.first), json.loads(self.second)


COLUMNS = tuple(one.name for one in fields(Vote))


class Votes:
    """A CSV of votes that several people may write at once; a vote is in it whole or not at all.

    A vote is on the disk when `add` returns. What a crash left half written is cut off by the next
    vote; nothing else is ever changed. Raises ArtsearchError for a file of something else, one
    whose columns were moved, and where it cannot be written.

        votes = Votes("votes.csv")
        votes.add(Vote("Ada", "how", query, first, second, "first"))
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._lock = FileLock(f"{self.path}.lock")
        if _holds_some(self.path):
            read_votes(self.path)  # says now, and not after an evening, what is wrong
            with open(self.path, "rb") as file:
                _check_columns(file, self.path)

    def __len__(self) -> int:
        return len(self.table())

    def __repr__(self) -> str:
        return f"<Votes: {count_of(len(self), 'vote')} in {str(self.path)!r}>"

    def add(self, vote: Vote) -> Vote:
        """Write a vote, and return it."""
        line = _to_csv([asdict(vote)])
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock, open(self.path, "a+b") as file:
                _end_last_line(file)
                if file.tell():
                    _check_columns(file, self.path)
                else:
                    line = _to_csv([], header=True) + line
                start = file.seek(0, os.SEEK_END)
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(start)  # a full disk keeps no half of a vote
                    raise
        except OSError as error:
            raise ArtsearchError(
                f"cannot write the vote to {str(self.path)!r} ({error.strerror}); it is not "
                "counted: make room, or name another file"
            ) from None
        return vote

    def undo(self, judge: str, id: str = "") -> Vote | None:
        """Take back the last vote of a judge, or the one named, and return it; None if none holds.

        It stays in the file, with a further row that takes it back.
        """
        mine = self.table()
        mine = mine[(mine["judge"] == judge) & (not id or mine["id"] == id)]
        if mine.empty:
            return None
        last = _to_vote(mine.iloc[-1])
        again = Vote(**{key: getattr(last, key) for key in COLUMNS if key not in ("time", "id")})
        self.add(replace(again, answer=UNDO, undoes=last.id))
        return last

    def table(self) -> pd.DataFrame:
        """Return the votes that hold, those taken back left out: a row each, with COLUMNS."""
        return read_votes(self.path) if _holds_some(self.path) else _make_table([])


def read_votes(path: str | os.PathLike, taken_back: bool = False) -> pd.DataFrame:
    """Return the votes of a file, a row each, with COLUMNS; all are texts but `seconds`.

    Those that were taken back, and the rows that did so, are left out unless `taken_back`; a row
    that stands twice counts once. A last line that a crash cut short is passed over. Raises
    ArtsearchError for a file that is none of votes, with the line and what is wrong.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ArtsearchError(f"cannot read the votes in {str(path)!r} ({error})") from None
    end = text.rfind("\n") + 1
    text = text if _is_whole(text[end:]) else text[:end]
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise ArtsearchError(
                f"{str(path)!r} holds no votes: it has no column {missing[0]!r}; name a CSV that "
                "a Judge wrote"
            )
        rows = []
        for row in reader:
            try:
                rows.append(asdict(_to_vote({name: row[name] or "" for name in COLUMNS})))
            except (ArtsearchError, ValueError) as error:
                line = f"line {reader.line_num} of {str(path)!r}"
                raise ArtsearchError(f"{line} is no vote: {error}; mend or remove it") from None
    except csv.Error as error:
        raise ArtsearchError(f"line {reader.line_num} of {str(path)!r}: {error}") from None
    table = _make_table(rows)
    return table if taken_back else _hold(table)


def merge_votes(paths: Sequence[str | os.PathLike], out: str | os.PathLike) -> pd.DataFrame:
    """Write the votes of several files into one, by time, each vote once, and a datasheet beside.

    Rows that took a vote back are merged too, and votes that are in `out` already stay in it, also
    those that are given meanwhile. Return the votes that hold. Raises ArtsearchError for files that
    cannot be read, an `out` or a datasheet that is something else, and two votes of the same id
    that differ; `out` is then as it was.
    """
    if not paths:
        raise ArtsearchError("no votes to merge; name one or more CSV files of votes")
    out = Path(out)
    if out.suffix == ".md":
        raise ArtsearchError(f"{str(out)!r} is where the datasheet goes; name a file .csv")
    _own_part(out.with_suffix(".md"))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{out}.lock"):  # nobody votes while the file is replaced
            table = _put_together([*paths, *([out] if _holds_some(out) else [])])
            write_whole(out, _to_csv(table.to_dict("records"), header=True))
    except OSError as error:
        raise ArtsearchError(
            f"cannot write {str(out)!r} ({error.strerror}); name another place"
        ) from None
    held = _hold(table)
    write_datasheet(out, held)
    return held


def _put_together(paths: Sequence[str | os.PathLike]) -> pd.DataFrame:
    together = pd.concat([read_votes(path, taken_back=True) for path in paths])
    table = together.drop_duplicates().sort_values(["time", "id"], ignore_index=True)
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise ArtsearchError(f"two different votes have the id {twice.iloc[0]!r}; one was edited")
    return table


def write_datasheet(path: str | os.PathLike, votes: pd.DataFrame) -> Path:
    """Write what is known of votes beside their file, and what only those who asked can say.

    What they said in an earlier one is kept. Raises ArtsearchError where something else is there.
    The questions are those of Gebru et al. 2021 (Datasheets for Datasets, CACM 64(12)).
    """
    path = Path(path)
    sheet = path.with_suffix(".md")
    votes = votes[votes["why"] != "tried"]
    per_judge = votes.groupby("judge").size().sort_values(ascending=False)
    by_kind = votes.groupby(["kind", "question"]).size()
    by_reason = votes.groupby("why").size()
    triplets = votes.loc[votes["kind"] == "triplet", ["query", "first", "second"]]
    works = pd.unique(triplets.to_numpy().ravel())
    span = f"{votes['time'].min()[:10]} to {votes['time'].max()[:10]}" if len(votes) else "no time"
    text = DATASHEET.format(
        name=path.name,
        votes=count_of(len(votes), "vote"),
        judges=count_of(len(per_judge), "judge"),
        span=span,
        simulated=SAID_OF_SIMULATED if (votes["choice"] == SIMULATED).any() else "",
        works=f"{len(works):,}",
        asked=_list(f"{kind}, {QUESTIONS[one]}: {n:,}" for (kind, one), n in by_kind.items()),
        reasons=_list(f"{why}: {n:,}" for why, n in by_reason.items()),
        each=_list(f"{printable(judge)}: {n:,}" for judge, n in per_judge.items()),
        own=OWN,
    )
    if own := _own_part(sheet):
        text = text[: text.rindex(OWN)] + own
    return write_whole(sheet, text.encode())


def _own_part(sheet: Path) -> str:
    """Return what those who asked wrote into a datasheet, "" where there is none yet."""
    if not sheet.exists():
        return ""
    try:
        _, own, answers = sheet.read_text("utf-8").partition(OWN)
    except (OSError, UnicodeDecodeError):
        own = ""
    if not own:
        raise ArtsearchError(
            f"{str(sheet)!r} is no datasheet of votes, and would be overwritten; name another "
            "file for the votes, beside which the datasheet goes"
        )
    return own + answers


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _hold(table: pd.DataFrame) -> pd.DataFrame:
    gone = set(table["undoes"]) - {""}
    keep = (table["answer"] != UNDO) & ~table["id"].isin(gone)
    return table[keep].drop_duplicates(ignore_index=True)


def _make_table(rows: Iterable[dict]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=list(COLUMNS)).astype(
        {name: float if name == "seconds" else object for name in COLUMNS}
    )


def _to_vote(row: dict | pd.Series) -> Vote:
    return Vote(**{name: row[name] for name in COLUMNS} | {"seconds": float(row["seconds"] or 0)})


def _to_csv(rows: Iterable[dict], header: bool = False) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _holds_some(path: Path) -> bool:
    """Tell whether something is there; an empty file is what a full disk leaves of a first vote."""
    return path.exists() and (path.is_dir() or path.stat().st_size > 0)


def _is_whole(line: str) -> bool:
    """Tell whether a line has all columns: some editors leave the last one without its end."""
    try:
        return any(len(row) == len(COLUMNS) for row in csv.reader([line], strict=True))
    except csv.Error:
        return False


def _check_columns(file: io.BufferedIOBase, path: Path) -> None:
    """Raise ArtsearchError where the columns are not those that a vote is written in."""
    file.seek(0)
    if file.readline().decode("utf-8-sig", "replace").strip().split(",") != list(COLUMNS):
        raise ArtsearchError(
            f"the columns of {str(path)!r} are not as a Judge wrote them; put them in this order: "
            f"{','.join(COLUMNS)}, or name another file"
        )


def _end_last_line(file: io.BufferedRandom) -> None:
    """Leave an open file at its end, after its last whole line; what is torn is cut off."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - 4096)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0 or not start:
            file.seek(start + at + 1)
            if _is_whole(file.read().decode("utf-8", "replace")):
                file.write(b"\n")
            else:
                file.truncate(start + at + 1)
            break
        end = start
    file.seek(0, os.SEEK_END)
