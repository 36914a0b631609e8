"""A client's socket with timeouts for idling, headers, bodies and answers."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.errors import RequestTimeout
from shared.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """How long a client may take; seconds, and bytes a second."""

    #: Between two requests of a connection.
    idle_s: float
    headers_s: float
    #: For any body; a longer one must come with `body_bytes_s` on average.
    body_grace_s: float
    body_bytes_s: float
    #: For each write to a client that does not read.
    write_s: float

    @classmethod
    def of(cls, settings: Settings, idle_s: float) -> ClientTimeouts:
        """Return the timeouts of the settings; a connection may be idle for `idle_s`."""
        return cls(
            idle_s,
            settings.headers_timeout_s,
            settings.body_grace_s,
            settings.body_min_bytes_s,
            settings.write_timeout_s,
        )


class PacedSocket:
    """Wraps a connected socket; all but reading and writing is passed on to it."""

    def __init__(self, sock: socket.socket, timeouts: ClientTimeouts) -> None:
        """Start idle: the first request may begin within `idle_s`."""
        self._socket = sock
        self._timeouts = timeouts
        self._body_began: float | None = None
        self._request_began: float | None = None
        self._received = 0
        self._served = False
        self._give_up: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def await_request(self) -> None:
        """Return to idle until the next request begins."""
        self._served = True
        self._body_began = self._request_began = None
        self._give_up = None

    def end_if_idle(self) -> None:
        """End a connection that waits for a further request; one that has come is still read."""
        if self._served and self._request_began is None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)

    def await_body(self, give_up: Callable[[], None]) -> None:
        """Time the body from now on; `give_up` is called before RequestTimeout is raised."""
        self._body_began, self._received = time.monotonic(), 0
        self._give_up = give_up

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return up to `size` bytes; b"" from a client that has closed or idles for too long.

        Raises RequestTimeout when headers or body take too long, OSError when the socket fails.
        """
        if flags:
            return self._socket.recv(size, flags)
        left_s = self._left_s()
        try:
            self._socket.settimeout(max(0.001, left_s))
            data = self._socket.recv(size) if left_s > 0 else None
        except TimeoutError:
            data = None
        if data is None:
            if self._request_began is None:
                return b""
            if self._give_up is not None:
                self._give_up()
            raise RequestTimeout
        self._count_received(len(data))
        return data

    def _count_received(self, size: int) -> None:
        self._received += size
        if self._request_began is None:
            self._request_began = time.monotonic()

    def _left_s(self) -> float:
        now, timeouts = time.monotonic(), self._timeouts
        if self._body_began is not None:
            allowed_s = timeouts.body_grace_s + self._received / timeouts.body_bytes_s
            return self._body_began + allowed_s - now
        if self._request_began is not None:
            return self._request_began + timeouts.headers_s - now
        return timeouts.idle_s

    def sendall(self, data: bytes) -> None:
        """Write all of `data`.

        Raises ConnectionResetError when the client reads nothing for `write_s`, and OSError when
        the socket fails, as for a client that has closed it.
        """
        self._socket.settimeout(self._timeouts.write_s)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            _log.info("client.gone", extra={"cause": "it does not read"})
            raise ConnectionResetError(errno.ECONNRESET, "the client does not read") from None
        except OSError as error:
            # gunicorn does not log it
            _log.info("client.gone", extra={"cause": str(error)})
            raise
