"""The cells of a table in a line of text: of a Markdown row, or of HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

#: A cell of a Markdown table's row; a bar behind a backslash is part of it.
_CELL = re.compile(r"(?:[^|\\]|\\.)+")
_ROW = re.compile(r"\s*\|.*\|\s*")
#: The beginning of a cell of HTML, and what ends it where nothing closes it.
_HTML_CELL = re.compile(r"<t[dh](?:\s[^<>]*)?>(.*?)(?=</?t[dhr]\b|</table|$)", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table, which may be empty."""

    text: str
    #: Where it begins and ends in its line.
    span: tuple[int, int]


def cells_of(line: str) -> list[Cell]:
    """Return the cells of a line in their order; [] where it is no row, and no table."""
    if _ROW.fullmatch(line):
        start, stop = line.index("|") + 1, line.rindex("|")
        spans = (match.span() for match in _CELL.finditer(line, start, stop))
        return [Cell(line[first:last].strip(), (first, last)) for first, last in spans]
    return [
        Cell(" ".join(unescape(_TAG.sub(" ", match[1])).split()), match.span(1))
        for match in _HTML_CELL.finditer(line)
    ]
