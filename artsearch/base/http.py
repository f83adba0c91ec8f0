"""Getting a file from a server that may be slow, silent or wrong, in bounded time."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from artsearch.base.errors import WeightsError

#: Seconds to wait for a server that does not answer, or that stops in the middle.
TIMEOUT = 10.0
#: Bytes a second; a server that sends less has stopped, for us.
SLOWEST = 1000
MEGABYTE = 1_000_000


def hub_endpoint() -> str:
    """Return the address of the Hugging Face hub, or of the mirror named in HF_ENDPOINT."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def is_offline() -> bool:
    """Tell whether downloads are switched off, by ARTSEARCH_OFFLINE or HF_HUB_OFFLINE."""
    values = (os.environ.get(name, "") for name in ("ARTSEARCH_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value.lower() not in ("", "0", "false", "no", "off") for value in values)


def unreachable(addresses: Iterable[str], timeout: float | None = None) -> str:
    """Ask for all files at once; return "" if each is there, else the first reason why not.

    The answer comes within `timeout` seconds (TIMEOUT if not given), however a machine refuses: an
    address that swallows packets, or a name server that does, is given up on.
    """
    timeout = TIMEOUT if timeout is None else timeout
    answers: dict[str, str] = {}
    # Threads, because no time-out of Python's reaches into the resolver of the C library.
    threads = {
        address: threading.Thread(target=_ask, args=(address, timeout, answers), daemon=True)
        for address in addresses
    }
    for thread in threads.values():
        thread.start()
    end = time.monotonic() + timeout
    for address, thread in threads.items():
        thread.join(max(0, end - time.monotonic()))
        if reason := answers.get(address, _no_answer(address, timeout)):
            return reason
    return ""


def download(address: str, path: Path, sha256: str = "") -> None:
    """Download a file to `path` with a progress bar, after checking its hash.

    `sha256` is the whole hash or its first digits; without it, it is the one that the Hugging Face
    hub states. Nothing but the right file is ever at `path`. Raises WeightsError with the reason
    when the server fails, sends something else, or stops for TIMEOUT seconds.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            found, stated = _receive(address, file, path.name)
        _compare(address, found, sha256 or stated)
        partial.replace(path)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise WeightsError(_reason(address, error, TIMEOUT)) from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def host(address: str) -> str:
    """Return the host of an address.

    >>> host("https://download.pytorch.org/models/vgg16-397923af.pth")
    'download.pytorch.org'
    """
    return address.partition("//")[2].partition("/")[0] or address


class _FollowAndNote(urllib.request.HTTPRedirectHandler):
    """Follows redirections, and notes the SHA-256 that the Hugging Face hub states in one."""

    stated = ""

    def redirect_request(self, request, file, code, message, headers, address):
        self.stated = _stated(headers) or self.stated
        return super().redirect_request(request, file, code, message, headers, address)


def _stated(headers) -> str:
    # The hub's name for a large file is its SHA-256: 64 digits.
    # https://huggingface.co/docs/huggingface_hub/package_reference/file_download
    name = (headers.get("X-Linked-ETag") or "").strip('"')
    return name if len(name) == 64 else ""


def _receive(address: str, file: BinaryIO, title: str) -> tuple[str, str]:
    """Write what the server sends; return its SHA-256, and the one that the hub stated or ""."""
    from artsearch.base.progress import Progress

    follow = _FollowAndNote()
    opener = urllib.request.build_opener(follow)
    digest = hashlib.sha256()
    with opener.open(_request(address, "GET"), timeout=TIMEOUT) as response:
        size = int(response.headers.get("Content-Length") or 0)
        with Progress(size / MEGABYTE if size else None, title, unit="MB") as bar:
            for chunk in _chunks(response):
                file.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk) / MEGABYTE)
        if size and file.tell() != size:
            raise OSError(f"{host(address)} sent {file.tell():,} of {size:,} bytes")
        return digest.hexdigest(), _stated(response.headers) or follow.stated


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield what comes as it comes; raise TimeoutError when it hardly comes any more."""
    start, received = time.monotonic(), 0
    while chunk := response.read1(1 << 20):
        yield chunk
        received += len(chunk)
        seconds = time.monotonic() - start
        if seconds > TIMEOUT:
            if received < SLOWEST * seconds:
                raise TimeoutError
            start, received = time.monotonic(), 0


def _compare(address: str, found: str, wanted: str) -> None:
    if not wanted:
        raise WeightsError(f"{host(address)} does not state the file's SHA-256")
    if not found.startswith(wanted):
        raise WeightsError(
            f"{host(address)} sent another file: its SHA-256 begins with {found[:8]}, "
            f"not {wanted[:8]}"
        )


def _ask(address: str, timeout: float, answers: dict[str, str]) -> None:
    try:
        with urllib.request.urlopen(_request(address, "HEAD"), timeout=timeout):
            answers[address] = ""
    except Exception as error:  # whatever went wrong, the file cannot be had from there
        answers[address] = _reason(address, error, timeout)


def _request(address: str, method: str) -> urllib.request.Request:
    return urllib.request.Request(address, method=method, headers={"User-Agent": "artsearch"})


def _reason(address: str, error: Exception, timeout: float) -> str:
    """Say in plain words what an exception means."""
    if isinstance(error, WeightsError):
        return str(error)
    if isinstance(error, urllib.error.HTTPError):
        return f"{host(address)} answered {error.code} {' '.join(error.reason.split())}"
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return _no_answer(address, timeout)
    if isinstance(error, urllib.error.URLError):
        return f"{host(address)} cannot be reached ({getattr(cause, 'strerror', None) or cause})"
    return f"the download failed ({error})"


def _no_answer(address: str, timeout: float) -> str:
    return f"no answer from {host(address)} for {timeout:g} seconds"
