"""What people say of an answer, on a real Redis and without processes."""

from __future__ import annotations

import secrets

import pytest

from shared.errors import NotReviewable
from shared.jobs import JobInput, JobStatus
from shared.jobs.answers.review import Confirmation, Correction, Review
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys
from shared.store.jobs.review_store import ReviewStore

OUTPUT = {"text": "a", "partial": False, "lines": [{"text": "a"}, {"text": "b"}]}


@pytest.fixture
def jobs(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


def ended(jobs, status=JobStatus.SUCCEEDED):
    job_id = jobs.add(NewJob("t", JobInput(prompt="?"), ttl_s=60)).doorbell.job_id
    claim = jobs.claim(job_id, "w")
    assert isinstance(claim, Claim)
    assert jobs.finish(job_id, claim.owner, status, {"output": OUTPUT})
    return jobs.get(job_id, "t")


def correction(value):
    return Correction(pointer="/text", value=value, before="a", by="k", at_ms=1)


def test_a_review_that_is_sent_twice_is_stored_once_and_an_older_one_not_at_all(jobs, monkeypatch):
    store, row = ReviewStore(jobs.redis), ended(jobs)
    left_ms = jobs.redis.pttl(keys.job(row.id))
    monkeypatch.setattr(secrets, "token_hex", lambda _: "one")
    first = Review(corrections=(correction([1, None, {}]),))
    assert [store.put(row, first, "open") for _ in range(2)] == [True, True]
    stored = jobs.get(row.id, "t")
    assert (stored.review, stored.review_version, stored.review_state) == (first, 1, "open")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "two")
    assert not store.put(row, Review(corrections=(correction("late"),)), "done")
    assert jobs.get(row.id, "t") == stored
    assert stored.output == OUTPUT
    assert 0 < jobs.redis.pttl(keys.job(row.id)) <= left_ms
    jobs.erase(row.id, "t")
    assert not store.put(row, first, "open")
    assert not jobs.redis.exists(keys.job(row.id))


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED])
def test_only_a_job_that_has_succeeded_takes_one(jobs, status):
    with pytest.raises(NotReviewable, match=status.value):
        ReviewStore(jobs.redis).put(ended(jobs, status), Review(), "done")


def test_a_list_has_the_state_of_a_long_answer_alone(jobs):
    row = ended(jobs)
    review = Review(confirmed=(Confirmation(pointer="/text", by="k", at_ms=1),))
    ReviewStore(jobs.redis).put(row, review, "done")
    jobs.redis.hset(keys.job(row.id), "brief", '{"text": "a", "shortened": true}')
    ((listed,), _) = jobs.page("t", limit=1)
    assert (listed.review_state, listed.review_version, listed.review) == ("done", 1, Review())
