"""Hundreds of bad files, and good ones that look bad: none crashes, hangs or gets lost."""

import json
import multiprocessing
import re
import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from extracting import run
from hostile import FORMATS, MAKERS, make_small, write_corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiers import examples

from artsearch.base.errors import ImageError
from artsearch.features.features import Features
from artsearch.works.collection import Collection
from artsearch.works.images import ImageNote, open_image

PAINTING = Path(__file__).parents[2] / "data/paintings/leonardo-da-vinci_mona-lisa.jpg"

# Pillow warns of what is broken in a file, which here is on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def features_of(collection: Collection):
    """Return Features by the real extraction, as its store has them."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as out:
        features = run(collection.folder, out, batch_size=16, shard_rows=100)
        (manifest,) = Path(out).glob("stores/*/manifest.json")
        stored = json.loads(manifest.read_text("utf-8"))["skipped"]
        assert [(one["id"], one["reason"]) for one in stored] == list(features.skipped)
        return Features(np.array(features.vectors), features.ids, {}, features.skipped)


def in_a_process(function, *args, seconds: int = 100):
    """Return what a function returns in another process, whose hang or crash fails the test."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply_async(function, args).get(seconds)


def megabytes() -> int:
    """Return the most memory that this process has had so far, where Linux tells, or else 0."""
    # Not ru_maxrss: that counts what the parent had at the start of this process.
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text() if status.exists() else "")
    return int(found[1]) // 1024 if found else 0


# Through the extraction


@pytest.fixture(scope="module")
def painting():
    """The painting that all sound files show."""
    return make_small(PAINTING)


@pytest.fixture(scope="module")
def corpus(painting):
    """The folder of all files, the verdict on each id, and the names that are left out."""
    # Not in tmp_path, which pytest keeps: nobody should find a file of terabytes there.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name), *write_corpus(Path(name), painting)


@pytest.fixture(scope="module")
def verdicts(corpus) -> dict[str, str]:
    return corpus[1]


@pytest.fixture(scope="module")
def extracted(corpus):
    """The collection's ids, what it left out, its Features, and the megabytes of opening all."""
    return in_a_process(extract, corpus[0])


@pytest.fixture(scope="module")
def features(extracted):
    return extracted[2]


def extract(folder: Path) -> tuple:
    with pytest.warns(UserWarning, match="8 left out of"):
        collection = Collection(folder)
    before = megabytes()
    readable = list(collection.readable())
    taken = megabytes() - before
    features = features_of(collection)
    assert sorted(readable) == sorted(features.ids)
    return collection.ids, collection.skipped, features, taken


def ids_of(verdicts: dict[str, str], *kinds: str) -> set[str]:
    return {id for id, verdict in verdicts.items() if verdict in kinds}


def test_the_corpus_has_everything(verdicts):
    counts = {kind: len(ids_of(verdicts, kind)) for kind in MAKERS}
    assert min(counts.values()) > 30 and counts["bad"] > 100, counts
    for ending in FORMATS.values():
        for kind in MAKERS:
            assert any(id.endswith(ending) for id in ids_of(verdicts, kind)), (kind, ending)


def test_no_file_is_lost(verdicts, extracted, features):
    ids, _, _, _ = extracted
    skipped = [id for id, _ in features.skipped]
    assert set(ids) == set(verdicts)
    assert sorted([*features.ids, *skipped]) == sorted(ids)


def test_every_good_file_has_its_numbers(verdicts, features):
    assert ids_of(verdicts, "same", "good") - set(features.ids) == set()
    assert np.isfinite(features.vectors).all()


def test_every_bad_file_is_named_with_its_reason(verdicts, features):
    reasons = dict(features.skipped)
    assert ids_of(verdicts, "bad") - set(reasons) == set()
    for id, reason in reasons.items():
        assert reason.isprintable() and 20 < len(reason) < 500, (id, reason)
        reason.encode()  # a lone surrogate could not be stored
    assert f"{len(reasons)} skipped: " in features.report()


