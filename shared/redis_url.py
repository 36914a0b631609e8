"""URLs of Redis: one server, or a service that sentinels watch."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

Address = tuple[str, int]

_FORM = "redis+sentinel://[user:password@]host:26379,host:26379/service/database"
_SENTINEL_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
_SENTINEL_PORT = 26_379
#: Parameters that are meant for the sentinels and not for the servers behind them.
_USER, _PASSWORD, _TLS = "sentinel_username", "sentinel_password", "sentinel_tls"
_YES_NO = {"yes": True, "no": False}


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """A Redis service by its name, and the sentinels that know its master."""

    sentinels: tuple[Address, ...]
    service: str
    #: URL with everything that a connection to the master needs but its address.
    server: str
    #: The sentinels' own user, password and TLS.
    username: str | None = None
    password: str | None = None
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> SentinelUrl | None:
        """Return what a URL says; None for one of a single server.

        Raises ValueError with one sentence that quotes no password.
        """
        scheme = url.partition("://")[0]
        if scheme not in _SENTINEL_SCHEMES:
            _check_single(url)
            return None
        parts = _split_url(url)
        login, _, hosts = parts.netloc.rpartition("@")
        service, _, database = parts.path.strip("/").partition("/")
        if not service or not (database or "0").isdigit():
            raise ValueError(f"a sentinel URL names a service and a database, as in {_FORM}")
        options = dict(parse_qsl(parts.query))
        own = [options.pop(name, None) for name in (_USER, _PASSWORD, _TLS)]
        if own[2] not in (None, *_YES_NO):
            raise ValueError(f"{_TLS} is yes or no")
        server_scheme = _SENTINEL_SCHEMES[scheme]
        return cls(
            sentinels=tuple(_read_address(host) for host in hosts.split(",")),
            service=unquote(service),
            server=_join(server_scheme, login, database or "0", options),
            username=own[0],
            password=own[1],
            tls=_YES_NO[own[2]] if own[2] else server_scheme == "rediss",
        )


def _split_url(url: str) -> SplitResult:
    """Take a URL apart as `urlsplit` does, which may refuse brackets in a list of hosts."""
    scheme, mark, rest = url.partition("://")
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    return urlsplit(f"{scheme}{mark}{rest[end:]}")._replace(netloc=rest[:end])


def _check_single(url: str) -> None:
    parts = urlsplit(url)
    if "cluster" in parts.scheme:
        raise ValueError("Redis Cluster is not supported: use one server, or Sentinel")
    if "," in parts.netloc.rpartition("@")[2]:
        raise ValueError(f"several hosts are sentinels: {_FORM}")


def _read_address(text: str) -> Address:
    """Return host and port; raises ValueError."""
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port or _SENTINEL_PORT
    except ValueError:
        raise ValueError(f"{text!r} is no sentinel: host:port is needed, as in {_FORM}") from None
    if not parts.hostname:
        raise ValueError(f"a sentinel URL lists host:port of each sentinel, as in {_FORM}")
    return parts.hostname, port


def _join(scheme: str, login: str, database: str, options: dict[str, str]) -> str:
    netloc = f"{login}@sentinel" if login else "sentinel"
    return urlunsplit(SplitResult(scheme, netloc, f"/{database}", urlencode(options), ""))


def mask_passwords(url: str) -> str:
    """Return a URL with `***` for each password in it."""
    parts = _split_url(url)
    login, at, place = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    netloc = f"{user}:***@{place}" if colon else f"{login}{at}{place}"
    options = [
        (name, "***" if name.endswith("password") else value)
        for name, value in parse_qsl(parts.query)
    ]
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(options, safe="*/")))


def has_password(url: str) -> bool:
    """Tell whether a URL has a password for the server."""
    return ":" in _split_url(url).netloc.rpartition("@")[0]


def read_hosts(url: str) -> list[str]:
    """Return the hosts that a URL names; the host of a single server, or those of sentinels."""
    service = SentinelUrl.parse(url)
    if service:
        return [host for host, _ in service.sentinels]
    host = urlsplit(url).hostname
    return [host] if host else []
