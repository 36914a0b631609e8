"""Fair turns between API keys in a running system."""

from __future__ import annotations

from shared.jobs import GenerationParams, JobInput
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from tests.support.harness import System, eventually

WORKERS = 2


def test_a_thousand_waiting_jobs_of_one_key_hardly_delay_another(redis_server, system: System):
    store = Store(Settings(redis_url=redis_server.url))
    short = JobInput(prompt="hi", params=GenerationParams(max_new_tokens=2))
    heavy = [store.add(NewJob("heavy", short)).doorbell.job_id for _ in range(1000)]
    # stored without doorbells: until the reconciler sends some, only the light job wakes a worker
    _, http = system.gateway()
    for _ in range(WORKERS):
        system.worker(slots=1, SIGHTLINE_SIMULATED_TOKEN_S="0.1")
    eventually(lambda: store.redis.zscore(keys.TURNS, "heavy") != 0)

    body = {"prompt": "hi", "max_new_tokens": 2}
    for _ in range(3):
        job = http.post("/v1/jobs", json=body, headers={"Prefer": "wait=60"}).json()
        light = store.get(job["id"], "anonymous")
        assert light.status == "succeeded"
        rows = [store.get(job_id, "heavy") for job_id in heavy]
        before = [
            row for row in rows if light.created_ms < (row.started_ms or 0) <= light.started_ms
        ]
        assert len(before) <= WORKERS + 1
    assert store.get(heavy[-1], "heavy").status == "queued", "they all had to wait"
