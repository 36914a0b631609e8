"""A request that waits for several jobs and for work of its own, and then answers as a whole."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from flask import Request, Response

from gateway.http.server.client_connection import hang_up, watch_client
from gateway.responses.following.held_response import HeldResponse, KeepAlive
from gateway.responses.views.job import why_no_answer
from shared.errors import ServiceError
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.slow_json import dump_slowly

_log = logging.getLogger(__name__)

#: Seconds of one look at a job.
_LOOK_S = 5.0


class ClientLeft(Exception):
    """Nobody waits for the answer any more."""


class HeldReading:
    """Waits for jobs and gathers an answer in a thread, while its client is kept waiting."""

    def __init__(self, request: Request, gather: Callable[[HeldReading], Any]) -> None:
        """`gather` returns the answer; it waits with `wait_for` and raises ServiceErrors."""
        self._request = Request(request.environ)
        self._client_gone = watch_client(self._request)
        self._gather = gather
        self._held: list[HeldResponse] = []
        self._answer: Any = None
        self._error: ServiceError | ClientLeft | None = None
        self._done = threading.Event()

    def hold(self, held: HeldResponse) -> HeldResponse:
        """Take care of a job: it is canceled if the client leaves."""
        self._held.append(held)
        return held

    def wait_for(self, held: HeldResponse) -> JobRow:
        """Return the job once it has succeeded; raises why there is no answer, and ClientLeft."""
        while not (row := held.until_terminal(_LOOK_S)).status.terminal:
            self.check_client()
        if row.status is not JobStatus.SUCCEEDED:
            raise why_no_answer(row)
        return row

    def check_client(self) -> None:
        """Raise ClientLeft if nobody waits any more."""
        if self._client_gone():
            raise ClientLeft

    def respond(self, keep_alive: KeepAlive) -> Response:
        """Return the answer, or a body that goes on waiting for it; raises ServiceErrors."""
        threading.Thread(target=self._work, name="held-reading", daemon=True).start()
        is_done = self._done.wait(keep_alive.quiet_s)
        if not is_done or isinstance(self._error, ClientLeft):
            return Response(self._iter_body(keep_alive.every_s), mimetype="application/json")
        if self._error:
            self._leave()
            raise self._error
        return Response(dump_slowly(self._answer, ensure_ascii=False), mimetype="application/json")

    def _work(self) -> None:
        try:
            self._answer = self._gather(self)
        except (ServiceError, ClientLeft) as error:
            self._error = error
        except Exception:  # noqa: BLE001
            _log.exception("answer.failed")
            self._error = ServiceError()
        finally:
            self._done.set()

    def _iter_body(self, every_s: float) -> Iterator[str]:
        """Yield newlines until the answer is there; a failure can only cut it off by then."""
        try:
            yield "\n"
            while not self._done.wait(every_s):
                if self._client_gone():
                    return
                yield "\n"
            if self._error is None:
                yield dump_slowly(self._answer, ensure_ascii=False)
            elif isinstance(self._error, ServiceError):
                _log.warning("answer.cut", extra={"code": self._error.code})
                hang_up(self._request)
        finally:
            self._leave()

    def _leave(self) -> None:
        for held in self._held:
            with contextlib.suppress(ServiceError):
                held.leave()
