"""JSON pointers (RFC 6901): where a value stands within another one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

#: A tilde that is no escape.
_BAD_ESCAPE = re.compile(r"~(?![01])")
#: A place in a list; no list is longer.
_PLACE = re.compile(r"0|[1-9][0-9]{0,8}")


def join_pointer(parts: Sequence[str | int]) -> str:
    """Return the pointer of these names and places."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def split_pointer(pointer: str) -> list[str]:
    """Return the names and places that a pointer leads through; raises ValueError."""
    if pointer and not pointer.startswith("/"):
        raise ValueError("a pointer begins with a slash")
    if _BAD_ESCAPE.search(pointer):
        raise ValueError("a tilde is written ~0, and a slash in a name ~1")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def follow(value: Any, parts: Sequence[str]) -> Any:
    """Return what stands there; raises LookupError."""
    for part in parts:
        value = value[_key(value, part)]
    return value


def replace_at(value: Any, parts: Sequence[str], new: Any) -> Any:
    """Return a copy with another value there, which shares the rest; raises LookupError."""
    if not parts:
        return new
    key = _key(value, parts[0])
    copy = value.copy()
    copy[key] = replace_at(value[key], parts[1:], new)
    return copy


def _key(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return part
    if isinstance(value, list) and _PLACE.fullmatch(part):
        return int(part)
    raise LookupError(part)