def test_what_shows_the_painting_has_the_paintings_numbers(verdicts, features):
    rows = dict(zip(features.ids, features.vectors, strict=True))
    plain = rows["same/plain.png"]
    for id in ids_of(verdicts, "same"):
        cosine = rows[id] @ plain / np.linalg.norm(rows[id]) / np.linalg.norm(plain)
        assert cosine > 0.999, id


def test_what_holds_no_file_is_left_out_by_name(corpus, extracted):
    _, left_out, _, _ = extracted
    assert {name for name, _ in left_out} == corpus[2]
    assert all(reason.isprintable() and len(reason) > 20 for _, reason in left_out)


def test_opening_them_all_takes_little_memory(extracted):
    assert extracted[3] < 300


# Through the opener


@pytest.mark.parametrize("side", [None, 64])
def test_what_shows_the_painting_opens_as_it(corpus, painting, verdicts, side):
    with pytest.warns(UserWarning, match="8 left out of"):
        collection = Collection(corpus[0])
    for id in ids_of(verdicts, "same"):
        opened = open_image(collection.path(id), side=side)
        assert opened.size == painting.size, id
        off = np.abs(np.asarray(opened).astype(int) - np.asarray(painting))
        assert off.mean() < 7, id  # a JPEG of so few pixels is 5 off, and a turned one 100


def test_a_locked_file_is_named(painting, as_nobody):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name, "locked.png")
        painting.save(path)
        path.chmod(0)
        with as_nobody(), pytest.raises(ImageError, match="'locked.png' .* Permission denied"):
            open_image(path)


# Fuzzing

SPOILT = {
    "flip": lambda data, at, n, other: data[:at] + bytes([data[at] ^ 1 << n % 8]) + data[at + 1 :],
    "cut": lambda data, at, n, other: data[:at],
    "drop": lambda data, at, n, other: data[:at] + data[at + n :],
    "insert": lambda data, at, n, other: data[:at] + other[-n:] + data[at:],
    "splice": lambda data, at, n, other: data[:at] + other[n:],
    "zeros": lambda data, at, n, other: data[:at] + bytes(n) + data[at + n :],
    "ones": lambda data, at, n, other: data[:at] + b"\xff" * n + data[at + n :],
}


@cache
def sound_files() -> list[bytes]:
    makers = (make(make_small(PAINTING)) for make in MAKERS["same"])
    return sorted({data for files in makers for _, data in files if len(data) < 40_000})


@st.composite
def spoilt_files(draw) -> bytes:
    """Spoil a sound file in one place or two, often near the head."""
    data = draw(st.sampled_from(sound_files()))
    for _ in range(draw(st.integers(1, 2))):
        last = len(data) - 1
        if last < 0:
            break
        at = draw(st.integers(0, min(99, last)) | st.integers(0, last))
        spoil = SPOILT[draw(st.sampled_from(sorted(SPOILT)))]
        data = spoil(data, at, draw(st.integers(1, 64)), draw(st.sampled_from(sound_files())))
    return data


def fuzz(folder: Path) -> tuple[dict[str, int], list[str], int]:
    """Open spoilt files; return how many opened and not, what warned, and the megabytes."""
    counts, before = {"opened": 0, "refused": 0}, megabytes()
    path = folder / "spoilt.jpg"

    @settings(max_examples=examples(600), derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(data=spoilt_files(), side=st.none() | st.integers(1, 64), from_disk=st.booleans())
    def check(data, side, from_disk):
        path.write_bytes(data)
        try:
            image = open_image(path if from_disk else data, side=side)
        except ImageError as error:
            assert str(error).isprintable() and 20 < len(str(error)) < 300
            counts["refused"] += 1
        else:
            assert image.mode == "RGB" and image.getpixel((0, 0)) and min(image.size) > 0
            counts["opened"] += 1

    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings(
            "always", append=True
        )  # after the filters of artsearch.works.images
        check()
    warned = [str(warning) for warning in caught if warning.category is not ImageNote]
    return counts, warned, megabytes() - before


def test_spoilt_files_open_as_rgb_or_are_refused(tmp_path):
    counts, warned, most = in_a_process(fuzz, tmp_path)
    assert sum(counts.values()) >= examples(600) < 10 * min(counts.values()), counts
    assert warned == []
    assert most < 2000
