"""Watches Redis from beside the requests: whether it answers, and how full it is."""

from __future__ import annotations

import logging
import threading
import time

import redis

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store.connection import Breaker, Client, connect

_log = logging.getLogger(__name__)

#: Seconds between two looks, and that an answer may take.
_LOOK_S = 0.2
_PATIENCE_S = 0.5
#: A look that took this much longer was held up by ourselves and tells nothing of Redis.
_STARVED_S = 0.1
#: Seconds that a refused client should wait for memory to be freed.
_FULL_RETRY_S = 30.0
_SILENT_RETRY_S = 5.0


class StoreHealth(threading.Thread):
    """Opens the breaker while Redis is silent; tells when too much of its memory is used."""

    def __init__(self, settings: Settings, breaker: Breaker) -> None:
        super().__init__(name="pressure", daemon=True)
        self._settings = settings
        self._breaker = breaker
        self._redis: Client = connect(settings, timeout_s=_PATIENCE_S)
        self._stopped = threading.Event()
        #: Share of Redis' memory limit that is used; 0 without a limit.
        self.fullness = 0.0

    def check(self, *, for_later: bool = False) -> None:
        """Raise StoreUnavailable when nothing can be kept; earlier `for_later`, what can wait."""
        if self._breaker.is_open:
            raise StoreUnavailable(retry_after_s=_SILENT_RETRY_S)
        limit = self._settings.redis_soft_fullness if for_later else self._settings.redis_fullness
        if self.fullness >= limit:
            raise StoreUnavailable(
                f"The job store has used {self.fullness:.0%} of its memory.",
                retry_after_s=_FULL_RETRY_S,
            )

    def stop(self) -> None:
        """End the thread after its present look."""
        self._stopped.set()

    def run(self) -> None:
        """Look until stopped."""
        while not self._stopped.wait(_LOOK_S):
            try:
                self._look()
            except Exception:  # noqa: BLE001
                # without it nobody would close the breaker again
                _log.exception("pressure.failed")

    def _look(self) -> None:
        began = time.monotonic()
        try:
            told = self._redis.info("memory")
        except redis.RedisError as error:
            if time.monotonic() - began <= _PATIENCE_S + _STARVED_S:
                self._silent(error)
            return
        self.fullness = told["used_memory"] / told["maxmemory"] if told["maxmemory"] else 0.0
        if self._breaker.is_open:
            self._breaker.close()
            _log.warning("store.back")

    def _silent(self, error: redis.RedisError) -> None:
        if not self._breaker.is_open:
            _log.error("store.silent", extra={"cause": type(error).__name__})
        self._breaker.open()
