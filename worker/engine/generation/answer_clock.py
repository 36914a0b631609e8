"""When the stages of one answer ended."""

from __future__ import annotations

import time
from dataclasses import dataclass

from worker.engine.api import Timings


@dataclass(slots=True)
class AnswerClock:
    """When each stage ended, by `time.monotonic()`; `started` is when the first one began."""

    started: float | None = None
    encoded: float | None = None
    prefilled: float | None = None

    def timings(self) -> Timings:
        """Return the seconds of each stage so far."""
        now = time.monotonic()
        started = self.started or now
        encoded = self.encoded or now
        prefilled = self.prefilled or now
        return Timings(encoded - started, prefilled - encoded, now - prefilled)
