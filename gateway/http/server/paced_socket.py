"""A client's socket with timeouts for idling, headers, bodies and answers."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import socket
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.http.server.body_budget import BodyBudget
from gateway.large_input import give_way
from shared.errors import RequestTimeout, ServiceError
from shared.settings import Settings

_log = logging.getLogger(__name__)
#: For a client that still sends when its answer is written, so that it can read the answer.
_LINGER_S = 2.0


@dataclass(frozen=True, slots=True)
class ClientTimeouts:
    """How long a client may take; seconds, and bytes a second."""

    #: Between two requests of a connection.
    idle_s: float
    #: From the connection, or from the first byte of a later request.
    headers_s: float
    #: That a client may lag behind `body_bytes_s`.
    body_grace_s: float
    body_bytes_s: float
    #: For any body.
    body_s: float
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
            settings.body_timeout_s,
            settings.write_timeout_s,
        )


@dataclass(slots=True)
class _Body:
    """The body that a connection is receiving."""

    give_up: Callable[[], None]
    #: Bytes that its client has announced.
    announced: int
    ends_at: float
    #: Seconds that its client may still keep us waiting.
    credit_s: float
    received: int = 0
    held: int = 0


class PacedSocket:
    """Wraps a connected socket; all but reading and writing is passed on to it."""

    def __init__(self, sock: socket.socket, timeouts: ClientTimeouts, budget: BodyBudget) -> None:
        """Await the headers of the first request; bodies are taken from `budget`."""
        self._socket = sock
        self._timeouts = timeouts
        self._budget = budget
        self._body: _Body | None = None
        self._connected_at = time.monotonic()
        self._headers_began: float | None = self._connected_at
        self._served = self._heard = self._answered = self._ended = self._gave_way = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    @property
    def age_s(self) -> float:
        """Return how long it has been connected."""
        return time.monotonic() - self._connected_at

    @property
    def has_unread(self) -> bool:
        """Tell whether its client has sent something that nobody has read yet."""
        return fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, bytes(4)) != bytes(4)

    def give_way(self) -> None:
        """End reading and writing; whoever reads gets an end of file."""
        self._gave_way = self._ended = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end_if_idle(self) -> None:
        """End a connection that waits for a further request; one that has come is still read."""
        if self._served and not self._heard and not self.has_unread:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RD)

    def await_request(self, *, begun: bool = False) -> None:
        """Return to idle until the next request begins, unless it has `begun` already."""
        self.release_body()
        self._body = None
        self._served = True
        self._headers_began = time.monotonic() if begun else None
        self._heard = begun

    def await_body(self, give_up: Callable[[], None], announced: int = 0) -> None:
        """Time the body from now on, of which `announced` bytes are still to come.

        `give_up` is called before an error is raised, as the rest of the body stays unread.
        """
        ends_at = time.monotonic() + self._timeouts.body_s
        self._body = _Body(give_up, announced, ends_at, self._timeouts.body_grace_s)

    def release_body(self) -> None:
        """Let others have the memory of the body; it is forgotten by now."""
        if self._body is not None:
            self._budget.give_back(self._body.held)
            self._body.held = 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return up to `size` bytes; b"" from a client that has closed or idles for too long.

        Raises RequestTimeout when headers or body take too long, Unavailable when too many bodies
        are being received, OSError when the socket fails.
        """
        if flags:
            return self._socket.recv(size, flags)
        # a client that always has more must not keep the others waiting
        give_way()
        body = self._body
        data = self._receive_body(body, size) if body else self._receive_headers(size)
        self._ended = not data
        return data

    def _receive_headers(self, size: int) -> bytes:
        timeouts = self._timeouts
        left_s = timeouts.idle_s
        if self._headers_began is not None:
            left_s = self._headers_began + timeouts.headers_s - time.monotonic()
        data = self._receive_within(left_s, size)
        if data is None:
            if self._heard:
                raise RequestTimeout
            return b""
        self._heard = True
        self._headers_began = self._headers_began or time.monotonic()
        return data

    def _receive_body(self, body: _Body, size: int) -> bytes:
        try:
            return self._receive_bounded(body, size)
        except ServiceError:
            body.give_up()
            raise

    def _receive_bounded(self, body: _Body, size: int) -> bytes:
        timeouts, began = self._timeouts, time.monotonic()
        self._budget.check(body.announced - body.received)
        data = self._receive_within(min(body.credit_s, body.ends_at - began), size)
        if data is None:
            raise RequestTimeout
        # what a client sends fast gives it no right to stop for long
        body.credit_s += len(data) / timeouts.body_bytes_s - (time.monotonic() - began)
        body.credit_s = min(body.credit_s, timeouts.body_grace_s)
        body.received += len(data)
        self._budget.take(len(data))
        body.held += len(data)
        return data

    def _receive_within(self, left_s: float, size: int) -> bytes | None:
        """Return what comes within `left_s`; None if nothing does."""
        if left_s <= 0:
            return None
        try:
            self._socket.settimeout(max(0.001, left_s))
            return self._socket.recv(size)
        except TimeoutError:
            return None
        except OSError:
            # gevent fails a read whose socket another greenlet has shut down
            if self._gave_way:
                return b""
            raise

    def sendall(self, data: bytes) -> None:
        """Write all of `data`.

        Raises ConnectionResetError when the client reads nothing for `write_s`, and OSError when
        the socket fails, as for a client that has closed it.
        """
        self._answered = True
        self._socket.settimeout(self._timeouts.write_s)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            self._ended = True
            _log.info("client.gone", extra={"cause": "it does not read"})
            raise ConnectionResetError(errno.ECONNRESET, "the client does not read") from None
        except OSError as error:
            # gunicorn does not log it
            self._ended = True
            _log.info("client.gone", extra={"cause": str(error)})
            raise

    def close(self) -> None:
        """Close the connection, after a client that still sends had time to read its answer."""
        if self._answered and not self._ended:
            with contextlib.suppress(OSError):
                self._linger()
        self._socket.close()

    def _linger(self) -> None:
        # a close with unread bytes resets the connection, and the client loses the answer
        self._socket.shutdown(socket.SHUT_WR)
        until = time.monotonic() + _LINGER_S
        while self._receive_within(until - time.monotonic(), 65_536):
            give_way()
