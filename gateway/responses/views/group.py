"""Groups of jobs as callers see them."""

from __future__ import annotations

from typing import Any

from gateway.http.base_path import link_base
from gateway.responses.views.job import predict_outlook, running_eta_s
from gateway.services import Services
from shared.errors import Erased, NotFound
from shared.jobs.view import timestamp
from shared.store.group_store import Group


def group_view(group: Group, services: Services, tenant: str) -> dict[str, Any]:
    """Return a group with its counts; raises StoreUnavailable."""
    is_over = not group.unfinished and group.total >= (group.size or 1)
    path = f"{link_base()}/v1/groups/{group.id}"
    return {
        "id": group.id,
        "object": "group",
        "status": "completed" if is_over else "in_progress",
        "created_at": timestamp(group.created_ms),
        "updated_at": timestamp(group.updated_ms),
        "completed_at": timestamp(group.completed_ms),
        "size": group.size,
        "counts": {
            "total": group.total,
            "queued": group.unfinished - group.running,
            "running": group.running,
            "succeeded": group.succeeded,
            "failed": group.failed,
            "canceled": group.canceled,
            "expired": group.expired,
            "erased": group.erased,
        },
        "eta_s": 0.0 if is_over else _eta_s(group, services, tenant),
        "metadata": group.metadata or {},
        "urls": {
            "self": path,
            "cancel": f"{path}/cancel",
            "retry": f"{path}/retry",
            "jobs": f"{link_base()}/v1/jobs?group={group.id}",
        },
    }


def _eta_s(group: Group, services: Services, tenant: str) -> float | None:
    """Return the seconds until the job that is taken last will have ended.

    None while that is not known, or more jobs are to come.
    """
    if group.last is None or group.total < (group.size or 0):
        return None
    try:
        row = services.store.get(group.last, tenant)
    except (NotFound, Erased):
        return None
    if row.status.terminal:
        return 0.0
    position = services.store.position(row.id, tenant)
    if position is None:
        return running_eta_s(row)
    return predict_outlook(position, services, row.predicted_run_s, row.route).eta_s
