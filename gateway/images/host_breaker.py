"""A circuit breaker per image host: after repeated failures its URLs are refused for a while."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from shared.errors import ImageHostUnavailable
from shared.settings import Settings

#: Hosts that are remembered; beyond that, those not used for longest are forgotten.
_MAX_HOSTS = 1024
#: Longest pause; clients don't wait longer.
_MAX_PAUSE_S = 120.0
#: When other requests should retry while one probes whether the host has recovered.
_PROBE_S = 1.0


class HostHealth(Enum):
    """What an exchange showed of its host."""

    GOOD = "good"
    BAD = "bad"
    #: Nothing: the exchange never began, or had too little time.
    UNKNOWN = "unknown"


@dataclass(slots=True)
class _Host:
    failures: int = 0
    #: Times in a row that the breaker has opened.
    opened: int = 0
    #: Monotonic seconds; 0 while the breaker is closed.
    open_until_s: float = 0.0
    probing: bool = False


class HostBreaker:
    """Counts failures per tenant and host, so that no tenant can block a host for others.

    One of it serves all threads of a process.
    """

    def __init__(
        self, failures: int, pause_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`failures` in a row open it for `pause_s`, twice as long each time they go on."""
        self._failures = failures
        self._pause_s = pause_s
        self._clock = clock
        self._hosts: OrderedDict[tuple[str, str], _Host] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def from_settings(cls, settings: Settings) -> HostBreaker:
        """Return a breaker with the operator's limits."""
        return cls(settings.fetch_breaker_failures, settings.fetch_breaker_s)

    def __len__(self) -> int:
        return len(self._hosts)

    def enter(self, tenant: str, origin: str) -> None:
        """Let an exchange begin, which must end with `leave`; raises ImageHostUnavailable."""
        with self._lock:
            host = self._hosts.get((tenant, origin))
            if host is None or not host.open_until_s:
                return
            left_s = host.open_until_s - self._clock()
            if left_s > 0 or host.probing:
                raise ImageHostUnavailable(retry_after_s=max(left_s, _PROBE_S))
            host.probing = True

    def leave(self, tenant: str, origin: str, health: HostHealth) -> None:
        """Record how an exchange that was let in has ended."""
        with self._lock:
            if health is HostHealth.GOOD:
                self._hosts.pop((tenant, origin), None)
            elif health is HostHealth.BAD:
                self._count_failure((tenant, origin))
            elif host := self._hosts.get((tenant, origin)):
                host.probing = False

    def _count_failure(self, name: tuple[str, str]) -> None:
        host = self._hosts.setdefault(name, _Host())
        self._hosts.move_to_end(name)
        host.failures += 1
        now = self._clock()
        # exchanges that were under way when it opened must not prolong the pause
        if host.failures >= self._failures and now >= host.open_until_s:
            pause_s = min(_MAX_PAUSE_S, self._pause_s * 2.0 ** min(host.opened, 10))
            host.open_until_s, host.opened = now + pause_s, host.opened + 1
        host.probing = False
        if len(self._hosts) > _MAX_HOSTS:
            self._hosts.popitem(last=False)
