"""Systems that many tests share: their gateways and workers stay up, only the jobs differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.support.harness import QUICK, Process, RedisServer, System, running_redis, running_system

#: Small bounds, so that a test passes them with little.
SMALL = {
    "SIGHTLINE_REQUEST_MAX_BYTES": str(1 << 20),
    "SIGHTLINE_UPLOAD_MAX_BYTES": str(256 << 10),
    "SIGHTLINE_PING_S": "1",
    "SIGHTLINE_SIMULATED_IMAGE_S": "0.05",
}


@dataclass(frozen=True)
class Service:
    """A gateway, and the Redis and log behind it."""

    http: httpx.Client
    redis: RedisServer
    gateway: Process
    system: System

    def submit(self, prompt: str = "What is it?", **fields: object) -> dict:
        answer = self.http.post("/v1/jobs", json={"prompt": prompt, **fields})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def job(self, job_id: str, wait_s: int = 0) -> dict:
        return self.http.get(f"/v1/jobs/{job_id}", params={"wait": wait_s}).json()

    def ended(self, prompt: str = "What is it?", **fields: object) -> dict:
        body = {"prompt": prompt, "max_new_tokens": 2, **fields}
        answer = self.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A gateway with a simulated worker, slow enough for a job to be met running."""
    folder = tmp_path_factory.mktemp("served")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        system.worker(slots=16, SIGHTLINE_SIMULATED_TOKEN_S="0.15")
        process, http = system.gateway(**SMALL)
        yield Service(http, redis, process, system)


@pytest.fixture(scope="package")
def other_gateway(served: Service) -> httpx.Client:
    """A second gateway process beside the one of `served`."""
    return served.system.gateway()[1]


@pytest.fixture(scope="package")
def workerless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A gateway without workers: a job that is not touched stays queued."""
    folder = tmp_path_factory.mktemp("workerless")
    with running_redis(folder) as redis, running_system(redis.url, folder, **QUICK) as system:
        process, http = system.gateway(**SMALL)
        yield Service(http, redis, process, system)
