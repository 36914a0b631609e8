"""Overload is refused at once with the reason, and accepted jobs still succeed."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from http.client import HTTPResponse

import httpx
import pytest
from PIL import Image

from tests.support.harness import QUICK, System, eventually, running_redis, running_system
from tests.support.images.image_bytes import saved

#: An answer within it counts as at once: less than a second here, more where the machine is busy.
AT_ONCE_S = 3.0
SLOW = {"SIGHTLINE_SIMULATED_IMAGE_S": "0.05", "SIGHTLINE_SIMULATED_TOKEN_S": "0.1"}


def _noise(side: int = 700) -> bytes:
    return saved(Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)), "PNG")


def _ask(http: httpx.Client, **fields: object) -> httpx.Response:
    return http.post("/v1/jobs", json={"prompt": os.urandom(4).hex(), **fields})


def _refused(answer: httpx.Response, code: str) -> bool:
    if answer.status_code != 503:
        return False
    assert answer.json()["code"] == code, answer.text
    assert 1 <= int(answer.headers["Retry-After"]) <= 120
    return True


def test_a_wait_beyond_the_limit_is_refused_with_the_time_to_come_back(system: System):
    system.worker(slots=1, **SLOW)
    _, http = system.gateway(SIGHTLINE_QUEUE_MAX_WAIT_S="3")
    answers = [_ask(http) for _ in range(30)]
    accepted = [a.json()["id"] for a in answers if a.status_code == 202]
    refused = [a for a in answers if _refused(a, "queue_full")]
    assert len(accepted) + len(refused) == 30
    assert 1 <= len(accepted) < 15
    assert "would wait" in refused[0].json()["detail"]
    for job in accepted:
        eventually(lambda job=job: http.get(f"/v1/jobs/{job}").json()["status"] == "succeeded")


def test_a_job_that_would_miss_its_deadline_in_the_queue_is_refused(system: System):
    system.worker(slots=1, **SLOW)
    _, http = system.gateway()
    for _ in range(10):
        assert _ask(http).status_code == 202
    answer = _ask(http, deadline_s=1.5)
    assert _refused(answer, "queue_full")
    assert answer.json()["pointer"] == "/deadline_s"
    assert _ask(http, deadline_s=300).status_code == 202


def test_a_queue_of_the_greatest_length_takes_no_more(system: System):
    _, http = system.gateway(SIGHTLINE_QUEUE_MAX_JOBS="3")
    codes = [_ask(http).status_code for _ in range(5)]
    assert codes == [202, 202, 202, 503, 503]


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/v1/chat/completions"])
def test_a_full_queue_refuses_before_the_body_has_come(system: System, path: str):
    _, http = system.gateway(SIGHTLINE_QUEUE_MAX_JOBS="1")
    assert _ask(http).status_code == 202
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    address = (http.base_url.host, http.base_url.port or 80)
    with socket.create_connection(address, 10 * AT_ONCE_S) as sock:
        sock.sendall(head.encode() + b"Content-Length: 500000\r\n\r\n")
        answer = HTTPResponse(sock, method="POST")
        answer.begin()
        assert (answer.status, json.load(answer)["code"]) == (503, "queue_full")


def test_an_overdue_job_expires_without_being_started(system: System):
    _, http = system.gateway()
    job = _ask(http, deadline_s=0.3).json()["id"]
    eventually(lambda: http.get(f"/v1/jobs/{job}").json()["status"] == "expired")
    system.worker()
    expired = http.get(f"/v1/jobs/{job}").json()
    assert (expired["status"], expired["started_at"], expired["output"]) == ("expired", None, None)


def test_a_full_redis_takes_no_job_and_no_worker_ever_hears_of_it(tmp_path):
    with (
        running_redis(tmp_path, "--maxmemory", "40mb") as redis,
        running_system(redis.url, tmp_path, **QUICK) as system,
    ):
        worker = system.worker(SIGHTLINE_SIMULATED_TOKEN_S="0.05")
        _, http = system.gateway()
        # an answered job would make room again
        worker.signal(signal.SIGSTOP)
        jobs, refused = [], None
        for _ in range(60):
            files = {"image": _noise()}
            answer = http.post("/v1/jobs", data={"prompt": "?"}, files=files)
            if _refused(answer, "store_unavailable"):
                # what is on its way to Redis counts too: is it still full without that?
                time.sleep(1)
                refused, answer = answer, _ask(http)
                if _refused(answer, "store_unavailable"):
                    break
            jobs.append(answer.json()["id"])
        assert refused is not None
        assert "of its memory" in refused.json()["detail"]
        started = time.monotonic()
        assert _refused(http.post("/v1/images", files={"image": _noise()}), "store_unavailable")
        assert _refused(_ask(http), "store_unavailable")
        assert time.monotonic() - started < 2 * AT_ONCE_S
        worker.signal(signal.SIGCONT)
        for job in jobs:
            eventually(lambda job=job: _terminal(http, job))
        states = {http.get(f"/v1/jobs/{job}").json()["status"] for job in jobs}
        assert states == {"succeeded"}
        assert worker.running
        assert "OutOfMemory" not in worker.logs()
        for job in jobs[: len(jobs) // 2]:
            assert http.delete(f"/v1/jobs/{job}").status_code == 204
        eventually(lambda: _ask(http).status_code == 202)


def _terminal(http: httpx.Client, job: str) -> bool:
    return http.get(f"/v1/jobs/{job}").json()["status"] not in ("queued", "running")


def test_what_can_wait_is_refused_before_what_cannot(tmp_path):
    with (
        running_redis(tmp_path, "--maxmemory", "40mb") as redis,
        running_system(redis.url, tmp_path, **QUICK) as system,
    ):
        _, http = system.gateway()
        for number in range(30):
            redis.client().set(f"foreign:{number}", b"x" * 1_000_000)
        eventually(lambda: _ask(http, priority="low").status_code == 503)
        assert _refused(_ask(http, priority="low"), "store_unavailable")
        assert _refused(http.post("/v1/images", files={"image": _noise(32)}), "store_unavailable")
        assert _ask(http).status_code == 202
