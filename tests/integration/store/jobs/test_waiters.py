"""Requests that wait for a job: who of them may cancel it by leaving, and what a key stands for."""

from __future__ import annotations

import threading

import pytest

from shared.jobs import JobInput, JobStatus
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, StoredJob, keys
from shared.store.jobs.waiters import Waiters, new_waiter

KEY = ("key", "fingerprint")


@pytest.fixture
def store(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


@pytest.fixture
def waiters(store) -> Waiters:
    return Waiters(store.redis)


def ask(store: Store, waiter: str) -> StoredJob:
    """Send the same question under the same key, and wait for its job."""
    return store.add(NewJob("t", JobInput(prompt="?"), idempotency=KEY, waiter=waiter))


def status(store: Store, stored: StoredJob) -> JobStatus:
    return store.get(stored.doorbell.job_id, "t").status


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_only_the_last_waiter_cancels_by_leaving_whoever_came_first(store, waiters, order):
    names = [new_waiter(), new_waiter()]
    stored, _ = (ask(store, name) for name in names)
    first, last = (names[place] for place in order)
    job_id = stored.doorbell.job_id
    assert waiters.leave(job_id, "t", first, for_good=True) == "kept"
    assert status(store, stored) is JobStatus.QUEUED
    assert waiters.leave(job_id, "t", last, for_good=True) == "canceled"
    assert status(store, stored) is JobStatus.CANCELED


def test_a_waiter_that_may_come_back_cancels_only_if_it_has_not(store, waiters):
    first = new_waiter()
    stored = ask(store, first)
    job_id = stored.doorbell.job_id
    assert waiters.leave(job_id, "t", first, for_good=False) == "kept"
    again = new_waiter()
    assert ask(store, again).doorbell.job_id == job_id
    assert waiters.leave(job_id, "t", first, for_good=True) == "kept"
    assert waiters.leave(job_id, "t", again, for_good=False) == "kept"
    # the first one's time is over, but the second one's has just begun
    assert waiters.leave(job_id, "t", first, for_good=True) == "kept"
    assert waiters.leave(job_id, "t", again, for_good=True) == "canceled"


def test_a_submission_or_a_leave_that_is_sent_again_counts_once(store, waiters):
    waiter, other = new_waiter(), new_waiter()
    job = NewJob("t", JobInput(prompt="?"), idempotency=KEY, waiter=waiter)
    stored, _ = (store.add(job) for _ in range(2))
    ask(store, other)
    for _ in range(2):
        assert waiters.leave(stored.doorbell.job_id, "t", waiter, for_good=True) == "kept"
    assert waiters.leave(stored.doorbell.job_id, "t", other, for_good=True) == "canceled"


def test_leaving_an_ended_job_or_an_unknown_one_does_nothing(store, waiters):
    waiter = new_waiter()
    stored = ask(store, waiter)
    store.cancel(stored.doorbell.job_id, "t")
    assert waiters.leave(stored.doorbell.job_id, "t", waiter, for_good=True) == "canceled"
    assert waiters.leave("job_unknown", "t", waiter, for_good=True) == "missing"
    assert store.redis.keys("*waiting") == []


def test_a_stopped_job_gives_its_key_to_one_new_job_however_many_ask(store):
    stopped = ask(store, new_waiter())
    store.cancel(stopped.doorbell.job_id, "t")
    answers: list[StoredJob] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(store, new_waiter()))) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (job_id,) = {stored.doorbell.job_id for stored in answers}
    assert job_id != stopped.doorbell.job_id
    assert sum(not stored.replayed for stored in answers) == 1


def test_a_job_that_is_being_stopped_cannot_answer_beside_the_new_one(store):
    stopping = ask(store, new_waiter())
    claim = store.claim(stopping.doorbell.job_id, "w1")
    assert isinstance(claim, Claim)
    assert store.cancel(claim.row.id, "t") == "canceling"
    fresh = ask(store, new_waiter())
    assert fresh.doorbell.job_id != claim.row.id
    # its worker was about to answer all the same
    assert not store.finish(claim.row.id, claim.owner, JobStatus.SUCCEEDED, {"output": {}})
    assert status(store, stopping) is JobStatus.CANCELED


def test_a_submission_that_does_not_wait_gets_the_stopped_job_of_its_key(store):
    stopped = ask(store, new_waiter())
    store.cancel(stopped.doorbell.job_id, "t")
    again = store.add(NewJob("t", JobInput(prompt="?"), idempotency=KEY))
    assert (again.doorbell.job_id, again.replayed) == (stopped.doorbell.job_id, True)
    assert store.known_route("t", "key") is not None
    assert store.known_route("t", "key", live=True) is None


def test_a_gateway_of_the_last_version_sees_that_somebody_came_after_its_client(store):
    stored = ask(store, new_waiter())
    counter = keys.job(stored.doorbell.job_id) + keys.JOB_WAITERS
    # it counted its own client as the second one, and cancels while nobody is counted after it
    store.redis.incr(counter)
    ask(store, new_waiter())
    assert store.redis.get(counter) == "3"
