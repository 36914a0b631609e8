"""A result as an Excel workbook: a sheet for each table, and one for the text."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.worksheet.cell_range import CellRange

from gateway.results.contents.blocks import Cell, DoesNotFit, Grid, ResultContent, Table
from gateway.results.contents.titled_tables import TitledTable, text_table, titled_tables
from gateway.results.words import Language, say
from gateway.results.writers.safe_text import xml_text

#: What a worksheet can hold.
_MAX_ROWS, _MAX_COLUMNS, _MAX_CHARS = 1_048_576, 16_384, 32_767
_MAX_NAME_CHARS = 31
_NOT_IN_NAMES = re.compile(r"[\[\]:*?/\\]")
#: Excel reads _x0041_ as A.
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
#: Numbers that look the same in every country and lose nothing as numbers.
_WHOLE = re.compile(r"(?:0|[1-9][0-9]{0,10})")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,8})\.([0-9]{1,2})")
_BOLD = Font(bold=True)
_WRAPPED = Alignment(wrap_text=True, vertical="top")


def write_xlsx(content: ResultContent, language: Language) -> bytes:
    """Return the workbook; raises DoesNotFit.

    Everything but plain numbers is text, so that no cell is ever computed.
    """
    book = Workbook(write_only=True)
    book.properties.title, book.properties.creator = xml_text(content.title)[:255], "Sightline"
    names: set[str] = set()
    for titled in _sheets(content, language):
        _write_sheet(book, _sheet_name(titled.title, names), Grid.of(titled.table))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _sheets(content: ResultContent, language: Language) -> Iterator[TitledTable]:
    yield from titled_tables(content, language)
    text = text_table(content, language)
    has_text = any(cell.text for row in text.table.rows for cell in row)
    if has_text or not any(page.tables for page in content.pages):
        yield text
    notes = _notes(content, language)
    if notes:
        yield TitledTable(say("notes", language), Table(tuple((Cell(note),) for note in notes)))


def _notes(content: ResultContent, language: Language) -> list[str]:
    """Return what is missing or doubtful, pages named."""
    notes = list(content.notes)
    for page in content.pages:
        lines = [say("gap", language)] if page.is_gap else []
        name = say(page.unit, language, number=page.number) + ": " if page.number else ""
        notes += [name + line for line in (*lines, *page.warnings)]
    return notes


def _write_sheet(book: Workbook, name: str, grid: Grid) -> None:
    if len(grid.placed) > _MAX_ROWS or grid.width > _MAX_COLUMNS:
        raise DoesNotFit(
            f"A table has {len(grid.placed)} rows and {grid.width} columns; a sheet takes "
            f"{_MAX_ROWS} and {_MAX_COLUMNS}."
        )
    _check_cells(grid)
    sheet = book.create_sheet(name)
    if grid.header_rows:
        sheet.freeze_panes = f"A{grid.header_rows + 1}"
    for row in grid.placed:
        values: list[Any] = [None] * grid.width
        for at in row:
            values[at.column] = _cell(sheet, at.cell)
            if at.cell.columns > 1 or at.cell.rows > 1:
                _merge(sheet, at.row + 1, at.column + 1, at.cell)
        sheet.append(values)


def _check_cells(grid: Grid) -> None:
    """Raise DoesNotFit for a cell that Excel would cut, before anything is written."""
    longest = max((len(_sheet_text(at.cell)) for row in grid.placed for at in row), default=0)
    if longest > _MAX_CHARS:
        raise DoesNotFit(f"A cell has {longest} characters; a sheet takes {_MAX_CHARS}.")


def _sheet_text(cell: Cell) -> str:
    return _ESCAPE.sub("_x005F_", xml_text(cell.text))


def _merge(sheet: Any, row: int, column: int, cell: Cell) -> None:
    sheet.merged_cells.add(
        CellRange(
            min_row=row,
            min_col=column,
            max_row=row + cell.rows - 1,
            max_col=column + cell.columns - 1,
        )
    )


def _cell(sheet: Any, cell: Cell) -> WriteOnlyCell:
    text = _sheet_text(cell)
    written = WriteOnlyCell(sheet)
    decimal = _DECIMAL.fullmatch(text)
    if _WHOLE.fullmatch(text):
        written.value, written.number_format = int(text), "0"
    elif decimal:
        written.value, written.number_format = float(text), "0." + "0" * len(decimal[1])
    else:
        # openpyxl would take a text that begins with = for a formula
        written._value, written.data_type = text, "s"  # noqa: SLF001
    if cell.is_header:
        written.font = _BOLD
    if "\n" in text:
        written.alignment = _WRAPPED
    return written


def _sheet_name(title: str, taken: set[str]) -> str:
    """Return a name that Excel allows and that no other sheet has."""
    base = _NOT_IN_NAMES.sub(" ", title).strip("' ")[:_MAX_NAME_CHARS] or "-"
    name, number = base, 2
    while name.casefold() in taken:
        tail = f" {number}"
        name, number = base[: _MAX_NAME_CHARS - len(tail)] + tail, number + 1
    taken.add(name.casefold())
    return name
