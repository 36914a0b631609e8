"""Every error that a caller can see.

ServiceError
├── InputError        the caller's input is wrong: do not repeat it unchanged
│   ├── InvalidJson · InvalidBase64 · BadParameters · BadConstraint
│   ├── InputTooLong
│   │   └── InputTooLarge
│   ├── IdempotencyKeyReused · UrlNotAllowed · UrlFetchFailed
│   ├── Unauthorized · InsufficientScope · BudgetSpent · HostNotAllowed · OriginNotAllowed
│   ├── NotFound · ModelNotFound · ModelRequired · ImageNotFound · DocumentNotFound
│   ├── MethodNotAllowed · Erased
│   ├── NotAcceptable · ResultTooLarge · ReaderUnavailable · BadReview
│   ├── Conflict
│   │   ├── NotCancelable · NotRetryable · NoResult · NoPlaces · AnswerChanged · SessionBusy
│   │   └── NotReviewable · ReviewChanged
│   ├── PayloadTooLarge · RequestTimeout · UnsupportedMediaType
│   ├── ImageError
│   │   ├── UnsupportedImageFormat · ImageEmpty · ImageTruncated · UploadMismatch
│   │   └── ImageDecodeFailed · ImageDimensions · ImageAspect
│   └── DocumentError
│       ├── DocumentDamaged · DocumentEncrypted · DocumentPasswordWrong
│       ├── TooManyPages · PageOutOfRange · PageTooLarge
│       └── DocumentTooSlow · DocumentTooComplex
├── LimitError        a limit of the caller's key is reached: repeat it later
│   └── TooManyInFlight · TooManyQueued
├── Unavailable       the service cannot take it now: repeat it later
│   ├── StoreUnavailable
│   │   ├── StoreCannotWrite · StoreFault · ReplicasMissing · BlobsUnavailable
│   │   └── OutcomeUnknown
│   │       └── NotReplicated
│   └── JobTooNew · QueueFull · ImageHostUnavailable · NoWorkers
└── JobFailure        an accepted job failed
    ├── InferenceFailed · OutOfMemory · ConstraintTooComplex
    └── PoisonJob · TileFailed · PageFailed · ImageGone · DocumentGone

The class docstring is the message, the title and the documentation of an error.
"""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from shared.excerpt import excerpt

#: Whoever forgets to shorten what a caller sent is stopped here.
_MAX_DETAIL_CHARS, _MAX_POINTER_CHARS = 2000, 300


class BadConfig(Exception):
    """A settings file cannot be used; operators see the message, which is one line."""


class ServiceError(Exception):
    """An internal error occurred; the request may be repeated."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    #: May the same request succeed later without changes?
    retryable: ClassVar[bool] = True
    #: OpenAI's code for it, if that differs.
    openai_code: ClassVar[str | None] = None
    #: One sentence that tells the caller what to do.
    hint: ClassVar[str] = "Try again; if it persists, give the request ID to the operator."

    def __init__(
        self,
        detail: str | None = None,
        *,
        pointer: str | None = None,
        hint: str | None = None,
        retry_after_s: float | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """`detail` describes this occurrence; `pointer` is a JSON pointer into the request.

        Of what a caller sent they quote an excerpt.
        """
        self.detail = excerpt(detail or self.title(), _MAX_DETAIL_CHARS)
        self.pointer = pointer if pointer is None else excerpt(pointer, _MAX_POINTER_CHARS)
        self.hint_text = hint or self.hint
        self.retry_after_s = retry_after_s
        self.extra = extra or {}
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        """Return the first sentence of the class docstring."""
        return inspect.cleandoc(cls.__doc__ or cls.__name__).split("\n\n")[0].replace("\n", " ")

    def as_dict(self) -> dict[str, Any]:
        """Return the form that a job's row stores in `error`."""
        return {
            "code": self.code,
            "message": self.detail,
            "hint": self.hint_text,
            "status": self.status,
            "retryable": self.retryable,
        }


