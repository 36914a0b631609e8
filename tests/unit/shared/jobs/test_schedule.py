"""When a job may start."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.jobs.schedule import DailyWindow, Schedule


def ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("window", "now", "start"),
    [
        ("22:00-06:00", "2026-01-05T12:00:00+00:00", "2026-01-05T22:00:00+00:00"),
        ("22:00-06:00", "2026-01-05T23:00:00+00:00", "2026-01-05T23:00:00+00:00"),
        ("22:00-06:00Z", "2026-01-05T05:59:59+00:00", "2026-01-05T05:59:59+00:00"),
        ("22:00-06:00", "2026-01-05T06:00:00+00:00", "2026-01-05T22:00:00+00:00"),
        ("22:00-06:00+08:00", "2026-01-05T12:00:00+00:00", "2026-01-05T14:00:00+00:00"),
        ("01:00-02:00-05:30", "2026-01-05T12:00:00+00:00", "2026-01-06T06:30:00+00:00"),
        ("09:00-17:00", "2026-01-05T12:00:00+00:00", "2026-01-05T12:00:00+00:00"),
        ("00:00-00:00", "2026-01-05T12:00:00+00:00", "2026-01-05T12:00:00+00:00"),
    ],
)
def test_a_window_opens_each_day(window, now, start):
    assert DailyWindow.parse(window).next_ms(ms(now)) == ms(start)


def test_a_moment_and_a_window_count_together():
    window = DailyWindow.parse("22:00-06:00")
    moment = ms("2026-01-07T08:00:00+00:00")
    schedule = Schedule(moment, window)
    assert schedule.start_ms(ms("2026-01-05T23:00:00+00:00")) == ms("2026-01-07T22:00:00+00:00")
    assert Schedule().start_ms(5) == 5
    assert Schedule().fields() == {}
