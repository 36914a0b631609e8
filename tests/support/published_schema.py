"""The shapes of answers in the OpenAPI document that OpenAI publishes, without its prose.

`python -m tests.support.published_schema openapi.json` writes them anew from a copy of
github.com/openai/openai-openapi (MIT).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

_FILE = Path(__file__).with_suffix(".json")
#: Answers by method and path.
ANSWERS = (
    ("post", "/chat/completions"),
    ("post", "/responses"),
    ("get", "/responses/{response_id}/input_items"),
    ("post", "/files"),
    ("get", "/files"),
    ("delete", "/files/{file_id}"),
    ("post", "/batches"),
    ("get", "/batches"),
    ("get", "/models"),
    ("post", "/conversations"),
    ("get", "/conversations/{conversation_id}/items"),
    ("get", "/conversations/{conversation_id}/items/{item_id}"),
    ("delete", "/conversations/{conversation_id}"),
)
_EVENTS = ("ResponseStreamEvent", "CreateChatCompletionStreamResponse")
_SHAPE = frozenset(
    (
        *("type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "allOf"),
        *("$ref", "additionalProperties", "nullable", "minimum", "maximum", "pattern"),
        *("minItems", "maxItems"),
    )
)
#: Where the document's own examples, and the service that it is of, have null and its schema
#: does not.
_NULL_IN_EXAMPLES = {
    "Batch": None,
    "OpenAIFile": {"status_details"},
    "Response": {"usage", "completed_at"},
}


def validator_of(name: str) -> Draft202012Validator:
    """Return what checks one kind of answer, as `post /responses`, or of event."""
    definitions = json.loads(_FILE.read_text())
    schema = {"$ref": f"#/$defs/{name.replace('/', '~1')}", "$defs": definitions}
    return Draft202012Validator(schema)


def _strip(value: Any, *, of_members: bool = False) -> Any:
    """Return a schema without what says nothing about shape."""
    if isinstance(value, list):
        return [_strip(one) for one in value]
    if not isinstance(value, dict):
        return (
            value.replace("#/components/schemas/", "#/$defs/") if isinstance(value, str) else value
        )
    kept = {
        name: _strip(member, of_members=name == "properties" and not of_members)
        for name, member in value.items()
        if of_members or name in _SHAPE
    }
    if kept.pop("nullable", False) is True and not of_members:
        return {"anyOf": [kept, {"type": "null"}]}
    return kept


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref" and isinstance(member, str):
                yield member.rpartition("/")[2]
            yield from _refs(member)
    elif isinstance(value, list):
        for one in value:
            yield from _refs(one)


def _allow_nulls(definitions: dict[str, Any]) -> None:
    for name, members in _NULL_IN_EXAMPLES.items():
        for part in (definitions[name], *definitions[name].get("allOf", ())):
            properties = part.get("properties", {})
            for member in properties.keys() & (members or properties.keys()):
                properties[member] = {"anyOf": [properties[member], {"type": "null"}]}


def main(path: str) -> None:
    """Write the shapes that are checked, with all that they name."""
    document = json.loads(Path(path).read_text())
    known, definitions = document["components"]["schemas"], {}
    for method, route in ANSWERS:
        answer = document["paths"][route][method]["responses"]["200"]
        schema = answer["content"]["application/json"]["schema"]
        definitions[f"{method} {route}"] = _strip(schema)
    missing = {*_EVENTS, *_refs(definitions)}
    while missing:
        definitions |= {name: _strip(known[name]) for name in missing}
        missing = {name for name in _refs(definitions) if name not in definitions}
    _allow_nulls(definitions)
    _FILE.write_text(json.dumps(definitions, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
