"""Finds the tables that a text writes in HTML, with the columns and rows that cells span."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from gateway.results.contents.blocks import Block, Cell, Table
from gateway.results.contents.markdown_tables import split_markdown

_TAG = re.compile(r"<(/?)table\b[^<>]*>", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f]+")
#: What HTML itself allows.
_MAX_COLUMNS, _MAX_ROWS = 1000, 65_534
_NEW_LINE = ("br", "p", "div", "li", "tr")


def split_blocks(text: str) -> Iterator[Block]:
    """Yield text and tables, in Markdown or HTML, in their order."""
    end = 0
    for begin, behind in _table_places(text):
        table = _parse(text[begin:behind])
        if table is None:
            continue
        yield from split_markdown(text[end:begin])
        yield table
        end = behind
    yield from split_markdown(text[end:])


def _table_places(text: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of each outermost table; one that is not closed reaches to the end."""
    depth = begin = 0
    for tag in _TAG.finditer(text):
        if not tag[1]:
            begin = tag.start() if depth == 0 else begin
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                yield begin, tag.end()
    if depth:
        yield begin, len(text)


def _parse(markup: str) -> Table | None:
    """Return the table of its markup; None where it has no cell."""
    parser = _TableParser()
    parser.feed(markup)
    parser.close()
    parser.end_cell()
    rows = tuple(tuple(row) for row in parser.rows)
    return Table(rows) if any(rows) else None


class _TableParser(HTMLParser):
    """Collects the rows of one table; tables inside its cells become their text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[Cell]] = []
        self._depth = 0
        self._in_head = False
        #: Of the open cell: its tag, columns and rows.
        self._open: tuple[str, int, int] | None = None
        self._parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a row or a cell."""
        if tag == "table":
            self._depth += 1
        elif self._depth > 1 or tag in _NEW_LINE[:-1]:
            self._parts += ["\n"] if tag in _NEW_LINE else []
        elif tag == "tr":
            self.end_cell()
            self.rows.append([])
        elif tag in ("td", "th"):
            self._begin_cell(tag, dict(attrs))
        elif tag in ("thead", "tbody", "tfoot"):
            self.end_cell()
            self._in_head = tag == "thead"

    def handle_endtag(self, tag: str) -> None:
        """Close a cell, a row or a table in a cell."""
        if tag == "table":
            self._depth -= 1
        elif self._depth == 1 and tag in ("td", "th", "tr"):
            self.end_cell()
        elif self._depth == 1 and tag == "thead":
            self._in_head = False

    def handle_data(self, data: str) -> None:
        """Take text of the open cell; outside of cells there is none in valid markup."""
        if self._open is None and data.strip():
            self._begin_cell("td", {})
        if self._open is not None:
            self._parts.append(_SPACE.sub(" ", data))

    def _begin_cell(self, tag: str, attributes: dict[str, str | None]) -> None:
        self.end_cell()
        if not self.rows:
            self.rows.append([])
        columns = _span(attributes.get("colspan"), _MAX_COLUMNS)
        rows = _span(attributes.get("rowspan"), _MAX_ROWS)
        self._open = (tag, columns, rows)

    def end_cell(self) -> None:
        """Add the open cell, if there is one, to the last row."""
        if self._open is None:
            return
        tag, columns, rows = self._open
        lines = [line.strip() for line in "".join(self._parts).split("\n")]
        text = "\n".join(line for line in lines if line)
        self.rows[-1].append(Cell(text, columns, rows, self._in_head or tag == "th"))
        self._open, self._parts = None, []


def _span(value: str | None, most: int) -> int:
    """Return a span as browsers read it: 1 for whatever is no number, 0 down to the last row."""
    digits = (value or "").strip()
    if not digits.isascii() or not digits.isdigit():
        return 1
    number = int(digits[:9])
    if number == 0:
        return most if most == _MAX_ROWS else 1
    return min(number, most)
