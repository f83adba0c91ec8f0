"""A collection's features on disk: computed once, resumed, grown, and never lost."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from extracting import LITE, Slow, run, tiny_extractor, tiny_model
from PIL import Image
from tiers import slow

import artsearch.features.extractor
import artsearch.features.pipeline
import artsearch.networks.forward
from artsearch.base import sealed
from artsearch.base.disk import MANIFEST
from artsearch.base.errors import ArtsearchError, CollectionError, MismatchError
from artsearch.features.compute import compute_features
from artsearch.features.extract import extract, extractors_for, store_folder, stored_features
from artsearch.features.extractor import FeatureExtractor
from artsearch.features.features import Features
from artsearch.features.store import load_features
from artsearch.works.collection import Collection
from artsearch.works.images import MOST_NOTES, READING, ImageNote

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def many(tmp_path, noise) -> Path:
    """A folder of 30 small pictures in two subfolders, one of which cannot be read."""
    folder = tmp_path / "many"
    for number in range(30):
        path = folder / f"room {number % 2}" / f"work {number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(20 + number, 30, seed=number).save(path)
    (folder / "room 1" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many images went through a network, a batch at a time."""
    batches: list[int] = []
    rows = FeatureExtractor.rows

    def counting(self, inputs):
        batches.append(len(inputs))
        return rows(self, inputs)

    monkeypatch.setattr(FeatureExtractor, "rows", counting)
    return batches


@pytest.fixture
def opened(monkeypatch) -> list[str]:
    """The files that were decoded."""
    names: list[str] = []
    real = artsearch.features.pipeline.open_image

    def counting(path, side=None):
        names.append(Path(path).name)
        return real(path, side)

    monkeypatch.setattr(artsearch.features.pipeline, "open_image", counting)
    return names


@pytest.fixture
def settle(monkeypatch):
    """Wait until the dates of files are old enough to be a proof, which is soon in these tests."""

    def settle(folder: Path) -> None:
        newest = max(path.stat().st_ctime for path in folder.rglob("*"))
        time.sleep(max(0, newest + 0.06 - time.time()))

    return settle


def same(first: Features, second: Features) -> bool:
    """Tell whether two stores hold the same, rows to the last digit but one.

    A batch of another size may round the last digit otherwise.
    """
    assert first.ids == second.ids and first.skipped == second.skipped
    assert first.provenance == second.provenance
    assert np.abs(np.asarray(first.vectors) - np.asarray(second.vectors)).max() <= 1e-6
    return True


def as_built_from_nothing(features: Features, folder: Path, tmp_path: Path) -> bool:
    fresh = run(folder, tmp_path / f"fresh {random.random()}")
    return same(features, fresh)


def store_of(out: Path) -> Path:
    (folder,) = (path for path in (out / "stores").iterdir() if path.name[0] != ".")
    return folder


# What comes out


def test_rows_are_those_computed_in_memory(many, tmp_path):
    stored = run(many, tmp_path / "out")
    in_memory = compute_features(
        Collection(many), LITE, layers="2", model=tiny_model(), progress=False
    )
    assert stored.ids == in_memory.ids and stored.skipped == in_memory.skipped
    assert np.abs(np.asarray(stored.vectors) - in_memory.vectors).max() <= 1e-6
    assert stored.provenance == in_memory.provenance
    assert stored.provenance["collection"] == Collection(many).fingerprint()


def test_notes_on_many_pictures_are_a_few_and_a_count(many, tmp_path):
    for path in many.rglob("*.png"):
        Image.open(path).save(path, icc_profile=b"rubbish" * 9)
    with pytest.warns(ImageNote) as said:
        run(many, tmp_path / "out")
    assert len(said) == MOST_NOTES + 1
    assert str(said[0].message).startswith("'work ")
    count = "30 notes on pictures in all: 30 × its colour profile cannot be read; it is ignored"
    assert str(said[-1].message) == count


