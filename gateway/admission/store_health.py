"""Watches Redis from a thread of its own: whether it responds, can write, and has memory left."""

from __future__ import annotations

import logging
import threading
import time

import redis

from shared.errors import ReplicasMissing, StoreUnavailable
from shared.settings import Settings
from shared.store.connection import Breaker, Client, connect
from shared.store.failures import explain_refusal
from shared.store.redis_info import probe_server

_log = logging.getLogger(__name__)

#: Seconds between two polls, and that a response may take: a pause of half a second is no outage.
_POLL_S = 0.05
_TIMEOUT_S = 0.6
#: A poll that took this much longer was delayed by this process and says nothing about Redis.
_STARVED_S = 0.1
#: Where that happened within so many seconds, Redis may lack time as well: it is silent after so
#: many polls without a response.
_STARVED_FOR_S = 10.0
_STARVED_POLLS = 3
#: Seconds that a refused client should wait for memory to be freed.
_FULL_RETRY_S = 30.0
_SILENT_RETRY_S = 5.0


class StoreHealth(threading.Thread):
    """Opens the breaker while Redis does not respond; refuses jobs when it is full or read-only."""

    def __init__(self, settings: Settings, breaker: Breaker) -> None:
        super().__init__(name="pressure", daemon=True)
        self._settings = settings
        self._breaker = breaker
        self._redis: Client = connect(settings, timeout_s=_TIMEOUT_S)
        self._stopped = threading.Event()
        #: Share of Redis' memory limit that is used; 0 without a limit.
        self.fullness = 0.0
        self._silence: str | None = None
        #: Polls in a row that timed out, and until when the machine counts as short of time.
        self._timeouts = 0
        self._starved_until = 0.0
        #: Why Redis refuses to write; None while it does not.
        self._refusal: StoreUnavailable | None = None
        #: Replicas that are connected; None where it cannot be asked.
        self._replicas: int | None = None

    def check_writable(self) -> None:
        """Raise StoreCannotWrite (StoreUnavailable for want of rights) if Redis takes no writes."""
        if self._refusal is not None:
            raise type(self._refusal)(
                self._refusal.detail, retry_after_s=self._refusal.retry_after_s
            )

    def check(self, *, for_later: bool = False) -> None:
        """Raise StoreUnavailable when Redis is silent, full or read-only.

        `for_later` has a lower limit of memory.
        """
        if self._breaker.is_open:
            raise StoreUnavailable(self._silence, retry_after_s=_SILENT_RETRY_S)
        limit = self._settings.redis_soft_fullness if for_later else self._settings.redis_fullness
        if self.fullness >= limit:
            raise StoreUnavailable(
                f"The job store has used {self.fullness:.0%} of its memory.",
                retry_after_s=_FULL_RETRY_S,
            )
        self.check_writable()
        self._check_replicas()

    def _check_replicas(self) -> None:
        """Refuse what could not be confirmed anyway: nothing is stored of it."""
        wanted, present = self._settings.redis_wait, self._replicas
        if present is not None and present < wanted:
            raise ReplicasMissing(
                f"The job store has {present} of {wanted} replicas.",
                retry_after_s=_SILENT_RETRY_S,
            )

    def stop(self) -> None:
        """End the thread after its present poll."""
        self._stopped.set()

    def run(self) -> None:
        """Poll until stopped."""
        while not self._pause():
            try:
                self._poll()
            except Exception:  # noqa: BLE001
                # the thread must go on: nothing else closes the breaker again
                _log.exception("pressure.failed")

    def _pause(self) -> bool:
        """Wait until the next poll; return whether the thread is to end."""
        due = time.monotonic() + _POLL_S
        ends = self._stopped.wait(_POLL_S)
        self._note_delay(due)
        return ends

    def _note_delay(self, due: float) -> bool:
        """Return whether what was due at this time came late, which is kept in mind."""
        now = time.monotonic()
        late = now > due + _STARVED_S
        if late:
            self._starved_until = now + _STARVED_FOR_S
        return late

    def _poll(self) -> None:
        due = time.monotonic() + _TIMEOUT_S
        try:
            probe = probe_server(self._redis)
        except redis.TimeoutError as error:
            self._timeouts += 1
            if not self._note_delay(due) and self._timeouts >= self._least_timeouts():
                self._open_breaker(error)
            return
        except redis.RedisError as error:
            if not self._note_delay(due):
                self._open_breaker(error)
            return
        self._timeouts = 0
        self.fullness, self._replicas = probe.fullness, probe.replicas
        self._note_refusal(probe.refusal)
        if self._breaker.is_open:
            self._breaker.close()
            _log.warning("store.back")

    def _least_timeouts(self) -> int:
        return _STARVED_POLLS if time.monotonic() < self._starved_until else 1

    def _note_refusal(self, refusal: StoreUnavailable | None) -> None:
        if refusal is not None and self._refusal is None:
            _log.error("store.read_only", extra={"cause": refusal.detail})
        elif refusal is None and self._refusal is not None:
            _log.warning("store.writable")
        self._refusal = refusal

    def _open_breaker(self, error: redis.RedisError) -> None:
        self._silence = explain_refusal(error).detail
        if not self._breaker.is_open:
            _log.error("store.silent", extra={"cause": self._silence})
        self._breaker.open()
