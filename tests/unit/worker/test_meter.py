"""What a job costs a worker."""

from __future__ import annotations

import time

import pytest

from worker.meter import Meter


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_first_job_costs_what_it_took(clock):
    meter = Meter()
    with meter.working():
        clock[0] += 4
        meter.finished()
    assert meter.seconds_per_job == 4


def test_jobs_side_by_side_share_the_time(clock):
    meter = Meter()
    with meter.working(), meter.working():
        assert meter.active == 2
        clock[0] += 4
        meter.finished()
        meter.finished()
    assert meter.active == 0
    assert meter.seconds_per_job < 4


def test_idle_time_costs_nothing(clock):
    meter = Meter()
    for _ in range(5):
        with meter.working():
            clock[0] += 2
            meter.finished()
        clock[0] += 1000
    assert meter.seconds_per_job == pytest.approx(2)


def test_time_spent_on_a_job_that_was_given_back_is_charged_to_the_next(clock):
    meter = Meter()
    with meter.working():
        clock[0] += 3
    with meter.working():
        clock[0] += 2
        meter.finished()
    assert meter.seconds_per_job == pytest.approx(5)
