"""Whatever happens to a run, what it left behind is a beginning of what it wrote."""

import json
import os
import resource
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from tiers import slow

from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features.journal import LINES, ROWS, Entry, Journal
from artsearch.works.file_state import FileState

NOTE = {"network": "made up", "pool": 1, "crop": "no_crop"}
ODD = ["two\nlines.jpg", "\u2028.jpg", "🎨.png", 'it\'s "so".gif', "caf\\xe9.jpg", "\\", "", "a\0b"]


def entry(number: int, id: str = "", reason: str = "") -> Entry:
    state = FileState(100 + number, 2**60 + number, 2**61 + number, f"{number:064x}")
    return Entry(id or f"{number}.jpg", state, reason)


def batch(*numbers: int) -> tuple[list[Entry], np.ndarray]:
    """Works, and rows of three numbers that tell which work they are of."""
    rows = [[number, number + 0.5, -number] for number in numbers]
    return [entry(number) for number in numbers], np.array(rows, dtype=np.float32)


#: Entries and rows, as they are added one after the other; without rows they are known or broken.
BATCHES = [
    batch(0, 1),
    ([entry(2, "broken.jpg", "not a JPEG"), Entry("copy.jpg", entry(0).state)], None),
    batch(3),
    batch(4, 5, 6),
]


def write(folder: Path, batches=BATCHES, note=NOTE) -> None:
    journal = Journal(folder, note)
    for entries, rows in batches:
        journal.add(entries, rows)
    journal.close()


def contents(journal: Journal) -> tuple[list[Entry], dict[str, list]]:
    """What a journal holds: its entries, and the row of each content."""
    numbers = np.array(list(journal.rows.values()), dtype=int)
    rows = journal.take(numbers).tolist() if len(numbers) else []
    return journal.entries, dict(zip(journal.rows, rows, strict=True))


def expected(batches) -> tuple[list[Entry], dict[str, list]]:
    with_rows = [(entries, rows) for entries, rows in batches if rows is not None]
    return [one for entries, _ in batches for one in entries], {
        one.state.sha256: row.tolist()
        for entries, rows in with_rows
        for one, row in zip(entries, rows, strict=True)
    }


BEGINNINGS = [expected(BATCHES[:count]) for count in range(len(BATCHES) + 1)]


def reopened(folder: Path) -> tuple[list[Entry], dict[str, list]]:
    journal = Journal(folder, NOTE)
    found = contents(journal)
    journal.close()
    return found


def assert_goes_on(folder: Path) -> int:
    """Open what is left: whole batches from the beginning; adding works. Return how many."""
    journal = Journal(folder, NOTE)
    found = contents(journal)
    assert found in BEGINNINGS
    count = BEGINNINGS.index(found)
    journal.add(*batch(7, 8))
    journal.close()
    assert reopened(folder) == expected([*BATCHES[:count], batch(7, 8)])
    return count


# Round trips


def test_what_was_added_is_there_again(tmp_path):
    write(tmp_path / "deep" / "journal")
    journal = Journal(tmp_path / "deep" / "journal", NOTE)
    assert contents(journal) == expected(BATCHES)
    assert (len(journal), journal.dims) == (6, 3)
    journal.close()


def test_a_batch_is_there_before_the_journal_is_closed(tmp_path):
    journal = Journal(tmp_path, NOTE)
    for count, (entries, rows) in enumerate(BATCHES, 1):
        journal.add(entries, rows)
        assert contents(journal) == reopened(tmp_path) == BEGINNINGS[count]
    journal.close()


def test_each_run_adds_to_those_before(tmp_path):
    for count, one in enumerate(BATCHES, 1):
        write(tmp_path, [one])
        assert reopened(tmp_path) == BEGINNINGS[count]


