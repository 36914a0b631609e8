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


def age(store: Store, job_ids: list[str]) -> None:
    """Make rows that only a newer worker can read."""
    for job_id in job_ids:
        store.redis.hset(keys.job(job_id), "version", 99)


def test_many_rows_for_newer_workers_block_neither_their_key_nor_another(store):
    newer = add(store, "t", 150)
    age(store, newer)
    [mine] = add(store, "t")
    [other] = add(store, "u")
    claims = [store.claim_next("w") for _ in range(4)]
    assert [claim.row.id for claim in claims if isinstance(claim, Claim)] == [other, mine]


def test_many_keys_with_rows_for_newer_workers_do_not_block_another(store):
    age(store, [job_id for n in range(300) for job_id in add(store, f"key{n:03}")])
    [mine] = add(store, "z")
    assert take(store).row.id == mine
    assert store.claim_next("w") == "nothing"


def test_what_was_passed_over_is_not_looked_at_again(store):
    age(store, [job_id for n in range(30) for job_id in add(store, f"key{n}", 10)])
    store.claim_next("w")
    store.redis.config_resetstat()
    assert store.claim_next("w") == "nothing"
    assert store.redis.info("commandstats")["cmdstat_hmget"]["calls"] < 5


@pytest.mark.parametrize("priority", list(Priority))
def test_a_row_that_comes_or_comes_back_before_those_passed_over_is_taken(store, priority):
    [first] = add(store, "t")
    claim = take(store)
    age(store, add(store, "t", 3))
    assert store.claim_next("w") == "nothing"
    store.release(first, claim.owner)
    assert take(store).row.id == first
    [late] = add(store, "t", priority=priority)
    assert take(store).row.id == late


def test_a_newer_worker_takes_what_an_older_one_has_passed_over(store, monkeypatch):
    [newer] = add(store, "t")
    age(store, [newer])
    assert store.claim_next("old") == "nothing"
    monkeypatch.setattr("shared.store.jobs.job_store.ROW_VERSION", 99)
    assert take(store).row.id == newer


def work_of_add(store: Store, tenant: str) -> int:
    """Return how many commands Redis carries out to store one job."""
    store.redis.config_resetstat()
    add(store, tenant)
    return sum(figures["calls"] for figures in store.redis.info("commandstats").values())


def test_a_job_costs_as_much_among_a_thousand_waiting_keys_as_among_ten(store):
    for number in range(10):
        add(store, f"key{number}")
    few = work_of_add(store, "one")
    for number in range(1000):
        add(store, f"more{number}")
    assert work_of_add(store, "two") < few + 20


@pytest.mark.parametrize("seed", range(3))
def test_positions_stay_exact_while_jobs_are_canceled_and_weights_change(store, seed):
    dice = random.Random(seed)
    tenants = ["a", "ab", "b", "c"]
    waiting: dict[str, str] = {}
    for _ in range(120):
        tenant = dice.choice(tenants)
        match dice.choice(["add", "add", "take", "cancel", "weight"]):
            case "add":
                waiting[add(store, tenant, priority=dice.choice(list(Priority)))[0]] = tenant
            case "take" if waiting:
                del waiting[take(store).row.id]
            case "cancel" if waiting:
                job_id = dice.choice(list(waiting))
                store.cancel(job_id, waiting.pop(job_id))
            case "weight":
                store.redis.hset(keys.WEIGHTS, tenant, dice.randint(1, 5))
                # each line learns of it with its next change
                for one in tenants:
                    [job_id] = add(store, one)
                    store.cancel(job_id, one)
    places = {job_id: store.position(job_id, tenant) for job_id, tenant in waiting.items()}
    assert sorted(places.values()) == list(range(len(waiting)))
    assert [take(store).row.id for _ in waiting] == sorted(places, key=places.__getitem__)


def test_turns_that_an_older_version_has_taken_are_noticed(store):
    first, second = add(store, "a", 2)
    [other] = add(store, "b")
    # as an older version takes a job: it knows the line and the turns, but no slots
    store.redis.zrem(keys.LINE + "a", first)
    store.redis.zadd(keys.TURNS, {"a": 1_000_000})
    store.redis.zrem(keys.LINE + "b", other)
    store.redis.zrem(keys.TURNS, "b")
    store.redis.zadd(keys.LINE + "c", {"job_of_older": 9})
    store.redis.zadd(keys.TURNS, {"c": 500_000})
    store.reap()
    assert store.position(second, "a") == 1
    assert store.position("job_of_older", "c") == 0
    assert store.redis.zcard(keys.SLOTS) == 2
