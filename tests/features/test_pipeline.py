"""Files are read ahead, once, and in order, and rows come as soon as a batch is full."""

import contextlib
import random
import re
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from artsearch.base.errors import ArtsearchError
from artsearch.features import extractor as features_module
from artsearch.features import pipeline
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.pipeline import MOST_WORKERS, Rows, Work, look_ahead, run
from artsearch.networks.forward import CPU_BATCH, Runner
from artsearch.networks.registry import NETWORKS
from artsearch.networks.transforms import CENTER_CROP
from artsearch.works.file_state import hash_file
from artsearch.works.images import open_image

pytestmark = pytest.mark.usefixtures("one_thread")


class Tiny(nn.Module):
    """A network of one layer, which notes its batches, and has memory for `most` images."""

    def __init__(self, most: int = 100):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 32, 32)
        self.most = most
        self.batches: list[int] = []

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.conv(x)

    # The twin that does the work is a deep copy, and its notes should be found here.
    def __deepcopy__(self, memo):
        return self


def make(
    network: str = "efficientnet_lite0", most: int = 100, compiles: bool = True, **options
) -> FeatureExtractor:
    options = {"layers": "conv", "precision": "exact", "model": Tiny(most)} | options
    return FeatureExtractor(replace(NETWORKS[network], compiles=compiles), **options)


@pytest.fixture
def pictures(paint, tmp_path):
    """Paint pictures of different colours; return their paths by id."""

    def pictures(count: int) -> dict:
        colours = [(20 * number % 256, 7 * number % 256, 99) for number in range(count)]
        return {
            f"{number:02}.png": paint(f"{number:02}.png", (40, 30), colour)
            for number, colour in enumerate(colours)
        }

    return pictures


@pytest.fixture
def opened(monkeypatch):
    """Note which files are decoded, and at what side."""
    names = []

    def counting(path, side=None):
        names.append((path.name, side))
        return open_image(path, side)

    monkeypatch.setattr(pipeline, "open_image", counting)
    return names


def go(paths, extractors, *args, **options) -> tuple[list[Work], dict]:
    """Run to the end; return the works, and the batches of each extractor."""
    works, batches = [], {extractor: [] for extractor in extractors}
    for done in run(paths, extractors, *args, progress=False, **options):
        if isinstance(done, Rows):
            batches[done.extractor].append(done)
        else:
            works.append(done)
    return works, batches


def sizes(batches: list[Rows]) -> list[int]:
    return [len(batch.works) for batch in batches]


def ids(batches: list[Rows]) -> list[str]:
    return [work.id for batch in batches for work in batch.works]


def reading_threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("artsearch-read")]


# Looking ahead


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_order_stays_however_long_each_takes(workers):
    wait = random.Random(0)

    def slowly(number):
        time.sleep(wait.random() / 200)
        return -number

    assert list(look_ahead(slowly, range(60), workers)) == [-number for number in range(60)]
    assert list(look_ahead(slowly, [], workers)) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_it_runs_ahead_but_not_far(workers):
    drawn = []

    def items():
        for number in range(200):
            drawn.append(number)
            yield number

    for number, _ in enumerate(look_ahead(str, items(), workers)):
        assert len(drawn) - number <= 8 * workers + 2
        assert len(drawn) == 200 or len(drawn) - number > workers


def test_several_work_at_the_same_time():
    meeting = threading.Barrier(3, timeout=20)  # which nobody leaves before three are there
    assert len(list(look_ahead(lambda _: meeting.wait(), range(6), workers=3))) == 6


def test_when_the_consumer_stops_so_do_the_threads():
    started = []
    ahead = look_ahead(started.append, range(10_000), workers=2)
    next(ahead)
    assert reading_threads()
    ahead.close()
    assert reading_threads() == [] and len(started) < 50


def test_an_exception_of_the_consumer_stops_the_threads():
    with pytest.raises(ZeroDivisionError):
        for number in look_ahead(int, range(10_000), workers=2):
            1 // number
    assert reading_threads() == []


