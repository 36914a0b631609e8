"""A follow-up goes to the worker that has its caches, or to another if that one cannot."""

from __future__ import annotations

import httpx
import pytest

from tests.support.harness import Process, System


@pytest.fixture
def client(system: System) -> httpx.Client:
    return system.gateway()[1]


def ask(client: httpx.Client, session: str) -> dict:
    answer = client.post(
        "/v1/jobs",
        json={"prompt": "and now?", "session_id": session},
        headers={"Prefer": "wait=60"},
    )
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert job["status"] == "succeeded", job
    return job


def owner(job: dict, workers: list[Process]) -> Process:
    pid = int(job["metrics"]["worker"].rpartition(":")[2])
    return next(worker for worker in workers if worker.pid == pid)


def test_all_turns_of_a_session_are_answered_by_the_worker_of_the_first(system, client):
    system.worker()
    system.worker()
    for session in ("a", "b", "c"):
        first = ask(client, session)["metrics"]["worker"]
        assert [ask(client, session)["metrics"]["worker"] for _ in range(3)] == [first] * 3


def test_a_session_goes_on_elsewhere_when_its_worker_is_killed(system, client):
    workers = [system.worker(), system.worker()]
    dead = owner(ask(client, "a"), workers)
    dead.kill()
    assert owner(ask(client, "a"), workers) is not dead
    turns = client.get("/v1/sessions/a").json()["turns"]
    assert len(turns) == 2


def test_a_workers_own_queue_goes_when_nobody_listens(system, redis_server):
    system.worker()
    redis = redis_server.client()
    (binding,) = list(redis.scan_iter("_kombu.binding.worker.*"))
    # kombu forgets what it has bound after a deadline; a queue without one has none
    assert redis.smembers(binding)
    assert [m for m in redis.zrange("_kombu.binding_deadlines", 0, -1) if "worker." in m]
    assert not list(redis.scan_iter("_kombu.binding_permanent.worker.*"))
