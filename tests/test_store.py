"""Features on disk: whole or not at all, and taken only for what they were made of."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artsearch import store
from artsearch.collection import Collection
from artsearch.errors import ArtsearchError, MismatchError
from artsearch.features import Features
from artsearch.store import load_features, save_features, stored_features, write_folder

LITE = "efficientnet_lite0"


def make(rows: int = 4, dims: int = 3, seed: int = 0) -> Features:
    vectors = np.random.default_rng(seed).normal(size=(rows, dims))
    ids = tuple(f"work {row}.jpg" for row in range(rows))
    return Features(vectors, ids, {"network": "made up", "pool": 1}, (("x.jpg", "cannot read"),))


@pytest.fixture
def two(tmp_path) -> Path:
    """A folder of two tiny pictures."""
    folder = tmp_path / "two"
    folder.mkdir()
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.new("RGB", (20, 30), colour).save(folder / name)
    return folder


@pytest.fixture
def compute(monkeypatch, one_thread):
    """Count the calls of compute_features, and let the real one run."""
    calls = []
    real = store.compute_features

    def counting(*args, **options):
        calls.append(args[1:])
        return real(*args, **options)

    monkeypatch.setattr(store, "compute_features", counting)
    return calls


# Save and load


def test_a_round_trip_keeps_every_number(tmp_path):
    features = make()
    again = load_features(save_features(features, tmp_path / "deep" / "store"))
    assert np.array_equal(again.vectors, features.vectors) and again.vectors.dtype == np.float32
    assert (again.ids, again.made_by, again.skipped) == (
        features.ids,
        features.made_by,
        features.skipped,
    )


def test_a_loaded_store_stays_on_disk_and_cannot_be_changed(tmp_path):
    features = load_features(save_features(make(), tmp_path / "store"))
    assert isinstance(features.vectors.base, np.memmap) or features.vectors.base is not None
    with pytest.raises(ValueError, match="read-only"):
        features.vectors[0] = 1


def test_numpy_and_pandas_alone_can_read_it(few, few_features, tmp_path):
    """In the layout of clip-retrieval and autofaiss, with the works' columns."""
    folder = save_features(few_features, tmp_path / "store", Collection(few))
    vectors = np.load(folder / "img_emb" / "img_emb_0.npy", allow_pickle=False)
    works = pd.read_parquet(folder / "metadata" / "metadata_0.parquet")
    assert np.array_equal(vectors, few_features.vectors)
    assert works["id"].tolist() == list(few_features.ids)
    assert "Leonardo da Vinci" in works["artist"].tolist() and "licence" in works.columns
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["rows"], manifest["dims"]) == (5, 1280)
    assert manifest["versions"].keys() == {"torch", "timm"}


def test_nothing_is_pickled(tmp_path):
    folder = save_features(make(), tmp_path / "store")
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert files == ["img_emb/img_emb_0.npy", "manifest.json", "metadata/metadata_0.parquet"]
    assert not any(b"\x80\x04\x95" in path.read_bytes() for path in folder.rglob("*.*"))


def test_odd_ids_and_columns_survive(tmp_path, paint):
    for name in ("emoji 🎨.png", "line\nend.png", 'quote".png'):
        paint(f"works/{name}")
    table = 'file;title;;manner\nemoji 🎨.png;"a ""b"" ☃";x;y\n'
    (tmp_path / "works" / "works.csv").write_text(table, "utf-8")
    collection = Collection(tmp_path / "works")
    features = Features(np.eye(3), tuple(collection.ids))
    folder = save_features(features, tmp_path / "store", collection)
    assert load_features(folder).ids == features.ids
    works = pd.read_parquet(folder / store.METADATA).set_index("id")
    assert works.loc["emoji 🎨.png", "title"] == 'a "b" ☃'


# Folders that are damaged


def damage(folder: Path, name: str, content: bytes | None) -> None:
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def manifest(**changes) -> bytes:
    whole = {"format": 1, "made_by": {}, "rows": 4, "dims": 3, "skipped": []}
    return json.dumps(whole | changes).encode()


def npy(array) -> bytes:
    with tempfile.TemporaryFile() as file:
        np.save(file, array)
        file.seek(0)
        return file.read()


