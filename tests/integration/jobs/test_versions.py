"""Two versions of the service on one Redis, as during a rolling upgrade."""

from __future__ import annotations

import time

import pytest

from shared.errors import JobTooNew
from shared.jobs import ROW_VERSION, JobInput
from shared.jobs.row import read_row
from shared.settings import Settings
from shared.store import NewJob, Store
from tests.support.harness import System, eventually

BODY = {"prompt": "hi", "max_new_tokens": 2}


def test_old_and_new_gateways_and_workers_share_the_work(system: System, redis_server):
    old_worker = system.worker(SIGHTLINE_RECONCILE_S="0.5")
    _, old = system.gateway()
    _, new = system.gateway(newer=True)
    newer = [new.post("/v1/jobs", json=BODY).json()["id"] for _ in range(3)]
    # behind the newer jobs in the line, and done without them
    older = old.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=60"}).json()
    assert older["status"] == "succeeded"
    # long enough for their doorbells to be sent again, and to wake the old worker
    time.sleep(1.5)
    assert [new.get(f"/v1/jobs/{job}").json()["status"] for job in newer] == ["queued"] * 3
    for path in (f"/v1/jobs/{newer[0]}", f"/v1/jobs/{newer[0]}/result"):
        refused = old.get(path)
        assert (refused.status_code, refused.json()["code"]) == (503, "job_too_new")
        assert "another gateway" in refused.json()["hint"]
    listed = {job["id"]: job for job in old.get("/v1/jobs").json()["data"]}
    assert set(listed) == {older["id"], *newer}
    assert listed[older["id"]]["output"] == older["output"]
    for job in newer:
        assert listed[job]["status"] == "queued"
        assert [notice["code"] for notice in listed[job]["warnings"]] == ["job_too_new"]
    assert new.get(f"/v1/jobs/{older['id']}").json()["output"] == older["output"]

    system.worker(newer=True, SIGHTLINE_RECONCILE_S="0.5")
    for job in newer:
        eventually(lambda job=job: new.get(f"/v1/jobs/{job}").json()["status"] == "succeeded")
        assert new.get(f"/v1/jobs/{job}").json()["metrics"]["attempt"] == 1
    older = old.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=60"}).json()
    assert older["status"] == "succeeded"
    assert old_worker.running
    assert "Traceback" not in old_worker.logs()


def test_what_a_newer_row_says_beside_what_we_know_is_left_out(settings: Settings):
    store = Store(settings)
    added = store.add(NewJob(tenant="t", input=JobInput(prompt="hi")))
    fields = store.redis.hgetall(f"sl:job:{added.doorbell.job_id}")
    newer = fields | {"version": str(ROW_VERSION + 1), "tone": "plain"}
    assert read_row(newer).id == added.doorbell.job_id
    with pytest.raises(JobTooNew):
        read_row(newer | {"status": "dreaming"})
