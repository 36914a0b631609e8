"""The thread that looks after jobs whose worker died, whose doorbell was lost or that expired."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

from shared.errors import StoreUnavailable
from shared.queue.app import QUEUES, broker_lists, model_queue, send_doorbells
from shared.settings import Settings
from shared.store import Doorbell, Store

_log = logging.getLogger(__name__)


class Reaper(threading.Thread):
    """One in every gateway and worker process; the scripts make any number of them safe."""

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__(name="reaper", daemon=True)
        self._store = store
        self._settings = settings
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread after its current pass."""
        self._stopped.set()

    def run(self) -> None:
        """Reap every `reap_s` and reconcile every `reconcile_s` until stopped."""
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
        doorbells = self._store.reap()
        for doorbell in doorbells:
            _log.warning("job.reaped", extra={"job_id": doorbell.job_id})
        send_doorbells(doorbells)

    def _reconcile(self) -> None:
        pools = self._store.pools()
        own = [model_queue(pool) for pool in pools]
        self._ring(self._store.reconcile(broker_lists([*QUEUES, *own])))
        for pool, queue in zip(pools, own, strict=True):
            self._ring(self._store.reconcile(broker_lists([queue]), pool))

    def _ring(self, doorbells: Sequence[Doorbell]) -> None:
        for doorbell in doorbells:
            _log.warning("job.rung_again", extra={"job_id": doorbell.job_id})
        send_doorbells(doorbells)
