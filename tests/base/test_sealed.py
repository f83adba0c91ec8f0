"""A sealed folder answers as it was written, or says that it is damaged: nothing in between."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from artsearch.base import sealed
from artsearch.base.disk import MANIFEST
from artsearch.base.errors import ArtsearchError, DamagedError, MismatchError
from artsearch.base.sealed import CHECKED, find_sealed, open_sealed, seal, verify
from artsearch.features.blend import Blend, load_blend
from artsearch.features.features import Features
from artsearch.features.store import load_features, save_features
from artsearch.index.blend import BlendIndex
from artsearch.index.factory import construct_index, load_index
from artsearch.networks.network import BlendLayers

VECTORS = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32)
IDS = tuple(f"{row:02}.jpg" for row in range(60))


def write(new: Path) -> None:
    (new / "sub").mkdir()
    (new / "sub" / "rows.npy").write_bytes(VECTORS.tobytes())
    (new / "words.txt").write_text("words")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setitem(sealed.FORMATS, "rows", 2)
    return seal(tmp_path / "sealed", "rows", {"dims": 16}, write, ("sub", "words.txt"))


@pytest.fixture
def large(monkeypatch) -> list[str]:
    """Take every file for a large one; list what is read."""
    monkeypatch.setattr(sealed, "LARGE", 1)
    read, real = [], sealed.hash_now
    monkeypatch.setattr(sealed, "hash_now", lambda path: read.append(path.name) or real(path))
    return read


def spoil(data: bytes) -> list[bytes]:
    """Return what can become of a file: cut, filled, turned, put together otherwise."""
    rng, middle = np.random.default_rng(0), len(data) // 2
    rows = np.frombuffer(data[: len(data) // 64 * 64], np.uint8).reshape(-1, 64)
    found = [b"", b"rubbish", data[:-1], data + b"x", data[:middle], bytes(len(data))]
    found += [data[: 4 * len(data) // 5] + bytes(len(data) - 4 * len(data) // 5)]  # a power cut
    found += [rows[::-1].tobytes() + data[rows.size :], rng.bytes(len(data))]
    for bits in (1, 40):
        turned = bytearray(data)
        for place in rng.integers(0, len(data), bits):
            turned[place] ^= 0x40
        found.append(bytes(turned))
    return [one for one in found if one != data]


# What is sealed


def test_it_says_what_it_holds(folder):
    manifest = open_sealed(folder, "rows")
    assert (manifest["dims"], sorted(manifest["files"])) == (16, ["sub/rows.npy", "words.txt"])
    assert verify(folder) == manifest
    assert list(find_sealed(folder.parent)) == [folder]


def test_damage_is_named_with_its_file(folder):
    for name in ("sub/rows.npy", "words.txt"):
        path, data = folder / name, (folder / name).read_bytes()
        for wrong in spoil(data):
            path.write_bytes(wrong)
            for look in (verify, lambda folder: open_sealed(folder, "rows")):
                with pytest.raises(DamagedError, match=f"^{name} is not as it was written"):
                    look(folder)
        path.unlink()
        with pytest.raises(DamagedError, match=f"^{name} cannot be read: No such file"):
            open_sealed(folder, "rows")
        path.write_bytes(data)
    assert verify(folder)


def test_a_manifest_that_was_changed_is_refused(folder):
    path, whole = folder / MANIFEST, (folder / MANIFEST).read_text()
    for entry in json.loads(whole):
        for value in (None, "rubbish", 99):
            path.write_text(json.dumps(json.loads(whole) | {entry: value}))
            with pytest.raises(ArtsearchError):
                open_sealed(folder, "rows")
    path.write_text(json.dumps({k: v for k, v in json.loads(whole).items() if k != "sha256"}))
    with pytest.raises(DamagedError):
        open_sealed(folder, "rows")
    for wrong in [*spoil(whole.encode()), b"[]", b"5", b"null", b'"a"']:
        path.write_bytes(wrong)
        for look in (verify, lambda folder: open_sealed(folder, "rows")):
            with pytest.raises(DamagedError, match="manifest.json is not as it was written"):
                look(folder)
    path.unlink()
    with pytest.raises(DamagedError, match="manifest.json cannot be read: No such file"):
        verify(folder)


def test_another_kind_and_an_older_format_are_told_apart(folder, monkeypatch):
    with monkeypatch.context() as now:
        now.setitem(sealed.FORMATS, "rows", 3)
        for look in (verify, lambda folder: open_sealed(folder, "rows")):
            with pytest.raises(MismatchError, match="it holds rows of format 2, not rows of 3"):
                look(folder)
    with pytest.raises(MismatchError, match="it holds rows of format 2, not index of 3"):
        open_sealed(folder, "index")
    (folder / MANIFEST).write_text('{"format": 1, "provenance": {}}')
    with pytest.raises(MismatchError, match="its format is 1, this version has 2"):
        open_sealed(folder, "rows")
    (folder / MANIFEST).rename(folder / "index.json")
    with pytest.raises(MismatchError, match="an older version's format"):
        open_sealed(folder, "rows")
    assert list(find_sealed(folder)) == [folder]


# What is read of it


def test_a_large_file_is_read_when_its_size_or_dates_changed(folder, large):
    seal(folder, "rows", {}, write, ("sub", "words.txt"))
    large.clear()
    open_sealed(folder, "rows")
    assert large == []
    os.utime(folder / "words.txt", ns=(1, 1))
    open_sealed(folder, "rows")
    assert large == ["words.txt"]
    shutil.copytree(folder, folder.with_name("copy"))
    large.clear()
    for _ in range(2):
        open_sealed(folder.with_name("copy"), "rows")
    assert sorted(large) == ["rows.npy", "words.txt"]


def test_damage_to_a_large_file_is_noticed(folder, large):
    seal(folder, "rows", {}, write, ("sub", "words.txt"))
    path, data = folder / "sub" / "rows.npy", (folder / "sub" / "rows.npy").read_bytes()
    for wrong in spoil(data):
        path.write_bytes(wrong)
        with pytest.raises(DamagedError):
            open_sealed(folder, "rows")
    path.write_bytes(data)
    assert open_sealed(folder, "rows")


@pytest.mark.parametrize(
    "checked",
    [b"", b"rubbish", b"[]", b'{"words.txt": 3}', b'{"words.txt": [1, 2, 3, "x"]}', None],
)
def test_without_dates_that_can_be_read_everything_is_read(folder, large, checked):
    seal(folder, "rows", {}, write, ("sub", "words.txt"))
    (folder / CHECKED).unlink()
    if checked is not None:
        (folder / CHECKED).write_bytes(checked)
    large.clear()
    open_sealed(folder, "rows")
    assert sorted(large) == ["rows.npy", "words.txt"]


def test_hashes_that_are_known_are_not_taken_again(folder, large):
    known = open_sealed(folder, "rows")["files"]
    large.clear()
    seal(folder, "rows", {}, write, ("sub", "words.txt"), {"words.txt": known["words.txt"]})
    assert large == ["rows.npy"]


# What artsearch keeps: an answer as it was, or a sentence


def keep_features(folder: Path) -> Path:
    return save_features(Features(VECTORS, IDS, {"network": "made up"}), folder)


def ask_features(folder: Path):
    features = load_features(folder)
    return features.ids, np.asarray(features.vectors).tobytes()


def keep_index(kind: str):
    features = Features(VECTORS, IDS, {"network": "made up"})
    return lambda folder: construct_index(kind, "angular", features).save(folder)


def ask_index(folder: Path):
    index = load_index(folder)
    return [index.search(id, 5)[0] for id in IDS[::7]]


LAYERS = BlendLayers((("a", 1.0),), (("a", 1.0),), (("b", 1.0),))


def keep_blend(folder: Path) -> Path:
    by_layer = {"a": Features(VECTORS, IDS), "b": Features(VECTORS[::-1], IDS)}
    return Blend.fit(by_layer, LAYERS, 16).save(folder)


def ask_blend(folder: Path):
    index = BlendIndex(load_blend(folder), 0.5)
    return [index.search(id, 5)[0] for id in IDS[::7]]


KEPT = {
    "features": (keep_features, ask_features),
    "annoy": (keep_index("annoy"), ask_index),
    "exact": (keep_index("exact"), ask_index),
    "faiss": (keep_index("faiss"), ask_index),
    "blend": (keep_blend, ask_blend),
}


@pytest.mark.parametrize("kind", KEPT)
def test_what_is_damaged_never_answers_otherwise(tmp_path, kind):
    keep, ask = KEPT[kind]
    folder = keep(tmp_path / "kept")
    right, refused, tried = ask(folder), 0, 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for wrong in spoil(data):
            path.write_bytes(wrong)
            tried += 1
            try:
                assert ask(folder) == right, f"{path.name}: {wrong[:40]!r}"
            except (ArtsearchError, ValueError):
                refused += 1
        path.write_bytes(data)
    assert ask(folder) == right
    assert refused == tried > 20