def test_opening_and_closing_changes_nothing(tmp_path):
    write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    reopened(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(before) == {LINES, ROWS}


def test_odd_names_and_reasons_come_back(tmp_path):
    odd = [entry(number, id or " ", reason=id) for number, id in enumerate(ODD)]
    write(tmp_path, [(odd, None), batch(9)])
    assert reopened(tmp_path) == expected([(odd, None), batch(9)])
    assert (tmp_path / LINES).read_bytes().isascii()


def test_of_the_same_content_the_first_row_counts(tmp_path):
    same = [entry(0), Entry("copy.jpg", entry(0).state), entry(1)]
    rows = np.array([[1], [2], [3]], np.float32)
    write(tmp_path, [(same, rows), ([entry(2)], rows[1:2])])
    entries, found = reopened(tmp_path)
    assert entries == [*same, entry(2)]
    assert found == {entry(number).state.sha256: [row] for number, row in enumerate([1, 3, 2])}


def test_rows_are_taken_in_any_order_and_again_and_again(tmp_path):
    write(tmp_path)
    journal = Journal(tmp_path, NOTE)
    number = {one: journal.rows[entry(one).state.sha256] for one in (0, 1, 3, 4, 5, 6)}
    wanted = [6, 0, 0, 3, 6, 1]
    rows = journal.take(np.array([number[one] for one in wanted]))
    assert rows.dtype == np.float32 and rows[:, 0].tolist() == wanted
    rows[:] = 0  # a copy: what is on disk stays
    assert journal.take(np.array([number[5]])).tolist() == [[5, 5.5, -5]]
    journal.close()


def test_rows_of_another_precision_are_stored_in_single(tmp_path):
    entries, rows = batch(1, 2)
    write(tmp_path, [(entries, np.asfortranarray(rows, dtype=np.float64))])
    assert reopened(tmp_path) == expected([(entries, rows)])


def test_removing_leaves_nothing(tmp_path):
    journal = Journal(tmp_path / "journal", NOTE)
    journal.add(*batch(1))
    journal.remove()
    assert os.listdir(tmp_path) == []


# Killed, and spoiled


def copy(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def whole(tmp_path) -> dict[str, bytes]:
    """The files of a journal with all batches."""
    write(tmp_path / "whole")
    return {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}


@pytest.mark.parametrize("name", [LINES, ROWS])
def test_cut_at_any_byte_a_beginning_is_left(tmp_path, whole, name):
    counts = []
    for length in range(len(whole[name]) + 1):
        cut = whole | {name: whole[name][:length]}
        counts.append(assert_goes_on(copy(cut, tmp_path / str(length))))
    assert counts == sorted(counts) and set(counts) >= {0, 2, 3, 4}
    assert counts[-1] == len(BATCHES) > counts[-2]


@pytest.mark.parametrize("name", [LINES, ROWS])
def test_with_any_byte_wrong_a_beginning_is_left(tmp_path, whole, name):
    """Whole lines go with a byte of theirs, and so do those behind them."""
    for place in range(len(whole[name])):
        data = bytearray(whole[name])
        data[place] ^= 0xFF if place % 2 else 0x01
        count = assert_goes_on(copy(whole | {name: bytes(data)}, tmp_path / str(place)))
        assert count < len(BATCHES)


def test_rows_without_a_line_are_cut_off(tmp_path, whole):
    longer = whole | {ROWS: whole[ROWS] + b"half a row of numbers"}
    assert assert_goes_on(copy(longer, tmp_path / "journal")) == len(BATCHES)


def test_a_line_without_its_rows_is_cut_off(tmp_path, whole):
    for name in (LINES, ROWS):
        files = whole | {name: b""}
        assert assert_goes_on(copy(files, tmp_path / name)) == 0
    del whole[ROWS]
    assert assert_goes_on(copy(whole, tmp_path / "no rows")) == 0


@pytest.mark.parametrize("text", [b"", b"\n", b"just some text\n", b"\0" * 4096, b"{}\n" * 9])
def test_what_is_no_journal_is_begun_anew(tmp_path, whole, text):
    assert assert_goes_on(copy({LINES: text, ROWS: text}, tmp_path / "journal")) == 0


# Of something else


def test_a_journal_of_something_else_is_refused_with_both_values(tmp_path):
    write(tmp_path)
    says = "unfinished run with crop 'no_crop', asked for is 'center_crop'; remove that folder, or"
    with pytest.raises(MismatchError, match=says):
        Journal(tmp_path, NOTE | {"crop": "center_crop"})
    with pytest.raises(MismatchError, match="with seed None, asked for is 3"):
        Journal(tmp_path, NOTE | {"seed": 3})
    with pytest.raises(MismatchError, match="with crop 'no_crop', asked for is None"):
        Journal(tmp_path, {key: NOTE[key] for key in ("network", "pool")})
    assert reopened(tmp_path) == expected(BATCHES)


def test_a_journal_of_another_format_is_refused_with_both_values(tmp_path):
    text = json.dumps({"format": 99, "provenance": NOTE}).encode()
    (tmp_path / LINES).write_bytes(b"%08x %s\n" % (zlib.crc32(text), text))
    with pytest.raises(MismatchError, match="with format 99, asked for is 1"):
        Journal(tmp_path, NOTE)


# Places that cannot be written


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "journal"):
        with pytest.raises(ArtsearchError, match="cannot write '.*file.*; the 0 works computed so"):
            Journal(folder, NOTE)
    (tmp_path / LINES).mkdir()
    with pytest.raises(ArtsearchError, match="Is a directory"):
        Journal(tmp_path, NOTE)
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_that_may_not_be_written_is_named(as_nobody):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        with as_nobody(), pytest.raises(ArtsearchError, match="Permission denied.*allow writing"):
            Journal(Path(name, "journal"), NOTE)
        Path(name).chmod(0o755)


FULL_DISK = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from artsearch.base.errors import ArtsearchError
from artsearch.works.file_state import FileState
from artsearch.features.journal import Entry, Journal

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
journal = Journal(folder, {"network": "made up"})
try:
    for start in range(0, 1000, 10):
        states = [FileState(1, 2, 3, f"{n:064x}") for n in range(start, start + 10)]
        rows = np.repeat(np.arange(start, start + 10, dtype="f")[:, None], int(sys.argv[3]), axis=1)
        journal.add([Entry(f"{one.sha256}.jpg", one) for one in states], rows)
except ArtsearchError as error:
    print(error)
journal.close()
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit for sizes of files")
@pytest.mark.parametrize("limit, dims", [(50_000, 300), (7_777, 3), slow(20_000, 4)])
def test_on_a_full_disk_whole_batches_are_kept_and_the_rest_follows(tmp_path, limit, dims):
    """With rows of 300 numbers the rows have no room first, with 3 or 4 the lines."""
    folder = tmp_path / "journal"

    def run(limit: int) -> str:
        command = [sys.executable, "-c", FULL_DISK, str(folder), str(limit), str(dims)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    said = run(limit)
    assert said.startswith(f"cannot write '{folder}' (File too large); the ")
    journal = Journal(folder, {"network": "made up"})
    kept = len(journal)
    assert f"the {kept:,} works computed so far are kept there: make room or" in said
    assert 0 < kept < 1000 and kept % 10 == 0 and len(journal.entries) == kept
    journal.close()
    assert run(10**9) == ""
    journal = Journal(folder, {"network": "made up"})
    assert [one.state.sha256 for one in journal.entries] == [
        f"{number:064x}" for number in [*range(kept), *range(1000)]
    ]
    rows = journal.take(np.array([journal.rows[f"{number:064x}"] for number in range(1000)]))
    assert (rows == np.arange(1000)[:, None]).all()
    journal.close()
