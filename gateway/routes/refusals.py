"""Errors of several routes, as the OpenAPI document lists them."""

from __future__ import annotations

from gateway.http import problems
from shared import errors

#: Of every change: Redis is away, refuses it, or does not confirm it.
WRITE_ERRORS = (
    errors.StoreUnavailable,
    errors.StoreCannotWrite,
    errors.OutcomeUnknown,
    errors.NotReplicated,
)
#: Of every route that takes a submission.
SUBMIT_ERRORS = problems.documented(
    errors.InvalidJson,
    errors.InvalidBase64,
    errors.UrlNotAllowed,
    errors.UrlFetchFailed,
    errors.ImageHostUnavailable,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
    errors.UnsupportedImageFormat,
    errors.ImageDecodeFailed,
    errors.ImageTruncated,
    errors.UploadMismatch,
    errors.RequestTimeout,
    errors.ImageDimensions,
    errors.ImageAspect,
    errors.ImageEmpty,
    errors.ImageNotFound,
    errors.DocumentNotFound,
    errors.DocumentDamaged,
    errors.DocumentEncrypted,
    errors.DocumentPasswordWrong,
    errors.DocumentTooSlow,
    errors.DocumentTooComplex,
    errors.TooManyPages,
    errors.PageOutOfRange,
    errors.InputTooLong,
    errors.InputTooLarge,
    errors.BadConstraint,
    errors.ReaderUnavailable,
    errors.ModelNotFound,
    errors.ModelRequired,
    errors.BadParameters,
    errors.IdempotencyKeyReused,
    errors.SessionBusy,
    errors.TooManyInFlight,
    errors.TooManyQueued,
    *WRITE_ERRORS,
    errors.ReplicasMissing,
    errors.QueueFull,
    errors.Unavailable,
)
#: Of every route that reads a job.
READ_ERRORS = problems.documented(
    errors.NotFound, errors.Erased, errors.BadParameters, errors.StoreUnavailable, errors.JobTooNew
)
#: Of the route that erases a job.
ERASE_ERRORS = problems.documented(
    errors.NotFound, errors.Erased, errors.BadParameters, errors.JobTooNew, *WRITE_ERRORS
)
