"""Collections behind servers of this machine that speak S3 and HTTP, where their clients are."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from artsearch.base.errors import CollectionError, ImageError
from artsearch.works.collection import Collection
from artsearch.works.file_state import is_proof, read_steadily, signature
from artsearch.works.images import open_image


@pytest.fixture(scope="module")
def art(few, tmp_path_factory):
    """Five paintings and their table, in a folder whose name and one file's want quoting."""
    folder = shutil.copytree(few, tmp_path_factory.mktemp("served") / "art é")
    (folder / "sub").mkdir()
    shutil.copy(folder / "leonardo-da-vinci_mona-lisa.jpg", folder / "sub" / "100 % #1?.jpg")
    return folder


@pytest.fixture(scope="module")
def s3(art):
    """An S3 server that holds the paintings: the file system, and the folder's address."""
    pytest.importorskip("s3fs")
    pytest.importorskip("flask_cors")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "anything")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        host, port = server.get_host_and_port()
        patch.setitem(fsspec.config.conf, "s3", {"endpoint_url": f"http://{host}:{port}"})
        store = fsspec.filesystem("s3")
        store.mkdir("museum")
        for path in art.rglob("*.*"):
            place = path.relative_to(art.parent).as_posix()
            store.pipe_file(f"museum/{place}", path.read_bytes())
        store.pipe_file("museum/art é/placeholder/", b"")
        yield store, "s3://museum/art é"
    server.stop()


class Quiet(SimpleHTTPRequestHandler):
    """A web server's listing of a folder."""

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture(scope="module")
def web(art):
    """The address of the folder on a web server that lists it."""
    pytest.importorskip("aiohttp")
    handler = partial(Quiet, directory=art.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/art%20%C3%A9"
        server.shutdown()


def test_a_bucket_holds_the_collection_that_the_folder_is(art, s3):
    _, address = s3
    there, here = Collection(address), Collection(art)
    assert there.works.equals(here.works)
    assert there.fingerprint() == here.fingerprint()
    assert there.name == here.name


def test_a_listing_and_a_question_tell_the_same_state_of_an_object(s3):
    store, address = s3
    whole, in_parts = f"{address}/new/whole.jpg", f"{address}/new/in parts.jpg"
    store.pipe_file(whole, b"x")
    with store.open(in_parts, "wb") as file:  # its ETag is not that of its content
        file.write(bytes(12 * 2**20))
    collection = Collection(f"{address}/new")
    assert collection.ids == ["in parts.jpg", "whole.jpg"]
    for id in collection:
        assert is_proof(signature(collection.path(id)))
        assert collection.path(id).ask() == signature(collection.path(id))
    store.pipe_file(whole, b"y")
    assert collection.path("whole.jpg").ask()[2] != signature(collection.path("whole.jpg"))[2]
    store.rm(f"{address}/new", recursive=True)


def test_an_object_that_was_removed_has_a_reason(s3):
    store, address = s3
    store.pipe_file(f"{address}/gone/a.jpg", b"x")
    file = Collection(f"{address}/gone").path("a.jpg")
    store.rm(f"{address}/gone/a.jpg")
    assert read_steadily(file, len)[2] == "no such image file: 'a.jpg'; it was there before"


@pytest.mark.parametrize("address", ["s3://no-such-bucket/art", "s3://museum/none"])
def test_a_bucket_or_folder_that_is_missing_is_named(s3, address):
    with pytest.raises(CollectionError, match=f"'{address}' does not exist"):
        Collection(address)


@pytest.mark.parametrize("end", ["", "/"])
def test_a_web_server_that_lists_its_folders_holds_a_collection(art, web, end):
    there, here = Collection(web + end), Collection(art)
    assert there.works.equals(here.works)
    assert there.fingerprint() == here.fingerprint()
    assert there.name == here.name
    file = there.path("sub/100 % #1?.jpg")
    assert file.name == "100 % #1?.jpg"
    state, size, reason = read_steadily(file, lambda sha256: open_image(file).size)
    assert (size, reason) == (here.open("sub/100 % #1?.jpg").size, "")
    assert state.size == (art / "sub" / file.name).stat().st_size
    assert open_image(str(file)).size == size


def test_pictures_that_a_web_server_does_not_have(web):
    with pytest.raises(CollectionError, match="does not exist"):
        Collection(f"{web}x")
    with pytest.raises(ImageError, match="no such image file: 'none.jpg'; name one") as error:
        open_image(f"{web}/none.jpg?key=s3cr3t")
    assert "s3cr3t" not in str(error.value)
