"""Long polling: how long a request asks to wait for a job, and the waiting itself."""

from __future__ import annotations

import re
import time

from flask import Request

from gateway.responses.following.followed_job import FollowedJob
from gateway.services import Services
from shared.errors import BadParameters
from shared.jobs.row import JobRow

_PREFER_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})\b', re.IGNORECASE)


def preferred_wait_s(request: Request, services: Services) -> int:
    """Return the seconds of `Prefer: wait=N`, bounded; 0 without it."""
    match = _PREFER_WAIT.search(request.headers.get("Prefer", ""))
    return min(int(match[1]), services.settings.max_wait_s) if match else 0


def query_wait_s(request: Request, services: Services) -> int:
    """Return the seconds of `?wait=N`, bounded; raises BadParameters."""
    text = request.args.get("wait", "0")
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise BadParameters("wait must be a whole number of seconds.", pointer="/wait")
    return min(int(text), services.settings.max_wait_s)


class LongPoll:
    """One request that waits for one job; ends early when its client has gone."""

    def __init__(self, job: FollowedJob, wait_s: float) -> None:
        """Wait `wait_s` seconds from now on."""
        self._job = job
        self._deadline = time.monotonic() + wait_s

    def until_terminal(self) -> JobRow:
        """Return the job when it has ended or the time is over.

        Raises NotFound, Erased, StoreUnavailable.
        """
        row = self._job.row()
        if row.status.terminal or self._is_over():
            return row
        for _ in self._job.follow(0, deadline=self._deadline):
            pass
        return self._job.row()

    def until_change(self) -> JobRow:
        """Return the job when its status or progress has changed or the time is over.

        Raises NotFound, Erased, StoreUnavailable.
        """
        if self._is_over():
            return self._job.row()
        after = self._job.services.events.last(self._job.id)
        row = self._job.row()
        if row.status.terminal:
            return row
        for event in self._job.follow(after, deadline=self._deadline):
            if event is not None and event.type.startswith("job."):
                break
        return self._job.row()

    def _is_over(self) -> bool:
        return time.monotonic() >= self._deadline or self._job.client_gone()
