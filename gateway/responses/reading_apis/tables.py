"""Takes the tables out of a text, as Mistral does: a link stands where each was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from gateway.results.contents.blocks import DoesNotFit, Grid, Table
from gateway.results.contents.html_tables import split_blocks
from gateway.results.writers.html_page import table_html
from shared.errors import ResultTooLarge

TableFormat = Literal["markdown", "html"]
_SUFFIX: dict[TableFormat, str] = {"markdown": "md", "html": "html"}


def extract_tables(text: str, table_format: TableFormat) -> tuple[str, list[dict[str, Any]]]:
    """Return the text with links for its tables, and the tables; raises ResultTooLarge."""
    parts: list[str] = []
    tables: list[dict[str, Any]] = []
    for block in split_blocks(text):
        if not isinstance(block, Table):
            parts.append(block.text)
            continue
        name = f"tbl-{len(tables)}.{_SUFFIX[table_format]}"
        content = _write(block, table_format)
        tables.append({"id": name, "content": content, "format": table_format})
        parts.append(f"[{name}]({name})")
    return "\n\n".join(parts), tables


def _write(table: Table, table_format: TableFormat) -> str:
    try:
        return table_html(table) if table_format == "html" else _markdown(table)
    except DoesNotFit as error:
        raise ResultTooLarge(str(error)) from None


def _markdown(table: Table) -> str:
    head, *body = Grid.of(table).text_rows()
    return "\n".join(map(_row, (head, ["---"] * len(head), *body)))


def _row(cells: Sequence[str]) -> str:
    written = (cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells)
    return f"| {' | '.join(written)} |"
