"""A command whose answer was lost is sent again: the second time changes nothing."""

from __future__ import annotations

import secrets

import pytest

from shared.errors import Erased, IdempotencyKeyReused, NotFound
from shared.jobs import JobInput, new_job_id
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from shared.store.api_key_store import ApiKeyStore
from shared.store.rate_limits import RateLimits

QUESTION = JobInput(prompt="what?")


@pytest.fixture
def jobs(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


@pytest.mark.parametrize("idempotency", [None, ("key", "fingerprint")])
def test_a_job_that_is_added_twice_under_its_id_is_one_job(jobs, idempotency):
    job = NewJob("t", QUESTION, idempotency=idempotency)
    first, again = (jobs.add(job) for _ in range(2))
    assert first == again
    assert not again.replayed
    assert jobs.load().depths["default"] == 1
    assert jobs.redis.zcard(keys.LINE + "t") == jobs.redis.scard(keys.UNFINISHED + "t") == 1
    assert jobs.counters()["jobs.submitted"] == 1


def test_a_request_whose_admission_is_sent_again_is_charged_once(jobs, monkeypatch):
    store, limits = ApiKeyStore(jobs.redis), RateLimits(2, 0, 0, 0)
    monkeypatch.setattr(secrets, "token_hex", lambda _: "one")
    first, again = (store.admit("", "yes", "requests", limits) for _ in range(2))
    assert [first.used.requests, again.used.requests] == [1, 1]
    assert again.queue_position is not None
    monkeypatch.setattr(secrets, "token_hex", lambda _: "two")
    last, repeated = (store.admit("", "yes", "requests", limits) for _ in range(2))
    assert (last.used.requests, last.refused_s, repeated.refused_s) == (2, None, None)
    monkeypatch.setattr(secrets, "token_hex", lambda _: "three")
    assert store.admit("", "yes", "requests", limits).refused_s


def test_a_key_whose_job_is_gone_makes_a_new_one(jobs):
    first = jobs.add(NewJob("t", QUESTION, idempotency=("key", "one")))
    with pytest.raises(IdempotencyKeyReused):
        jobs.add(NewJob("t", QUESTION, idempotency=("key", "two")))
    jobs.redis.delete(keys.job(first.doorbell.job_id))
    second = jobs.add(NewJob("t", QUESTION, idempotency=("key", "two")))
    assert not second.replayed
    assert jobs.add(NewJob("t", QUESTION, idempotency=("key", "two"))).replayed


def test_erasing_a_job_keeps_the_key_that_a_later_job_has_taken(jobs):
    first = jobs.add(NewJob("t", QUESTION, idempotency=("key", "one"))).doorbell.job_id
    row = jobs.redis.hgetall(keys.job(first))
    jobs.redis.delete(keys.job(first))
    second = jobs.add(NewJob("t", QUESTION, idempotency=("key", "one"))).doorbell.job_id
    jobs.redis.hset(keys.job(first), mapping=row)
    jobs.erase(first, "t")
    again = jobs.add(NewJob("t", QUESTION, idempotency=("key", "one")))
    assert (again.doorbell.job_id, again.replayed) == (second, True)


def test_an_erased_job_is_gone_for_its_owner_and_unknown_to_others(jobs):
    job_id = jobs.add(NewJob("t", QUESTION)).doorbell.job_id
    jobs.erase(job_id, "t")
    with pytest.raises(Erased):
        jobs.get(job_id, "t")
    with pytest.raises(NotFound):
        jobs.get(job_id, "other")


def test_a_page_begins_after_an_erased_job_but_not_after_anothers(jobs):
    ids = [jobs.add(NewJob("t", QUESTION)).doorbell.job_id for _ in range(3)]
    jobs.erase(ids[1], "t")
    rows, more = jobs.page("t", limit=5, after=ids[1])
    assert ([row.id for row in rows], more) == ([ids[0]], False)
    for cursor in (ids[2], ids[1], new_job_id()):
        with pytest.raises(NotFound):
            jobs.page("other", limit=5, after=cursor)