# the caller's input


class InputError(ServiceError):
    """The request cannot be processed as it is."""

    code = "bad_request"
    status = 400
    retryable = False
    hint = "Change the request; repeating it unchanged gives the same error."


class InvalidJson(InputError):
    """The body is not valid JSON."""

    code = "invalid_json"
    hint = "Send a JSON object with Content-Type: application/json, or multipart/form-data."


class InvalidBase64(InputError):
    """The image's base64 text is invalid or truncated."""

    code = "invalid_base64"
    hint = "Send standard base64 or a data: URI; check that the text is complete."


class BadParameters(InputError):
    """A parameter is missing, unknown or out of bounds."""

    code = "bad_parameters"
    status = 422
    hint = "See /docs for the parameters and their bounds."


class BadConstraint(InputError):
    """This constraint cannot be enforced."""

    code = "bad_constraint"
    status = 422
    hint = (
        "Simplify choices, regex or response_format; docs/constrained-answers.md lists the bounds."
    )


class InputTooLong(InputError):
    """Input too long: prompt and image tokens exceed the model's context window."""

    code = "input_too_long"
    openai_code: ClassVar[str | None] = "context_length_exceeded"
    status = 422
    hint = "Shorten the prompt, lower max_pixels, send fewer images or start a new session."


class InputTooLarge(InputTooLong):
    """Input too large: its images need more memory than the worker has left."""

    code = "input_too_large"
    openai_code = None
    hint = "Lower max_pixels or send fewer images; the operator can give the worker more memory."


class ReaderUnavailable(InputError):
    """No running worker has the second reader."""

    code = "reader_unavailable"
    status = 422
    hint = "Ask with reader=model, or have the operator install the extra [reader] in the workers."


class BadReview(InputError):
    """A correction or confirmation does not fit the answer."""

    code = "bad_review"
    status = 422
    hint = "Read the job's output; a pointer leads to a member of it, and a value is of its kind."


class IdempotencyKeyReused(InputError):
    """This Idempotency-Key was already used with a different body."""

    code = "idempotency_key_reused"
    status = 422
    hint = "Use a new key for a new request; repeat the same body to get the same job."


class Unauthorized(InputError):
    """The API key is missing or invalid."""

    code = "unauthorized"
    status = 401
    hint = "Send Authorization: Bearer <key> or X-API-Key."


class InsufficientScope(InputError):
    """This API key may not do this."""

    code = "insufficient_scope"
    status = 403
    hint = "Use another key, or ask the operator for the scope: sightline-admin keys set --scope."


class BudgetSpent(InputError):
    """This key has used its budget for this month."""

    code = "budget_spent"
    status = 402
    hint = (
        "Budgets begin anew on the first of the month, UTC; GET /v1/usage shows them. The operator "
        "can raise them: sightline-admin keys set --budget-jobs, --budget-pages, --budget-tokens."
    )


class HostNotAllowed(InputError):
    """This host name is not allowed while the service has no API keys."""

    code = "host_not_allowed"
    status = 421
    hint = (
        "Open http://127.0.0.1 instead, add this host to SIGHTLINE_PUBLIC_URL or "
        "SIGHTLINE_ALLOWED_HOSTS, or create an API key."
    )


class OriginNotAllowed(InputError):
    """Pages of other sites need an API key to change anything here."""

    code = "origin_not_allowed"
    status = 403
    hint = (
        "Use the service's own page; if it is behind a proxy, name its host in "
        "SIGHTLINE_PUBLIC_URL; other sites need an API key."
    )


class UrlNotAllowed(InputError):
    """The service is not allowed to fetch this URL."""

    code = "url_not_allowed"
    status = 403
    hint = "Only public http(s) addresses are allowed; upload the bytes instead."


class UrlFetchFailed(InputError):
    """The URL could not be fetched."""

    code = "url_fetch_failed"
    status = 422
    retryable = True
    hint = "Check that the URL returns 200 without a redirect, or upload the bytes."


