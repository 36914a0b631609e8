"""What stands around a match; Chinese has no blanks between words, so only ASCII counts."""

from __future__ import annotations

from shared.constraints.regex import Match

_DIGITS = frozenset("0123456789")


def digits_before(found: Match, joiners: str) -> bool:
    """Tell whether a number goes on to the left of the match, at once or behind a joiner."""
    before = found.before
    return before[-1:] in _DIGITS or (before[-1:] in {*joiners} and before[:-1] in _DIGITS)


def digits_after(found: Match, joiners: str) -> bool:
    """Tell whether a number goes on to the right of the match, at once or behind a joiner."""
    after = found.after
    return after[:1] in _DIGITS or (after[:1] in {*joiners} and after[1:] in _DIGITS)


def in_number(found: Match, joiners: str) -> bool:
    """Tell whether the match is a part of a longer number."""
    return digits_before(found, joiners) or digits_after(found, joiners)


def is_word(char: str) -> bool:
    """Tell whether a character is an ASCII letter, a digit or an underscore."""
    return char.isascii() and (char.isalnum() or char == "_")
