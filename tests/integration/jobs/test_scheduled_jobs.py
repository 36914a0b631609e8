"""Jobs that may not start before a moment, or only within hours of each day."""

from __future__ import annotations

import datetime as dt
import json
import time

import pytest

from shared.errors import TooManyQueued
from shared.jobs import JobInput
from shared.jobs.parameters.schedule import DAY_MS, DailyWindow, Schedule
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys
from shared.store.access.rate_limits import RateLimits
from tests.support.harness import eventually

QUESTION = JobInput(prompt="what?")
OPEN = DailyWindow("00:00-00:00", 0, DAY_MS)


def in_s(seconds: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat()


def clock(hours: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)).strftime("%H:%M")


def closed() -> DailyWindow:
    return DailyWindow.parse(f"{clock(5)}-{clock(6)}")


def hours(window: DailyWindow) -> dict[str, str | int]:
    now_ms = int(time.time() * 1000)
    return Schedule(window=window).fields(now_ms, now_ms + DAY_MS)


def test_a_job_waits_for_its_moment_and_then_runs(served):
    job = served.submit(not_before=in_s(2), max_new_tokens=2)
    assert job["not_before"].endswith("Z")
    assert (job["status"], job["queue"]["position"], job["queue"]["wait_s"]) == ("queued", 0, None)
    listed = served.http.get("/v1/jobs", params={"status": "queued"}).json()["data"]
    assert job["id"] in [one["id"] for one in listed]
    done = eventually(
        lambda: served.job(job["id"], 5)["status"] == "succeeded" and served.job(job["id"]), 60
    )
    assert done["started_at"] >= done["not_before"]


def test_a_job_outside_of_its_hours_waits_and_can_be_canceled(served):
    job = served.submit(window=f"{clock(5)}-{clock(6)}")
    assert (job["status"], job["window"]) == ("queued", f"{clock(5)}-{clock(6)}")
    assert served.http.post(f"/v1/jobs/{job['id']}/cancel").json()["status"] == "canceled"
    within = served.ended(window=f"{clock(-1)}-{clock(1)}")
    assert within["status"] == "succeeded"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        # made when the test runs, which is long after it was collected
        (lambda: {"not_before": in_s(90_000)}, "/not_before"),
        (lambda: {"not_before": in_s(60), "deadline_s": 30}, "/not_before"),
        (lambda: {"window": f"{clock(5)}-{clock(6)}", "ttl_s": 600}, "/window"),
        (lambda: {"not_before": "2026-01-01T00:00:00"}, "/not_before"),
        (lambda: {"window": "25:00-26:00"}, "/window"),
        (lambda: {"window": "22:00-06:00+99:00"}, "/window"),
        (lambda: {"window": "22:00-06:00 Atlantis/City"}, "/window"),
    ],
)
def test_a_time_that_makes_no_sense_is_refused(workerless, fields, pointer):
    answer = workerless.http.post("/v1/jobs", json={"prompt": "x", **fields()})
    assert answer.status_code == 422, answer.text
    assert answer.json()["pointer"] == pointer


def test_a_chat_does_not_wait_for_the_night(workerless):
    body = {"model": "sightline", "messages": [{"role": "user", "content": "x"}]}
    answer = workerless.http.post("/v1/chat/completions", json={**body, "window": "22:00-06:00"})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/window")


