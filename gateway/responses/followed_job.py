"""One client's view of one job: its row, and its events as they come."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import Request

from gateway.http.client_connection import CHECK_INTERVAL_S, watch_client
from gateway.services import Services
from shared.jobs.row import JobRow
from shared.store.job_events import JobEvent


@dataclass(frozen=True, slots=True)
class FollowedJob:
    """A job that a client waits for or reads along with."""

    id: str
    tenant: str
    services: Services
    client_gone: Callable[[], bool]

    @classmethod
    def of(cls, request: Request, services: Services, tenant: str, job_id: str) -> FollowedJob:
        """Return the job as the client of `request` follows it; nothing is read yet."""
        return cls(job_id, tenant, services, watch_client(request))

    def row(self) -> JobRow:
        """Return the job as it is now; raises NotFound, Erased, StoreUnavailable."""
        return self.services.store.get(self.id, self.tenant)

    def follow(
        self,
        after: int,
        *,
        ping_s: float = math.inf,
        check_s: float = CHECK_INTERVAL_S,
        deadline: float = math.inf,
    ) -> Iterator[JobEvent | None]:
        """Yield the events after number `after`, and None when `ping_s` passed without one.

        Ends after the last event, at `deadline` (as of time.monotonic), or within `check_s` of the
        client's leaving. Raises NotFound, Erased, StoreUnavailable.
        """
        quiet_since = time.monotonic()
        for event in self._read(after, check_s, deadline):
            if event is None:
                # the stream of an erased job is deleted and would stay silent for ever
                self.row()
                if time.monotonic() - quiet_since < ping_s:
                    continue
            quiet_since = time.monotonic()
            yield event

    def _read(self, after: int, check_s: float, deadline: float) -> Iterator[JobEvent | None]:
        """Yield events, and None after each `check_s` without one, until job or client ends."""
        while (left_s := deadline - time.monotonic()) > 0:
            batch = self.services.events.read(self.id, after, min(left_s, check_s))
            for event in batch or (None,):
                if self.client_gone():
                    return
                yield event
                if event is not None and event.terminal:
                    return
            if batch:
                after = batch[-1].seq
