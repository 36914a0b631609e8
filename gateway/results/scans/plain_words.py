"""The words of a line as they stand on the picture: without marks of Markdown and HTML."""

from __future__ import annotations

import re
from html import unescape

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_HEADING = re.compile(r"^\s{0,3}(?:#{1,6}\s+|>\s+)")
_STRONG = re.compile(r"\*\*|__|`")
_ROW = re.compile(r"\s*\|.*\|\s*")
_BAR = re.compile(r"(?<!\\)\|")


def is_row(text: str) -> bool:
    """Tell whether a line is a row of a Markdown table."""
    return _ROW.fullmatch(text) is not None


def plain_text(text: str, *, row: bool = False) -> str:
    """Return a text without marks; `row`: it is of a table's row, whose bars are none of it."""
    if _TAG.search(text):
        text = unescape(_TAG.sub(" ", text))
    text = _STRONG.sub("", _HEADING.sub("", text))
    if row:
        text = _BAR.sub(" ", text).replace("\\|", "|")
    return " ".join(text.split())
