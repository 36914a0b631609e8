"""Shortens what callers sent before it is quoted in an error."""

from __future__ import annotations

from typing import Any

#: Most characters that are quoted of anything.
MAX_QUOTED = 100


def excerpt(value: object, most: int = MAX_QUOTED) -> str:
    """Return the begin of a text, with `…` where it goes on."""
    text = str(value)
    return text if len(text) <= most else text[:most] + "…"


def is_longer(value: Any, most: int) -> bool:
    """Tell whether a value has more than `most` characters as JSON, at the price of so many."""
    left = most
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            left -= 2 + 4 * len(part)
            waiting += [*part, *part.values()] if left >= 0 else []
        elif isinstance(part, list | tuple):
            left -= 2 + len(part)
            waiting += part if left >= 0 else []
        else:
            left -= len(part) if isinstance(part, str) else 1
        if left < 0:
            return True
    return False
