"""The leases of the jobs that this worker has claimed, and the thread that renews them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store import Claim, Store, Verdict

_log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The job is no longer this worker's."""


class JobReleased(Exception):
    """The worker stops, or lacks what the job needs, which must go back to the queue."""

    def __init__(self, pause_s: float = 0.0) -> None:
        """For `pause_s` the job gives its place to others."""
        super().__init__(pause_s)
        self.pause_s = pause_s


@dataclass(slots=True)
class Lease:
    """This worker's right to a job, as far as it is known here."""

    claim: Claim
    #: `time.monotonic()` of the claim.
    since: float = field(default_factory=time.monotonic)
    #: Another worker has the job, or it was erased: stop and write nothing.
    lost: bool = False
    #: The caller wants the job stopped: end it as canceled.
    canceled: bool = False

    def apply(self, verdict: Verdict) -> None:
        """Note the store's reply to a beat or a report."""
        self.lost = self.lost or verdict is Verdict.LOST
        self.canceled = self.canceled or verdict is Verdict.STOP


class Leases(threading.Thread):
    """Renews all leases at once; ends the process when a job overruns its hard limit."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        every_beat: Callable[[int], None],
        healthy: Callable[[], bool] = lambda: True,
        die: Callable[[int], None] = os._exit,
    ) -> None:
        """`every_beat` is called with the number of leases.

        `die` ends the process at once, when it is no longer `healthy` or a job cannot be stopped.
        """
        super().__init__(name="leases", daemon=True)
        self._store = store
        self._settings = settings
        self._every_beat = every_beat
        self._healthy = healthy
        self._die = die
        #: By owner token.
        self._leases: dict[str, Lease] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def hold(self, claim: Claim) -> Lease:
        """Renew a claim's lease from now on."""
        lease = Lease(claim)
        with self._lock:
            self._leases[claim.owner] = lease
        return lease

    def drop(self, lease: Lease) -> None:
        """Stop renewing the lease of a job that has ended or was lost."""
        with self._lock:
            self._leases.pop(lease.claim.owner, None)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def run(self) -> None:
        """Beat every `beat_s` until stopped."""
        while not self._stopped.wait(self._settings.beat_s):
            with self._lock:
                leases = list(self._leases.values())
            self._check_limits(leases)
            try:
                self._beat(leases)
                self._every_beat(len(leases))
            except StoreUnavailable as error:
                # leases are renewed after such a silence; see reap.lua
                _log.warning("beat.waiting", extra={"cause": error.detail})
            except Exception:  # noqa: BLE001
                # a worker that cannot beat loses all its jobs: survive every error
                _log.exception("beat.failed")

    def _beat(self, leases: Sequence[Lease]) -> None:
        if not leases:
            return
        verdicts = self._store.beat([(lease.claim.row.id, lease.claim.owner) for lease in leases])
        for lease, verdict in zip(leases, verdicts, strict=True):
            lease.apply(verdict)

    def _check_limits(self, leases: Sequence[Lease]) -> None:
        """End the process if its engine is dead or a job is past its hard limit."""
        if not self._healthy():
            self._end_process("worker.engine_died", jobs=len(leases))
        limit = self._settings.job_timeout_s + self._settings.watchdog_grace_s
        for lease in leases:
            if time.monotonic() - lease.since > limit:
                # threads cannot be killed
                self._end_process("worker.stuck", job_id=lease.claim.row.id, limit_s=limit)

    def _end_process(self, event: str, **fields: Any) -> None:
        """Exit without releasing anything: expired leases bring every job back."""
        _log.critical(event, extra=fields)
        logging.shutdown()
        self._die(1)