def test_pictures_that_were_read_otherwise_are_computed_again(many, tmp_path, opened, settle):
    first = tiny_extractor()
    both = [first, first.with_crop("center_crop")]
    with pytest.MonkeyPatch.context() as older:
        older.setattr(artsearch.features.extractor, "READING", 1)
        run(many, tmp_path / "out", extractors=both)
    opened.clear()
    settle(many)
    with pytest.warns(UserWarning, match="otherwise when .* and 1 other store came") as said:
        again = run(many, tmp_path / "out", extractors=both)
    assert len(opened) == 31 and again.provenance["reading"] == READING and len(said) == 1
    assert as_built_from_nothing(again, many, tmp_path)
    opened.clear()
    run(many, tmp_path / "out")
    assert opened == []


@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 64}, {"workers": 1}])
def test_batch_size_workers_and_shards_do_not_count(many, tmp_path, options):
    first = run(many, tmp_path / "one")
    second = run(many, tmp_path / "two", **options, shard_rows=100)
    assert first.ids == second.ids
    cosine = (np.asarray(first.vectors) * second.vectors).sum(axis=1)
    cosine /= np.linalg.norm(first.vectors, axis=1) * np.linalg.norm(second.vectors, axis=1)
    assert cosine.min() > 1 - 1e-4


def test_the_store_says_all_of_it(many, tmp_path):
    (many / "works.csv").write_text("file,artist\nroom 0/work 00.png,Anna\n")
    run(many, tmp_path / "out")
    folder = store_of(tmp_path / "out")
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["rows"], manifest["dims"], manifest["shards"]) == (30, 6, [10, 10, 10])
    assert manifest["provenance"].keys() == {
        *("network", "weights", "layer", "pool", "crop", "size", "precision", "reading"),
        "collection",
    }
    (bad,) = manifest["skipped"]
    assert bad["id"] == "room 1/broken.jpg" and "not a JPEG" in bad["reason"]
    works = pd.concat(pd.read_parquet(path) for path in sorted((folder / "metadata").iterdir()))
    first = works.iloc[0]
    assert (first["id"], first["artist"]) == ("room 0/work 00.png", "Anna")
    assert first["file_size"] == (many / first["id"]).stat().st_size
    assert len(first["file_sha256"]) == 64


def test_several_networks_crops_and_layers_in_one_pass(paintings, tmp_path, opened):
    """Each file is decoded once; the rows are those that each network and crop has alone."""
    folder = tmp_path / "three"
    folder.mkdir()
    for path in sorted(paintings.glob("*.jpg"))[:3]:
        shutil.copy(path, folder)
    collection, names = Collection(folder), ["efficientnet_lite0", "efficientnet_lite1"]
    layers = ["global_pool", "blocks.2"]
    extractors = extractors_for(names, layers=layers, precision="exact")
    found = extract(collection, extractors, tmp_path / "out", progress=False)
    assert sorted(opened) == sorted(collection.ids)
    assert len(found) == 2 * 2 * 2
    for network, crop in {key[:2] for key in found}:
        options = {"layers": layers, "progress": False}
        for layer, alone in compute_features(collection, network, crop, **options).items():
            features = found[network, crop, layer]
            assert features.ids == alone.ids and features.provenance == alone.provenance
            assert np.abs(features.vectors - alone.vectors).max() <= 1e-4


def test_crops_share_one_network():
    first, second = extractors_for([LITE], precision="exact")
    assert first.transform.crop != second.transform.crop
    assert first.runner is second.runner


def test_two_collections_of_the_same_name_have_a_store_each(tmp_path, paint):
    for place in "ab":
        paint(f"{place}/works/{place}.png")
        features = run(tmp_path / place / "works", tmp_path / "out")
        assert features.ids == (f"{place}.png",)
    assert len(list((tmp_path / "out/stores").glob("[!.]*"))) == 2


def test_names_of_folders_fit_any_disk(tmp_path):
    deep = tmp_path / ("画" * 80) / "timm:x"
    deep.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(deep / "a.png")
    for folder in (deep, deep.parent):
        run(folder, tmp_path / "out")
    names = os.listdir(tmp_path / "out" / "stores")
    assert all(len(name.encode()) < 250 and ":" not in name for name in names)


