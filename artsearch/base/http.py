"""HTTP as a guest: in bounded time, at the rate asked for, again after a failure, never endless.

`unreachable` and `download` are for single large files, such as weights; a `Client` is for the many
files of museums and other sources.
"""

from __future__ import annotations

import hashlib
import http
import json
import os
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError, ReadTimeoutError
from urllib3.util import Retry

from artsearch import __version__
from artsearch.base.errors import ArtsearchError, WeightsError, check_whole

#: What every server is told; the Art Institute of Chicago asks for a header of its own, since a
#: page in a browser cannot set the usual one. https://api.artic.edu/docs/#authentication
AGENT = f"artsearch/{__version__} (search for visually similar artworks)"
HEADERS = {"User-Agent": AGENT, "AIC-User-Agent": AGENT}

#: Seconds to wait for a server that does not answer, or that stops in the middle.
TIMEOUT = 10.0
#: Bytes a second; a server that sends less has stopped, for us.
SLOWEST = 1000
MEGABYTE = 1_000_000
#: Answers that pass: too many requests, and a server that is broken or busy for a while.
PASSING = frozenset({429, 500, 502, 503, 504})
#: Answers that say no more than that this one file is not to be had.
ABSENT = frozenset({400, 404, 410})
#: Answers that say that a file is locked; or that a server wants no more of us, and which of the
#: two it is, the source has to know.
LOCKED = frozenset({401, 403})
#: Seconds that a server may ask us to wait; one that wants more is come back to by hand.
LONGEST_WAIT = 300
#: Bytes of JSON: as objects of Python they take about ten times as much.
MOST_JSON = 32 * 1024**2

_CHUNK = 1 << 16
#: Digits of the hash by which Git, and so the Hugging Face hub, names a file that is not large.
_GIT = 40
_REDIRECTS = 5


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
    hub states (of a small file Git's own, a SHA-1). Nothing but the right file is ever at `path`.
    Raises WeightsError with the reason when the server fails, sends something else, or stops for
    TIMEOUT seconds.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            found, stated = _receive(address, file, path.name)
        if not sha256 and len(stated) == _GIT:
            found = _git_hash(partial.read_bytes())
        _compare(address, found, sha256 or stated)
        partial.replace(path)
    except (OSError, HTTPError, ValueError) as error:
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


def _receive(address: str, file: BinaryIO, title: str) -> tuple[str, str]:
    """Write what the server sends; return its SHA-256, and the hash that the hub stated or ""."""
    from artsearch.base.progress import Progress

    digest, stated = hashlib.sha256(), []
    with _follow(_Session(), "GET", address, TIMEOUT, stated) as response:
        response.raise_for_status()
        size = int(response.headers.get("Content-Length") or 0)
        response.raw.enforce_content_length = False  # what is missing is said below
        with Progress(size / MEGABYTE if size else None, title, unit="MB") as bar:
            for chunk in _chunks(response):
                file.write(chunk)
                digest.update(chunk)
                bar.update(len(chunk) / MEGABYTE)
        if size and file.tell() != size:
            raise OSError(f"{host(address)} sent {file.tell():,} of {size:,} bytes")
        return digest.hexdigest(), next(iter(stated[::-1]), "")


@contextmanager
def _follow(
    session: requests.Session, method: str, address: str, timeout: float, stated: list[str]
) -> Iterator[requests.Response]:
    """Open an address, where it leads to; note the hash that the Hugging Face hub states.

    The hub's name for a large file is its SHA-256: 64 digits; for another one Git's hash: 40.
    https://huggingface.co/docs/huggingface_hub/package_reference/file_download
    """
    headers = {"User-Agent": "artsearch", "Accept-Encoding": "identity"}
    for _ in range(_REDIRECTS + 1):
        asked = session.request(method, address, stream=True, timeout=timeout, headers=headers)
        with asked as response:
            name = (response.headers.get("X-Linked-ETag") or "").strip('"')
            git = (response.headers.get("ETag") or "").removeprefix("W/").strip('"')
            stated += [name] if len(name) == 64 else []
            stated += [git] if not stated and len(git) == _GIT else []
            if not response.is_redirect:
                yield response
                return
            address = urljoin(address, response.headers["location"])
    raise OSError(f"{host(address)} leads from one address to the next without end")


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield what comes as it comes; raise TimeoutError when it hardly comes any more."""
    start, received = time.monotonic(), 0
    while chunk := response.raw.read1(1 << 20):
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
    kind = "Git hash" if len(found) == _GIT else "SHA-256"
    if not found.startswith(wanted):
        raise WeightsError(
            f"{host(address)} sent another file: its {kind} begins with {found[:8]}, "
            f"not {wanted[:8]}"
        )


def _git_hash(body: bytes) -> str:
    r"""Return the hash by which Git names a file.

    >>> _git_hash(b"hello\n")
    'ce013625030ba8dba906f756967f9e9ca394464a'
    """
    return hashlib.sha1(b"blob %d\0%b" % (len(body), body), usedforsecurity=False).hexdigest()


def _ask(address: str, timeout: float, answers: dict[str, str]) -> None:
    try:
        with _follow(_Session(), "HEAD", address, timeout, []) as response:
            response.raise_for_status()
        answers[address] = ""
    except Exception as error:  # whatever went wrong, the file cannot be had from there
        answers[address] = _reason(address, error, timeout)


def _reason(address: str, error: Exception, timeout: float) -> str:
    """Say in plain words what an exception means."""
    if isinstance(error, WeightsError):
        return str(error)
    if isinstance(error, requests.HTTPError):
        code, phrase = error.response.status_code, " ".join((error.response.reason or "").split())
        return f"{host(address)} answered {code} {phrase}"
    if isinstance(error, requests.Timeout | TimeoutError | ReadTimeoutError):
        return _no_answer(address, timeout)
    if isinstance(error, requests.ConnectionError):
        return f"{host(address)} cannot be reached ({_cause(error)})"
    return f"the download failed ({error})"


def _cause(error: BaseException) -> str:
    """Return what the system said, which stands at the end of a chain of exceptions."""
    said, seen = "", error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            said = seen.strerror
        first = seen.args[0] if seen.args else None
        inner = getattr(first, "reason", first) if isinstance(first, BaseException) else None
        seen = seen.__cause__ or inner or seen.__context__
    return said or type(error).__name__


def _no_answer(address: str, timeout: float) -> str:
    return f"no answer from {host(address)} for {timeout:g} seconds"


class FetchError(ArtsearchError):
    """What was asked for did not come; `status` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, status: int = 0):
        super().__init__(message)
        self.status = status


