"""How a job looks from outside."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from gateway.responses.views.job import new_job_view, placed_job_view, poll_hint_s
from shared.errors import StoreUnavailable
from shared.jobs.row import read_row
from shared.jobs.view import timestamp
from shared.prediction.cost_model import Backlog, FleetSnapshot
from shared.prediction.curves import Curve, Speed
from shared.prediction.heartbeat import Heartbeat
from shared.prediction.workload import Demand, RunningJob, WaitingJob


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, None),
        (0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
    ],
)
def test_times_are_rfc_3339_in_utc(ms, text):
    assert timestamp(ms) == text


@pytest.mark.parametrize(
    ("eta_s", "wait_s", "hint"),
    [(None, None, 2), (0.0, 0.0, 2), (7.5, 4.0, 7.5), (None, 7.5, 7.5), (900.0, 0.0, 30)],
)
def test_the_poll_hint_is_the_estimate_within_reason(eta_s, wait_s, hint):
    assert poll_hint_s({"eta_s": eta_s, "queue": {"wait_s": wait_s}}) == hint


def _row(**fields: str):
    return read_row(
        {
            "id": "job_1",
            "tenant": "t",
            "version": "3",
            "status": "queued",
            "queue": "default",
            "attempt": "0",
            "max_attempts": "3",
            "created_ms": "1",
            "queued_ms": "1",
            "expires_ms": "9",
            "expire_ms": "9",
            "ttl_ms": "8",
            "input": '{"prompt": "?"}',
        }
        | fields
    )


def test_a_job_that_is_stored_is_shown_also_while_nobody_can_say_how_long_it_waits():
    def forecast(_: object):
        raise StoreUnavailable

    row = _row()
    services = SimpleNamespace(admission=SimpleNamespace(forecast=forecast))
    view = placed_job_view(row, 4, services)
    assert view["queue"] == {"name": "default", "position": 4, "wait_s": None}
    assert view["eta_s"] is None


#: What a gateway has predicted: five seconds of waiting, two of running.
PREDICTED = '{"prepare_s": 0.5, "encode_s": 1, "decode_s": 0.5, "wait_s": 5, "total_s": 7}'


def _services(**known) -> SimpleNamespace:
    forecast = SimpleNamespace(fleet=FleetSnapshot(**known))
    return SimpleNamespace(admission=SimpleNamespace(forecast=lambda _: forecast))


def test_a_new_job_says_what_was_predicted_for_it_and_the_same_while_nothing_has_changed():
    worker = Heartbeat("w", "m", slots=1, speed=Speed(step=Curve(1.0)).as_dict())
    queue = Backlog(
        1, 1, 2.0, (RunningJob(5.0, 9.0, Demand(5.0), "w"),), (WaitingJob(Demand(2.0)),)
    )
    services = _services(workers=(worker,), backlog=queue)
    row = _row(predicted=PREDICTED)
    for view in (new_job_view(row, 0, services), placed_job_view(row, 0, services)):
        assert (view["queue"]["wait_s"], view["eta_s"]) == (5.0, 7.0)


def test_a_running_job_says_what_it_reported_or_else_what_was_predicted():
    started = str(round(1000 * time.time()) - 500)
    fields = {"status": "running", "started_ms": started, "predicted": PREDICTED}
    reported = placed_job_view(_row(**fields, progress='{"eta_s": 3.5}'), None, _services())
    assert reported["eta_s"] == 3.5
    assert 0 < placed_job_view(_row(**fields), None, _services())["eta_s"] <= 1.5
    late = fields | {"started_ms": "1"}
    assert placed_job_view(_row(**late), None, _services())["eta_s"] is None
    ended = _row(**fields | {"status": "failed"}, progress='{"eta_s": 3.5}')
    assert placed_job_view(ended, None, _services())["eta_s"] is None
