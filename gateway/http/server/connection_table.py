"""The open connections of a gateway process: makes room for new ones, but never by force."""

from __future__ import annotations

from itertools import islice
from typing import Protocol

#: Idle connections that are looked at for one that can give way.
_LOOKED_AT = 64


class Connection(Protocol):
    """What the table needs of a client's socket."""

    @property
    def has_unread(self) -> bool:
        """Tell whether its client has sent something that nobody has read yet."""

    def give_way(self) -> None:
        """End reading and writing; whoever reads gets an end of file and closes it."""


class ConnectionTable:
    """At most `most` connections; those without a request in flight give way to new ones."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy: set[Connection] = set()
        #: Without a complete request, the longest idle first.
        self._idle: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._busy) + len(self._idle)

    def admit(self, connection: Connection) -> bool:
        """Add a new connection; False if all places are taken by requests in flight."""
        if len(self) >= self._most and not self._close_oldest_idle():
            return False
        self._idle[connection] = None
        return True

    def _close_oldest_idle(self) -> bool:
        # a request that has arrived is as good as in flight
        silent = (one for one in islice(self._idle, _LOOKED_AT) if not one.has_unread)
        oldest = next(silent, None)
        if oldest is None:
            return False
        del self._idle[oldest]
        oldest.give_way()
        return True

    def begin_request(self, connection: Connection) -> None:
        """Keep a connection until its request has ended."""
        self._idle.pop(connection, None)
        self._busy.add(connection)

    def end_request(self, connection: Connection) -> None:
        """Let a connection give way again, as the last of all."""
        self._busy.discard(connection)
        self._idle[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._busy.discard(connection)
        self._idle.pop(connection, None)
