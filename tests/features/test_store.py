"""Features on disk: whole or not at all, and taken only for what they were made of."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from artsearch.base import vectors as shards
from artsearch.base.disk import MANIFEST, write_folder
from artsearch.base.errors import ArtsearchError, MismatchError
from artsearch.features import store
from artsearch.features.features import Features
from artsearch.features.store import Contents, load_features, save_features, write_store
from artsearch.works.collection import Collection

VECTORS, METADATA = shards.names(0, of=1)


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


# Save and load


def test_a_round_trip_keeps_every_number(tmp_path):
    features = make()
    again = load_features(save_features(features, tmp_path / "deep" / "store"))
    assert np.array_equal(again.vectors, features.vectors) and again.vectors.dtype == np.float32
    assert (again.ids, again.provenance, again.skipped) == (
        features.ids,
        features.provenance,
        features.skipped,
    )


def test_the_manifest_is_there_when_all_rows_are(tmp_path):
    """By it a folder that a killed process left beside the store is known to be whole."""
    rows, too_soon = make().vectors, []

    def take(start, stop):
        too_soon.extend(tmp_path.rglob(MANIFEST))
        return rows[start:stop]

    works = pd.DataFrame({"id": list("abcd")})
    folder = write_store(tmp_path / "store", Contents(works, rows.shape[1], take, {}))
    assert not too_soon and (folder / MANIFEST).is_file()


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
    assert manifest["versions"].keys() == {"artsearch", "torch", "torchvision", "timm", "pillow"}


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
    works = pd.read_parquet(folder / METADATA).set_index("id")
    assert works.loc["emoji 🎨.png", "title"] == 'a "b" ☃'


# Several shards


def write_in_shards(folder: Path, features: Features, shard_rows: int) -> Path:
    works = pd.DataFrame({"id": list(features.ids)}).assign(**dict.fromkeys(store.STATE, 0))

    def take(start, stop):
        return features.vectors[start:stop]

    contents = store.Contents(
        works, features.dims, take, features.provenance, shard_rows=shard_rows
    )
    return store.write_store(folder, contents)


@pytest.mark.parametrize("shard_rows", [1, 2, 3, 5, 7])
def test_shards_are_used_as_one_array(tmp_path, shard_rows):
    features = make(5)
    again = load_features(write_in_shards(tmp_path / "store", features, shard_rows))
    assert again.ids == features.ids
    assert np.array_equal(np.asarray(again.vectors), features.vectors)
    assert np.array_equal(again.vector("work 3.jpg"), features.vectors[3])


def test_pandas_and_numpy_alone_can_read_many_shards(tmp_path):
    folder = write_in_shards(tmp_path / "store", make(23), 2)
    vectors = [np.load(path) for path in sorted((folder / "img_emb").glob("*.npy"))]
    works = [pd.read_parquet(path) for path in sorted((folder / "metadata").iterdir())]
    assert np.array_equal(np.concatenate(vectors), make(23).vectors)
    assert pd.concat(works)["id"].tolist() == list(make(23).ids)


READ_WITH_AUTOFAISS = """
import json, sys
from autofaiss import build_index
from embedding_reader import EmbeddingReader

folder = sys.argv[1]
vectors, works = folder + "/img_emb", folder + "/metadata"
index, _ = build_index(vectors, save_on_disk=False, metric_type="l2")
reader = EmbeddingReader(
    vectors, metadata_folder=works, file_format="parquet_npy", meta_columns=["id"]
)
ids = [id for _, rows in reader(batch_size=100, show_progress=False) for id in rows["id"]]
print(json.dumps([index.ntotal, index.d, ids]))
"""


@pytest.fixture(scope="session")
def autofaiss_python() -> Path:
    """The Python of an environment that has autofaiss, made below build when it is missing."""
    folder = Path(__file__).parents[2] / "build" / "environments" / "autofaiss"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement"]
        wanted = Path(__file__).with_name("autofaiss.txt")
        done = subprocess.run([*pip, wanted], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"autofaiss does not install here: {done.stderr.splitlines()[-1]}")
        ready.touch()
    return python


@pytest.mark.slow
def test_autofaiss_reads_it(tmp_path, autofaiss_python):
    """With 12 shards, whose order must not change: the reader sorts them by name."""
    features = make(300, 8)
    folder = write_in_shards(tmp_path / "store", features, 25)
    command = [autofaiss_python, "-c", READ_WITH_AUTOFAISS, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [300, 8, list(features.ids)]


def test_one_shard_without_its_works_is_a_damaged_store(tmp_path):
    folder = write_in_shards(tmp_path / "store", make(5), 2)
    (folder / shards.names(1, of=3)[1]).unlink()
    with pytest.raises(ArtsearchError, match="holds no features"):
        load_features(folder)


# What is not wanted


@pytest.mark.parametrize(
    "wanted", [{"network": "vgg16"}, {"crop": "no_crop"}, {"weights": "12"}, {"pool": 2}]
)
def test_a_store_of_something_else_is_refused_with_both_values(tmp_path, wanted):
    folder = save_features(make(), tmp_path / "store")
    ((key, value),) = wanted.items()
    theirs = make().provenance.get(key)
    with pytest.raises(MismatchError, match=f"by {key} {theirs!r}, asked for is {value!r}"):
        load_features(folder, **wanted)
    assert len(load_features(folder, network="made up", pool=1)) == 4


# Folders that are damaged


def damage(folder: Path, name: str, content: bytes | None) -> None:
    path = folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def manifest(**changes) -> bytes:
    whole = {"format": 2, "provenance": {}, "rows": 4, "dims": 3, "shards": [4], "skipped": []}
    return json.dumps(whole | changes).encode()


def npy(array) -> bytes:
    with tempfile.TemporaryFile() as file:
        np.save(file, array)
        file.seek(0)
        return file.read()


@pytest.mark.parametrize(
    "name, content",
    [
        (MANIFEST, None),
        (MANIFEST, b"{"),
        (MANIFEST, b'{"format": 2}'),
        (VECTORS, None),
        (VECTORS, npy(np.ones((4, 3), np.float32))),
        (METADATA, b"PAR1 rubbish PAR1"),
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


def test_no_store_at_all(tmp_path):
    for folder in (tmp_path / "missing", tmp_path):
        with pytest.raises(ArtsearchError, match="No such file.*compute them again"):
            load_features(folder)


# Whole or not at all


def write_half(new: Path) -> None:
    (new / "manifest.json").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_save_that_is_killed_leaves_the_old_one(tmp_path):
    for folder in (tmp_path / "new", tmp_path / "old"):
        if folder.name == "old":
            write_folder(folder, lambda new: (new / "manifest.json").write_text("whole"))
        save = partial(write_folder, folder, write_half, ["manifest.json"])
        process = multiprocessing.get_context("fork").Process(target=save)
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "old" / "manifest.json").read_text() == "whole"


def test_a_save_that_fails_leaves_the_old_one_and_no_rest(tmp_path):
    folder = save_features(make(), tmp_path / "store")

    def fail(new: Path) -> None:
        (new / "half").write_text("x")
        raise OSError(28, "No space left on device")

    with pytest.raises(ArtsearchError, match="store' .No space left on device.; name another"):
        write_folder(folder, fail, (*store.OWN, MANIFEST))
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
        write_folder(folder, lambda new: (new / "manifest.json").write_text("whole"), [MANIFEST])


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
