"""HTTP as a guest: who we are, at the rate asked for, again after a failure, never without end."""

from __future__ import annotations

import http
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from urllib.parse import urlencode, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.util import Retry

from artsearch import __version__
from artsearch.base.errors import ArtsearchError, check_whole

#: What every server is told; the Art Institute of Chicago asks for a header of its own, since a
#: page in a browser cannot set the usual one. https://api.artic.edu/docs/#authentication
AGENT = f"artsearch/{__version__} (search for visually similar artworks)"
HEADERS = {"User-Agent": AGENT, "AIC-User-Agent": AGENT}

#: Answers that pass: too many requests, and a server that is broken or busy for a while.
PASSING = frozenset({429, 500, 502, 503, 504})
#: Answers that say no more than that this one file is not to be had.
ABSENT = frozenset({400, 404, 410})
#: Seconds that a server may ask us to wait; one that wants more is come back to by hand.
LONGEST_WAIT = 300
#: Bytes of JSON: as objects of Python they take about ten times as much.
MOST_JSON = 32 * 1024**2

_CHUNK = 1 << 16
_REDIRECTS = 5


class FetchError(ArtsearchError):
    """What was asked for did not come; `status` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, status: int = 0):
        super().__init__(message)
        self.status = status


class ShutOutError(FetchError):
    """The server does not serve us: it is down, or busy, or has had enough of us."""


class Client:
    """Gets what sources offer: keeps the rate, tries again, refuses what is too large or too slow.

    `rate` is requests a second to each host. A failure that may pass (429, 5xx, a connection that
    broke) is tried again up to `retries` times, after pauses that begin with twice `pause` seconds
    and double, or as long as the server asks. `timeout` is seconds without any answer,
    `most_seconds` and `most_bytes` what one file may take in all.

    `failures` counts the requests in a row at which the server did not serve us; that a file is not
    there, or too large, is an answer and not among them.
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
        self.failures = 0
        self._retry = _Patience(retries, backoff_factor=pause, backoff_max=60)
        self._free: dict[str, float] = {}  # when each host may be asked again
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
            self.failures = self.failures + 1 if isinstance(error, ShutOutError) else 0
            raise
        self.failures = 0
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
