"""Rules that find mobile numbers of mainland China and e-mail addresses."""

from __future__ import annotations

from collections.abc import Iterator

from shared.constraints.regex import Budget, Match, compile_pattern
from worker.postprocess.borders import is_in_number, is_word

#: 13812345678, 138 1234 5678, 138-12345678, 1381-234-5678; +86, 0086, (+86) or `86-` before it.
_PHONE = compile_pattern(
    r"((?:\+|\b00)86[ \x{A0}-]?|[(（]\+86[)）] ?|\b86[ -])?"
    r"(1[3-9]\d(?:\d{8}|[ \x{A0}–-]\d{4}[ \x{A0}–-]?\d{4}|\d[ –-]\d{3}[ –-]\d{4}))"
)
_EMAIL = compile_pattern(
    r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
_LONGEST_EMAIL = 254


def find_phones(text: str, budget: Budget) -> Iterator[str]:
    """Yield mobile numbers as 11 digits."""
    for match in _PHONE.find_matches(text, budget):
        prefix, number = match.groups
        part = is_in_number(match, "." if prefix else ".-") or is_word(match.after[:1])
        if not part:
            yield "".join(char for char in number or "" if char.isdigit())


def find_emails(text: str, budget: Budget) -> Iterator[str]:
    """Yield e-mail addresses."""
    for match in _EMAIL.find_matches(text, budget):
        if len(match.whole) <= _LONGEST_EMAIL and not _is_cut(match):
            yield match.whole


def _is_cut(match: Match) -> bool:
    """Tell whether the match is only a part of a longer, broken address."""
    before, after = match.before[-1:], match.after
    return (
        before == "@"
        or after[:1] == "@"
        or is_word(after[:1])
        or (after[:1] == "-" and is_word(after[1:]))
    )
