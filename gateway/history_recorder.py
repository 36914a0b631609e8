"""The thread that writes down once a minute how full the queue is."""

from __future__ import annotations

import logging
import threading

from shared.errors import StoreUnavailable
from shared.store.operations.queue_history import QueueHistory

_log = logging.getLogger(__name__)

#: Seconds between two tries: of those that fall into one minute, of any gateway, one writes.
_EVERY_S = 20.0


class HistoryRecorder(threading.Thread):
    """One in every gateway process; each minute has one point, whoever writes it."""

    def __init__(self, history: QueueHistory) -> None:
        super().__init__(name="history-recorder", daemon=True)
        self._history = history
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread after its present try."""
        self._stopped.set()

    def run(self) -> None:
        """Record until stopped."""
        while True:
            try:
                self._history.record()
            except StoreUnavailable as error:
                _log.debug("history.waiting", extra={"cause": error.detail})
            except Exception:  # noqa: BLE001
                # a gap in a drawing is no reason to have none from now on
                _log.exception("history.failed")
            if self._stopped.wait(_EVERY_S):
                return
