"""When a job may start: not before a moment, and only within some hours of each day."""

from __future__ import annotations

import time

from gateway.submission.fields.submission import Submission
from shared.errors import BadParameters
from shared.jobs.parameters.schedule import DailyWindow, Schedule


def schedule_of(submission: Submission, ttl_s: int) -> Schedule:
    """Return when the job of a request may start; raises BadParameters if that is too late."""
    moment = submission.not_before
    schedule = Schedule(
        not_before_ms=int(moment.timestamp() * 1000) if moment else None,
        window=DailyWindow.parse(submission.window) if submission.window else None,
    )
    now_ms = int(time.time() * 1000)
    lives_s = min(ttl_s, submission.deadline_s or ttl_s)
    if schedule.start_ms(now_ms) >= now_ms + 1000 * lives_s:
        name = "not_before" if moment else "window"
        raise BadParameters(
            f"{name}: the job would expire before it may start.",
            pointer=f"/{name}",
            hint="Choose an earlier time, or a longer ttl_s and deadline_s.",
        )
    return schedule
