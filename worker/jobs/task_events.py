"""Celery's task events for jobs, so that Flower shows how each job ended.

A doorbell may wake a worker for another job than its own, so Celery's events about the doorbell
would say the wrong thing: they are off, and these are sent under the id of the job that ran.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from shared.jobs import JobStatus

_log = logging.getLogger(__name__)


class EventDispatcher(Protocol):
    """What Celery's consumer sends events with."""

    def send(self, type: str, **fields: Any) -> Any:  # noqa: A002 Celery's name
        """Send an event, or keep it until the broker is back."""


class TaskEvents:
    """Sends the events of the jobs of one worker process."""

    def __init__(self, dispatcher: Callable[[], EventDispatcher | None]) -> None:
        """`dispatcher` returns the one of Celery's current connection, None while there is none."""
        self._dispatcher = dispatcher

    def send_start(self, job_id: str) -> None:
        """Say that a job has begun."""
        self._send("task-started", uuid=job_id)

    def send_end(self, job_id: str, status: JobStatus, fields: Mapping[str, Any]) -> None:
        """Say how a job ended, by its log fields: never by what it asked or was answered."""
        match status:
            case JobStatus.SUCCEEDED:
                tokens = f"{fields.get('completion_tokens') or 0} tokens"
                self._send("task-succeeded", uuid=job_id, result=tokens, runtime=_seconds(fields))
            case JobStatus.FAILED:
                self._send("task-failed", uuid=job_id, exception=fields["code"], traceback="")
            case _:
                self.send_revoked(job_id, expired=status is JobStatus.EXPIRED)

    def send_revoked(self, job_id: str, *, expired: bool) -> None:
        """Say that a job was canceled or expired."""
        self._send("task-revoked", uuid=job_id, terminated=False, signum=None, expired=expired)

    def _send(self, kind: str, **fields: Any) -> None:
        dispatcher = self._dispatcher()
        if dispatcher is None:
            return
        try:
            dispatcher.send(kind, **fields)
        except Exception as error:  # noqa: BLE001
            # only a display depends on it, and kombu fails in many ways without a broker
            _log.warning("task_event.failed", extra={"cause": repr(error)})


def _seconds(fields: Mapping[str, Any]) -> float:
    return sum(fields.get(stage) or 0.0 for stage in ("encode_s", "prefill_s", "decode_s"))
