"""A job's events as a stream of server-sent events, from any event on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gateway.responses.followed_job import FollowedJob
from gateway.responses.job_view import live_job_view, predict_wait_s
from shared import errors
from shared.jobs import JobStatus
from shared.store.job_events import JobEvent

#: Milliseconds after which a browser connects again.
_RETRY_MS = 2000
#: The types of events, for the documents.
EVENT_TYPES = (
    "job.queued",
    "job.started",
    "job.progress",
    "output.delta",
    "output.reset",
    *(f"job.{status.value}" for status in JobStatus if status.terminal),
    "job.erased",
)


class EventStream:
    """One client's stream of one job's events."""

    def __init__(self, job: FollowedJob) -> None:
        self._job = job

    def iter_frames(self, after: int) -> Iterator[str]:
        """Yield the frames of the events after number `after`, to the end of job or client."""
        yield f"retry: {_RETRY_MS}\n\n"
        try:
            yield from self._iter_events(after)
        except (errors.Erased, errors.NotFound):
            yield _frame(None, "job.erased", {"id": self._job.id})
        except errors.StoreUnavailable:
            # the stream is cut; the client resumes from its last event
            return

    def _iter_events(self, after: int) -> Iterator[str]:
        services = self._job.services
        row = self._job.row()
        if row.status.terminal and (last := services.events.last(row.id)) <= after:
            # the client has read the last event already; repeat it rather than hang
            yield _frame(last, f"job.{row.status.value}", live_job_view(row, services))
            return
        for event in self._job.follow(after, ping_s=services.settings.ping_s):
            if event is None:
                yield ": ping\n\n"
            else:
                yield _frame(event.seq, event.type, self._event_data(event))

    def _event_data(self, event: JobEvent) -> dict[str, Any]:
        if event.terminal:
            return live_job_view(self._job.row(), self._job.services)
        if event.type == "job.queued":
            position = event.data.get("position") or 0
            return event.data | {"wait_s": predict_wait_s(position, self._job.services)}
        return event.data


def _frame(seq: int | None, event_type: str, data: dict[str, Any]) -> str:
    number = "" if seq is None else f"id: {seq}\n"
    return f"{number}event: {event_type}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
