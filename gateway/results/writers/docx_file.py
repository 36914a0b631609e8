"""A result as a Word document: pages, text word for word, and tables with their spans."""

from __future__ import annotations

import io
from collections.abc import Iterator
from html import escape

import docx
from docx.oxml import parse_xml
from lxml import etree

from gateway.results.contents.blocks import DoesNotFit, Grid, Page, PlacedCell, Prose, ResultContent
from gateway.results.words import Language, say
from gateway.results.writers.safe_text import runs_right_to_left, xml_text

#: What Word can hold in one table, and what it opens within a minute in one document.
_MAX_COLUMNS, _MAX_CELLS = 63, 300_000


def write_docx(content: ResultContent, language: Language) -> bytes:
    """Return the document; raises DoesNotFit."""
    document = docx.Document()
    properties = document.core_properties
    properties.title, properties.author = xml_text(content.title)[:255], "Sightline"
    properties.comments = ""
    body = "".join(_Writer(language).parts(content))
    # parsed as a whole: python-docx takes minutes to add thousands of cells one by one
    empty = etree.tostring(document.element, encoding="unicode")
    whole = empty.replace("<w:sectPr", f"{body}<w:sectPr", 1)
    document.part._element = parse_xml(whole)  # noqa: SLF001
    out = io.BytesIO()
    document.part.package.save(out)
    return out.getvalue()


class _Writer:
    """Writes the markup of a document's body."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._cells = 0

    def parts(self, content: ResultContent) -> Iterator[str]:
        """Yield everything, in order."""
        yield _heading(content.title, "Title")
        yield from map(_note, content.notes)
        for name, values in content.fields.items():
            yield from _text("\n".join(f"{name}: {value}" for value in values))
        for number, page in enumerate(content.pages):
            yield from self._page(page, starts_sheet=number > 0)

    def _page(self, page: Page, *, starts_sheet: bool) -> Iterator[str]:
        if page.number is not None:
            title = say(page.unit, self._language, number=page.number)
            yield _heading(title, "Heading1", starts_sheet=starts_sheet)
        gap = [say("gap", self._language)] if page.is_gap else []
        yield from map(_note, (*gap, *page.warnings))
        for block in page.blocks:
            if isinstance(block, Prose):
                yield from _text(block.text)
            else:
                yield self._table(Grid.of(block))

    def _table(self, grid: Grid) -> str:
        self._cells += len(grid.placed) * grid.width
        if grid.width > _MAX_COLUMNS or self._cells > _MAX_CELLS:
            raise DoesNotFit(
                f"A table has {grid.width} columns, or all have more than {_MAX_CELLS} cells; "
                f"Word takes {_MAX_COLUMNS} columns."
            )
        # two tables that touch would become one
        return _table(grid) + _paragraph("")


def _heading(text: str, style: str, *, starts_sheet: bool = False) -> str:
    place = "<w:pageBreakBefore/>" if starts_sheet else ""
    look = f'<w:pPr><w:pStyle w:val="{style}"/>{place}</w:pPr>'
    return f"<w:p>{look}<w:r>{_run_text(xml_text(text))}</w:r></w:p>"


def _note(sentence: str) -> str:
    text = _run_text(xml_text(sentence).replace("\n", " "))
    return f"<w:p><w:r><w:rPr><w:i/></w:rPr>{text}</w:r></w:p>"


def _text(text: str) -> Iterator[str]:
    """Yield a paragraph for each line."""
    return (_paragraph(line) for line in xml_text(text).split("\n"))


def _run_text(line: str) -> str:
    parts = (f'<w:t xml:space="preserve">{escape(part)}</w:t>' for part in line.split("\t"))
    return "<w:tab/>".join(parts)


def _paragraph(line: str, *, bold: bool = False) -> str:
    """Return the markup of a paragraph; the line has only what XML allows."""
    if not line:
        return "<w:p/>"
    is_right = runs_right_to_left(line)
    direction = "<w:pPr><w:bidi/></w:pPr>" if is_right else ""
    marks = ("<w:b/>" if bold else "") + ("<w:rtl/>" if is_right else "")
    look = f"<w:rPr>{marks}</w:rPr>" if marks else ""
    return f"<w:p>{direction}<w:r>{look}{_run_text(line)}</w:r></w:p>"


def _table(grid: Grid) -> str:
    columns = "<w:gridCol/>" * grid.width
    look = '<w:tblStyle w:val="TableGrid"/><w:tblW w:w="0" w:type="auto"/>'
    rows = "".join(_rows(grid))
    return f"<w:tbl><w:tblPr>{look}</w:tblPr><w:tblGrid>{columns}</w:tblGrid>{rows}</w:tbl>"


def _rows(grid: Grid) -> Iterator[str]:
    covered: dict[int, PlacedCell] = {}
    for number, row in enumerate(grid.placed):
        head = "<w:trPr><w:tblHeader/></w:trPr>" if number < grid.header_rows else ""
        yield f"<w:tr>{head}{''.join(_row_cells(number, row, grid.width, covered))}</w:tr>"


def _row_cells(
    number: int, row: tuple[PlacedCell, ...], width: int, covered: dict[int, PlacedCell]
) -> Iterator[str]:
    """Yield the cells of a row; Word wants one also where a span from above goes on."""
    own = {at.column: at for at in row}
    column = 0
    while column < width:
        at, above = own.get(column), covered.get(column)
        if at is not None:
            yield _cell(at, merge="restart" if at.cell.rows > 1 else "")
            covered[column] = at
            column += at.cell.columns
        elif above is not None and number < above.row + above.cell.rows:
            yield _cell(above, merge="continue")
            column += above.cell.columns
        else:
            yield "<w:tc><w:p/></w:tc>"
            column += 1


def _cell(at: PlacedCell, *, merge: str) -> str:
    span = f'<w:gridSpan w:val="{at.cell.columns}"/>' if at.cell.columns > 1 else ""
    down = f'<w:vMerge w:val="{merge}"/>' if merge else ""
    look = f"<w:tcPr>{span}{down}</w:tcPr>" if span or down else ""
    lines = [""] if merge == "continue" else xml_text(at.cell.text).split("\n")
    text = "".join(_paragraph(line, bold=at.cell.is_header) for line in lines)
    return f"<w:tc>{look}{text}</w:tc>"
