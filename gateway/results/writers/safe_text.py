"""Text that other programs may take: what XML forbids and what spreadsheets would compute."""

from __future__ import annotations

import re
import unicodedata

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_REPLACEMENT = "\ufffd"
#: A plain number, which a spreadsheet may take for one.
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,  ]*%?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_STRONG_RIGHT = ("R", "AL")
_STRONG_LEFT = ("L",)


def xml_text(text: str) -> str:
    """Return the text with a sign in place of each character that XML forbids."""
    return _NOT_XML.sub(_REPLACEMENT, text.replace("\r\n", "\n"))


def is_formula(text: str) -> bool:
    """Tell whether a spreadsheet that opens the text as CSV might compute it."""
    bare = text.lstrip(" \u00a0")
    if not bare.startswith(_FORMULA) or _NUMBER.fullmatch(bare):
        return False
    # signs alone, such as the dash of an empty cell, name nothing to compute
    return any(char.isalnum() for char in bare)


def runs_right_to_left(text: str) -> bool:
    """Tell by its first letter whether a text is written from right to left."""
    for char in text:
        direction = unicodedata.bidirectional(char)
        if direction in _STRONG_RIGHT:
            return True
        if direction in _STRONG_LEFT:
            return False
    return False
