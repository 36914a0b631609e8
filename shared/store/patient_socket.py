"""A socket that takes a reply which has come, though the time to wait for it is over as well."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

Received = TypeVar("Received")


class PatientSocket:
    """Stands for a connected socket, and looks once more for data before it raises TimeoutError.

    A process that gets no CPU for a while finds both at once: data, and that its time is over.
    gevent then tells the reader of the time.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def __getattr__(self, name: str) -> Any:
        """Return what the socket itself has."""
        return getattr(self._socket, name)

    def recv(self, *args: Any) -> bytes:
        """Return data as `socket.recv` does."""
        return self._read(lambda: self._socket.recv(*args))

    def recv_into(self, *args: Any) -> int:
        """Fill a buffer as `socket.recv_into` does; return the number of bytes."""
        return self._read(lambda: self._socket.recv_into(*args))

    def _read(self, read: Callable[[], Received]) -> Received:
        try:
            return read()
        except TimeoutError:
            timeout_s = self._socket.gettimeout()
            self._socket.settimeout(0)
            try:
                return read()
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            finally:
                self._socket.settimeout(timeout_s)
            raise
