"""Health checks, the state of queues and workers, and the limits of the service."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from gateway import auth
from gateway.http import problems
from gateway.http.leaving import is_leaving
from gateway.responses.limits_view import (
    image_limits,
    job_limits,
    key_limits,
    queue_limits,
    request_limits,
)
from gateway.responses.worker_view import worker_view
from gateway.schemas.jobs import Ok, QueueView
from gateway.schemas.limits import Limits
from gateway.services import current_services
from gateway.submission.request import MAX_DEADLINE_S, MAX_METADATA_BYTES
from shared import errors
from shared.jobs import MAX_NEW_TOKENS
from shared.queue import QUEUES

health = APIBlueprint("health", __name__, abp_tags=[Tag(name="service")])

_STORE = problems.documented(errors.StoreUnavailable)


@health.get(
    "/healthz",
    summary="Is this process alive?",
    responses={200: Ok, **problems.documented(errors.Unavailable)},
)
def healthz() -> dict[str, str]:
    """Answer without asking anybody else; 503 from a process that is about to stop."""
    if is_leaving():
        raise errors.Unavailable("This gateway process is stopping.", retry_after_s=5)
    return {"status": "ok"}


@health.get(
    "/readyz",
    summary="Can a question be answered now?",
    responses={200: Ok, **problems.documented(errors.StoreUnavailable, errors.NoWorkers)},
)
def readyz() -> dict[str, str]:
    """Answer 200 when Redis answers and a worker with a loaded model beats."""
    if not any(not worker.draining for worker in current_services().workers.fresh()):
        raise errors.NoWorkers(retry_after_s=5)
    return {"status": "ready"}


@health.get("/v1/queue", summary="How full is it?", responses={200: QueueView, **_STORE})
def queue() -> dict[str, Any]:
    """Return the depth of each queue, the oldest wait and the workers that are up."""
    services = current_services()
    state = services.store.load()
    return {
        "queues": [{"name": name, "depth": state.depths[name]} for name in QUEUES],
        "queued": sum(state.depths.values()),
        "running": state.running,
        "oldest_wait_s": state.oldest_wait_s,
        "workers": [worker_view(worker) for worker in services.workers.fresh()],
    }


@health.get("/v1/limits", summary="What is accepted?", responses={200: Limits})
def limits() -> dict[str, Any]:
    """Return every bound that a request is held to."""
    settings = current_services().settings
    return {
        "image": image_limits(settings),
        "request": request_limits(settings, max_metadata_bytes=MAX_METADATA_BYTES),
        "job": job_limits(settings, max_deadline_s=MAX_DEADLINE_S, max_new_tokens=MAX_NEW_TOKENS),
        "queue": queue_limits(settings),
        "key": key_limits(auth.current_caller()),
    }
