"""Stores a job of this request and wakes a worker for it."""

from __future__ import annotations

from flask import g

from gateway import auth
from gateway.audit import note_made
from gateway.services import Services
from gateway.submission.affinity import choose_queue
from shared.store import Doorbell, NewJob, StoredJob


def enqueue_job(job: NewJob, services: Services) -> StoredJob:
    """Store a job together with its doorbell message; raises what `Store.add` raises."""
    doorbell = Doorbell(job.id, choose_queue(job, services), _summarize(job))
    stored = auth.add_job(job, services.doorbells.compose(doorbell))
    note_made(stored.doorbell.job_id)
    return stored


def enqueue_unlimited(job: NewJob, services: Services) -> StoredJob:
    """Store a job for its key, whatever that key has used; raises what `Store.add` raises."""
    doorbell = Doorbell(job.id, choose_queue(job, services), _summarize(job))
    return services.store.add(job, services.doorbells.compose(doorbell))


def _summarize(job: NewJob) -> str:
    """Return the kind and size of a job, as Flower shows them."""
    kind = job.input.preset or ("remember" if job.input.encode_only else "question")
    megapixels = sum(image.width * image.height for image in job.images) / 1e6
    count = len(job.images)
    images = "1 image" if count == 1 else f"{count} images" if count else "no image"
    return f"{kind}, {images}" + (f", {megapixels:.1f} megapixels" if count else "")


def trace_context() -> dict[str, str]:
    """Return what leads from a job back to this request: its id and, if traced, `traceparent`."""
    traceparent = g.traced.traceparent
    return {"request_id": g.request_id} | ({"traceparent": traceparent} if traceparent else {})
