"""Refuses query parameters that the OpenAPI document does not name, as members of bodies are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import request

from gateway.auth import needs_key
from gateway.openapi.security import add_errors
from shared.errors import BadParameters
from shared.excerpt import excerpt

_VARIABLE = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")


def describe_refusals(paths: dict[str, Any]) -> None:
    """Add the refusal of unknown parameters to every operation of the API."""
    for path, item in paths.items():
        if needs_key(path):
            for operation in item.values():
                add_errors(operation, BadParameters)


def refuse_unknown(paths: dict[str, Any]) -> Callable[[], None]:
    """Return a check of the present request; it raises BadParameters.

    `paths` are those of the document. Pages and probes take any parameter.
    """
    known = {
        (path, method.upper()): _query_schemas(operation)
        for path, item in paths.items()
        if needs_key(path)
        for method, operation in item.items()
    }

    def check() -> None:
        if not request.args or request.url_rule is None:
            return
        path = _VARIABLE.sub(r"{\1}", request.url_rule.rule)
        schemas = known.get((path, request.method.replace("HEAD", "GET")))
        if schemas is not None:
            _check_names(schemas)
            _check_counts(schemas)

    return check


def _check_names(schemas: dict[str, Any]) -> None:
    unknown = [name for name in request.args if name not in schemas]
    if unknown:
        name = excerpt(unknown[0])
        taken = f"takes {', '.join(schemas)}" if schemas else "takes none"
        raise BadParameters(
            f"Unknown query parameter: {name}; this path {taken}.", pointer=f"/{name}"
        )


def _check_counts(schemas: dict[str, Any]) -> None:
    for name, values in request.args.lists():
        if len(values) > 1 and not _is_list(schemas[name]):
            raise BadParameters(f"{name} is given more than once.", pointer=f"/{name}")


def _is_list(schema: dict[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", [])))


def _query_schemas(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of each query parameter by its name."""
    parameters = operation.get("parameters", [])
    return {part["name"]: part["schema"] for part in parameters if part["in"] == "query"}
