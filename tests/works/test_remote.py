"""A collection in object storage is the collection it is on the disk."""

import io
import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest
import remote_store
from extracting import run
from fsspec.registry import known_implementations
from loopback import closed_address
from madeup import make_folder, searches_by_colour
from PIL import Image
from remote_store import ASKED, INSTEAD, OBJECTS, gets

from artsearch.base.errors import ArtsearchError, CollectionError, ImageError
from artsearch.features.extract import collection_key
from artsearch.show.site import write_site
from artsearch.works import storage as remote
from artsearch.works.collection import Collection
from artsearch.works.file_state import hash_file, is_proof, read_steadily, signature
from artsearch.works.images import MAX_BYTES, open_image, thumbnail
from artsearch.works.storage import RemoteFile, RemoteFolder
from artsearch.works.table import read_works_csv
from artsearch.works.thumbnails import Thumbnails

STORE = "flatstore://bucket/art"
WALKED = "artstore://bucket/art"


@pytest.fixture(scope="module")
def art(tmp_path_factory) -> Path:
    """Six pictures with captions, one of them in a subfolder with a table of its own."""
    folder = make_folder(tmp_path_factory.mktemp("local") / "art", [f"Title {n}" for n in range(5)])
    (folder / "deep" / "er").mkdir(parents=True)
    shutil.copy(folder / "work 00000.png", folder / "deep" / "er" / "a größer wave.png")
    (folder / "deep" / "works.csv").write_text("file,title\ner/a größer wave.png,Wave\n", "utf-8")
    return folder


@pytest.fixture(autouse=True)
def store(art):
    """The same folder in a store, as `flatstore://bucket/art`."""
    remote_store.put(art)
    yield
    remote_store.forget()


def picture(colour: str = "red", kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, kind)
    return out.getvalue()


# The same collection


@pytest.mark.parametrize("address", [STORE, STORE + "/", WALKED])
def test_works_captions_and_fingerprint_are_those_of_the_local_folder(art, address):
    there, here = Collection(address), Collection(art)
    assert there.works.equals(here.works)
    assert there.fingerprint() == here.fingerprint()
    assert there.name == here.name == "art"
    assert (there.skipped, repr(there)) == ([], repr(here))
    assert there.path("work 00001.png").suffix == ".png"
    assert str(there.path("work 00001.png")) == f"{address.rstrip('/')}/work 00001.png"


def test_memory_is_an_address_like_others(art):
    files = fsspec.filesystem("memory")
    try:
        for path in art.rglob("*.*"):
            files.pipe_file(f"/gallery/{path.relative_to(art).as_posix()}", path.read_bytes())
        assert Collection("memory://gallery").works.equals(Collection(art).works)
        nested = Collection("memory://")
        assert (nested.name, len(nested)) == ("memory", 6)
        assert nested.ids[0] == "gallery/deep/er/a größer wave.png"
        assert str(nested.path(nested.ids[0])) == f"memory://{nested.ids[0]}"
        assert open_image("memory://gallery/work 00002.png").size == (48, 64)
    finally:
        files.rm("/gallery", recursive=True)


def test_a_zip_file_is_a_folder_too(art, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "art"), "zip", art)
    collection = Collection(f"zip://deep::file://{archive}")
    assert collection.ids == ["er/a größer wave.png"]
    address = str(collection.path("er/a größer wave.png"))
    assert open_image(address).size == collection.open("er/a größer wave.png").size


def test_a_file_address_is_the_local_folder_itself(art, tmp_path):
    blank = shutil.copytree(art, tmp_path / "two words")
    for address in (f"file://{blank}", blank.as_uri()):
        collection = Collection(address)
        assert collection.folder == blank
        assert isinstance(collection.path("work 00001.png"), Path)
    assert open_image((blank / "work 00001.png").as_uri()).size == (48, 56)


