"""A way to Milvus: a file of Milvus Lite, or a server; what fails is said in a sentence."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from artsearch.base.errors import ArtsearchError, EngineError

if TYPE_CHECKING:
    from pymilvus import MilvusClient

INSTALL = "pip install 'artsearch[scale]'"
#: Seconds until a server that does not answer is given up.
PATIENCE = 10
_SERVERS = ("http://", "https://", "tcp://", "unix:")
#: How many clients there are of each file that this process has open.
_open: Counter[str] = Counter()


def connect(uri: str | os.PathLike, token: str = "") -> tuple[MilvusClient, str]:
    """Connect to a file that ends in .db, made where there is none, or to a server's address.

    Returns the client and the address as it is said in messages; `release` gives them back. A
    `token` is the server's own, as in "user:password". Raises ArtsearchError, within PATIENCE, for
    a server that does not answer, and for a file that is another process's, or no such file.
    """
    uri = os.fspath(uri)
    try:
        from pymilvus import MilvusClient, MilvusException
    except ImportError:
        raise EngineError(f"a search by Milvus wants pymilvus: {INSTALL}") from None
    # All that goes wrong is raised as well; here it would be printed besides, with its traceback.
    for name in ("pymilvus", "milvus_lite", "grpc._server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if uri.startswith(_SERVERS):
        return _connect_server(MilvusClient, uri, token), uri
    path = _check_path(uri)
    try:
        client = MilvusClient(path, timeout=PATIENCE)
    except MilvusException as error:
        raise ArtsearchError(_say_why_closed(path, error)) from None
    except OSError as error:
        raise ArtsearchError(f"{path!r} cannot be opened ({error.strerror})") from None
    _open[path] += 1
    return client, path


def release(client: MilvusClient, uri: str) -> None:
    """Close a client; the last one of a file closes the file, so that others may open it."""
    client.close()
    if uri not in _open:
        return
    _open[uri] -= 1
    if not _open[uri]:
        from milvus_lite.server_manager import server_manager_instance

        del _open[uri]
        server_manager_instance.release_server(uri)


@contextmanager
def asking(uri: str, client: MilvusClient) -> Iterator[MilvusClient]:
    """Yield a client, and say in a sentence what Milvus refuses or cannot do."""
    from grpc import RpcError
    from pymilvus import MilvusException

    try:
        yield client
    except (MilvusException, RpcError) as error:
        raise ArtsearchError(_say_failure(uri, error)) from None


def _connect_server(client: type[MilvusClient], uri: str, token: str) -> MilvusClient:
    from pymilvus import MilvusException

    try:
        return client(uri, token=token, timeout=PATIENCE)
    except (MilvusException, ValueError) as error:
        raise ArtsearchError(
            f"no Milvus answers at {uri!r} ({_reason(error)}); start it there, see that address "
            "and token are right, or name a file such as 'collection.db'"
        ) from None


def _check_path(uri: str) -> str:
    if not uri.endswith(".db"):
        raise ArtsearchError(
            f"the uri {uri!r} is neither a server nor a file of Milvus; take one such as "
            "'http://127.0.0.1:19530' or 'collection.db'"
        )
    try:
        import milvus_lite  # noqa: F401
    except ImportError:
        raise EngineError(f"a file of Milvus wants milvus-lite: {INSTALL}") from None
    path = Path(uri).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtsearchError(f"{str(path)!r} cannot be written ({error.strerror})") from None
    return str(path)


def _say_why_closed(path: str, error: Exception) -> str:
    if _is_locked(path):
        return (
            f"{path!r} is open in another process, and Milvus Lite opens a file once; close it "
            f"there, or let both ask a server: milvus-lite server --data-dir {path} "
            "--host 127.0.0.1, then the uri 'http://127.0.0.1:19530'"
        )
    return (
        f"{path!r} is no file that Milvus Lite can open ({_reason(error)}); name another, or "
        "remove it and build again"
    )


def _is_locked(path: str) -> bool:
    """Whether another process holds the file's lock, as Milvus Lite asks for it."""
    import fcntl

    try:
        with open(Path(path, "LOCK"), "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _say_failure(uri: str, error: Exception) -> str:
    remedy = (
        "see that the server runs"
        if uri.startswith(_SERVERS)
        else "if the file was damaged, remove it and build again"
    )
    return f"Milvus at {uri!r} could not answer ({_reason(error)}); {remedy}"


def _reason(error: Exception) -> str:
    """Return an error's own words, as one line."""
    words = getattr(error, "message", None) or getattr(error, "details", lambda: error)()
    return " ".join(str(words).split())[:300]
