"""Connections on behalf of others: only to checked addresses, and over by a deadline."""

from __future__ import annotations

import functools
import ipaddress
import logging
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from shared.addresses import IPAddress, Policy
from shared.errors import UrlFetchFailed, UrlNotAllowed

#: What a name resolves to; raises OSError.
Resolver = Callable[[str, int], list[str]]

_MAX_ADDRESSES = 8

_log = logging.getLogger(__name__)


def check_addresses(addresses: Iterable[IPAddress], host: str, policy: Policy) -> None:
    """Raise UrlNotAllowed unless every address of a host may be reached."""
    refused = [address for address in addresses if not policy.allows(address)]
    if refused:
        # the caller is not told what our resolver knows
        _log.warning("url.refused", extra={"host": host, "addresses": list(map(str, refused))})
        raise UrlNotAllowed("The URL's host has an address that the service may not connect to.")


def system_resolver(host: str, port: int) -> list[str]:
    """Return the addresses that the system knows for a host; raises OSError."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


class Dialer(httpcore.NetworkBackend):
    """Connects to the addresses that it has checked, and to nothing else."""

    def __init__(
        self,
        policy: Policy,
        resolver: Resolver,
        *,
        deadline: float,
        connect_by: float,
        most_bytes: int,
    ) -> None:
        """`deadline` and `connect_by` are monotonic; `most_bytes` are read of one connection."""
        self._policy = policy
        self._resolver = resolver
        self._deadline = deadline
        self._connect_by = connect_by
        self._bytes = most_bytes

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 the deadline is stricter
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check every address, and connect to the first that accepts."""
        addresses = self._addresses(host, port)
        failure: Exception | None = None
        for index, address in enumerate(addresses):
            share = _left(self._connect_by, httpcore.ConnectTimeout) / (len(addresses) - index)
            try:
                stream = httpcore.SyncBackend().connect_tcp(
                    str(address), port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                sock = stream.get_extra_info("socket")
                return BoundedStream(stream, sock, self._deadline, self._connect_by, self._bytes)
        raise failure or httpcore.ConnectError("the name has no address")

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Refuse: no URL may name a file of this machine."""
        raise UrlNotAllowed

    def _addresses(self, host: str, port: int) -> list[IPAddress]:
        found = [ipaddress.ip_address(text) for text in self._resolved(host, port)]
        # every answer, or a name with one good address would open the door to its others
        check_addresses(found, host, self._policy)
        return list(dict.fromkeys(found))[:_MAX_ADDRESSES]

    def _resolved(self, host: str, port: int) -> list[str]:
        """Ask the resolver in a thread: the system's cannot be told how long it may take."""
        answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolver(host, port))
            except OSError as error:
                answers.put(error)

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        try:
            answer = answers.get(timeout=_left(self._connect_by, httpcore.ConnectTimeout))
        except queue.Empty:
            raise httpcore.ConnectTimeout from None
        if isinstance(answer, OSError):
            raise UrlFetchFailed("The URL's host name could not be resolved.")
        return answer


class BoundedStream(httpcore.NetworkStream):
    """A connection whose every step ends by the same deadline, within a number of bytes."""

    def __init__(
        self,
        inner: httpcore.NetworkStream,
        sock: socket.socket,
        deadline: float,
        connect_by: float,
        most: int,
    ) -> None:
        self._inner = inner
        self._sock = sock
        self._deadline = deadline
        self._connect_by = connect_by
        self._most = most

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Return what comes before the deadline."""
        data = self._inner.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))
        self._most -= len(data)
        if self._most < 0:
            raise httpcore.RemoteProtocolError("received more bytes than requested")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send all of it before the deadline, however slowly the peer takes it."""
        rest = memoryview(buffer)
        try:
            while rest:
                self._sock.settimeout(_left(self._deadline, httpcore.WriteTimeout))
                rest = rest[self._sock.send(rest) :]
        except TimeoutError:
            raise httpcore.WriteTimeout from None
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Shake hands before the connection's own deadline."""
        left = _left(self._connect_by, httpcore.ConnectTimeout)
        # gevent's handshake counts its time anew with every packet
        # a duplicate, for the handshake takes the socket itself away
        line = self._sock.dup()
        alarm = threading.Timer(left, functools.partial(_hang_up, line))
        alarm.daemon = True
        alarm.start()
        try:
            inner = self._inner.start_tls(ssl_context, server_hostname, left)
        except (httpcore.ConnectError, OSError) as error:
            if time.monotonic() >= self._connect_by:
                raise httpcore.ConnectTimeout from error
            raise
        finally:
            alarm.cancel()
            line.close()
        sock = inner.get_extra_info("socket")
        return BoundedStream(inner, sock, self._deadline, self._connect_by, self._most)

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection tells of itself."""
        return self._inner.get_extra_info(info)


def _hang_up(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _left(deadline: float, kind: type[Exception]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise kind
    return left
