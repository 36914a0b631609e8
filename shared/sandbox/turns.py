"""Whose turn it is when more requests wait than there are children."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class _Ticket:
    tenant: str
    number: int
    called: threading.Event = field(default_factory=threading.Event)


class Turns:
    """Gives `size` places: to the tenant that holds the fewest, then to whom waits longest."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._held: Counter[str] = Counter()
        self._waiting: list[_Ticket] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def take(self, tenant: str, wait_s: float) -> None:
        """Wait for a place, which must be given back; raises TimeoutError after `wait_s`."""
        ticket = _Ticket(tenant, next(self._numbers))
        with self._lock:
            self._waiting.append(ticket)
            self._call_next()
        try:
            ticket.called.wait(wait_s)
        except BaseException:
            # the waiting greenlet is ended
            if not self._withdraw(ticket):
                self.give_back(tenant)
            raise
        if self._withdraw(ticket):
            raise TimeoutError

    def give_back(self, tenant: str) -> None:
        """Free a place and call the next in turn."""
        with self._lock:
            self._release(tenant)

    def _withdraw(self, ticket: _Ticket) -> bool:
        """Stop waiting; return False if the ticket holds a place already."""
        with self._lock:
            if ticket not in self._waiting:
                return False
            self._waiting.remove(ticket)
            return True

    def _call_next(self) -> None:
        while self._free and self._waiting:
            ticket = min(self._waiting, key=lambda one: (self._held[one.tenant], one.number))
            self._waiting.remove(ticket)
            self._free -= 1
            self._held[ticket.tenant] += 1
            ticket.called.set()

    def _release(self, tenant: str) -> None:
        self._free += 1
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        self._call_next()
