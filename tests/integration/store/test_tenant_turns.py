"""Tenants take turns, whatever each of them has waiting; on a real Redis, without processes."""

from __future__ import annotations

import random
import time

import pytest

from shared.jobs import JobInput, Priority
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys


@pytest.fixture
def store(redis_server) -> Store:
    return Store(Settings(redis_url=redis_server.url))


def add(store: Store, tenant: str, count: int = 1, **fields) -> list[str]:
    question = JobInput(prompt="what?")
    return [store.add(NewJob(tenant, question, **fields)).doorbell.job_id for _ in range(count)]


def take_many(store: Store, count: int) -> str:
    """Return the first letters of the tenants whose jobs are taken next."""
    return "".join(take(store).row.tenant[0] for _ in range(count))


def take(store: Store) -> Claim:
    claim = store.claim_next("w")
    assert isinstance(claim, Claim), claim
    return claim


def test_a_thousand_waiting_jobs_delay_another_key_by_one(store):
    add(store, "heavy", 1000)
    take_many(store, 3)
    [light] = add(store, "light")
    assert store.position(light, "light") == 0
    assert take_many(store, 2) == "lh"


def test_a_newcomer_and_the_crowd_take_turns(store):
    add(store, "heavy", 100)
    take_many(store, 5)
    add(store, "light", 3)
    assert take_many(store, 8) == "lhlhlhhh"


def test_one_job_after_the_other_is_no_way_to_the_front(store):
    add(store, "heavy", 20)
    order = ""
    for _ in range(8):
        if not store.redis.exists(keys.LINE + "light"):
            add(store, "light")
        order += take_many(store, 1)
    assert order.count("l") == order.count("h") == 4


def test_a_weight_gives_that_many_turns_for_one_of_the_others(store):
    store.redis.hset(keys.WEIGHTS, "much", 3)
    add(store, "little", 50)
    add(store, "much", 50)
    order = take_many(store, 40)
    assert abs(order.count("m") - 30) <= 1


def test_priorities_order_the_jobs_of_a_key_and_take_nothing_from_another(store):
    add(store, "busy", 10, priority=Priority.HIGH)
    low, default, high = (
        add(store, "calm", priority=priority)[0]
        for priority in (Priority.LOW, Priority.DEFAULT, Priority.HIGH)
    )
    order = [take(store).row.id for _ in range(6)]
    calm = [job_id for job_id in order if job_id in (low, default, high)]
    assert calm == [high, default, low]


def test_canceling_what_waits_costs_no_turns(store):
    add(store, "heavy", 20)
    for job_id in add(store, "light", 10):
        store.cancel(job_id, "light")
    take_many(store, 1)
    add(store, "light")
    assert "l" in take_many(store, 2)


def test_an_expired_job_takes_no_turn(store):
    add(store, "late", 3, deadline_s=0.001)
    [punctual] = add(store, "late")
    time.sleep(0.01)
    assert take(store).row.id == punctual
    assert store.claim_next("w") == "nothing"


def test_a_row_for_newer_workers_does_not_block_the_others(store):
    [newer, mine] = add(store, "t", 2)
    store.redis.hset(keys.job(newer), "version", 99)
    assert take(store).row.id == mine
    assert store.claim_next("w") == "nothing"
    assert store.position(newer, "t") == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_position_is_the_number_of_jobs_that_are_taken_before(store, seed):
    dice = random.Random(seed)
    tenants = ["a", "b", "c", "d"]
    for tenant in tenants[:2]:
        store.redis.hset(keys.WEIGHTS, tenant, dice.randint(1, 5))
    waiting: list[tuple[str, str]] = []
    for _ in range(60):
        tenant = dice.choice(tenants)
        priority = dice.choice(list(Priority))
        waiting += [(job_id, tenant) for job_id in add(store, tenant, priority=priority)]
        if dice.random() < 0.3:
            gone = take(store).row.id
            waiting = [one for one in waiting if one[0] != gone]
    by_position = sorted(waiting, key=lambda one: store.position(*one) or 0)
    assert [store.position(*one) for one in by_position] == list(range(len(by_position)))
    assert [take(store).row.id for _ in by_position] == [job_id for job_id, _ in by_position]
