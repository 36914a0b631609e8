"""Stores a job of this request and wakes a worker for it."""

from __future__ import annotations

from flask import g

from gateway import auth
from gateway.services import Services
from gateway.submission.affinity import choose_queue
from shared.store import Doorbell, NewJob, StoredJob


def enqueue_job(job: NewJob, services: Services) -> StoredJob:
    """Store a job together with its doorbell message; raises what `Store.add` raises."""
    doorbell = Doorbell(job.id, choose_queue(job, services))
    return auth.add_job(job, services.doorbells.compose(doorbell))


def trace_context() -> dict[str, str]:
    """Return what leads from a job back to this request: its id and, if traced, `traceparent`."""
    traceparent = g.traced.traceparent
    return {"request_id": g.request_id} | ({"traceparent": traceparent} if traceparent else {})