class NotFound(InputError):
    """Nothing was found under this ID."""

    code = "not_found"
    status = 404
    hint = "Check the ID; it may belong to another key or have expired."


class ModelNotFound(InputError):
    """No running worker serves this model."""

    code = "model_not_found"
    status = 404
    hint = "See /v1/models; with wait_for_model=true a job waits until a worker for it comes."


class ModelRequired(InputError):
    """Several models are served, and none of them is the default: name one."""

    code = "model_required"
    status = 422
    hint = "Name one in `model`; the operator can set a default with SIGHTLINE_DEFAULT_MODEL."


class ImageNotFound(InputError):
    """The image ID is unknown or has expired."""

    code = "image_not_found"
    status = 422
    hint = "Upload the image again with POST /v1/images."


class DocumentNotFound(InputError):
    """The document ID is unknown or has expired."""

    code = "document_not_found"
    status = 422
    hint = "Upload the document again with POST /v1/documents."


class MethodNotAllowed(InputError):
    """This path does not support this method."""

    code = "method_not_allowed"
    status = 405
    hint = "See /docs for the methods of each path."


class NotAcceptable(InputError):
    """The result is not available in a format that the request accepts."""

    code = "not_acceptable"
    status = 406
    hint = (
        "Accept text/plain, text/markdown, application/json, text/html, text/csv, Office's "
        "types, application/pdf or text/vnd.hocr+html, or name a form: ?format=text, markdown, "
        "json, html, csv, xlsx, docx, pdf or hocr."
    )


class ResultTooLarge(InputError):
    """The result is too large for this format."""

    code = "result_too_large"
    status = 422
    hint = "Ask for text, markdown or json, which have no bounds."


class Erased(InputError):
    """This job was erased on request."""

    code = "erased"
    status = 410
    hint = "None of its data is kept; submit it again."


class Conflict(InputError):
    """The request conflicts with the current state."""

    code = "conflict"
    status = 409


class NotCancelable(Conflict):
    """The job has already ended and cannot be canceled."""

    code = "not_cancelable"
    hint = "A terminal status never changes; read the job instead."


class NotRetryable(Conflict):
    """Only a failed, expired, canceled or partial job can be retried."""

    code = "not_retryable"
    hint = "Wait until the job has ended, or submit a new one."


class NoResult(Conflict):
    """The job ended without an answer."""

    code = "no_result"
    hint = "Read the job to see why; POST to its /retry path to try again."


class NoPlaces(Conflict):
    """The job has no positions for its text."""

    code = "no_places"
    hint = "Submit it again with boxes=word, or boxes=line for more than 60 pages."


class NotReviewable(Conflict):
    """Only the answer of a job that has succeeded can be reviewed."""

    code = "not_reviewable"
    hint = "Wait until the job has ended; retry one that has failed."


class ReviewChanged(Conflict):
    """Somebody else has reviewed the answer meanwhile."""

    code = "review_changed"
    hint = "Read the job again, and send what is still right with its new version."


class AnswerChanged(Conflict):
    """The answer was restarted and differs from what was already streamed."""

    code = "answer_changed"
    hint = "Ask again; without a temperature, or with a seed, answers are reproducible."


class SessionBusy(Conflict):
    """The session is answering another question."""

    code = "session_busy"
    hint = "Wait for the running job of this session to end."


class PayloadTooLarge(InputError):
    """The request body is larger than the limit."""

    code = "payload_too_large"
    status = 413
    hint = "See /v1/limits; compress the image or scale it down."


class RequestTimeout(InputError):
    """The request timed out: its headers or body arrived too slowly."""

    code = "request_timeout"
    status = 408
    retryable = True
    hint = "Send it without pauses; see /v1/limits for the minimum rate."


class UnsupportedMediaType(InputError):
    """The Content-Type is neither JSON nor multipart/form-data."""

    code = "unsupported_media_type"
    status = 415
    hint = "Use application/json or multipart/form-data."


