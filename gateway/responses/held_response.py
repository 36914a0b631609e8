"""An answer held back for a client that waits in one request: kept alive, or given up with it."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Request

from gateway.http.client_connection import hang_up, watcher
from gateway.responses.long_poll import LongPoll
from gateway.services import Services
from shared.errors import ServiceError
from shared.jobs import JobStatus
from shared.jobs.row import JobRow

_log = logging.getLogger(__name__)

#: Silence that any client and any proxy between bears, seconds.
_PATIENCE_S = 60.0
#: Share of its patience after which a client hears a sign of life, and the rest in steps.
_QUIET_SHARE = 0.8
_SIGN_EVERY_S = 1.0
#: OpenAI's clients come back within 8 seconds of a failure.
_COME_BACK_S = 12.0
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """How long a client waits in silence, and how often it must hear something then."""

    quiet_s: float
    every_s: float

    @classmethod
    def of(cls, request: Request) -> KeepAlive:
        """Return what the client says of itself."""
        for name in ("X-Stainless-Read-Timeout", "X-Stainless-Timeout"):
            told = request.headers.get(name, "").strip()
            if _SECONDS.fullmatch(told) and float(told) > 0:
                return cls.within(float(told))
        return cls.within(_PATIENCE_S)

    @classmethod
    def within(cls, seconds: float) -> KeepAlive:
        """Return the patience of a client that gives up after so many seconds of silence."""
        rest = seconds * (1 - _QUIET_SHARE)
        return cls(seconds * _QUIET_SHARE, min(_SIGN_EVERY_S, rest / 2))


class HeldResponse:
    """One request that holds on to one job."""

    def __init__(
        self,
        request: Request,
        services: Services,
        tenant: str,
        job_id: str,
        *,
        may_return: bool,
    ) -> None:
        """Join those that wait for the job; a client that `may_return` is not given up at once."""
        self.job_id = job_id
        self.gone: Callable[[], bool] = watcher(request)
        # the request itself, because its proxy is good for nothing once an answer streams
        self._request = Request(request.environ)
        self._services = services
        self._tenant = tenant
        self._number = services.waiters.join(job_id)
        self._may_return = may_return

    def row(self) -> JobRow:
        """Return the job now; raises NotFound, Erased, StoreUnavailable."""
        return self._services.store.get(self.job_id, self._tenant)

    def until_terminal(self, wait_s: float) -> JobRow:
        """Return the job when it has ended, the time is over or the client gone."""
        found, who = self._services, self._tenant
        return LongPoll(self._request, found, who, self.job_id, wait_s).until_terminal()

    def signs_of_life(
        self, patience: KeepAlive, answer: Callable[[JobRow], dict[str, Any]]
    ) -> Iterator[str]:
        """Yield newlines until the job has ended, then the answer as JSON.

        The status has been sent by now: a job that fails can only be told by cutting the answer
        off. The client repeats its request then and gets the failure.
        """
        try:
            yield "\n"
            while not (row := self.until_terminal(patience.every_s)).status.terminal:
                if self.gone():
                    return
                yield "\n"
            if row.status is JobStatus.SUCCEEDED:
                yield json.dumps(answer(row), ensure_ascii=False)
            else:
                hang_up(self._request)
        except ServiceError as error:
            _log.warning("answer.cut", extra={"code": error.code})
            hang_up(self._request)
        finally:
            self.leave()

    def leave(self) -> None:
        """Cancel the job if it is unfinished and its client is not coming back for it."""
        try:
            if self.row().status.terminal:
                return
        except ServiceError:
            return
        if not self._may_return:
            self._give_up()
            return
        timer = threading.Timer(_COME_BACK_S, self._give_up)
        timer.daemon = True
        timer.start()

    def _give_up(self) -> None:
        try:
            if self._services.waiters.newest(self.job_id) == self._number:
                self._services.store.cancel(self.job_id, self._tenant)
                _log.info("job.left", extra={"job_id": self.job_id})
        except ServiceError as error:
            # it will be answered for nobody, which harms nobody
            _log.warning("cancel.failed", extra={"job_id": self.job_id, "code": error.code})


def stream_patience_s(request: Request) -> float:
    """Return after how many silent seconds a stream needs a sign of life."""
    return max(0.05, min(15.0, KeepAlive.of(request).quiet_s / 2))
