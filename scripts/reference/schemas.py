"""JSON schemas as Markdown: members, types, bounds and defaults."""

from __future__ import annotations

import json
from typing import Any

from scripts.reference.markdown import code, table

_LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "≥ {} characters",
    "maxLength": "≤ {} characters",
    "minItems": "≥ {} items",
    "maxItems": "≤ {} items",
    "pattern": "{}",
}


def describe_schema(schema: dict[str, Any]) -> list[str]:
    """Return the paragraphs about a named schema: its description and a table of its members."""
    parts = [schema.get("description", "")]
    properties = schema.get("properties", {})
    if not properties:
        return [*parts, ", ".join(part for part in (kind(schema), bounds(schema)) if part) + "."]
    required = set(schema.get("required", ()))
    rows = []
    for name, member in properties.items():
        mark = ", required" if name in required else ""
        meaning = member.get("description", "")
        rows.append([code(name) + mark, kind(member), bounds(member), default(member), meaning])
    return [*parts, table(["member", "type", "bounds", "default", "meaning"], rows)]


def kind(schema: dict[str, Any]) -> str:
    """Return the type of a value: a name, a link to a named schema, or a list of either."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema or "allOf" in schema:
        return " or ".join(map(kind, schema.get("anyOf") or schema["allOf"]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    if schema.get("format") == "binary":
        return "file"
    return str(schema.get("type", "any"))


def bounds(schema: dict[str, Any]) -> str:
    """Return the bounds of a value of any type."""
    limits = [code(json.dumps(one, ensure_ascii=False)) for one in schema.get("enum", ())]
    if "const" in schema:
        limits.append(code(json.dumps(schema["const"])))
    for name, form in _LIMITS.items():
        if name in schema:
            limits.append(form.format(_value(schema[name])))
    if "items" in schema and (each := bounds(schema["items"])):
        limits.append(f"each {each}")
    limits += [inner for one in schema.get("anyOf", ()) if (inner := bounds(one))]
    return ", ".join(limits)


def _value(bound: float | str) -> str:
    if isinstance(bound, str):
        return code(bound)
    return f"{bound:,.0f}" if bound == int(bound) else str(bound)


def default(schema: dict[str, Any]) -> str:
    """Return the default value, nothing without one."""
    value = schema.get("default")
    return "" if value is None else code(json.dumps(value, ensure_ascii=False))
