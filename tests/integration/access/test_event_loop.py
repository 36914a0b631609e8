"""Whatever one client sends on a connection, the others are served meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.harness import eventually, running_redis, running_system
from tests.support.measures.event_loop import EventLoop, skip_without_figures
from tests.support.measures.stalls import connected, send_raw

LINE = b"GET /healthz HTTP/1.1\r\n"
HOST = b"Host: 127.0.0.1\r\n"
END = b"Connection: close\r\n\r\n"
CHUNKED = (
    b"POST /v1/jobs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLoop]:
    skip_without_figures()
    folder = tmp_path_factory.mktemp("loop")
    with running_redis(folder) as redis, running_system(redis.url, folder) as system:
        gateway, http = system.gateway()
        eventually(lambda: "gateway.ready" in gateway.logs())
        loop = EventLoop(http, gateway)
        yield loop
        loop.report()


@pytest.fixture
def http(loop: EventLoop) -> httpx.Client:
    return loop.http


def _fields(name: bytes, value: bytes, times: int) -> bytes:
    return b"".join(b"%s: %s\r\n" % (name.replace(b"#", b"%d" % n), value) for n in range(times))


def _get(path: bytes, headers: bytes = b"") -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + headers + END


def _bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


#: What is sent, in pieces. Each is bounded; none may keep others waiting in proportion to it.
HOSTILE: dict[str, list[bytes]] = {
    "pipelined requests": [(LINE + HOST + b"\r\n") * 40_000],
    "pipelined pages": [b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 4_000],
    "pipelined requests with small bodies": [
        (b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx") * 20_000
    ],
    "pipelined expectations": [
        b"POST /healthz HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"
        * 4_000
    ],
    "many headers": [LINE + HOST + _fields(b"X-#", b"a", 20_000) + END],
    "long headers": [LINE + HOST + _fields(b"X-#", b"a" * 8_100, 98) + END],
    "a head byte by byte": [LINE + HOST, *_bytewise(_fields(b"X-#", b"a" * 600, 40)), END],
    "a head without an end": [LINE + HOST + b"X: " + b"a" * 2_000_000],
    "duplicated headers": [_get(b"/", _fields(b"X-Same", b"a, b" * 1_000, 15))],
    "many cookies": [_get(b"/", _fields(b"Cookie", b"a=1;" * 2_000, 7))],
    "many languages": [_get(b"/", _fields(b"Accept-Language", b"a;q=0.1," * 1_000, 7))],
    "cookies and languages up to their bounds": [
        _get(
            b"/",
            _fields(b"Cookie", b"a=1;" * 2_000, 1) + b"Accept-Language: " + b"a," * 500 + b"b\r\n",
        )
    ],
    "answers in kinds up to the bound": [
        _get(b"/v1/jobs/job_a/result", b"Accept: " + b"a/b," * 250 + b"a/c\r\n")
    ],
    "etags up to the bound": [
        _get(b"/favicon.ico", b"If-None-Match: " + b'"a",' * 2_000 + b"*\r\n")
    ],
    "many etags": [_get(b"/favicon.ico", _fields(b"If-None-Match", b'"a",' * 2_000, 7))],
    "many ranges": [_get(b"/favicon.ico", b"Range: bytes=" + b"0-1," * 2_000 + b"5-6\r\n")],
    "a long query": [_get(b"/v1/jobs?" + b"limit=1&" * 1_000)],
    "a long path": [_get(b"/" + b"a/" * 4_000)],
    "a path of slashes": [_get(b"/v1" + b"/" * 8_000 + b"jobs")],
    "one-byte chunks": [CHUNKED + b"1\r\n \r\n" * 300_000 + b"0\r\n\r\n"],
    "long chunk extensions": [
        CHUNKED + (b"1;" + b"a;" * 4_000 + b"a\r\n \r\n") * 300 + b"0\r\n\r\n"
    ],
    "many trailers": [CHUNKED + b"1\r\n \r\n0\r\n" + _fields(b"X-#", b"a", 50_000) + b"\r\n"],
    "trailers byte by byte": [CHUNKED + b"1\r\n \r\n0\r\n", *_bytewise(b"X: " + b"a" * 20_000)],
    "an unread body": [
        b"POST /healthz HTTP/1.1\r\nContent-Length: 60000000\r\n" + HOST + b"\r\n",
        b"a" * 60_000_000,
    ],
    "an unread body in chunks": [
        b"POST /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\n",
        b"1\r\n \r\n" * 300_000,
    ],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_others_are_served_while_one_client_sends(loop, name):
    loop.watch(name, lambda: send_raw(loop.http, *HOSTILE[name]))


def test_a_connection_that_never_stops_asking_is_closed_politely_and_another_one_goes_on(http):
    request = LINE + HOST + b"\r\n"
    answers = send_raw(http, request * 3_000)
    assert answers.count(b"HTTP/1.1 200 OK") == 1000
    assert answers.count(b"Connection: close") == 1
    assert b"Connection: close" in answers[-300:]
    assert send_raw(http, _get(b"/healthz")).startswith(b"HTTP/1.1 200 ")


def test_the_answer_arrives_though_the_body_that_it_refuses_is_still_being_sent(http):
    head = b"POST /v1/nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20000000\r\n\r\n"
    answer = send_raw(http, head, *[b"a" * 100_000] * 200)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"Connection: close" in answer


def test_a_small_body_that_nobody_reads_does_not_end_the_connection(http):
    asked = b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
    with connected(http) as sock:
        for _ in range(2):
            sock.sendall(asked)
            answer = b""
            while not answer.endswith(b"}}"):
                answer += sock.recv(65_536)
            assert b"Connection: keep-alive" in answer
            # in a packet of its own, after the answer
            sock.sendall(b"{}")


@pytest.mark.parametrize(
    "headers",
    [
        _fields(b"Accept-Language", b"a;q=0.1," * 100, 2),
        _fields(b"Cookie", b"a=1;" * 1_500, 2),
        _fields(b"X-#", b"a" * 8_000, 9),
    ],
)
def test_headers_beyond_their_bounds_are_refused_with_a_reason(http, headers):
    answer = send_raw(http, _get(b"/", headers))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code": "bad_request"' in answer
