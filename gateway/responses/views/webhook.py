"""Webhook deliveries, endpoints and signing secrets as callers see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.jobs.view import timestamp
from shared.store.webhooks.delivery_types import Attempt, Delivery, Endpoint, Secret
from shared.webhooks import mask_secret


def delivery_view(delivery: Delivery, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Return a delivery with its attempts, the first one first."""
    return {
        "id": delivery.id,
        "object": "delivery",
        "job_id": delivery.job,
        "type": delivery.type,
        "url": delivery.url,
        "status": delivery.status,
        "reason": delivery.reason,
        "created_at": timestamp(delivery.created_ms),
        "next_attempt_at": timestamp(delivery.due_ms),
        "ended_at": timestamp(delivery.ended_ms),
        "attempts": [_attempt_view(attempt) for attempt in attempts],
    }


def _attempt_view(attempt: Attempt) -> dict[str, Any]:
    # an older courier wrote the offset in digits
    return attempt.model_dump() | {"at": attempt.at.replace("+00:00", "Z")}


def endpoint_view(endpoint: Endpoint, now_ms: int) -> dict[str, Any]:
    """Return the health of an endpoint at `now_ms`, milliseconds since 1970."""
    is_paused = endpoint.open_until is not None and endpoint.open_until > now_ms
    return {
        "origin": endpoint.origin,
        "state": _endpoint_state(endpoint),
        "consecutive_failures": endpoint.failures,
        "failing_since": timestamp(endpoint.failing_since),
        "open_until": timestamp(endpoint.open_until) if is_paused else None,
        "pending": endpoint.pending,
    }


def _endpoint_state(endpoint: Endpoint) -> str:
    if endpoint.disabled_ms is not None:
        return "disabled"
    if endpoint.open_until is not None:
        return "open"
    return "ok" if endpoint.failing_since is None else "failing"


def secret_view(secret: Secret) -> dict[str, Any]:
    """Return a signing secret, in full only while it is fresh."""
    return {
        "object": "webhook_secret",
        "secret": secret.secret if secret.fresh else None,
        "hint": mask_secret(secret.secret),
        "created_at": timestamp(secret.created_ms),
        "previous_hint": mask_secret(secret.previous) if secret.previous else None,
        "previous_until": timestamp(secret.previous_until_ms),
    }
