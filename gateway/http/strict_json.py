"""Parsing of JSON from callers: strict, finite numbers only, and of bounded depth."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Never

from shared.errors import InvalidJson

#: Far more than any parameter needs, and far from the recursion limit of every reader.
MAX_DEPTH = 32
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(text: str | bytes, *, what: str = "The body", pointer: str | None = None) -> Any:
    """Return the value of a JSON text; raises InvalidJson, which names `what` and `pointer`."""
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        _check(value, suspicious=_may_have_surrogates(text))
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"{what} is not valid JSON: {error}.", pointer=pointer) from None
    return value


def _refuse(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _may_have_surrogates(text: str | bytes) -> bool:
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    # UTF-16 and UTF-32 bodies hide the escape; they are rare enough to be checked in full
    return bool(_ESCAPED_SURROGATE.search(raw)) or b"\0" in raw


def _check(value: Any, *, suspicious: bool) -> None:
    """Refuse deep nesting, and half surrogate pairs, which could not be written as UTF-8 again."""
    layer = [value]
    for _ in range(MAX_DEPTH):
        if suspicious and any(isinstance(v, str) and _SURROGATE.search(v) for v in layer):
            raise ValueError("a string contains an unpaired surrogate")
        layer = [part for v in layer for part in _parts(v)]
        if not layer:
            return
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []
