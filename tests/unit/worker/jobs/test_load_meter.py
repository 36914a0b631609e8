"""What a job costs a worker."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.jobs.load_meter import LoadMeter


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_first_job_costs_what_it_took(clock):
    meter = LoadMeter()
    with meter.working():
        clock[0] += 4
        meter.charge_job()
    assert meter.seconds_per_job == 4


def test_jobs_side_by_side_share_the_time(clock):
    meter = LoadMeter()
    with meter.working(), meter.working():
        assert meter.active == 2
        clock[0] += 4
        meter.charge_job()
        meter.charge_job()
    assert meter.active == 0
    assert meter.seconds_per_job < 4


def test_idle_time_costs_nothing(clock):
    meter = LoadMeter()
    for _ in range(5):
        with meter.working():
            clock[0] += 2
            meter.charge_job()
        clock[0] += 1000
    assert meter.seconds_per_job == pytest.approx(2)


def test_time_spent_on_a_job_that_was_given_back_is_charged_to_the_next(clock):
    meter = LoadMeter()
    with meter.working():
        clock[0] += 3
    with meter.working():
        clock[0] += 2
        meter.charge_job()
    assert meter.seconds_per_job == pytest.approx(5)


def test_a_full_worker_tells_how_its_pace_compares_with_predictions(clock):
    meter = LoadMeter(slots=2)
    with meter.working():
        for _ in range(6):
            with meter.working():
                clock[0] += 3
                meter.charge_job(predicted_s=2)
            clock[0] += 50
    assert meter.load_factor == pytest.approx(1.5)


def test_jobs_that_outlast_a_burst_count_for_what_they_did_in_it(clock):
    meter = LoadMeter(slots=2)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:

        def begin(thread):
            job = meter.working()
            thread.submit(job.__enter__).result()
            return lambda: thread.submit(job.__exit__, None, None, None).result()

        def end(thread, leave, predicted_s):
            thread.submit(meter.charge_job, predicted_s).result()
            leave()

        for _ in range(8):
            # two at once share one engine: the long one does 2 of its 3 seconds in those four
            long, short = begin(one), begin(other)
            clock[0] += 2
            end(other, short, 1)
            short = begin(other)
            clock[0] += 2
            end(other, short, 1)
            clock[0] += 1
            end(one, long, 3)
            clock[0] += 10
    # by the short ones alone, which end in these seconds, it would be 2
    assert 0.75 < meter.load_factor < 1.05


def test_a_worker_that_was_never_full_has_no_correction(clock):
    meter = LoadMeter(slots=2)
    for _ in range(6):
        with meter.working():
            clock[0] += 3
            meter.charge_job(predicted_s=2)
    assert meter.load_factor == 1


def test_a_wait_for_a_free_slot_is_not_taken_for_slowness(clock):
    meter = LoadMeter(slots=1)
    with meter.working():
        meter.add_preparation(100, 0.2, claimed=clock[0], pickup_s=0.01)
    at_first = meter.prepare.at(100)
    with meter.working():
        clock[0] += 30
    with meter.working():
        meter.add_preparation(100, 0.2, claimed=clock[0], pickup_s=29)
    assert meter.prepare.at(100) == pytest.approx(at_first) == pytest.approx(0.21)
