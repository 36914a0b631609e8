"""The short form of the chaos run; `make chaos` is the long one."""

from __future__ import annotations

import pytest

from tests.chaos import couriers, monkey


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_every_accepted_job_ends_once_while_workers_and_redis_die(tmp_path):
    account = monkey.run(tmp_path, jobs=60, workers=2, seed=20)
    print(account)
    assert account.violations == []
    assert account.ends == {"succeeded": 60}
    assert account.faults.keys() >= {"kill_worker", "kill_redis", "freeze_worker"}


@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_every_webhook_arrives_while_couriers_workers_and_redis_die(tmp_path):
    account = couriers.run(tmp_path, jobs=60, seed=7)
    print(account)
    assert account.violations == []
    assert account.ends == {"delivered": 54, "url_gone": 6}
    assert account.faults.keys() == {"kill_courier", "kill_worker", "kill_redis"}
    # or nothing was ever tried twice
    assert account.repeated > 10
