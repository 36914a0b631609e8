"""The jobs that this worker holds, and the thread that keeps their leases alive."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store import Claim, Store, Verdict

_log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The job is no longer ours."""


class JobReleased(Exception):
    """The worker stops and the job must go back."""


@dataclass(slots=True)
class ClaimedJob:
    """A claimed job, and what has become of our right to it."""

    claim: Claim
    since: float = field(default_factory=time.monotonic)
    #: Another worker has it, or it was erased: stop and keep silent.
    lost: bool = False
    #: The caller wants it stopped: end it as canceled.
    canceled: bool = False

    def hear(self, verdict: Verdict) -> None:
        """Take in what the store answered to a beat or a report."""
        self.lost = self.lost or verdict is Verdict.LOST
        self.canceled = self.canceled or verdict is Verdict.STOP


class Leases(threading.Thread):
    """Beats for all held jobs at once; ends the process when one overruns its hard limit."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        every_beat: Callable[[int], None],
        healthy: Callable[[], bool] = lambda: True,
        die: Callable[[int], None] = os._exit,
    ) -> None:
        """`every_beat` is told the number of held jobs.

        `die` ends the process at once, when it is no longer `healthy` or a job cannot be stopped.
        """
        super().__init__(name="leases", daemon=True)
        self._store = store
        self._settings = settings
        self._every_beat = every_beat
        self._healthy = healthy
        self._die = die
        self._held: dict[str, ClaimedJob] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def hold(self, claim: Claim) -> ClaimedJob:
        """Keep a claim's lease alive from now on."""
        held = ClaimedJob(claim)
        with self._lock:
            self._held[claim.owner] = held
        return held

    def drop(self, held: ClaimedJob) -> None:
        """Stop beating for a job that has ended or is no longer ours."""
        with self._lock:
            self._held.pop(held.claim.owner, None)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def run(self) -> None:
        """Beat every `beat_s` until stopped."""
        while not self._stopped.wait(self._settings.beat_s):
            with self._lock:
                held = list(self._held.values())
            self._watch(held)
            try:
                self._beat(held)
                self._every_beat(len(held))
            except StoreUnavailable as error:
                # leases are renewed after such a silence; see reap.lua
                _log.warning("beat.waiting", extra={"cause": error.detail})
            except Exception:  # noqa: BLE001
                # a worker that cannot beat loses all its jobs: outlive every surprise
                _log.exception("beat.failed")

    def _beat(self, held: list[ClaimedJob]) -> None:
        if not held:
            return
        verdicts = self._store.beat([(h.claim.row.id, h.claim.owner) for h in held])
        for one, verdict in zip(held, verdicts, strict=True):
            one.hear(verdict)

    def _watch(self, held: list[ClaimedJob]) -> None:
        if not self._healthy():
            self._end("worker.engine_died", jobs=len(held))
        limit = self._settings.job_timeout_s + self._settings.watchdog_grace_s
        for one in held:
            if time.monotonic() - one.since > limit:
                # threads cannot be killed
                self._end("worker.stuck", job_id=one.claim.row.id, limit_s=limit)

    def _end(self, why: str, **told: Any) -> None:
        """Leave at once and hold nothing: the leases bring every job back."""
        _log.critical(why, extra=told)
        logging.shutdown()
        self._die(1)
