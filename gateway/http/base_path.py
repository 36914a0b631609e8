"""Serves the service below a path of a host: by setting, or as a trusted proxy says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from flask import has_request_context, request

from shared.addresses import parse_networks
from shared.settings import BASE_PATH_PATTERN, Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_PATH = re.compile(BASE_PATH_PATTERN)


class BasePath:
    """A WSGI app below a base path.

    Requests come with the path in front, or without it where a proxy takes it off (and probes of
    the machine itself never send it); either way links begin with it.
    """

    def __init__(self, app: WSGIApplication, settings: Settings) -> None:
        self._app = app
        self._configured = settings.base_path
        self._trusted = parse_networks(settings.trusted_proxies)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        base = environ.get("SCRIPT_NAME") or self._forwarded(environ) or self._configured
        path = environ["PATH_INFO"]
        if base:
            environ["SCRIPT_NAME"] = base
            if path == base or path.startswith(base + "/"):
                environ["PATH_INFO"] = path[len(base) :] or "/"
        return self._app(environ, start_response)

    def _forwarded(self, environ: dict[str, Any]) -> str:
        prefix = str(environ.get("HTTP_X_FORWARDED_PREFIX", "")).rstrip("/")
        return prefix if _PATH.fullmatch(prefix) and self._is_trusted(environ) else ""

    def _is_trusted(self, environ: dict[str, Any]) -> bool:
        try:
            address = ip_address(environ.get("REMOTE_ADDR", ""))
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def link_base() -> str:
    """Return what this request's links begin with: its base path, empty at the root of a host."""
    return request.script_root if has_request_context() else ""
