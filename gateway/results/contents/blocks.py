"""What a result consists of, whatever form it is shown in: pages of text and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


class DoesNotFit(Exception):
    """A result does not fit a form; the message says which bound it passes."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table, and how many columns and rows it covers."""

    text: str
    columns: int = 1
    rows: int = 1
    is_header: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table as rows of cells; a cell that spans rows is listed in its first row only."""

    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Prose:
    """Lines of text that are shown word for word."""

    text: str


Block = Prose | Table


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a document, one of several images, or a whole answer without either.

    `number` counts from 1, and is None for a whole answer.
    """

    blocks: tuple[Block, ...]
    number: int | None = None
    unit: Literal["page", "image"] = "page"
    #: It could not be read; its text is the mark that stands for it.
    is_gap: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def tables(self) -> list[Table]:
        """Return its tables, in order."""
        return [block for block in self.blocks if isinstance(block, Table)]


@dataclass(frozen=True, slots=True)
class ResultContent:
    """All that a result shows: a title, pages, extracted values, and what a reader must know."""

    title: str
    pages: tuple[Page, ...]
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedCell:
    """A cell and its place in the grid of its table, from 0."""

    row: int
    column: int
    cell: Cell


#: Places of a grid, cells that spans cover included.
MAX_PLACES = 4_000_000


@dataclass(frozen=True, slots=True)
class Grid:
    """A table whose cells have places; spans end at its edges."""

    placed: tuple[tuple[PlacedCell, ...], ...]
    width: int

    @classmethod
    def of(cls, table: Table) -> Grid:
        """Place the cells of a table as HTML does; raises DoesNotFit."""
        #: column -> the first row that a cell spanning down to there leaves free.
        taken: dict[int, int] = {}
        width = 0
        placed = []
        for number, cells in enumerate(table.rows):
            row = list(_place_row(number, cells, len(table.rows), taken))
            width = max([width, *(at.column + at.cell.columns for at in row)])
            if (number + 1) * width > MAX_PLACES:
                raise DoesNotFit(f"A table has more than {MAX_PLACES} places.")
            placed.append(tuple(row))
        return cls(tuple(placed), width)

    @property
    def header_rows(self) -> int:
        """Count the rows at the top that consist of headers alone."""
        count = 0
        for row in self.placed:
            if not row or not all(at.cell.is_header for at in row):
                break
            count += 1
        return count

    def text_rows(self) -> Iterator[list[str]]:
        """Yield the texts of each row; what a span covers is empty."""
        for row in self.placed:
            texts = [""] * self.width
            for at in row:
                texts[at.column] = at.cell.text
            yield texts


def _place_row(
    number: int, cells: Sequence[Cell], count: int, taken: dict[int, int]
) -> Iterator[PlacedCell]:
    column = 0
    for cell in cells:
        while taken.get(column, 0) > number:
            column += 1
        columns = 1
        while columns < cell.columns and taken.get(column + columns, 0) <= number:
            columns += 1
        rows = min(cell.rows, count - number)
        if rows > 1:
            for covered in range(column, column + columns):
                taken[covered] = number + rows
        yield PlacedCell(number, column, Cell(cell.text, columns, rows, cell.is_header))
        column += columns
