"""The breaker before hosts that image URLs name: who does not answer is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from shared.errors import ImageHostUnavailable
from shared.settings import Settings

#: Hosts that are remembered; of more, the ones not asked for longest are forgotten.
_REMEMBERED = 1024
#: Clients don't wait longer than this.
_LONGEST_S = 120.0
#: When another request should come back while one finds out whether the host is well again.
_PROBE_S = 1.0


class HostHealth(Enum):
    """What an exchange told of its host."""

    GOOD = "good"
    BAD = "bad"
    #: Nothing: the exchange never began, or had too little time.
    UNKNOWN = "unknown"


@dataclass(slots=True)
class _Host:
    failures: int = 0
    #: Times in a row that it was given a pause.
    pauses: int = 0
    #: Monotonic seconds; 0 while it may be asked.
    closed_until_s: float = 0.0
    probing: bool = False


class HostBreaker:
    """Remembers who failed repeatedly; each tenant by itself, or one could spoil it for others.

    One of it serves all threads of a process.
    """

    def __init__(
        self, failures: int, pause_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """After so many failures in a row a host gets a pause, doubled each time that it lasts."""
        self._failures = failures
        self._pause_s = pause_s
        self._clock = clock
        self._hosts: OrderedDict[tuple[str, str], _Host] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> HostBreaker:
        """Return the breaker that the operator wants."""
        return cls(settings.fetch_breaker_failures, settings.fetch_breaker_s)

    def __len__(self) -> int:
        return len(self._hosts)

    def enter(self, tenant: str, origin: str) -> None:
        """Let an exchange begin, whose `leave` must follow; raises ImageHostUnavailable."""
        with self._lock:
            host = self._hosts.get((tenant, origin))
            if host is None or not host.closed_until_s:
                return
            left_s = host.closed_until_s - self._clock()
            if left_s > 0 or host.probing:
                raise ImageHostUnavailable(retry_after_s=max(left_s, _PROBE_S))
            host.probing = True

    def leave(self, tenant: str, origin: str, health: HostHealth) -> None:
        """Note how an exchange that was let in has ended."""
        with self._lock:
            if health is HostHealth.GOOD:
                self._hosts.pop((tenant, origin), None)
            elif health is HostHealth.BAD:
                self._hurt((tenant, origin))
            elif host := self._hosts.get((tenant, origin)):
                host.probing = False

    def _hurt(self, name: tuple[str, str]) -> None:
        host = self._hosts.setdefault(name, _Host())
        self._hosts.move_to_end(name)
        host.failures += 1
        now = self._clock()
        # those that were under way when the pause began tell nothing new
        if host.failures >= self._failures and now >= host.closed_until_s:
            pause_s = min(_LONGEST_S, self._pause_s * 2.0 ** min(host.pauses, 10))
            host.closed_until_s, host.pauses = now + pause_s, host.pauses + 1
        host.probing = False
        if len(self._hosts) > _REMEMBERED:
            self._hosts.popitem(last=False)