@pytest.fixture
def jobs(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


def later(jobs: Store, seconds: float, **fields) -> str:
    schedule = Schedule(int((time.time() + seconds) * 1000))
    return jobs.add(NewJob("t", QUESTION, schedule=schedule, **fields)).doorbell.job_id


def test_a_deferred_job_is_in_no_line_until_the_reaper_finds_it_due(jobs):
    job_id = later(jobs, 0.5)
    assert (jobs.claim_next("w"), jobs.claim(job_id, "w"), jobs.reap()) == (
        *("nothing", "deferred"),
        [],
    )
    assert jobs.load().depths["default"] == 0
    time.sleep(0.6)
    (doorbell,) = jobs.reap()
    assert (doorbell.job_id, jobs.redis.zcard(keys.DEFERRED)) == (job_id, 0)
    assert jobs.redis.zcard(keys.TENANT_DEFERRED + "t") == 0
    assert jobs.reap() == []
    claim = jobs.claim_next("w")
    assert isinstance(claim, Claim)
    assert claim.row.id == job_id


def test_a_deferred_job_that_is_canceled_erased_or_deleted_leaves_nothing(jobs):
    canceled, erased, deleted = (later(jobs, 100) for _ in range(3))
    jobs.cancel(canceled, "t")
    jobs.erase(erased, "t")
    jobs.redis.delete(keys.job(deleted))
    for _ in range(3):
        jobs.reap()
    assert jobs.redis.zcard(keys.DEFERRED) == jobs.redis.zcard(keys.TENANT_DEFERRED + "t") == 0
    assert jobs.redis.scard(keys.UNFINISHED + "t") == 0


def test_deferred_jobs_count_against_the_queued_limit(jobs):
    limits = RateLimits(0, 0, 0, 1)
    later(jobs, 100, limits=limits)
    with pytest.raises(TooManyQueued):
        later(jobs, 100, limits=limits)


def test_a_job_whose_hours_are_over_is_put_off_by_a_day_at_most(jobs):
    job_id = jobs.add(NewJob("t", QUESTION, schedule=Schedule(window=OPEN))).doorbell.job_id
    other = jobs.add(NewJob("t", QUESTION)).doorbell.job_id
    jobs.redis.hset(keys.job(job_id), mapping=hours(closed()))
    claim = jobs.claim_next("w")
    assert isinstance(claim, Claim)
    assert claim.row.id == other
    due_ms = jobs.redis.zscore(keys.DEFERRED, job_id)
    assert 0 < due_ms / 1000 - time.time() < 86_400
    assert jobs.get(job_id, "t").status == "queued"
    assert jobs.redis.zscore(keys.TENANT_DEFERRED + "t", job_id)
    # a doorbell that was sent for it earlier takes nothing
    assert jobs.claim(job_id, "w") == "deferred"


def test_a_job_whose_worker_is_lost_goes_on_after_its_hours(jobs):
    job_id = jobs.add(NewJob("t", QUESTION, schedule=Schedule(window=OPEN))).doorbell.job_id
    claim = jobs.claim_next("w")
    assert isinstance(claim, Claim)
    jobs.redis.hset(keys.job(job_id), mapping=hours(closed()))
    jobs.redis.zadd(keys.LEASES, {job_id: 1})
    jobs.reap()
    again = jobs.claim_next("w")
    assert isinstance(again, Claim)
    assert again.row.attempt == 2


#: A window that is to open in two hours, while the clock is put forward or back in one.
@pytest.mark.parametrize(
    ("ahead_h", "opens_h"),
    [
        # the clock skips to its hours, over them, and away from them
        *[(1, 1), (3.5, 22.5), (-1, 3)],
    ],
)
def test_the_store_counts_with_a_clock_that_is_changed(jobs, ahead_h, opens_h):
    hour = DAY_MS // 24
    now_ms = int(time.time() * 1000)
    job_id = jobs.add(NewJob("t", QUESTION, schedule=Schedule(window=OPEN))).doorbell.job_id
    changes = [(now_ms + hour, ahead_h * hour), (now_ms + 9 * DAY_MS, 0)]
    row = {"window_start_ms": (now_ms + 2 * hour) % DAY_MS, "window_ms": 2 * hour}
    jobs.redis.hset(keys.job(job_id), mapping={**row, "window_changes": json.dumps(changes)})
    assert jobs.claim_next("w") == "nothing"
    due_ms = jobs.redis.zscore(keys.DEFERRED, job_id)
    assert due_ms == pytest.approx(now_ms + opens_h * hour, abs=5000)


def test_a_job_with_the_clock_of_a_place_keeps_what_its_caller_wrote(workerless):
    window = f"{clock(5)}-{clock(6)} Etc/UTC"
    body = {"prompt": "x", "window": window}
    answer = workerless.http.post("/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["window"] == window
