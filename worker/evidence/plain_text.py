"""Texts as they are compared: without accents, capitals, blanks and the width of forms."""

from __future__ import annotations

import unicodedata

_SAME = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "’": "'", "‘": "'", "“": '"', "”": '"'}
)


def plain_letters(text: str) -> str:
    """Return the letters, digits and signs of a text by which it is compared."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_SAME))
    kept = (char for char in decomposed if not unicodedata.combining(char) and not char.isspace())
    return "".join(kept).casefold()


def narrow(text: str) -> str:
    """Return a text with narrow digits and signs in place of wide ones."""
    return unicodedata.normalize("NFKC", text).translate(_SAME)


def is_cjk(char: str) -> bool:
    """Tell whether a letter is of a script that puts no blanks between words."""
    return "\u2e80" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff"


#: Letters that are narrow in most fonts.
_SLIM = frozenset(".,:;'!|ijlI[]()")


def print_width(char: str) -> float:
    """Return how wide a letter is against others of its font, about."""
    if unicodedata.combining(char):
        return 0.0
    if unicodedata.east_asian_width(char) in "WF":
        return 2.0
    return 0.5 if char in _SLIM else 1.0
