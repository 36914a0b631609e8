"""Checks of the characters around a match: whether it is part of a longer number or word.

Chinese has no blanks between words, so only ASCII counts.
"""

from __future__ import annotations

from shared.constraints.regex import Match

_DIGITS = frozenset("0123456789")


def has_digit_before(match: Match, joiners: str) -> bool:
    """Tell whether a digit stands before the match, directly or with a joiner between."""
    before = match.before
    return before[-1:] in _DIGITS or (before[-1:] in {*joiners} and before[:-1] in _DIGITS)


def has_digit_after(match: Match, joiners: str) -> bool:
    """Tell whether a digit stands after the match, directly or with a joiner between."""
    after = match.after
    return after[:1] in _DIGITS or (after[:1] in {*joiners} and after[1:] in _DIGITS)


def is_in_number(match: Match, joiners: str) -> bool:
    """Tell whether the match is a part of a longer number."""
    return has_digit_before(match, joiners) or has_digit_after(match, joiners)


def is_word(char: str) -> bool:
    """Tell whether a character is an ASCII letter, a digit or an underscore."""
    return char.isascii() and (char.isalnum() or char == "_")
