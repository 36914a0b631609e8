"""Health checks, the state of queues and workers, and the limits of the service."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from gateway import auth
from gateway.http import problems
from gateway.http.server.leaving import is_leaving
from gateway.responses.views.limits import (
    document_limits,
    image_limits,
    job_limits,
    key_limits,
    queue_limits,
    request_limits,
)
from gateway.responses.views.worker import (
    describe_start,
    fleet_model_view,
    starting_view,
    worker_view,
)
from gateway.schemas.health import Ok, QueueView, Ready
from gateway.schemas.limits import Limits
from gateway.services import current_services
from gateway.submission.fields.handling import MAX_DEADLINE_S, MAX_METADATA_BYTES
from shared import errors
from shared.queue import QUEUES

health = APIBlueprint("health", __name__, abp_tags=[Tag(name="service")])

_STORE = problems.documented(errors.StoreUnavailable)


@health.get(
    "/healthz",
    summary="Liveness check",
    responses={200: Ok, **problems.documented(errors.Unavailable)},
)
def healthz() -> dict[str, str]:
    """Return 200 while the process runs, without checking Redis or workers; 503 while it stops."""
    if is_leaving():
        raise errors.Unavailable("This gateway process is stopping.", retry_after_s=5)
    return {"status": "ok"}


@health.get(
    "/readyz",
    summary="Readiness check",
    responses={
        200: Ready,
        **problems.documented(errors.StoreUnavailable, errors.StoreCannotWrite, errors.NoWorkers),
    },
)
def readyz() -> dict[str, str]:
    """Return 200 if Redis responds and takes writes, and workers take jobs from every queue."""
    services = current_services()
    workers = services.workers.fresh()
    services.store_health.check_writable()
    if not any(not worker.draining for worker in workers):
        raise errors.NoWorkers(describe_start(services.starting.list_all()), retry_after_s=5)
    idle = [name for name in QUEUES if not any(worker.takes_from(name) for worker in workers)]
    if idle:
        raise errors.NoWorkers(
            f"No worker takes jobs from these queues: {', '.join(idle)}.",
            hint="Restart the workers, or start one with -Q high,default,low.",
            retry_after_s=5,
        )
    if services.blobs is None:
        return {"status": "ready"}
    # all gateways have the same one: none would be left to answer 503 and to take what needs none
    return {"status": "ready", "blobs": "down" if services.blobs.store.refusal else "ok"}


@health.get("/v1/queue", summary="Get the queue state", responses={200: QueueView, **_STORE})
def queue() -> dict[str, Any]:
    """Return the depth of each queue, the longest wait, the running workers and their models."""
    services = current_services()
    state, workers = services.store.load(), services.workers.fresh()
    queued = sum(state.depths.values())
    models = list(services.fleet.read(workers))
    wait_s = services.admission.forecast().fleet.predict_wait_s(queued)
    if len(models) > 1:
        wait_s = max((model.wait_s for model in models if model.wait_s is not None), default=None)
    return {
        "queues": [{"name": name, "depth": state.depths[name]} for name in QUEUES],
        "queued": queued,
        "running": state.running,
        "oldest_wait_s": state.oldest_wait_s,
        "wait_s": None if wait_s is None else round(wait_s, 1),
        "workers": [worker_view(worker) for worker in workers],
        "starting": [starting_view(worker) for worker in services.starting.list_all()],
        "models": [fleet_model_view(model) for model in models],
    }


@health.get("/v1/limits", summary="Get all limits", responses={200: Limits})
def limits() -> dict[str, Any]:
    """Return every limit that applies to a request."""
    settings = current_services().settings
    return {
        "image": image_limits(settings),
        "document": document_limits(settings),
        "request": request_limits(settings, max_metadata_bytes=MAX_METADATA_BYTES),
        "job": job_limits(settings, max_deadline_s=MAX_DEADLINE_S),
        "queue": queue_limits(settings),
        "key": key_limits(auth.current_caller()),
    }
