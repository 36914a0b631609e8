"""The thread that has the engine forget what it has computed from files that were erased."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from shared.errors import StoreUnavailable
from shared.store.uploads.erased_files import ErasedFiles

_log = logging.getLogger(__name__)

#: Seconds between two looks, and seconds for which an erasure is kept to: whoever was at work on
#: the file has stopped by then.
_EVERY_S = 1.0
_KEPT_TO_S = 600.0


class Erasures(threading.Thread):
    """One in every worker process."""

    def __init__(
        self,
        files: ErasedFiles,
        forget: Callable[[frozenset[str]], None],
        every_s: float = _EVERY_S,
    ) -> None:
        """`forget` is called with the marks of all files that were erased lately."""
        super().__init__(name="erasures", daemon=True)
        self._files = files
        self._forget = forget
        self._every_s = every_s
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the thread after its current look."""
        self._stopped.set()

    def run(self) -> None:
        """Look every second until stopped; first at all that is known."""
        looked_at: float | None = None
        while not self._stopped.is_set():
            now = time.monotonic()
            # what was erased while Redis was away is not passed over
            within_s = None if looked_at is None else _KEPT_TO_S + now - looked_at
            try:
                self._forget(self._files.read(within_s))
                looked_at = now
            except StoreUnavailable as error:
                _log.warning("erasures.waiting", extra={"cause": error.detail})
            except Exception:  # noqa: BLE001
                # what was erased must be forgotten: the thread must outlive every surprise
                _log.exception("erasures.failed")
            self._stopped.wait(self._every_s)
