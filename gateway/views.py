"""How a job looks to who asks for it now: its place in the queue is looked up."""

from __future__ import annotations

from typing import Any

from gateway.services import Services
from shared import jobview
from shared.jobview import timestamp
from shared.row import JobRow
from shared.workers import wait_s

__all__ = ["job_view", "poll_hint_s", "timestamp"]

#: Poll hint while nothing better is known, seconds.
_POLL_S = 2.0


def job_view(row: JobRow, services: Services) -> dict[str, Any]:
    """Return the job as `/v1/jobs/{id}` shows it."""
    position = services.store.position(row.id, row.tenant) if row.status == "queued" else None
    if position is None:
        return jobview.job_view(row)
    wait = wait_s(position, services.workers.fresh())
    told = None if wait is None else round(wait, 1)
    return jobview.job_view(row, position=position, wait_s=told)


def poll_hint_s(view: dict[str, Any]) -> float:
    """Return after how many seconds it is worth asking again."""
    progress = view["progress"] or {}
    known = progress.get("eta_s") or view["queue"]["wait_s"]
    return min(30.0, float(known)) if known else _POLL_S
