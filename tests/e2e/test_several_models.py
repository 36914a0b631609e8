"""The bundled model, a random tiny one and the simulated engine in one fleet, under chaos."""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from shared.settings import BUNDLED_MODEL, Settings
from shared.store import Store, keys
from tests.chaos.faults import Fault, Monkey, redis_killer, submit
from tests.chaos.tally import add_up, differing_sums
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

#: Jobs of each model, and processes that are killed meanwhile.
_EACH, _KILLS = 14, 10
#: Kills of workers for one of Redis, which comes back from its append-only file.
_WORKERS_FOR_REDIS = 4
_TENANT = "anonymous"


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

    def faults(self, dice: random.Random) -> list[Fault]:
        """Return what a monkey does to it in each round."""
        kill_worker = ("kill_worker", lambda: self.kill(dice.choice(list(self.folders))))
        return [
            *[kill_worker] * _WORKERS_FOR_REDIS,
            ("kill_redis", redis_killer(self.redis, dice, (0.5, 2.0))),
        ]

    def submit(self, name: str, number: int, violations: list[str]) -> str:
        """Submit one of several kinds of jobs for a model, until it is accepted; return its id."""
        body = {"model": name, "max_new_tokens": 6, "ttl_s": 3600, "prompt": "What is it?"}
        match number % 3:
            case 1:
                body["images"] = [base64.b64encode(text_png(f"Gate {number}")).decode()]
            case 2:
                # each page is a job of its own to the queue
                pages = pdf(text_page(0, 3), text_page(1, 3))
                fields = {"preset": "ocr", "reader": "model", "text_layer": "ignore"}
                body |= fields | {"document": base64.b64encode(pages).decode()}
        return submit([self.http], body, f"{name}-{number}", violations)

    def job_if_ended(self, job_id: str) -> dict | None:
        answer = self.http.get(f"/v1/jobs/{job_id}", params={"wait": 5})
        if answer.status_code == 503:
            return None
        assert answer.status_code == 200, answer.text
        job = answer.json()
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
    names = list(fleet.folders)
    assert {one["id"] for one in fleet.http.get("/v1/models").json()["data"]} == set(names)
    dice = random.Random(7)
    monkey = Monkey(fleet.faults(dice), seed=7, pause_s=(1.0, 4.0), most=_KILLS)
    monkey.start()
    jobs: dict[str, str] = {}
    violations: list[str] = []
    for number, name in itertools.product(range(_EACH), names):
        jobs[fleet.submit(name, number, violations)] = name
    ended = {job_id: eventually(lambda one=job_id: fleet.job_if_ended(one), 300) for job_id in jobs}
    monkey.stop()
    assert len(jobs) == _EACH * len(names)
    assert monkey.faults["kill_redis"] > 0
    assert violations == []
    assert {job["status"] for job in ended.values()} == {"succeeded"}
    assert {one: job["input"]["model"] for one, job in ended.items()} == jobs
    redis = fleet.redis.client()
    rows = {one: redis.hmget(keys.job(one), "worker", "commits") for one in jobs}
    numbers = {one: worker.partition("@")[0].removeprefix("w") for one, (worker, _) in rows.items()}
    assert {one: fleet.served[number] for one, number in numbers.items()} == jobs
    assert {commits for _, commits in rows.values()} == {"1"}
    eventually(lambda: not redis.smembers(keys.POOLS))
    assert redis.zcard(keys.QUEUED) == redis.zcard(keys.LEASES) == 0
    # none was stored twice, and each counts once for its key
    assert set(redis.zrange(keys.tenant_jobs(_TENANT), 0, -1)) == set(jobs)
    store = Store(Settings(redis_url=fleet.redis.url))
    sums = add_up(store.get(job_id, _TENANT) for job_id in jobs)
    assert sums
    assert differing_sums(redis, sums) == []
