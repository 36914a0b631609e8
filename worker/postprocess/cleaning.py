"""Rules that clean the text of an answer: whitespace, and full-width characters."""

from __future__ import annotations

from shared.constraints.regex import Budget, check_size, compile_pattern

_NEWLINES = compile_pattern(r"\r\n?|[\x{0B}\x{0C}\x{85}\x{2028}\x{2029}]")
_INVISIBLE = compile_pattern(r"[\x{200B}\x{2060}\x{FEFF}]")
_ODD_SPACES = compile_pattern(r"[\x{A0}\x{1680}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]")


def clean_whitespace(text: str, budget: Budget) -> str:
    """Return the text with one newline for several, plain spaces, and no blanks at line ends."""
    for pattern, by in ((_NEWLINES, "\n"), (_INVISIBLE, ""), (_ODD_SPACES, " ")):
        text = pattern.replace(text, by, budget)
    lines = (line.rstrip(" \t") for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


#: Chinese punctuation is full-width; it stays.
_PUNCTUATION = "！（），：；？［］～"
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F) if chr(code) not in _PUNCTUATION} | {
    0x3000: 0x20,
    0xFFE0: 0xA2,
    0xFFE1: 0xA3,
    0xFFE5: 0xA5,
}


def narrow_fullwidth(text: str, budget: Budget) -> str:  # noqa: ARG001
    """Return the text with full-width letters, digits and signs as ASCII."""
    check_size(text)
    return text.translate(_WIDE)
