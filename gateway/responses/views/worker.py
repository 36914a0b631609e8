"""Running workers and their models as callers see them."""

from __future__ import annotations

from typing import Any

from gateway.schemas.jobs import WorkerState
from shared.prediction.heartbeat import Heartbeat


def worker_view(worker: Heartbeat) -> dict[str, Any]:
    """Return what callers may know of a worker, which is not where it runs."""
    return {name: getattr(worker, name) for name in WorkerState.model_fields}


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
        "demo": worker.demo,
        "simulated": worker.simulated,
    }
