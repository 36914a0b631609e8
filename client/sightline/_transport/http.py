"""The arguments that both clients pass to httpx, and its responses and errors as steps see them."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import httpx

from sightline._steps import NoAnswer, Reply, Request
from sightline._transport.running import find_running_url
from sightline._version import __version__

DEFAULT_URL = "http://127.0.0.1:7860"
_CONNECT_S = 10.0
#: A stream is pinged every 15 seconds.
_STREAM_S = 45.0
#: Failures before anything can have arrived.
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def client_options(
    url: str | None, api_key: str | None, timeout: float, headers: dict[str, str] | None
) -> dict[str, Any]:
    """Return the arguments of httpx' clients; raises ValueError if the URL is not http(s)."""
    named = url or os.environ.get("SIGHTLINE_URL")
    base = (named or find_running_url() or DEFAULT_URL).rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{base!r} is not an http(s) URL, such as {DEFAULT_URL}.")
    key = api_key or os.environ.get("SIGHTLINE_API_KEY")
    sent_headers = {"User-Agent": f"sightline-python/{__version__}", "Accept": "application/json"}
    if key:
        sent_headers["Authorization"] = f"Bearer {key}"
    return {
        "base_url": base,
        "headers": sent_headers | (headers or {}),
        "timeout": httpx.Timeout(timeout, connect=min(timeout, _CONNECT_S)),
        # a proxy cannot reach the loopback of this machine
        "trust_env": parts.hostname not in _LOOPBACK,
    }


def request_arguments(request: Request, timeout: httpx.Timeout) -> dict[str, Any]:
    """Return the arguments of httpx' build_request."""
    read_s = timeout.read or _STREAM_S
    read_s = max(read_s, _STREAM_S) if request.stream else read_s + request.poll_s
    arguments: dict[str, Any] = {
        "params": dict(request.params),
        "headers": dict(request.headers),
        "timeout": httpx.Timeout(timeout.write, connect=timeout.connect, read=read_s),
    }
    if request.json is not None:
        arguments["json"] = request.json
    if request.form is not None:
        arguments["data"] = dict(request.form)
    if request.files:
        arguments["files"] = list(request.files)
    return arguments


def reply(response: httpx.Response, body: bytes = b"") -> Reply:
    """Return a response as operations see it."""
    return Reply(response.status_code, dict(response.headers), body)


def no_answer(error: httpx.TransportError, base_url: httpx.URL) -> NoAnswer:
    """Return the error that an operation gets for a failed connection."""
    reason = str(error) or type(error).__name__
    return NoAnswer(f"No response from {base_url}: {reason}.", sent=not isinstance(error, _UNSENT))
