"""The cells of a table in a line of text: of a Markdown row, or of HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape

#: What ends a cell of a Markdown table's row, and what does not: a bar behind a backslash.
_BAR = re.compile(r"(\|)|\\.")
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
        bars = [match.start() for match in _BAR.finditer(line) if match[1]]
        # a row whose last bar is part of its last cell ends with the line
        ends = bars[1:] if bars[-1] == len(line.rstrip()) - 1 else [*bars[1:], len(line.rstrip())]
        spans = zip((bar + 1 for bar in bars), ends, strict=False)
        return [Cell(line[first:last].strip(), (first, last)) for first, last in spans]
    return [
        Cell(" ".join(unescape(_TAG.sub(" ", match[1])).split()), match.span(1))
        for match in _HTML_CELL.finditer(line)
    ]