def test_local_folders_do_without_fsspec(art, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    collection = Collection(art)
    assert collection.open("work 00001.png").size == (48, 56)
    with pytest.raises(ArtsearchError, match=r"pip install 'artsearch\[scale\]'"):
        Collection(STORE)


def test_hidden_names_and_other_files_are_passed_over():
    for name in (".trash/x.png", "deep/.a.png", "notes.txt", "x.png.bak"):
        OBJECTS[f"bucket/art/{name}"] = b"x"
    assert len(Collection(STORE)) == 6


def test_odd_names_of_objects(art):
    names = ["a::b.png", "who?.png", "100 %20.png", "#1.png", "x//y.png", "quote'\".png"]
    for name in names:
        OBJECTS[f"bucket/odd/{name}"] = picture()
    collection = Collection("flatstore://bucket/odd")
    assert collection.ids == sorted(names)
    assert all(collection.open(id).size == (64, 48) for id in collection)


def test_a_local_name_with_colons_is_no_address(tmp_path, paint, monkeypatch):
    paint("a::b/c::d.png")
    monkeypatch.chdir(tmp_path)
    assert Collection("a::b").ids == ["c::d.png"]
    assert open_image("a::b/c::d.png").size == (8, 6)


def test_a_table_is_held_to_what_is_there():
    OBJECTS["bucket/art/works.csv"] = (
        b"file,title\n../x.png,A\nnone.png,B\ndeep/../work 00001.png,C\n"
    )
    with pytest.warns(UserWarning, match="2 left out of art"):
        collection = Collection(STORE)
    assert collection.work("work 00001.png")["title"] == "C"
    assert [reason for _, reason in collection.skipped] == [
        "row of works.csv: lies outside the folder",
        "row of works.csv: the file is missing",
    ]
    OBJECTS["bucket/art/deep/works.csv"] = b"name\n"
    with pytest.raises(
        CollectionError, match="flatstore://bucket/art/deep/works.csv has no column"
    ):
        Collection(STORE)


def test_a_large_folder_is_one_question():
    data = picture()
    OBJECTS.update({f"bucket/art/{n % 7}/{n // 7 % 11}/{n:05}.png": data for n in range(5_000)})
    assert len(Collection(STORE)) == 5_006
    assert {what: times for what, times in ASKED.items() if not what.startswith("get")} == {
        "find bucket/art": 1
    }
    assert set(gets()) == {"works.csv"}


# Features


def test_features_equal_those_of_the_local_folder(art, tmp_path, one_thread):
    here = run(art, tmp_path / "here")
    there = run(STORE, tmp_path / "there")
    assert there.ids == here.ids
    assert np.array_equal(there.vectors, here.vectors)


def test_each_file_is_fetched_once_and_not_again_while_it_is_the_same(tmp_path, one_thread):
    run(STORE, tmp_path)
    once = dict.fromkeys(Collection(STORE).ids, 1)
    pictures = {name: times for name, times in gets().items() if name != "works.csv"}
    assert pictures == {id.rpartition("/")[2]: times for id, times in once.items()}
    ASKED.clear()
    run(STORE, tmp_path)
    assert set(gets()) == {"works.csv"}
    assert not [what for what in ASKED if what.startswith("info")]


def test_what_was_added_changed_and_removed_is_noticed(tmp_path, one_thread):
    before = run(STORE, tmp_path)
    ASKED.clear()
    OBJECTS["bucket/art/new.png"] = picture()
    OBJECTS["bucket/art/work 00001.png"] = picture("blue")
    del OBJECTS["bucket/art/work 00002.png"]
    with pytest.warns(UserWarning, match="'work 00002.png' .row of works.csv: the file is missing"):
        after = run(STORE, tmp_path)
    assert set(after.ids) ^ set(before.ids) == {"new.png", "work 00002.png"}
    assert {name for name in gets() if name.endswith("png")} == {"new.png", "work 00001.png"}
    rows = dict(zip(after.ids, np.asarray(after.vectors), strict=True))
    old = dict(zip(before.ids, np.asarray(before.vectors), strict=True))
    assert np.array_equal(rows["work 00003.png"], old["work 00003.png"])
    assert not np.array_equal(rows["work 00001.png"], old["work 00001.png"])


def test_where_a_store_tells_dates_alone_works_are_read_again(tmp_path, one_thread):
    address = "datestore://bucket/art"
    OBJECTS["bucket/art/work 00001.png"] = picture("red", "BMP")
    assert not is_proof(signature(Collection(address).path("work 00001.png")))
    before = run(address, tmp_path)
    ASKED.clear()
    OBJECTS["bucket/art/work 00001.png"] = picture("blue", "BMP")  # as long, and as old
    after = run(address, tmp_path)
    assert gets()["work 00001.png"] == 1
    row = after.ids.index("work 00001.png")
    assert not np.allclose(after.vectors[row], before.vectors[row])


def test_a_store_that_is_gone_in_the_middle_ends_the_run_and_costs_nothing(tmp_path, one_thread):
    whole = run(STORE, tmp_path / "whole")
    for what in ("get", "info"):
        INSTEAD[f"{what} bucket/art/work 00003.png"] = ConnectionError("network is unreachable")
    with pytest.raises(ArtsearchError, match="cannot be reached: network is unreachable"):
        run(STORE, tmp_path / "cut", batch_size=1, workers=1)
    INSTEAD.clear()
    again = run(STORE, tmp_path / "cut")
    assert again.ids == whole.ids
    assert np.allclose(again.vectors, whole.vectors, atol=1e-6)  # of batches of another size


def test_an_object_that_cannot_be_fetched_is_skipped_and_tried_again(tmp_path, one_thread):
    INSTEAD["get bucket/art/work 00003.png"] = OSError("503 slow down")
    assert "work 00003.png" not in run(STORE, tmp_path).ids
    INSTEAD.clear()
    assert "work 00003.png" in run(STORE, tmp_path).ids


# One file


def one() -> RemoteFile:
    return Collection(STORE).path("work 00001.png")


def decode(file):
    return lambda sha256: open_image(file)


def test_what_is_hashed_is_what_is_decoded():
    file = one()
    state, image, reason = read_steadily(file, decode(file))
    assert (image.size, reason, state.signature) == ((48, 56), "", signature(file))
    assert is_proof(state.signature)
    assert gets()["work 00001.png"] == 1
    open_image(file)
    assert gets()["work 00001.png"] == 2  # nothing of it is kept afterwards


def test_an_object_that_changes_while_it_is_read_is_read_again():
    file = one()
    states = iter([picture("green"), picture("green")])

    def change(data):
        OBJECTS[file.path] = next(states)
        return data if gets()["work 00001.png"] == 1 else OBJECTS[file.path]

    INSTEAD[f"get {file.path}"] = change
    state, image, reason = read_steadily(file, decode(file))
    assert (reason, image.getpixel((0, 0))) == ("", (0, 128, 0))
    assert state.signature == file.ask() != signature(file)


def test_an_object_that_never_rests_is_given_up():
    file = one()

    def change(data):
        OBJECTS[file.path] += b"x"
        return data

    INSTEAD[f"get {file.path}"] = change
    state, image, reason = read_steadily(file, decode(file))
    assert (state.signature, image) == ((0, 0, 0), None)
    assert reason == "'work 00001.png' changes while it is read; run again when it is complete"


def test_an_object_that_is_cut_short_is_not_taken_for_what_it_is():
    file = one()
    INSTEAD[f"get {file.path}"] = lambda data: data[:-3]
    state, image, reason = read_steadily(file, decode(file))
    assert (state.signature, state.sha256, image) == ((0, 0, 0), "", None)
    size = len(OBJECTS[file.path])
    assert reason == f"only {size - 3:,} of the {size:,} bytes of 'work 00001.png' came; run again"


def test_a_slow_store_is_waited_for():
    file = one()
    INSTEAD[f"get {file.path}"] = remote_store.slowly
    assert read_steadily(file, decode(file))[2] == ""


def test_an_object_that_vanished_has_a_reason():
    file = one()
    del OBJECTS[file.path]
    state, image, reason = read_steadily(file, decode(file))
    assert (state.signature, image) == ((0, 0, 0), None)
    assert reason == "no such image file: 'work 00001.png'; it was there before"
    with pytest.raises(ImageError, match=r"no such image file: 'flatstore://.*/work 00001.png'"):
        open_image(file)


def test_an_object_one_may_not_read_has_a_reason():
    file = one()
    for what in ("get", "info"):
        INSTEAD[f"{what} {file.path}"] = PermissionError("Access Denied")
    reason = read_steadily(file, decode(file))[2]
    assert reason.startswith("cannot read 'work 00001.png': no permission; give")


def test_what_is_too_large_is_not_fetched():
    INSTEAD["size bucket/art/work 00001.png"] = MAX_BYTES + 1
    file = one()
    assert "more than the 2 GB" in read_steadily(file, decode(file))[2]
    assert "work 00001.png" not in gets()


def test_a_remote_file_can_be_read_by_another_process(art, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "art"), "zip", art)
    file = Collection(f"zip://::file://{archive}").path("work 00001.png")
    copy = pickle.loads(pickle.dumps(file))
    assert (copy, copy.listed, str(copy)) == (file, file.listed, str(file))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(hash_file, file).result(60) == hash_file(art / file.name)


