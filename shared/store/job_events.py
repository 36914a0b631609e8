"""The event stream of a job, read from any event on."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from shared.jobs import JobStatus
from shared.store import keys
from shared.store.connection import Client
from shared.store.failures import guard

_TERMINAL = {f"job.{status.value}" for status in JobStatus if status.terminal}


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event; `seq` counts from 1 within its job."""

    seq: int
    type: str
    data: dict[str, Any]

    @property
    def terminal(self) -> bool:
        """Tell whether no event can follow."""
        return self.type in _TERMINAL


class EventReader:
    """Reads event streams; every waiting reader holds one connection of the pool.

    Every method raises StoreUnavailable without Redis.
    """

    def __init__(self, client: Client, block_s: float) -> None:
        """Make a reader; `block_s` must stay below the client's socket timeout."""
        self._redis = client
        self._block_s = block_s

    def read(self, job_id: str, after: int, wait_s: float = 0.0) -> list[JobEvent]:
        """Return the events after number `after`, waiting up to `wait_s` for the first."""
        deadline = time.monotonic() + wait_s
        key = keys.events(job_id)
        while True:
            left = deadline - time.monotonic()
            block = max(1, int(min(left, self._block_s) * 1000)) if left > 0 else None
            with guard():
                reply = self._redis.xread({key: f"{after}-0"}, count=500, block=block)
            if reply:
                return [_event(entry) for entry in reply[0][1]]
            if time.monotonic() >= deadline:
                return []

    def last(self, job_id: str) -> int:
        """Return the number of the newest event, 0 when there is none."""
        with guard():
            newest = self._redis.xrevrange(keys.events(job_id), count=1)
        return int(newest[0][0].split("-")[0]) if newest else 0


def _event(entry: Any) -> JobEvent:
    number, fields = entry
    return JobEvent(int(number.split("-")[0]), fields["type"], json.loads(fields["data"]))
