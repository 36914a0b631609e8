"""Running workers and their models as callers see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.models.directory import ModelDirectory
from gateway.models.fleet import FleetModel
from gateway.schemas.health import StartingState, WorkerState
from shared.long_steps import HowFar
from shared.prediction.heartbeat import Heartbeat
from shared.store.fleet.starting_workers import StartingWorker


def worker_view(worker: Heartbeat) -> dict[str, Any]:
    """Return what callers may know of a worker, which is not where it runs."""
    return {name: getattr(worker, name) for name in WorkerState.model_fields}


def starting_view(worker: StartingWorker) -> dict[str, Any]:
    """Return what callers may know of a worker that starts; the whole reason is in its log."""
    return {name: getattr(worker, name) for name in StartingState.model_fields}


def describe_start(workers: list[StartingWorker]) -> str | None:
    """Return what the workers do that have no model yet; None if there are none."""
    if not workers:
        return None
    return f"No worker is ready yet: {'; '.join(map(_describe_one, workers[:3]))}."


def _describe_one(worker: StartingWorker) -> str:
    if worker.problem:
        return f"one could not start ({worker.problem}: see its log)"
    if worker.percent is None:
        return f"one is starting ({worker.step})" if worker.step else "one is starting"
    return f"one is {worker.step} ({HowFar(worker.percent / 100, worker.seconds_left)})"


def model_view(workers: Sequence[Heartbeat], directory: ModelDirectory) -> dict[str, Any]:
    """Return the model of these workers as OpenAI lists models; each of them serves it."""
    worker = workers[0]
    return {
        "id": worker.model,
        "object": "model",
        "created": 0,
        "owned_by": "sightline",
        "revision": worker.revision,
        "engine": worker.engine,
        "not_available": list(worker.lacks),
        "numerics": worker.numerics,
        "numerics_reason": worker.numerics_reason,
        "arithmetic": worker.arithmetic,
        "context_tokens": worker.context_tokens,
        "sampling": worker.sampling,
        "thinks": worker.thinks,
        "demo": worker.demo,
        "simulated": worker.simulated,
        "revisions": sorted({one.revision for one in workers}),
        "workers": [one.id for one in workers],
        "slots": sum(one.slots for one in workers if not one.draining),
        "default": directory.is_default(worker.model),
        "aliases": directory.other_names(worker.model),
    }


def fleet_model_view(model: FleetModel) -> dict[str, Any]:
    """Return how much work waits and runs for a model."""
    return {
        "model": model.name,
        "queued": model.load.queued,
        "running": model.load.running,
        "oldest_wait_s": model.load.oldest_wait_s,
        "wait_s": None if model.wait_s is None else round(model.wait_s, 1),
        "workers": len(model.workers),
        "default": model.is_default,
        "slots": model.slots,
    }
