"""The metrics that Prometheus scrapes."""

from __future__ import annotations

import hmac

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from gateway.http import problems
from gateway.metrics.exposition import MetricSources, ServiceCollector
from gateway.services import current_services
from shared.errors import Unauthorized

metrics = APIBlueprint("metrics", __name__, abp_tags=[Tag(name="service")])


@metrics.get(
    "/metrics",
    summary="Prometheus metrics",
    responses={
        200: {"description": "Prometheus text format.", "content": {"text/plain": {}}},
        **problems.documented(Unauthorized),
    },
)
def scrape() -> Response:
    """Return all metrics; without Redis, only those of this gateway."""
    services = current_services()
    _check_token(services.settings.metrics_token)
    sources = MetricSources(
        services.store,
        services.workers,
        services.deliveries,
        services.fleet,
        services.servers,
        services.blobs.store if services.blobs else None,
    )
    service = CollectorRegistry(auto_describe=False)
    service.register(ServiceCollector(sources))
    text = generate_latest(service) + generate_latest(services.http_metrics.registry())
    return Response(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _check_token(expected: str | None) -> None:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if expected and not hmac.compare_digest(token.encode(), expected.encode()):
        raise Unauthorized("/metrics requires the bearer token SIGHTLINE_METRICS_TOKEN.")
