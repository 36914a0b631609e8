"""A job's events as they happen, over server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway import problems
from gateway.auth import tenant
from gateway.schemas import EventsQuery, JobPath
from gateway.services import Services, services
from gateway.views import job_view
from shared import errors
from shared.events import JobEvent
from shared.jobs import JobStatus

events = APIBlueprint("events", __name__, abp_tags=[Tag(name="jobs")])

_PING_S = 15.0
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
    found, who = services(), tenant()
    after = _last_event_id() or query.starting_after
    found.store.get(path.job_id, who)
    stream = _stream(path.job_id, who, found, after)
    return Response(
        stream,
        mimetype="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _last_event_id() -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _stream(job_id: str, who: str, found: Services, after: int) -> Iterator[str]:
    yield f"retry: {_RETRY_MS}\n\n"
    try:
        row = found.store.get(job_id, who)
        if row.status.terminal and (last := found.events.last(job_id)) <= after:
            # the caller has seen the end already; say it again rather than hang
            yield _frame(last, f"job.{row.status.value}", job_view(row, found))
            return
        for event in found.events.follow(job_id, after, _PING_S):
            if event is None:
                yield ": ping\n\n"
                # an erased job's stream is gone and would stay silent for ever
                found.store.get(job_id, who)
            else:
                yield _frame(event.seq, event.type, _data(event, who, found, job_id))
    except (errors.Erased, errors.NotFound):
        yield _frame(None, "job.erased", {"id": job_id})
    except errors.StoreUnavailable:
        # the stream is cut; the client resumes from its last event
        return


def _data(event: JobEvent, who: str, found: Services, job_id: str) -> dict[str, Any]:
    if event.terminal:
        return job_view(found.store.get(job_id, who), found)
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
