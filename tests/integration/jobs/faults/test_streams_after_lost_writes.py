"""Streams whose newest events a restarted Redis has lost: who had read them misses nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.settings import Settings
from shared.store import Store
from shared.store.jobs.events import EventReader
from tests.integration.jobs.faults.test_streams_under_faults import read_events
from tests.support.harness import (
    QUICK,
    RedisServer,
    System,
    eventually,
    running_redis,
    running_system,
)


@pytest.fixture(params=[(), ("--rename-command", "INFO", "")], ids=["with INFO", "without INFO"])
def redis(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    (folder := tmp_path / "redis").mkdir()
    with running_redis(folder, *request.param) as server:
        yield server


@pytest.fixture
def system(redis: RedisServer, tmp_path: Path) -> Iterator[System]:
    env = QUICK | {"SIGHTLINE_SIMULATED_TOKEN_S": "0.1", "SIGHTLINE_LEASE_S": "3"}
    with running_system(redis.url, tmp_path, **env) as started:
        yield started


class Reader:
    """A client that puts the text of a job together, and resumes where it was."""

    def __init__(self, http: httpx.Client, job_id: str) -> None:
        self._http = http
        self._job_id = job_id
        self.text = ""
        self.after = 0

    def read(self) -> Iterator[str]:
        """Yield the types of the events that follow, until the stream ends or breaks."""
        for number, kind, data in read_events(self._http, self._job_id, self.after):
            self.after = number
            self.text = "" if kind == "output.reset" else self.text
            self.text += data["text"] if kind == "output.delta" else ""
            yield kind

    def read_deltas(self, count: int) -> None:
        """Read until so many deltas have come."""
        deltas = (kind for kind in self.read() if kind == "output.delta")
        assert len(list(itertools.islice(deltas, count))) == count

    def has_ended(self) -> bool:
        """Tell whether the rest of the stream has an end."""
        return "job.succeeded" in self.read()


@pytest.mark.parametrize("worker_dies", [False, True], ids=["worker lives", "worker dies"])
def test_who_resumes_after_lost_writes_has_every_word_once(redis, system, tmp_path, worker_dies):
    worker, (_, http) = system.worker(), system.gateway()
    body = {"prompt": "tell it all", "max_new_tokens": 64}
    job_id = http.post("/v1/jobs", json=body).json()["id"]
    reader = Reader(http, job_id)
    reader.read_deltas(1)
    redis.save_data(tmp_path / "saved")
    reader.read_deltas(5)
    if worker_dies:
        worker.kill()
    redis.go_back(tmp_path / "saved")
    if worker_dies:
        system.worker()
    # its events go on beyond this reader's place, cut in another way
    events = EventReader(Store(Settings(redis_url=redis.url)).redis, 1.0)
    eventually(lambda: events.last(job_id) > reader.after)
    eventually(reader.has_ended)
    assert reader.text == http.get(f"/v1/jobs/{job_id}").json()["output"]["text"]
