"""The life of a job in a worker: claim it, work on it, then finish it, release it or drop it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from shared.errors import ServiceError, StoreFault, StoreUnavailable
from shared.jobs import JobStatus
from shared.jobs.row import JobRow
from shared.log import bound
from shared.queue import model_queue, send_doorbells
from shared.store import Claim, Doorbell
from shared.store.jobs.types import ServedModel
from shared.tracing import Tracing
from worker.jobs import results
from worker.jobs.claimed_job import ClaimedJob, JobResources, as_service_errors
from worker.jobs.finding.summing import finish_search
from worker.jobs.leases import JobReleased, LeaseLost, Leases
from worker.jobs.load_meter import LoadMeter
from worker.jobs.paged.steps import PagedSteps
from worker.jobs.results import EngineAnswer, Result
from worker.jobs.task_events import TaskEvents
from worker.jobs.tiled.steps import TiledSteps
from worker.postprocess import Postprocessor

_log = logging.getLogger(__name__)


class JobRunner:
    """Runs one job after another in each thread of the pool."""

    def __init__(
        self,
        *,
        worker_id: str,
        resources: JobResources,
        leases: Leases,
        tiled: TiledSteps,
        paged: PagedSteps,
        postprocessor: Postprocessor,
        meter: LoadMeter,
        tracing: Tracing,
        task_events: TaskEvents,
    ) -> None:
        self._worker_id = worker_id
        self._resources = resources
        self._store = resources.store
        self._leases = leases
        self._tiled = tiled
        self._paged = paged
        self._postprocessor = postprocessor
        self._meter = meter
        self._tracing = tracing
        self._task_events = task_events

    def run(self, job_id: str, *, only: bool = False) -> str | None:
        """Run the job whose turn it is, or `only` this one, for which a doorbell has rung.

        Returns the id of the job that was run, None if there was nothing to do.
        """
        try:
            claim = self._claim(job_id if only else None)
            if isinstance(claim, str):
                self._pass_on(job_id, claim)
                return None
        except StoreUnavailable as error:
            # the row still waits; the reconciler will ring again
            _log.warning("claim.failed", extra={"cause": error.detail})
            return None
        with bound(job_id=claim.row.id):
            self._run_claimed(claim)
        return claim.row.id

    def _claim(self, job_id: str | None) -> Claim | str:
        """Return the claim, or why there is none; raises StoreUnavailable."""
        reads = self._resources.reader is not None
        if job_id is None:
            return self._store.claim_next(self._worker_id, reads=reads, serves=self._serves)
        return self._store.claim(job_id, self._worker_id, reads=reads, serves=self._serves)

    def _pass_on(self, job_id: str, cause: str) -> None:
        """Let the workers of another model hear a doorbell that was for them.

        Raises StoreUnavailable.
        """
        others = self._store.find_others(job_id, self._serves)
        if others is None:
            _log.info("doorbell.ignored", extra={"cause": cause})
            return
        _log.info("doorbell.passed_on", extra={"job_id": job_id, "model": others})
        send_doorbells([Doorbell(job_id, model_queue(others))])

    @property
    def _serves(self) -> ServedModel:
        info = self._resources.pipeline.engine.info
        return ServedModel(info.name, info.revision)

    def _run_claimed(self, claim: Claim) -> None:
        lease = self._leases.hold(claim)
        try:
            with self._meter.working():
                self._work(ClaimedJob(lease, self._resources))
        except LeaseLost:
            _log.warning("job.lost", extra={"attempt": claim.row.attempt})
        except StoreFault:
            # not given back, which would not count: the lease ends, and the attempts with it
            _log.exception("job.store_fault", extra={"attempt": claim.row.attempt})
        except JobReleased as released:
            self._release(claim, released.pause_s)
        except BaseException:
            # Celery ends threads by exceptions that are no Exception
            self._release(claim)
            raise
        finally:
            self._leases.drop(lease)

    def _release(self, claim: Claim, pause_s: float = 0.0) -> None:
        """Put a job back into the queue."""
        try:
            doorbell = self._store.release(claim.row.id, claim.owner, pause_s)
        except StoreUnavailable as error:
            _log.warning("release.failed", extra={"cause": error.detail})
            return
        if doorbell or pause_s:
            _log.info("job.released", extra={"attempt": claim.row.attempt, "pause_s": pause_s})
        if doorbell:
            send_doorbells([doorbell])

    def _work(self, job: ClaimedJob) -> None:
        row = job.row
        if row.parent:
            self._run_part(job)
            return
        _log.info("job.started", extra={"attempt": row.attempt, "worker": self._worker_id})
        self._task_events.send_start(row.id)
        try:
            with as_service_errors():
                result = self._make_result(job)
        except ServiceError as error:
            result = results.make_failure(row, error, worker=self._worker_id)
        if result is not None:
            self._finish(job, result)

    def _run_part(self, job: ClaimedJob) -> None:
        """Do a tile of a long image, or a page of a document."""
        if job.row.input.document:
            self._paged.run_page(job, job.row.input.document)
        else:
            self._tiled.run_tile(job)
        self._meter.charge_job()

    def _answer(self, job: ClaimedJob) -> EngineAnswer | None:
        """Return the answer to a job; None when its parts were queued instead."""
        if job.row.phase:
            return self._paged.merge(job) if job.row.pages else self._tiled.merge(job)
        document = self._paged.document_of(job)
        return self._paged.begin(job, document) if document else self._tiled.begin(job)

    def _make_result(self, job: ClaimedJob) -> Result | None:
        """Return a job's end; None when it was split and its tiles were queued instead."""
        row = job.row
        answer = self._answer(job)
        if answer is None:
            return None
        answer = finish_search(row, answer)
        return results.make_result(
            row,
            self._clean_parts(answer, row.input.postprocess),
            self._postprocessor.process(answer.completion.text, row.input.postprocess),
            model=self._resources.pipeline.engine.info.name,
            worker=self._worker_id,
        )

    def _clean_parts(self, answer: EngineAnswer, rules: Sequence[str]) -> EngineAnswer:
        """Return the answer with its rules applied to the text of each image or page too."""
        if answer.paging is not None:
            pages = tuple(
                one.model_copy(update={"text": self._postprocessor.process(one.text, rules).text})
                if one.text
                else one
                for one in answer.paging.outputs
            )
            return replace(answer, paging=replace(answer.paging, outputs=pages))
        if answer.tiling is None or answer.tiling.images is None:
            return answer
        images = tuple(
            one.model_copy(update={"text": self._postprocessor.process(one.text, rules).text})
            for one in answer.tiling.images
        )
        return replace(answer, tiling=replace(answer.tiling, images=images))

    def _finish(self, job: ClaimedJob, result: Result) -> None:
        """Store a job's end; raises LeaseLost when it is no longer this worker's."""
        ended = time.monotonic()
        try:
            accepted = self._store_end(job, result)
        except StoreFault as error:
            # this end cannot be stored; its caller hears so
            _log.exception("job.not_stored")
            result = results.make_failure(job.row, error, worker=self._worker_id)
            accepted = self._store_end(job, result)
        if not accepted:
            raise LeaseLost
        row = job.row
        self._measure(row, result, job.lease.since, ended)
        self._tracing.record_job(row, result.status, result.fields["metrics"], time.time())
        fields = results.log_fields(row, result)
        _log.info("job.finished", extra=fields)
        self._task_events.send_end(row.id, result.status, fields)

    def _store_end(self, job: ClaimedJob, result: Result) -> bool:
        claim = job.claim
        return job.retry_while_store_is_down(
            lambda: self._store.finish(
                claim.row.id,
                claim.owner,
                result.status,
                result.fields,
                text=result.text,
                turn=result.turn,
                metrics=result.tally,
            ),
        )

    def _measure(self, row: JobRow, result: Result, claimed: float, ended: float) -> None:
        """Learn from a job what the engine does not see of it."""
        metrics = result.fields["metrics"]
        self._meter.charge_job(0.0 if row.phase else row.busy_ms / 1000)
        # other jobs took part in a long job's seconds, and both readers in the same ones; pages
        # are drawn first
        unlike = row.phase or row.input.encode_only or row.input.needs_reader
        if unlike or row.input.document or result.status is not JobStatus.SUCCEEDED:
            return
        engine_s = sum(metrics[stage] for stage in ("encode_s", "prefill_s", "decode_s"))
        visual = sum(image["tokens"] for image in result.fields["images"])
        self._meter.add_preparation(
            visual, ended - claimed - engine_s, claimed=claimed, pickup_s=metrics["queue_s"]
        )
