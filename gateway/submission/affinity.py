"""Which worker a job wakes: a follow-up goes to the one that still holds its session's KV cache."""

from __future__ import annotations

from gateway.services import Services
from shared.errors import NotFound
from shared.queue import model_queue
from shared.store import NewJob


def choose_queue(job: NewJob, services: Services) -> str:
    """Return the queue of the worker that answered the session last, else that of all who may.

    Only a worker that still sends heartbeats and has a free slot is chosen. If it dies or fills up
    meanwhile, the reconciler wakes the others a few seconds later. Raises StoreUnavailable.
    """
    route = job.route
    shared_queue = model_queue(route.pool) if route.pool else job.priority.value
    if job.session_id is None:
        return shared_queue
    try:
        last_worker = services.sessions.get(job.tenant, job.session_id).worker
    except NotFound:
        return shared_queue
    for worker in services.workers.fresh():
        has_room = worker.busy < worker.slots and not worker.draining
        may_answer = route.is_served_by(worker.model, worker.revision)
        if worker.id == last_worker and worker.queue and has_room and may_answer:
            return worker.queue
    return shared_queue
