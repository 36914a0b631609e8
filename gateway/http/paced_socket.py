"""A client's socket that does not wait for ever: headers, bodies and answers have to move on."""

from __future__ import annotations

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
    """What a client is given; seconds, and bytes a second."""

    idle_s: float
    headers_s: float
    body_grace_s: float
    body_bytes_s: float
    write_s: float

    @classmethod
    def of(cls, settings: Settings, idle_s: float) -> ClientTimeouts:
        """Return the pace that the operator wants; a connection may rest for `idle_s`."""
        return cls(
            idle_s,
            settings.headers_timeout_s,
            settings.body_grace_s,
            settings.body_min_bytes_s,
            settings.write_timeout_s,
        )


class PacedSocket:
    """Wraps a connected socket; everything but reading and writing is the socket's own."""

    def __init__(self, sock: socket.socket, pace: ClientTimeouts) -> None:
        """Wait for the first request."""
        self._socket = sock
        self._pace = pace
        self._body_began: float | None = None
        self._request_began: float | None = None
        self._received = 0
        self._give_up: Callable[[], None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def await_request(self) -> None:
        """Let the next request begin whenever it comes."""
        self._body_began = self._request_began = None
        self._give_up = None

    def await_body(self, give_up: Callable[[], None]) -> None:
        """Measure from now on how fast the body comes; `give_up` is called when it is too slow."""
        self._body_began, self._received = time.monotonic(), 0
        self._give_up = give_up

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has come; b"" from a client that rests too long between two requests.

        Raises RequestTimeout when headers or body take too much time.
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
        self._count(len(data))
        return data

    def _count(self, size: int) -> None:
        self._received += size
        if self._request_began is None:
            self._request_began = time.monotonic()

    def _left_s(self) -> float:
        now, pace = time.monotonic(), self._pace
        if self._body_began is not None:
            given_s = pace.body_grace_s + self._received / pace.body_bytes_s
            return self._body_began + given_s - now
        if self._request_began is not None:
            return self._request_began + pace.headers_s - now
        return pace.idle_s

    def sendall(self, data: bytes) -> None:
        """Write all of it; a client that takes nothing for too long is treated as gone."""
        self._socket.settimeout(self._pace.write_s)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            _log.info("client.gone", extra={"cause": "it does not read"})
            raise ConnectionResetError(errno.ECONNRESET, "the client does not read") from None
        except OSError as error:
            # the server says nothing of it: "Connection reset by peer" would be seen nowhere
            _log.info("client.gone", extra={"cause": str(error)})
            raise
