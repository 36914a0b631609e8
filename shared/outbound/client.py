"""The HTTP client for URLs that others give us: it reaches only what the policy allows."""

from __future__ import annotations

import functools
import ipaddress
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

import certifi
import httpcore
import httpx

from shared.addresses import Policy
from shared.errors import UrlFetchFailed, UrlNotAllowed
from shared.outbound.dialer import Dialer, Resolver, check_addresses, system_resolver
from shared.settings import Settings

#: Headers, and whatever else a peer says around the body.
_OVERHEAD_BYTES = 128 << 10
_URL_MAX_CHARS = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_LABELS = re.compile(r"[a-z0-9_\-]+(\.[a-z0-9_\-]+)*")
#: A last label that C libraries take for a part of an IPv4 address.
_NUMERIC_LABEL = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


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
class FetchLimits:
    """What one exchange may take: seconds in all and to connect, bytes of the answer's body."""

    total_s: float
    connect_s: float
    body_bytes: int


@dataclass(frozen=True, slots=True)
class FetchedResponse:
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
        raise UrlNotAllowed("The URL is too long or contains spaces or backslashes.")
    try:
        parsed = httpx.URL(url)
        host = parsed.raw_host.decode("ascii").lower().removesuffix(".")
    except (httpx.InvalidURL, ValueError):
        raise UrlNotAllowed("This is not a valid URL.") from None
    if parsed.scheme not in _DEFAULT_PORTS or not host:
        raise UrlNotAllowed("Only http and https URLs are allowed.")
    if parsed.userinfo:
        raise UrlNotAllowed("URLs with a user name or password are not allowed.")
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
        check_addresses([address], host, policy)
        return
    if not _HOST_LABELS.fullmatch(host) or _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        raise UrlNotAllowed("The URL's host is neither a name nor a plain IP address.")
    if host.rpartition(".")[2] == "localhost":
        check_addresses([ipaddress.ip_address("127.0.0.1")], host, policy)


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
        limits: FetchLimits,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> FetchedResponse:
        """Exchange one request; raises UrlNotAllowed and UrlFetchFailed."""
        deadline = time.monotonic() + limits.total_s
        wanted = target(url, self.policy)
        dialer = Dialer(
            self.policy,
            self._resolver,
            deadline=deadline,
            connect_by=min(deadline, time.monotonic() + limits.connect_s),
            most_bytes=limits.body_bytes + _OVERHEAD_BYTES,
        )
        with (
            _typed_failures(deadline),
            httpcore.ConnectionPool(
                ssl_context=self._tls if wanted.scheme == "https" else None,
                network_backend=dialer,
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
            return FetchedResponse(
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
        raise UrlFetchFailed("The host did not respond in time.") from None
    except (httpcore.NetworkError, ssl.SSLError, OSError) as error:
        if time.monotonic() >= deadline:
            raise UrlFetchFailed("The host did not respond in time.") from None
        raise UrlFetchFailed(_plain(error)) from None
    except httpcore.ProtocolError:
        raise UrlFetchFailed("The host sent an invalid HTTP response.") from None


def _plain(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The host's certificate is not valid: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return "A secure connection to the host could not be established."
        if isinstance(cause, ConnectionRefusedError):
            return "The host refused the connection."
        cause = cause.__cause__ or cause.__context__
    return f"The host could not be reached or closed the connection: {error}."
