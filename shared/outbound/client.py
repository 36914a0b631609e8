"""The HTTP client for URLs of callers: it connects only to what the address policy allows."""

from __future__ import annotations

import functools
import ipaddress
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

import certifi
import httpcore
import httpx

from shared.addresses import Policy
from shared.errors import UrlFetchFailed, UrlNotAllowed
from shared.outbound.dialer import Dialer, Resolver, check_addresses, resolve_by_system
from shared.settings import Settings

#: Bytes for the headers and the framing around a body.
_OVERHEAD_BYTES = 128 << 10
_URL_MAX_CHARS = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST_LABELS = re.compile(r"[a-z0-9_\-]+(\.[a-z0-9_\-]+)*")
#: A last label that C libraries parse as a part of an IPv4 address.
_NUMERIC_LABEL = re.compile(r"(0x[0-9a-f]*|[0-9]+)")


class Ending(StrEnum):
    """How the body of a response ended."""

    WHOLE = "whole"
    #: It is longer than the limit.
    CAPPED = "capped"
    #: The deadline passed.
    LATE = "late"
    #: The peer closed the connection early.
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Limits of one fetch: seconds in all, seconds to connect, bytes of the response's body."""

    total_s: float
    connect_s: float
    body_bytes: int


@dataclass(frozen=True, slots=True)
class FetchedResponse:
    """A response; header names are in lower case, the body is cut at the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    ending: Ending


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of an allowed URL; its addresses are checked when it is connected."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Return scheme, host and port, the same for all spellings of a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_target(url: str, policy: Policy) -> Target:
    """Split a URL that may be fetched; resolves no name, raises UrlNotAllowed."""
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


def follow_redirect(url: str, location: str) -> str:
    """Return the URL that a redirect of `url` leads to; raises UrlNotAllowed."""
    try:
        return str(httpx.URL(url).join(location).copy_with(fragment=None))
    except (httpx.InvalidURL, ValueError):
        raise UrlNotAllowed("The URL redirects to something that is not a valid URL.") from None


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
        resolver: Resolver = resolve_by_system,
        tls: ssl.SSLContext | None = None,
        authorities: Path | None = None,
    ) -> None:
        """Trust the public certificate authorities and those of a file; `tls` replaces both."""
        self.policy = policy
        self._resolver = resolver
        self._own_tls = tls
        self._authorities = authorities

    @classmethod
    def build(cls, settings: Settings) -> GuardedClient:
        """Return a client with the address policy of the settings."""
        policy = Policy.parse(settings.allow_nets, settings.allow_ports)
        return cls(policy, authorities=settings.ca_file)

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        if self._own_tls:
            return self._own_tls
        context = ssl.create_default_context(cafile=certifi.where())
        if self._authorities:
            context.load_verify_locations(self._authorities)
        return context

    def fetch(
        self,
        method: str,
        url: str,
        limits: FetchLimits,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> FetchedResponse:
        """Send a request and return the response; raises UrlNotAllowed and UrlFetchFailed."""
        deadline = time.monotonic() + limits.total_s
        target = parse_target(url, self.policy)
        dialer = Dialer(
            self.policy,
            self._resolver,
            deadline=deadline,
            connect_by=min(deadline, time.monotonic() + limits.connect_s),
            max_bytes=limits.body_bytes + _OVERHEAD_BYTES,
        )
        with (
            _as_url_errors(deadline),
            httpcore.ConnectionPool(
                ssl_context=self._tls if target.scheme == "https" else None,
                network_backend=dialer,
            ) as pool,
            pool.stream(
                method,
                httpcore.URL(
                    scheme=target.scheme,
                    host=target.host,
                    port=target.port,
                    target=target.path,
                ),
                headers=_request_headers(target, headers or {}, content),
                content=content,
            ) as response,
        ):
            body, ending = _read_body(response.iter_stream(), limits.body_bytes, deadline)
            return FetchedResponse(response.status, _decode_headers(response.headers), body, ending)


def _request_headers(
    target: Target, headers: Mapping[str, str], content: bytes | None
) -> list[tuple[bytes, bytes]]:
    authority = target.origin.partition("://")[2]
    if target.port == _DEFAULT_PORTS[target.scheme]:
        authority = authority.removesuffix(f":{target.port}")
    # no compression: a small body could expand without a bound
    sent = {"Host": authority, "Accept-Encoding": "identity", "Connection": "close", **headers}
    if content is not None:
        sent["Content-Length"] = str(len(content))
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in sent.items()]


def _decode_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}


def _read_body(parts: Iterator[bytes], max_bytes: int, deadline: float) -> tuple[bytes, Ending]:
    """Return up to `max_bytes` bytes; raises nothing, as the status is known by now."""
    body = bytearray()
    try:
        for part in parts:
            body += part
            if len(body) > max_bytes:
                return bytes(body[:max_bytes]), Ending.CAPPED
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        late = time.monotonic() >= deadline
        return bytes(body), Ending.LATE if late else Ending.BROKEN
    return bytes(body), Ending.WHOLE


@contextmanager
def _as_url_errors(deadline: float) -> Iterator[None]:
    try:
        yield
    except httpcore.ConnectTimeout:
        raise UrlFetchFailed("The host did not accept a connection in time.") from None
    except httpcore.TimeoutException:
        raise UrlFetchFailed("The host did not respond in time.") from None
    except (httpcore.NetworkError, ssl.SSLError, OSError) as error:
        if time.monotonic() >= deadline:
            raise UrlFetchFailed("The host did not respond in time.") from None
        raise UrlFetchFailed(_describe(error)) from None
    except httpcore.ProtocolError:
        raise UrlFetchFailed("The host sent an invalid HTTP response.") from None


def _describe(error: BaseException) -> str:
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