@pytest.mark.parametrize(
    "name, content",
    [
        (store.MANIFEST, None),
        (store.MANIFEST, b""),
        (store.MANIFEST, b"{"),
        (store.MANIFEST, b"[]"),
        (store.MANIFEST, b"\xff\xfe"),
        (store.MANIFEST, b'{"format": 1}'),
        (store.MANIFEST, manifest(skipped=3)),
        (store.MANIFEST, manifest(format=2)),
        (store.MANIFEST, manifest(rows=5)),
        (store.MANIFEST, manifest(dims=4)),
        (store.VECTORS, None),
        (store.VECTORS, b""),
        (store.VECTORS, b"rubbish"),
        (store.VECTORS, npy(np.ones((4, 3), np.float32))[:-8]),
        (store.VECTORS, npy(np.ones((5, 3), np.float32))),
        (store.VECTORS, npy(np.ones(12, np.float32))),
        (store.VECTORS, npy(np.array([["a"] * 3] * 4))),
        (store.VECTORS, npy(np.array([[None] * 3] * 4, dtype=object))),
        (store.METADATA, None),
        (store.METADATA, b""),
        (store.METADATA, b"PAR1 rubbish PAR1"),
    ],
)
def test_a_damaged_store_is_refused_with_the_next_step(tmp_path, name, content):
    folder = save_features(make(), tmp_path / "store")
    damage(folder, name, content)
    with pytest.raises(
        ArtsearchError, match="store' holds no features.*compute them again"
    ) as error:
        load_features(folder)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_parts_of_two_stores_do_not_belong_together(tmp_path):
    folder = save_features(make(4), tmp_path / "four")
    other = save_features(make(5), tmp_path / "five")
    shutil.copy(other / store.METADATA, folder / store.METADATA)
    with pytest.raises(MismatchError, match=r"\(4, 3\) numbers and 5 ids"):
        load_features(folder)


def test_no_store_at_all(tmp_path):
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(ArtsearchError, match="No such file.*compute them again"):
            load_features(folder)


# Whole or not at all

SAVE = """
import os, signal, sys
from pathlib import Path
from artsearch.store import write_folder

def write(new):
    (new / "manifest.json").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

write_folder(sys.argv[1], write, ["manifest.json"])
"""


def test_a_save_that_is_killed_leaves_the_old_one(tmp_path):
    for folder in (tmp_path / "new", tmp_path / "old"):
        if folder.name == "old":
            write_folder(folder, lambda new: (new / "manifest.json").write_text("whole"))
        subprocess.run([sys.executable, "-c", SAVE, str(folder)], check=False)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "old" / "manifest.json").read_text() == "whole"


def test_a_save_that_fails_leaves_the_old_one_and_no_rest(tmp_path):
    folder = save_features(make(), tmp_path / "store")

    def fail(new: Path) -> None:
        (new / "half").write_text("x")
        raise OSError(28, "No space left on device")

    with pytest.raises(ArtsearchError, match="store' .No space left on device.; name another"):
        write_folder(folder, fail, store.OWN)
    assert len(load_features(folder)) == 4
    assert os.listdir(tmp_path) == ["store"]


def test_saving_again_replaces(tmp_path):
    folder = save_features(make(4), tmp_path / "store")
    loaded = load_features(folder)
    save_features(make(6), folder)
    assert len(load_features(folder)) == 6
    assert np.isfinite(loaded.vectors).all()  # what was open stays open
    assert os.listdir(tmp_path) == ["store"]


def test_a_folder_of_the_users_own_is_never_replaced(tmp_path, two):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "manifest.json").write_text("of something else")
    (tmp_path / "project" / "thesis.txt").write_text("years of work")
    for folder in (two, tmp_path / "project"):
        before = sorted(os.listdir(folder))
        with pytest.raises(ArtsearchError, match="holds other things.*name a new folder"):
            save_features(make(), folder)
        assert sorted(os.listdir(folder)) == before
    (tmp_path / "empty").mkdir()
    assert len(load_features(save_features(make(), tmp_path / "empty"))) == 4


