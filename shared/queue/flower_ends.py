"""Flower's view of tasks, held against the rows: ends that no worker told it of.

A job that has cost too many workers, that waits behind its deadline or is stopped by a gap ends in
Redis, where no worker is there to send Celery's event; and an event can be lost.
"""

from __future__ import annotations

import logging
import time
from functools import cached_property
from typing import Any

from celery import states
from flower.events import Events
from tornado.ioloop import IOLoop, PeriodicCallback

from shared.errors import StoreUnavailable
from shared.jobs import JobStatus
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.operations.job_board import JobBoard, JobSummary

_log = logging.getLogger(__name__)

_EVERY_MS = 5000
#: Tasks that are looked at in one go; the next one goes on behind them.
_MOST = 500
_EVENTS = {
    JobStatus.SUCCEEDED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELED: "revoked",
    JobStatus.EXPIRED: "revoked",
}


class TrueEvents(Events):
    """Flower's events; a task whose job has ended unheard gets its state from the row."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last_looked_at = ""
        self._looks = PeriodicCallback(self._catch_up, _EVERY_MS)

    def start(self) -> None:
        """Listen, and look at the rows every few seconds."""
        super().start()
        self._looks.start()

    def stop(self) -> None:
        """Stop both."""
        self._looks.stop()
        super().stop()

    @cached_property
    def _board(self) -> JobBoard:
        return JobBoard(connect(Settings()))

    async def _catch_up(self) -> None:
        unheard = self._next_unheard()
        if not unheard:
            return
        try:
            ended = await IOLoop.current().run_in_executor(None, self._board.ended, unheard)
        except StoreUnavailable as error:
            _log.debug("flower.waiting", extra={"cause": error.detail})
            return
        for job in ended:
            self._tell(job)

    def _next_unheard(self) -> list[str]:
        """Return the next tasks that Flower takes for unfinished, all of them in turn."""
        open_tasks = sorted(
            uuid
            for uuid, task in self.state.tasks.items()
            if task.state not in states.READY_STATES and uuid.startswith("job_")
        )
        later = [uuid for uuid in open_tasks if uuid > self._last_looked_at]
        chosen = (later or open_tasks)[:_MOST]
        self._last_looked_at = chosen[-1] if chosen else ""
        return chosen

    def _tell(self, job: JobSummary) -> None:
        task = self.state.tasks.get(job.id)
        # its event may have come meanwhile
        if task is None or task.state in states.READY_STATES:
            return
        fields: dict[str, Any] = {}
        if job.status is JobStatus.FAILED:
            fields = {"exception": str((job.error or {}).get("code")), "traceback": ""}
        # not as an event of a worker: that would count as a sign of life of one that may be dead
        task.event(_EVENTS[job.status], (job.completed_ms or 0) / 1000, time.time(), fields)
        self.state.search_engine.upsert(task)
