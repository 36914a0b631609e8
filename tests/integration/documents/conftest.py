"""A service with one quick worker, which the tests of documents share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.harness import (
    QUICK,
    Process,
    RedisServer,
    eventually,
    running_redis,
    running_system,
)

#: An engine that takes as good as no time.
INSTANT = {
    "SIGHTLINE_SIMULATED_IMAGE_S": "0.02",
    "SIGHTLINE_SIMULATED_TOKEN_S": "0.001",
    # a busy machine may predict long waits from earlier tests' jobs
    "SIGHTLINE_QUEUE_MAX_WAIT_S": "100000",
}
TERMINAL = ("succeeded", "failed", "canceled", "expired")


@dataclass(frozen=True)
class Documents:
    """A gateway and a worker, for jobs about documents."""

    http: httpx.Client
    redis: RedisServer
    worker: Process

    def submit(self, data: bytes, **fields: Any) -> dict[str, Any]:
        form = {"preset": "ocr", **fields}
        if "prompt" in form:
            del form["preset"]
        answer = self.http.post("/v1/jobs", data=form, files={"document": ("a.pdf", data)})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def refuse(self, data: bytes, field: str = "document", **fields: Any) -> dict[str, Any]:
        answer = self.http.post(
            "/v1/jobs", data={"preset": "ocr", **fields}, files={field: ("a.pdf", data)}
        )
        assert answer.status_code >= 400, answer.text
        return answer.json()

    def ended(self, job: dict[str, Any], within_s: float = 60.0) -> dict[str, Any]:
        def latest() -> dict[str, Any] | None:
            read = self.http.get(job["urls"]["self"], params={"wait": 5}).json()
            return read if read["status"] in TERMINAL else None

        return eventually(latest, within_s)

    def done(self, data: bytes, **fields: Any) -> dict[str, Any]:
        job = self.ended(self.submit(data, **fields))
        assert job["status"] == "succeeded", job["error"]
        return job

    def events(self, job: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        return read_events(self.http, job)


def read_events(http: httpx.Client, job: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of a job that has ended."""
    import json

    frames = http.get(job["urls"]["events"]).text.split("\n\n")
    fields = [dict(line.split(": ", 1) for line in f.splitlines() if ": " in line) for f in frames]
    return [(one["event"], json.loads(one["data"])) for one in fields if "event" in one]


def sources(job: dict[str, Any]) -> list[str]:
    """Return where the text of each page comes from; a gap is one of its own."""
    return ["gap" if page["gap"] else page["source"] for page in job["output"]["pages"]]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Documents]:
    folder = tmp_path_factory.mktemp("documents")
    with (
        running_redis(folder) as redis,
        running_system(redis.url, folder, **QUICK, **INSTANT) as system,
    ):
        worker = system.worker(slots=4)
        _, http = system.gateway()
        yield Documents(http, redis, worker)
