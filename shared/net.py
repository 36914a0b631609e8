"""The HTTP client for URLs that others give us: it reaches only what the policy allows."""

from __future__ import annotations

import functools
import ipaddress
import logging
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

import certifi
import httpcore
import httpx

from shared.addresses import IPAddress, Policy
from shared.errors import UrlFetchFailed, UrlNotAllowed
from shared.settings import Settings

#: What a name resolves to; raises OSError.
Resolver = Callable[[str, int], list[str]]

#: Headers, and whatever else a peer says around the body.
_OVERHEAD_BYTES = 128 << 10
_URL_MAX_CHARS = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_LABELS = re.compile(r"[a-z0-9_\-]+(\.[a-z0-9_\-]+)*")
#: A last label that C libraries take for a part of an IPv4 address.
_NUMERIC_LABEL = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_MAX_ADDRESSES = 8

_log = logging.getLogger(__name__)


class Ending(StrEnum):
    """How the body of an answer ended."""

    WHOLE = "whole"
    #: There is more than was asked for.
    CAPPED = "capped"
    #: The deadline came first.
    LATE = "late"
    #: The peer broke off.
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one exchange may take: seconds in all and to connect, bytes of the answer's body."""

    total_s: float
    connect_s: float
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the peer said; `body` has at most the bytes that were asked for, names are lower."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    ending: Ending


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked for, taken apart; its addresses are checked when it is connected."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Return scheme, host and port, the same for all spellings of a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def target(url: str, policy: Policy) -> Target:
    """Take apart a URL that may be fetched; raises UrlNotAllowed, and resolves no name."""
    if len(url) > _URL_MAX_CHARS or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise UrlNotAllowed("The URL is too long or has blanks or backslashes.")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii").lower().removesuffix(".")
    except (httpx.InvalidURL, ValueError):
        raise UrlNotAllowed("This is not a valid URL.") from None
    if parsed.scheme not in _DEFAULT_PORTS or not host:
        raise UrlNotAllowed("Only http and https URLs are fetched.")
    if parsed.userinfo:
        raise UrlNotAllowed("A URL with a user name or password is not fetched.")
    port = parsed.port or _DEFAULT_PORTS[parsed.scheme]
    if not policy.allows_port(port):
        raise UrlNotAllowed(f"Port {port} is not allowed.")
    _check_host(unquote(host), policy)
    return Target(parsed.scheme, host, port, parsed.raw_path.decode("ascii"))


def _check_host(host: str, policy: Policy) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        _check([address], host, policy)
        return
    if not _HOST_LABELS.fullmatch(host) or _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        raise UrlNotAllowed("The URL's host is neither a name nor a plainly written address.")
    if host.rpartition(".")[2] == "localhost":
        _check([ipaddress.ip_address("127.0.0.1")], host, policy)


def _check(addresses: Iterable[IPAddress], host: str, policy: Policy) -> None:
    refused = [address for address in addresses if not policy.allows(address)]
    if refused:
        # the caller is not told what our resolver knows
        _log.warning("url.refused", extra={"host": host, "addresses": list(map(str, refused))})
        raise UrlNotAllowed("The URL's host has an address that may not be reached from here.")


