"""How a job looks to who asks for it now: its place in the queue is looked up."""

from __future__ import annotations

from typing import Any

from gateway.services import Services
from shared.errors import JobFailure, NoResult, ServiceError, by_code
from shared.jobs import JobStatus
from shared.jobs import view as jobview
from shared.jobs.row import JobRow
from shared.jobs.view import timestamp

__all__ = ["job_view", "placed_view", "poll_hint_s", "timestamp", "why_no_answer"]

#: Poll hint while nothing better is known, seconds.
_POLL_S = 2.0


def job_view(row: JobRow, services: Services) -> dict[str, Any]:
    """Return the job as `/v1/jobs/{id}` shows it."""
    position = services.store.position(row.id, row.tenant) if row.status == "queued" else None
    return placed_view(row, position, services)


def placed_view(row: JobRow, position: int | None, services: Services) -> dict[str, Any]:
    """Return a job whose place in the queue is known; None when it is not queued."""
    if position is None:
        return jobview.job_view(row)
    told = waiting_s(position, services)
    return jobview.job_view(row, position=position, wait_s=told)


def waiting_s(position: int, services: Services) -> float | None:
    """Return the predicted wait of the job at a position of the queue, for a caller to read."""
    wait = services.admission.forecast().fleet.predict_wait_s(position)
    return None if wait is None else round(wait, 1)


def why_no_answer(row: JobRow) -> ServiceError:
    """Return as an error why an ended job left no answer."""
    if row.status is JobStatus.FAILED and row.error:
        kind = by_code().get(row.error["code"], JobFailure)
        return kind(row.error["message"], hint=row.error["hint"])
    return NoResult(f"The job is {row.status.value} and left no answer.")


def poll_hint_s(view: dict[str, Any]) -> float:
    """Return after how many seconds it is worth asking again."""
    eta_s = (view["progress"] or {}).get("eta_s")
    if eta_s is None:
        run_s = (view.get("predicted") or {}).get("run_s") or 0.0
        eta_s = (view["queue"]["wait_s"] or 0.0) + run_s
    return min(30.0, float(eta_s)) if eta_s else _POLL_S
