"""Celery's control and result backend over the job store, for Flower and `celery control`.

A message is only a doorbell, so revoking it would stop nothing: the job's row is canceled instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from celery import states
from celery.app.control import Control
from celery.backends.base import BaseBackend
from celery.contrib.abortable import ABORTED

from shared.errors import Erased, JobTooNew, NotFound
from shared.jobs import JobStatus
from shared.settings import Settings
from shared.store import Store

_STATES = {
    JobStatus.QUEUED: states.PENDING,
    JobStatus.RUNNING: states.STARTED,
    JobStatus.SUCCEEDED: states.SUCCESS,
    JobStatus.FAILED: states.FAILURE,
    JobStatus.CANCELED: states.REVOKED,
    JobStatus.EXPIRED: states.REVOKED,
}


def cancel(store: Store, job_ids: str | Iterable[str]) -> None:
    """Cancel jobs of any tenant; unknown and ended ones are skipped. Raises StoreUnavailable."""
    for job_id in [job_ids] if isinstance(job_ids, str) else job_ids:
        tenant = store.tenant(job_id)
        try:
            if tenant is not None:
                store.cancel(job_id, tenant)
        except (NotFound, Erased):
            # it was erased meanwhile
            continue


def find_status(store: Store, job_id: str) -> JobStatus | None:
    """Return the status of a job of any tenant; None for none, and for one of a newer version.

    Raises StoreUnavailable.
    """
    tenant = store.tenant(job_id)
    try:
        return store.get(job_id, tenant).status if tenant else None
    except (NotFound, Erased, JobTooNew):
        return None


class JobControl(Control):
    """Celery's remote control, whose revoke and terminate cancel the job."""

    @cached_property
    def store(self) -> Store:
        """The job store of the settings."""
        return Store(Settings())

    def revoke(self, task_id: str | Iterable[str], *_: Any, **__: Any) -> None:
        """Cancel jobs in the store, so that workers that are away or busy need no message."""
        cancel(self.store, task_id)


class JobBackend(BaseBackend):
    """Celery's result backend as a view of the rows; stores nothing, and abort cancels the job."""

    thread_safe = True

    @cached_property
    def _store(self) -> Store:
        return Store(Settings())

    def store_result(self, task_id: str, result: Any, state: str, *_: Any, **__: Any) -> Any:
        """Cancel the job of an aborted task; everything else is in the rows already."""
        if state == ABORTED:
            cancel(self._store, task_id)
        return result

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Return the state of a job without any of its content."""
        status = find_status(self._store, task_id)
        state = _STATES[status] if status else states.PENDING
        return {"task_id": task_id, "status": state, "result": None, "traceback": None}
