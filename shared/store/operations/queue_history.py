"""How the queue was in each minute of the last day: one small series of all gateways."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from shared.store import keys
from shared.store.connection import Client, load_script
from shared.store.failures import guard

#: Minutes that are kept.
KEPT_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """The queue at one moment, and what happened since the point before, `seconds` ago."""

    at_ms: int
    queued: int
    scheduled: int
    running: int
    oldest_wait_s: float
    seconds: float
    submitted: int
    succeeded: int
    failed: int
    canceled: int
    expired: int


class QueueHistory:
    """Writes and reads the series; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        self._redis = client
        self._record = load_script(client, "operations/record")

    def record(self) -> bool:
        """Add the point of this minute; return whether it was missing."""
        with guard():
            return bool(self._record(keys=[], args=[]))

    def read(self, minutes: int) -> list[HistoryPoint]:
        """Return the points of the last `minutes`, the earliest first."""
        with guard():
            seconds, _ = self._redis.time()
            first = int(seconds) // 60 - minutes
            members = self._redis.zrange(keys.QUEUE_HISTORY, first, "+inf", byscore=True)
        moments = [[int(number) for number in member.split(":")] for member in members]
        return [_point(before, moment) for before, moment in pairwise(moments)]


def _point(before: list[int], moment: list[int]) -> HistoryPoint:
    at_ms, queued, scheduled, running, oldest_ms, *_ = moment
    # counters that somebody has deleted begin again
    counts = [max(0, now - then) for then, now in zip(before[5:], moment[5:], strict=False)]
    seconds = round((at_ms - before[0]) / 1000, 3)
    return HistoryPoint(
        at_ms, queued, scheduled, running, round(oldest_ms / 1000, 3), seconds, *counts[:5]
    )
