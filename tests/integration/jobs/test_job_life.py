"""A job survives dying processes: real Redis, real workers, real signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from shared.jobs import JobInput, JobStatus
from shared.jobs.row import JobRow
from shared.queue import broker_lists
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from tests.support.harness import QUICK, ROOT, RedisServer, System, eventually, running_system
from tests.support.submission import submit

#: Answers that take long enough to be killed in the middle.
SLOW = {"SIGHTLINE_SIMULATED_TOKEN_S": "0.3"}
SLOWER = {"SIGHTLINE_SIMULATED_TOKEN_S": "1.5"}
#: Answers that no test waits for, however slowly another worker starts.
ENDLESS = {"SIGHTLINE_SIMULATED_TOKEN_S": "20"}


class Jobs:
    """Submits jobs and reads them as the gateway does."""

    def __init__(self, redis_url: str) -> None:
        self.store = Store(Settings(redis_url=redis_url))

    def submit(self, **fields) -> str:
        return submit(self.store, NewJob("t", JobInput(prompt="what?"), **fields))

    def submit_silently(self, **fields) -> str:
        """Store a job whose message never arrives."""
        return self.store.add(NewJob("t", JobInput(prompt="what?"), **fields)).doorbell.job_id

    def get(self, job_id: str) -> JobRow:
        return self.store.get(job_id, "t")

    def reaches(self, job_id: str, status: JobStatus, within_s: float = 60.0) -> JobRow:
        eventually(lambda: self.get(job_id).status is status, within_s)
        return self.get(job_id)


@pytest.fixture
def jobs(redis_server: RedisServer) -> Jobs:
    return Jobs(redis_server.url)


def test_a_job_whose_worker_is_killed_runs_elsewhere_and_commits_once(system: System, jobs: Jobs):
    first = system.worker(**ENDLESS)
    job_id = jobs.submit()
    jobs.reaches(job_id, JobStatus.RUNNING)
    first.kill()
    system.worker()
    row = jobs.reaches(job_id, JobStatus.SUCCEEDED)
    assert (row.attempt, row.commits, row.lost) == (2, 1, 1)


def test_a_killed_workers_job_runs_elsewhere_with_the_default_leases(
    redis_server: RedisServer, tmp_path, jobs: Jobs
):
    with running_system(redis_server.url, tmp_path) as system:
        doomed = system.worker(**ENDLESS)
        job_id = jobs.submit()
        jobs.reaches(job_id, JobStatus.RUNNING)
        system.worker()
        doomed.kill()
        row = jobs.reaches(job_id, JobStatus.SUCCEEDED)
        assert (row.attempt, row.commits, row.lost) == (2, 1, 1)


def test_a_message_that_never_arrives_is_rung_again(system: System, jobs: Jobs):
    job_id = jobs.submit_silently()
    system.worker()
    row = jobs.reaches(job_id, JobStatus.SUCCEEDED)
    assert row.attempt == 1
    assert jobs.store.counters()["jobs.rung_again"] >= 1


def test_a_worker_killed_between_popping_and_claiming_loses_nothing(system: System, jobs: Jobs):
    job_id = jobs.submit()
    pop = (
        "import os; from shared.queue import app;"
        "channel = app.connection_for_read().channel();"
        "message = channel.basic_get('default'); assert message is not None;"
        "os._exit(9)"
    )
    killed = subprocess.run([sys.executable, "-c", pop], env=system.env, cwd=ROOT, check=False)
    assert killed.returncode == 9
    assert not any(jobs.store.redis.exists(name) for name in broker_lists())
    assert jobs.store.redis.hlen("unacked") == 1
    system.worker()
    assert jobs.reaches(job_id, JobStatus.SUCCEEDED).commits == 1


def test_a_worker_that_was_frozen_cannot_commit_what_another_has_done(system: System, jobs: Jobs):
    frozen = system.worker(**SLOW)
    job_id = jobs.submit()
    jobs.reaches(job_id, JobStatus.RUNNING)
    frozen.signal(signal.SIGSTOP)
    system.worker()
    first_row = jobs.reaches(job_id, JobStatus.SUCCEEDED)
    frozen.signal(signal.SIGCONT)
    eventually(lambda: "job.lost" in frozen.logs())
    row = jobs.get(job_id)
    assert row == first_row
    assert row.commits == 1
    assert frozen.running


def test_a_job_that_kills_its_workers_ends_as_poison_after_three(system: System, jobs: Jobs):
    job_id = jobs.submit()
    for _ in range(3):
        victim = system.worker(**SLOW)
        jobs.reaches(job_id, JobStatus.RUNNING)
        victim.kill()
        # no worker is left to reap: this test does it, as a gateway would
        eventually(lambda: jobs.store.reap() or jobs.get(job_id).status != "running", every_s=0.2)
    row = jobs.get(job_id)
    assert (row.status, row.attempt, row.lost) == (JobStatus.FAILED, 3, 3)
    assert row.error["code"] == "poison"
    system.worker()
    quick = jobs.submit()
    jobs.reaches(quick, JobStatus.SUCCEEDED)
    assert jobs.get(job_id).attempt == 3


def test_a_terminated_worker_gives_its_job_back_without_counting_the_attempt(
    system: System, jobs: Jobs
):
    leaving = system.worker(**SLOW)
    job_id = jobs.submit()
    jobs.reaches(job_id, JobStatus.RUNNING)
    leaving.signal(signal.SIGTERM)
    assert leaving.wait(60) == 0
    row = jobs.get(job_id)
    assert (row.status, row.attempt, row.lost) == (JobStatus.QUEUED, 0, 0)
    assert "job.released" in leaving.logs()
    system.worker()
    row = jobs.reaches(job_id, JobStatus.SUCCEEDED)
    assert (row.attempt, row.commits) == (1, 1)


def test_a_terminated_worker_finishes_what_takes_it_less_than_its_drain_time(
    system: System, jobs: Jobs
):
    leaving = system.worker(**SLOW, SIGHTLINE_DRAIN_S="60")
    job_id = jobs.submit()
    jobs.reaches(job_id, JobStatus.RUNNING)
    leaving.signal(signal.SIGTERM)
    assert leaving.wait(60) == 0
    assert jobs.get(job_id).status is JobStatus.SUCCEEDED


def test_a_running_job_is_canceled_before_its_end_and_keeps_its_text(system: System, jobs: Jobs):
    system.worker(**SLOWER)
    job_id = jobs.submit()
    jobs.reaches(job_id, JobStatus.RUNNING)
    eventually(lambda: (jobs.get(job_id).progress or {}).get("output_tokens"))
    jobs.store.cancel(job_id, "t")
    row = jobs.reaches(job_id, JobStatus.CANCELED)
    assert row.output["partial"] is True
    assert row.output["finish_reason"] == "canceled"
    assert row.output["text"]


def test_a_running_job_past_its_deadline_expires_with_the_text_so_far(system: System, jobs: Jobs):
    system.worker(**SLOWER)
    row = jobs.reaches(jobs.submit(deadline_s=8), JobStatus.EXPIRED)
    assert row.output["finish_reason"] == "deadline"
    assert row.output["text"]


def test_a_redis_that_restarts_again_and_again_loses_no_job_and_ends_no_worker(
    own_redis: RedisServer, tmp_path
):
    jobs = Jobs(own_redis.url)
    with running_system(own_redis.url, tmp_path, **QUICK) as system:
        workers = [system.worker(slots=2, SIGHTLINE_SIMULATED_TOKEN_S="0.6") for _ in range(2)]
        ids = [jobs.submit() for _ in range(10)]
        for _ in range(3):
            eventually(lambda: any(jobs.get(i).status is JobStatus.RUNNING for i in ids))
            own_redis.kill()
            time.sleep(0.5)
            own_redis.start()
        rows = [jobs.reaches(job_id, JobStatus.SUCCEEDED, 60) for job_id in ids]
        assert [row.commits for row in rows] == [1] * len(ids)
        assert all(worker.running for worker in workers), [w.logs()[-2000:] for w in workers]


def test_a_job_that_overruns_its_hard_limit_ends_its_worker_and_not_the_job(
    system: System, jobs: Jobs
):
    # an image of one minute keeps the simulated engine's cooperative limit out of the way
    stuck = system.worker(
        SIGHTLINE_SIMULATED_TOKEN_S="60",
        SIGHTLINE_JOB_TIMEOUT_S="1",
        SIGHTLINE_WATCHDOG_GRACE_S="1",
    )
    job_id = jobs.submit()
    jobs.reaches(job_id, JobStatus.RUNNING)
    assert stuck.wait(60) == 1
    assert "worker.stuck" in stuck.logs()
    system.worker()
    assert jobs.reaches(job_id, JobStatus.SUCCEEDED).attempt == 2


def test_a_message_carries_the_job_id_and_nothing_else(jobs: Jobs):
    secret = "a secret question"
    job_id = jobs.store.add(NewJob("t", JobInput(prompt=secret))).doorbell.job_id
    jobs.submit()
    messages = [m for name in broker_lists() for m in jobs.store.redis.lrange(name, 0, -1)]
    assert messages
    assert all(secret not in message for message in messages)
    assert secret in jobs.store.redis.hget(keys.job(job_id), "input")
