"""Looks after jobs whose worker died, whose doorbell was lost or whose time is over."""

from __future__ import annotations

import logging
import threading
import time

from shared.errors import StoreUnavailable
from shared.queue.app import broker_lists, ring
from shared.settings import Settings
from shared.store import Store

_log = logging.getLogger(__name__)


class Reaper(threading.Thread):
    """One in every gateway and worker process; the scripts make any number of them safe."""

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__(name="reaper", daemon=True)
        self._store = store
        self._settings = settings
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread after its present look."""
        self._stopped.set()

    def run(self) -> None:
        """Look every `reap_s` until stopped."""
        reconciled_at = time.monotonic()
        while not self._stopped.wait(self._settings.reap_s):
            try:
                self._reap()
                if time.monotonic() - reconciled_at >= self._settings.reconcile_s:
                    reconciled_at = time.monotonic()
                    self._reconcile()
            except StoreUnavailable as error:
                _log.warning("reaper.waiting", extra={"cause": error.detail})
            except Exception:  # noqa: BLE001
                # without a reaper nobody recovers jobs: it must outlive every surprise
                _log.exception("reaper.failed")

    def _reap(self) -> None:
        bells = self._store.reap()
        for bell in bells:
            _log.warning("job.reaped", extra={"job_id": bell.job_id})
        ring(bells)

    def _reconcile(self) -> None:
        bells = self._store.reconcile(broker_lists())
        for bell in bells:
            _log.warning("job.rung_again", extra={"job_id": bell.job_id})
        ring(bells)
