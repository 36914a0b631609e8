"""What a job is prediction in advance, from sizes and speeds alone."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from shared.prediction.cost_model import (
    Backlog,
    FleetSnapshot,
    Work,
    predict_stages,
)
from shared.prediction.curves import Curve, Speed
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.workload import Demand, HeldParts, RunningJob, WaitingJob
from shared.store.fleet.forecasts import Forecast, PredictionAccuracy

SPEED = Speed(
    prepare=Curve(fixed=0.1),
    encode=Curve(each=0.01, square=1e-5),
    prefill=Curve(each=0.005),
    step=Curve(fixed=0.1, each=0.01),
)


def _worker(*, slots: int = 4, **fields) -> Heartbeat:
    return Heartbeat("w", "m", slots=slots, speed=SPEED.as_dict(), **fields)


def test_each_stage_has_its_price():
    prediction = predict_stages(Work(images=(100, 100), prompt_tokens=56, answer_tokens=10), SPEED)
    assert prediction.encode_s == pytest.approx(2 * (1 + 0.1))
    assert prediction.prefill_s == pytest.approx(256 * 0.005)
    assert prediction.decode_s == pytest.approx(10 * 0.11)
    assert prediction.total_s == pytest.approx(0.1 + 2.2 + 1.28 + 1.1)


def test_a_tiled_image_costs_the_sum_of_its_tiles_and_less_than_the_whole():
    whole, tiled = Work(images=(4096,)), Work(images=(1024,) * 4)
    assert predict_stages(tiled, SPEED).encode_s < predict_stages(whole, SPEED).encode_s


def _began(*jobs: Demand, worker: str = "w") -> tuple[RunningJob, ...]:
    """Return jobs that run, the first the oldest, none of them within a burst."""
    return tuple(
        RunningJob(job.serial_s, 9.0 - number, left=job, worker=worker)
        for number, job in enumerate(jobs)
    )


def _fleet(*workers: Heartbeat, began: tuple[RunningJob, ...] = (), ahead=(), held=(), mean_s=0.0):
    waiting = tuple(WaitingJob(job) for job in ahead)
    return FleetSnapshot(workers, Backlog(len(ahead), len(began), mean_s, began, waiting, held))


def test_a_free_slot_means_no_wait():
    fleet = _fleet(_worker(), began=_began(*[Demand(3.0)] * 3))
    assert fleet.predict(Work(answer_tokens=5), 0).wait_s == 0
    assert fleet.predict(Work(answer_tokens=5), 1).wait_s > 0


def test_images_and_prompts_are_computed_in_the_order_in_which_they_came():
    fleet = _fleet(_worker(), began=_began(Demand(2.0), Demand(3.0)))
    prediction = fleet.predict(Work(images=(100,)), 0)
    own = predict_stages(Work(images=(100,)), SPEED)
    assert prediction.wait_s == 0
    assert prediction.run_s == pytest.approx(5.0 + own.total_s)
    assert prediction.stages.decode_s == 0


def test_answers_are_written_in_steps_that_all_share():
    began = _began(Demand(0.0, 30.0), Demand(0.0, 10.0))
    prediction = _fleet(_worker(), began=began).predict(Work(answer_tokens=20), 0)
    # three share ten steps, two the next ten, but for what the prompt takes first
    assert prediction.stages.decode_s == pytest.approx(10 * 0.13 + 10 * 0.12, rel=0.05)


def test_equal_jobs_that_began_together_leave_their_slots_together():
    began = _began(*[Demand(0.0, 40.0)] * 4)
    fleet = _fleet(_worker(), began=began, ahead=[Demand(0.0, 40.0)] * 3)
    ends_s = 40 * 0.14
    assert [fleet.predict_wait_s(place) for place in range(3)] == pytest.approx([ends_s] * 3)
    assert fleet.predict(Work(answer_tokens=40), 3).wait_s == pytest.approx(ends_s)
    assert fleet.predict(Work(answer_tokens=40), 4).wait_s > 1.9 * ends_s


def test_a_job_waits_for_those_before_it_by_what_each_of_them_asks():
    one = _worker(slots=1)
    fleet = _fleet(one, began=_began(Demand(2.0)), ahead=[Demand(30.0), Demand(1.0)])
    assert [fleet.predict_wait_s(place) for place in range(3)] == pytest.approx([2, 32, 33])
    assert [fleet.predict_run_s(place) for place in range(3)] == [
        pytest.approx(30),
        pytest.approx(1),
        None,
    ]


def test_two_workers_take_turns_with_what_waits():
    workers = [Heartbeat(name, "m", slots=1, speed=SPEED.as_dict()) for name in ("a", "b")]
    began = (*_began(Demand(6.0), worker="a"), *_began(Demand(1.0), worker="b"))
    fleet = _fleet(*workers, began=began, ahead=[Demand(2.0)] * 3)
    assert [fleet.predict_wait_s(place) for place in range(4)] == pytest.approx([1, 3, 5, 6])


def test_a_slow_load_makes_waits_longer_where_the_worker_is_full():
    ahead = [Demand(10.0)] * 9
    usual = _fleet(_worker(slots=1), ahead=ahead).predict_wait_s(9)
    slow = _fleet(_worker(slots=1, load_factor=2.0), ahead=ahead).predict_wait_s(9)
    assert slow == pytest.approx(2 * usual) == pytest.approx(180)


def test_a_long_job_holds_up_those_behind_it_by_its_tiles_and_not_by_all_of_itself():
    long = Demand(0.0, 0.0, parts=30, part_serial_s=4.0, part_steps=10.0)
    fleet = _fleet(_worker(), ahead=[long])
    assert fleet.predict(Work(images=(100,)), 1).wait_s < 1
    assert fleet.predict(Work(images=(100,)), 1).run_s < 10
    assert fleet.predict_run_s(0) == pytest.approx(30 * 4 + 300 * 0.14 / 3, rel=0.15)


def test_tiles_that_are_held_leave_one_slot_of_each_worker():
    held = (HeldParts(20, Demand(4.0)),)
    assert _fleet(_worker(), held=held).predict(Work(images=(100,)), 0).wait_s == 0
    began = (RunningJob(4.0, 9.0, Demand(4.0), "w", tile=True),)
    full = _fleet(_worker(slots=1), began=began, held=held)
    assert full.predict(Work(), 0).wait_s == pytest.approx(4)


def test_several_workers_share_the_tiles_of_a_job():
    work = Work((1000,) * 12, 12 * 30, 12 * 10.0, parts=12, answers_apart=True)
    one = _fleet(_worker()).predict(work, 0)
    two = _fleet(_worker(), Heartbeat("x", "m", slots=4, speed=SPEED.as_dict())).predict(work, 0)
    assert two.run_s == pytest.approx(one.run_s / 2, rel=0.1)
    assert one.busy_s == two.busy_s
    assert sum(asdict(one.stages).values()) == pytest.approx(one.run_s)


def test_a_queue_beyond_those_that_were_read_counts_as_mean_ones():
    fleet = _fleet(_worker(slots=1), ahead=[Demand(2.0)] * 32, mean_s=2.0)
    assert fleet.predict_wait_s(500) == pytest.approx(1000, rel=0.01)
    assert fleet.predict(Work(images=(10,)), 500).wait_s == pytest.approx(1000, rel=0.01)


def test_a_newer_count_of_running_jobs_takes_them_from_the_queue():
    fleet = _fleet(_worker(slots=1), ahead=[Demand(5.0), Demand(7.0)])
    assert fleet.with_running(1).predict_wait_s(0) == pytest.approx(5)
    assert fleet.with_running(1).predict_wait_s(1) == pytest.approx(12)
    busy = _fleet(_worker(slots=2), began=_began(Demand(5.0), Demand(7.0)))
    assert busy.with_running(1).backlog.observed == busy.backlog.observed[1:]
    assert busy.with_running(0).predict_wait_s(0) == 0


def test_what_came_within_a_second_is_half_of_a_burst():
    def run_s(elapsed_s: float) -> float:
        jobs = tuple(RunningJob(1.0, elapsed_s, Demand(1.0, 20.0), "w") for _ in range(2))
        return _fleet(_worker(), began=jobs).predict(Work(images=(100,), answer_tokens=20), 0).run_s

    assert run_s(0.1) > run_s(5.0)


def test_what_was_done_of_a_job_is_not_done_again():
    asked = Demand(8.0, 40.0)
    assert asked.after(0.5, 0) == Demand(4.0, 40.0)
    assert asked.after(1.0, 30) == Demand(0.0, 10.0)
    # nobody knows how much longer an answer is that is longer than expected
    assert asked.after(1.0, 90) == Demand(0.0, 8.0)


def test_a_row_keeps_what_its_job_asks():
    asked = Demand(1.5, 12.0, 3, 0.5, 4.0)
    assert Demand.parse(asked.dump()) == asked
    assert Demand.parse("") is None
    assert (asked.part, asked.merge) == (Demand(0.5, 4.0), Demand(1.5, 12.0))


def test_without_curves_the_experience_of_whole_jobs_counts():
    worker = Heartbeat("w", "m", slots=1, seconds_per_job=3.0)
    prediction = FleetSnapshot((worker,), Backlog(4, 1)).predict(Work(), 4)
    assert prediction.wait_s == pytest.approx(15)
    assert prediction.stages is None
    assert prediction.total_s is None


def test_nobody_to_ask_means_nothing_is_known():
    prediction = FleetSnapshot().predict(Work(answer_tokens=5), 0)
    assert (prediction.wait_s, prediction.run_s, prediction.busy_s) == (None, None, 0)
    assert prediction.fields() == {}


def test_a_worker_that_leaves_is_not_counted_on():
    fleet = FleetSnapshot((_worker(draining=True),), Backlog())
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