def test_an_exception_comes_at_its_place_and_stops_the_threads():
    came, done = [], []

    def reciprocal(number):
        done.append(number)
        return 1 / (5 - number)

    with pytest.raises(ZeroDivisionError):
        came.extend(look_ahead(reciprocal, range(10_000), workers=2))
    assert len(came) == 5 and len(done) < 60
    assert reading_threads() == []


def test_an_exception_of_what_is_looked_at_comes_too():
    def broken():
        yield from range(3)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(look_ahead(str, broken(), workers=2))
    assert reading_threads() == []


# Running


def test_rows_are_those_of_each_work_alone(few, few_paths):
    extractor = make()
    works, batches = go(few_paths, [extractor], batch_size=2)
    rows = np.concatenate([batch.by_layer["conv"] for batch in batches[extractor]])
    assert rows.shape == (5, 4) and rows.dtype == np.float32
    for work, row in zip(works, rows, strict=True):
        assert row == pytest.approx(extractor(few_paths[work.id]), abs=1e-5)
    assert len(np.unique(rows.round(4), axis=0)) == 5


@pytest.fixture
def few_paths(few):
    return {path.name: path for path in sorted(few.glob("*.jpg"))}


def test_works_and_rows_come_in_order_with_what_is_left_at_the_end(pictures):
    paths = pictures(7)
    extractor = make()
    works, batches = go(paths, [extractor], batch_size=3)
    assert [work.id for work in works] == ids(batches[extractor]) == list(paths)
    assert sizes(batches[extractor]) == [3, 3, 1]
    assert [work.state.sha256 for work in works] == [hash_file(path) for path in paths.values()]
    assert {work.reason for work in works} == {""}


def test_a_batch_is_computed_while_the_next_is_gathered(pictures):
    order = "".join(
        type(done).__name__[0] for done in run(pictures(7), [make()], None, 3, 1, False)
    )
    assert order == "WWWWWWRWRR"


def test_a_square_is_let_go_of_when_its_row_is_there(pictures):
    works, _ = go(pictures(5), [make(), make(crop=CENTER_CROP)], batch_size=2)
    assert [work.inputs for work in works] == [{}] * 5


def test_each_file_is_decoded_once_for_all(pictures, opened):
    """Two crops, and networks of other sizes: one picture serves them all."""
    paths = pictures(4)
    first = make()
    others = [first.with_crop(CENTER_CROP), make("efficientnet_lite2"), make("resnet50")]
    _, batches = go(paths, [first, *others], batch_size=4)
    assert sorted(opened) == [(name, None) for name in paths]
    assert [ids(found) for found in batches.values()] == [list(paths)] * 4


def test_the_same_square_is_made_once(pictures, monkeypatch):
    made, real = [], FeatureExtractor.preprocess
    monkeypatch.setattr(
        FeatureExtractor, "preprocess", lambda self, image: made.append(self) or real(self, image)
    )
    first = make()
    go(pictures(3), [first, make(), first.with_crop(CENTER_CROP)])
    assert len(made) == 3 * 2


def test_fast_and_exact_look_at_pictures_of_their_own(pictures, opened):
    fast = make()
    fast.precision = "fast"
    paths = pictures(2)
    go(paths, [make(), fast])
    assert sorted(opened, key=str) == [(name, side) for name in paths for side in (640, None)]


def test_what_nobody_wants_is_read_but_not_decoded(pictures, opened):
    paths = pictures(5)
    extractor = make()
    works, batches = go(paths, [extractor], lambda sha256: [])
    assert opened == [] and batches[extractor] == []
    assert [(work.id, work.inputs, work.reason) for work in works] == [(id, {}, "") for id in paths]
    assert works[0].state.sha256 == hash_file(paths["00.png"])


