"""The thread that keeps leases alive."""

from __future__ import annotations

import time

import pytest

from shared.jobs import JobInput
from shared.settings import Settings
from shared.store import Claim, NewJob, Store
from tests.support.harness import eventually
from worker.jobs.leases import Leases


@pytest.fixture
def quick(redis_server) -> Settings:
    return Settings(
        redis_url=redis_server.url,
        lease_s=1,
        beat_s=0.05,
        job_timeout_s=0.2,
        watchdog_grace_s=0.2,
    )


@pytest.fixture
def store(quick: Settings) -> Store:
    return Store(quick)


def running(store: Store, settings: Settings, **others) -> Leases:
    leases = Leases(store, settings, every_beat=others.pop("every_beat", lambda _: None), **others)
    leases.start()
    return leases


def claimed(store: Store) -> Claim:
    job = store.add(NewJob("t", JobInput(prompt="?"))).doorbell.job_id
    claim = store.claim(job, "w")
    assert isinstance(claim, Claim)
    return claim


def test_a_held_job_is_never_reaped_and_a_dropped_one_is(store, quick):
    leases = running(store, quick, die=lambda _: None)
    lease = leases.hold(claimed(store))
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        assert store.reap() == []
        time.sleep(0.1)
    leases.drop(lease)
    eventually(store.reap)
    leases.stop()


def test_a_cancel_and_a_loss_reach_the_holder(store, quick):
    leases = running(store, quick, die=lambda _: None)
    canceled, erased = leases.hold(claimed(store)), leases.hold(claimed(store))
    store.cancel(canceled.claim.row.id, "t")
    store.erase(erased.claim.row.id, "t")
    eventually(lambda: canceled.canceled and erased.lost)
    assert not canceled.lost
    leases.stop()


def test_a_job_past_its_hard_limit_ends_the_process(store, quick):
    codes: list[int] = []
    leases = running(store, quick, die=codes.append)
    leases.hold(claimed(store))
    eventually(lambda: codes)
    assert set(codes) == {1}
    leases.stop()


def test_a_process_whose_engine_has_died_ends(store, quick):
    codes: list[int] = []
    leases = running(store, quick, healthy=lambda: False, die=codes.append)
    eventually(lambda: codes)
    leases.stop()


def test_the_thread_outlives_a_store_that_goes_away_and_an_error_in_a_heartbeat(own_redis, quick):
    settings = quick.model_copy(update={"redis_url": own_redis.url})
    beats: list[int] = []

    def every_beat(busy: int) -> None:
        beats.append(busy)
        if len(beats) == 1:
            raise ValueError("once")

    leases = running(Store(settings), settings, every_beat=every_beat, die=lambda _: None)
    eventually(lambda: len(beats) > 2)
    own_redis.kill()
    time.sleep(0.2)
    own_redis.start()
    seen = len(beats)
    eventually(lambda: len(beats) > seen + 2)
    leases.stop()
