"""The article's endpoint: ask and wait, on the same queue as everything else."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from gateway import intake
from gateway.auth import tenant
from gateway.routes.jobs import SUBMIT_ERRORS, job_response
from gateway.schemas import Job
from gateway.services import services
from gateway.waiting import until_terminal

predict = APIBlueprint("predict", __name__, abp_tags=[Tag(name="jobs")])


@predict.post("/predict", summary="Ask and wait", responses={200: Job, 202: Job, **SUBMIT_ERRORS})
def ask() -> Response:
    """Wait up to a minute for the answer; 202 with the job if it takes longer."""
    found, who = services(), tenant()
    added = intake.submit(request, found, who, request.headers.get("Idempotency-Key"))
    row = until_terminal(added.doorbell.job_id, who, found, found.settings.max_wait_s)
    return job_response(row, found, accepted=True)
