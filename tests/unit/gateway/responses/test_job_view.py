"""How a job looks from outside."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gateway.responses.views.job import placed_job_view, poll_hint_s
from shared.errors import StoreUnavailable
from shared.jobs.row import read_row
from shared.jobs.view import timestamp


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
    ("progress", "wait_s", "hint"),
    [
        (None, None, 2),
        (None, 0.0, 2),
        (None, 7.5, 7.5),
        (None, 900.0, 30),
        ({"eta_s": 4.0}, 0.0, 4),
        ({"eta_s": None}, 0.0, 2),
        ({"eta_s": 500.0}, 9.0, 30),
    ],
)
def test_the_poll_hint_is_the_estimate_within_reason(progress, wait_s, hint):
    assert poll_hint_s({"progress": progress, "queue": {"wait_s": wait_s}}) == hint


def test_a_job_that_is_stored_is_shown_also_while_nobody_can_say_how_long_it_waits():
    def forecast():
        raise StoreUnavailable

    row = read_row(
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
    )
    services = SimpleNamespace(admission=SimpleNamespace(forecast=forecast))
    view = placed_job_view(row, 4, services)
    assert view["queue"] == {"name": "default", "position": 4, "wait_s": None}
