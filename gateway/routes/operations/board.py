"""The jobs of all keys: listing, canceling and retrying them."""

from __future__ import annotations

from typing import Any

from flask import g
from flask_openapi3 import APIBlueprint, Tag

from gateway.audit import note_made
from gateway.http import problems
from gateway.responses.after_change import after_change
from gateway.responses.views.operations import board_view
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.jobs.queries import JobPath
from gateway.schemas.operations import BoardJob, BoardList, BoardQuery
from gateway.services import current_services
from gateway.submission.enqueue import trace_context
from gateway.submission.resubmit import retry_for_operator
from shared import errors
from shared.store.access.api_key_types import ALL, ApiKeyError
from shared.store.operations.job_board import JobSummary, Place, Wanted

board = APIBlueprint("board", __name__, abp_tags=[Tag(name="operations")])

_READ_ERRORS = (
    errors.InsufficientScope,
    errors.NotFound,
    errors.Erased,
    errors.BadParameters,
    errors.StoreUnavailable,
)


@board.get(
    "/v1/ops/jobs",
    summary="List the jobs of all keys",
    responses={200: BoardList, **problems.documented(*_READ_ERRORS)},
)
def list_all(query: BoardQuery) -> dict[str, Any]:
    """Return a page of jobs without their content."""
    page = current_services().job_board.page(
        query.status,
        Wanted(_find_tenant(query.key), query.model, query.worker, query.code),
        Place.parse(query.after) if query.after else None,
        query.limit,
    )
    return {
        "object": "list",
        "data": _views(page.jobs),
        "has_more": page.next is not None,
        "next": page.next and str(page.next),
    }


@board.get(
    "/v1/ops/jobs/<job_id>",
    summary="Get a job of any key",
    responses={200: BoardJob, **problems.documented(*_READ_ERRORS)},
)
def read_any(path: JobPath) -> dict[str, Any]:
    """Return a job without its content."""
    return _view_of(path.job_id)


@board.post(
    "/v1/ops/jobs/<job_id>/cancel",
    summary="Cancel a job of any key",
    responses={
        200: BoardJob,
        **problems.documented(*_READ_ERRORS, errors.NotCancelable, *WRITE_ERRORS),
    },
)
def cancel_any(path: JobPath) -> dict[str, Any]:
    """Cancel a queued job immediately; a running one is `canceling` until its worker stops."""
    services = current_services()
    tenant = _note_owner(path.job_id)
    outcome = services.store.cancel(path.job_id, tenant)
    if outcome not in ("canceled", "canceling"):
        raise errors.NotCancelable(f"The job is already {outcome}.")
    with after_change("The job was asked to stop", job_id=path.job_id):
        return _view_of(path.job_id)


@board.post(
    "/v1/ops/jobs/<job_id>/retry",
    summary="Retry a job of any key",
    responses={
        202: BoardJob,
        **problems.documented(
            *_READ_ERRORS,
            errors.NotRetryable,
            errors.ImageNotFound,
            errors.DocumentNotFound,
            errors.InputTooLong,
            errors.InputTooLarge,
            errors.SessionBusy,
            errors.BudgetSpent,
            errors.JobTooNew,
            *WRITE_ERRORS,
            errors.QueueFull,
        ),
    },
)
def retry_any(path: JobPath) -> tuple[dict[str, Any], int]:
    """Create a new job of the same key and input from one that failed, expired or was canceled.

    A job is retried once: asked again while the new one has not ended, that is returned.
    """
    services = current_services()
    tenant = _note_owner(path.job_id)
    row = services.store.get(path.job_id, tenant)
    made = retry_for_operator(row, services, trace_context())
    note_made(made)
    with after_change("The job was stored", job_id=made):
        return _view_of(made), 202


def _find_tenant(key: str | None) -> str | None:
    """Return the tenant of a key by name or id; raises NotFound."""
    if key is None or key == ALL:
        return None
    try:
        (tenant,) = current_services().api_keys.tenants(key)
    except ApiKeyError as error:
        raise errors.NotFound(str(error)) from None
    return tenant


def _note_owner(job_id: str) -> str:
    """Return the tenant of a job, which the audit log names; raises NotFound and Erased."""
    tenant = current_services().job_board.get(job_id).tenant
    g.audited = {"owner": tenant}
    return tenant


def _view_of(job_id: str) -> dict[str, Any]:
    (view,) = _views([current_services().job_board.get(job_id)])
    return view


def _views(jobs: list[JobSummary]) -> list[dict[str, Any]]:
    services = current_services()
    names = services.api_keys.names({job.tenant for job in jobs})
    now_ms = services.job_board.now_ms()
    return [board_view(job, names, now_ms) for job in jobs]
