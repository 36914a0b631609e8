"""The short form of the chaos run; `make chaos` is the long one."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shared.jobs import JobInput, JobStatus
from shared.settings import Settings
from shared.store import Claim, NewJob, Store, keys
from shared.store.access.usage_store import UsageStore
from tests.chaos import bundles, couriers, growth, monkey, soak
from tests.chaos.faults import Account
from tests.chaos.history import History
from tests.chaos.listeners import Heard
from tests.chaos.stage import Size, Stage
from tests.chaos.trail import PATIENCE_S, Trail
from tests.support.harness import RedisServer


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_every_accepted_job_ends_once_while_workers_and_redis_die(tmp_path: Path) -> None:
    account = monkey.run(tmp_path, jobs=60, size=Size(), deck=Stage.processes, seed=20, most=15)
    print(account)
    assert account.violations == []
    assert account.ends == {"succeeded": 60}
    # day and month, or nothing was summed up
    assert all(used["jobs"] >= 60 and used["pages"] for used in account.used.values())
    assert account.faults.keys() >= {"kill_worker", "kill_redis", "freeze_worker"}
    # or nothing was compared
    assert all(account.streams[f"{kind} whole"] >= 5 for kind in ("events", "client", "chat"))


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_every_accepted_job_ends_once_while_the_network_fails(tmp_path: Path) -> None:
    size = Size(gateways=2, workers=2, slots=3, token_s=0.05)
    account = monkey.run(
        tmp_path, jobs=30, size=size, deck=Stage.network, tokens=24, pause_s=(0.3, 0.8), most=8
    )
    print(account)
    assert account.violations == []
    assert account.ends == {"succeeded": 30}
    assert account.faults.keys() == {
        "slow_network",
        "reset_connections",
        "forget_connections",
        "lose_answers",
    }
    assert all(account.streams[f"{kind} whole"] >= 2 for kind in ("events", "client", "chat"))


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_groups_and_batches_end_once_and_are_told_once_while_all_processes_die(
    tmp_path: Path,
) -> None:
    size = Size(gateways=2, couriers=1, slots=4, token_s=0.05)
    load = bundles.Load(groups=3, jobs_per_group=9, batches=2, lines_per_batch=25)
    account = bundles.run(tmp_path, load, size=size, deck=bundles.killing, seed=3, most=10)
    print(account)
    assert account.violations == []
    assert account.faults.keys() >= {"kill_worker", "kill_redis", "kill_gateway"}
    # more where the answer to a batch was lost, and it was begun again
    assert account.ends["succeeded"] >= account.jobs
    assert account.webhooks >= 5


@pytest.mark.parametrize(("read", "violations"), [("one two", 0), ("one ", 1), ("one one two", 1)])
def test_a_stream_that_says_something_else_than_the_answer_is_a_violation(
    redis_server: RedisServer, read: str, violations: int
) -> None:
    store = Store(Settings(redis_url=redis_server.url))
    job_id = store.add(NewJob("anonymous", JobInput(prompt="?"))).doorbell.job_id
    claim = store.claim(job_id, "w")
    assert isinstance(claim, Claim)
    output = {"output": {"text": "one two"}}
    store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, output, text="one two")
    history = History(redis_server, Account(1), 1.0)
    history.accepted.append(job_id)
    history.look()
    history.check(heard=[Heard("chat", job_id, read)])
    assert len(history.violations) == violations, history.violations


@pytest.mark.parametrize("lost", ["jobs", "pages", "work_ms"])
def test_a_sum_that_differs_from_its_jobs_is_a_violation(
    redis_server: RedisServer, lost: str
) -> None:
    store = Store(Settings(redis_url=redis_server.url))
    job_id = store.add(NewJob("anonymous", JobInput(prompt="?"))).doorbell.job_id
    claim = store.claim(job_id, "w")
    assert isinstance(claim, Claim)
    fields = {"output": {"text": ""}, "pages": [1, 2], "metrics": {"decode_s": 1.5}}
    store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, fields, text="")
    history = History(redis_server, Account(1), 1.0)
    history.accepted.append(job_id)
    history.look()
    history.check()
    assert history.violations == []
    today = UsageStore(store.redis).today().isoformat()
    store.redis.hincrby(keys.usage("anonymous", today), lost, -1)
    history.check()
    (violation,) = history.violations
    assert lost in violation


def test_a_stream_without_an_end_is_a_violation_once_its_job_has_ended(
    redis_server: RedisServer,
) -> None:
    store = Store(Settings(redis_url=redis_server.url))
    job_id = store.add(NewJob("anonymous", JobInput(prompt="?"))).doorbell.job_id
    history = History(redis_server, Account(1), 1.0)
    trail = Trail("events", job_id)
    trail.hear("output.delta 3")
    assert history.since_end_s(job_id) is None
    claim = store.claim(job_id, "w")
    assert isinstance(claim, Claim)
    store.finish(job_id, claim.owner, JobStatus.SUCCEEDED, {"output": {"text": ""}}, text="")
    assert history.since_end_s(job_id) is not None
    # it may take some time, from the later of both moments on
    assert not trail.is_overdue(PATIENCE_S + 1)
    late = Trail("events", job_id, began=time.monotonic() - PATIENCE_S - 1)
    assert [late.is_overdue(since) for since in (None, 1, PATIENCE_S + 1)] == [False, False, True]
    history.accepted.append(job_id)
    history.look()
    history.check(unended=[trail])
    (violation,) = history.violations
    assert "output.delta 3" in violation
    assert "'status': 'succeeded'" in violation


@pytest.mark.chaos
def test_nothing_grows_while_all_kinds_of_requests_come(tmp_path: Path) -> None:
    report = soak.run(tmp_path, seconds=8, samples=16)
    print(report)
    assert report.violations == []
    assert min(report.requests.values()) >= 8
    assert len(report.requests) == 8


def test_a_leak_is_told_from_a_plateau() -> None:
    readings = growth.Readings()
    for minute in range(60):
        warming = min(minute, 12)
        readings.add({"steady, MiB": 100.0 + warming, "leaking, MiB": 100.0 + minute})
        readings.add({"steady, files": 20 + minute % 3, "leaking, files": 20 + 2 * minute})
    assert readings.grown("MiB files") == [
        "leaking, MiB grew from 122.0 to 152.0",
        "leaking, files grew from 64.0 to 124.0",
    ]
    assert readings.grown("keys") == []


def test_a_machine_that_becomes_slower_is_no_drift_of_the_service() -> None:
    readings = growth.Readings()
    for minute in range(60):
        slow = 3 if minute > 40 else 1
        readings.add({growth.YARDSTICK: 10.0 * slow, "a question takes, ms": 150.0 * slow})
    assert readings.grown("ms") == []
    assert growth.Readings({"a question takes, ms": [150.0] * 40 + [450.0] * 20}).grown("ms")


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_every_webhook_arrives_while_couriers_workers_and_redis_die(tmp_path: Path) -> None:
    account = couriers.run(tmp_path, jobs=60, seed=7)
    print(account)
    assert account.violations == []
    assert account.ends == {"delivered": 54, "url_gone": 6}
    assert account.faults.keys() == {"kill_courier", "kill_worker", "kill_redis"}
    # or nothing was ever tried twice
    assert account.repeated > 10