# Computed once


def test_what_is_known_is_not_even_opened(many, tmp_path, computed, opened, monkeypatch, settle):
    settle(many)
    first = run(many, tmp_path / "out")
    assert sum(computed) == 30 and len(opened) == 31
    computed.clear(), opened.clear()
    monkeypatch.setattr(
        artsearch.features.extractor, "load_model", None
    )  # nothing is loaded either
    again = stored_features(
        Collection(many), LITE, out=tmp_path / "out", layer="2", precision="exact",
        model=tiny_model(), progress=False,
    )  # fmt: skip
    assert same(first, again) and computed == [] and opened == []


def test_files_with_new_dates_alone_are_read_but_not_computed(many, tmp_path, computed, settle):
    settle(many)
    first = run(many, tmp_path / "out")
    for path in many.rglob("*.png"):
        os.utime(path)
    computed.clear()
    assert same(first, run(many, tmp_path / "out")) and computed == []


def test_a_corrected_caption_computes_nothing_and_is_stored(many, tmp_path, computed):
    run(many, tmp_path / "out")
    computed.clear()
    (many / "works.csv").write_text("file,title\nroom 0/work 00.png,Corrected\n")
    features = run(many, tmp_path / "out")
    assert computed == [] and len(features) == 30
    works = pd.read_parquet(sorted((store_of(tmp_path / "out") / "metadata").iterdir())[0])
    assert works["title"][0] == "Corrected"


def test_shards_of_another_size_are_written_anew(many, tmp_path, computed):
    run(many, tmp_path / "out", shard_rows=10)
    computed.clear()
    (many / "works.csv").write_text("file,title\nroom 0/work 00.png,Corrected\n")
    features = run(many, tmp_path / "out", shard_rows=25)
    assert computed == [] and as_built_from_nothing(features, many, tmp_path)


# A collection that changes


def test_added_works_alone_are_computed(many, tmp_path, noise, computed):
    run(many, tmp_path / "out")
    computed.clear()
    for name in ("room 0/a first.png", "room 0/work 11b.png", "z last.png"):
        noise(33, 44, seed=len(name)).save(many / name)
    grown = run(many, tmp_path / "out")
    assert sum(computed) == 3 and len(grown) == 33
    assert as_built_from_nothing(grown, many, tmp_path)


def test_a_changed_work_is_computed_again_though_size_and_date_are_the_same(
    tmp_path, paint, computed, settle
):
    path = paint("works/a.bmp", color="red")
    paint("works/b.bmp", color="green")
    settle(tmp_path / "works")
    before = run(tmp_path / "works", tmp_path / "out")
    status = path.stat()
    paint("works/a.bmp", color="blue")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    computed.clear()
    after = run(tmp_path / "works", tmp_path / "out")
    assert computed == [1]
    assert not np.array_equal(before.vector("a.bmp"), after.vector("a.bmp"))
    assert np.array_equal(before.vector("b.bmp"), after.vector("b.bmp"))
    assert as_built_from_nothing(after, tmp_path / "works", tmp_path)


def test_removed_and_renamed_works_compute_nothing(many, tmp_path, computed):
    run(many, tmp_path / "out")
    computed.clear()
    (many / "room 0/work 00.png").unlink()
    (many / "room 1/work 01.png").rename(many / "moved.png")
    after = run(many, tmp_path / "out")
    assert computed == [] and len(after) == 29 and "moved.png" in after.ids
    assert as_built_from_nothing(after, many, tmp_path)


def test_a_work_that_was_mended_comes_in_and_one_that_broke_goes_out(many, tmp_path, noise):
    run(many, tmp_path / "out")
    noise(20, 20, seed=99).save(many / "room 1/broken.jpg")
    (many / "room 0/work 02.png").write_bytes(b"cut")
    after = run(many, tmp_path / "out")
    assert [id for id, _ in after.skipped] == ["room 0/work 02.png"]
    assert "room 1/broken.jpg" in after.ids
    assert as_built_from_nothing(after, many, tmp_path)


