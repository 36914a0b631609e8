"""Holding an answer back until the job has ended, for as long as the caller wants to wait."""

from __future__ import annotations

import re
import time

from flask import Request

from gateway.services import Services
from shared.errors import BadParameters
from shared.row import JobRow

_PREFER_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*(\d{1,6})", re.IGNORECASE)


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


def until_terminal(job_id: str, tenant: str, services: Services, wait_s: float) -> JobRow:
    """Return the job when it has ended or the time is over; raises NotFound, Erased."""
    deadline = time.monotonic() + wait_s
    after = 0
    while True:
        row = services.store.get(job_id, tenant)
        left = deadline - time.monotonic()
        if row.status.terminal or left <= 0:
            return row
        events = services.events.read(job_id, after, left)
        after = events[-1].seq if events else after


def until_change(job_id: str, tenant: str, services: Services, wait_s: float) -> JobRow:
    """Return the job when its status or progress has changed or the time is over."""
    deadline = time.monotonic() + wait_s
    after = services.events.last(job_id)
    row = services.store.get(job_id, tenant)
    while not row.status.terminal:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        events = services.events.read(job_id, after, left)
        if any(event.type.startswith("job.") for event in events) or not events:
            return services.store.get(job_id, tenant)
        after = events[-1].seq
    return row
