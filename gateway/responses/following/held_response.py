"""A response held open for a client that waits in one request; its job is canceled if it leaves."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flask import Request, Response, jsonify

from gateway.http.server.client_connection import hang_up
from gateway.responses.following.followed_job import FollowedJob
from gateway.responses.following.long_poll import LongPoll
from gateway.responses.views.job import why_no_answer
from gateway.services import Services
from shared.errors import ServiceError
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.slow_json import dump_slowly

_log = logging.getLogger(__name__)

#: Seconds of silence that any client, and any proxy on the way, puts up with.
_DEFAULT_TIMEOUT_S = 60.0
#: Share of a client's timeout that may pass in silence; newlines are sent during the rest.
_QUIET_SHARE = 0.8
_NEWLINE_EVERY_S = 1.0
#: OpenAI's clients retry within 8 seconds of a failure.
_RETRY_WITHIN_S = 12.0
_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Seconds that a client waits in silence, and seconds between newlines after that."""

    quiet_s: float
    every_s: float

    @classmethod
    def of(cls, request: Request) -> KeepAlive:
        """Return what fits the timeout that the client states in its headers."""
        for name in ("X-Stainless-Read-Timeout", "X-Stainless-Timeout"):
            timeout = request.headers.get(name, "").strip()
            if _SECONDS.fullmatch(timeout) and float(timeout) > 0:
                return cls.within(float(timeout))
        return cls.within(_DEFAULT_TIMEOUT_S)

    @classmethod
    def within(cls, timeout_s: float) -> KeepAlive:
        """Return what fits a client that gives up after `timeout_s` of silence."""
        rest_s = timeout_s * (1 - _QUIET_SHARE)
        return cls(timeout_s * _QUIET_SHARE, min(_NEWLINE_EVERY_S, rest_s / 2))


class HeldResponse:
    """One request that waits for one job until it ends or the client leaves."""

    def __init__(
        self, request: Request, services: Services, row: JobRow, waiter: str, *, may_retry: bool
    ) -> None:
        """Take over a job that was stored for this `waiter`.

        The job of a client that `may_retry` is canceled only if no retry has come for it.
        """
        # not flask's proxy, which stops working once the answer streams
        self._request = Request(request.environ)
        self.job = FollowedJob.of(self._request, services, row.tenant, row.id)
        self._waiter = waiter
        self._may_retry = may_retry

    def until_terminal(self, wait_s: float) -> JobRow:
        """Return the job when it has ended, after `wait_s`, or when the client is gone.

        Raises NotFound, Erased, StoreUnavailable.
        """
        return LongPoll(self.job, wait_s).until_terminal()

    def respond(self, keep_alive: KeepAlive, view: Callable[[JobRow], Any]) -> Response:
        """Return the job's view once it has succeeded, or a body that goes on waiting for it.

        A client that would give up is sent newlines, which JSON allows before its value. Raises why
        there is no answer.
        """
        row = self.until_terminal(keep_alive.quiet_s)
        if not row.status.terminal:
            body = self.iter_body(keep_alive.every_s, view)
            return Response(body, mimetype="application/json")
        if row.status is not JobStatus.SUCCEEDED:
            raise why_no_answer(row)
        return jsonify(view(row))

    def iter_body(self, every_s: float, view: Callable[[JobRow], Any]) -> Iterator[str]:
        """Yield a newline every `every_s` seconds until the job has ended, then its view as JSON.

        The status has been sent by then: a failure can only be shown by cutting the answer off.
        The client retries and gets the failure with its status.
        """
        try:
            yield "\n"
            while not (row := self.until_terminal(every_s)).status.terminal:
                if self.job.client_gone():
                    return
                yield "\n"
            if row.status is JobStatus.SUCCEEDED:
                yield dump_slowly(view(row), ensure_ascii=False)
            else:
                hang_up(self._request)
        except ServiceError as error:
            _log.warning("answer.cut", extra={"code": error.code})
            hang_up(self._request)
        finally:
            self.leave()

    def leave(self) -> None:
        """Cancel the job if no other request waits for it and this client is not coming back."""
        if self._note_leaving(for_good=not self._may_retry) == "kept" and self._may_retry:
            timer = threading.Timer(_RETRY_WITHIN_S, self._note_leaving, kwargs={"for_good": True})
            timer.daemon = True
            timer.start()

    def _note_leaving(self, *, for_good: bool) -> str:
        """Return what became of the job."""
        job = self.job
        try:
            outcome = job.services.waiters.leave(
                job.id, job.tenant, self._waiter, for_good=for_good
            )
        except ServiceError as error:
            # the job then runs to its end and nobody reads its answer
            _log.warning("cancel.failed", extra={"job_id": job.id, "code": error.code})
            return error.code
        if outcome.startswith("cancel"):
            _log.info("job.left", extra={"job_id": job.id})
        return outcome


def stream_ping_s(request: Request) -> float:
    """Return the seconds of silence after which a stream to this client needs a ping."""
    return max(0.05, min(15.0, KeepAlive.of(request).quiet_s / 2))
