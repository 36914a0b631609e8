"""How much of the work that workers hold is still to be done, told from when they took it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that a worker has taken: its busy seconds as predicted, and the seconds since then."""

    busy_s: float
    since_s: float = 0.0


def left_s(hand: Iterable[RunningJob], capacity: float) -> float:
    """Return the seconds until all these jobs would be done, at `capacity` busy seconds a second.

    An engine takes in what came first first, so jobs that began together also end together: a
    slot comes free when most of this time is over, and not after one job's share of it.
    """
    end_s = 0.0
    for number, job in enumerate(sorted(hand, key=lambda job: -job.since_s)):
        begin_s = -job.since_s if number == 0 else max(end_s, -job.since_s)
        end_s = begin_s + job.busy_s / capacity
    return max(0.0, end_s)
