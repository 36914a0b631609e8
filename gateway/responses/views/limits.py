"""The limits that requests, images, jobs and keys are held to, as callers see them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gateway.images.formats import accepted_formats
from shared.documents.model import DocumentKind
from shared.jobs import DETAIL_PIXELS
from shared.jobs.document import DEFAULT_DPI, MAX_DPI, MIN_DPI
from shared.prediction.page_size import MAX_PAGE_PIXELS
from shared.settings import Settings
from shared.store.access.api_key_types import Caller

#: Names in the settings of an operator, by the names of Limits.
_KEY_LIMIT_NAMES = {
    "requests": "requests_per_minute",
    "tokens": "tokens_per_minute",
    "in_flight": "in_flight",
    "queued": "queued",
    "reads": "reads_per_minute",
}


def image_limits(settings: Settings) -> dict[str, Any]:
    """Return the limits of an image."""
    return {
        "formats": list(accepted_formats()),
        "max_bytes": settings.upload_max_bytes,
        "max_pixels": settings.image_max_pixels,
        "max_pixels_baseline_jpeg": settings.image_max_pixels_jpeg,
        "max_side": settings.image_max_side,
        "max_aspect": settings.image_max_aspect,
        "kept_pixels": settings.image_kept_pixels,
        "long_pixels": settings.image_long_pixels,
        "detail_pixels": DETAIL_PIXELS,
        "ttl_s": settings.image_ttl_s,
        "decode_timeout_s": settings.decoder_timeout_s,
    }


def document_limits(settings: Settings) -> dict[str, Any]:
    """Return the limits of a document and its pages."""
    return {
        "kinds": [kind.value for kind in DocumentKind],
        "max_bytes": settings.document_max_bytes,
        "max_pages": settings.document_max_pages,
        "max_page_pixels": MAX_PAGE_PIXELS,
        "min_dpi": MIN_DPI,
        "max_dpi": MAX_DPI,
        "default_dpi": DEFAULT_DPI,
        "page_timeout_s": settings.document_timeout_s,
        "ttl_s": settings.image_ttl_s,
    }


def request_limits(settings: Settings, *, max_metadata_bytes: int) -> dict[str, Any]:
    """Return the limits of a request and of the pace at which it comes."""
    return {
        "max_bytes": settings.request_max_bytes,
        "max_images": settings.images_per_request,
        "max_prompt_chars": settings.prompt_max_chars,
        "max_wait_s": settings.max_wait_s,
        "max_metadata_bytes": max_metadata_bytes,
        "headers_timeout_s": settings.headers_timeout_s,
        "body_grace_s": settings.body_grace_s,
        "body_min_bytes_s": settings.body_min_bytes_s,
    }


def job_limits(settings: Settings, *, max_deadline_s: float) -> dict[str, Any]:
    """Return the limits of a job."""
    return {
        "ttl_s": settings.job_ttl_s,
        "max_ttl_s": settings.job_ttl_max_s,
        "max_deadline_s": max_deadline_s,
        "max_new_tokens": settings.answer_max_tokens,
        "timeout_s": settings.job_timeout_s,
        "max_attempts": settings.max_attempts,
    }


def queue_limits(settings: Settings) -> dict[str, Any]:
    """Return the limits of the queue."""
    return {"max_wait_s": settings.queue_max_wait_s, "max_jobs": settings.queue_max_jobs}


def key_limits(caller: Caller) -> dict[str, Any]:
    """Return the limits of the caller's key and what is used of them."""
    limits, used = asdict(caller.limits), asdict(caller.used)
    return {
        "name": caller.name or None,
        "scopes": sorted(caller.scopes),
        "retention_s": caller.retention_s,
        "limits": {
            _KEY_LIMIT_NAMES[name]: {"limit": limit or None, "used": used[name]}
            for name, limit in limits.items()
        },
        "reset_s": round(caller.reset_s, 1),
    }
