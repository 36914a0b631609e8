"""Submits a job to a store as the gateway does: together with the message that wakes a worker."""

from __future__ import annotations

from shared.queue.doorbell import DoorbellMessages
from shared.store import Doorbell, NewJob, Store


def submit(store: Store, job: NewJob) -> str:
    """Store a job with its doorbell; return its id."""
    message = DoorbellMessages(store.redis).compose(Doorbell(job.id, job.priority.value))
    return store.add(job, message).doorbell.job_id
