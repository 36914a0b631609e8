"""The life of a job in a worker: claim, work, then finish, release or fall silent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from shared.errors import ImageGone, InferenceFailed, OutOfMemory, ServiceError, StoreUnavailable
from shared.images import ImageStore
from shared.log import bound
from shared.queue import ring
from shared.row import JobRow
from shared.sessions import SessionStore
from shared.settings import Settings
from shared.store import Claim, Store
from worker import results
from worker.engine.api import Completion, Failed, Ticket, UsedImage
from worker.leases import Held, Leases
from worker.meter import Meter
from worker.pipeline import Pipeline, Question
from worker.postprocess import Postprocessor
from worker.reporting import Reporter
from worker.results import Result

_log = logging.getLogger(__name__)

#: Seconds between two looks at cancel, lease and shutdown while no token comes.
_POLL_S = 0.05
#: A silent store is asked again for this long; after that the lease decides.
_PATIENCE_S = 600.0

T = TypeVar("T")


class _Lost(Exception):
    """The job is no longer ours."""


class _GivenBack(Exception):
    """The worker stops and the job must go back."""


class Answering:
    """Answers one job after another in the threads of the pool."""

    def __init__(
        self,
        *,
        worker_id: str,
        store: Store,
        images: ImageStore,
        sessions: SessionStore,
        pipeline: Pipeline,
        postprocessor: Postprocessor,
        leases: Leases,
        meter: Meter,
        settings: Settings,
        must_give_back: Callable[[], bool],
    ) -> None:
        """`must_give_back` tells whether this process is leaving and its patience is over."""
        self._worker_id = worker_id
        self._store = store
        self._images = images
        self._sessions = sessions
        self._pipeline = pipeline
        self._postprocessor = postprocessor
        self._leases = leases
        self._meter = meter
        self._settings = settings
        self._must_give_back = must_give_back

    def answer(self, job_id: str | None = None) -> str | None:
        """Do what a doorbell asks for: this job, or without one the job whose turn it is.

        Returns the id of the job it was, None if there was nothing to do.
        """
        try:
            claim = self._claim(job_id)
        except StoreUnavailable as error:
            # the row still waits; the reconciler will ring again
            _log.warning("claim.failed", extra={"cause": error.detail})
            return None
        if isinstance(claim, str):
            _log.info("doorbell.ignored", extra={"cause": claim})
            return None
        with bound(job_id=claim.row.id):
            self._hold(claim)
        return claim.row.id

    def _claim(self, job_id: str | None) -> Claim | str:
        if job_id is None:
            return self._store.claim_next(self._worker_id)
        return self._store.claim(job_id, self._worker_id)

    def _hold(self, claim: Claim) -> None:
        held = self._leases.hold(claim)
        try:
            with self._meter.working():
                self._work(held)
        except _Lost:
            _log.warning("job.lost", extra={"attempt": claim.row.attempt})
        except _GivenBack:
            self._give_back(held)
        except BaseException:
            # Celery ends threads by exceptions that are no Exception
            self._give_back(held)
            raise
        finally:
            self._leases.drop(held)

    def _give_back(self, held: Held) -> None:
        try:
            bell = self._store.release(held.claim.row.id, held.claim.owner)
        except StoreUnavailable as error:
            _log.warning("release.failed", extra={"cause": error.detail})
            return
        if bell:
            _log.info("job.released", extra={"attempt": held.claim.row.attempt})
            ring([bell])

    def _work(self, held: Held) -> None:
        row = held.claim.row
        _log.info("job.started", extra={"attempt": row.attempt, "worker": self._worker_id})
        try:
            result = self._result(held)
        except (_Lost, _GivenBack):
            raise
        except ServiceError as error:
            result = results.failed(row, error, worker=self._worker_id)
        except MemoryError:
            result = results.failed(row, OutOfMemory(), worker=self._worker_id)
        except Exception as error:  # noqa: BLE001
            # whatever it was, it is this job's end and not the worker's
            _log.exception("job.crashed")
            cause = InferenceFailed(f"{type(error).__name__} while answering.")
            result = results.failed(row, cause, worker=self._worker_id)
        self._finish(held, result)

    def _result(self, held: Held) -> Result:
        row = held.claim.row
        ticket, notices = self._pipeline.start(self._patiently(held, lambda: self._question(row)))
        done, seen = self._follow(held, ticket)
        return results.answered(
            row,
            done,
            self._postprocessor.process(done.text, row.input.postprocess),
            model=self._pipeline.engine.info.name,
            worker=self._worker_id,
            seen=seen,
            notices=notices,
        )

    def _question(self, row: JobRow) -> Question:
        session = row.session_id
        history = self._sessions.turns(row.tenant, session) if session else []
        ids = sorted({i for turn in history for i in turn.images} | set(row.input.every_image))
        pngs = dict(zip(ids, self._images.pngs(row.tenant, ids), strict=True))
        # an image that only an old turn knows may be gone; without it the turn is pointless
        history = [turn for turn in history if all(pngs[i] for i in turn.images)]
        if not all(pngs[i] for i in row.input.every_image):
            raise ImageGone
        return Question(
            id=row.id,
            job=row.input,
            history=history,
            pngs={i: png for i, png in pngs.items() if png},
            feature_scope=row.tenant,
            scope=_scope(row),
            time_left_s=self._time_left_s(row),
        )

    def _time_left_s(self, row: JobRow) -> float:
        # both times are of Redis' clock: the claim was made a moment ago
        until_expiry = (row.expire_ms - (row.started_ms or row.created_ms)) / 1000
        return min(self._settings.job_timeout_s, until_expiry)

    def _follow(self, held: Held, ticket: Ticket) -> tuple[Completion, tuple[UsedImage, ...]]:
        row = held.claim.row
        reporter = Reporter(self._store, held, row.input.params.max_new_tokens)
        try:
            while True:
                event = ticket.get(_POLL_S)
                # first: an engine that died has failed all its tickets
                self._look_around(held, ticket)
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Completion):
                    reporter.flush()
                    return event, reporter.seen
                reporter.take(event)
        except BaseException:
            ticket.cancel()
            raise

    def _look_around(self, held: Held, ticket: Ticket) -> None:
        if held.lost:
            raise _Lost
        if held.canceled:
            ticket.cancel()
        elif self._must_give_back():
            raise _GivenBack
        if not self._pipeline.engine.alive:
            # not the job's fault: its lease ends with this process, and another one takes it
            raise _Lost

    def _finish(self, held: Held, result: Result) -> None:
        row, owner = held.claim.row, held.claim.owner
        kept = self._patiently(
            held,
            lambda: self._store.finish(
                row.id,
                owner,
                result.status,
                result.fields,
                turn=result.turn,
                tally=result.tally,
            ),
        )
        if not kept:
            raise _Lost
        self._meter.finished()
        _log.info("job.finished", extra=results.log_line(row, result))

    def _patiently(self, held: Held, act: Callable[[], T]) -> T:
        """Return what `act` gives once the store answers; give up when the job is not ours."""
        patience = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return act()
            except StoreUnavailable:
                if held.lost or self._must_give_back() or time.monotonic() > patience:
                    raise _Lost from None
                time.sleep(_POLL_S * 10)


def _scope(row: JobRow) -> str:
    """Return within what keys and values are shared; neither a session nor a thread has NUL."""
    if row.session_id:
        return f"{row.tenant}\x00{row.session_id}"
    return f"{row.tenant}\x00\x00{row.input.thread}" if row.input.thread else ""
