"""When a job may start; the scripts of the store count in the same way."""

from __future__ import annotations

import datetime as dt
import json
import re
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

DAY_MS = 86_400_000
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS = 11
#: Hours and minutes, twice, and the difference to UTC or the name of a zone.
_WINDOW = re.compile(
    rf"{_CLOCK}-{_CLOCK}(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9]| [A-Za-z][A-Za-z0-9_+/-]{{0,39}})?"
)
_EXAMPLES = "22:00-06:00, 22:00-06:00+08:00 or 22:00-06:00 Europe/Berlin"


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return 60 * int(hours) + int(minutes)


def _find_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return a zone of the IANA's list; raises ValueError."""
    try:
        return zoneinfo.ZoneInfo(name)
    # a name may be that of a folder, or of a file that is no zone
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"knows no zone {name}; zones have names such as Europe/Berlin") from None


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """Hours of each day, as a clock shows them."""

    #: As its caller wrote it, such as `22:00-06:00+08:00`.
    text: str
    #: From midnight by that clock.
    start_ms: int
    length_ms: int
    #: How far the clock is ahead of UTC, where its zone does not tell.
    offset_ms: int = 0
    zone: zoneinfo.ZoneInfo | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return a window from such a text, equal times being a whole day; raises ValueError."""
        if not _WINDOW.fullmatch(text):
            raise ValueError(f"must be hours of a day such as {_EXAMPLES}")
        start, end = _minutes(text[0:5]), _minutes(text[6:_HOURS])
        length_ms = ((end - start) % 1440 or 1440) * _MINUTE_MS
        place = text[_HOURS:]
        if place.startswith(" "):
            return cls(text, start * _MINUTE_MS, length_ms, zone=_find_zone(place[1:]))
        difference = place.replace("Z", "")
        offset = _minutes(difference[1:]) * (-1 if difference[0] == "-" else 1) if difference else 0
        return cls(text, start * _MINUTE_MS, length_ms, offset * _MINUTE_MS)

    def offset_at(self, at_ms: int) -> int:
        """Return how many milliseconds the clock is ahead of UTC at a time."""
        if self.zone is None:
            return self.offset_ms
        moment = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).astimezone(self.zone)
        return (moment.utcoffset() or dt.timedelta()) // dt.timedelta(milliseconds=1)

    def offsets(self, from_ms: int, until_ms: int) -> list[tuple[int, int]]:
        """Return the clock's offsets within a time, each with the moment from which it holds."""
        offsets = [(from_ms, self.offset_at(from_ms))]
        if self.zone:
            offsets += self._changes(from_ms, until_ms)
        return offsets

    def _changes(self, from_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
        """Yield when the clock is changed, and its offset from then on."""
        before_ms, offset = from_ms, self.offset_at(from_ms)
        while before_ms < until_ms:
            at_ms = min(before_ms + DAY_MS, until_ms)
            if (changed := self.offset_at(at_ms)) != offset:
                offset = changed
                yield self._first_with(changed, before_ms, at_ms), changed
            before_ms = at_ms

    def _first_with(self, offset: int, before_ms: int, at_ms: int) -> int:
        """Return from when on an offset holds that does not yet do so at the first moment."""
        while at_ms - before_ms > 1:
            between_ms = (before_ms + at_ms) // 2
            if self.offset_at(between_ms) == offset:
                at_ms = between_ms
            else:
                before_ms = between_ms
        return at_ms

    def next_ms(self, at_ms: int) -> int:
        """Return the first moment of the window at this time or after it.

        It is open while the clock shows its hours: those that are skipped when the clock is put
        forward do not come on that day, and those that are repeated come twice.
        """
        # hours that one day skips are there on the next
        offsets = self.offsets(at_ms, at_ms + 3 * DAY_MS)
        ends = [from_ms for from_ms, _ in offsets[1:]]
        for (_, offset), end_ms in zip(offsets, [*ends, None], strict=True):
            past_ms = (at_ms + offset - self.start_ms) % DAY_MS
            opens_ms = at_ms if past_ms < self.length_ms else at_ms + DAY_MS - past_ms
            if end_ms is None or opens_ms < end_ms:
                break
            at_ms = end_ms
        return opens_ms


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job may start, in milliseconds since 1970; at once where nothing is said."""

    not_before_ms: int | None = None
    window: DailyWindow | None = None

    def start_ms(self, now_ms: int) -> int:
        """Return the first moment from now on at which it may start."""
        at_ms = max(now_ms, self.not_before_ms or 0)
        return self.window.next_ms(at_ms) if self.window else at_ms

    def fields(self, from_ms: int, until_ms: int) -> dict[str, str | int]:
        """Return what the row of a job keeps of it that lives from and until about then."""
        moment = {"not_before_ms": self.not_before_ms} if self.not_before_ms is not None else {}
        if self.window is None:
            return dict(moment)
        # the gateway's clock may be slow
        (_, offset), *changes = self.window.offsets(from_ms - _HOUR_MS, until_ms + _HOUR_MS)
        fields: dict[str, str | int] = {
            **moment,
            "window": self.window.text,
            "window_start_ms": (self.window.start_ms - offset) % DAY_MS,
            "window_ms": self.window.length_ms,
        }
        if changes:
            fields["window_changes"] = json.dumps([(at, new - offset) for at, new in changes])
        return fields
