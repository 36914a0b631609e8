"""Verifies webhooks (Standard Webhooks 1.0) in constant time, with typed errors."""

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
    """A verified message of the service."""

    #: The same in every attempt: store it to recognize repeated messages.
    id: str
    #: Such as `job.succeeded`, `job.failed` or `webhook.test`.
    type: str
    #: When it happened, RFC 3339.
    timestamp: str
    #: The job as the API shows it; shortened (`"thin": true`) if it would be large.
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

    `payload` is the unchanged body. `secret` is one `whsec_…`, or several during a rotation. A
    message whose time differs from `now` (Unix time, by default the clock) by more than
    `tolerance` seconds is refused: BadTimestamp. The other errors are MissingHeader, BadSecret,
    BadSignature and BadPayload.
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
    return [_key(text) for text in secrets]


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        # the message must not contain the value: it may end up in a log
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
    """Compare every key with every signature, so that the time tells nothing about matches."""
    sent_signatures = [part.encode() for part in header.split() if part.startswith(_SCHEME)]
    matched = False
    for key in keys:
        digest = base64.b64encode(hmac.digest(key, signed, "sha256"))
        for signature in sent_signatures:
            matched |= hmac.compare_digest(signature, _SCHEME.encode() + digest)
    return matched


def _event(message_id: str, body: bytes) -> WebhookEvent:
    try:
        message = json.loads(body)
        return WebhookEvent(
            message_id, str(message["type"]), str(message["timestamp"]), dict(message["data"])
        )
    except (ValueError, KeyError, TypeError):
        raise BadPayload(
            "The message is not a JSON object with type, timestamp and data."
        ) from None
