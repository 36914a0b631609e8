"""The tables of a whole result, each with a name; those that go on over a page are one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from gateway.results.contents.blocks import Cell, Page, Prose, ResultContent, Table
from gateway.results.words import Language, say


@dataclass(frozen=True, slots=True)
class TitledTable:
    """A table and its name, such as `Table 2 (pages 3-4)`."""

    title: str
    table: Table


@dataclass(frozen=True, slots=True)
class _Run:
    """A table and the pages that it is on; None where the result has no pages."""

    table: Table
    first: Page
    last: Page


def titled_tables(content: ResultContent, language: Language) -> list[TitledTable]:
    """Return the extracted values and all tables of a result; empty where it has neither."""
    titled = [TitledTable(_title(n, run, language), run.table) for n, run in _numbered(content)]
    return [*_field_table(content, language), *titled]


def text_table(content: ResultContent, language: Language) -> TitledTable:
    """Return the lines of a result as a table of one column."""
    lines = [
        line
        for page in content.pages
        for block in page.blocks
        if isinstance(block, Prose)
        for line in block.text.split("\n")
    ]
    return TitledTable(say("text", language), Table(tuple((Cell(line),) for line in lines)))


def _numbered(content: ResultContent) -> Iterator[tuple[int, _Run]]:
    return enumerate(_runs(content), start=1)


def _runs(content: ResultContent) -> list[_Run]:
    runs: list[_Run] = []
    goes_on = False
    for page in content.pages:
        for at, block in enumerate(page.blocks):
            if not isinstance(block, Table):
                continue
            joined = _join(runs[-1], block, page) if goes_on and at == 0 else None
            if joined:
                runs[-1] = joined
            else:
                runs.append(_Run(block, page, page))
        ends_with_table = bool(page.blocks) and isinstance(page.blocks[-1], Table)
        goes_on = ends_with_table and page.unit == "page"
    return runs


def _join(above: _Run, below: Table, page: Page) -> _Run | None:
    """Return a table together with its next part; None if the two have other columns."""
    if _width(above.table) != _width(below):
        return None
    head, *rest = below.rows
    if head != above.table.rows[0]:
        rest = [tuple(replace(cell, is_header=False) for cell in head), *rest]
    return _Run(Table((*above.table.rows, *rest)), above.first, page)


def _width(table: Table) -> int:
    return sum(cell.columns for cell in table.rows[0])


def _title(number: int, run: _Run, language: Language) -> str:
    first, last = run.first.number, run.last.number
    if first is None:
        return say("table", language, number=number)
    unit = run.first.unit
    place = say(unit, language, number=first)
    if first != last:
        place = say("pages", language, first=first, last=last)
    return say("table_of", language, number=number, place=place)


def _field_table(content: ResultContent, language: Language) -> Iterator[TitledTable]:
    """Yield the values that rules extracted, one a row."""
    rows = [
        (Cell(name), Cell(value)) for name, values in content.fields.items() for value in values
    ]
    if rows:
        names = (say("field", language), say("value", language))
        head = tuple(Cell(name, is_header=True) for name in names)
        yield TitledTable(say("fields", language), Table((head, *rows)))
