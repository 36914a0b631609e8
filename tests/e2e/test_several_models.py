"""The bundled model, a random tiny one and the simulated engine in one fleet, under kills."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from shared.settings import BUNDLED_MODEL
from shared.store import keys
from tests.model.checkpoints import write_tiny_model
from tests.support.documents.drawn import pdf, text_page
from tests.support.harness import (
    QUICK,
    Process,
    RedisServer,
    System,
    eventually,
    running_redis,
    running_system,
)
from tests.support.images.image_bytes import text_png

pytestmark = [pytest.mark.model, pytest.mark.long, pytest.mark.timeout(600)]

#: Jobs of each model, and workers that are killed meanwhile.
_EACH, _KILLS = 14, 7


@dataclass
class Fleet:
    """A gateway, and one worker of each model, which come back when they were killed."""

    http: httpx.Client
    system: System
    redis: RedisServer
    folders: dict[str, str]
    workers: dict[str, Process] = field(default_factory=dict)
    #: The model of every worker that there has ever been, by its number.
    served: dict[str, str] = field(default_factory=dict)

    def start(self, name: str, *, wait: bool = False) -> None:
        self.workers[name] = self.system.worker(
            slots=2,
            wait=wait,
            SIGHTLINE_MODEL=self.folders[name],
            SIGHTLINE_MODEL_NAME=name,
            SIGHTLINE_THREADS="1",
        )
        self.served[self.workers[name].log.stem.removeprefix("worker")] = name

    def kill(self, name: str) -> None:
        self.workers[name].kill()
        self.start(name)

    def submit(self, name: str, number: int) -> str:
        """Submit one of several kinds of jobs for a model; return its id."""
        body = {"model": name, "max_new_tokens": "6", "ttl_s": "3600"}
        match number % 3:
            case 0:
                body |= {"prompt": "What is it?"}
                answer = self.http.post("/v1/jobs", data=body)
            case 1:
                image = text_png(f"Gate {number}")
                files = {"image": ("gate.png", image)}
                answer = self.http.post("/v1/jobs", data=body | {"prompt": "Read."}, files=files)
            case _:
                # each page is a job of its own to the queue
                fields = body | {"preset": "ocr", "reader": "model", "text_layer": "ignore"}
                files = {"document": ("pages.pdf", pdf(text_page(0, 3), text_page(1, 3)))}
                answer = self.http.post("/v1/jobs", data=fields, files=files)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job_if_ended(self, job_id: str) -> dict | None:
        job = self.http.get(f"/v1/jobs/{job_id}", params={"wait": 5}).json()
        return None if job["status"] in ("queued", "running") else job


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    folders = {"bundled": BUNDLED_MODEL, "tiny": str(write_tiny_model(tiny)), "none": "simulated"}
    env = QUICK | {
        "SIGHTLINE_SIMULATED_IMAGE_S": "0.1",
        "SIGHTLINE_SIMULATED_TOKEN_S": "0.2",
        "SIGHTLINE_LEASE_S": "5",
        "SIGHTLINE_MAX_ATTEMPTS": "20",
    }
    with running_redis(tmp_path) as redis, running_system(redis.url, tmp_path, **env) as system:
        one = Fleet(system.gateway()[1], system, redis, folders)
        for name in folders:
            one.start(name, wait=True)
        yield one


def test_no_kill_loses_a_job_or_gives_it_to_another_model(fleet: Fleet) -> None:
    chance = random.Random(7)
    names = list(fleet.folders)
    assert {one["id"] for one in fleet.http.get("/v1/models").json()["data"]} == set(names)
    asked = list(itertools.chain.from_iterable([(name, n) for name in names] for n in range(_EACH)))
    jobs: dict[str, str] = {}
    for at, (name, number) in enumerate(asked):
        jobs[fleet.submit(name, number)] = name
        if at % (len(asked) // _KILLS) == 1:
            fleet.kill(chance.choice(names))
    ended = {job_id: eventually(lambda one=job_id: fleet.job_if_ended(one), 300) for job_id in jobs}
    assert {job["status"] for job in ended.values()} == {"succeeded"}
    assert {one: job["input"]["model"] for one, job in ended.items()} == jobs
    redis = fleet.redis.client()
    rows = {one: redis.hmget(keys.job(one), "worker", "commits") for one in jobs}
    numbers = {one: worker.partition("@")[0].removeprefix("w") for one, (worker, _) in rows.items()}
    assert {one: fleet.served[number] for one, number in numbers.items()} == jobs
    assert {commits for _, commits in rows.values()} == {"1"}
    eventually(lambda: not redis.smembers(keys.POOLS))
    assert redis.zcard(keys.QUEUED) == redis.zcard(keys.LEASES) == 0
