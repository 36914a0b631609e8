"""How busy this worker is, and how many busy seconds a job costs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Weight of the newest job in the moving average.
_NEWEST = 0.2


class Meter:
    """Counts jobs in hand; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active = 0
        self._busy_since = 0.0
        self._unspent_s = 0.0
        self._seconds_per_job = 0.0

    @property
    def active(self) -> int:
        """Return the number of jobs in hand."""
        return self._active

    @property
    def seconds_per_job(self) -> float:
        """Return busy seconds per finished job, a moving average; 0 before the first."""
        return self._seconds_per_job

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a job as in hand inside the block."""
        with self._lock:
            if self._active == 0:
                self._busy_since = time.monotonic()
            self._active += 1
        try:
            yield
        finally:
            with self._lock:
                self._active -= 1
                if self._active == 0:
                    self._unspent_s += time.monotonic() - self._busy_since

    def finished(self) -> None:
        """Charge the busy time since the last finished job to this one."""
        with self._lock:
            now = time.monotonic()
            spent = self._unspent_s + now - self._busy_since
            self._unspent_s, self._busy_since = 0.0, now
            old = self._seconds_per_job
            self._seconds_per_job = spent if old == 0 else old + _NEWEST * (spent - old)
