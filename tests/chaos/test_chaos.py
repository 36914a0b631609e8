"""The short form of the chaos run; `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import couriers, growth, monkey, soak
from tests.chaos.stage import Size, Stage


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_every_accepted_job_ends_once_while_workers_and_redis_die(tmp_path: Path) -> None:
    account = monkey.run(tmp_path, jobs=60, size=Size(), deck=Stage.processes, seed=20, most=15)
    print(account)
    assert account.violations == []
    assert account.ends == {"succeeded": 60}
    assert account.faults.keys() >= {"kill_worker", "kill_redis", "freeze_worker"}


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