def test_each_extractor_gets_what_it_wants(pictures, opened):
    paths = pictures(7)
    number = {hash_file(path): at for at, path in enumerate(paths.values())}
    evens, thirds = make(), make(crop=CENTER_CROP)

    def wanted(sha256):
        at = number[sha256]
        return [evens] * (at % 2 == 0) + [thirds] * (at % 3 == 0)

    works, batches = go(paths, [evens, thirds], wanted, batch_size=2)
    assert len(works) == 7
    assert ids(batches[evens]) == ["00.png", "02.png", "04.png", "06.png"]
    assert ids(batches[thirds]) == ["00.png", "03.png", "06.png"]
    assert sorted(name for name, _ in opened) == [f"0{at}.png" for at in (0, 2, 3, 4, 6)]


def test_what_cannot_be_read_has_a_reason_and_no_row(pictures):
    paths = pictures(6)
    paths["01.png"].write_bytes(b"no picture")
    paths["03.png"].unlink()
    extractor = make()
    works, batches = go(paths, [extractor], batch_size=2)
    assert [work.id for work in works] == list(paths)
    assert ids(batches[extractor]) == ["00.png", "02.png", "04.png", "05.png"]
    assert sizes(batches[extractor]) == [2, 2]
    reasons = {work.id: work.reason for work in works if work.reason}
    assert "not a JPEG" in reasons["01.png"] and "no such image file" in reasons["03.png"]
    assert len(reasons) == 2
    assert works[1].state.sha256 == hash_file(paths["01.png"]) and works[3].state.sha256 == ""


def test_nothing_to_do_is_no_trouble():
    extractor = make()
    assert go({}, [extractor]) == ([], {extractor: []})


def test_all_is_the_same_with_any_number_of_threads(pictures):
    paths = pictures(9)
    found = []
    for workers in (1, 2, 7):
        works, batches = go(paths, [extractor := make()], batch_size=4, workers=workers)
        rows = np.concatenate([batch.by_layer["conv"] for batch in batches[extractor]])
        found.append(([(work.id, work.state.sha256) for work in works], rows.tolist()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "4"])
@pytest.mark.parametrize("name", ["batch_size", "workers"])
def test_numbers_that_are_none_are_refused(pictures, name, value):
    with pytest.raises(ArtsearchError, match=f"{name} is {value!r}; take a whole number from 1 on"):
        go(pictures(1), [make()], **{name: value})
    assert reading_threads() == []


def test_threads_are_as_many_as_processors_but_not_too_many(monkeypatch):
    assert 1 <= pipeline._number_of(None) <= MOST_WORKERS
    monkeypatch.setattr(pipeline.os, "sched_getaffinity", lambda _: range(200), raising=False)
    assert pipeline._number_of(None) == MOST_WORKERS
    assert pipeline._number_of(40) == 40


def test_an_error_of_the_network_comes_out_and_stops_the_threads(pictures, monkeypatch):
    def fail(self, inputs):
        raise RuntimeError("the GPU fell off the bus")

    monkeypatch.setattr(FeatureExtractor, "rows", fail)
    with pytest.raises(RuntimeError, match="fell off the bus"):
        go(pictures(20), [make()], batch_size=2)
    assert reading_threads() == []


def test_a_run_can_be_left_at_any_time(pictures, capfd):
    with contextlib.closing(run(pictures(20), [make()], batch_size=2)) as running:
        for done in running:
            if isinstance(done, Rows):
                break
    assert reading_threads() == []
    assert re.search(r"Lite0: \d works in", capfd.readouterr().err)


def test_progress_counts_every_work(pictures, capfd):
    paths = pictures(3)
    paths["00.png"].write_bytes(b"no picture")
    list(run(paths, [make(), make("resnet50"), make(crop=CENTER_CROP)]))
    assert "EfficientNet-Lite0, ResNet-50: 3 works in" in capfd.readouterr().err


# A GPU that is too small


def test_later_batches_are_as_small_as_the_memory_wants(pictures):
    paths = pictures(45)
    extractor, roomy = make(most=3), make()
    _, batches = go(paths, [extractor])
    assert ids(batches[extractor]) == list(paths)
    assert sizes(batches[extractor])[0] == CPU_BATCH
    assert max(sizes(batches[extractor])[2:]) <= 3  # the second was on its way before
    _, expected = go(paths, [roomy])
    assert sizes(expected[roomy]) == [CPU_BATCH] * 5 + [45 - 5 * CPU_BATCH]
    rows, others = (
        np.concatenate([batch.by_layer["conv"] for batch in found])
        for found in (batches[extractor], expected[roomy])
    )
    assert np.abs(rows - others).max() <= 1e-5