def test_many_changes_at_random_end_as_built_from_nothing(many, tmp_path, noise):
    chance = random.Random(0)
    for step in range(6):
        files = sorted(many.rglob("*.png"))
        for path in chance.sample(files, 3):
            chance.choice(
                [path.unlink, lambda path=path: path.rename(path.with_suffix(".x.png"))]
            )()
        for number in range(chance.randrange(4)):
            noise(25, 25, seed=100 * step + number).save(many / f"{chance.random()}.png")
        noise(40, 20, seed=step).save(chance.choice(sorted(many.rglob("*.png"))))
        features = run(many, tmp_path / "out", shard_rows=chance.choice([5, 10, 50]))
        assert as_built_from_nothing(features, many, tmp_path)


def test_another_crop_layer_network_or_precision_has_a_store_of_its_own(tmp_path, paint):
    paint("works/a.png")
    folders = {
        store_folder(tmp_path, Collection(tmp_path / "works"), extractor, extractor.layers[0])
        for extractor in (
            tiny_extractor(),
            tiny_extractor(crop="center_crop"),
            tiny_extractor(layers="0"),
            tiny_extractor(pool=2),
            FeatureExtractor(LITE, precision="exact"),
        )
    }
    assert len(folders) == 5


# Killed


def extract_slowly(folder: Path, out: Path, seconds: float, queue=None) -> None:
    Slow.seconds = seconds
    slow = Slow(LITE, layers="2", precision="exact", model=tiny_model())
    features = run(folder, out, extractors=[slow])
    if queue is not None:
        queue.put(len(features))


def start(*args) -> multiprocessing.Process:
    """Begin to extract in a process of its own, which has this one's libraries loaded already."""
    process = multiprocessing.get_context("fork").Process(target=extract_slowly, args=args)
    process.start()
    return process


def written(out: Path) -> int:
    """Return how many bytes of rows the runs so far have left."""
    with suppress(FileNotFoundError):  # the last one may have ended meanwhile
        return sum(path.stat().st_size for path in out.glob("stores/.*partial/rows.f32"))
    return 0


@pytest.mark.parametrize("times", [4, slow(20)])
def test_a_run_killed_at_any_moment_loses_nothing_and_doubles_nothing(many, tmp_path, times):
    """At random moments between the beginning and the end, several in a row for each store."""
    chance, undisturbed = random.Random(1), run(many, tmp_path / "undisturbed")
    kills, kept = 0, set()
    while kills < times:
        out = tmp_path / f"out {kills}"
        for _ in range(5):
            # So many batches further, not so many seconds: a busy machine would get nowhere.
            wanted = written(out) + chance.randrange(3) * 4 * 6 * 4
            process = start(many, out, 0.05)
            while process.is_alive() and written(out) < wanted:
                time.sleep(0.002)
            process.join(chance.uniform(0, 0.06))
            process.kill()
            process.join()
            kills += process.exitcode == -signal.SIGKILL
            kept.add(written(out))
        assert same(run(many, out), undisturbed)
        assert os.listdir(out / "stores") != []
        assert not list(out.glob("stores/.*partial"))
    assert len(kept - {0}) > times // 6  # at different stages


class Killed(BaseException):
    """As if the process had ended here: nothing behind this line is done."""


STEPS = ("mkdir", "rename", "rmtree", "fsync", "link", "savetxt")


@pytest.mark.parametrize("grown", [slow(False), True])
def test_killed_at_every_step_of_the_finish(many, tmp_path, noise, monkeypatch, grown):
    """Every rename, removal and sync of the last phase, one after the other, is the last one."""
    if grown:
        run(many, tmp_path / "begin")
        noise(33, 44).save(many / "new.png")
    undisturbed = run(many, tmp_path / "undisturbed")
    calls, last = [], [0]

    def stop_at(module, name):
        real = getattr(module, name)

        def counting(*args, **options):
            calls.append(name)
            if len(calls) == last[0]:
                raise Killed
            return real(*args, **options)

        monkeypatch.setattr(module, name, counting)

    stop_at(Path, "rename")
    stop_at(os, "fsync")
    stop_at(shutil, "rmtree")
    stages = 0
    for number in range(1, 60):
        out = tmp_path / f"out {number}"
        if grown:
            last[0] = 0
            shutil.copytree(tmp_path / "begin", out)
        calls.clear()
        last[0] = number
        try:
            run(many, out)
            break
        except Killed:
            stages += 1
        last[0] = 0
        assert same(run(many, out), undisturbed)
        left = [path.name for path in (out / "stores").iterdir() if path.suffix != ".lock"]
        assert left == [store_of(out).name]
    assert stages >= 8


