"""Every failure that this package raises.

SightlineError
├── APIError                 the service refused a request; `code`, `detail` and `hint` say why
│   ├── InvalidRequest       change the request
│   │   └── BadParameters · InvalidImage · InvalidDocument · InputTooLong · …
│   ├── Unauthorized · NotFound (Erased, ImageNotFound)
│   ├── Conflict             the request does not fit the state: SessionBusy, NotCancelable, …
│   ├── LimitReached         your own limit: come back in `retry_after_s`
│   ├── Unavailable          the service cannot take it now: QueueFull, NoWorkers, …
│   └── ServerError          the service failed
├── JobFailed                a job ended without success; `code`, `hint` and `job` say more
│   └── JobCanceled · JobExpired
├── NoConnection             the service did not respond, despite retries
├── UnexpectedAnswer         something other than Sightline responded
├── WaitTimeout              your timeout expired; the job keeps running
└── WebhookError             a message that cannot be trusted
    └── MissingHeader · BadTimestamp · BadSignature · BadPayload · BadSecret
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sightline.types import JobData


class SightlineError(Exception):
    """Base class of everything that this package raises."""


class APIError(SightlineError):
    """The service refused a request."""

    #: The service's error codes that raise this class.
    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, status: int, problem: Mapping[str, Any], retry_after_s: float | None = None
    ) -> None:
        """`problem` is the service's problem+json, or empty when there was none."""
        self.status = status
        self.code = str(problem.get("code") or f"http_{status}")
        self.title = str(problem.get("title") or "")
        self.detail = str(problem.get("detail") or self.title or f"HTTP status {status}")
        self.hint = str(problem.get("hint") or "")
        #: JSON pointer to the invalid part of the request.
        self.pointer: str | None = problem.get("pointer")
        self.request_id = str(problem.get("request_id") or "")
        #: Seconds that the service asks you to wait before a retry.
        self.retry_after_s = retry_after_s
        self.problem = dict(problem)
        super().__init__(f"{self.code}: {self.detail}" + (f" {self.hint}" if self.hint else ""))


class InvalidRequest(APIError):
    """The request cannot be processed as it is."""

    codes: ClassVar[tuple[str, ...]] = (
        "bad_request",
        "invalid_json",
        "invalid_base64",
        "unsupported_media_type",
        "request_timeout",
        "host_not_allowed",
        "not_acceptable",
        "result_too_large",
    )


class BadParameters(InvalidRequest):
    """A parameter is missing, unknown or out of bounds, or a constraint cannot be enforced."""

    codes: ClassVar[tuple[str, ...]] = (
        "bad_parameters",
        "bad_constraint",
        "reader_unavailable",
        "model_required",
    )


class IdempotencyKeyReused(InvalidRequest):
    """This Idempotency-Key was already used with a different body."""

    codes: ClassVar[tuple[str, ...]] = ("idempotency_key_reused",)


class InputTooLong(InvalidRequest):
    """Prompt and images exceed the model's context window or the worker's memory."""

    codes: ClassVar[tuple[str, ...]] = ("input_too_long", "input_too_large")


class BadReview(InvalidRequest):
    """A correction or confirmation does not fit the answer; `pointer` names it."""

    codes: ClassVar[tuple[str, ...]] = ("bad_review",)


class PayloadTooLarge(InvalidRequest):
    """The request is larger than the service accepts."""

    codes: ClassVar[tuple[str, ...]] = ("payload_too_large",)


class UrlNotAllowed(InvalidRequest):
    """The service is not allowed to fetch this URL."""

    codes: ClassVar[tuple[str, ...]] = ("url_not_allowed",)


class UrlFetchFailed(InvalidRequest):
    """The service could not fetch the URL."""

    codes: ClassVar[tuple[str, ...]] = ("url_fetch_failed",)


class InvalidImage(InvalidRequest):
    """The image cannot be used; `code` says why."""

    codes: ClassVar[tuple[str, ...]] = (
        "image_error",
        "unsupported_image_format",
        "image_empty",
        "image_truncated",
        "upload_mismatch",
        "image_decode_failed",
        "image_dimensions",
        "image_aspect",
    )


class InvalidDocument(InvalidRequest):
    """The document cannot be used; `code` says why."""

    codes: ClassVar[tuple[str, ...]] = (
        "document_error",
        "document_damaged",
        "document_encrypted",
        "document_password_wrong",
        "too_many_pages",
        "page_out_of_range",
        "page_too_large",
        "document_too_slow",
        "document_too_complex",
        "document_not_found",
    )


class Unauthorized(APIError):
    """The API key is missing, invalid or not allowed to do this."""

    codes: ClassVar[tuple[str, ...]] = (
        "unauthorized",
        "forbidden",
        "insufficient_scope",
        "budget_spent",
        "origin_not_allowed",
    )


class NotFound(APIError):
    """Nothing was found under this ID."""

    codes: ClassVar[tuple[str, ...]] = ("not_found", "method_not_allowed", "model_not_found")


class ImageNotFound(NotFound):
    """The image ID is unknown or has expired."""

    codes: ClassVar[tuple[str, ...]] = ("image_not_found", "image_gone")


class Erased(NotFound):
    """This job was erased on request."""

    codes: ClassVar[tuple[str, ...]] = ("erased",)


