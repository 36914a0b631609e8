"""A job as an HTTP response: 202 while it is unfinished, with the time after which to ask again."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from gateway.http.problems import retry_after
from gateway.responses.job_view import job_view, placed_view, poll_hint_s
from gateway.services import Services
from shared.jobs.row import JobRow
from shared.store import StoredJob


def job_response(row: JobRow, services: Services, *, accepted: bool = False) -> Response:
    """Return a job as JSON; 202 with Location while it is unfinished and newly `accepted`."""
    return _respond(job_view(row, services), row, accepted=accepted)


def added_response(added: StoredJob, services: Services) -> Response:
    """Return a job as it was stored, or found in its place; 202 while it is unfinished."""
    row = added.row()
    return _respond(placed_view(row, added.position, services), row, accepted=True)


def _respond(view: dict[str, Any], row: JobRow, *, accepted: bool) -> Response:
    response = jsonify(view)
    if not row.status.terminal:
        response.headers["Retry-After"] = retry_after(poll_hint_s(view))
        response.status_code = 202 if accepted else 200
    if accepted:
        response.headers["Location"] = view["urls"]["self"]
    return response
