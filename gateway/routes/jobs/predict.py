"""`/predict`: submit a job and wait for its answer in one request."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.responses.after_change import after_change
from gateway.responses.following.followed_job import FollowedJob
from gateway.responses.following.long_poll import LongPoll
from gateway.responses.job_response import job_response
from gateway.responses.views.job import why_no_answer
from gateway.routes.refusals import SUBMIT_ERRORS
from gateway.schemas.jobs.job import Job
from gateway.schemas.jobs.queries import KeyHeader
from gateway.services import current_services
from gateway.submission.idempotency import find_key
from gateway.submission.submit import submit_request
from shared.jobs import JobStatus

predict = APIBlueprint("predict", __name__, abp_tags=[Tag(name="jobs")])


@predict.post(
    "/predict", summary="Submit and wait", responses={200: Job, 202: Job, **SUBMIT_ERRORS}
)
def ask(header: KeyHeader) -> Response:
    """Wait up to a minute for the answer; 202 with the job if it takes longer.

    A job that failed has the status of its error, such as 500, and says why in `error`.
    """
    services, tenant = current_services(), current_tenant()
    key = find_key(request, services, tenant, header.idempotency_key)
    stored = submit_request(request, services, tenant, key)
    job = FollowedJob.of(request, services, tenant, stored.doorbell.job_id)
    with after_change("The job was stored", job_id=job.id):
        row = LongPoll(job, services.settings.max_wait_s).until_terminal()
        response = job_response(row, services, accepted=True)
        if row.status.terminal and row.status is not JobStatus.SUCCEEDED:
            response.status_code = why_no_answer(row).status
        return response
