"""The workers and the queue: reading both, and letting a worker take no more jobs."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from gateway.http import problems
from gateway.responses.views.operations import point_view, starting_detail, worker_detail
from gateway.routes.refusals import WRITE_ERRORS
from gateway.schemas.operations import (
    HistoryQuery,
    QueueHistoryView,
    WorkerDetail,
    WorkerList,
    WorkerPath,
)
from gateway.services import current_services
from shared import errors
from shared.queue import QUEUES

fleet = APIBlueprint("fleet", __name__, abp_tags=[Tag(name="operations")])

_ERRORS = (errors.InsufficientScope, errors.BadParameters, errors.StoreUnavailable)
_CHANGES = {
    200: WorkerDetail,
    **problems.documented(*_ERRORS, errors.NotFound, *WRITE_ERRORS),
}


@fleet.get(
    "/v1/ops/workers",
    summary="List the workers",
    responses={200: WorkerList, **problems.documented(*_ERRORS)},
)
def list_workers() -> dict[str, Any]:
    """Return every worker with its model, load and speed, and those that have no model yet."""
    starting = current_services().starting.list_all()
    return {"object": "list", "data": _workers(), "starting": list(map(starting_detail, starting))}


@fleet.post("/v1/ops/workers/<worker_id>/drain", summary="Drain a worker", responses=_CHANGES)
def drain(path: WorkerPath) -> dict[str, Any]:
    """Let a worker take no more jobs; it finishes those that it has, and goes on running."""
    _known(path.worker_id)
    current_services().workers.drain(path.worker_id)
    return _known(path.worker_id)


@fleet.post("/v1/ops/workers/<worker_id>/resume", summary="Resume a worker", responses=_CHANGES)
def resume(path: WorkerPath) -> dict[str, Any]:
    """Let a drained worker take jobs again."""
    _known(path.worker_id)
    current_services().workers.resume(path.worker_id)
    return _known(path.worker_id)


@fleet.get(
    "/v1/ops/queue",
    summary="Get the queue with its history",
    responses={200: QueueHistoryView, **problems.documented(*_ERRORS)},
)
def queue(query: HistoryQuery) -> dict[str, Any]:
    """Return how full the queue is now, and was in each of the last minutes."""
    services = current_services()
    load = services.store.load()
    queued = sum(load.depths.values())
    wait_s = services.admission.forecast().fleet.predict_wait_s(queued)
    return {
        "object": "queue",
        "queues": [{"name": name, "depth": load.depths[name]} for name in QUEUES],
        "queued": queued,
        "scheduled": services.job_board.scheduled(),
        "running": load.running,
        "oldest_wait_s": load.oldest_wait_s,
        "wait_s": None if wait_s is None else round(wait_s, 1),
        "history": [point_view(point) for point in services.queue_history.read(query.minutes)],
    }


def _workers() -> list[dict[str, Any]]:
    registry = current_services().workers
    fresh = registry.fresh()
    drained = registry.drained([worker.id for worker in fresh])
    return [worker_detail(worker, drained=worker.id in drained) for worker in fresh]


def _known(worker_id: str) -> dict[str, Any]:
    """Return a worker; raises NotFound."""
    for worker in _workers():
        if worker["id"] == worker_id:
            return worker
    raise errors.NotFound(
        "No worker with this ID sends heartbeats.", hint="List the workers, and take an ID of them."
    )
