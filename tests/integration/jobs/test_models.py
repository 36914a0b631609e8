"""Several models in one fleet: each job is answered by the model that it asks for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from shared.jobs import GenerationParams, JobInput
from shared.jobs.parameters.route import Route
from shared.settings import Settings
from shared.store import NewJob, Store
from tests.support.harness import QUICK, Process, System, eventually, running_redis, running_system


@dataclass(frozen=True)
class Fleet:
    """A gateway, and workers of two models that are up from the start."""

    http: httpx.Client
    system: System
    workers: dict[str, Process]

    def ask(self, prompt: str = "What is it?", **fields: object) -> dict:
        body = {"prompt": prompt, "max_new_tokens": 2, **fields}
        answer = self.http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"})
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def chat(self, model: str | None, **fields: object) -> httpx.Response:
        messages = [{"role": "user", "content": "What is it?"}]
        body = {"messages": messages, "max_tokens": 2, **fields}
        return self.http.post(
            "/v1/chat/completions", json=body | ({"model": model} if model else {})
        )

    def ended(self, job_id: str) -> dict:
        def job_if_ended() -> dict | None:
            job = self.http.get(f"/v1/jobs/{job_id}", params={"wait": 5}).json()
            return None if job["status"] in ("queued", "running") else job

        return eventually(job_if_ended)

    def models(self) -> dict[str, dict]:
        return {one["id"]: one for one in self.http.get("/v1/models").json()["data"]}

    def queues(self) -> dict[str, dict]:
        return {one["model"]: one for one in self.http.get("/v1/queue").json()["models"]}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder: Path = tmp_path_factory.mktemp("models")
    env = QUICK | {
        "SIGHTLINE_SIMULATED_IMAGE_S": "0",
        "SIGHTLINE_MODEL_ALIASES": "gpt-4o=alpha, reserve=gamma",
    }
    with running_redis(folder) as redis, running_system(redis.url, folder, **env) as system:
        workers = {
            name: system.worker(slots=2, SIGHTLINE_MODEL_NAME=name) for name in ("alpha", "beta")
        }
        _, http = system.gateway()
        yield Fleet(http, system, workers)


def test_every_job_is_answered_by_its_own_model(fleet: Fleet) -> None:
    asked = ["alpha", "beta", "gpt-4o"] * 4
    submitted = [
        fleet.http.post("/v1/jobs", json={"prompt": "?", "max_new_tokens": 1, "model": name})
        for name in asked
    ]
    jobs = [fleet.ended(one.json()["id"]) for one in submitted]
    assert {job["status"] for job in jobs} == {"succeeded"}
    assert [job["input"]["model"] for job in jobs] == ["alpha", "beta", "alpha"] * 4
    assert [job["metrics"]["worker"].split("@")[0] for job in jobs] == ["w0", "w1", "w0"] * 4
    assert [fleet.chat(name).json()["model"] for name in ("beta", "gpt-4o")] == ["beta", "alpha"]
    answer = fleet.http.post("/v1/responses", json={"model": "beta", "input": "?"})
    assert answer.json()["model"] == "beta"
    revision = fleet.models()["alpha"]["revisions"][0]
    job = fleet.ask(model=f"alpha@{revision[:6]}")
    assert (job["status"], job["input"]["model"]) == ("succeeded", "alpha")
    estimate = fleet.http.post("/v1/estimate", json={"model": "beta", "width": 64, "height": 64})
    assert estimate.json()["model"] == "beta"


def test_a_name_that_nobody_serves_is_refused_with_those_that_are(fleet: Fleet) -> None:
    refused = fleet.chat("gpt-none")
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "model_not_found"
    assert "alpha, beta" in refused.json()["error"]["message"]
    unnamed = fleet.http.post("/v1/jobs", json={"prompt": "?"})
    assert (unnamed.status_code, unnamed.json()["code"]) == (422, "model_required")
    assert "alpha, beta" in unnamed.json()["detail"]
    old = fleet.http.post("/v1/jobs", json={"prompt": "?", "model": "alpha@0000000"})
    assert (old.status_code, old.json()["code"]) == (404, "model_not_found")


def test_a_job_may_wait_for_a_worker_of_its_model(fleet: Fleet) -> None:
    body = {"prompt": "?", "max_new_tokens": 1}
    waiting = [
        fleet.http.post("/v1/jobs", json=body | {"model": "late", "wait_for_model": True}),
        fleet.http.post("/v1/jobs", json=body | {"model": "reserve"}),
    ]
    assert [one.status_code for one in waiting] == [202, 202]
    jobs = [one.json() for one in waiting]
    assert [(job["status"], job["queue"]["position"]) for job in jobs] == [("queued", 0)] * 2
    assert [job["eta_s"] for job in jobs] == [None, None]
    assert fleet.ask(model="alpha")["status"] == "succeeded"
    queues = fleet.queues()
    assert {name: (queues[name]["queued"], queues[name]["workers"]) for name in queues} == {
        "alpha": (0, 1),
        "beta": (0, 1),
        "gamma": (1, 0),
        "late": (1, 0),
    }
    late = fleet.system.worker(slots=1, SIGHTLINE_MODEL_NAME="late")
    job = fleet.ended(jobs[0]["id"])
    assert (job["status"], job["input"]["model"]) == ("succeeded", "late")
    late.signal(signal.SIGTERM)
    late.wait()
    assert fleet.http.post(f"/v1/jobs/{jobs[1]['id']}/cancel").json()["status"] == "canceled"


def test_a_model_whose_only_worker_dies_keeps_its_jobs(fleet: Fleet) -> None:
    first = fleet.http.post(
        "/v1/jobs", json={"prompt": "a long story", "max_new_tokens": 200, "model": "beta"}
    ).json()["id"]
    eventually(lambda: fleet.http.get(f"/v1/jobs/{first}").json()["status"] == "running")
    fleet.workers["beta"].kill()
    second = fleet.http.post("/v1/jobs", json={"prompt": "?", "max_new_tokens": 1, "model": "beta"})
    assert second.status_code == 202
    eventually(lambda: fleet.http.get(f"/v1/jobs/{first}").json()["status"] == "queued")
    assert fleet.ask(model="alpha")["input"]["model"] == "alpha"
    fleet.workers["beta"] = fleet.system.worker(slots=2, SIGHTLINE_MODEL_NAME="beta")
    for job_id in (first, second.json()["id"]):
        job = fleet.ended(job_id)
        assert (job["status"], job["input"]["model"]) == ("succeeded", "beta")


def test_jobs_of_before_are_taken_by_their_own_model(fleet: Fleet) -> None:
    """What waits for all workers alike is of older gateways, or of when there was one model."""
    settings = Settings(redis_url=fleet.system.env["SIGHTLINE_REDIS_URL"])
    store = Store(settings)
    asked = [JobInput(prompt="?", params=GenerationParams(max_new_tokens=1))] * 12
    routes = [Route("alpha"), Route("beta", "beta"), Route(), Route("gone")] * 3
    jobs = [NewJob("anonymous", one, route=route) for one, route in zip(asked, routes, strict=True)]
    for job in jobs:
        # their doorbells are lost: the reconciler rings those who may take them
        store.add(job)
    ended = [fleet.ended(job.id)["input"]["model"] for job in jobs]
    assert ended[::4] + ended[1::4] == ["alpha"] * 3 + ["beta"] * 3
    assert {*ended[2::4], *ended[3::4]} <= {"alpha", "beta"}
