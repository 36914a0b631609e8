"""What is drawn on a page: texts, pictures and others, also within forms."""

from __future__ import annotations

from collections.abc import Iterator

from pypdfium2 import raw

from shared.documents.pdf.file import PdfPage

#: Forms inside forms; deeper ones are an attack.
_MAX_DEPTH = 8


def objects_of(page: PdfPage, kind: int) -> Iterator[raw.FPDF_PAGEOBJECT]:
    """Yield the objects of a kind, one of PDFium's numbers, in the order of their drawing."""
    for index in range(raw.FPDFPage_CountObjects(page.handle)):
        yield from _within(raw.FPDFPage_GetObject(page.handle, index), kind, 0)


def _within(item: raw.FPDF_PAGEOBJECT, wanted: int, depth: int) -> Iterator[raw.FPDF_PAGEOBJECT]:
    kind = raw.FPDFPageObj_GetType(item)
    if kind == wanted:
        yield item
    elif kind == raw.FPDF_PAGEOBJ_FORM and depth < _MAX_DEPTH:
        for index in range(raw.FPDFFormObj_CountObjects(item)):
            yield from _within(raw.FPDFFormObj_GetObject(item, index), wanted, depth + 1)
