"""Lists by status and conversation are exact, whoever changed the jobs; on a real Redis."""

from __future__ import annotations

import random

import pytest

from shared.errors import NotFound
from shared.jobs import JobInput, JobStatus, Priority
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys

QUESTION = JobInput(prompt="what?")
#: Fields that the version before had not.
NEWER_COUNTERS = ("index.filed",)


@pytest.fixture
def jobs(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


def add(jobs: Store, tenant: str = "t", **fields) -> str:
    return jobs.add(NewJob(tenant, QUESTION, **fields)).doorbell.job_id


def end(jobs: Store, job_id: str, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    claim = jobs.claim(job_id, "w")
    assert isinstance(claim, Claim)
    assert jobs.finish(job_id, claim.owner, status, {})


def listed(jobs: Store, *, limit: int = 3, tenant: str = "t", **chosen) -> list[str]:
    """Return the ids of all pages."""
    ids: list[str] = []
    after, more = None, True
    while more:
        rows, more = jobs.page(tenant, limit=limit, after=after, **chosen)
        ids += [row.id for row in rows]
        after = rows[-1].id if rows else None
    return ids


def commands(jobs: Store) -> int:
    """Return how many commands Redis has carried out, those of scripts too."""
    stats = jobs.redis.info("commandstats")
    return sum(figures["calls"] for figures in stats.values())


def test_every_status_lists_its_jobs_and_no_others(jobs):
    dice = random.Random(7)
    expected: dict[JobStatus, list[str]] = {status: [] for status in JobStatus}
    for _ in range(60):
        status, priority = dice.choice(list(JobStatus)), dice.choice(list(Priority))
        job_id = add(jobs, priority=priority)
        if status is JobStatus.RUNNING:
            jobs.claim(job_id, "w")
        elif status.terminal:
            end(jobs, job_id, status)
        expected[status].insert(0, job_id)
    add(jobs, "other")
    jobs.claim(add(jobs, "other"), "w")
    for status in JobStatus:
        assert listed(jobs, status=status) == expected[status], status


def test_a_list_by_status_does_not_read_the_other_jobs(jobs):
    for _ in range(400):
        end(jobs, add(jobs))
    failed = add(jobs)
    end(jobs, failed, JobStatus.FAILED)
    jobs.page("t", limit=20, status=JobStatus.FAILED)
    before = commands(jobs)
    assert listed(jobs, limit=20, status=JobStatus.FAILED) == [failed]
    assert listed(jobs, limit=20, status=JobStatus.RUNNING) == []
    assert listed(jobs, limit=20, status=JobStatus.QUEUED) == []
    assert listed(jobs, limit=20, session_id="nobody's") == []
    assert commands(jobs) - before < 60


def test_a_list_by_conversation_and_status_has_what_both_have(jobs):
    ids = [add(jobs, session_id=f"s{n % 2}") for n in range(2)]
    for job_id in ids:
        end(jobs, job_id)
    ids += [add(jobs, session_id=f"s{n % 2}") for n in range(2)]
    assert listed(jobs, session_id="s0") == [ids[2], ids[0]]
    assert listed(jobs, session_id="s0", status=JobStatus.SUCCEEDED) == [ids[0]]
    assert listed(jobs, session_id="s1", status=JobStatus.QUEUED) == [ids[3]]
    assert listed(jobs, session_id="s1", status=JobStatus.RUNNING) == []


def test_pages_stay_as_they_are_while_jobs_come_and_change(jobs):
    ids = [add(jobs) for _ in range(9)]
    for job_id in ids:
        end(jobs, job_id, JobStatus.FAILED)
    rows, more = jobs.page("t", limit=3, status=JobStatus.FAILED)
    end(jobs, add(jobs), JobStatus.FAILED)
    jobs.erase(ids[4], "t")
    second, _ = jobs.page("t", limit=3, status=JobStatus.FAILED, after=rows[-1].id)
    assert more
    assert [row.id for row in (*rows, *second)] == [ids[n] for n in (8, 7, 6, 5, 3, 2)]
    jobs.erase(rows[-1].id, "t")
    again, _ = jobs.page("t", limit=3, status=JobStatus.FAILED, after=rows[-1].id)
    assert [row.id for row in again] == [row.id for row in second]
    with pytest.raises(NotFound):
        jobs.page("other", limit=3, status=JobStatus.FAILED, after=ids[0])


def forget_indexes(jobs: Store) -> None:
    """Leave what a store of the version before has."""
    for key in list(jobs.redis.scan_iter(keys.tenant_jobs("t") + "/*")):
        jobs.redis.delete(key)
    jobs.redis.hdel(keys.COUNTERS, *NEWER_COUNTERS)


def test_jobs_of_an_older_version_are_listed(jobs):
    ids = [add(jobs, session_id=f"s{n}") for n in range(5)]
    for job_id in ids[:3]:
        end(jobs, job_id)
    jobs.claim(ids[3], "w")
    forget_indexes(jobs)
    assert listed(jobs, status=JobStatus.SUCCEEDED) == ids[2::-1]
    assert listed(jobs, status=JobStatus.RUNNING) == [ids[3]]
    assert listed(jobs, status=JobStatus.QUEUED) == [ids[4]]
    assert listed(jobs, session_id="s1") == [ids[1]]


def test_what_an_older_version_changes_beside_us_is_listed(jobs):
    first = add(jobs)
    end(jobs, first)
    assert listed(jobs, status=JobStatus.SUCCEEDED) == [first]
    second, third = add(jobs, session_id="s"), add(jobs)
    for job_id in (second, third):
        end(jobs, job_id)
    # an older version has counted these but filed nothing
    forgotten = keys.tenant_jobs("t") + "/"
    jobs.redis.zrem(forgotten + "succeeded", second, third)
    jobs.redis.zrem(forgotten + "session/s", second)
    jobs.redis.hincrby(keys.COUNTERS, NEWER_COUNTERS[0], -3)
    assert listed(jobs, status=JobStatus.SUCCEEDED) == [third, second, first]
    assert listed(jobs, session_id="s") == [second]


def test_an_index_forgets_rows_that_have_expired(jobs):
    for _ in range(5):
        job_id = add(jobs, session_id="s")
        end(jobs, job_id)
        jobs.redis.delete(keys.job(job_id))
    last = add(jobs, session_id="s")
    end(jobs, last)
    assert listed(jobs, status=JobStatus.SUCCEEDED) == [last]
    assert listed(jobs, session_id="s") == [last]
    for part in ("/succeeded", "/session/s"):
        assert jobs.redis.zrange(keys.tenant_jobs("t") + part, 0, -1) == [last]
        assert jobs.redis.ttl(keys.tenant_jobs("t") + part) > 0
