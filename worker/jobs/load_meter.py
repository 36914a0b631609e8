"""Measures the load of this worker: busy time, pace against predictions, cost beside the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from shared.prediction.curves import Curve
from worker.curve_fit import CurveFit

#: Weight of the newest job in a moving average.
_NEWEST = 0.2
#: Factor that an old job's weight in the load factor keeps with each new one.
_KEEP = 0.9
#: Jobs that it takes to trust the load factor, and the bounds of its value.
_ENOUGH_JOBS = 3
_FACTOR_MIN, _FACTOR_MAX = 0.1, 10.0


def _moved(average: float, newest: float) -> float:
    """Return average + 0.2·(newest - average); the newest value alone at first."""
    return newest if average == 0 else average + _NEWEST * (newest - average)


class BusyTime:
    """Busy seconds per finished job.

    A worker is busy while at least one job is running. A finished job is charged the busy seconds
    since the one before it; `per_job_s` is their moving average:
    per_job_s += 0.2·(charged - per_job_s).
    """

    def __init__(self) -> None:
        self.per_job_s = 0.0
        self._busy_since = 0.0
        #: Of jobs that left unfinished: charged to the next one that finishes.
        self._uncharged_s = 0.0

    def begin(self, now: float) -> None:
        """Note that the first job began."""
        self._busy_since = now

    def end(self, now: float) -> None:
        """Note that no job is running any more."""
        self._uncharged_s += now - self._busy_since

    def charge_job(self, now: float) -> None:
        """Charge a finished job, which still counts as running."""
        charged_s = self._uncharged_s + now - self._busy_since
        self._uncharged_s, self._busy_since = 0.0, now
        self.per_job_s = _moved(self.per_job_s, charged_s)


class JobStart(NamedTuple):
    """When a job began, and the full seconds of the worker until then."""

    at: float
    full_s: float


class LoadFactor:
    """Seconds that a full worker needs for each second that was predicted.

    A worker is full while every slot is taken. A job that ends counts by its share of full time:
    credit = predicted_s · full seconds of the job / all seconds of the job, so that a job that
    outlasts a burst counts in part. Then
    factor = Σ full seconds / Σ credit, where older jobs' terms fade by 0.9 with each new job.
    """

    def __init__(self, slots: int) -> None:
        """`slots` is the most jobs that can run at once."""
        self._slots = slots
        self._full_since: float | None = None
        #: `time.monotonic()` at which a slot was last free after none was.
        self.full_until = 0.0
        #: Full seconds of the past, in all and as far as they were charged to a job.
        self._full_s = self._charged_s = 0.0
        self._spent_s = self._predicted_s = 0.0
        self._jobs = 0

    @property
    def value(self) -> float:
        """Return the factor within 0.1 and 10; 1 without experience."""
        if self._jobs < _ENOUGH_JOBS:
            return 1.0
        return min(_FACTOR_MAX, max(_FACTOR_MIN, self._spent_s / self._predicted_s))

    def begin_full(self, now: float) -> None:
        """Note that the last free slot was taken."""
        self._full_since = now

    def end_full(self, now: float) -> None:
        """Note that a slot is free again."""
        if self._full_since is not None:
            self._full_s += now - self._full_since
        self._full_since, self.full_until = None, now

    def full_s(self, now: float) -> float:
        """Return the full seconds until now."""
        return self._full_s + (0.0 if self._full_since is None else now - self._full_since)

    def charge_job(self, now: float, start: JobStart, predicted_s: float) -> None:
        """Compare full seconds with the prediction of a job that ends now.

        `predicted_s` is 0 for a job of which nothing was predicted: its part of the full seconds,
        one slot's, is charged to no other job.
        """
        full_s = self.full_s(now)
        own_s = full_s - start.full_s
        if own_s <= 0:
            return
        if predicted_s <= 0:
            self._spent_s = max(0.0, self._spent_s - own_s / self._slots)
            return
        spent_s, self._charged_s = full_s - self._charged_s, full_s
        credit_s = predicted_s * own_s / (now - start.at)
        self._spent_s = self._spent_s * _KEEP + spent_s
        self._predicted_s = self._predicted_s * _KEEP + credit_s
        self._jobs += 1


class PrepareCurve:
    """Seconds of a job outside its engine's work, over its visual tokens.

    curve(n) = pickup + fixed + each·n: fixed and each are fitted to (seconds of a job - seconds
    of its engine); pickup is the moving average of the time between queueing and claim.
    """

    def __init__(self) -> None:
        self._fit = CurveFit(keep=0.95, terms=2, grows_in_doubt=False)
        self._pickup_s = 0.0

    def add(self, visual_tokens: int, seconds: float) -> None:
        """Count what a job took outside the engine."""
        self._fit.add(visual_tokens, seconds)

    def add_pickup(self, seconds: float) -> None:
        """Count how long a job was queued while a slot was free."""
        self._pickup_s = _moved(self._pickup_s, seconds)

    def curve(self) -> Curve:
        """Return the curve; an empty one without experience."""
        curve = self._fit.curve()
        return Curve(curve.fixed + self._pickup_s, curve.each, curve.square)


class _ThreadJobs(threading.local):
    """The jobs that this thread runs, the latest last."""

    def __init__(self) -> None:
        self.starts: list[JobStart] = []


class LoadMeter:
    """Counts running jobs and feeds the three estimators; thread-safe."""

    def __init__(self, slots: int = 1) -> None:
        """`slots` is the most jobs that can run at once."""
        self._slots = slots
        self._lock = threading.Lock()
        self._active = 0
        self._busy = BusyTime()
        self._load = LoadFactor(slots)
        self._prepare = PrepareCurve()
        self._read = CurveFit(keep=0.95, terms=2)
        self._own = _ThreadJobs()

    @property
    def active(self) -> int:
        """Return the number of running jobs."""
        return self._active

    @property
    def seconds_per_job(self) -> float:
        """Return busy seconds per finished job, a moving average; 0 before the first."""
        return self._busy.per_job_s

    @property
    def load_factor(self) -> float:
        """Return full seconds per predicted second; 1 without experience."""
        return self._load.value

    @property
    def prepare(self) -> Curve:
        """Return the seconds of a job outside its engine's work, over its visual tokens."""
        with self._lock:
            return self._prepare.curve()

    @property
    def read(self) -> Curve:
        """Return the seconds of one image in the second reader, over READING_UNIT pixels."""
        with self._lock:
            return self._read.curve()

    def add_reading(self, size: float, seconds: float) -> None:
        """Count what the second reader took for an image of so many READING_UNIT pixels."""
        with self._lock:
            self._read.add(size, seconds)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a job as running inside the block."""
        with self._lock:
            self._begin_job(time.monotonic())
        try:
            yield
        finally:
            with self._lock:
                self._end_job(time.monotonic())

    def _begin_job(self, now: float) -> None:
        if self._active == 0:
            self._busy.begin(now)
        self._active += 1
        if self._active == self._slots:
            self._load.begin_full(now)
        self._own.starts.append(JobStart(now, self._load.full_s(now)))

    def _end_job(self, now: float) -> None:
        self._own.starts.pop()
        if self._active == self._slots:
            self._load.end_full(now)
        self._active -= 1
        if self._active == 0:
            self._busy.end(now)

    def charge_job(self, predicted_s: float = 0.0) -> None:
        """Charge the time since the last finished job to the one that this thread finishes.

        `predicted_s` is what the job was predicted to use up of a full worker.
        """
        with self._lock:
            now = time.monotonic()
            self._busy.charge_job(now)
            self._load.charge_job(now, self._own.starts[-1], predicted_s)

    def add_preparation(
        self, visual_tokens: int, seconds: float, *, claimed: float, pickup_s: float
    ) -> None:
        """Count what a job took outside the engine, and `pickup_s`, its wait before `claimed`.

        `claimed` is of `time.monotonic()`.
        """
        with self._lock:
            self._prepare.add(visual_tokens, seconds)
            # the wait tells how quick a claim is only if a slot was free all the while
            if claimed - pickup_s > self._load.full_until:
                self._prepare.add_pickup(pickup_s)
