"""What people have said of answers: it lies in the row of the job, beside the output."""

from __future__ import annotations

import secrets

from shared.errors import NotReviewable
from shared.jobs.answers.review import Review, ReviewState
from shared.jobs.row import JobRow
from shared.store.connection import Client, load_script
from shared.store.failures import confirm, guard


class ReviewStore:
    """Changes reviews; every method raises StoreUnavailable without Redis."""

    def __init__(self, client: Client) -> None:
        self._redis = client
        self._review = load_script(client, "jobs/review")

    def now_ms(self) -> int:
        """Return the present millisecond of Redis' clock."""
        with guard():
            seconds, micros = self._redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def put(self, row: JobRow, review: Review, state: ReviewState) -> bool:
        """Store a review that was made of this row's; False if that has changed meanwhile.

        A job that has vanished meanwhile counts as changed. Raises NotReviewable, and
        OutcomeUnknown where Redis does not confirm it.
        """
        known = (row.id, row.tenant, row.review_version, secrets.token_hex(16))
        args: list[str | int] = [*known, review.model_dump_json(), state]
        outcome = confirm(lambda: self._review(keys=[], args=args), job_id=row.id)
        if outcome in ("applied", "changed", "missing"):
            return bool(outcome == "applied")
        raise NotReviewable(f"The job is {outcome}.")
