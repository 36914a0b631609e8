"""Keeps the web pages of others out of a service that asks for no key.

A browser sends whatever any page asks for, and a page may give its own host name our address.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from flask import Request

from shared.errors import HostNotAllowed, OriginNotAllowed
from shared.settings import Settings

_LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
_READING = ("GET", "HEAD", "OPTIONS")
#: Shows the secret only once, so that reading it changes something.
SHOWN_ONCE = "/v1/webhooks/secret"
_FOREIGN_SITES = ("cross-site", "same-site")


@dataclass(frozen=True, slots=True)
class BrowserGuard:
    """Refuses requests that a page of others may have made."""

    #: Host names that the operator lists.
    listed: frozenset[str]
    #: Whether any address is a host: an address, unlike a name, cannot be made to point to us.
    any_address: bool
    #: Origins whose pages may use the API.
    trusted_origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> BrowserGuard:
        """Return the guard of the settings."""
        names = [name.strip().lower() for name in settings.allowed_hosts.split(",")]
        public = urlsplit(settings.public_url).hostname or ""
        trusted = frozenset(settings.cors_origin_list) - {"*"}
        return cls(frozenset((*names, public)) - {""}, not settings.loopback, trusted)

    def check(self, request: Request) -> None:
        """Raise HostNotAllowed or OriginNotAllowed for what may come from a foreign page."""
        host = request.headers.get("Host", "")
        for name in (host, *_target_host(request)):
            if not self._is_ours(_split("//" + name).hostname or ""):
                raise HostNotAllowed(f"This service is not called {name[:100]!r}.")
        changes = request.method not in _READING or request.path == SHOWN_ONCE
        if changes and self._is_foreign(request, host):
            raise OriginNotAllowed

    def _is_ours(self, name: str) -> bool:
        return name in _LOOPBACK or name in self.listed or (self.any_address and _is_address(name))

    def _is_foreign(self, request: Request, host: str) -> bool:
        if request.headers.get("Origin", "").lower() in self.trusted_origins:
            return False
        if request.headers.get("Sec-Fetch-Site", "") in _FOREIGN_SITES:
            return True
        origin = request.headers.get("Origin")
        if origin is None:
            return False
        parts = _split(origin)
        # a proxy may have put its own idea of our name into Host
        return parts.netloc.lower() != host.lower() and (parts.hostname or "") not in self.listed


def _target_host(request: Request) -> list[str]:
    """Return the host of a request line with a whole URL, as proxies are sent it."""
    target = str(request.environ.get("RAW_URI", ""))
    return [] if target.startswith(("/", "*")) else [_split(target).netloc]


def _split(url: str) -> SplitResult:
    """Return the parts of a URL, which are empty if it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
