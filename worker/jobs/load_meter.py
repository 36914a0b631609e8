"""How busy this worker is, and what a job costs it beside the engine's own measurements."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from shared.prediction.curves import Curve
from worker.engine.speed.curve_fit import CurveFit

#: Weight of the newest job in the moving averages.
_NEWEST = 0.2
#: What stays of an old job's weight in the load factor, and the jobs it takes to trust it.
_KEEP_FULL = 0.9
_ENOUGH_FULL = 3


class _Own(threading.local):
    def __init__(self) -> None:
        self.jobs: list[tuple[float, float]] = []


class LoadMeter:
    """Counts jobs in hand; thread-safe."""

    def __init__(self, slots: int = 1) -> None:
        """`slots` is the most jobs that can be in hand."""
        self._slots = slots
        self._lock = threading.Lock()
        self._active = 0
        self._busy_since = 0.0
        self._unspent_s = 0.0
        self._seconds_per_job = 0.0
        #: When all slots were last taken and free again, and seconds in which they were, in all
        #: and as far as they were charged.
        self._full_since = self._full_until = self._full_s = self._full_charged_s = 0.0
        self._full_spent_s = self._full_predicted_s = 0.0
        self._full_jobs = 0
        self._prepare = CurveFit(keep=0.95, terms=2)
        self._pickup_s = 0.0
        #: Of each job of this thread: when it began, and the full seconds until then.
        self._own = _Own()

    @property
    def active(self) -> int:
        """Return the number of jobs in hand."""
        return self._active

    @property
    def seconds_per_job(self) -> float:
        """Return busy seconds per finished job, a moving average; 0 before the first."""
        return self._seconds_per_job

    @property
    def load_factor(self) -> float:
        """Return busy seconds with every slot taken per predicted one; 1 without experience."""
        if self._full_jobs < _ENOUGH_FULL:
            return 1.0
        return min(10.0, max(0.1, self._full_spent_s / self._full_predicted_s))

    @property
    def prepare(self) -> Curve:
        """Return the seconds of a job beside its engine's work, over its visual tokens."""
        with self._lock:
            curve = self._prepare.curve()
        return Curve(curve.fixed + self._pickup_s, curve.each, curve.square)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a job as in hand inside the block."""
        with self._lock:
            if self._active == 0:
                self._busy_since = time.monotonic()
            self._active += 1
            if self._active == self._slots:
                self._full_since = time.monotonic()
            now = time.monotonic()
            self._own.jobs.append((now, self._full_until_now_s(now)))
        try:
            yield
        finally:
            with self._lock:
                self._own.jobs.pop()
                if self._active == self._slots:
                    self._full_until = time.monotonic()
                    self._full_s += self._full_until - self._full_since
                self._active -= 1
                if self._active == 0:
                    self._unspent_s += time.monotonic() - self._busy_since

    def finished(self, predicted_s: float = 0.0) -> None:
        """Charge the busy time since the last finished job to this one.

        `predicted_s` is what it was predicted to use up of a full worker.
        """
        with self._lock:
            now = time.monotonic()
            spent = self._unspent_s + now - self._busy_since
            self._unspent_s, self._busy_since = 0.0, now
            old = self._seconds_per_job
            self._seconds_per_job = spent if old == 0 else old + _NEWEST * (spent - old)
            self._charge_full(now, predicted_s)

    def _full_until_now_s(self, now: float) -> float:
        return self._full_s + (now - self._full_since if self._active == self._slots else 0.0)

    def _charge_full(self, now: float, predicted_s: float) -> None:
        """Compare full seconds with the predictions of all jobs that were in hand in them.

        A job counts by the share of its time in which every slot was taken: those that outlast a
        burst have done a part of its work.
        """
        began, full_before_s = self._own.jobs[-1]
        full_s = self._full_until_now_s(now)
        own_s = full_s - full_before_s
        if own_s <= 0:
            return
        if predicted_s <= 0:
            # its part of the time is nobody else's
            self._full_spent_s = max(0.0, self._full_spent_s - own_s / self._slots)
            return
        spent, self._full_charged_s = full_s - self._full_charged_s, full_s
        credit = predicted_s * own_s / (now - began)
        self._full_spent_s = self._full_spent_s * _KEEP_FULL + spent
        self._full_predicted_s = self._full_predicted_s * _KEEP_FULL + credit
        self._full_jobs += 1

    def prepared(self, visual_tokens: int, seconds: float, claimed: float, pickup_s: float) -> None:
        """Count what a job took beside the engine, and the time before it was `claimed`.

        The latter tells how quick we are only if a slot was free all the while.
        """
        with self._lock:
            self._prepare.add(visual_tokens, seconds)
            if claimed - pickup_s > self._full_until:
                old = self._pickup_s
                self._pickup_s = pickup_s if old == 0 else old + _NEWEST * (pickup_s - old)
