"""Client of Sightline, the service that answers questions about images.

`Client("http://127.0.0.1:7860").ask("What does it say?", "note.png").text` is its shortest use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sightline._pages import Page
from sightline._transport.sse import Event
from sightline._version import __version__
from sightline.errors import (
    APIError,
    JobCanceled,
    JobExpired,
    JobFailed,
    NoConnection,
    SightlineError,
    WaitTimeout,
    WebhookError,
)
from sightline.jobs import Answer, TruncatedAnswer
from sightline.types import FoundObject, JobData, JobStatus, SubmitOptions
from sightline.webhooks import WebhookEvent, verify_webhook

if TYPE_CHECKING:
    from sightline.aio import AsyncClient, AsyncJob, AsyncReading, AsyncSession
    from sightline.client import Client, Job, Reading, Session

#: Names that need httpx are imported on first use: a webhook receiver does without it.
_LAZY = {
    "AsyncClient": "sightline.aio",
    "AsyncJob": "sightline.aio",
    "AsyncReading": "sightline.aio",
    "AsyncSession": "sightline.aio",
    "Client": "sightline.client",
    "Job": "sightline.client",
    "Reading": "sightline.client",
    "Session": "sightline.client",
}

__all__ = [
    "APIError",
    "Answer",
    "AsyncClient",
    "AsyncJob",
    "AsyncReading",
    "AsyncSession",
    "Client",
    "Event",
    "FoundObject",
    "Job",
    "JobCanceled",
    "JobData",
    "JobExpired",
    "JobFailed",
    "JobStatus",
    "NoConnection",
    "Page",
    "Reading",
    "Session",
    "SightlineError",
    "SubmitOptions",
    "TruncatedAnswer",
    "WaitTimeout",
    "WebhookError",
    "WebhookEvent",
    "__version__",
    "verify_webhook",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
