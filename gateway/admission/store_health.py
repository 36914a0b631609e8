"""Watches Redis from a thread of its own: whether it responds, and how full its memory is."""

from __future__ import annotations

import logging
import threading
import time

import redis

from shared.errors import StoreUnavailable
from shared.settings import Settings
from shared.store.connection import Breaker, Client, connect

_log = logging.getLogger(__name__)

#: Seconds between two polls, and that a response may take.
_POLL_S = 0.2
_TIMEOUT_S = 0.5
#: A poll that took this much longer was delayed by this process and says nothing about Redis.
_STARVED_S = 0.1
#: Seconds that a refused client should wait for memory to be freed.
_FULL_RETRY_S = 30.0
_SILENT_RETRY_S = 5.0


class StoreHealth(threading.Thread):
    """Opens the breaker while Redis does not respond; refuses jobs when its memory is full."""

    def __init__(self, settings: Settings, breaker: Breaker) -> None:
        super().__init__(name="pressure", daemon=True)
        self._settings = settings
        self._breaker = breaker
        self._redis: Client = connect(settings, timeout_s=_TIMEOUT_S)
        self._stopped = threading.Event()
        #: Share of Redis' memory limit that is used; 0 without a limit.
        self.fullness = 0.0

    def check(self, *, for_later: bool = False) -> None:
        """Raise StoreUnavailable when Redis is silent or full; `for_later` has a lower limit."""
        if self._breaker.is_open:
            raise StoreUnavailable(retry_after_s=_SILENT_RETRY_S)
        limit = self._settings.redis_soft_fullness if for_later else self._settings.redis_fullness
        if self.fullness >= limit:
            raise StoreUnavailable(
                f"The job store has used {self.fullness:.0%} of its memory.",
                retry_after_s=_FULL_RETRY_S,
            )

    def stop(self) -> None:
        """End the thread after its present poll."""
        self._stopped.set()

    def run(self) -> None:
        """Poll until stopped."""
        while not self._stopped.wait(_POLL_S):
            try:
                self._poll()
            except Exception:  # noqa: BLE001
                # the thread must go on: nothing else closes the breaker again
                _log.exception("pressure.failed")

    def _poll(self) -> None:
        began = time.monotonic()
        try:
            memory = self._redis.info("memory")
        except redis.RedisError as error:
            if time.monotonic() - began <= _TIMEOUT_S + _STARVED_S:
                self._open_breaker(error)
            return
        limit_bytes = memory["maxmemory"]
        self.fullness = memory["used_memory"] / limit_bytes if limit_bytes else 0.0
        if self._breaker.is_open:
            self._breaker.close()
            _log.warning("store.back")

    def _open_breaker(self, error: redis.RedisError) -> None:
        if not self._breaker.is_open:
            _log.error("store.silent", extra={"cause": type(error).__name__})
        self._breaker.open()
