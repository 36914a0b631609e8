"""Measures how much alike two readings of the same line are."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

_UNSURE = "[?]"
_BLANKS = re.compile(r"\s+")
#: Lines whose bound of likeness is below this are not compared, which takes long; `make tiling`.
_UNLIKE = 0.4


def likeness(one: str, other: str) -> float:
    """Return 0 to 1: the share of characters that two lines have in common, in order.

    Blanks count little, and an uncertain character `[?]` is like any other.
    """
    left, right = _plain(one), _plain(other)
    if left == right:
        return 1.0
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    if matcher.real_quick_ratio() < _UNLIKE or matcher.quick_ratio() < _UNLIKE:
        return 0.0
    common = sum(block.size for block in matcher.get_matching_blocks())
    unsure = left.count("\0") + right.count("\0")
    longest = max(len(left), len(right))
    return min(1.0, (common + unsure) / longest)


def count_doubts(line: str) -> int:
    """Count the characters that the reader was not sure of."""
    return line.count(_UNSURE)


def _plain(line: str) -> str:
    return _BLANKS.sub(" ", line.strip()).replace(_UNSURE, "\0")
