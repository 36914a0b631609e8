"""Checks of a JSON schema before it is compiled: its size, and that a finite value satisfies it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from shared.excerpt import excerpt

#: Levels of nested objects and lists of a schema.
MAX_DEPTH = 32
#: Objects and lists of a schema together.
MAX_NODES = 2000
#: Characters of a schema as compact JSON.
MAX_CHARS = 32_768
#: Sum of all `multipleOf` of a schema, each scaled to an integer: one automaton state a unit.
MAX_MULTIPLES = 2000
#: Integers beyond this are rounded where a grammar or a client keeps numbers as floats.
MAX_INTEGER = 2**53

_UNIONS = ("anyOf", "oneOf")


class BadSchema(ValueError):
    """The schema cannot be used; the message is the cause."""


def check_schema(schema: Mapping[str, Any], chars: int) -> None:
    """Raise BadSchema if a schema of `chars` characters is too large or has no finite value."""
    if chars > MAX_CHARS:
        raise BadSchema(f"the schema has {chars} characters; the limit is {MAX_CHARS}")
    multiples = 0
    for count, node in enumerate(_nodes(schema, 0), start=1):
        _check_numbers(node)
        multiples += _multiples(node)
        if count > MAX_NODES:
            raise BadSchema(f"the schema has more than {MAX_NODES} objects and lists")
        if multiples > MAX_MULTIPLES:
            raise BadSchema(f"multipleOf may add up to {MAX_MULTIPLES} in whole steps")
    if not _FiniteRefs(schema).root_is_finite():
        raise BadSchema("a $ref requires itself, so no answer could ever end")


def _nodes(value: Any, depth: int) -> Iterator[Any]:
    if not isinstance(value, dict | list):
        return
    if depth > MAX_DEPTH:
        raise BadSchema(f"the schema is nested deeper than {MAX_DEPTH} levels")
    yield value
    for member in value.values() if isinstance(value, dict) else value:
        yield from _nodes(member, depth + 1)


def _check_numbers(node: Any) -> None:
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise BadSchema(
                f"{excerpt(value)} is beyond 2^53, where numbers are rounded; use a string instead"
            )


def _multiples(node: Any) -> int:
    step = node.get("multipleOf", 0) if isinstance(node, dict) else 0
    if isinstance(step, bool) or not isinstance(step, int | float) or not math.isfinite(step):
        return 0
    digits = f"{abs(step):.17f}".rstrip("0").rstrip(".").replace(".", "")
    return min(int(digits or "0"), MAX_MULTIPLES + 1)


class _FiniteRefs:
    """The references of a schema that some finite value satisfies: the least fixed point."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._finite: set[str] = set()
        waiting = {str(node["$ref"]) for node in _nodes(root, 0) if _is_ref(node)}
        while waiting:
            finite = {ref for ref in waiting if self._is_finite(self._resolve(ref))}
            if not finite:
                break
            self._finite |= finite
            waiting -= finite

    def root_is_finite(self) -> bool:
        """Tell whether a finite value satisfies the whole schema."""
        return self._is_finite(self._root)

    def _resolve(self, ref: str) -> Any:
        schema: Any = self._root
        for part in ref.removeprefix("#").split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            schema = schema.get(name) if isinstance(schema, dict) else None
        # None for an unknown one: the compiler reports it
        return schema if ref.startswith("#") else None

    def _is_finite(self, schema: Any) -> bool:
        if not isinstance(schema, dict):
            return True
        if _is_ref(schema) and str(schema["$ref"]) not in self._finite:
            return False
        for union in _UNIONS:
            parts = schema.get(union)
            if isinstance(parts, list) and parts and not any(map(self._is_finite, parts)):
                return False
        parts = schema.get("allOf")
        if isinstance(parts, list) and not all(map(self._is_finite, parts)):
            return False
        return all(self._is_finite(part) for part in _required_parts(schema))


def _is_ref(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("$ref"), str)


def _required_parts(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the schemas of the members and items that every value has."""
    kind = schema.get("type")
    if kind == "object":
        properties, required = schema.get("properties"), schema.get("required")
        if isinstance(properties, dict) and isinstance(required, list):
            yield from (properties[name] for name in required if name in properties)
    least = schema.get("minItems")
    if kind == "array" and isinstance(least, int) and least > 0:
        first = schema.get("prefixItems")
        first = first if isinstance(first, list) else []
        yield from first[:least]
        if least > len(first):
            yield schema.get("items")
