"""Running workers and their models as callers see them."""

from __future__ import annotations

from typing import Any

from gateway.schemas.jobs import StartingState, WorkerState
from shared.long_steps import HowFar
from shared.prediction.heartbeat import Heartbeat
from shared.store.starting_workers import StartingWorker


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


def model_view(worker: Heartbeat) -> dict[str, Any]:
    """Return the worker's model as OpenAI lists models."""
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
    }
