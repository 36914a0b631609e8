"""The words of webhooks: what a caller asks for, and how a message is signed."""

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

_SECRET_PREFIX = "whsec_"  # noqa: S105 only the prefix
_SECRET_BYTES = 32
#: Above this a body carries only what names the job and where to read it.
THIN_ABOVE_BYTES = 20_000


class WebhookEvent(StrEnum):
    """What a caller can be told of."""

    #: The job has ended, in any way.
    COMPLETED = "completed"
    #: A worker has begun with it.
    STARTED = "started"
    #: It has come further; told at most every two seconds and only once.
    PROGRESS = "progress"


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a job's events are sent, and which."""

    url: str
    #: Scheme, host and port of the URL.
    origin: str
    events: tuple[WebhookEvent, ...] = (WebhookEvent.COMPLETED,)

    def endpoint(self, tenant: str) -> str:
        """Return the id of what shares a breaker: one origin of one tenant."""
        return _digest(tenant, self.origin)

    def url_id(self, tenant: str) -> str:
        """Return the id of this URL of a tenant."""
        return _digest(tenant, self.url)

    def fields(self, tenant: str) -> dict[str, str]:
        """Return the row fields that the transitions read."""
        return {
            "webhook": self.url,
            "webhook_events": f",{','.join(self.events)},",
            "webhook_endpoint": self.endpoint(tenant),
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


def hint(secret: str) -> str:
    """Return what tells a secret from others without telling it."""
    return f"{_SECRET_PREFIX}…{secret[-4:]}"


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return `v1,` and the base64 HMAC-SHA256 of Standard Webhooks 1.0."""
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    signed = b".".join([message_id.encode(), str(timestamp).encode(), body])
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def signed_headers(
    keys: Sequence[str], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the headers of a message; one signature for every secret that holds now."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(key, message_id, timestamp, body) for key in keys),
    }


def message(kind: str, timestamp: str, job: Mapping[str, Any]) -> str:
    """Return the body about a job; thin when the whole job would make it too large."""
    whole = _dump({"type": kind, "timestamp": timestamp, "data": job})
    if len(whole.encode()) <= THIN_ABOVE_BYTES:
        return whole
    return _dump({"type": kind, "timestamp": timestamp, "data": thin(job)})


def thin(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names a job, tells how it ended and where the rest is."""
    named = ("id", "object", "status", "created_at", "started_at", "completed_at", "expires_at")
    kept = (*named, "error", "session_id", "metadata", "urls")
    return {name: job[name] for name in kept if name in job} | {"thin": True}


def _dump(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    # half a character from outside can be told in JSON, but not in UTF-8
    return text.encode("utf-8", "backslashreplace").decode()
