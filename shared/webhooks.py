"""Webhooks as data: the events, the endpoint, the message and its Standard Webhooks signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.slow_json import exceeds

_SECRET_PREFIX = "whsec_"  # noqa: S105 only the prefix
_SECRET_BYTES = 32
#: Above this a body carries only the job's ids, its status and its URLs.
THIN_ABOVE_BYTES = 20_000
_THIN_MEMBERS = (
    *("id", "object", "status", "created_at", "started_at", "completed_at", "expires_at"),
    *("error", "session_id", "group", "metadata", "urls"),
)


class WebhookEvent(StrEnum):
    """An event that a webhook can report."""

    #: The job has ended, in any way.
    COMPLETED = "completed"
    #: A worker has started the job.
    STARTED = "started"
    #: The job has progressed; sent at most every two seconds, without retries.
    PROGRESS = "progress"
    #: The job has succeeded, and a person should look at parts of its answer.
    NEEDS_REVIEW = "needs_review"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a job's events are sent, and which of them."""

    url: str
    #: Scheme, host and port of the URL.
    origin: str
    events: tuple[WebhookEvent, ...] = (WebhookEvent.COMPLETED,)

    def endpoint_id(self, tenant: str) -> str:
        """Return the id of the endpoint, one origin of one tenant; it has one circuit breaker."""
        return _digest(tenant, self.origin)

    def url_id(self, tenant: str) -> str:
        """Return the id of this URL of a tenant."""
        return _digest(tenant, self.url)

    def fields(self, tenant: str) -> dict[str, str]:
        """Return the row fields that the Lua scripts read."""
        return {
            "webhook": self.url,
            "webhook_events": f",{','.join(self.events)},",
            "webhook_endpoint": self.endpoint_id(tenant),
            "webhook_origin": self.origin,
            "webhook_url_id": self.url_id(tenant),
        }


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def new_delivery_id() -> str:
    """Return an id for a delivery that belongs to no job."""
    return "dlv_" + secrets.token_hex(20).upper()


def new_secret() -> str:
    """Return `whsec_` and 32 random bytes in base64."""
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def mask_secret(secret: str) -> str:
    """Return `whsec_…` and the last four characters of a secret."""
    return f"{_SECRET_PREFIX}…{secret[-4:]}"


def sign_message(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1,` and the base64 HMAC-SHA256 of Standard Webhooks 1.0."""
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    signed = b".".join([message_id.encode(), str(timestamp).encode(), body])
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def sign_headers(
    keys: Sequence[str], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers of a message, with a signature for each valid secret."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(
            sign_message(key, message_id, timestamp, body) for key in keys
        ),
    }


def build_message(kind: str, timestamp: str, job: Mapping[str, Any]) -> str:
    """Return the body for a job as JSON; with the thin job if the whole one is too large."""
    if not exceeds(job, THIN_ABOVE_BYTES):
        whole = _dump({"type": kind, "timestamp": timestamp, "data": job})
        if len(whole.encode()) <= THIN_ABOVE_BYTES:
            return whole
    return _dump({"type": kind, "timestamp": timestamp, "data": thin_job(job)})


def thin_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's ids, times, status, error and URLs, without its input and output."""
    return {name: job[name] for name in _THIN_MEMBERS if name in job} | {"thin": True}


def _dump(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # JSON can carry a lone surrogate from a caller, UTF-8 cannot
    return text.encode("utf-8", "backslashreplace").decode()
