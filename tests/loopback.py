"""A server on 127.0.0.1 that hands out weights, well or badly, and ends by itself."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: How a body can be sent: whole, half of it, half and then nothing, or a byte now and then.
WAYS = ("whole", "truncated", "stalled", "trickled")


@dataclass(frozen=True)
class Answer:
    """What one path answers; `way` is one of WAYS, `silent` accepts and never answers."""

    body: bytes = b""
    status: int = 200
    headers: dict = field(default_factory=dict)
    way: str = "whole"
    silent: bool = False


class Loopback:
    """Put answers to paths in a `with` block; `asked` notes each request as "METHOD path"."""

    def __init__(self):
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.loopback = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, body: bytes = b"", **answer) -> str:
        """Answer a path with a file; return the address."""
        self.answers[path] = Answer(body, **answer)
        return self.url + path

    def put_on_hub(
        self,
        repository: str,
        body: bytes,
        sha256: str = "",
        file: str = "model.safetensors",
        **answer,
    ) -> None:
        """Answer as the Hugging Face hub does: the file's hash, and its place on another host."""
        path = f"/{repository}/resolve/main/{file}"
        self.put("/storage" + path, body, **answer)
        headers = {
            # Another name of this machine is another host.
            "Location": f"{self.url.replace('127.0.0.1', 'localhost')}/storage{path}",
            "ETag": '"what the storage calls it"',
            "X-Linked-ETag": f'"{sha256 or hashlib.sha256(body).hexdigest()}"',
            "X-Linked-Size": str(len(body)),
            "X-Repo-Commit": "c0ffee" * 6 + "c0ff",
            "X-HF-Warning": "unauthenticated; You are sending unauthenticated requests to the Hub",
        }
        self.put(path, status=302, headers=headers)

    def put_small_on_hub(self, repository: str, body: bytes, file: str, git: str = "") -> None:
        """Answer as the hub does for a file that is not large: with Git's hash, from a cache."""
        own = hashlib.sha1(b"blob %d\0%b" % (len(body), body)).hexdigest()
        cached = f"/api/resolve-cache/models/{repository}/c0ffee/{file}"
        headers = {"ETag": f'"{git or own}"', "X-Repo-Commit": "c0ffee" * 6 + "c0ff"}
        self.put(cached, body, headers=headers)
        self.put(
            f"/{repository}/resolve/main/{file}",
            status=307,
            headers={**headers, "Location": cached},
        )

    def __enter__(self) -> Loopback:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        loopback = self.server.loopback
        loopback.asked.append(f"{self.command} {self.path}")
        answer = loopback.answers.get(self.path, Answer(status=404))
        if answer.silent:
            loopback.closing.wait()
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            with suppress(OSError):  # the other side may have left
                self._send(answer.body, answer.way)

    def _send(self, body: bytes, way: str) -> None:
        if way == "trickled":
            for byte in body:
                self.wfile.write(bytes([byte]))
                if self.server.loopback.closing.wait(0.05):
                    return
        self.wfile.write(body if way == "whole" else body[: len(body) // 2])
        if way == "stalled":
            self.server.loopback.closing.wait()

    def log_message(self, *words: object) -> None:
        """Say nothing: the tests read `asked`."""


@contextmanager
def dropping_address() -> Iterator[str]:
    """Give an address that swallows packets: its queue is full, so no connection comes about."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        clients = [socket.socket() for _ in range(4)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            for client in clients:
                client.close()


def closed_address() -> str:
    """Give an address at which nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{server.getsockname()[1]}"
