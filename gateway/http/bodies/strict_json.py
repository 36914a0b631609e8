"""Parsing of JSON from callers: strict, bounded, finite numbers only, each member once."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Never

from gateway.http.bodies import json_structure
from gateway.http.bodies.json_structure import MAX_DEPTH, Lifted, TooDeep
from gateway.large_input import give_way
from shared.errors import InvalidJson, PayloadTooLarge
from shared.json_members import join_members

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
#: Digits of a number that anybody sends; reading a longer one takes quadratic time.
_MAX_DIGITS = 400


def parse(
    text: str | bytes | bytearray, *, what: str = "The body", pointer: str | None = None
) -> Any:
    """Return the value of a JSON text.

    Long texts without escapes, such as images in base64, may fill the most of it; the rest is
    bounded before it is parsed. Raises InvalidJson and PayloadTooLarge, which name `what` and
    `pointer`.
    """
    try:
        raw = text.encode("utf-8") if isinstance(text, str) else _as_utf8(text)
        lifted = json_structure.lift_long_texts(raw)
        if len(raw) > json_structure.SMALL_BYTES:
            give_way()
        value = _load(lifted)
    except json_structure.TooLarge as error:
        raise PayloadTooLarge(
            f"{what} {error}.", pointer=pointer, hint="Send less at a time; see /docs."
        ) from None
    except (ValueError, RecursionError) as error:
        raise InvalidJson(f"{what} is not valid JSON: {error}.", pointer=pointer) from None
    return value


def _as_utf8(raw: bytes | bytearray) -> bytes | bytearray:
    """Return the text in UTF-8, without a mark at its begin; raises ValueError."""
    encoding = json.detect_encoding(raw[:4])
    if encoding == "utf-8":
        return raw
    if encoding == "utf-8-sig":
        return raw[3:]
    if len(raw) > json_structure.SMALL_BYTES:
        raise ValueError(f"it is {encoding} and longer than a short text; send UTF-8")
    return raw.decode(encoding).encode("utf-8")


def _load(lifted: Lifted) -> Any:
    """Return the value, its long texts put back; raises ValueError and RecursionError."""
    try:
        text = lifted.skeleton.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {lifted.place(error.start)} is not UTF-8") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=join_members,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        if not lifted.texts:
            raise
        before = len(text[: error.pos].encode("utf-8"))
        raise ValueError(f"{error.msg}: byte {lifted.place(before)}") from None
    if len(text) > json_structure.SMALL_BYTES:
        give_way()
    _check(value, suspicious=bool(_ESCAPED_SURROGATE.search(text)))
    return lifted.put_back(value)


def _refuse(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{text[:20]}… has more than {_MAX_DIGITS} digits")
    return int(text)


def _finite(text: str) -> float:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"{text[:20]}… has more than {_MAX_DIGITS} digits")
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _check(value: Any, *, suspicious: bool) -> None:
    """Refuse deep nesting, and half surrogate pairs, which could not be written as UTF-8 again."""
    layer = [value]
    for _ in range(MAX_DEPTH):
        if suspicious and any(isinstance(v, str) and _SURROGATE.search(v) for v in layer):
            raise ValueError("a string contains an unpaired surrogate")
        layer = [part for v in layer for part in _parts(v)]
        if not layer:
            return
    raise TooDeep


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []
