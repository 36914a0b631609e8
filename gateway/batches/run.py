"""A slice of work on one batch: its lines are checked, become jobs, and get their results."""

from __future__ import annotations

import logging
import time
from typing import Any, Literal

from flask import Flask

from gateway.batches.lines import LineError, check_body, read_line, submit_line
from gateway.batches.results import answer_line, expired_line, refusal_line
from gateway.large_input import give_way
from gateway.services import Services
from shared.errors import (
    Erased,
    LimitError,
    NotFound,
    OutcomeUnknown,
    ServiceError,
    SessionBusy,
    Unavailable,
)
from shared.store.batch_store import Admission, Batch, BatchStatus, Ending
from shared.store.blobs.file_content import WrittenFile
from shared.store.uploads.file_store import StoredFile

_log = logging.getLogger(__name__)

#: Of refused lines that are listed.
_MOST_ERRORS = 100
#: Jobs in hand at least, and for each slot of the workers.
_FEWEST_JOBS, _JOBS_PER_SLOT = 8, 2
#: Lines that become jobs between two looks at the batch.
_AT_ONCE = 16
_PAUSE_S = 0.1
#: Seconds between two renewals while lines are checked.
_HOLD_S = 2.0
#: What passes: the line is submitted again.
_LATER = (Unavailable, LimitError, SessionBusy, OutcomeUnknown)


class BatchLost(Exception):
    """Another pump has the batch now."""


class BatchRun:
    """One pump's work on one batch; every step may be the last one before it dies."""

    def __init__(self, app: Flask, services: Services, batch: Batch, owner: str) -> None:
        self._app = app
        self._services = services
        self._store = services.batches
        self._batch = batch
        self._owner = owner
        self._held = time.monotonic()

    def work(self, seconds: float) -> None:
        """Work for about so long; raises BatchLost, StoreUnavailable."""
        until = time.monotonic() + seconds
        try:
            file = self._services.files.get(self._batch.tenant, self._batch.input_file)
            if not self._batch.total and not self._check_lines(file):
                return
            while time.monotonic() < until:
                self._hold()
                if not self._step(file):
                    return
        except NotFound:
            self._cancel_jobs()
            self._finish("failed", [_error("file_not_found", "The input file is gone.")])

    def _hold(self) -> None:
        """Renew the lease, and read what became of the batch."""
        self._held = time.monotonic()
        batch = self._store.hold(self._batch, self._owner)
        if batch is None:
            raise BatchLost
        self._batch = batch

    def _check_lines(self, file: StoredFile) -> bool:
        """Check every line before any work; return whether there is work."""
        errors: list[dict[str, Any]] = []
        known: set[str] = set()
        for at, raw in enumerate(self._services.files.iter_pieces(self._batch.tenant, file)):
            give_way()
            try:
                line = read_line(raw, self._batch.endpoint)
                if line.custom_id in known:
                    raise LineError(
                        "duplicate_custom_id", "Its custom_id is already used.", "/custom_id"
                    )
                known.add(line.custom_id)
                check_body(line)
            except LineError as error:
                errors.append(_error(error.code, error.message, error.param, at + 1))
                if len(errors) == _MOST_ERRORS:
                    break
            self._hold_on()
        if errors:
            self._finish("failed", errors)
            return False
        if not self._store.start(self._batch, self._owner, file.pieces):
            raise BatchLost
        return True

    def _step(self, file: StoredFile) -> bool:
        """Settle what has ended and submit what there is room for; return whether to go on."""
        batch = self._batch
        if not batch.total:
            # Redis has lost that the lines were checked: whoever takes the batch next does it again
            return False
        jobs = self._settle_ended()
        is_over = self._services.deliveries.now_ms() >= batch.expires_ms
        if batch.status == "cancelling" or is_over:
            return not self._wind_up(jobs, file, expired=batch.status != "cancelling")
        if batch.completed + batch.failed >= batch.total:
            return not self._finish("completed", [])
        if not self._admit_lines(self._room() - len(jobs)):
            time.sleep(_PAUSE_S)
        return True

    def _settle_ended(self) -> dict[int, str]:
        """Write the results of the jobs that have ended; return the others by their lines."""
        jobs = self._store.jobs_in_hand(self._batch)
        ended = self._store.ended_jobs(jobs)
        for number, raw in self._pieces(ended):
            job_id = jobs.pop(number)
            custom_id = read_line(raw, self._batch.endpoint).custom_id
            try:
                row = self._services.store.get(job_id, self._batch.tenant)
                text, failed = answer_line(self._batch, number, custom_id, row)
            except (NotFound, Erased) as error:
                text, failed = refusal_line(self._batch, number, custom_id, error), True
            self._store.settle(self._batch, number, text, failed=failed, job_id=job_id)
        return jobs

    def _room(self) -> int:
        """Return how many jobs are worth having in hand: what the workers take, and some more."""
        slots = sum(worker.slots for worker in self._services.workers.fresh())
        most = self._services.settings.batch_jobs_max
        return min(most, max(_FEWEST_JOBS, _JOBS_PER_SLOT * slots))

    def _admit_lines(self, room: int) -> bool:
        """Submit the next lines; return whether any was, and there may be room for more."""
        first = self._batch.next
        numbers = range(first, min(first + min(room, _AT_ONCE), self._batch.total))
        for number, raw in self._pieces(list(numbers)):
            give_way()
            if not self._admit_line(number, raw):
                return False
        return bool(numbers)

    def _admit_line(self, number: int, raw: bytes) -> bool:
        """Submit a line; return False if there is no room for it now."""
        try:
            row = submit_line(self._app, self._services, self._batch, number, raw)
        except _LATER:
            return False
        except ServiceError as error:
            custom_id = read_line(raw, self._batch.endpoint).custom_id
            text = refusal_line(self._batch, number, custom_id, error)
            return self._store.settle(self._batch, number, text, failed=True)
        admission = self._store.admit(self._batch, self._owner, number, row.id)
        if admission is Admission.LOST:
            raise BatchLost
        return admission is Admission.DONE

    def _wind_up(self, jobs: dict[int, str], file: StoredFile, *, expired: bool) -> bool:
        """Cancel the jobs in hand; once there is none, end the batch. Return whether it ended."""
        if jobs:
            self._cancel_jobs()
            time.sleep(_PAUSE_S)
            return False
        if expired:
            self._expire_lines(file)
        return self._finish("expired" if expired else "cancelled", [])

    def _cancel_jobs(self) -> None:
        for job_id in self._store.jobs_in_hand(self._batch).values():
            try:
                self._services.store.cancel(job_id, self._batch.tenant)
            except (NotFound, Erased):
                continue

    def _expire_lines(self, file: StoredFile) -> None:
        """Tell of every line that there was no time for it."""
        first = self._batch.next
        pieces = self._services.files.iter_pieces(self._batch.tenant, file, first)
        for number, raw in enumerate(pieces, first):
            give_way()
            custom_id = read_line(raw, self._batch.endpoint).custom_id
            text = expired_line(self._batch, number, custom_id)
            self._store.settle(self._batch, number, text, failed=True)
            self._hold_on()

    def _pieces(self, numbers: list[int]) -> list[tuple[int, bytes]]:
        batch = self._batch
        return self._services.files.read_pieces(batch.tenant, batch.input_file, numbers)

    def _finish(self, status: BatchStatus, errors: list[dict[str, Any]]) -> bool:
        """End the batch; return False where Redis has lost results meanwhile."""
        while True:
            # what was settled since the last look belongs to the files
            self._hold()
            results = (self._move_results("completed"), self._move_results("failed"))
            ending = self._store.finish(self._batch, self._owner, status, errors, results)
            if ending is Ending.LOST:
                raise BatchLost
            if ending is Ending.INCOMPLETE:
                return False
            if ending is Ending.ENDED:
                break
        counts = {"lines": self._batch.total, "status": status}
        _log.info("batch.finished", extra={"batch_id": self._batch.id, **counts})
        return True

    def _move_results(self, kind: Literal["completed", "failed"]) -> WrittenFile | None:
        """Write a file's results to the blob store, if there is one; the lease goes on."""
        batch = self._batch
        file_id = batch.output_file if kind == "completed" else batch.error_file
        files, number = self._services.files, getattr(batch, kind)
        return files.move_pieces(batch.tenant, file_id, number, self._hold_on)

    def _hold_on(self) -> None:
        """Renew the lease in the middle of long work, now and then."""
        if time.monotonic() - self._held > _HOLD_S:
            self._hold()


def _error(
    code: str, message: str, param: str | None = None, line: int | None = None
) -> dict[str, Any]:
    return {"code": code, "message": message, "param": param, "line": line}