def test_a_batch_that_is_already_larger_is_sent_on_too(pictures):
    """When it shrinks for one crop, more may have been gathered for the other one."""
    paths = pictures(60)
    number = {hash_file(path): at for at, path in enumerate(paths.values())}
    first = make(most=4)
    second = first.with_crop(CENTER_CROP)

    def wanted(sha256):
        return [first] if number[sha256] % 3 else [first, second]

    _, batches = go(paths, [first, second], wanted)
    assert ids(batches[first]) == list(paths) and ids(batches[second]) == list(paths)[::3]
    assert 4 < sizes(batches[second])[0] <= 16 and max(sizes(batches[second])[1:]) <= 4


# Compiling when it repays


@pytest.fixture
def compiled(monkeypatch):
    """Note at what size, and after how many images, a network is compiled; do not do it."""
    calls = []

    def compile(self, batch_size):
        calls.append(batch_size)
        self.tried, self.compiled, self._compiled = True, True, self._plain
        self.batch_size = batch_size

    monkeypatch.setattr(Runner, "compile", compile)
    return calls


def count_until_compiled(paths, extractors, compiled, **options) -> list[int]:
    """Return how many batches came out before each time something was compiled."""
    batches, when = 0, []
    for done in run(paths, extractors, progress=False, workers=1, **options):
        when += [batches] * (len(compiled) - len(when))
        batches += isinstance(done, Rows)
    return when


def test_a_long_run_is_compiled_once_after_three_batches(pictures, compiled, monkeypatch):
    monkeypatch.setattr(features_module, "REPAYS_FROM", 0)
    (when,) = count_until_compiled(pictures(16), [make()], compiled, batch_size=2)
    assert when in (2, 3)  # three are done then, and the last one may still be on its way out
    assert compiled == [2]


@pytest.mark.parametrize("count", [1, 6, 7, 8])
def test_a_short_run_is_never_compiled(pictures, compiled, monkeypatch, count):
    """After three batches there is nothing left, or nothing behind the batch at hand."""
    monkeypatch.setattr(features_module, "REPAYS_FROM", 0)
    assert count_until_compiled(pictures(count), [make()], compiled, batch_size=2) == []


def test_what_takes_less_time_than_compiling_is_not_compiled(pictures, compiled):
    assert count_until_compiled(pictures(16), [make()], compiled, batch_size=2) == []


def test_a_network_that_compiling_makes_no_quicker_is_not_compiled(pictures, compiled, monkeypatch):
    monkeypatch.setattr(features_module, "REPAYS_FROM", 0)
    slower = make(compiles=False)
    assert count_until_compiled(pictures(16), [slower], compiled, batch_size=2) == []


def test_whoever_asks_for_it_or_against_it_is_heard(pictures, compiled, monkeypatch):
    monkeypatch.setattr(features_module, "REPAYS_FROM", 0)
    paths = pictures(16)
    assert count_until_compiled(paths, [make(compile=False)], compiled, batch_size=2) == []
    assert count_until_compiled(paths, [make(compile=True)], compiled, batch_size=2) == [0]


def test_two_crops_of_a_network_are_compiled_as_one(pictures, compiled, monkeypatch):
    monkeypatch.setattr(features_module, "REPAYS_FROM", 0)
    first = make()
    go(pictures(16), [first, first.with_crop(CENTER_CROP)], batch_size=2)
    assert compiled == [2]


def test_works_that_nobody_wants_do_not_make_a_run_long(pictures, compiled, monkeypatch):
    monkeypatch.setattr(features_module, "REPAYS_FROM", 0)
    go(pictures(16), [make()], lambda sha256: [], batch_size=2)
    assert compiled == []
