"""One client's view of one job: its row, and its events as they come."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import Request

from gateway.http.server.client_connection import CHECK_INTERVAL_S, watch_client
from gateway.services import Services
from shared.errors import StoreUnavailable
from shared.jobs.row import JobRow
from shared.store.jobs.events import EventCursor, EventsLost, JobEvent

#: Seconds between two calls of a store that does not answer.
_AWAY_S = 0.5


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
        patience_s: float = 0.0,
    ) -> Iterator[JobEvent | None]:
        """Yield the events after number `after`, and None when `ping_s` passed without one.

        Where events are gone, a reset and the text so far stand for them. Ends after the last
        event, at `deadline` (as of time.monotonic), or within `check_s` of the client's leaving.
        Raises NotFound, Erased, and StoreUnavailable when that lasts longer than `patience_s`.
        """
        quiet_since = time.monotonic()
        for event in self._read(after, check_s, deadline, patience_s):
            if event is None and time.monotonic() - quiet_since < ping_s:
                continue
            quiet_since = time.monotonic()
            yield event

    def _read(
        self, after: int, check_s: float, deadline: float, patience_s: float
    ) -> Iterator[JobEvent | None]:
        """Yield events, and None after each `check_s` without one, until job or client ends."""
        cursor = self.services.events.open(self.id, after)
        answered = time.monotonic()
        while (left_s := deadline - time.monotonic()) > 0:
            batch: list[JobEvent] = []
            try:
                batch = self._next_events(cursor, min(left_s, check_s)) or self._last_word(cursor)
                answered = time.monotonic()
            except StoreUnavailable:
                if time.monotonic() - answered >= patience_s:
                    raise
                time.sleep(min(_AWAY_S, check_s))
            for event in batch or (None,):
                if self.client_gone():
                    return
                yield event
                if event is not None and event.terminal:
                    return

    def _next_events(self, cursor: EventCursor, wait_s: float) -> list[JobEvent]:
        """Return the next events, or what stands for those that are gone."""
        try:
            return cursor.read(wait_s)
        except EventsLost:
            return self._begin_anew(cursor)

    def _begin_anew(self, cursor: EventCursor) -> list[JobEvent]:
        """Return a reset and all text so far, which the next event follows."""
        streamed = self.services.events.streamed(self.id)
        reset = JobEvent(None, "output.reset", {"reason": "events_lost"})
        if streamed.status and not streamed.status.terminal:
            cursor.move_to(streamed.seq)
            text = JobEvent(streamed.seq, "output.delta", {"text": streamed.text})
            return [reset, *_thoughts(streamed.thought), text]
        row = self.row()
        # the last event is all that is left to come
        cursor.move_to(max(0, streamed.seq - 1))
        text = JobEvent(None, "output.delta", {"text": row.streamed_text or ""})
        return [reset, *_thoughts(row.reasoning), text]

    def _last_word(self, cursor: EventCursor) -> list[JobEvent]:
        """Return the end of a job whose stream is silent because it has ended, or is gone."""
        row = self.row()
        if not row.status.terminal:
            return []
        # it may have ended a moment ago
        return self._next_events(cursor, 0.0) or [
            JobEvent(cursor.after or None, f"job.{row.status.value}", {})
        ]


def _thoughts(thought: str) -> list[JobEvent]:
    """Return the event that stands for all those of a model's thinking."""
    return [JobEvent(None, "output.reasoning", {"text": thought})] if thought else []