def test_a_store_is_there_all_the_time_while_it_grows(many, tmp_path, noise):
    """Whoever reads meanwhile sees the old rows or the new ones, and what is open stays."""
    first = run(many, tmp_path / "out")
    before = np.array(first.vectors)
    noise(33, 44).save(many / "new.png")
    process = start(many, tmp_path / "out", 0.3)
    while process.is_alive():
        assert len(load_features(store_of(tmp_path / "out"))) in (30, 31)
    assert len(load_features(store_of(tmp_path / "out"))) == 31
    assert np.array_equal(before, first.vectors)


# Disks and others


def test_two_processes_on_the_same_store(many, tmp_path):
    """The second one waits, and computes nothing."""
    queue = multiprocessing.get_context("fork").Queue()
    first = start(many, tmp_path / "out", 0.1, queue)
    while not list(tmp_path.glob("out/stores/.*partial")):
        time.sleep(0.01)
    with pytest.warns(UserWarning, match="waiting for another process"):
        features = run(many, tmp_path / "out")
    assert queue.get(timeout=30) == 30
    first.join()
    assert same(features, run(many, tmp_path / "alone"))


def extract_with_little_room(folder: Path, out: Path, queue) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))  # 12 rows of six numbers and a bit
    try:
        run(folder, out)
    except ArtsearchError as error:
        queue.put(str(error))


def test_a_full_disk_is_said_and_costs_nothing(many, tmp_path, computed):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=extract_with_little_room, args=(many, tmp_path / "out", queue))
    process.start()
    message = queue.get(timeout=60)
    process.join()
    assert "cannot write" in message and "works computed so far are kept" in message
    assert "run again" in message
    after = run(many, tmp_path / "out")
    assert same(after, run(many, tmp_path / "undisturbed"))


def test_a_disk_that_is_full_at_the_very_end(many, tmp_path, computed, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(ArtsearchError, match="No space left"):
        patch.setattr(os, "fsync", full)
        run(many, tmp_path / "out")
    computed.clear()
    assert same(run(many, tmp_path / "out"), run(many, tmp_path / "undisturbed"))
    assert sum(computed) == 30  # those of the undisturbed run alone


def test_a_folder_that_cannot_be_written_is_said_before_the_computing(
    many, tmp_path, computed, as_nobody
):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtsearchError, match="cannot write.*name another folder"):
        run(many, tmp_path / "file")
    assert computed == []


def test_a_store_that_is_current_needs_no_writing(many, tmp_path, settle):
    settle(many)
    run(many, tmp_path / "out")
    folder = tmp_path / "out" / "stores"
    folder.chmod(0o555)
    try:
        before = sorted(os.listdir(folder))
        assert len(run(many, tmp_path / "out")) == 30
        assert sorted(os.listdir(folder)) == before
    finally:
        folder.chmod(0o755)


def test_a_file_that_vanishes_in_mid_run_is_named(many, tmp_path, monkeypatch):
    rows = FeatureExtractor.rows
    victim = many / "room 1" / "work 29.png"

    def remove(self, inputs):
        victim.unlink(missing_ok=True)
        return rows(self, inputs)

    monkeypatch.setattr(FeatureExtractor, "rows", remove)
    features = run(many, tmp_path / "out", workers=1)
    reasons = dict(features.skipped)
    assert "no such image file" in reasons["room 1/work 29.png"] and len(features) == 29
    monkeypatch.undo()
    assert as_built_from_nothing(run(many, tmp_path / "out"), many, tmp_path)


