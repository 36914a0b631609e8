"""What Redis refuses because of what it holds, and would refuse for ever, ends a job at once."""

from __future__ import annotations

from shared.store import keys
from tests.support.harness import RedisServer, System, eventually


def test_an_answer_that_cannot_be_stored_ends_the_job_with_the_reason(
    system: System, redis_server: RedisServer
):
    worker = system.worker()
    _, http = system.gateway()
    session = keys.session("anonymous", "talk")
    body = {"prompt": "?", "max_new_tokens": 8, "session_id": "talk"}
    job = http.post("/v1/jobs", json=body).json()["id"]
    # as if another program had written there
    redis_server.client().set(session + keys.SESSION_TURNS, "no list")
    ended = eventually(lambda: _ended(http, job))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "store_fault")
    assert "refused a command" in ended["error"]["message"]
    assert worker.running
    redis_server.client().delete(session + keys.SESSION_TURNS)
    other = http.post("/v1/jobs", json={"prompt": "?"}, headers={"Prefer": "wait=60"}).json()
    assert other["status"] == "succeeded"


def test_a_job_whose_end_cannot_be_stored_at_all_does_not_hold_its_slot(
    system: System, redis_server: RedisServer
):
    worker = system.worker(slots=1, SIGHTLINE_SIMULATED_TOKEN_S="0.2")
    _, http = system.gateway()
    job = http.post("/v1/jobs", json={"prompt": "?", "max_new_tokens": 8}).json()["id"]
    eventually(lambda: http.get(f"/v1/jobs/{job}").json()["status"] == "running")
    redis = redis_server.client()
    events = keys.events(job)
    redis.delete(events)
    redis.set(events, "no stream")
    eventually(lambda: "job.not_stored" in worker.logs())
    other = http.post("/v1/jobs", json={"prompt": "?"}, headers={"Prefer": "wait=60"}).json()
    assert other["status"] == "succeeded"


def _ended(http, job: str) -> dict | None:
    answer = http.get(f"/v1/jobs/{job}").json()
    return answer if answer.get("status") in ("succeeded", "failed") else None
