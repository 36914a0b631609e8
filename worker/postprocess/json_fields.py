"""The rule that makes the members of a JSON object in the answer its fields."""

from __future__ import annotations

import json
from typing import Any

from shared.constraints.regex import Budget, RuleFailed, check_size, replace_lone_surrogates

#: Members that are read, and characters of a name.
_MAX_MEMBERS = 100
_MAX_NAME = 200


def read_json_fields(text: str, budget: Budget) -> list[tuple[str, list[str]]]:
    """Return name and values of each member of the first object; null gives no value.

    Raises RuleFailed for an answer without one, or with one that was cut off.
    """
    check_size(text)
    budget.check()
    start = text.find("{")
    # numbers stay as they are printed: 12.30 is not 12.3
    decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)
    try:
        value, _ = decoder.raw_decode(text, max(0, start))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RuleFailed("the answer has no complete JSON object")
    members = list(value.items())[:_MAX_MEMBERS]
    return [(replace_lone_surrogates(name[:_MAX_NAME]), _texts(member)) for name, member in members]


def _texts(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [value]
    return [_text(part) for part in parts if part is not None]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return replace_lone_surrogates(text)
