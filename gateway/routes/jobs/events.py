"""Following a job by server-sent events."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.responses.following.event_stream import EventStream
from gateway.responses.following.followed_job import FollowedJob
from gateway.responses.following.sse_response import sse_response
from gateway.schemas.jobs.queries import EventsQuery, JobPath
from gateway.services import current_services
from shared import errors

events = APIBlueprint("events", __name__, abp_tags=[Tag(name="jobs")])


@events.get(
    "/v1/jobs/<job_id>/events",
    summary="Stream a job's events",
    responses=problems.documented(
        errors.NotFound, errors.Erased, errors.BadParameters, errors.StoreUnavailable
    ),
)
def follow(path: JobPath, query: EventsQuery) -> Response:
    """Stream the job's events until its end; resume with Last-Event-ID or `starting_after`."""
    job = FollowedJob.of(request, current_services(), current_tenant(), path.job_id)
    after = _last_event_id() or query.starting_after
    # refuse with a status what cannot be streamed
    job.row()
    return sse_response(EventStream(job).iter_frames(after))


def _last_event_id() -> int | None:
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
