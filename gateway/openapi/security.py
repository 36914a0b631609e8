"""What the OpenAPI document tells of keys and limits: the same for all that needs a key."""

from __future__ import annotations

from typing import Any

from gateway.auth import counts_as_request, needs_key
from gateway.http import problems
from shared import errors

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
#: Without a key too, where the operator lets such callers in.
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"api_key": []}, {}]

_TEXT = {"schema": {"type": "string"}}
_HEADERS = {
    "RateLimit-Policy": {"description": "The limits of this key.", **_TEXT},
    "RateLimit": {"description": "What is left of each, and until when.", **_TEXT},
}


def describe_keys(paths: dict[str, Any]) -> None:
    """Add to every operation that needs a key how one is refused."""
    for path, item in paths.items():
        if not needs_key(path):
            continue
        for method, operation in item.items():
            _add(operation, errors.Unauthorized, errors.StoreUnavailable)
            if counts_as_request(method.upper(), path):
                _add(operation, errors.LimitError)
            operation["security"] = _SECURITY
            for answer in operation["responses"].values():
                answer.setdefault("headers", {}).update(_HEADERS)


def _add(operation: dict[str, Any], *kinds: type[errors.ServiceError]) -> None:
    told = operation.setdefault("responses", {})
    for kind in kinds:
        for status, answer in problems.documented(kind).items():
            known = told.setdefault(str(status), answer)
            if f"`{kind.code}`" not in known["description"]:
                known["description"] += " " + answer["description"]
