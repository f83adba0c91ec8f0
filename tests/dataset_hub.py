"""A Hugging Face hub on 127.0.0.1 that has one dataset, a folder of files."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"


class DatasetHub:
    """Serve a folder in a `with` block; `sent` counts the bytes of each file that were sent."""

    def __init__(self, name: str, folder: Path):
        self.sent: Counter[str] = Counter()
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.name = name
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.hub = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> DatasetHub:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub, path = self.server.hub, urlsplit(self.path).path
        api = f"/api/datasets/{hub.name}"
        if path == api or re.fullmatch(f"{api}/revision/[^/]+", path):
            siblings = [{"rfilename": name} for name in hub.files]
            self._send_json({"id": hub.name, "sha": COMMIT, "siblings": siblings})
        elif found := re.fullmatch(f"{api}/tree/[^/]+/?(.*)", path):
            self._send_json(self._list(found[1]))
        elif found := re.fullmatch(f"/datasets/{hub.name}/resolve/[^/]+/(.*)", path):
            self._send_file(found[1])
        else:
            self._send(b"", 404)

    def _list(self, folder: str) -> list[dict]:
        """List what lies in a folder of the dataset itself, as the hub does."""
        folders, entries = set(), []
        for name, data in self.server.hub.files.items():
            parent, _, _ = name.rpartition("/")
            if parent == folder:
                entries.append({"type": "file", "path": name, "size": len(data), "oid": "0" * 40})
            elif parent and not folder:
                folders.add(parent)
        return entries + [{"type": "directory", "path": name, "oid": "0" * 40} for name in folders]

    def _send_json(self, answer: object) -> None:
        self._send(json.dumps(answer).encode(), 200, {"Content-Type": "application/json"})

    def _send_file(self, name: str) -> None:
        hub = self.server.hub
        if name not in hub.files:
            self._send(b"", 404, {"X-Error-Code": "EntryNotFound"})
            return
        data = hub.files[name]
        headers = {"ETag": '"0"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if found:
            first, last = map(int, found.groups())
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first : last + 1]
        hub.sent[name] += len(data) if self.command == "GET" else 0
        self._send(data, 206 if found else 200, headers)

    def _send(self, body: bytes, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing: the tests read `sent`."""
