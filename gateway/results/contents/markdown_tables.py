"""Finds the tables that a text writes in Markdown, with every cell of every row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gateway.results.contents.blocks import Block, Cell, Prose, Table

_RULE = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")
_BAR = re.compile(r"(?<!\\)\|")
_BREAK = re.compile(r"<br\s{0,3}/?>", re.IGNORECASE)
#: Fences whose content is Markdown.
_MARKDOWN = ("", "md", "markdown", "table")
#: Columns beyond which lines with bars are no table.
_MAX_COLUMNS = 1000


def split_markdown(text: str) -> Iterator[Block]:
    """Yield text and tables in their order; the text keeps each of its characters."""
    lines = text.split("\n")
    prose: list[str] = []
    at, is_code = 0, False
    while at < len(lines):
        is_code = _is_code_after(lines[at], is_code=is_code)
        end = at if is_code else table_end(lines, at)
        if end > at:
            yield from split_prose(prose)
            yield _table(lines[at:end])
            prose, at = [], end
        else:
            prose.append(lines[at])
            at += 1
    yield from split_prose(prose)


def split_prose(lines: Sequence[str]) -> Iterator[Block]:
    """Yield the text of lines, without empty ones around it."""
    text = "\n".join(lines).strip("\n")
    if text.strip():
        yield Prose(text)


def _is_code_after(line: str, *, is_code: bool) -> bool:
    """Tell whether lines are code, once this one was read; code has no tables."""
    mark = line.strip()
    if not mark.startswith(("```", "~~~")):
        return is_code
    return not is_code and mark.strip("`~ ").lower() not in _MARKDOWN


def table_end(lines: Sequence[str], at: int) -> int:
    """Return the line behind the table that begins at a line; `at` where none begins."""
    if at + 1 >= len(lines) or "|" not in lines[at] or not _is_rule(lines[at + 1]):
        return at
    opened = lines[at].lstrip().startswith("|")
    end = at + 2
    while end < len(lines) and _is_row(lines[end], opened=opened):
        end += 1
    return end


def _is_rule(line: str) -> bool:
    text = line.strip()
    return "|" in text and "-" in text and _RULE.fullmatch(text) is not None


def _is_row(line: str, *, opened: bool) -> bool:
    return line.lstrip().startswith("|") if opened else "|" in line


def _table(lines: Sequence[str]) -> Block:
    head, *body = [split_cells(line) for number, line in enumerate(lines) if number != 1]
    if max(map(len, (head, *body))) > _MAX_COLUMNS:
        return Prose("\n".join(lines))
    width = max(map(len, (head, *body)))
    rows = [_row(head, width, is_header=True), *(_row(cells, width) for cells in body)]
    return Table(tuple(rows))


def _row(cells: Sequence[str], width: int, *, is_header: bool = False) -> tuple[Cell, ...]:
    """Return a row filled up to the longest one."""
    padded = [*cells, *[""] * (width - len(cells))]
    return tuple(Cell(text, is_header=is_header) for text in padded)


def split_cells(line: str) -> list[str]:
    r"""Return the cells between the bars of a line; `\|` is a bar of the text, <br> a new line."""
    cells = _BAR.split(line.strip())
    if len(cells) > 1 and not cells[0].strip():
        del cells[0]
    if len(cells) > 1 and not cells[-1].strip():
        del cells[-1]
    return [_BREAK.sub("\n", cell.strip().replace("\\|", "|")) for cell in cells]
