"""Pauses of Redis: short ones refuse nobody, long ones all at once, and no refusal is a lie."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import httpx
import pytest

from shared.store import keys
from tests.support.harness import QUICK, RedisServer, eventually, running_system
from tests.support.images.image_bytes import plain_png

#: An answer within it counts as at once: less than a second here, more where the machine is busy.
AT_ONCE_S = 3.0


class Callers:
    """Submissions from several threads, one after another in each, until stopped."""

    def __init__(self, http: httpx.Client, threads: int = 6) -> None:
        self._http = http
        self._stopped = threading.Event()
        self.answers: list[httpx.Response] = []
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        while not self._stopped.wait(0.02):
            body = {"prompt": os.urandom(4).hex()}
            self.answers.append(self._http.post("/v1/jobs", json=body))


def _pause(redis: RedisServer, seconds: float) -> None:
    redis.signal(signal.SIGSTOP)
    time.sleep(seconds)
    redis.signal(signal.SIGCONT)


def test_a_pause_of_half_a_second_refuses_nobody(own_redis: RedisServer, tmp_path):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        gateway, http = system.gateway(SIGHTLINE_QUEUE_MAX_JOBS="100000")
        with Callers(http) as callers:
            for _ in range(3):
                time.sleep(0.4)
                _pause(own_redis, 0.53)
            time.sleep(0.4)
        codes = {answer.status_code for answer in callers.answers}
        assert codes == {202}
        assert "store.silent" not in gateway.logs()


@pytest.mark.parametrize("pause_s", [1.0, 1.5])
def test_what_is_refused_in_a_pause_is_not_stored(own_redis: RedisServer, tmp_path, pause_s: float):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        _, http = system.gateway(SIGHTLINE_QUEUE_MAX_JOBS="100000")
        with Callers(http) as callers:
            for _ in range(3):
                time.sleep(0.5)
                _pause(own_redis, pause_s)
            eventually(lambda: http.get("/v1/queue").status_code == 200)
            time.sleep(0.5)
        accepted = {a.json()["id"] for a in callers.answers if a.status_code == 202}
        others = [a for a in callers.answers if a.status_code != 202]
        unknown = {a.json()["job_id"] for a in others if a.status_code == 504}
        assert {a.json()["code"] for a in others} <= {"store_unavailable", "outcome_unknown"}
        stored = set(own_redis.client().zrange(keys.QUEUED, 0, -1))
        assert accepted <= stored
        assert stored <= accepted | unknown


def _check_refused_at_once(answer: httpx.Response, took_s: float) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable"), answer.text
    assert 1 <= int(answer.headers["Retry-After"]) <= 120
    assert took_s < AT_ONCE_S


@pytest.mark.parametrize("silence", [signal.SIGSTOP, signal.SIGKILL])
def test_a_silent_redis_is_told_at_once_by_every_request(own_redis: RedisServer, tmp_path, silence):
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        worker = system.worker()
        _, http = system.gateway()
        image = plain_png("red", 64, 64)
        before = http.post("/v1/jobs", json={"prompt": "before"}).json()["id"]

        def post(number: int) -> tuple[httpx.Response, float]:
            started = time.monotonic()
            files = {"image": image} if number % 2 else None
            answer = http.post("/v1/jobs", data={"prompt": "?"}, files=files)
            return answer, time.monotonic() - started

        own_redis.signal(silence)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(post, range(16)))
        for answer, took_s in answers:
            _check_refused_at_once(answer, took_s)
        _check_refused_at_once(*post(1))
        if silence == signal.SIGKILL:
            own_redis.stop()
            own_redis.start()
        else:
            own_redis.signal(signal.SIGCONT)
        eventually(lambda: http.post("/v1/jobs", json={"prompt": "after"}).status_code == 202)
        eventually(lambda: http.get(f"/v1/jobs/{before}").json()["status"] == "succeeded")
        assert worker.running
