"""A file's state is that of the bytes that were read, and a date is a proof or nothing."""

import hashlib
import os
import tempfile
import time
from pathlib import Path

import pytest

from artsearch.base.disk import fingerprint
from artsearch.base.errors import ImageError
from artsearch.works.collection import Collection
from artsearch.works.file_state import FileState, hash_file, is_proof, read_steadily, signature
from artsearch.works.images import MAX_BYTES, open_image


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    return path


def wait_a_tick():
    """Wait until the clock of any disk has moved on."""
    time.sleep(0.03)


# Reading


def test_the_reader_gets_the_hash_of_what_it_reads(file):
    state, value, reason = read_steadily(file, lambda hash: (hash, file.read_bytes()))
    assert value == (sha256(b"one"), b"one")
    assert (state.size, state.sha256, reason) == (3, sha256(b"one"), "")


def test_a_file_that_changes_once_while_it_is_read_is_read_again(file):
    seen = []

    def read(hash):
        seen.append((hash, file.read_bytes()))
        if len(seen) == 1:
            wait_a_tick()
            file.write_bytes(b"two")
        return seen[-1][1]

    state, value, reason = read_steadily(file, read)
    assert seen == [(sha256(b"one"), b"one"), (sha256(b"two"), b"two")]
    assert (state.sha256, value, reason) == (sha256(b"two"), b"two", "")


def test_a_file_that_grows_behind_an_error_is_read_again(file):
    """As with a download that goes on: the reason for what was half there does not stay."""

    def read(hash):
        if file.stat().st_size < 6:
            file.write_bytes(b"onetwo")
            raise ImageError("truncated")
        return file.read_bytes()

    state, value, reason = read_steadily(file, read)
    assert (state.size, state.sha256, value, reason) == (6, sha256(b"onetwo"), b"onetwo", "")


def test_a_file_that_never_rests_is_given_up_after_three_times(file):
    seen = []

    def read(hash):
        seen.append(hash)
        file.write_bytes(b"x" * (len(seen) + 10))

    state, value, reason = read_steadily(file, read)
    assert len(set(seen)) == 3
    assert (state, value) == (FileState(0, 0, 0), None)
    assert reason == "'a.jpg' changes while it is read; run again when it is complete"


def test_a_file_that_vanished_has_a_reason(tmp_path):
    state, value, reason = read_steadily(tmp_path / "gone.jpg", lambda hash: 1)
    assert (state, value) == (FileState(0, 0, 0), None)
    assert reason == "no such image file: 'gone.jpg'; it was there before"


def test_a_file_that_vanishes_between_hash_and_pixels_has_a_reason(paint):
    path = paint("a.png")

    def read(hash):
        path.unlink()
        return open_image(path)

    state, value, reason = read_steadily(path, read)
    assert (state, value) == (FileState(0, 0, 0), None)
    assert "no such image file: 'a.png'" in reason


def test_an_image_error_becomes_the_reason_and_the_content_is_still_known(file):
    state, value, reason = read_steadily(file, lambda hash: open_image(file))
    assert (state.size, state.sha256, value) == (3, sha256(b"one"), None)
    assert reason.startswith("cannot read 'a.jpg' as an image")


def test_other_errors_are_not_taken_for_a_bad_file(file):
    with pytest.raises(ZeroDivisionError):
        read_steadily(file, lambda hash: 1 // 0)


def test_a_file_that_may_not_be_read_has_a_reason(as_nobody):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = Path(folder, "locked.jpg")
        path.write_bytes(b"secret")
        path.chmod(0)
        with as_nobody():
            state, value, reason = read_steadily(path, lambda hash: 1)
    assert (state.size, state.sha256, value) == (6, "", None)
    assert reason == "cannot read 'locked.jpg': Permission denied"


# Dates


def test_a_content_put_in_place_with_the_old_date_shows(file):
    wait_a_tick()
    before, status = signature(file), file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert signature(file)[:2] == before[:2]
    assert signature(file) != before


def test_the_dates_of_a_file_are_a_proof(file):
    state, _, _ = read_steadily(file, str)
    assert state.signature == signature(file) and is_proof(state.signature)


def test_what_is_not_there_is_no_proof(tmp_path):
    assert signature(tmp_path / "nothing.jpg") is None and not is_proof(None)


# Hashes


def test_the_hash_is_that_of_the_content(file):
    assert hash_file(file) == sha256(b"one")


@pytest.mark.parametrize("size, refused", [(MAX_BYTES + 1, True), (2**26, False)])
def test_a_file_of_gigabytes_is_not_hashed(file, size, refused):
    try:
        os.truncate(file, size)
    except OSError:
        pytest.skip("this file system holds no file of that size")
    if refused:
        with pytest.raises(ImageError, match="'a.jpg' has 2.0 GB, more than the 2 GB .*; save it"):
            hash_file(file)
    else:
        assert hash_file(file) == sha256(b"one" + bytes(size - 3))


def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_named(tmp_path):
    (tmp_path / "b.jpg").mkdir()
    with pytest.raises(ImageError, match="'b.jpg' is a folder"):
        hash_file(tmp_path / "b.jpg")
    os.mkfifo(tmp_path / "c.jpg")
    with pytest.raises(ImageError, match="'c.jpg' is a pipe or a device"):
        hash_file(tmp_path / "c.jpg")


def test_the_fingerprint_is_that_of_the_collection(few):
    collection = Collection(few)
    contents = [(id, hash_file(collection.path(id))) for id in collection.ids]
    assert fingerprint(contents) == collection.fingerprint()


def test_the_fingerprint_counts_names_contents_and_order():
    pairs = [("a", "1"), ("b", "2")]
    others = [pairs[::-1], pairs[:1], [], [("a", "2"), ("b", "1")], [("a\0001\nb", "2")][:0]]
    others += [[("a", "1"), ("c", "2")], [("ab", "12")]]
    found = {fingerprint(other) for other in [pairs, *others]}
    assert len(found) == 1 + len({tuple(other) for other in others})
