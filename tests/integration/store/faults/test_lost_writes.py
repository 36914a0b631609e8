"""What is done in several steps, between which a Redis comes back without its newest writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import NotFound, StoreUnavailable
from shared.jobs import JobInput, JobStatus
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from shared.store.batch_store import Admission, Batch, BatchStore, Ending
from shared.store.connection import connect
from shared.store.group_store import GroupStore
from shared.store.session_store import SessionStore
from shared.store.uploads.file_store import FileStore
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.webhooks import Webhook, WebhookEvent
from tests.support.harness import RedisServer, running_redis


class LossyRedis:
    """A Redis that can come back as it was a moment ago."""

    def __init__(self, server: RedisServer, saved: Path) -> None:
        self._server = server
        self._saved = saved
        self.settings = Settings(redis_url=server.url)
        self.store = Store(self.settings)

    def save(self) -> None:
        self._server.save_data(self._saved)

    def go_back(self) -> None:
        self._server.go_back(self._saved)

    def add(self, **fields: object) -> str:
        """Store a job; return its id."""
        job = NewJob(tenant="t", input=JobInput(prompt="?"), **fields)
        return self.store.add(job).doorbell.job_id

    def begin_batch(self, lines: int) -> tuple[BatchStore, Batch]:
        """Return a batch of so many lines, which "pump" has."""
        batches = BatchStore(self.settings, connect(self.settings))
        names = ("endpoint", "input_file", "output_file", "error_file", "completion_window")
        batches.create("t", dict(zip(names, "abcde", strict=True)), 3600, None)
        batch = batches.take("pump")
        assert batch is not None
        assert batches.start(batch, "pump", lines)
        return batches, batch


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[LossyRedis]:
    (folder := tmp_path / "redis").mkdir()
    # what is saved is all that was done
    with running_redis(folder, "--appendfsync", "always") as server:
        yield LossyRedis(server, tmp_path / "saved")


def next_line(batches: BatchStore, batch: Batch) -> int:
    held = batches.hold(batch, "pump")
    assert held is not None
    return held.next


def test_lines_of_a_batch_whose_jobs_are_lost_come_first_again(redis):
    batches, batch = redis.begin_batch(3)
    redis.save()
    lost = [redis.add(), redis.add()]
    for line, job_id in enumerate(lost):
        assert batches.admit(batch, "pump", line, job_id) is Admission.DONE
    redis.go_back()
    assert batches.admit(batch, "pump", 0, lost[0]) is Admission.TOO_EARLY
    # the pump was about to go on
    third = redis.add()
    assert batches.admit(batch, "pump", 2, third) is Admission.TOO_EARLY
    assert not batches.settle(batch, 2, "refused\n", failed=True)
    assert not batches.settle(batch, 0, "not found\n", failed=True, job_id=lost[0])
    assert (next_line(batches, batch), batches.jobs_in_hand(batch)) == (0, {})
    for line, job_id in enumerate([redis.add(), redis.add(), third]):
        assert batches.admit(batch, "pump", line, job_id) is Admission.DONE
        assert batches.settle(batch, line, f"{line}\n", failed=False, job_id=job_id)
    assert batches.finish(batch, "pump", "completed", []) is Ending.ENDED


def test_a_batch_does_not_end_without_the_results_that_are_lost(redis):
    batches, batch = redis.begin_batch(2)
    jobs = [redis.add(), redis.add()]
    for line, job_id in enumerate(jobs):
        assert batches.admit(batch, "pump", line, job_id) is Admission.DONE
    assert batches.settle(batch, 0, "0\n", failed=False, job_id=jobs[0])
    redis.save()
    assert batches.settle(batch, 1, "1\n", failed=False, job_id=jobs[1])
    # the pump has seen that all lines have their results
    redis.go_back()
    for status in ("completed", "expired", "cancelled"):
        assert batches.finish(batch, "pump", status, []) is Ending.INCOMPLETE
    assert batches.settle(batch, 1, "1\n", failed=False, job_id=batches.jobs_in_hand(batch)[1])
    assert batches.finish(batch, "pump", "completed", []) is Ending.ENDED


def test_a_batch_whose_lines_are_no_longer_counted_has_not_ended(redis):
    batches = BatchStore(redis.settings, connect(redis.settings))
    names = ("endpoint", "input_file", "output_file", "error_file", "completion_window")
    batches.create("t", dict(zip(names, "abcde", strict=True)), 3600, None)
    batch = batches.take("pump")
    redis.save()
    assert batches.start(batch, "pump", 2)
    redis.go_back()
    assert batches.finish(batch, "pump", "completed", []) is Ending.INCOMPLETE


def test_a_file_is_not_stored_without_its_first_pieces(redis):
    files = FileStore(redis.settings)
    redis.save()

    def pieces() -> Iterator[bytes]:
        for number in range(450):
            if number == 250:
                redis.go_back()
            yield f"{number}\n".encode()

    with pytest.raises(StoreUnavailable):
        files.put("t", "in.jsonl", "batch", pieces(), 3600)
    assert files.page("t", 10, None) == ([], False)


def test_all_jobs_of_a_group_are_canceled(redis, monkeypatch):
    groups = GroupStore(redis.store.redis)
    jobs = [redis.add(group="g") for _ in range(150)]
    redis.save()
    step, steps = GroupStore._cancel_some, []

    def take_step(self, *args):
        result = step(self, *args)
        if not steps:
            redis.go_back()
        steps.append(result)
        return result

    monkeypatch.setattr(GroupStore, "_cancel_some", take_step)
    groups.cancel("t", "g")
    assert {redis.store.get(job_id, "t").status for job_id in jobs} == {JobStatus.CANCELED}


def test_no_webhook_id_names_two_messages(redis):
    deliveries = DeliveryStore(redis.settings, redis.store.redis)
    hook = Webhook("http://a.example/x", "http://a.example", tuple(WebhookEvent))
    job_id = redis.add(webhook=hook)
    redis.save()

    def messages() -> set[tuple[str, str]]:
        return {(one.id, one.type) for one, _ in deliveries.of_job(job_id)}

    redis.store.claim(job_id, "w1")
    sent = messages()
    redis.go_back()
    assert messages() == set()
    redis.store.cancel(job_id, "t")
    sent |= messages()
    assert sorted(kind for _, kind in sent) == ["job.canceled", "job.started"]
    assert len({delivery_id for delivery_id, _ in sent}) == len(sent)


def test_a_group_whose_jobs_end_in_another_way_is_told_under_another_id(redis):
    groups = GroupStore(redis.store.redis)
    hook = Webhook("http://a.example/x", "http://a.example", ())
    groups.put("t", "g", 3600, size=1, metadata={}, webhook=hook)
    job_id = redis.add(group="g")
    redis.save()

    def messages() -> set[str]:
        return set(redis.store.redis.keys(keys.DELIVERY + "dlv_*"))

    claim = redis.store.claim(job_id, "w1")
    assert redis.store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, {})
    first = messages()
    redis.go_back()
    redis.store.cancel(job_id, "t")
    assert len(first) == len(messages()) == 1
    assert messages() != first


def test_an_end_that_is_lost_is_no_death_of_its_worker(redis):
    store = Store(redis.settings.model_copy(update={"max_attempts": 1}))
    job_id = store.add(NewJob(tenant="t", input=JobInput(prompt="?"))).doorbell.job_id
    claim = store.claim(job_id, "w1")
    redis.save()
    assert store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, {})
    redis.go_back()

    def lose_lease() -> JobStatus:
        store.redis.zadd(keys.LEASES, {job_id: 1}, xx=True)
        store.reap()
        return store.get(job_id, "t").status

    assert lose_lease() is JobStatus.QUEUED
    assert store.claim(job_id, "w2").row.attempt == 1
    assert lose_lease() is JobStatus.FAILED, "a second time it is the worker"


def test_a_deleted_conversation_does_not_come_back(redis, monkeypatch):
    sessions = SessionStore(redis.store.redis)
    sessions.create("t", "s", 3600, {})
    redis.save()
    delete = SessionStore._delete_at

    def delete_and_lose(self, *args):
        delete(self, *args)
        monkeypatch.undo()
        redis.go_back()

    monkeypatch.setattr(SessionStore, "_delete_at", delete_and_lose)
    sessions.delete("t", "s")
    with pytest.raises(NotFound):
        sessions.get("t", "s")
