"""What a job is prediction in advance, from sizes and speeds alone."""

from __future__ import annotations

import pytest

from shared.prediction.cost_model import (
    Backlog,
    FleetSnapshot,
    Work,
    predict_busy_s,
    predict_stages,
)
from shared.prediction.curves import Curve, Speed
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.remaining_work import RunningJob, remaining_s
from shared.store.forecasts import Forecast, PredictionAccuracy

SPEED = Speed(
    prepare=Curve(fixed=0.1),
    encode=Curve(each=0.01, square=1e-5),
    prefill=Curve(each=0.005),
    step=Curve(fixed=0.1, each=0.01),
)


def _worker(*, slots: int = 4, **fields) -> Heartbeat:
    return Heartbeat("w", "m", slots=slots, speed=SPEED.as_dict(), **fields)


def _queued(jobs: int, mean_s: float, *, running: int = 4) -> Backlog:
    return Backlog(jobs, running, mean_s)


def test_each_stage_has_its_price():
    prediction = predict_stages(Work(images=(100, 100), prompt_tokens=56, answer_tokens=10), SPEED)
    assert prediction.encode_s == pytest.approx(2 * (1 + 0.1))
    assert prediction.prefill_s == pytest.approx(256 * 0.005)
    assert prediction.decode_s == pytest.approx(10 * 0.11)
    assert prediction.total_s == pytest.approx(0.1 + 2.2 + 1.28 + 1.1)


def test_a_tiled_image_costs_the_sum_of_its_tiles_and_less_than_the_whole():
    whole, tiled = Work(images=(4096,)), Work(images=(1024,) * 4)
    assert predict_stages(tiled, SPEED).encode_s < predict_stages(whole, SPEED).encode_s


def test_neighbours_slow_the_tower_down_and_share_the_steps():
    work = Work(images=(100,), answer_tokens=10)
    alone, together = predict_stages(work, SPEED), predict_stages(work, SPEED, concurrent=4)
    assert together.encode_s == pytest.approx(4 * alone.encode_s)
    assert together.decode_s < 2 * alone.decode_s
    assert predict_busy_s(work, SPEED, 4) < alone.total_s


def test_a_free_slot_means_no_wait():
    fleet = FleetSnapshot((_worker(),), _queued(0, 0, running=3))
    assert fleet.predict(Work(answer_tokens=5), 0).wait_s == 0


def test_the_wait_is_the_work_before_it_over_all_workers():
    work = Work(images=(100,), answer_tokens=10)
    one = FleetSnapshot((_worker(),), _queued(9, 10.0)).predict(work, 9).wait_s
    two = FleetSnapshot((_worker(), _worker()), _queued(9, 10.0, running=8)).predict(work, 9).wait_s
    assert one == pytest.approx(100)
    assert two == pytest.approx(one / 2)


def test_a_slow_load_makes_waits_longer():
    work = Work(answer_tokens=10)
    usual = FleetSnapshot((_worker(),), _queued(9, 10.0)).predict(work, 9).wait_s
    slow = FleetSnapshot((_worker(load_factor=2.0),), _queued(9, 10.0)).predict(work, 9).wait_s
    assert slow == pytest.approx(2 * usual)


def test_free_slots_take_the_first_that_wait():
    backlog = _queued(9, 10.0, running=1)
    waits = [
        FleetSnapshot((_worker(),), backlog).predict_wait_s(position) for position in (2, 3, 5)
    ]
    assert waits == pytest.approx([0, 10, 30])


def test_jobs_that_began_together_leave_no_slot_before_their_work_is_done():
    began = tuple(RunningJob(2.0, elapsed_s=0.5) for _ in range(4))
    fleet = FleetSnapshot((_worker(),), Backlog(1, 4, 2.0, began))
    assert [fleet.predict_wait_s(position) for position in (0, 1)] == pytest.approx([7.5, 9.5])


def test_jobs_that_began_one_after_the_other_leave_one_after_the_other():
    began = tuple(RunningJob(2.0, elapsed_s=2.0 * n) for n in range(4))
    fleet = FleetSnapshot((_worker(),), Backlog(0, 4, 0.0, began))
    assert [fleet.predict_wait_s(position, 2.0) for position in (0, 1)] == pytest.approx([2.0, 4.0])


def test_two_workers_have_done_what_is_in_hand_in_half_the_time():
    began = (RunningJob(4.0), RunningJob(4.0))
    assert remaining_s(began, 2.0) == remaining_s(began, 1.0) / 2 == 4.0
    assert remaining_s([RunningJob(1.0, elapsed_s=5.0)], 1.0) == 0


def test_a_job_that_nobody_has_looked_at_yet_is_a_usual_one():
    backlog = Backlog(0, 3, 0.0, (RunningJob(3.0, 9.0), RunningJob(0.0, 1.0)))
    assert backlog.running_jobs(1.0) == [
        RunningJob(2.0),
        RunningJob(2.0, 1.0),
        RunningJob(3.0, 9.0),
    ]
    assert len(Backlog(0, 1, 0.0, backlog.observed).running_jobs(1.0)) == 1


def test_a_large_image_among_small_ones_pays_for_theirs_and_not_for_four_of_its_own():
    large, small = Work(images=(1000,)), Work(images=(10,))
    beside = tuple(RunningJob(predict_busy_s(small, SPEED, 4)) for _ in range(3))
    busy = FleetSnapshot((_worker(),), Backlog(0, 0, 0.0, beside)).with_running(3).predict(large, 0)
    alone = FleetSnapshot((_worker(),), Backlog(0, 0, 0.0)).predict(large, 0)
    usual = (3 * predict_busy_s(small, SPEED, 4) + predict_busy_s(large, SPEED, 4)) / 4
    assert busy.run_s == pytest.approx(alone.run_s + 3 * usual)


def test_without_curves_the_experience_of_whole_jobs_counts():
    worker = Heartbeat("w", "m", slots=1, seconds_per_job=3.0)
    prediction = FleetSnapshot((worker,), _queued(4, 0.0, running=1)).predict(Work(), 4)
    assert prediction.wait_s == pytest.approx(15)
    assert prediction.stages is None
    assert prediction.total_s is None


def test_nobody_to_ask_means_nothing_is_known():
    prediction = FleetSnapshot().predict(Work(answer_tokens=5), 0)
    assert (prediction.wait_s, prediction.run_s, prediction.busy_s) == (None, None, 0)
    assert prediction.fields() == {}


def test_a_worker_that_leaves_is_not_counted_on():
    fleet = FleetSnapshot((_worker(draining=True),), _queued(0, 0, running=0))
    assert fleet.free_slots == 0
    assert fleet.predict(Work(answer_tokens=5), 0).run_s is None


def test_answers_are_expected_as_long_as_earlier_ones():
    forecast = Forecast(answers={"ocr": 12.5})
    assert forecast.answer_tokens("ocr", 64) == 12.5
    assert forecast.answer_tokens("ocr", 8) == 8
    assert forecast.answer_tokens("ask", 64) == 64


def test_the_tail_is_what_was_seen_once_enough_was_seen():
    assert Forecast(ratios=(9.0,) * 5).tail == 2.0
    assert Forecast(ratios=(1.0,) * 94 + (3.0,) * 6).tail == 3.0


def test_the_median_error_is_read_from_the_counts():
    steps = {0: 3, 1: 2, -5: 1, 20: 1}
    assert PredictionAccuracy(7, 10.0, 10.0, steps).median_error == pytest.approx(1 - 1 / 1.1)
    assert PredictionAccuracy(0, 0.0, 0.0, {}).median_error is None