class ShutOutError(FetchError):
    """The server does not serve us: it is down, or busy, or refuses us."""


class Client:
    """Gets what sources offer: keeps the rate, tries again, refuses what is too large or too slow.

    `rate` is requests a second to each host. A failure that may pass (429, 5xx, a connection that
    broke) is tried again up to `retries` times, after pauses that begin with twice `pause` seconds
    and double, or as long as the server asks. `timeout` is seconds without any answer,
    `most_seconds` and `most_bytes` what one file may take in all.

    `failures` counts the requests in a row at which the server did not serve us; that a file is not
    there, or too large, is an answer and not among them, nor is a status in `absent`. `refusals`
    counts those of LOCKED in a row.
    """

    def __init__(
        self,
        rate: float = 1.0,
        *,
        retries: int = 5,
        timeout: float = 15.0,
        most_bytes: int = 256 * 1024**2,
        most_seconds: float = 300.0,
        pause: float = 0.5,
    ):
        if not rate > 0:
            raise ArtsearchError(f"rate is {rate!r}; take requests a second, such as 1")
        check_whole("retries", retries, least=0)
        self.rate = rate
        self.timeout = timeout
        self.most_bytes = most_bytes
        self.most_seconds = most_seconds
        self.failures = self.refusals = 0
        self.absent = ABSENT
        self._retry = _Patience(retries, backoff_factor=pause, backoff_max=60)
        self._free: dict[str, float] = {}  # when each host may be asked again
        self._lock = threading.Lock()  # several threads may ask
        self._session = _Session()
        self._session.headers.update(HEADERS)

    def json(self, address: str, params: Mapping[str, object] | None = None) -> object:
        """Return the parsed JSON at an address; raises FetchError."""
        if params:
            address += ("&" if "?" in address else "?") + urlencode(params, errors="replace")
        data = self._try(address, min(MOST_JSON, self.most_bytes))
        try:
            return json.loads(data)
        # Brackets nested without end are not JSON to us either.
        except (ValueError, RecursionError):
            raise FetchError(f"{_host(address)} did not send JSON, but {data[:40]!r}") from None

    def get(self, address: str) -> bytes:
        """Return the bytes at an address; raises FetchError."""
        return self._try(address, self.most_bytes)

    def _try(self, address: str, most: int) -> bytes:
        try:
            data = self._try_again(address, most)
        except FetchError as error:
            shut_out = isinstance(error, ShutOutError) and error.status not in self.absent
            self.failures = self.failures + 1 if shut_out else 0
            self.refusals = self.refusals + 1 if error.status in LOCKED else 0
            raise
        self.failures = self.refusals = 0
        return data

    def _try_again(self, address: str, most: int) -> bytes:
        retry = self._retry
        while True:
            try:
                return self._receive_in_time(address, most)
            except _Passing as failure:
                try:
                    retry = retry.increment("GET", address, error=failure)
                except MaxRetryError:
                    raise ShutOutError(str(failure), failure.status) from None
                retry.sleep(failure.response)

    def _receive_in_time(self, address: str, most: int) -> bytes:
        """Receive in a thread of its own, which is left alone when its time is over."""
        # No time-out of Python's reaches into the name server, or into headers that trickle.
        received, stop = Future(), threading.Event()

        def receive() -> None:
            try:
                received.set_result(self._receive(address, most, stop))
            except Exception as error:
                received.set_exception(_explain(error, address))

        threading.Thread(target=receive, daemon=True).start()
        try:
            return received.result(self.most_seconds)
        except TimeoutError:
            raise ShutOutError(
                f"{_show(address)} was not there after {self.most_seconds:g} seconds"
            ) from None
        finally:
            stop.set()

    def _receive(self, address: str, most: int, stop: threading.Event) -> bytes:
        for _ in range(_REDIRECTS + 1):
            _check(address)
            self._wait(address)
            with self._session.get(address, stream=True, timeout=self.timeout) as response:
                if not response.is_redirect:
                    return _read(response, address, most, stop)
                address = urljoin(address, response.headers["location"])
        raise FetchError(f"{_host(address)} leads from one address to the next without end")

    def _wait(self, address: str) -> None:
        """Sleep until the host may be asked again."""
        with self._lock:
            host, now = _host(address), time.monotonic()
            start = max(now, self._free.get(host, now))
            self._free[host] = start + 1 / self.rate
        time.sleep(start - now)


