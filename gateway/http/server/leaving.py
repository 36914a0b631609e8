"""How a gateway process leaves: it says so to proxies first, and drops nobody who has connected."""

from __future__ import annotations

import threading
from typing import Any

from gevent.server import StreamServer

_leaving = threading.Event()


def begin_leaving() -> None:
    """Note that this process is about to stop, for `is_leaving`."""
    _leaving.set()


def is_leaving() -> bool:
    """Tell whether this process is about to stop and wants no new connections."""
    return _leaving.is_set()


class ListenerName:
    """The address of a listening socket, which may have been closed since."""

    def __init__(self, address: Any) -> None:
        self._address = address

    def getsockname(self) -> Any:
        """Return the address as the socket did."""
        return self._address


class DrainingServer(StreamServer):
    """A server that also serves the connections which wait in its backlog when it closes.

    Closing the socket alone resets them: a caller could not know whether its job was stored.
    """

    def close(self) -> None:
        """Accept what has connected already, then close the socket; handlers run on."""
        if not self.closed:
            self._accept_waiting()
        super().close()

    def _accept_waiting(self) -> None:
        while not self.full() and (connection := self.do_read()):
            self.do_handle(*connection)