def test_pictures_from_elsewhere_by_their_address():
    address = "flatstore://bucket/art/work 00001.png"
    assert open_image(address).size == thumbnail(RemoteFile.at(address)).size == (48, 56)
    with pytest.raises(ImageError, match=r"no such image file: 'none.png'"):
        open_image("flatstore://bucket/art/none.png")
    with pytest.raises(ImageError, match=r"no such image file"):
        open_image("flatstore://bucket/art")


# What stands on it


def test_small_pictures_are_made_once_and_anew_after_a_change(tmp_path):
    first = Thumbnails(Collection(STORE), tmp_path).read("work 00001.png")
    ASKED.clear()
    assert Thumbnails(Collection(STORE), tmp_path).read("work 00001.png") == first
    assert "work 00001.png" not in gets()
    OBJECTS["bucket/art/work 00001.png"] = picture()
    assert Thumbnails(Collection(STORE), tmp_path).read("work 00001.png") != first


def test_small_pictures_never_outlive_a_change_that_the_store_does_not_tell(tmp_path):
    address = "datestore://bucket/art"
    OBJECTS["bucket/art/work 00001.png"] = picture("red")
    first = Thumbnails(Collection(address), tmp_path).read("work 00001.png")
    OBJECTS["bucket/art/work 00001.png"] = picture("tan")
    assert Thumbnails(Collection(address), tmp_path).read("work 00001.png") != first


