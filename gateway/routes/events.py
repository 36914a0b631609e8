"""A job's events as they happen, over server-sent events."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.http.client_connection import LOOK_S, watcher
from gateway.responses.job_view import job_view, waiting_s
from gateway.schemas.jobs import EventsQuery, JobPath
from gateway.services import Services, current_services
from shared import errors
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.store.job_events import JobEvent

events = APIBlueprint("events", __name__, abp_tags=[Tag(name="jobs")])

_RETRY_MS = 2000


@events.get(
    "/v1/jobs/<job_id>/events",
    summary="Follow a job",
    responses=problems.documented(
        errors.NotFound, errors.Erased, errors.BadParameters, errors.StoreUnavailable
    ),
)
def follow(path: JobPath, query: EventsQuery) -> Response:
    """Stream the job's events until its end; resume with Last-Event-ID or `starting_after`."""
    services, tenant = current_services(), current_tenant()
    after = _last_event_id() or query.starting_after
    services.store.get(path.job_id, tenant)
    story = _EventStream(path.job_id, tenant, services, watcher(request))
    return Response(
        story.told(after),
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _last_event_id() -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


class _EventStream:
    """One client's view of one job's events."""

    def __init__(
        self, job_id: str, tenant: str, services: Services, client_gone: Callable[[], bool]
    ) -> None:
        self._job_id = job_id
        self._tenant = tenant
        self._services = services
        self._client_gone = client_gone

    def told(self, after: int) -> Iterator[str]:
        """Yield the frames from event number `after` on, to the end of job or client."""
        yield f"retry: {_RETRY_MS}\n\n"
        try:
            row = self._row()
            if row.status.terminal and (last := self._services.events.last(row.id)) <= after:
                # the caller has seen the end already; say it again rather than hang
                yield _frame(last, f"job.{row.status.value}", job_view(row, self._services))
                return
            yield from self._following(after)
        except (errors.Erased, errors.NotFound):
            yield _frame(None, "job.erased", {"id": self._job_id})
        except errors.StoreUnavailable:
            # the stream is cut; the client resumes from its last event
            return

    def _following(self, after: int) -> Iterator[str]:
        spoke = time.monotonic()
        for event in self._services.events.follow(self._job_id, after, LOOK_S):
            if self._client_gone():
                return
            if event is not None:
                spoke = time.monotonic()
                yield _frame(event.seq, event.type, self._data(event))
                continue
            # an erased job's stream is gone and would stay silent for ever
            self._row()
            if time.monotonic() - spoke >= self._services.settings.ping_s:
                spoke = time.monotonic()
                yield ": ping\n\n"

    def _row(self) -> JobRow:
        return self._services.store.get(self._job_id, self._tenant)

    def _data(self, event: JobEvent) -> dict[str, Any]:
        if event.terminal:
            return job_view(self._row(), self._services)
        if event.type == "job.queued":
            position = event.data.get("position") or 0
            return event.data | {"wait_s": waiting_s(position, self._services)}
        return event.data


def _frame(seq: int | None, kind: str, data: dict[str, Any]) -> str:
    number = "" if seq is None else f"id: {seq}\n"
    return f"{number}event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


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
