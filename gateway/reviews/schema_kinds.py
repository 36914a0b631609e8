"""Which kinds of values a JSON schema allows at a place of its answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_UNIONS = ("anyOf", "oneOf", "allOf")
_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


def kinds_at(schema: Mapping[str, Any], parts: Sequence[str]) -> frozenset[str]:
    """Return the types, as JSON schemas name them, of what stands at a place.

    Empty where the schema does not say it.
    """
    nodes = list(_alternatives(schema, [schema]))
    for part in parts:
        inner = [child for node in nodes for child in _children(node, part)]
        nodes = list(_alternatives(schema, inner))
    return frozenset(kind for node in nodes for kind in _kinds(node))


def is_of_kind(value: Any, kind: str) -> bool:
    """Tell whether a value is of a type that a schema names; 2.0 is an integer as well."""
    own = _KINDS[type(value)]
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return own == kind or (own, kind) == ("integer", "number")


def _alternatives(root: Mapping[str, Any], nodes: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield all that the schemas may stand for: what they refer to, and the parts of unions."""
    waiting, seen = [*nodes], set()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Mapping) or id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        for union in _UNIONS:
            waiting += node.get(union) or ()
        if isinstance(node.get("$ref"), str):
            waiting.append(_resolve(root, node["$ref"]))


def _resolve(root: Mapping[str, Any], ref: str) -> Any:
    node: Any = root
    for part in ref.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        node = node.get(name) if isinstance(node, Mapping) else None
    return node if ref.startswith("#") else None


def _children(node: Mapping[str, Any], part: str) -> Iterator[Any]:
    named = node.get("properties") or {}
    if part in named:
        yield named[part]
    else:
        yield node.get("additionalProperties")
    if part.isdecimal():
        first = node.get("prefixItems") or []
        at = int(part)
        yield first[at] if at < len(first) else node.get("items")


def _kinds(node: Mapping[str, Any]) -> Iterator[str]:
    named = node.get("type")
    if isinstance(named, str):
        yield named
    elif isinstance(named, list):
        yield from named
    elif isinstance(node.get("enum"), list):
        yield from (_KINDS[type(value)] for value in node["enum"])
