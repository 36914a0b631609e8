"""A request that reads one file and is held until that is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Response, g, request

from gateway.responses.after_change import after_change
from gateway.responses.following.held_response import HeldResponse, KeepAlive
from gateway.responses.warning_header import add_warnings
from gateway.services import Services
from gateway.submission.idempotency import counts_retries
from shared.jobs.row import JobRow


def hold_until_read(
    row: JobRow,
    services: Services,
    waiter: str,
    keep_alive: KeepAlive,
    view: Callable[[JobRow], Any],
) -> Response:
    """Return the view of a job that was stored for this `waiter`; see `HeldResponse.respond`."""
    with after_change("The job was stored", job_id=row.id):
        held = HeldResponse(request, services, row, waiter, may_retry=counts_retries(request))
        # opening a large document may have taken a part of the client's patience
        spent_s = time.perf_counter() - g.started_at
        rest = replace(keep_alive, quiet_s=max(0.0, keep_alive.quiet_s - spent_s))
        response = held.respond(rest, view)
    add_warnings(response, row)
    return response
