"""API keys and rate limits in the OpenAPI document, the same for every path that needs a key."""

from __future__ import annotations

from typing import Any

from gateway.auth import charged_as, needs_key
from gateway.http import problems
from gateway.http.browser_guard import SHOWN_ONCE
from shared import errors

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
#: The empty one: callers without a key, where the operator admits them.
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"api_key": []}, {}]

_TEXT = {"schema": {"type": "string"}}
_HEADERS = {
    "RateLimit-Policy": {"description": "The limits of this key.", **_TEXT},
    "RateLimit": {"description": "What remains of each limit, and when it resets.", **_TEXT},
}


def describe_keys(paths: dict[str, Any]) -> None:
    """Add security, refusals and RateLimit headers to every operation that needs a key."""
    for path, item in paths.items():
        if not needs_key(path):
            continue
        for method, operation in item.items():
            add_errors(operation, errors.Unauthorized, errors.StoreUnavailable)
            add_errors(operation, errors.HostNotAllowed)
            if method != "get" or path == SHOWN_ONCE:
                add_errors(operation, errors.OriginNotAllowed)
            if charged_as(method.upper(), path):
                add_errors(operation, errors.LimitError)
            operation["security"] = _SECURITY
            for response in operation["responses"].values():
                response.setdefault("headers", {}).update(_HEADERS)


def add_errors(operation: dict[str, Any], *error_classes: type[errors.ServiceError]) -> None:
    """Add errors to the responses of an operation, unless it names them already."""
    responses = operation.setdefault("responses", {})
    for error in error_classes:
        for status, response in problems.documented(error).items():
            present = responses.setdefault(str(status), response)
            if f"`{error.code}`" not in present["description"]:
                present["description"] += " " + response["description"]
