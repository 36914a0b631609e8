"""Holding an answer back until the job has ended, for as long as the caller wants to wait."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from itertools import takewhile

from flask import Request

from gateway.http.client_connection import LOOK_S, watcher
from gateway.services import Services
from shared.errors import BadParameters
from shared.jobs.row import JobRow
from shared.store.job_events import JobEvent

_PREFER_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})\b', re.IGNORECASE)


def preferred_wait_s(request: Request, services: Services) -> int:
    """Return the seconds of `Prefer: wait=N`, bounded; 0 without it."""
    match = _PREFER_WAIT.search(request.headers.get("Prefer", ""))
    return min(int(match[1]), services.settings.max_wait_s) if match else 0


def query_wait_s(request: Request, services: Services) -> int:
    """Return the seconds of `?wait=N`, bounded; raises BadParameters."""
    text = request.args.get("wait", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise BadParameters("wait must be a whole number of seconds.", pointer="/wait")
    return min(int(text), services.settings.max_wait_s)


class LongPoll:
    """One request that waits for one job; ends early when its client has gone."""

    def __init__(
        self, request: Request, services: Services, tenant: str, job_id: str, wait_s: float
    ) -> None:
        self._services = services
        self._tenant = tenant
        self._job_id = job_id
        self._deadline = time.monotonic() + wait_s
        self._client_gone: Callable[[], bool] = watcher(request)

    def until_terminal(self) -> JobRow:
        """Return the job when it has ended or the time is over; raises NotFound, Erased."""
        row = self._row()
        if row.status.terminal or self._over():
            return row
        for _ in takewhile(lambda event: event is None or not event.terminal, self._events(0)):
            pass
        return self._row()

    def until_change(self) -> JobRow:
        """Return the job when its status or progress has changed or the time is over."""
        if self._over():
            return self._row()
        after = self._services.events.last(self._job_id)
        row = self._row()
        if row.status.terminal:
            return row
        for event in self._events(after):
            if event is not None and event.type.startswith("job."):
                break
        return self._row()

    def _over(self) -> bool:
        return time.monotonic() >= self._deadline

    def _row(self) -> JobRow:
        return self._services.store.get(self._job_id, self._tenant)

    def _events(self, after: int) -> Iterator[JobEvent | None]:
        """Yield events until the time is over or the client gone; raises Erased."""
        while (left := self._deadline - time.monotonic()) > 0 and not self._client_gone():
            events = self._services.events.read(self._job_id, after, min(left, LOOK_S))
            yield from events
            if events:
                after = events[-1].seq
            else:
                # an erased job's stream is gone and would stay silent for ever
                self._row()
                yield None
