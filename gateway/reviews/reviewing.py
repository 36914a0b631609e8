"""Stores what a reviewer says of a job's answer, also while others do."""

from __future__ import annotations

from gateway.reviews.statements import add_statements
from gateway.schemas.jobs.reviews import ReviewRequest
from gateway.services import Services
from shared.errors import NotReviewable, ReviewChanged
from shared.jobs import JobStatus
from shared.jobs.answers.review import Statement
from shared.jobs.row import JobRow
from shared.store.access.api_key_types import Caller

#: So many others may come before a review is given up.
_TRIES = 20


def review_job(job_id: str, request: ReviewRequest, services: Services, caller: Caller) -> JobRow:
    """Return the job with its review as it is now; what is said again changes nothing.

    Of several reviewers at once all are heard, the last one about the same place. Raises NotFound,
    Erased, JobTooNew, NotReviewable, BadReview, ReviewChanged and OutcomeUnknown.
    """
    at_ms = services.reviews.now_ms()
    # whoever needs no key has no name
    by = caller.name or caller.tenant
    said = Statement(by=by, reviewer=request.reviewer, at_ms=at_ms)
    for _ in range(_TRIES):
        row = services.store.get(job_id, caller.tenant)
        if row.status is not JobStatus.SUCCEEDED:
            raise NotReviewable(f"The job is {row.status.value}.")
        review = add_statements(row, request, said)
        if review == row.review:
            return row
        if request.if_version not in (None, row.review_version):
            raise ReviewChanged(f"The review is now at version {row.review_version}.")
        state = review.state(row.doubtful_parts)
        if services.reviews.put(row, review, state):
            version = row.review_version + 1
            return row.model_copy(
                update={"review": review, "review_state": state, "review_version": version}
            )
    raise ReviewChanged