def test_a_folder_behind_a_link_stays_behind_it(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for rows in (4, 5):
        save_features(make(rows), tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and len(load_features(tmp_path / "disk")) == 5


def save_many(folder: str) -> None:
    for _ in range(20):
        write_folder(folder, lambda new: (new / "manifest.json").write_text("whole"), store.OWN)


def test_several_processes_may_save_the_same_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=save_many, args=(tmp_path / "store",)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
    assert (tmp_path / "store" / "manifest.json").read_text() == "whole"
    assert os.listdir(tmp_path) == ["store"]


def test_another_process_may_be_faster(tmp_path, monkeypatch):
    """It puts its folder in place just after the old one was moved away."""
    folder = save_features(make(4), tmp_path / "store")
    faster = [save_features(make(5), tmp_path / "faster")]
    rename = Path.rename

    def rename_late(self, target):
        if target == folder and faster:
            rename(faster.pop(), target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_late)
    assert len(load_features(save_features(make(6), folder))) == 6
    assert not faster and os.listdir(tmp_path) == ["store"]


def test_places_that_cannot_be_written(tmp_path, as_nobody):
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file" / "store", tmp_path / "file"):
        with pytest.raises(ArtsearchError, match="cannot write .*a file is in the way.; name an"):
            save_features(make(), folder)
    assert (tmp_path / "file").read_text() == "x"
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        with as_nobody(), pytest.raises(ArtsearchError, match="Permission denied"):
            save_features(make(), Path(name, "store"))
        Path(name).chmod(0o755)


# Computed once


def test_features_are_computed_once(two, tmp_path, compute):
    first = stored_features(Collection(two), LITE, out=tmp_path, progress=False)
    second = stored_features(Collection(two), LITE, out=tmp_path, progress=False)
    assert len(compute) == 1
    assert np.array_equal(first.vectors, second.vectors) and second.made_by == first.made_by
    assert second.ids == ("a.png", "b.png") and second.dims == 1280


def test_what_is_stored_needs_no_network(two, tmp_path, compute, monkeypatch):
    stored_features(Collection(two), LITE, out=tmp_path, progress=False)

    def explode(*args, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(store, "compute_features", explode)
    assert len(stored_features(Collection(two), LITE, out=tmp_path)) == 2


def test_a_corrected_caption_computes_nothing(two, tmp_path, compute):
    stored_features(Collection(two), LITE, out=tmp_path, progress=False)
    (two / "works.csv").write_text("file,title\na.png,Corrected\n")
    stored_features(Collection(two), LITE, out=tmp_path, progress=False)
    assert len(compute) == 1


def test_another_file_crop_layer_or_network_is_computed(two, tmp_path, compute):
    def ask(network=LITE, **options) -> Features:
        return stored_features(Collection(two), network, out=tmp_path, progress=False, **options)

    ask()
    ask(crop="center_crop")
    ask(layer="blocks.2")
    ask("efficientnet_lite1")
    assert len(compute) == 4
    before = ask(crop="center_crop")
    Image.new("RGB", (20, 30), "green").save(two / "a.png")
    changed = ask(crop="center_crop")
    assert len(compute) == 5
    assert not np.array_equal(before.vectors[0], changed.vectors[0])
    assert np.abs(before.vectors[1] - changed.vectors[1]).max() <= 1e-5


def test_a_store_by_other_weights_or_damaged_is_computed_again(two, tmp_path, compute):
    good = stored_features(Collection(two), LITE, out=tmp_path, progress=False)
    (folder,) = (tmp_path / "stores").iterdir()
    note = json.loads((folder / "manifest.json").read_text())
    note["made_by"]["weights"] = "0" * 64
    for name, content in {
        "manifest.json": json.dumps(note).encode(),
        store.VECTORS: b"cut",
        store.METADATA: None,
    }.items():
        damage(folder, name, content)
        again = stored_features(Collection(two), LITE, out=tmp_path, progress=False)
        assert np.array_equal(again.vectors, good.vectors) and again.made_by == good.made_by
    assert len(compute) == 4


def test_names_of_folders_fit_any_disk(tmp_path, compute):
    deep = tmp_path / ("画" * 80) / "timm:x"
    deep.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(deep / "a.png")
    for folder in (deep, deep.parent):
        stored_features(Collection(folder), LITE, out=tmp_path / "out", progress=False)
    names = os.listdir(tmp_path / "out" / "stores")
    assert len(names) == 2 and all(len(name.encode()) < 255 and ":" not in name for name in names)


def test_an_output_that_cannot_be_written_fails_before_the_computing(two, tmp_path, compute):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtsearchError, match="cannot write"):
        stored_features(Collection(two), LITE, out=tmp_path / "file")
    assert compute == []


def test_unknown_names_before_anything_else(two, tmp_path):
    for options in ({"crop": "squash"}, {"network": "vg16"}, {"layer": "blocks.99"}):
        arguments = {"network": LITE, "out": tmp_path, "progress": False} | options
        with pytest.raises(ArtsearchError, match="unknown"):
            stored_features(Collection(two), **arguments)
