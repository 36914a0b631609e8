"""A job as an HTTP response: its status, where it is, and when to poll again."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from gateway.http.problems import retry_after
from gateway.responses.views.job import live_job_view, new_job_view, placed_job_view, poll_hint_s
from gateway.services import Services
from shared.jobs.row import JobRow
from shared.store import StoredJob


def job_response(row: JobRow, services: Services, *, accepted: bool = False) -> Response:
    """Return a job as JSON; 202 with Location while it is unfinished and newly `accepted`."""
    return _respond(live_job_view(row, services), row, accepted=accepted)


def stored_response(stored: StoredJob, services: Services) -> Response:
    """Return a job just stored, or the one of the same idempotency key; 202 while unfinished."""
    row = stored.row()
    show = placed_job_view if stored.replayed else new_job_view
    return _respond(show(row, stored.position, services), row, accepted=True)


def _respond(view: dict[str, Any], row: JobRow, *, accepted: bool) -> Response:
    response = jsonify(view)
    if not row.status.terminal:
        response.headers["Retry-After"] = retry_after(poll_hint_s(view))
        response.status_code = 202 if accepted else 200
    if accepted:
        response.headers["Location"] = view["urls"]["self"]
    return response
