"""When a job may start; the scripts of the store count in the same way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

DAY_MS = 86_400_000
_MINUTE_MS = 60_000
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
#: Hours and minutes, twice, and the difference to UTC.
_WINDOW = re.compile(rf"{_CLOCK}-{_CLOCK}(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])?")


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return 60 * int(hours) + int(minutes)


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """Hours of each day."""

    #: As its caller wrote it, such as `22:00-06:00+08:00`.
    text: str
    #: From midnight in UTC.
    start_ms: int
    length_ms: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return a window from such a text, equal times being a whole day; raises ValueError."""
        if not _WINDOW.fullmatch(text):
            raise ValueError("must be hours of a day such as 22:00-06:00 or 22:00-06:00+08:00")
        start, end = _minutes(text[0:5]), _minutes(text[6:11])
        zone = text[11:].replace("Z", "")
        offset = _minutes(zone[1:]) * (-1 if zone[0] == "-" else 1) if zone else 0
        length = (end - start) % 1440 or 1440
        return cls(text, (start - offset) % 1440 * _MINUTE_MS, length * _MINUTE_MS)

    def next_ms(self, at_ms: int) -> int:
        """Return the first moment of the window at this time or after it."""
        past_ms = (at_ms - self.start_ms) % DAY_MS
        return at_ms if past_ms < self.length_ms else at_ms + DAY_MS - past_ms


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job may start, in milliseconds since 1970; at once where nothing is said."""

    not_before_ms: int | None = None
    window: DailyWindow | None = None

    def start_ms(self, now_ms: int) -> int:
        """Return the first moment from now on at which it may start."""
        at_ms = max(now_ms, self.not_before_ms or 0)
        return self.window.next_ms(at_ms) if self.window else at_ms

    def fields(self) -> dict[str, str | int]:
        """Return what a row keeps of it."""
        moment = {"not_before_ms": self.not_before_ms} if self.not_before_ms is not None else {}
        if self.window is None:
            return dict(moment)
        return {
            **moment,
            "window": self.window.text,
            "window_start_ms": self.window.start_ms,
            "window_ms": self.window.length_ms,
        }
