"""The life of a job in a worker: claim, work, then finish, release or fall silent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from shared.errors import ImageGone, InferenceFailed, OutOfMemory, ServiceError, StoreUnavailable
from shared.images import ImageStore
from shared.jobs import FinishReason, JobStatus, Output
from shared.log import bound
from shared.queue import ring
from shared.row import JobRow
from shared.settings import Settings
from shared.store import Claim, Store
from worker.engine.api import Completion, Failed, Ticket, UsedImage
from worker.leases import Held, Leases
from worker.meter import Meter
from worker.pipeline import Pipeline
from worker.reporting import Reporter

_log = logging.getLogger(__name__)

#: Seconds between two looks at cancel, lease and shutdown while no token comes.
_POLL_S = 0.05
#: A finished answer is offered to a silent store for this long before the lease decides.
_FINISH_PATIENCE_S = 600.0

_STATUS = {
    FinishReason.CANCELED: JobStatus.CANCELED,
    FinishReason.DEADLINE: JobStatus.EXPIRED,
}


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
        pipeline: Pipeline,
        leases: Leases,
        meter: Meter,
        settings: Settings,
        must_give_back: Callable[[], bool],
    ) -> None:
        """`must_give_back` tells whether this process is leaving and its patience is over."""
        self._worker_id = worker_id
        self._store = store
        self._images = images
        self._pipeline = pipeline
        self._leases = leases
        self._meter = meter
        self._settings = settings
        self._must_give_back = must_give_back

    def answer(self, job_id: str) -> None:
        """Do what a doorbell asks for, if the job still waits for it."""
        with bound(job_id=job_id):
            try:
                claim = self._store.claim(job_id, self._worker_id)
            except StoreUnavailable as error:
                # the row still waits; the reconciler will ring again
                _log.warning("claim.failed", extra={"cause": error.detail})
                return
            if isinstance(claim, str):
                _log.info("doorbell.ignored", extra={"cause": claim})
                return
            self._hold(claim)

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
            ticket = self._start(row)
            completion, seen = self._follow(held, ticket)
        except ServiceError as error:
            self._fail(held, error)
        except MemoryError:
            self._fail(held, OutOfMemory("The worker ran out of memory on this job."))
        except (_Lost, _GivenBack):
            raise
        except Exception as error:  # noqa: BLE001
            # whatever it was, it is this job's end and not the worker's
            _log.exception("job.crashed")
            self._fail(held, InferenceFailed(f"{type(error).__name__} while answering."))
        else:
            self._succeed(held, completion, seen)

    def _start(self, row: JobRow) -> Ticket:
        pngs = self._images.pngs(row.tenant, row.input.images)
        return self._pipeline.start(
            row.id,
            row.input,
            _all_present(pngs),
            scope=f"{row.tenant}\x00{row.session_id or row.id}",
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
            raise InferenceFailed("The engine has stopped.")

    def _succeed(self, held: Held, done: Completion, seen: Sequence[UsedImage]) -> None:
        status = _STATUS.get(done.finish_reason, JobStatus.SUCCEEDED)
        output = Output(
            text=done.text,
            finish_reason=done.finish_reason,
            partial=status is not JobStatus.SUCCEEDED,
        )
        self._finish(
            held,
            status,
            {
                "model": self._pipeline.engine.info.name,
                "images": _as_seen(held.claim.row, seen),
                "output": output.model_dump(mode="json", by_alias=True),
                "usage": done.usage.as_dict(),
                "cache": {"features": done.features, "prefix": done.prefix},
                "metrics": self._metrics(held.claim.row, done),
            },
        )

    def _metrics(self, row: JobRow, done: Completion | None) -> dict[str, Any]:
        told = {
            "queue_s": ((row.started_ms or 0) - row.queued_ms) / 1000,
            "attempt": row.attempt,
            "worker": self._worker_id,
        }
        if done:
            told |= {
                "encode_s": done.timings.encode_s,
                "prefill_s": done.timings.prefill_s,
                "decode_s": done.timings.decode_s,
            }
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in told.items()}

    def _fail(self, held: Held, error: ServiceError) -> None:
        _log.warning("job.failing", extra={"code": error.code, "cause": error.detail})
        self._finish(
            held,
            JobStatus.FAILED,
            {"error": error.as_dict(), "metrics": self._metrics(held.claim.row, None)},
        )

    def _finish(self, held: Held, status: JobStatus, fields: dict[str, Any]) -> None:
        row, owner = held.claim.row, held.claim.owner
        patience = time.monotonic() + _FINISH_PATIENCE_S
        while True:
            try:
                kept = self._store.finish(row.id, owner, status, fields)
                break
            except StoreUnavailable:
                if held.lost or self._must_give_back() or time.monotonic() > patience:
                    raise _Lost from None
                time.sleep(_POLL_S * 10)
        if not kept:
            raise _Lost
        self._meter.finished()
        _log.info("job.finished", extra=_canonical(row, status, fields))


def _all_present(pngs: Sequence[bytes | None]) -> list[bytes]:
    found = [png for png in pngs if png is not None]
    if len(found) < len(pngs):
        raise ImageGone
    return found


def _as_seen(row: JobRow, seen: Sequence[UsedImage]) -> list[dict[str, Any]]:
    """Return the row's images with what the model really saw of them."""
    told = {image.id: {"used": list(image.used), "tokens": image.tokens} for image in seen}
    return [image | told.get(image["id"], {}) for image in row.images]


def _canonical(row: JobRow, status: JobStatus, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the members of the one line that tells a job's whole story, without its content."""
    usage, error = fields.get("usage") or {}, fields.get("error") or {}
    return {
        "status": status.value,
        "code": error.get("code"),
        "tenant": row.tenant,
        "pixels": [image["used"][0] * image["used"][1] for image in row.images],
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        **fields["metrics"],
    }