def test_the_site_is_that_of_the_local_folder(art, tmp_path):
    pages = []
    for folder in (art, STORE):
        collection = Collection(folder)
        ASKED.clear()
        searches = searches_by_colour(collection)
        fetched = dict(gets())
        out = tmp_path / f"site{len(pages)}"
        write_site(collection, searches, out, k=2, progress=False)
        pages.append({file.relative_to(out): file.read_bytes() for file in out.rglob("*.*")})
    assert pages[0] == pages[1]
    assert {gets()[name] - fetched[name] for name in fetched} == {1}


def test_a_store_of_features_is_named_after_the_address():
    keys = {collection_key(Collection(address)) for address in (STORE, STORE + "/", WALKED)}
    assert len(keys) == 2
    assert all(key.startswith("art-") for key in keys)


# What cannot be opened


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("flatstor://bucket", "unknown protocol 'flatstor'; did you mean 'flatstore'"),
        ("flatstore://bucket/none", "'flatstore://bucket/none' does not exist"),
        ("artstore://bucket/none", "'artstore://bucket/none' does not exist"),
        ("artstore://bucket/art/works.csv", "is a file, not a folder"),
        ("flatstore://bucket/empty", "no images in"),
    ],
)
def test_a_folder_that_cannot_be_opened(address, said):
    OBJECTS["bucket/empty/notes.txt"] = b"x"
    with pytest.raises(ArtsearchError, match=said):
        Collection(address)


