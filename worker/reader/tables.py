"""Finds rows of cells that stand below each other, and writes them as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.reader.layout import Placed, Row

#: Rows of a table at least.
_ROWS = 3
#: Share of its rows that have several cells.
_CELLED = 0.8
#: Distance between the rows of one table, in heights of a row, at most.
_NEAR = 4.0


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below each other whose cells lie in columns."""

    #: Numbers of the first row and behind the last.
    first: int
    stop: int
    #: Left and right of each column, pixels.
    columns: tuple[tuple[float, float], ...]


def find_tables(rows: Sequence[Row], columns: int) -> dict[int, Table]:
    """Return the table of each row that is part of one with so many columns at least."""
    tables: dict[int, Table] = {}
    first = 0
    while first < len(rows):
        table = _table_from(rows, first, columns)
        if table is None:
            first += 1
            continue
        tables |= dict.fromkeys(range(table.first, table.stop), table)
        first = table.stop
    return tables


def _table_from(rows: Sequence[Row], first: int, columns: int) -> Table | None:
    """Return the longest table that begins with a row; None without one."""
    if len(rows[first]) < columns:
        return None
    best, stop = None, first
    lanes: list[tuple[float, float]] = []
    while stop < len(rows) and _continues(rows, first, stop):
        lanes = _merge([*lanes, *((p.left, p.right) for p in rows[stop])])
        stop += 1
        if len(lanes) < columns:
            break
        table = Table(first, stop, tuple(lanes))
        if _is_table(rows, table, columns):
            best = table
    return _without_last_rows(rows, best, columns)


def _without_last_rows(rows: Sequence[Row], table: Table | None, columns: int) -> Table | None:
    """Leave out what follows a table with fewer cells, such as a sum; None if little is left."""
    if table is None:
        return None
    stop = table.stop
    while stop > table.first and len({_column(p, table) for p in rows[stop - 1]}) < columns:
        stop -= 1
    lanes = _merge([(p.left, p.right) for row in rows[table.first : stop] for p in row])
    shorter = Table(table.first, stop, tuple(lanes))
    return shorter if _is_table(rows, shorter, columns) else None


def _continues(rows: Sequence[Row], first: int, number: int) -> bool:
    """Tell whether a row lies near below the one before, and has more than one cell or is short."""
    if number == first:
        return True
    above, row = rows[number - 1][0], rows[number][0]
    near = row.top - above.bottom <= _NEAR * max(row.height, above.height)
    return near and len(rows[number]) > 1


def _merge(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join spans that overlap."""
    merged: list[tuple[float, float]] = []
    for left, right in sorted(spans):
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged


def _is_table(rows: Sequence[Row], table: Table, columns: int) -> bool:
    """Tell whether enough rows have a cell in enough columns, each its own."""
    inside = rows[table.first : table.stop]
    if len(inside) < _ROWS:
        return False
    celled = [row for row in inside if len({_column(p, table) for p in row}) >= columns]
    return len(celled) >= _CELLED * len(inside)


def _column(placed: Placed, table: Table) -> int:
    middle = placed.middle[0]
    return next(n for n, (left, right) in enumerate(table.columns) if left <= middle <= right)


def write_cells(row: Row, table: Table) -> str:
    """Return a row of a Markdown table."""
    cells = [""] * len(table.columns)
    for placed in row:
        number = _column(placed, table)
        text = placed.fragment.text.strip().replace("|", "\\|")
        cells[number] = f"{cells[number]} {text}".strip()
    return f"| {' | '.join(cells)} |"


def write_rule(table: Table) -> str:
    """Return the line below a Markdown table's header."""
    return f"|{' --- |' * len(table.columns)}"
