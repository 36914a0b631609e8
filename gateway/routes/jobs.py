"""Submitting, reading, stopping, repeating and erasing jobs."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.responses.job_response import added_response, job_response
from gateway.responses.job_view import job_view, why_no_answer
from gateway.responses.long_poll import LongPoll, preferred_wait_s, query_wait_s
from gateway.routes.refusals import READ_ERRORS, SUBMIT_ERRORS
from gateway.schemas.jobs import Job, JobList, JobPath, ListQuery, SubmitHeader, WaitQuery
from gateway.services import current_services
from gateway.submission import submit as intake
from gateway.submission.idempotency import key_of
from shared import errors
from shared.jobs import JobStatus

jobs = APIBlueprint("jobs", __name__, abp_tags=[Tag(name="jobs")])

#: A worker hears of a cancel with its next beat and stops within one step.
_STOP_S = 3.0


@jobs.post("/v1/jobs", summary="Submit a question", responses={202: Job, 200: Job, **SUBMIT_ERRORS})
def submit(header: SubmitHeader) -> Response:
    """Store and enqueue a job; 200 if it ends within `Prefer: wait`."""
    found, who = current_services(), current_tenant()
    wait_s = preferred_wait_s(request, found)
    key = key_of(request, found, who, header.idempotency_key)
    added = intake.submit_request(request, found, who, key)
    if not wait_s:
        response = added_response(added, found)
    else:
        row = LongPoll(request, found, who, added.doorbell.job_id, wait_s).until_terminal()
        response = job_response(row, found, accepted=True)
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    if added.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


@jobs.get("/v1/jobs", summary="List jobs", responses={200: JobList, **READ_ERRORS})
def list_jobs(query: ListQuery) -> dict[str, Any]:
    """Return a page of jobs, newest first."""
    found = current_services()
    rows, more = found.store.page(
        current_tenant(),
        limit=query.limit,
        after=query.after,
        status=query.status,
        session_id=query.session_id,
    )
    return {
        "object": "list",
        "data": [job_view(row, found) for row in rows],
        "has_more": more,
        "last_id": rows[-1].id if rows else None,
    }


@jobs.get("/v1/jobs/<job_id>", summary="Get a job", responses={200: Job, **READ_ERRORS})
def read(path: JobPath, query: WaitQuery) -> Response:  # noqa: ARG001
    """Return the job; with `wait`, as soon as its status or progress changes."""
    found = current_services()
    wait_s = query_wait_s(request, found)
    row = LongPoll(request, found, current_tenant(), path.job_id, wait_s).until_change()
    return job_response(row, found)


@jobs.get(
    "/v1/jobs/<job_id>/result",
    summary="Get a job's result",
    responses={
        202: Job,
        **problems.documented(
            errors.NotFound,
            errors.NoResult,
            errors.Erased,
            errors.StoreUnavailable,
            errors.JobTooNew,
            errors.JobFailure,
            errors.InferenceFailed,
            errors.OutOfMemory,
            errors.PoisonJob,
            errors.ImageGone,
            errors.InputTooLong,
            errors.InputTooLarge,
            errors.BadConstraint,
            errors.ConstraintTooComplex,
        ),
    },
)
def result(path: JobPath) -> Response:
    """Return the answer as text, Markdown or JSON, depending on `Accept`; 202 if not ready."""
    found = current_services()
    row = found.store.get(path.job_id, current_tenant())
    if not row.status.terminal:
        return job_response(row, found, accepted=True)
    if row.output is None:
        raise why_no_answer(row)
    kind = request.accept_mimetypes.best_match(
        ["text/plain", "text/markdown", "application/json"], default="text/plain"
    )
    if kind == "application/json":
        return jsonify(row.output)
    return Response(row.output["text"], mimetype=kind)


@jobs.post(
    "/v1/jobs/<job_id>/cancel",
    summary="Cancel a job",
    responses={
        200: Job,
        **problems.documented(
            errors.NotFound, errors.Erased, errors.NotCancelable, errors.StoreUnavailable
        ),
    },
)
def cancel(path: JobPath) -> Response:
    """Cancel a queued job immediately; a running one stops within one step and keeps its text.

    The answer waits a moment for that, and shows a running job if it takes longer.
    """
    found, who = current_services(), current_tenant()
    what = found.store.cancel(path.job_id, who)
    if what not in ("canceled", "canceling"):
        raise errors.NotCancelable(f"The job is {what} already.")
    wait_s = _STOP_S if what == "canceling" else 0
    return job_response(LongPoll(request, found, who, path.job_id, wait_s).until_terminal(), found)


@jobs.post(
    "/v1/jobs/<job_id>/retry",
    summary="Retry a job",
    responses={
        202: Job,
        **problems.documented(
            errors.NotFound,
            errors.Erased,
            errors.NotRetryable,
            errors.ImageNotFound,
            errors.InputTooLong,
            errors.InputTooLarge,
            errors.SessionBusy,
            errors.TooManyInFlight,
            errors.TooManyQueued,
            errors.StoreUnavailable,
            errors.QueueFull,
        ),
    },
)
def retry(path: JobPath) -> Response:
    """Create a new job from a failed, expired, canceled or partial one, which stays unchanged.

    Parts of a long image that were read already are taken over.
    """
    found, who = current_services(), current_tenant()
    row = found.store.get(path.job_id, who)
    if row.status not in (JobStatus.FAILED, JobStatus.EXPIRED, JobStatus.CANCELED) and not (
        row.status is JobStatus.SUCCEEDED and row.output and row.output["partial"]
    ):
        raise errors.NotRetryable(f"The job is {row.status.value}.")
    added = intake.resubmit_job(row, found)
    return added_response(added, found)


@jobs.delete("/v1/jobs/<job_id>", summary="Erase a job", responses={204: None, **READ_ERRORS})
def erase(path: JobPath) -> tuple[str, int]:
    """Cancel the job and delete all its data; later reads return 410."""
    current_services().store.erase(path.job_id, current_tenant())
    return "", 204
