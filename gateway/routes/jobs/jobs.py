"""Submitting, reading, canceling, retrying and erasing jobs."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.responses.after_change import after_change
from gateway.responses.following.followed_job import FollowedJob
from gateway.responses.following.long_poll import LongPoll, preferred_wait_s, query_wait_s
from gateway.responses.job_response import job_response, stored_response
from gateway.responses.result_response import overlay_response, result_response
from gateway.responses.views.job import live_job_view, why_no_answer
from gateway.routes.refusals import ERASE_ERRORS, READ_ERRORS, SUBMIT_ERRORS, WRITE_ERRORS
from gateway.schemas.jobs.job import Job, JobList
from gateway.schemas.jobs.queries import (
    JobPath,
    ListQuery,
    OverlayQuery,
    ResultQuery,
    SubmitHeader,
    WaitQuery,
)
from gateway.services import current_services
from gateway.submission.idempotency import find_key
from gateway.submission.resubmit import is_retryable, resubmit_job
from gateway.submission.submit import submit_request
from shared import errors

jobs = APIBlueprint("jobs", __name__, abp_tags=[Tag(name="jobs")])

#: Of what is drawn on the images and pages of a job.
_SCAN_ERRORS = (
    errors.NoPlaces,
    errors.ImageNotFound,
    errors.DocumentNotFound,
    errors.DocumentDamaged,
    errors.DocumentTooSlow,
    errors.DocumentTooComplex,
    errors.PageTooLarge,
)
#: Seconds: a worker learns of a cancel with its next heartbeat and stops within one step.
_STOP_S = 3.0


@jobs.post("/v1/jobs", summary="Submit a question", responses={202: Job, 200: Job, **SUBMIT_ERRORS})
def submit(header: SubmitHeader) -> Response:
    """Store and enqueue a job; 200 if it ends within `Prefer: wait`."""
    services, tenant = current_services(), current_tenant()
    wait_s = preferred_wait_s(request, services)
    key = find_key(request, services, tenant, header.idempotency_key)
    stored = submit_request(request, services, tenant, key)
    if not wait_s:
        with after_change("The job was stored", job_id=stored.doorbell.job_id):
            response = stored_response(stored, services)
    else:
        job = FollowedJob.of(request, services, tenant, stored.doorbell.job_id)
        with after_change("The job was stored", job_id=job.id):
            row = LongPoll(job, wait_s).until_terminal()
            response = job_response(row, services, accepted=True)
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    if stored.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return response


@jobs.get("/v1/jobs", summary="List jobs", responses={200: JobList, **READ_ERRORS})
def list_jobs(query: ListQuery) -> dict[str, Any]:
    """Return a page of jobs, newest first."""
    services = current_services()
    rows, more = services.store.page(
        current_tenant(),
        limit=query.limit,
        after=query.after,
        status=query.status,
        session_id=query.session_id,
        group=query.group,
    )
    return {
        "object": "list",
        "data": [live_job_view(row, services) for row in rows],
        "has_more": more,
        "last_id": rows[-1].id if rows else None,
    }


@jobs.get("/v1/jobs/<job_id>", summary="Get a job", responses={200: Job, **READ_ERRORS})
def read(path: JobPath, query: WaitQuery) -> Response:  # noqa: ARG001
    """Return the job; with `wait`, as soon as its status or progress changes."""
    services = current_services()
    wait_s = query_wait_s(request, services)
    job = FollowedJob.of(request, services, current_tenant(), path.job_id)
    return job_response(LongPoll(job, wait_s).until_change(), services)


@jobs.get(
    "/v1/jobs/<job_id>/result",
    summary="Get a job's result",
    responses={
        202: Job,
        **problems.documented(
            errors.NotFound,
            errors.NoResult,
            errors.NotAcceptable,
            errors.ResultTooLarge,
            errors.BadParameters,
            errors.Erased,
            errors.StoreUnavailable,
            errors.Unavailable,
            errors.JobTooNew,
            errors.JobFailure,
            errors.InferenceFailed,
            errors.OutOfMemory,
            errors.PoisonJob,
            errors.ImageGone,
            errors.DocumentGone,
            errors.PageFailed,
            errors.InputTooLong,
            errors.InputTooLarge,
            errors.BadConstraint,
            errors.ReaderUnavailable,
            errors.ConstraintTooComplex,
            *_SCAN_ERRORS,
        ),
    },
)
def result(path: JobPath, query: ResultQuery) -> Response:
    """Return the answer in the form that `format` or `Accept` names; 202 if not ready.

    Plain text for whoever names none. A table is a table in HTML, XLSX, DOCX and CSV. A searchable
    PDF and hOCR are made of jobs that have boxes. What reviewers have corrected is applied with
    `corrected=true`; JSON has it in the member `corrections` in any case.
    """
    services = current_services()
    row = services.store.get(path.job_id, current_tenant())
    if not row.status.terminal:
        return job_response(row, services, accepted=True)
    if row.output is None:
        raise why_no_answer(row)
    return result_response(row, services, query.format, corrected=query.corrected)


@jobs.get(
    "/v1/jobs/<job_id>/overlay.svg",
    summary="Get a picture with its boxes",
    responses={
        202: Job,
        **problems.documented(
            errors.NotFound,
            errors.NoResult,
            errors.ResultTooLarge,
            *_SCAN_ERRORS,
            errors.BadParameters,
            errors.Erased,
            errors.StoreUnavailable,
            errors.Unavailable,
            errors.JobTooNew,
            errors.JobFailure,
        ),
    },
)
def overlay(path: JobPath, query: OverlayQuery) -> Response:
    """Return one page or image with a box for each line, its text as the title; 202 if not ready.

    What reviewers have corrected or confirmed is green; a title tells what was read there before.
    The picture is inside of the SVG, which loads nothing and runs nothing.
    """
    services = current_services()
    row = services.store.get(path.job_id, current_tenant())
    if not row.status.terminal:
        return job_response(row, services, accepted=True)
    if row.output is None:
        raise why_no_answer(row)
    return overlay_response(row, services, query)


@jobs.post(
    "/v1/jobs/<job_id>/cancel",
    summary="Cancel a job",
    responses={
        200: Job,
        **problems.documented(errors.NotFound, errors.Erased, errors.NotCancelable, *WRITE_ERRORS),
    },
)
def cancel(path: JobPath) -> Response:
    """Cancel a queued job immediately; a running one stops within one step and keeps its text.

    The response waits briefly for that, and shows a running job if it takes longer.
    """
    services, tenant = current_services(), current_tenant()
    outcome = services.store.cancel(path.job_id, tenant)
    if outcome not in ("canceled", "canceling"):
        raise errors.NotCancelable(f"The job is already {outcome}.")
    wait_s = _STOP_S if outcome == "canceling" else 0
    job = FollowedJob.of(request, services, tenant, path.job_id)
    with after_change("The job was asked to stop", job_id=path.job_id):
        return job_response(LongPoll(job, wait_s).until_terminal(), services)


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
            errors.DocumentNotFound,
            errors.InputTooLong,
            errors.InputTooLarge,
            errors.SessionBusy,
            errors.TooManyInFlight,
            errors.TooManyQueued,
            *WRITE_ERRORS,
            errors.QueueFull,
        ),
    },
)
def retry(path: JobPath) -> Response:
    """Create a new job from a failed, expired, canceled or partial one, which stays unchanged.

    Parts of a long image and pages of a document that were already read are reused.
    """
    services, tenant = current_services(), current_tenant()
    row = services.store.get(path.job_id, tenant)
    if not is_retryable(row):
        raise errors.NotRetryable(f"The job is {row.status.value}.")
    stored = resubmit_job(row, services)
    with after_change("The job was stored", job_id=stored.doorbell.job_id):
        return stored_response(stored, services)


@jobs.delete("/v1/jobs/<job_id>", summary="Erase a job", responses={204: None, **ERASE_ERRORS})
def erase(path: JobPath) -> tuple[str, int]:
    """Cancel the job and delete all its data; later reads return 410."""
    current_services().store.erase(path.job_id, current_tenant())
    return "", 204
