"""A server that is slow, broken, busy or lying, and a client that stays polite and safe."""

import gzip
import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from loopback import Answer, Loopback, closed_address

from artsearch.base.errors import ArtsearchError
from artsearch.base.http import LOCKED, LONGEST_WAIT, Client, FetchError, ShutOutError


@pytest.fixture
def server():
    with Loopback() as server:
        yield server


@pytest.fixture
def client():
    return Client(1000, retries=2, timeout=0.5, pause=0.01, most_seconds=1.5, most_bytes=100_000)


@pytest.fixture
def hasty():
    """A client that tries once, where what comes is known to be broken."""
    return Client(1000, retries=0, timeout=0.3, most_bytes=100_000)


@contextmanager
def answering(reply: bytes, pause: float = 0):
    """A server of one connection that sends what no proper server would, byte by byte if slow."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def serve():
            connection, _ = listening.accept()
            with connection:
                connection.recv(10_000)
                for place in range(len(reply)) if pause else ():
                    if stop.wait(pause):
                        return
                    connection.sendall(reply[place : place + 1])
                if not pause:
                    connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/x"
        stop.set()


def test_it_says_who_it_is(client):
    class Echo(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(dict(self.headers)).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        headers = client.json(f"http://127.0.0.1:{server.server_port}/")
    assert headers["User-Agent"].startswith("artsearch/")
    assert headers["AIC-User-Agent"] == headers["User-Agent"]


def test_parameters_are_put_behind_an_address(server, client):
    server.put("/a?q=%E2%82%AC+%26&n=1", b'{"found": 1}')
    assert client.json(f"{server.url}/a", {"q": "€ &", "n": 1}) == {"found": 1}
    assert client.json(f"{server.url}/a?q=%E2%82%AC+%26", {"n": 1}) == {"found": 1}


def test_the_rate_is_kept_for_each_host():
    with Loopback() as server:
        address = server.put("/a", b"here")
        other = address.replace("127.0.0.1", "localhost")
        client = Client(rate=10)
        start = time.monotonic()
        client.get(address)
        client.get(other)
        assert client._free.keys() == {"127.0.0.1", "localhost"}
        for _ in range(3):
            client.get(address)
        # Not less than three pauses; how much more is the machine's affair.
        assert time.monotonic() - start >= 0.3


def test_what_passes_is_tried_again(server, client):
    failures = []

    class Failing(dict):
        def get(self, path, default):
            return failures.pop(0) if failures else Answer(b"here")

    server.answers = Failing()
    for failures[:] in (
        [Answer(status=500), Answer(status=503)],
        [Answer(status=429, headers={"Retry-After": "0"}), Answer(b"whole", way="truncated")],
        [Answer(status=429, headers={"Retry-After": "soon"}), Answer(status=502)],
        [
            Answer(b"no gzip", headers={"Content-Encoding": "gzip"}),
            Answer(b"a" * 99, way="stalled"),
        ],
    ):
        server.asked.clear()
        assert client.get(f"{server.url}/a") == b"here"
        assert len(server.asked) == 3
        assert client.failures == 0


def test_what_stays_broken_is_given_up_on_with_the_reason(server, client):
    address = server.put("/a", status=503)
    with pytest.raises(ShutOutError, match="answered 503 Service Unavailable$") as caught:
        client.get(address)
    assert (caught.value.status, len(server.asked)) == (503, 3)
    assert isinstance(caught.value, ArtsearchError)


def test_what_is_not_there_is_not_asked_for_again(server, client):
    with pytest.raises(FetchError, match="answered 404 Not Found"):
        client.get(f"{server.url}/nothing")
    assert server.asked == ["GET /nothing"]


def test_failures_in_a_row_are_counted_until_the_server_serves(server, client):
    broken, sound = server.put("/broken", status=403), server.put("/sound", b"here")
    for address, failures in ((broken, 1), (broken, 2), (sound, 0), (broken, 1)):
        try:
            client.get(address)
        except FetchError:
            pass
        assert client.failures == failures
    with pytest.raises(FetchError):
        client.get(f"{server.url}/nothing")
    assert client.failures == 0


def test_locked_files_are_no_failures_where_the_source_says_so_and_are_counted(server, client):
    client.absent |= LOCKED
    locked, secret = server.put("/a", status=401), server.put("/b", status=403)
    for address, refusals in ((locked, 1), (secret, 2), (f"{server.url}/none", 0), (secret, 1)):
        with pytest.raises(FetchError):
            client.get(address)
        assert (client.failures, client.refusals) == (0, refusals)
    client.get(server.put("/c", b"here"))
    assert client.refusals == 0
    assert Client().absent & LOCKED == set()


def test_the_pause_that_a_server_asks_for_is_kept_within_reason(server, client, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    address = server.put("/a", status=429, headers={"Retry-After": "33"})
    with pytest.raises(ShutOutError, match="429"):
        client.get(address)
    assert slept.count(33) == 2  # after the first and the second of three requests
    for wait in ("31536000", str(LONGEST_WAIT + 1), "9" * 5000, "Fri, 31 Dec 2200 23:59:59 GMT"):
        server.asked.clear()
        address = server.put("/b", status=429, headers={"Retry-After": wait})
        if len(wait) > 4300:  # more digits than Python reads: as if nothing were said
            expected = "answered 429 Too Many Requests"
        else:
            expected = "asks to come back after .* too long"
        with pytest.raises(ShutOutError, match=expected):
            client.get(address)


def test_large_files_are_not_taken(server, client):
    for headers in ({}, {"Content-Encoding": "gzip"}):
        body = gzip.compress(b"x" * 10_000_000) if headers else b"x" * 200_000
        with pytest.raises(FetchError, match="has more than 0.0954 MB"):
            client.get(server.put("/a", body, headers=headers))
        assert len(server.asked) == 1
        server.asked.clear()


def test_a_server_that_trickles_is_left_when_the_time_is_over(server):
    client = Client(1000, retries=2, timeout=0.5, pause=0.01, most_seconds=0.6)
    # All would be there after three seconds: whoever waits so long has no error.
    with pytest.raises(FetchError, match="was not there after 0.6 seconds"):
        client.get(server.put("/a", b"x" * 60, way="trickled"))
    assert len(server.asked) == 1
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: " + b"x" * 12 + b"\r\n\r\n"
    with answering(reply, pause=0.05) as address:
        with pytest.raises(FetchError, match="was not there after 0.6 seconds"):
            client.get(address)


def test_a_server_that_is_silent_or_gone_is_named(server, hasty):
    with pytest.raises(ShutOutError, match="^no answer from 127.0.0.1$"):
        hasty.get(server.put("/a", silent=True))
    with pytest.raises(ShutOutError, match="^127.0.0.1 cannot be reached$"):
        hasty.get(closed_address())


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "/etc/passwd",
        "ftp://example.org/a.jpg",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "",
        "http://",
        "http://[::1",
        "http://a b/",
        "http://\0/",
        "https:///a.jpg",
        "//example.org/a.jpg",
    ],
)
def test_only_http_is_spoken_also_after_a_redirection(server, client, address):
    # Which of the three it is for a host that is none depends on the version of requests.
    refused = "is not an http or https address|cannot be fetched|cannot be reached"
    with pytest.raises(FetchError, match=refused):
        client.get(address)
    if ":" in address and address not in ("http://", "http://\0/"):  # what a header can say
        server.put("/a", status=302, headers={"Location": address})
        with pytest.raises(FetchError, match=refused):
            client.get(f"{server.url}/a")
        assert server.asked == ["GET /a"]


def test_redirections_are_followed_as_far_as_they_lead(server, client):
    server.put("/b/here", b"here")
    for number, target in enumerate(("here", "/b/here", f"{server.url}/b/here", "../b/./here")):
        address = server.put(f"/b/{number}", status=301 + number % 2, headers={"Location": target})
        assert client.get(address) == b"here"
    with pytest.raises(FetchError, match="without end"):
        client.get(server.put("/round", status=302, headers={"Location": "/round"}))


def test_the_body_of_a_redirection_is_not_read(server, client):
    server.put("/here", b"here")
    address = server.put("/a", b"x" * 10, status=302, headers={"Location": "/here"}, way="stalled")
    assert client.get(address) == b"here"
    assert server.asked == ["GET /a", "GET /here"]


def test_a_length_that_is_a_lie_does_no_harm(client, hasty):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: "
    with answering(head + b"3\r\n\r\nhello") as address:
        assert client.get(address) == b"hel"
    for lie in (b"9\r\n\r\nhello", b"3, 4\r\n\r\nhello", b"1000000\r\n\r\n" + b"x" * 90_000):
        with answering(head + lie) as address, pytest.raises(FetchError):
            hasty.get(address)


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe", b"[" * 90_000, b"9" * 5000])
def test_what_is_not_json_is_shown(server, client, body):
    with pytest.raises(FetchError, match="did not send JSON, but b'"):
        client.json(server.put("/a", body))


def test_senseless_settings_are_refused():
    for settings in ({"rate": 0}, {"rate": -1}, {"rate": float("nan")}, {"retries": -1}):
        with pytest.raises(ArtsearchError):
            Client(**settings)