class Conflict(APIError):
    """The request conflicts with the current state."""

    codes: ClassVar[tuple[str, ...]] = ("conflict", "no_result", "no_places", "answer_changed")


class SessionBusy(Conflict):
    """The session is answering another question."""

    codes: ClassVar[tuple[str, ...]] = ("session_busy",)


class NotCancelable(Conflict):
    """The job has already ended."""

    codes: ClassVar[tuple[str, ...]] = ("not_cancelable",)


class NotRetryable(Conflict):
    """Only a failed, expired or canceled job can be retried."""

    codes: ClassVar[tuple[str, ...]] = ("not_retryable",)


class NotReviewable(Conflict):
    """Only the answer of a job that has succeeded can be reviewed."""

    codes: ClassVar[tuple[str, ...]] = ("not_reviewable",)


class ReviewChanged(Conflict):
    """Somebody else has reviewed the answer meanwhile."""

    codes: ClassVar[tuple[str, ...]] = ("review_changed",)


class LimitReached(APIError):
    """Your key has reached one of its limits."""

    codes: ClassVar[tuple[str, ...]] = ("rate_limited",)


class TooManyInFlight(LimitReached):
    """Your key has too many unfinished or waiting jobs."""

    codes: ClassVar[tuple[str, ...]] = ("too_many_in_flight", "too_many_queued")


class Unavailable(APIError):
    """The service cannot accept this request right now."""

    codes: ClassVar[tuple[str, ...]] = (
        "unavailable",
        "store_unavailable",
        "store_cannot_write",
        "blobs_unavailable",
        "store_fault",
        "outcome_unknown",
        "not_replicated",
        "replicas_missing",
        "image_host_unavailable",
        "job_too_new",
    )


class QueueFull(Unavailable):
    """The queue is full."""

    codes: ClassVar[tuple[str, ...]] = ("queue_full",)


class NoWorkers(Unavailable):
    """No worker with a loaded model is running."""

    codes: ClassVar[tuple[str, ...]] = ("no_workers",)


class ServerError(APIError):
    """The service had an internal error."""

    codes: ClassVar[tuple[str, ...]] = (
        "internal_error",
        "job_failed",
        "inference_failed",
        "out_of_memory",
        "poison",
    )


#: Classes for statuses whose code this version does not know.
_BY_STATUS: dict[int, type[APIError]] = {
    401: Unauthorized,
    403: Unauthorized,
    404: NotFound,
    409: Conflict,
    410: Erased,
    413: PayloadTooLarge,
    429: LimitReached,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def _classes_by_code(kind: type[APIError]) -> dict[str, type[APIError]]:
    by_code = dict.fromkeys(kind.codes, kind)
    for below in kind.__subclasses__():
        by_code |= _classes_by_code(below)
    return by_code


_CLASSES = _classes_by_code(APIError)


def api_error(
    status: int, problem: Mapping[str, Any], retry_after_s: float | None = None
) -> APIError:
    """Return the error of the narrowest class for a refused request."""
    fallback = ServerError if status >= 500 else InvalidRequest
    kind = _CLASSES.get(str(problem.get("code"))) or _BY_STATUS.get(status, fallback)
    return kind(status, problem, retry_after_s)


class JobFailed(SightlineError):
    """The job ended without success."""

    def __init__(self, job: JobData) -> None:
        error = job.get("error") or {}
        self.job = job
        self.code = str(error.get("code") or job["status"])
        self.detail = str(error.get("message") or f"The job is {job['status']}.")
        self.hint = str(error.get("hint") or "")
        #: Whether the same job may succeed if it is retried.
        self.retryable = bool(error.get("retryable", True))
        super().__init__(
            " ".join(part for part in (f"{self.code}: {self.detail}", self.hint, job["id"]) if part)
        )

    @property
    def partial(self) -> str:
        """Return the part of the answer that was written before the end."""
        output = self.job.get("output")
        return output["text"] if output else ""


class JobCanceled(JobFailed):
    """The job was canceled."""


class JobExpired(JobFailed):
    """The job's deadline passed before it finished."""


def job_failed(job: JobData) -> JobFailed:
    """Return the error of the narrowest class for an ended job."""
    kinds: dict[str, type[JobFailed]] = {"canceled": JobCanceled, "expired": JobExpired}
    return kinds.get(job["status"], JobFailed)(job)


class NoConnection(SightlineError):
    """The service did not respond."""


class UnexpectedAnswer(SightlineError):
    """The response is not one of Sightline; check the URL."""


class WaitTimeout(SightlineError, TimeoutError):
    """The timeout expired; the job keeps running."""

    def __init__(self, job: JobData, waited_s: float) -> None:
        self.job = job
        super().__init__(
            f"{job['id']} is still {job['status']} after {waited_s:g} s; it keeps running."
        )


class WebhookError(SightlineError):
    """The message cannot be trusted: respond with 400 and ignore it."""


class MissingHeader(WebhookError):
    """A header of Standard Webhooks is missing."""


class BadTimestamp(WebhookError):
    """The message's timestamp is outside the tolerance or invalid."""


class BadSignature(WebhookError):
    """No signature of the message matches a known secret."""


class BadPayload(WebhookError):
    """The message is signed, but is not a JSON object with a type."""


class BadSecret(WebhookError, ValueError):
    """The secret is not `whsec_` and base64: correct the receiver's configuration."""
