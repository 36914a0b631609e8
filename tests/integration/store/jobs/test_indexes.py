"""Indexes forget rows that have expired, however busy their tenant is."""

from __future__ import annotations

import pytest

from shared.jobs import JobInput
from shared.settings import Settings
from shared.store import NewJob, Store, keys

IMAGE = "img_" + "0" * 64


@pytest.fixture
def jobs(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


def add(jobs: Store, number: int) -> list[str]:
    question = JobInput(prompt="what?")
    return [
        jobs.add(NewJob("t", question, session_id=f"s{one}")).doorbell.job_id
        for one in range(number)
    ]


def expire(jobs: Store, job_ids: list[str]) -> None:
    jobs.redis.delete(*(keys.job(job_id) for job_id in job_ids))


def test_the_index_of_a_busy_tenant_forgets_its_expired_jobs(jobs):
    index = keys.tenant_jobs("t")
    expire(jobs, add(jobs, 400))
    assert jobs.redis.zcard(index) == 400
    alive = add(jobs, 100)
    for _ in range(3):
        expire(jobs, alive)
        alive = add(jobs, 100)
    members = jobs.redis.zrange(index, 0, -1)
    assert members[-100:] == alive
    assert len(members) < 200


def test_the_index_of_sessions_forgets_the_expired_ones(jobs):
    index = keys.tenant_sessions("t")
    add(jobs, 50)
    sessions = [keys.session("t", name) for name in jobs.redis.zrange(index, 0, -1)]
    assert len(sessions) == 50
    jobs.redis.delete(*sessions)
    for _ in range(100):
        expire(jobs, add(jobs, 1))
    assert jobs.redis.zcard(index) < 10


def test_an_image_forgets_the_expired_jobs_that_asked_about_it(jobs):
    jobs.redis.hset(keys.image("t", IMAGE), "uploaded", "1")
    of_image = keys.image("t", IMAGE) + keys.IMAGE_JOBS
    question = JobInput(prompt="what?", images=[IMAGE])
    for _ in range(200):
        expire(jobs, [jobs.add(NewJob("t", question)).doorbell.job_id])
    assert jobs.redis.scard(of_image) < 20
