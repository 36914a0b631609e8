"""A job as callers see it, with its present place in the queue."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, NamedTuple

from gateway.http.base_path import link_base
from gateway.services import Services
from shared.errors import JobFailure, NoResult, ServiceError, StoreUnavailable, by_code
from shared.jobs import JobStatus
from shared.jobs.parameters.route import Route
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
    outlook = _PLACELESS if row.status is JobStatus.QUEUED else Outlook(0.0, running_eta_s(row))
    if position is not None:
        outlook = _UNKNOWN
        # a job that is stored is no less so while nobody can say how long it will wait
        with suppress(StoreUnavailable):
            outlook = predict_outlook(position, services, row.predicted_run_s, row.route)
    return job_view(
        row, position=position or 0, wait_s=outlook.wait_s, eta_s=outlook.eta_s, base_url=base_url
    )


def new_job_view(row: JobRow, position: int | None, services: Services) -> dict[str, Any]:
    """Return a job that was stored just now: its outlook is what was predicted."""
    if position is None or not row.predicted:
        return placed_job_view(row, position, services)
    wait_s, eta_s = (_rounded(row.predicted[name]) for name in ("wait_s", "total_s"))
    return job_view(row, position=position, wait_s=wait_s, eta_s=eta_s, base_url=link_base())


class Outlook(NamedTuple):
    """The seconds until a job starts and until it ends; None where that is not known."""

    wait_s: float | None
    eta_s: float | None


#: Of a job that is queued in no line, as it may not start yet.
_PLACELESS = Outlook(None, None)
_UNKNOWN = Outlook(None, None)


def predict_outlook(
    position: int,
    services: Services,
    predicted_run_s: float | None = None,
    route: Route | None = None,
) -> Outlook:
    """Return the outlook of the job at a position of its queue; raises StoreUnavailable.

    `predicted_run_s` counts where the queue is too long for a newer prediction.
    """
    fleet = services.admission.forecast(route or Route()).fleet
    wait_s = fleet.predict_wait_s(position)
    run_s = fleet.predict_run_s(position) or predicted_run_s
    eta_s = None if wait_s is None or run_s is None else wait_s + run_s
    return Outlook(_rounded(wait_s), _rounded(eta_s))


def running_eta_s(row: JobRow) -> float | None:
    """Return the seconds until a running job ends: what it reported, or else was predicted."""
    if row.status.terminal:
        return None
    eta_s = (row.progress or {}).get("eta_s")
    if eta_s is not None:
        return float(eta_s)
    if row.predicted_run_s is None or row.started_ms is None:
        return None
    left_s = row.predicted_run_s - (time.time() - row.started_ms / 1000)
    # one that takes longer than was predicted has no other estimate yet
    return round(left_s, 1) if left_s > 0 else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def why_no_answer(row: JobRow) -> ServiceError:
    """Return the error that explains why an ended job left no answer."""
    if row.status is JobStatus.FAILED and row.error:
        error_class = by_code().get(row.error["code"], JobFailure)
        return error_class(row.error["message"], hint=row.error["hint"])
    return NoResult(f"The job is {row.status.value} and has no answer.")


def poll_hint_s(view: dict[str, Any]) -> float:
    """Return after how many seconds the client of a job view should poll again, at most 30."""
    eta_s = view["eta_s"] or view["queue"]["wait_s"]
    return min(30.0, float(eta_s)) if eta_s else _POLL_S