def test_a_network_that_fails_in_mid_run_keeps_what_was_computed(many, tmp_path, monkeypatch):
    rows, calls = FeatureExtractor.rows, []

    def fail(self, inputs):
        calls.append(len(inputs))
        if len(calls) == 4:
            raise RuntimeError("a cosmic ray")
        return rows(self, inputs)

    monkeypatch.setattr(FeatureExtractor, "rows", fail)
    with pytest.raises(RuntimeError, match="cosmic"):
        run(many, tmp_path / "out")
    run(many, tmp_path / "out")
    # Lost with the one that failed is what was on its way: a batch a worker, and one that waits.
    most = 1 + artsearch.networks.forward.count_workers()
    assert 34 <= sum(calls) <= 30 + 4 * most


def test_nothing_but_unreadable_works_is_one_error(tmp_path):
    (tmp_path / "works").mkdir()
    (tmp_path / "works" / "a.jpg").write_text("no picture")
    for _ in range(2):
        with pytest.raises(CollectionError, match="none of the 1 works"):
            run(tmp_path / "works", tmp_path / "out")
    Image.new("RGB", (9, 9)).save(tmp_path / "works" / "b.png")
    assert run(tmp_path / "works", tmp_path / "out").ids == ("b.png",)


# What does not belong together


@pytest.mark.parametrize(
    "key, value", [("network", "vgg16"), ("crop", "center_crop"), ("layer", "0"), ("weights", "0")]
)
def test_a_store_of_something_else_is_refused_and_left_alone(many, tmp_path, key, value):
    run(many, tmp_path / "out")
    manifest = store_of(tmp_path / "out") / MANIFEST
    note = json.loads(manifest.read_text())
    mine, note["provenance"][key] = note["provenance"][key], value
    note["sha256"] = sealed._hash({name: note[name] for name in note if name != "sha256"})
    manifest.write_text(json.dumps(note))
    with pytest.raises(MismatchError, match=f"by {key} {value!r}, asked for is {mine!r}"):
        run(many, tmp_path / "out")
    assert json.loads(manifest.read_text()) == note


@pytest.mark.parametrize(
    "damaged, left",
    [("img_emb/img_emb_1.npy", 20), ("metadata/metadata_0.parquet", 20), ("manifest.json", 0)],
)
def test_of_a_damaged_store_only_what_is_lost_is_computed_anew(
    many, tmp_path, computed, settle, damaged, left
):
    settle(many)
    run(many, tmp_path / "out")
    path = store_of(tmp_path / "out") / damaged
    path.write_bytes(path.read_bytes()[:40])
    computed.clear()
    with pytest.warns(
        UserWarning, match=f"holds no features.*: {left} works are kept, the rest is"
    ):
        again = run(many, tmp_path / "out")
    assert sum(computed) == 30 - left
    assert same(again, run(many, tmp_path / "undisturbed"))


def test_nothing_that_is_loaded_can_run_code(many, tmp_path):
    """A pickle in the place of an array is not opened."""
    run(many, tmp_path / "out")
    trap = tmp_path / "trap"

    class Trap:
        def __reduce__(self):
            return (trap.touch, ())

    np.save(store_of(tmp_path / "out") / "img_emb/img_emb_0.npy", np.array([Trap()], dtype=object))
    with pytest.warns(UserWarning, match="the rest is computed anew"):
        run(many, tmp_path / "out")
    assert not trap.exists()


def test_unknown_names_before_anything_else(many, tmp_path, opened):
    for options in ({"crop": "squash"}, {"network": "vg16"}, {"layer": "blocks.99"}):
        arguments = {"network": LITE, "out": tmp_path / "out", "progress": False} | options
        with pytest.raises(ArtsearchError, match="unknown"):
            stored_features(Collection(many), **arguments)
    with pytest.raises(ArtsearchError, match="unknown precision 'quick'.*auto, fast, exact"):
        stored_features(Collection(many), LITE, precision="quick")
    assert opened == []
