"""Verifying webhooks: Standard Webhooks 1.0, with typed errors and in constant time."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightline.errors import BadPayload, BadSecret, BadSignature, BadTimestamp, MissingHeader

_PREFIX = "whsec_"
_SCHEME = "v1,"
_TOLERANCE_S = 300.0


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A message that is what the service sent."""

    #: The same in every attempt: keep it to know a message that comes twice.
    id: str
    #: Such as `job.succeeded`, `job.failed` or `webhook.test`.
    type: str
    #: When it happened, RFC 3339.
    timestamp: str
    #: The job as the API shows it; thin (`"thin": true`) when the whole would be large.
    data: dict[str, Any]


def verify_webhook(
    payload: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float | dt.timedelta = _TOLERANCE_S,
    now: float | None = None,
) -> WebhookEvent:
    """Return the message of a request, or raise a WebhookError.

    `payload` is the body exactly as it came. `secret` is one `whsec_…` or several, for the time
    of a rotation. A message whose time differs from `now` (seconds since 1970, by default the
    clock) by more than `tolerance` seconds is refused.
    """
    body = payload.encode() if isinstance(payload, str) else bytes(payload)
    keys = _keys(secret)
    lowered = {name.lower(): value for name, value in headers.items()}
    message_id, moment, signatures = (
        _header(lowered, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    )
    _check_time(moment, tolerance, time.time() if now is None else now)
    signed = b".".join([message_id.encode(), moment.encode(), body])
    if not _any_matches(keys, signed, signatures):
        raise BadSignature("No signature of the message matches a known secret.")
    return _event(message_id, body)


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise MissingHeader(f"The header {name} is missing.")
    return value


def _keys(secret: str | Sequence[str]) -> list[bytes]:
    secrets = [secret] if isinstance(secret, str) else list(secret)
    if not secrets:
        raise BadSecret("At least one secret is required.")
    return [_key(one) for one in secrets]


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        # what it is instead is nobody's business, not even a log's
        raise BadSecret(f"A secret must be {_PREFIX} followed by base64.")
    return key


def _check_time(moment: str, tolerance: float | dt.timedelta, now: float) -> None:
    if not (moment.isascii() and moment.isdigit() and len(moment) < 16):
        raise BadTimestamp("The header webhook-timestamp is not a number of seconds.")
    most = tolerance.total_seconds() if isinstance(tolerance, dt.timedelta) else tolerance
    age = now - int(moment)
    if abs(age) > most:
        raise BadTimestamp(f"The message is {abs(age):.0f} s {'old' if age > 0 else 'ahead'}.")


def _any_matches(keys: list[bytes], signed: bytes, header: str) -> bool:
    """Compare every key with every signature, whatever has matched already."""
    given = [part.encode() for part in header.split() if part.startswith(_SCHEME)]
    found = False
    for key in keys:
        digest = base64.b64encode(hmac.digest(key, signed, "sha256"))
        for one in given:
            found |= hmac.compare_digest(one, _SCHEME.encode() + digest)
    return found


def _event(message_id: str, body: bytes) -> WebhookEvent:
    try:
        told = json.loads(body)
        return WebhookEvent(
            message_id, str(told["type"]), str(told["timestamp"]), dict(told["data"])
        )
    except (ValueError, KeyError, TypeError):
        raise BadPayload(
            "The message is not a JSON object with type, timestamp and data."
        ) from None