def test_an_address_as_a_path_is_explained():
    with pytest.raises(CollectionError, match="an address is given as a text"):
        Collection(Path(STORE))


def test_a_driver_that_is_missing_is_named(monkeypatch):
    said = {"class": "nobody.has.This", "err": "Install thisfs to access This"}
    monkeypatch.setitem(known_implementations, "this", said)
    with pytest.raises(ArtsearchError, match=r"this://.*Install thisfs to access This"):
        Collection("this://bucket")


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ConnectionError("network is unreachable"), "cannot be reached: network is unreachable"),
        (PermissionError("Access Denied"), "no permission; give the environment credentials"),
        (type("NoCredentialsError", (Exception,), {})("x"), "no credentials; put them into"),
        (TimeoutError(), "cannot be reached: TimeoutError"),
        (OSError("GET https://me:pw@host/a?X-Sig=abc failed"), r"GET https://host/a\?… failed;"),
    ],
)
def test_a_listing_that_fails(failure, said):
    INSTEAD["find"] = failure
    with pytest.raises(CollectionError, match=said):
        Collection(STORE)


def test_a_fingerprint_of_a_store_that_is_gone_is_none():
    collection = Collection(STORE)
    for what in ("get", "info"):
        INSTEAD[what] = ConnectionError("network is unreachable")
    with pytest.raises(CollectionError, match="cannot be reached: network is unreachable"):
        collection.fingerprint()


def test_half_a_listing_is_none():
    INSTEAD["ls bucket/art/deep"] = ConnectionError("network is unreachable")
    with pytest.raises(CollectionError, match="cannot be reached: network is unreachable"):
        Collection(WALKED)


def test_a_folder_that_may_not_be_listed_is_named():
    INSTEAD["ls bucket/art/deep"] = PermissionError(13, "Permission denied", "bucket/art/deep")
    with pytest.warns(UserWarning, match="bucket/art/deep.*cannot be read: Permission denied"):
        assert len(Collection(WALKED)) == 5


@pytest.mark.parametrize(
    "address", ["ftp://ada:s3cr3t@host/art", "simplecache::ftp://ada:s3cr3t@host/art"]
)
def test_a_password_is_refused_and_not_repeated(address):
    for ask in (Collection, open_image, RemoteFile.at):
        with pytest.raises(ArtsearchError, match="password") as error:
            ask(address)
        assert "s3cr3t" not in str(error.value)
    with pytest.raises(ArtsearchError, match="question mark") as error:
        Collection("https://example.org/art?key=s3cr3t")
    assert "s3cr3t" not in str(error.value)
    with pytest.raises(ImageError) as error:
        open_image(f"{closed_address()}/a.png?key=s3cr3t")
    assert "s3cr3t" not in str(error.value)


def test_a_table_that_vanished_is_named():
    with pytest.raises(CollectionError, match="cannot be read as a table"):
        read_works_csv(RemoteFile.at("flatstore://bucket/art/none.csv"))


# Stamps


@pytest.mark.parametrize(
    "date",
    ["2024-05-17T12:00:00.123Z", "Fri, 17 May 2024 12:00:00 GMT", 1715947200.5, remote_store.DATE],
)
def test_dates_of_stores_are_the_same_however_they_are_written(date):
    found = remote._stamp({"size": 3, "etag": '"abc"', "last_modified": date})
    assert found == remote._stamp({"size": 3, "ETag": "abc", "LastModified": remote_store.DATE})
    assert found[1] == 1715947200 * 10**9


def test_a_weak_mark_or_none_is_no_proof():
    for info in ({"ETag": 'W/"abc"'}, {}, {"ETag": ""}):
        assert remote._stamp(info | {"size": 3, "mtime": 7.0}) == (3, 0, 0)
    assert is_proof(remote._stamp({"size": 3, "sha": "abc", "mtime": "long ago"}))


def test_a_folder_knows_its_name():
    names = {address: RemoteFolder(address).name for address in ("s3://b", "zip://a::s3://b/c.zip")}
    assert names == {"s3://b": "b", "zip://a::s3://b/c.zip": "a"}