def system_resolver(host: str, port: int) -> list[str]:
    """Return the addresses that the system knows for a host; raises OSError."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


class GuardedClient:
    """Fetches a URL over one fresh connection: no redirects, no proxies, no cookies."""

    def __init__(
        self,
        policy: Policy,
        *,
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` replaces the usual trust in public certificate authorities."""
        self.policy = policy
        self._resolver = resolver
        self._given_tls = tls

    @classmethod
    def build(cls, settings: Settings) -> GuardedClient:
        """Return a client that reaches what the settings allow."""
        return cls(Policy.parse(settings.allow_nets, settings.allow_ports))

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context(cafile=certifi.where())

    def fetch(
        self,
        method: str,
        url: str,
        limits: Limits,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Exchange one request; raises UrlNotAllowed and UrlFetchFailed."""
        deadline = time.monotonic() + limits.total_s
        wanted = target(url, self.policy)
        backend = _Backend(wanted, self.policy, self._resolver, deadline, limits)
        with (
            _typed_failures(deadline),
            httpcore.ConnectionPool(
                ssl_context=self._tls if wanted.scheme == "https" else None,
                network_backend=backend,
            ) as pool,
            pool.stream(
                method,
                httpcore.URL(
                    scheme=wanted.scheme,
                    host=wanted.host,
                    port=wanted.port,
                    target=wanted.path,
                ),
                headers=_headers(wanted, headers or {}, content),
                content=content,
            ) as response,
        ):
            body, ending = _read(response.iter_stream(), limits.body_bytes, deadline)
            told = {name.decode("latin-1").lower(): value for name, value in response.headers}
            return Answer(
                response.status,
                {name: value.decode("latin-1") for name, value in told.items()},
                body,
                ending,
            )


def _headers(
    wanted: Target, headers: Mapping[str, str], content: bytes | None
) -> list[tuple[bytes, bytes]]:
    authority = wanted.origin.partition("://")[2]
    if wanted.port == _DEFAULT_PORTS[wanted.scheme]:
        authority = authority.removesuffix(f":{wanted.port}")
    # a compressed body could be small on the wire and endless here
    told = {"Host": authority, "Accept-Encoding": "identity", "Connection": "close", **headers}
    if content is not None:
        told["Content-Length"] = str(len(content))
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in told.items()]


def _read(parts: Iterator[bytes], most: int, deadline: float) -> tuple[bytes, Ending]:
    """Return up to `most` bytes; the status is known, so that nothing raises any more."""
    body = bytearray()
    try:
        for part in parts:
            body += part
            if len(body) > most:
                return bytes(body[:most]), Ending.CAPPED
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        late = time.monotonic() >= deadline
        return bytes(body), Ending.LATE if late else Ending.BROKEN
    return bytes(body), Ending.WHOLE


@contextmanager
def _typed_failures(deadline: float) -> Iterator[None]:
    try:
        yield
    except httpcore.ConnectTimeout:
        raise UrlFetchFailed("The host did not accept a connection in time.") from None
    except httpcore.TimeoutException:
        raise UrlFetchFailed("The host did not answer in time.") from None
    except (httpcore.NetworkError, ssl.SSLError, OSError) as error:
        if time.monotonic() >= deadline:
            raise UrlFetchFailed("The host did not answer in time.") from None
        raise UrlFetchFailed(_plain(error)) from None
    except httpcore.ProtocolError:
        raise UrlFetchFailed("The host does not speak HTTP as it should.") from None


def _plain(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The host's certificate is not valid: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return "No secure connection could be made to the host."
        if isinstance(cause, ConnectionRefusedError):
            return "The host refused the connection."
        cause = cause.__cause__ or cause.__context__
    return f"The host could not be reached or broke off: {error}."


class _Backend(httpcore.NetworkBackend):
    """Connects to the addresses that it has checked, and to nothing else."""

    def __init__(
        self,
        wanted: Target,
        policy: Policy,
        resolver: Resolver,
        deadline: float,
        limits: Limits,
    ) -> None:
        self._wanted = wanted
        self._policy = policy
        self._resolver = resolver
        self._deadline = deadline
        self._connect_by = min(deadline, time.monotonic() + limits.connect_s)
        self._bytes = limits.body_bytes + _OVERHEAD_BYTES

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
                return _Stream(stream, sock, self._deadline, self._connect_by, self._bytes)
        raise failure or httpcore.ConnectError("the name has no address")

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Refuse: no URL may name a file of this machine."""
        raise UrlNotAllowed

    def _addresses(self, host: str, port: int) -> list[IPAddress]:
        found = [ipaddress.ip_address(text) for text in self._resolved(host, port)]
        # every answer, or a name with one good address would open the door to its others
        _check(found, host, self._policy)
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


class _Stream(httpcore.NetworkStream):
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
            raise httpcore.RemoteProtocolError("more bytes than were asked for")
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
        return _Stream(inner, sock, self._deadline, self._connect_by, self._most)

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
