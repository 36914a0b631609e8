"""Correcting and confirming what a job has answered."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_caller
from gateway.http import problems
from gateway.reviews.reviewing import review_job
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.jobs.queries import JobPath
from gateway.schemas.jobs.reviews import ReviewedJob, ReviewRequest
from gateway.services import current_services
from gateway.submission.body import parse_body
from shared import errors
from shared.jobs.view import review_view

reviews = APIBlueprint("reviews", __name__, abp_tags=[Tag(name="jobs")])


@reviews.post(
    "/v1/jobs/<job_id>/review",
    summary="Review a job's answer",
    responses={
        200: ReviewedJob,
        **problems.documented(
            errors.NotFound,
            errors.Erased,
            errors.NotReviewable,
            errors.ReviewChanged,
            errors.BadReview,
            errors.InvalidJson,
            errors.PayloadTooLarge,
            errors.UnsupportedMediaType,
            errors.BadParameters,
            errors.JobTooNew,
            *WRITE_ERRORS,
        ),
    },
)
def review(path: JobPath) -> dict[str, Any]:
    """Store corrections and confirmations beside the answer, which stays as it is.

    Of several reviewers at once all are heard; of one place the last one wins, unless `if_version`
    is given. The same request again changes nothing. A job has up to 2,000 corrections and
    confirmations, of 128 KiB together; they are erased with it.
    """
    said = parse_body(request, ReviewRequest)
    row = review_job(path.job_id, said, current_services(), current_caller())
    return {"object": "review", "job_id": row.id, "review": review_view(row)}
