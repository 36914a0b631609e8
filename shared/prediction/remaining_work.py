"""How long the workers still need for the jobs that run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A running job: its predicted busy seconds, and the seconds since it started."""

    busy_s: float
    elapsed_s: float = 0.0


def remaining_s(jobs: Iterable[RunningJob], capacity: float) -> float:
    """Return the seconds until all these jobs are done, at `capacity` busy seconds a second.

    Oldest first, a job ends busy_s / capacity after its start or the end of the one before it,
    whichever is later. An engine encodes and prefills in that order, so jobs that started together
    also end together: a slot comes free after most of this time, not after one job's share of it.
    """
    end_s = 0.0
    for number, job in enumerate(sorted(jobs, key=lambda job: -job.elapsed_s)):
        start_s = -job.elapsed_s if number == 0 else max(end_s, -job.elapsed_s)
        end_s = start_s + job.busy_s / capacity
    return max(0.0, end_s)