class _Passing(Exception):
    """A failure that may pass when one tries again; `response` may say when."""

    def __init__(self, message: str, response: requests.Response | None = None):
        super().__init__(message)
        # Of requests' own response, Python says that an error is no response at all.
        self.response = None if response is None else response.raw
        self.status = 0 if response is None else response.status_code


class _Patience(Retry):
    """Waits as long as a server asks, within reason."""

    def get_retry_after(self, response) -> float | None:
        try:
            seconds = super().get_retry_after(response)
        except (InvalidHeader, ValueError, OverflowError):
            return None
        if seconds is not None and seconds > LONGEST_WAIT:
            raise ShutOutError(
                f"the server answered {response.status} and asks to come back after "
                f"{response.headers['Retry-After'][:40]!r} (seconds, or a date), which is too long "
                "to wait for; run the same again then",
                response.status,
            )
        return seconds


class _Session(requests.Session):
    """Follows no redirection: before it does, requests would read its body, of any length."""

    def get_redirect_target(self, resp) -> None:
        return None


def _read(response: requests.Response, address: str, most: int, stop: threading.Event) -> bytes:
    """Return the body of an answer that is 200, as long as it is not too large."""
    status = response.status_code
    if status != http.HTTPStatus.OK:
        phrase = http.client.responses.get(status, "")
        message = f"{_host(address)} answered {status} {phrase}".rstrip()
        if status in PASSING:
            raise _Passing(message, response)
        raise (FetchError if status in ABSENT else ShutOutError)(message, status)
    data = bytearray()
    # What is there, not as much as fits: of a server that trickles the rest would be waited for.
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        data += chunk
        if len(data) > most:
            raise FetchError(f"{_show(address)} has more than {most / 1024**2:,.3g} MB")
        if stop.is_set():
            break
    return bytes(data)


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
        sound = parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        sound = False
    if not sound:
        raise FetchError(f"{_show(address)} is not an http or https address, and is not fetched")


def _explain(error: Exception, address: str) -> Exception:
    """Say in plain words what an exception means, and whether it is worth another try."""
    if isinstance(error, FetchError | _Passing):
        return error
    if isinstance(error, requests.Timeout):
        return _Passing(f"no answer from {_host(address)}")
    if isinstance(error, requests.ConnectionError):
        return _Passing(f"{_host(address)} cannot be reached")
    if isinstance(error, HTTPError):
        return _Passing(f"{_host(address)} broke off before all was there")
    # An address that requests cannot make sense of, and whatever else it trips over.
    return FetchError(f"{_show(address)} cannot be fetched ({type(error).__name__})")


def _host(address: str) -> str:
    return (urlsplit(address).hostname or "")[:253]


def _show(address: str) -> str:
    return repr(address if len(address) <= 200 else f"{address[:199]}…")
