"""Clients that drip, stall or never stop sending are cut off without harm to others."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.harness import System, running_redis, running_system

PACE = {
    "SIGHTLINE_HEADERS_TIMEOUT_S": "0.7",
    "SIGHTLINE_BODY_GRACE_S": "0.7",
    "SIGHTLINE_BODY_MIN_BYTES_S": "10000",
    "SIGHTLINE_REQUEST_MAX_BYTES": "100000",
    "SIGHTLINE_UPLOAD_MAX_BYTES": "50000",
}
#: Far above the limits even on a busy machine, yet an end if nothing is cut off.
CUT_S = 30.0


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("slow")
    with running_redis(folder) as redis, running_system(redis.url, folder) as system:
        assert isinstance(system, System)
        yield system.gateway(**PACE)[1]


def _connected(http: httpx.Client) -> socket.socket:
    return socket.create_connection((http.base_url.host, http.base_url.port or 80), CUT_S)


def _dripped(sock: socket.socket, pieces: Iterator[bytes], every_s: float) -> bytes:
    """Send pieces until the other side has had enough; return what it said."""
    deadline = time.monotonic() + CUT_S
    sock.settimeout(every_s)
    answer = b""
    for piece in pieces:
        assert time.monotonic() < deadline, "nobody cut it off"
        with contextlib.suppress(TimeoutError):
            chunk = sock.recv(65_536)
            answer += chunk
            break
        try:
            sock.sendall(piece)
        except OSError:
            break
    sock.settimeout(CUT_S)
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65_536):
            answer += chunk
    return answer


def _forever(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def test_dripping_headers_are_cut_off_with_a_reason(http):
    with _connected(http) as sock:
        sock.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        answer = _dripped(sock, _forever(b"a"), 0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "request_timeout"' in answer


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 90000\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_a_dripping_body_is_cut_off_with_a_reason(http, framing):
    piece = b"1\r\n \r\n" if b"chunked" in framing else b" "
    with _connected(http) as sock:
        sock.sendall(HEAD + framing + b"\r\n")
        answer = _dripped(sock, _forever(piece), 0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in answer


def test_a_dripping_form_is_cut_off_too(http):
    head = HEAD.replace(b"application/json", b"multipart/form-data; boundary=b")
    part = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    with _connected(http) as sock:
        sock.sendall(head + b"Content-Length: 90000\r\n\r\n" + part)
        answer = _dripped(sock, _forever(b"x"), 0.1)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_keeps_the_pace_may_take_longer_than_the_grace(http):
    body = b'{"prompt": "hello"' + b" " * 80_000 + b"}"
    with _connected(http) as sock:
        sock.sendall(HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
        for at in range(0, len(body), 10_000):
            sock.sendall(body[at : at + 10_000])
            time.sleep(0.1)
        answer = _dripped(sock, iter(()), 0.1)
    assert answer.startswith(b"HTTP/1.1 202 ")


def test_a_body_without_end_is_refused_at_the_limit(http):
    with _connected(http) as sock:
        sock.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        answer = _dripped(sock, _forever(b"2000\r\n" + b" " * 0x2000 + b"\r\n"), 0.001)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_others_are_served_while_many_drip(http):
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            sock = stack.enter_context(_connected(http))
            sock.sendall(HEAD + b"Content-Length: 500\r\n\r\n{")
        assert http.post("/v1/jobs", json={"prompt": "hi"}).status_code == 202


def test_a_connection_may_rest_between_two_requests(http):
    assert http.get("/healthz").status_code == 200
    time.sleep(1.0)
    with _connected(http) as sock:
        for _ in range(2):
            sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            response = b""
            while not response.endswith(b'{"status":"ok"}\n'):
                response += sock.recv(65_536)
            assert response.startswith(b"HTTP/1.1 200 ")
            time.sleep(1.0)
