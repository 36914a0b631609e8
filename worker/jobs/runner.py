"""The life of a job in a worker: claim, work, then finish, release or fall silent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from shared.errors import ImageGone, InferenceFailed, OutOfMemory, ServiceError, StoreUnavailable
from shared.jobs import JobInput, JobStatus, Turn
from shared.jobs.row import JobRow
from shared.log import bound
from shared.queue import send_doorbells
from shared.settings import Settings
from shared.store import Claim, Store
from shared.store.image_store import ImageStore
from shared.store.session_store import SessionStore
from shared.tracing import Tracing
from worker.engine.api import Completion, Failed, Ticket
from worker.jobs import results
from worker.jobs.leases import ClaimedJob, JobReleased, LeaseLost, Leases
from worker.jobs.load_meter import LoadMeter
from worker.jobs.progress import ProgressReporter
from worker.jobs.results import EngineAnswer, Result
from worker.jobs.tiled.steps import TiledSteps
from worker.jobs.tiled.tiles import TileCutter
from worker.pipeline import Pipeline, Question
from worker.postprocess import Postprocessor

_log = logging.getLogger(__name__)

#: Seconds between two looks at cancel, lease and shutdown while no token comes.
_POLL_S = 0.05
#: A silent store is asked again for this long; after that the lease decides.
_PATIENCE_S = 600.0

T = TypeVar("T")


class JobRunner:
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
        meter: LoadMeter,
        tracing: Tracing,
        settings: Settings,
        long_jobs: TileCutter,
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
        self._tracing = tracing
        self._settings = settings
        self._must_give_back = must_give_back
        self._long_jobs = long_jobs
        self._long = TiledSteps(self, long_jobs)

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
        except LeaseLost:
            _log.warning("job.lost", extra={"attempt": claim.row.attempt})
        except JobReleased:
            self._give_back(held)
        except BaseException:
            # Celery ends threads by exceptions that are no Exception
            self._give_back(held)
            raise
        finally:
            self._leases.drop(held)

    def _give_back(self, held: ClaimedJob) -> None:
        try:
            bell = self._store.release(held.claim.row.id, held.claim.owner)
        except StoreUnavailable as error:
            _log.warning("release.failed", extra={"cause": error.detail})
            return
        if bell:
            _log.info("job.released", extra={"attempt": held.claim.row.attempt})
            send_doorbells([bell])

    def _work(self, held: ClaimedJob) -> None:
        row = held.claim.row
        if row.parent:
            self._long.tile(held)
            self._meter.finished()
            return
        _log.info("job.started", extra={"attempt": row.attempt, "worker": self._worker_id})
        result = self.attempt(lambda: self._result(held))
        if isinstance(result, ServiceError):
            result = results.failed(row, result, worker=self._worker_id)
        if result is not None:
            self._finish(held, result)

    def attempt(self, act: Callable[[], T]) -> T | ServiceError:
        """Return what `act` gives, or its failure; raises LeaseLost and JobReleased."""
        try:
            return act()
        except (LeaseLost, JobReleased):
            raise
        except ServiceError as error:
            return error
        except MemoryError:
            return OutOfMemory()
        except Exception as error:  # noqa: BLE001
            # whatever it was, it is this job's end and not the worker's
            _log.exception("job.crashed")
            return InferenceFailed(f"{type(error).__name__} while answering.")

    def _result(self, held: ClaimedJob) -> Result | None:
        """Return a job's end; None when its tiles were handed to the queue instead."""
        row = held.claim.row
        if row.phase:
            answer = self._long.merge(held)
        elif self._long.split(held):
            return None
        else:
            answer = self.ask(held, self.question(held, row.input))
        return results.answered(
            row,
            answer,
            self._postprocessor.process(answer.done.text, row.input.postprocess),
            model=self._pipeline.engine.info.name,
            worker=self._worker_id,
        )

    def question(self, held: ClaimedJob, job: JobInput) -> Question:
        """Return what `job` asks, with images and conversation; raises ImageGone and Lost."""
        turns = [self._as_fits(turn, job) for turn in self.turns(held)]
        return self.patiently(held, lambda: self._question(held, job, turns))

    def _as_fits(self, turn: Turn, job: JobInput) -> Turn:
        """Return a turn that shows a long image as a whole where its tiles leave no room."""
        looks = {"max_pixels": turn.max_pixels, "tiling": None}
        if self._long_jobs.fit_together(turn.parts, job.model_copy(update=looks)):
            return turn
        return turn.model_copy(update={"tiles": ()})

    def turns(self, held: ClaimedJob) -> list[Turn]:
        """Return what was said before in the job's session; raises Lost."""
        row = held.claim.row
        if row.session_id is None:
            return []
        session = row.session_id
        return self.patiently(held, lambda: self._sessions.turns(row.tenant, session))

    def _question(self, held: ClaimedJob, job: JobInput, turns: Sequence[Turn]) -> Question:
        row = held.claim.row
        shown = {i for turn in turns for i in (*turn.images, *turn.tiles)}
        ids = sorted(shown | set(job.every_image))
        pngs = dict(zip(ids, self._images.pngs(row.tenant, ids), strict=True))
        history = [_with_tiles(turn, pngs) for turn in turns]
        # an image that only an old turn knows may be gone; without it the turn is pointless
        history = [turn for turn in history if all(pngs[i] for i in turn.images)]
        if not all(pngs[i] for i in job.every_image):
            raise ImageGone
        needed = {i for turn in history for i in turn.images} | set(job.every_image)
        return Question(
            id=row.id,
            job=job,
            history=history,
            pngs={i: png for i, png in pngs.items() if png and i in needed},
            feature_scope=row.tenant,
            scope=_scope(row),
            time_left_s=self._time_left_s(held.claim),
        )

    def _time_left_s(self, claim: Claim) -> float:
        # both times are of Redis' clock: the claim was made a moment ago
        until_expiry = (claim.row.expire_ms - claim.at_ms) / 1000
        return min(self._settings.job_timeout_s, until_expiry)

    def ask(
        self,
        held: ClaimedJob,
        question: Question,
        *,
        tiles: int = 0,
        percent: int = 0,
        silent: bool = False,
    ) -> EngineAnswer:
        """Return the engine's answer; `percent` of the job were done before, and all `tiles`.

        The caller is told of the text as it comes, unless `silent`.
        """
        ticket, notices = self._pipeline.start(question)
        most = question.job.params.max_new_tokens
        reporter = ProgressReporter(
            self._store, held, most, tiles=tiles, percent=percent, silent=silent
        )
        try:
            while True:
                event = ticket.get(_POLL_S)
                # first: an engine that died has failed all its tickets
                self._look_around(held, ticket)
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Completion):
                    reporter.flush()
                    return EngineAnswer(event, reporter.seen, tuple(notices))
                reporter.take(event)
        except BaseException:
            ticket.cancel()
            raise

    def say(self, held: ClaimedJob, text: str) -> None:
        """Tell the caller of text that no report has told; raises Lost."""
        row, events = held.claim.row, [("output.delta", {"text": text})]
        if text:
            self.patiently(held, lambda: self._store.report(row.id, held.claim.owner, events))

    def _look_around(self, held: ClaimedJob, ticket: Ticket) -> None:
        if held.lost:
            raise LeaseLost
        if held.canceled:
            ticket.cancel()
        elif self._must_give_back():
            raise JobReleased
        if not self._pipeline.engine.alive:
            # not the job's fault: its lease ends with this process, and another one takes it
            raise LeaseLost

    def _finish(self, held: ClaimedJob, result: Result) -> None:
        row, owner = held.claim.row, held.claim.owner
        done = time.monotonic()
        kept = self.patiently(
            held,
            lambda: self._store.finish(
                row.id,
                owner,
                result.status,
                result.fields,
                turn=result.turn,
                metrics=result.tally,
            ),
        )
        if not kept:
            raise LeaseLost
        self._measure(row, result, held.since, done)
        self._tracing.job(row, result.status, result.fields["metrics"], time.time())
        _log.info("job.finished", extra=results.log_line(row, result))

    def _measure(self, row: JobRow, result: Result, claimed: float, done: float) -> None:
        """Learn from a job what the engine does not see of it."""
        told = result.fields["metrics"]
        self._meter.finished(0.0 if row.phase else row.busy_ms / 1000)
        # a long job's seconds were spent by others, too
        if row.phase or result.status is not JobStatus.SUCCEEDED or row.input.encode_only:
            return
        engine_s = sum(told[stage] for stage in ("encode_s", "prefill_s", "decode_s"))
        visual = sum(image["tokens"] for image in result.fields["images"])
        self._meter.prepared(visual, done - claimed - engine_s, claimed, told["queue_s"])

    def patiently(self, held: ClaimedJob, act: Callable[[], T]) -> T:
        """Return what `act` gives once the store answers; give up when the job is not ours."""
        patience = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return act()
            except StoreUnavailable:
                if held.lost or self._must_give_back() or time.monotonic() > patience:
                    raise LeaseLost from None
                time.sleep(_POLL_S * 10)


def _with_tiles(turn: Turn, pngs: Mapping[str, bytes | None]) -> Turn:
    """Return a turn about a long image as it was looked at, or about the image as a whole."""
    if turn.tiles and all(pngs[i] for i in turn.tiles):
        return turn.model_copy(update={"images": turn.tiles, "tiles": ()})
    return turn


def _scope(row: JobRow) -> str:
    """Return within what keys and values are shared; neither a session nor a thread has NUL."""
    if row.session_id:
        return f"{row.tenant}\x00{row.session_id}"
    return f"{row.tenant}\x00\x00{row.input.thread}" if row.input.thread else ""
