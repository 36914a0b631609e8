"""When a job may start."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.jobs.parameters.schedule import DailyWindow, Schedule


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
    assert Schedule().fields(0, 5) == {}


#: In Berlin the clock is put forward at 01:00 UTC on 29 March 2026, and back on 25 October.
@pytest.mark.parametrize(
    ("window", "now", "start"),
    [
        ("22:00-06:00", "2026-01-05T12:00:00+00:00", "2026-01-05T21:00:00+00:00"),
        ("22:00-06:00", "2026-07-05T12:00:00+00:00", "2026-07-05T20:00:00+00:00"),
        # the evening before, by winter's clock; it closes by summer's
        ("22:00-06:00", "2026-03-28T12:00:00+00:00", "2026-03-28T21:00:00+00:00"),
        ("22:00-06:00", "2026-03-29T03:59:59+00:00", "2026-03-29T03:59:59+00:00"),
        ("22:00-06:00", "2026-03-29T04:00:00+00:00", "2026-03-29T20:00:00+00:00"),
        # opens in the hours that are skipped, and goes on after them
        ("02:30-04:00", "2026-03-29T00:00:00+00:00", "2026-03-29T01:00:00+00:00"),
        # within the hours that are skipped
        ("02:15-02:45", "2026-03-29T00:00:00+00:00", "2026-03-30T00:15:00+00:00"),
        # within the hours that are repeated: open twice, closed in between
        ("02:15-02:45", "2026-10-25T00:00:00+00:00", "2026-10-25T00:15:00+00:00"),
        ("02:15-02:45", "2026-10-25T00:50:00+00:00", "2026-10-25T01:15:00+00:00"),
        ("02:15-02:45", "2026-10-25T01:45:00+00:00", "2026-10-26T01:15:00+00:00"),
        # all of the repeated hour
        ("02:00-03:00", "2026-10-25T01:30:00+00:00", "2026-10-25T01:30:00+00:00"),
        ("00:00-00:00", "2026-03-29T00:59:59+00:00", "2026-03-29T00:59:59+00:00"),
    ],
)
def test_a_window_of_a_place_follows_its_clock(window, now, start):
    assert DailyWindow.parse(f"{window} Europe/Berlin").next_ms(ms(now)) == ms(start)


@pytest.mark.parametrize(
    "place",
    [" Atlantis/City", " Europe", " ../../etc/passwd", "  Europe/Berlin", "Europe/Berlin", " /etc"],
)
def test_a_place_that_nobody_knows_is_refused(place):
    with pytest.raises(ValueError, match=r"zone|hours"):
        DailyWindow.parse("22:00-06:00" + place)


def test_a_row_carries_the_changes_of_its_time_alone():
    window = DailyWindow.parse("22:00-06:00 Europe/Berlin")
    whole = Schedule(window=window).fields(
        ms("2026-03-28T12:00:00+00:00"), ms("2026-03-30T12:00:00+00:00")
    )
    assert whole["window_start_ms"] == 21 * 3_600_000
    assert whole["window_changes"] == f"[[{ms('2026-03-29T01:00:00+00:00')}, 3600000]]"
    before = Schedule(window=window).fields(
        ms("2026-03-26T12:00:00+00:00"), ms("2026-03-28T12:00:00+00:00")
    )
    assert "window_changes" not in before
