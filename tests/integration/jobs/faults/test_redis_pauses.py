"""Short pauses of Redis: nobody is refused for half a second, and no refusal is a lie."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Self

import httpx
import pytest

from shared.store import keys
from tests.support.harness import QUICK, RedisServer, eventually, running_system


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
