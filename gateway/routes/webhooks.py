"""Webhook deliveries, their endpoints and signing secrets: reading, sending again, rotating."""

from __future__ import annotations

from typing import Any

from flask import request
from flask_openapi3 import APIBlueprint, Tag

from gateway.auth import current_tenant
from gateway.http import problems
from gateway.responses.after_change import after_change
from gateway.responses.views.webhook import delivery_view, endpoint_view, secret_view
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.jobs.queries import JobPath
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
from gateway.submission.body import parse_body
from gateway.submission.webhook import check_webhook
from shared import errors

webhooks = APIBlueprint("webhooks", __name__, abp_tags=[Tag(name="webhooks")])

_STORE = problems.documented(errors.StoreUnavailable)
_FIND = problems.documented(errors.NotFound, errors.StoreUnavailable)
_BODY_ERRORS = (
    errors.InvalidJson,
    errors.PayloadTooLarge,
    errors.UnsupportedMediaType,
    errors.BadParameters,
    *WRITE_ERRORS,
)


@webhooks.get(
    "/v1/jobs/<job_id>/deliveries",
    summary="List a job's deliveries",
    responses={
        200: DeliveryList,
        **problems.documented(errors.NotFound, errors.Erased, errors.StoreUnavailable),
    },
)
def of_job(path: JobPath) -> dict[str, Any]:
    """Return the job's deliveries with every attempt."""
    services = current_services()
    row = services.store.get(path.job_id, current_tenant())
    data = [delivery_view(*delivery) for delivery in services.deliveries.of_job(row.id)]
    return {"object": "list", "data": data}


@webhooks.get(
    "/v1/deliveries/<delivery_id>",
    summary="Get a delivery",
    responses={200: DeliveryState, **_FIND},
)
def read(path: DeliveryPath) -> dict[str, Any]:
    """Return a delivery with every attempt."""
    return delivery_view(*current_services().deliveries.get(path.delivery_id, current_tenant()))


@webhooks.post(
    "/v1/deliveries/<delivery_id>/replay",
    summary="Replay a delivery",
    responses={202: DeliveryState, **problems.documented(errors.NotFound, *WRITE_ERRORS)},
)
def replay(path: DeliveryPath) -> tuple[dict[str, Any], int]:
    """Resend the same message now, with the same ID, and on a new schedule if that fails."""
    store, tenant = current_services().deliveries, current_tenant()
    store.replay(path.delivery_id, tenant)
    with after_change("The delivery was scheduled", delivery_id=path.delivery_id):
        return delivery_view(*store.get(path.delivery_id, tenant)), 202


@webhooks.post(
    "/v1/deliveries/replay",
    summary="Replay failed deliveries",
    responses={202: Replayed, **problems.documented(*_BODY_ERRORS)},
)
def replay_failed() -> tuple[dict[str, Any], int]:
    """Resend all deliveries that have failed since the given time."""
    since_ms = parse_body(request, ReplaySince).since_ms
    count = current_services().deliveries.replay_failed(current_tenant(), since_ms)
    return {"object": "replay", "replayed": count}, 202


@webhooks.post(
    "/v1/webhooks/test",
    summary="Send a test message",
    responses={202: DeliveryState, **problems.documented(errors.UrlNotAllowed, *_BODY_ERRORS)},
)
def test() -> tuple[dict[str, Any], int]:
    """Send a signed `webhook.test` once; success enables a disabled endpoint again."""
    services = current_services()
    webhook = check_webhook(parse_body(request, WebhookTest).url, "/url", services)
    delivery_id = services.deliveries.try_out(webhook, current_tenant())
    with after_change("The test message was scheduled", delivery_id=delivery_id):
        return delivery_view(*services.deliveries.get(delivery_id, current_tenant())), 202


@webhooks.get(
    "/v1/webhooks/endpoints",
    summary="List webhook endpoints",
    responses={200: EndpointList, **_STORE},
)
def endpoints() -> dict[str, Any]:
    """Return every host that received messages, and whether it is paused or disabled."""
    store, tenant = current_services().deliveries, current_tenant()
    now_ms = store.now_ms()
    return {
        "object": "list",
        "data": [endpoint_view(one, now_ms) for one in store.endpoints(tenant)],
    }


@webhooks.get(
    "/v1/webhooks/secret",
    summary="Get the signing secret",
    responses={200: SecretState, **_STORE},
)
def secret() -> dict[str, Any]:
    """Return the secret on the first request; afterwards only its hint."""
    return secret_view(current_services().deliveries.secret(current_tenant(), "show"))


@webhooks.post(
    "/v1/webhooks/secret/rotate",
    summary="Rotate the signing secret",
    responses={200: SecretState, **problems.documented(*WRITE_ERRORS)},
)
def rotate() -> dict[str, Any]:
    """Return a new secret, once; for a day, messages carry the signatures of both."""
    return secret_view(current_services().deliveries.secret(current_tenant(), "rotate"))
