"""TCP connections for URLs of callers: only to checked addresses, closed by a deadline."""

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

#: Returns the addresses of a host and port; raises OSError.
Resolver = Callable[[str, int], list[str]]

_MAX_ADDRESSES = 8

_log = logging.getLogger(__name__)


def check_addresses(addresses: Iterable[IPAddress], host: str, policy: Policy) -> None:
    """Raise UrlNotAllowed unless the policy allows every address of a host."""
    refused = [address for address in addresses if not policy.allows(address)]
    if refused:
        # the error names no address: callers must not learn what our resolver knows
        _log.warning("url.refused", extra={"host": host, "addresses": list(map(str, refused))})
        raise UrlNotAllowed("The URL's host resolves to an address that is not allowed.")


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the addresses of a host from the system's resolver; raises OSError."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


class Dialer(httpcore.NetworkBackend):
    """Resolves names itself and connects only to addresses that the policy allows."""

    def __init__(
        self,
        policy: Policy,
        resolver: Resolver,
        *,
        deadline: float,
        connect_by: float,
        max_bytes: int,
    ) -> None:
        """`deadline` and `connect_by` are monotonic; `max_bytes` bounds what is read."""
        self._policy = policy
        self._resolver = resolver
        self._deadline = deadline
        self._connect_by = connect_by
        self._max_bytes = max_bytes

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 the deadline is stricter
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check every address, and connect to the first that accepts."""
        addresses = self._checked_addresses(host, port)
        failure: Exception | None = None
        for index, address in enumerate(addresses):
            share_s = _remaining_s(self._connect_by, httpcore.ConnectTimeout) / (
                len(addresses) - index
            )
            try:
                stream = httpcore.SyncBackend().connect_tcp(
                    str(address), port, share_s, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                sock = stream.get_extra_info("socket")
                return BoundedStream(
                    stream, sock, self._deadline, self._connect_by, self._max_bytes
                )
        raise failure or httpcore.ConnectError("the name has no address")

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Refuse: no URL may name a socket file of this machine."""
        raise UrlNotAllowed

    def _checked_addresses(self, host: str, port: int) -> list[IPAddress]:
        addresses = [ipaddress.ip_address(text) for text in self._resolve(host, port)]
        # all of them: a public address must not let a private one of the same name pass
        check_addresses(addresses, host, self._policy)
        return list(dict.fromkeys(addresses))[:_MAX_ADDRESSES]

    def _resolve(self, host: str, port: int) -> list[str]:
        """Resolve in a thread: the system's resolver takes no timeout."""
        results: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

        def resolve() -> None:
            try:
                results.put(self._resolver(host, port))
            except OSError as error:
                results.put(error)

        threading.Thread(target=resolve, name="resolver", daemon=True).start()
        try:
            result = results.get(timeout=_remaining_s(self._connect_by, httpcore.ConnectTimeout))
        except queue.Empty:
            raise httpcore.ConnectTimeout from None
        if isinstance(result, OSError):
            raise UrlFetchFailed("The URL's host name could not be resolved.")
        return result


class BoundedStream(httpcore.NetworkStream):
    """A connection with one deadline for all its steps and a limit of bytes to read."""

    def __init__(
        self,
        inner: httpcore.NetworkStream,
        sock: socket.socket,
        deadline: float,
        connect_by: float,
        max_bytes: int,
    ) -> None:
        self._inner = inner
        self._sock = sock
        self._deadline = deadline
        self._connect_by = connect_by
        self._bytes_left = max_bytes

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Return up to `max_bytes` bytes; raises ReadTimeout at the deadline."""
        data = self._inner.read(max_bytes, _remaining_s(self._deadline, httpcore.ReadTimeout))
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise httpcore.RemoteProtocolError("received more bytes than requested")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Send all of it before the deadline, however slowly the peer reads."""
        rest = memoryview(buffer)
        try:
            while rest:
                self._sock.settimeout(_remaining_s(self._deadline, httpcore.WriteTimeout))
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
        timeout_s = _remaining_s(self._connect_by, httpcore.ConnectTimeout)
        # gevent starts the timeout of a handshake again with every packet, so a timer ends it; on a
        # duplicate, as the handshake detaches the socket itself
        duplicate = self._sock.dup()
        alarm = threading.Timer(timeout_s, functools.partial(_shut_down, duplicate))
        alarm.daemon = True
        alarm.start()
        try:
            inner = self._inner.start_tls(ssl_context, server_hostname, timeout_s)
        except (httpcore.ConnectError, OSError) as error:
            if time.monotonic() >= self._connect_by:
                raise httpcore.ConnectTimeout from error
            raise
        finally:
            alarm.cancel()
            duplicate.close()
        sock = inner.get_extra_info("socket")
        return BoundedStream(inner, sock, self._deadline, self._connect_by, self._bytes_left)

    def get_extra_info(self, info: str) -> Any:
        """Return what the inner stream knows, such as its socket."""
        return self._inner.get_extra_info(info)


def _shut_down(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _remaining_s(deadline: float, kind: type[Exception]) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise kind
    return seconds
