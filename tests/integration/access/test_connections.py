"""Connections and bodies beyond what a gateway can hold are refused politely, and later taken."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.harness import System, eventually
from tests.support.measures.stalls import connected

FILES = 256
JOB = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def is_open(sock: socket.socket) -> bool:
    """Tell whether the other side has not closed a connection, on which nothing is to be read."""
    sock.settimeout(0.01)
    try:
        return bool(sock.recv(1))
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def streamed(http: httpx.Client, job_id: str) -> tuple[socket.socket, bytes]:
    """Open the event stream of a job; return the connection and the beginning of the answer."""
    sock = connected(http)
    path = f"/v1/jobs/{job_id}/events"
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return sock, sock.recv(65_536)


def test_streams_beyond_the_open_files_are_refused_with_503_and_later_served(system: System):
    process, http = system.gateway(shell=f"ulimit -n {FILES}")
    job_id = http.post("/v1/jobs", json={"prompt": "hi"}).json()["id"]
    with contextlib.ExitStack() as stack:
        answers = []
        for _ in range(300):
            sock, answer = streamed(http, job_id)
            stack.callback(sock.close)
            answers.append(answer)
        refused = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200 ")]
        assert len(answers) - len(refused) >= FILES // 4
        for answer in refused:
            assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"Retry-After: 1\r\n" in answer
            assert b"Content-Type: application/problem+json\r\n" in answer
    assert "crashed" not in process.logs()
    eventually(lambda: _is_served(http, job_id))


def _is_served(http: httpx.Client, job_id: str) -> bool:
    sock, answer = streamed(http, job_id)
    sock.close()
    return answer.startswith(b"HTTP/1.1 200 ")


def test_connections_that_say_nothing_give_way_but_no_stream_does(system: System):
    _, http = system.gateway(shell=f"ulimit -n {FILES}")
    job_id = http.post("/v1/jobs", json={"prompt": "hi"}).json()["id"]
    stream, answer = streamed(http, job_id)
    with contextlib.ExitStack() as stack:
        stack.callback(stream.close)
        silent = [stack.enter_context(connected(http)) for _ in range(400)]
        assert httpx.get(f"{http.base_url}/healthz", timeout=60, trust_env=False).is_success
        assert not is_open(silent[0])
        assert is_open(silent[-1])
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert is_open(stream)


def test_a_connection_that_says_nothing_is_closed_when_headers_would_be_due(system: System):
    _, http = system.gateway(SIGHTLINE_HEADERS_TIMEOUT_S="1")
    with connected(http, 20) as sock:
        assert sock.recv(1) == b""


def test_a_gateway_raises_the_limit_of_open_files_as_far_as_it_may(system: System):
    process, _ = system.gateway(shell="ulimit -S -n 200 && ulimit -H -n 900")
    limits = Path(f"/proc/{process.pid}/limits")
    if not limits.exists():
        pytest.skip(f"{sys.platform} has no /proc")
    files = next(line for line in limits.read_text().splitlines() if "open files" in line)
    assert files.split()[3:5] == ["900", "900"]


BUDGET = {
    "SIGHTLINE_REQUEST_MAX_BYTES": "1000000",
    "SIGHTLINE_UPLOAD_MAX_BYTES": "500000",
    "SIGHTLINE_BODIES_MAX_BYTES": "2000000",
}


def begun(http: httpx.Client, size: int, sent: int) -> socket.socket:
    """Begin to send a body of `size` bytes, and stop after `sent` of them."""
    sock = connected(http)
    sock.sendall(JOB + b"Content-Length: %d\r\n\r\n" % size + b" " * sent)
    return sock


def is_refused_unread(http: httpx.Client, size: int) -> bool:
    """Tell whether a body of `size` bytes is refused before any of it is sent."""
    with begun(http, size, 0) as sock:
        sock.settimeout(0.5)
        try:
            return sock.recv(65_536).startswith(b"HTTP/1.1 503 ")
        except TimeoutError:
            return False


def test_bodies_beyond_the_budget_are_refused_until_others_have_ended(system: System):
    _, http = system.gateway(**BUDGET)
    text = '{"prompt": "hi"}' + " " * 400_000
    headers = {"Content-Type": "application/json"}
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(begun(http, 900_000, 850_000)) for _ in range(2)]
        eventually(lambda: is_refused_unread(http, 400_000))
        refused = http.post("/v1/jobs", content=text, headers=headers)
        assert refused.status_code == 503
        assert refused.json()["code"] == "unavailable"
        assert refused.headers["Retry-After"] == "5"
        # what is small still fits
        assert http.post("/v1/jobs", json={"prompt": "hi"}).status_code == 202
        assert [is_open(sock) for sock in held] == [True, True]
    # their clients are gone now
    eventually(lambda: http.post("/v1/jobs", content=text, headers=headers).status_code == 202)


@pytest.mark.parametrize("framing", ["Content-Length: 900000", "Transfer-Encoding: chunked"])
def test_the_memory_of_refused_and_ended_bodies_is_free_again(system: System, framing):
    _, http = system.gateway(**BUDGET)
    for _ in range(30):
        with connected(http) as sock:
            sock.sendall(JOB + framing.encode() + b"\r\n\r\n")
            sock.sendall((b"c350\r\n" if "chunked" in framing else b"") + b"x" * 50_000)
            time.sleep(0.02)
    text = '{"prompt": "hi"}' + " " * 900_000
    headers = {"Content-Type": "application/json"}
    eventually(lambda: http.post("/v1/jobs", content=text, headers=headers).status_code == 202)


def test_held_responses_do_not_hold_the_memory_of_their_bodies(system: System):
    _, http = system.gateway(**BUDGET)
    text = '{"prompt": "hi"}' + " " * 900_000
    headers = {"Content-Type": "application/json", "Prefer": "wait=60"}
    body = text.encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    asked = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {len(body)}\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        for jobs in range(1, 6):
            stack.enter_context(connected(http)).sendall(asked.encode() + body)
            eventually(lambda jobs=jobs: len(http.get("/v1/jobs").json()["data"]) == jobs)


def test_a_body_that_came_fast_may_not_stop_for_long(system: System):
    pace = {"SIGHTLINE_BODY_GRACE_S": "0.7", "SIGHTLINE_BODY_MIN_BYTES_S": "1000"}
    _, http = system.gateway(**pace)
    # by its average it would have minutes left
    with begun(http, 600_000, 500_000) as sock:
        sock.settimeout(20)
        assert sock.recv(65_536).startswith(b"HTTP/1.1 408 ")


def test_a_body_has_an_end_however_steadily_it_comes(system: System):
    pace = {"SIGHTLINE_BODY_TIMEOUT_S": "1", "SIGHTLINE_BODY_MIN_BYTES_S": "10"}
    _, http = system.gateway(**pace)
    with begun(http, 100_000, 10) as sock:
        deadline = time.monotonic() + 20
        sock.settimeout(0.05)
        answer = b""
        while not answer:
            assert time.monotonic() < deadline, "nobody cut it off"
            sock.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = sock.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408 ")