class ImageError(InputError):
    """The image cannot be used."""

    code = "image_error"
    status = 422
    hint = "Open the file in an image viewer, save it again as PNG or JPEG, and send that."


class UnsupportedImageFormat(ImageError):
    """The file is not an image in a supported format."""

    code = "unsupported_image_format"
    status = 415
    hint = "Supported: JPEG, PNG and others (see /v1/limits), detected from the content."


class ImageEmpty(ImageError):
    """The image file is empty."""

    code = "image_empty"
    hint = "Check the file path and the name of the form field."


class ImageTruncated(ImageError):
    """The image file is truncated."""

    code = "image_truncated"
    hint = "The upload or the file is incomplete; send the whole file."


class UploadMismatch(ImageError):
    """The uploaded image does not match its checksum or size."""

    code = "upload_mismatch"
    hint = "It was truncated or changed in transit, or sha256 and bytes belong to another file."


class ImageDecodeFailed(ImageError):
    """Image decode failed: the file is damaged."""

    code = "image_decode_failed"


class ImageDimensions(ImageError):
    """The image has too many or too few pixels."""

    code = "image_dimensions"
    hint = "See /v1/limits for the accepted width, height and pixel count."


class ImageAspect(ImageError):
    """The image is too long and narrow."""

    code = "image_aspect"
    hint = "Cut the image into parts whose aspect ratio is within the limit in /v1/limits."


class DocumentError(InputError):
    """The document cannot be used."""

    code = "document_error"
    status = 422
    hint = "Open the file in a PDF viewer, print it to a new PDF, and send that."


class DocumentDamaged(DocumentError):
    """The document is damaged."""

    code = "document_damaged"


class DocumentEncrypted(DocumentError):
    """The document is encrypted and needs a password."""

    code = "document_encrypted"
    hint = "Send its password as `password`, or save the document without one."


class DocumentPasswordWrong(DocumentError):
    """The password does not open this document."""

    code = "document_password_wrong"
    hint = "Check the password in a PDF viewer; upper and lower case differ."


class TooManyPages(DocumentError):
    """The document has too many pages."""

    code = "too_many_pages"
    hint = "See /v1/limits; split the document into several files."


class PageOutOfRange(DocumentError):
    """A page that was asked for does not exist."""

    code = "page_out_of_range"
    hint = "Pages count from 1; -1 is the last one."


class PageTooLarge(DocumentError):
    """A page is too large or too long and narrow."""

    code = "page_too_large"
    hint = "Print the document to a usual paper size and send that."


class DocumentTooSlow(DocumentError):
    """The document takes too long to read."""

    code = "document_too_slow"
    hint = "Print the document to a new PDF, or send its pages as PNG or JPEG."


class DocumentTooComplex(DocumentError):
    """The document needs more memory than allowed, or is nested too deeply."""

    code = "document_too_complex"
    hint = "Print the document to a new PDF, or send its pages as PNG or JPEG."


# the caller's limits


class LimitError(ServiceError):
    """This key has reached one of its limits."""

    code = "rate_limited"
    status = 429
    hint = "Wait for the number of seconds in Retry-After."


class TooManyInFlight(LimitError):
    """This key has too many unfinished jobs."""

    code = "too_many_in_flight"
    hint = "Wait until some of your jobs have ended; GET /v1/limits shows your limits."


class TooManyQueued(LimitError):
    """This key has too many waiting jobs."""

    code = "too_many_queued"
    hint = "Wait until some of your jobs have started; GET /v1/limits shows your limits."


# the service


class Unavailable(ServiceError):
    """The service cannot accept this request right now."""

    code = "unavailable"
    status = 503
    hint = "Wait for the number of seconds in Retry-After."


class StoreUnavailable(Unavailable):
    """The job store does not respond, so nothing was accepted."""

    code = "store_unavailable"


class StoreCannotWrite(StoreUnavailable):
    """The job store refuses to write, so nothing was accepted."""

    code = "store_cannot_write"
    hint = "Wait for the number of seconds in Retry-After; the operator must fix Redis."


