"""The ledger of webhooks: what was sent, what became of it, and sending it again."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, ValidationError

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.schemas.jobs import JobPath
from gateway.schemas.webhooks import (
    DeliveryList,
    DeliveryPath,
    DeliveryState,
    EndpointList,
    Replayed,
    ReplaySince,
    SecretState,
    WebhookTest,
)
from gateway.services import current_services
from gateway.submission.request import is_json, json_object
from gateway.submission.submit import checked_webhook
from shared import errors
from shared.jobs.view import timestamp
from shared.store.delivery_types import Attempt, Delivery, Endpoint, Secret
from shared.webhooks import hint

webhooks = APIBlueprint("webhooks", __name__, abp_tags=[Tag(name="webhooks")])

_STORE = problems.documented(errors.StoreUnavailable)
_FIND = problems.documented(errors.NotFound, errors.StoreUnavailable)
_BODY_ERRORS = (
    errors.InvalidJson,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
    errors.BadParameters,
    errors.StoreUnavailable,
)
_Model = TypeVar("_Model", bound=BaseModel)


def _view(delivery: Delivery, attempts: list[Attempt]) -> dict[str, Any]:
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
        "attempts": [attempt.model_dump() for attempt in attempts],
    }


def _body(kind: type[_Model]) -> _Model:
    if not is_json(request):
        raise errors.UnsupportedMediaType
    try:
        return kind.model_validate(json_object(request))
    except ValidationError as error:
        raise problems.from_validation(error) from None


@webhooks.get(
    "/v1/jobs/<job_id>/deliveries",
    summary="Read what was sent of a job",
    responses={
        200: DeliveryList,
        **problems.documented(errors.NotFound, errors.Erased, errors.StoreUnavailable),
    },
)
def of_job(path: JobPath) -> dict[str, Any]:
    """Return the job's deliveries with every attempt."""
    found = current_services()
    row = found.store.get(path.job_id, current_tenant())
    data = [_view(*one) for one in found.deliveries.of_job(row.id)]
    return {"object": "list", "data": data}


@webhooks.get(
    "/v1/deliveries/<delivery_id>",
    summary="Read a delivery",
    responses={200: DeliveryState, **_FIND},
)
def read(path: DeliveryPath) -> dict[str, Any]:
    """Return a delivery with every attempt."""
    return _view(*current_services().deliveries.get(path.delivery_id, current_tenant()))


@webhooks.post(
    "/v1/deliveries/<delivery_id>/replay",
    summary="Send a delivery again",
    responses={202: DeliveryState, **_FIND},
)
def replay(path: DeliveryPath) -> tuple[dict[str, Any], int]:
    """Send the same message now, with the same id, and by a new schedule if that fails."""
    store, who = current_services().deliveries, current_tenant()
    store.replay(path.delivery_id, who)
    return _view(*store.get(path.delivery_id, who)), 202


@webhooks.post(
    "/v1/deliveries/replay",
    summary="Send all failed deliveries again",
    responses={202: Replayed, **problems.documented(*_BODY_ERRORS)},
)
def replay_failed() -> tuple[dict[str, Any], int]:
    """Send again what has failed since a time."""
    wanted = _body(ReplaySince)
    count = current_services().deliveries.replay_failed(current_tenant(), wanted.since_ms)
    return {"object": "replay", "replayed": count}, 202


@webhooks.post(
    "/v1/webhooks/test",
    summary="Send a test message",
    responses={202: DeliveryState, **problems.documented(errors.UrlNotAllowed, *_BODY_ERRORS)},
)
def test() -> tuple[dict[str, Any], int]:
    """Send a signed `webhook.test` once; success enables a disabled endpoint again."""
    found = current_services()
    webhook = checked_webhook(_body(WebhookTest).url, "/url", found)
    return _view(found.deliveries.try_out(webhook, current_tenant()), []), 202


@webhooks.get(
    "/v1/webhooks/endpoints",
    summary="Read the health of endpoints",
    responses={200: EndpointList, **_STORE},
)
def endpoints() -> dict[str, Any]:
    """Return every host that was sent something, and whether it is left alone."""
    store, who = current_services().deliveries, current_tenant()
    now = store.now_ms()
    return {"object": "list", "data": [_health(one, now) for one in store.endpoints(who)]}


def _health(endpoint: Endpoint, now: int) -> dict[str, Any]:
    state = "ok" if endpoint.failing_since is None else "failing"
    if endpoint.open_until is not None:
        state = "open"
    if endpoint.disabled_ms is not None:
        state = "disabled"
    left_alone = endpoint.open_until is not None and endpoint.open_until > now
    return {
        "origin": endpoint.origin,
        "state": state,
        "consecutive_failures": endpoint.failures,
        "failing_since": timestamp(endpoint.failing_since),
        "open_until": timestamp(endpoint.open_until) if left_alone else None,
        "pending": endpoint.pending,
    }


@webhooks.get(
    "/v1/webhooks/secret",
    summary="Read the signing secret, once",
    responses={200: SecretState, **_STORE},
)
def secret() -> dict[str, Any]:
    """Return the secret the first time it is asked for; afterwards only its hint."""
    return _secret(current_services().deliveries.secret(current_tenant(), "show"))


@webhooks.post(
    "/v1/webhooks/secret/rotate",
    summary="Replace the signing secret",
    responses={200: SecretState, **_STORE},
)
def rotate() -> dict[str, Any]:
    """Return a new secret, once; for a day messages carry the signatures of both."""
    return _secret(current_services().deliveries.secret(current_tenant(), "rotate"))


def _secret(found: Secret) -> dict[str, Any]:
    return {
        "object": "webhook_secret",
        "secret": found.secret if found.fresh else None,
        "hint": hint(found.secret),
        "created_at": timestamp(found.created_ms),
        "previous_hint": hint(found.previous) if found.previous else None,
        "previous_until": timestamp(found.previous_until_ms),
    }
