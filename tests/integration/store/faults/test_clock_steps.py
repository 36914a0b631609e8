"""Redis' clock was set back by an hour, or a replica behind it was promoted: nothing waits for it.

Scores and lifetimes are written as a clock that was ahead has left them.
"""

from __future__ import annotations

import time

import pytest

from shared.jobs import JobInput, JobStatus
from shared.prediction.heartbeat import Heartbeat
from shared.queue import broker_lists
from shared.settings import Settings
from shared.store import NewJob, Store, keys
from shared.store.fleet.worker_registry import WorkerRegistry
from shared.store.webhooks.delivery_store import DeliveryStore
from shared.webhooks import Webhook
from tests.support.harness import eventually

STEP_MS = 3_600_000
HOOK = Webhook("http://127.0.0.1:9/x", "http://127.0.0.1:9")


class Stepped:
    """A store whose times can be moved into the future."""

    def __init__(self, url):
        self.settings = Settings(
            redis_url=url,
            lease_s=1,
            beat_s=0.1,
            reconcile_s=1,
            heartbeat_ttl_s=2,
            webhook_timeout_s=0.2,
            webhook_grace_s=0.2,
        )
        self.store = Store(self.settings)
        self.redis = self.store.redis
        self.deliveries = DeliveryStore(self.settings, self.redis)

    def move(self, zset):
        """Move every score of a zset ahead."""
        for member in self.redis.zrange(zset, 0, -1):
            self.redis.zincrby(zset, STEP_MS, member)

    def add(self, **fields):
        return self.store.add(NewJob("t", JobInput(prompt="?"), **fields)).doorbell.job_id


@pytest.fixture
def stepped(redis_server):
    return Stepped(redis_server.url)


def test_a_lease_that_ends_in_an_hour_is_over_when_its_worker_is_silent(stepped):
    job_id = stepped.add()
    stepped.store.claim(job_id, "dead")
    stepped.store.reap()
    stepped.move(keys.LEASES)
    stepped.redis.incrby(keys.REAPED_AT, STEP_MS)
    assert eventually(stepped.store.reap)[0].job_id == job_id


def test_a_lease_that_is_renewed_stays_with_its_worker(stepped):
    job_id = stepped.add()
    claim = stepped.store.claim(job_id, "alive")
    stepped.store.reap()
    stepped.move(keys.LEASES)
    for _ in range(8):
        assert stepped.store.reap() == []
        stepped.store.beat([(job_id, claim.owner)])
        time.sleep(0.1)
    assert stepped.store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, {})


def test_a_lost_doorbell_is_rung_again_under_a_lock_from_the_future(stepped):
    job_id = stepped.add()
    stepped.move(keys.QUEUED_SINCE)
    stepped.redis.set(keys.RECONCILE_LOCK, 1, px=STEP_MS)

    def reconcile():
        stepped.store.reap()
        return stepped.store.reconcile(broker_lists())

    assert eventually(reconcile)[0].job_id == job_id


def test_a_dead_worker_does_not_stay_up_for_the_length_of_the_step(stepped):
    registry = WorkerRegistry(stepped.redis, stepped.settings.heartbeat_ttl_s)
    registry.beat(Heartbeat("w", "m"))
    stepped.redis.pexpire(keys.worker("w"), STEP_MS)
    stepped.store.reap()
    assert registry.fresh()
    eventually(lambda: not registry.fresh())


def test_a_delivery_due_in_an_hour_that_never_had_to_wait_is_taken(stepped):
    job_id = stepped.add(webhook=HOOK)
    claim = stepped.store.claim(job_id, "w")
    stepped.store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, {})
    endpoint = keys.ENDPOINT + HOOK.endpoint_id("t")
    stepped.move(endpoint + keys.ENDPOINT_DUE)
    stepped.move(keys.DELIVERIES)
    taken = eventually(lambda: stepped.deliveries.take(10).deliveries)
    assert taken[0].job == job_id
    # its courier dies, and its lease is from the future
    stepped.move(endpoint + keys.ENDPOINT_HELD)
    stepped.move(keys.DELIVERIES)
    assert eventually(lambda: stepped.deliveries.take(10).deliveries)[0].id == taken[0].id


def test_a_breaker_opened_in_the_future_closes_within_its_longest_pause(stepped):
    job_id = stepped.add(webhook=HOOK)
    claim = stepped.store.claim(job_id, "w")
    stepped.store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, {})
    endpoint = HOOK.endpoint_id("t")
    now_ms = stepped.deliveries.now_ms()
    stepped.redis.hset(keys.ENDPOINT + endpoint, "open_until", now_ms + STEP_MS)
    stepped.redis.zadd(keys.DELIVERIES, {endpoint: now_ms + STEP_MS})
    stepped.deliveries.take(10)
    assert int(stepped.redis.hget(keys.ENDPOINT + endpoint, "open_until")) <= now_ms + 700_000
