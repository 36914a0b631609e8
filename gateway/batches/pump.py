"""The thread that moves batches forward; any number of gateways may have one."""

from __future__ import annotations

import logging
import secrets
import threading

from flask import Flask

from gateway.batches.run import BatchLost, BatchRun
from gateway.services import Services
from shared.errors import StoreUnavailable

_log = logging.getLogger(__name__)

#: Seconds between two looks for a batch, and seconds of work on one before the next.
_IDLE_S, _SLICE_S = 0.5, 2.0


class BatchPump(threading.Thread):
    """Takes the batch that waited longest, works on it for a while, and gives it back.

    What a pump has in hand when it dies is taken by another when its lease is over.
    """

    def __init__(self, app: Flask, services: Services) -> None:
        super().__init__(name="batch-pump", daemon=True)
        self._app = app
        self._services = services
        self._owner = secrets.token_hex(16)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread after its present slice."""
        self._stopped.set()

    def run(self) -> None:
        """Work until stopped."""
        wait_s = _IDLE_S
        while not self._stopped.wait(wait_s):
            try:
                wait_s = 0.0 if self._work() else _IDLE_S
            except StoreUnavailable as error:
                _log.warning("batches.waiting", extra={"cause": error.detail})
                wait_s = _IDLE_S
            except Exception:  # noqa: BLE001
                # without a pump no batch goes on: it must outlive every surprise
                _log.exception("batches.failed")
                wait_s = _IDLE_S

    def _work(self) -> bool:
        """Work on a batch; return whether there was one."""
        batch = self._services.batches.take(self._owner)
        if batch is None:
            return False
        try:
            BatchRun(self._app, self._services, batch, self._owner).work(_SLICE_S)
        except BatchLost:
            _log.warning("batch.lost", extra={"batch_id": batch.id})
            return True
        self._services.batches.give_back(batch, self._owner)
        return True
