"""The HTTP API page, from the OpenAPI document of a gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.app import create_app
from scripts.reference.markdown import code, page, table
from scripts.reference.schemas import bounds, default, describe_schema, kind
from shared.settings import Settings

_HEAD = """# HTTP API

Every path, parameter and response, from the OpenAPI document that a gateway serves at
`/openapi.json`; `make reference` writes this page. A running service shows the same at `/docs`,
where you can try it out. With examples: [ask with curl](../how-to/ask-with-curl.md). Error codes:
[errors](errors.md). If keys are required, send `Authorization: Bearer <key>` or
`X-API-Key: <key>`."""
_FORM = "{} as form fields, with files named `image`; complex values are JSON text."
_TITLES = {
    "jobs": "Jobs",
    "images": "Images",
    "sessions": "Conversations",
    "openai": "OpenAI's API",
    "webhooks": "Webhooks",
    "service": "The service",
}


def render_http_api() -> str:
    """Return the page."""
    # the declared values, not the environment's: the page must be the same on every machine
    document = create_app(Settings.model_construct()).api_doc
    parts = [_HEAD]
    for tag, title in _TITLES.items():
        parts.append(f"## {title}")
        for operation in _operations(document["paths"], tag):
            parts += _operation(*operation)
    parts.append("## Request and response bodies")
    schemas = document["components"]["schemas"]
    for name, schema in sorted(schemas.items()):
        body = name.removesuffix("Form")
        is_form = body != name and body in schemas
        paragraphs = [_FORM.format(kind({"$ref": body}))] if is_form else describe_schema(schema)
        parts += [f"### {name}", *paragraphs]
    return page(*parts)


def _operations(paths: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in paths.items():
        for method, operation in item.items():
            if operation["tags"] == [tag]:
                yield method.upper(), path, operation


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    description = operation.get("description") or operation["summary"] + "."
    parts = [f"### {method} {path}", description.replace("<br/>", " ")]
    if parameters := operation.get("parameters"):
        head = ["parameter", "in", "type", "bounds", "default", "meaning"]
        parts.append(table(head, map(_parameter, parameters)))
    if body := operation.get("requestBody"):
        kinds = [f"{kind(media['schema'])} as `{name}`" for name, media in body["content"].items()]
        parts.append("Body: " + " or ".join(kinds) + ".")
    responses = sorted(operation["responses"].items())
    rows = [[status, _response(response)] for status, response in responses]
    parts.append(table(["status", "answer"], rows))
    return parts


def _parameter(parameter: dict[str, Any]) -> list[str]:
    schema = parameter["schema"]
    name = code(parameter["name"]) + (", required" if parameter.get("required") else "")
    meaning = parameter.get("description", "")
    return [name, parameter["in"], kind(schema), bounds(schema), default(schema), meaning]


def _response(response: dict[str, Any]) -> str:
    codes = re.findall(r"`(\w+)`:", response["description"])
    if codes:
        return ", ".join(f"[{code(name)}](errors.md#{name})" for name in codes)
    bodies = []
    for name, media in response.get("content", {}).items():
        schema = kind(media["schema"]) if media.get("schema") else ""
        bodies.append(f"{schema} as `{name}`" if schema else code(name))
    body = " or ".join(bodies)
    return body or "no body"
