"""Markdown of the generated pages: tables, cells, code, paragraphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table without its empty columns; cells may have any text."""
    rows = list(rows)
    columns = [n for n in range(len(head)) if n == 0 or any(row[n] for row in rows)]
    lines = [head, ["---"] * len(head), *rows]
    lines = [[line[n] for n in columns] for line in lines]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(text: str) -> str:
    """Return a text escaped for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """Return a text as code."""
    return f"`{text}`"


def page(*parts: str) -> str:
    """Return the non-empty parts, separated by empty lines."""
    return "\n\n".join(part for part in parts if part) + "\n"
