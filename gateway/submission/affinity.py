"""Which worker's bell to ring: a follow-up goes where its keys and values still are."""

from __future__ import annotations

import dataclasses

from gateway.services import Services
from shared.errors import NotFound
from shared.store import Doorbell


def nearest(bell: Doorbell, tenant: str, session_id: str | None, services: Services) -> Doorbell:
    """Return the bell of the session's worker while it beats and has a free slot.

    If it dies or fills up meanwhile, the reconciler rings for everybody a few seconds later.
    """
    if session_id is None:
        return bell
    try:
        remembers = services.sessions.get(tenant, session_id).worker
    except NotFound:
        return bell
    for worker in services.workers.fresh():
        free = worker.busy < worker.slots and not worker.draining
        if worker.id == remembers and worker.queue and free:
            return dataclasses.replace(bell, queue=worker.queue)
    return bell
