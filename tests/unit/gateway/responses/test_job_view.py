"""How a job looks from outside."""

from __future__ import annotations

import pytest

from gateway.responses.job_view import poll_hint_s
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