class StoreFault(StoreUnavailable):
    """The job store refused a command because its data are wrong; a retry will not help."""

    code = "store_fault"
    status = 500
    retryable = False
    hint = "Give the request ID or the job's ID to the operator."


class OutcomeUnknown(StoreUnavailable):
    """The job store did not confirm the change, so it may or may not have been made."""

    code = "outcome_unknown"
    status = 504
    hint = (
        "Look for the result (a job under job_id, if there is one) before you repeat the request, "
        "or repeat it with the same Idempotency-Key."
    )


class BlobsUnavailable(StoreUnavailable):
    """The blob store does not respond, so what lies there can be neither stored nor read."""

    code = "blobs_unavailable"


class NotReplicated(OutcomeUnknown):
    """The job store has made the change, but too few replicas have it, so it may be lost."""

    code = "not_replicated"
    status = 503
    hint = (
        "It takes effect if it is not lost. Repeat the request with the same Idempotency-Key: it "
        "is then confirmed, or made anew."
    )


class ReplicasMissing(StoreUnavailable):
    """Too few replicas of the job store are connected, so nothing was accepted."""

    code = "replicas_missing"
    hint = "Wait for the number of seconds in Retry-After; the operator must bring replicas back."


class JobTooNew(Unavailable):
    """This job was created by a newer version, and this gateway cannot read it."""

    code = "job_too_new"
    hint = "Try again: another gateway may be able to read it; upgrade the older gateways."


class QueueFull(Unavailable):
    """The queue is full."""

    code = "queue_full"


class ImageHostUnavailable(Unavailable):
    """The host of an image URL failed repeatedly and is not contacted for a while."""

    code = "image_host_unavailable"
    hint = "Wait for the number of seconds in Retry-After, or upload the image's bytes."


class NoWorkers(Unavailable):
    """No worker with a loaded model is running."""

    code = "no_workers"


# failed jobs


class JobFailure(ServiceError):
    """The job failed while it was running."""

    code = "job_failed"


class InferenceFailed(JobFailure):
    """The model raised an error while it processed this job."""

    code = "inference_failed"


class OutOfMemory(JobFailure):
    """Out of memory: the worker ran out of RAM (on a GPU: CUDA out of memory)."""

    code = "out_of_memory"
    hint = "Lower max_pixels or max_new_tokens, or give the worker more memory."


class ConstraintTooComplex(JobFailure):
    """The constraint became too complex while the answer was being written."""

    code = "constraint_too_complex"
    retryable = False
    hint = "Simplify the regex or the schema; large repetitions and unions cost most."


class PoisonJob(JobFailure):
    """Every worker that started this job crashed; it is not tried again."""

    code = "poison"
    retryable = False
    hint = "The input crashes workers; report it to the operator with the job ID."


class TileFailed(JobFailure):
    """A part of a long image could not be read, and `strict` was set."""

    code = "tile_failed"
    hint = "Submit it without strict to get the other parts, with a gap in place of this one."


class PageFailed(JobFailure):
    """A page of the document could not be read, and `strict` was set."""

    code = "page_failed"
    hint = "Submit it without strict to get the other pages, with a gap in place of this one."


class DocumentGone(JobFailure):
    """The job's document is no longer stored."""

    code = "document_gone"
    hint = "Submit the job again with its document."


class ImageGone(JobFailure):
    """The job's image is no longer stored."""

    code = "image_gone"
    hint = "Submit the job again with its image."


def by_code() -> dict[str, type[ServiceError]]:
    """Return every error of the tree by its code."""
    errors: dict[str, type[ServiceError]] = {}
    waiting: list[type[ServiceError]] = [ServiceError]
    while waiting:
        error = waiting.pop()
        # a part of the service may have a narrower class of its own, which callers see as this one
        errors.setdefault(error.code, error)
        waiting += error.__subclasses__()
    return errors
