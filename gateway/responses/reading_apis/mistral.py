"""A job that has read something as the answer of Mistral's OCR: its pages, counted from 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.large_input import give_way
from gateway.responses.reading_apis.figures import (
    FigureOptions,
    Figures,
    NamedFigure,
    figure_view,
    link_figures,
)
from gateway.responses.reading_apis.pages import ReadPage, read_pages
from gateway.responses.reading_apis.tables import TableFormat, extract_tables
from gateway.services import Services
from shared.documents.model import DocumentKind, PageInfo
from shared.jobs.row import JobRow
from shared.prediction.page_size import page_pixels
from shared.store.uploads.document_store import DocumentHeader

#: Pixels per inch of an image, whose size on paper is not known: a pixel is a point.
_IMAGE_DPI = 72


@dataclass(frozen=True, slots=True)
class OcrOptions:
    """How the text of each page is shown."""

    table_format: TableFormat | None = None
    extract_header: bool = False
    extract_footer: bool = False
    #: None where nothing is asked about figures.
    figures: FigureOptions | None = None


@dataclass(frozen=True, slots=True)
class OcrExtras:
    """What an answer has beside the texts."""

    figures: Figures = field(default_factory=Figures)
    #: JSON texts: one about the document, and those about figures by their names.
    document_annotation: str | None = None
    figure_annotations: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[dict[str, str]] = ()


@dataclass(frozen=True, slots=True)
class OcrView:
    """Shows jobs as one request wants them."""

    services: Services
    options: OcrOptions
    extras: OcrExtras = field(default_factory=OcrExtras)

    def __call__(self, row: JobRow) -> dict[str, Any]:
        """Return the answer; raises NotFound, StoreUnavailable, ResultTooLarge."""
        document = self._document(row)
        pages = list(self._pages(row, document))
        return {
            "pages": pages,
            "model": row.model,
            "document_annotation": self.extras.document_annotation,
            "usage_info": {
                "pages_processed": len(pages),
                "doc_size_bytes": document.sent_bytes if document else None,
            },
            "warnings": [*row.notices, *self.extras.notices],
        }

    def _document(self, row: JobRow) -> DocumentHeader | None:
        document = row.input.document
        return self.services.documents.header(row.tenant, document.id) if document else None

    def _pages(self, row: JobRow, document: DocumentHeader | None) -> Iterator[dict[str, Any]]:
        for page in read_pages(row):
            # a table of many rows takes a while
            give_way()
            dimensions = _image_size(row)
            if document:
                info = document.info.pages[page.number - 1]
                dimensions = _page_size(info, document.info.kind, row)
            yield self._page(page) | {"dimensions": dimensions}

    def _page(self, page: ReadPage) -> dict[str, Any]:
        text = page.without(header=self.options.extract_header, footer=self.options.extract_footer)
        tables: list[dict[str, Any]] = []
        if self.options.table_format and page.has_markup:
            text, tables = extract_tables(text, self.options.table_format)
        figures = self.extras.figures.pages.get(page.number, [])
        if figures:
            text = link_figures(text, figures)
        return {
            "index": page.number - 1,
            "markdown": text,
            "images": [self._figure(one) for one in figures],
            "tables": tables,
            "hyperlinks": [],
            "header": page.header if self.options.extract_header else None,
            "footer": page.footer if self.options.extract_footer else None,
        }

    def _figure(self, one: NamedFigure) -> dict[str, Any]:
        options = self.options.figures or FigureOptions()
        return figure_view(one, options, self.extras.figure_annotations.get(one.name))


def _page_size(info: PageInfo, kind: DocumentKind, row: JobRow) -> dict[str, int]:
    """Return the size of a page as it is drawn to be read."""
    dpi = row.input.document.dpi if row.input.document and kind == "pdf" else None
    width, height = page_pixels(info.width, info.height, dpi)
    return {"dpi": dpi or _IMAGE_DPI, "width": width, "height": height}


def _image_size(row: JobRow) -> dict[str, int] | None:
    for image in row.images:
        return {"dpi": _IMAGE_DPI, "width": image["width"], "height": image["height"]}
    return None
