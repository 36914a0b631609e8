"""A job as callers see it, with its present place in the queue."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from gateway.http.base_path import link_base
from gateway.services import Services
from shared.errors import JobFailure, NoResult, ServiceError, StoreUnavailable, by_code
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.jobs.view import job_view

#: Seconds to poll after while the time left is unknown.
_POLL_S = 2.0


def live_job_view(row: JobRow, services: Services, base_url: str | None = None) -> dict[str, Any]:
    """Return the job as `/v1/jobs/{id}` shows it; raises StoreUnavailable.

    Its URLs begin with `base_url`, by default with the base path of the request.
    """
    position = services.store.position(row.id, row.tenant) if row.status == "queued" else None
    return placed_job_view(row, position, services, base_url)


def placed_job_view(
    row: JobRow, position: int | None, services: Services, base_url: str | None = None
) -> dict[str, Any]:
    """Return a job whose place in the queue is known; None when it is not queued."""
    base_url = link_base() if base_url is None else base_url
    if position is None:
        # a job that is queued in no line may not start yet
        waits = row.status is JobStatus.QUEUED
        return job_view(row, wait_s=None if waits else 0.0, base_url=base_url)
    wait_s = None
    # a job that is stored is no less so while nobody can say how long it will wait
    with suppress(StoreUnavailable):
        wait_s = predict_wait_s(position, services)
    return job_view(row, position=position, wait_s=wait_s, base_url=base_url)


def predict_wait_s(position: int, services: Services) -> float | None:
    """Return the predicted wait at a position of the queue, to a tenth; None if unknown."""
    wait = services.admission.forecast().fleet.predict_wait_s(position)
    return None if wait is None else round(wait, 1)


def why_no_answer(row: JobRow) -> ServiceError:
    """Return the error that explains why an ended job left no answer."""
    if row.status is JobStatus.FAILED and row.error:
        error_class = by_code().get(row.error["code"], JobFailure)
        return error_class(row.error["message"], hint=row.error["hint"])
    return NoResult(f"The job is {row.status.value} and has no answer.")


def poll_hint_s(view: dict[str, Any]) -> float:
    """Return after how many seconds the client of a job view should poll again, at most 30."""
    eta_s = (view["progress"] or {}).get("eta_s")
    if eta_s is None:
        run_s = (view.get("predicted") or {}).get("run_s") or 0.0
        eta_s = (view["queue"]["wait_s"] or 0.0) + run_s
    return min(30.0, float(eta_s)) if eta_s else _POLL_S
