"""What a result is drawn on: the sheets of an ended job, their lines and their pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.results.scans.frames import ScanOrder
from gateway.results.scans.sheets import ScanForm, Sheet
from gateway.results.words import Language
from gateway.services import Services
from shared.documents.model import DocumentKind
from shared.errors import DocumentNotFound, ImageNotFound, NoPlaces, NotFound
from shared.jobs.document import DocumentInput, PageSource
from shared.jobs.row import JobRow

#: Of a page that is drawn.
_DPI, _MAX_PIXELS = 150, 4_194_304


def has_places(row: JobRow) -> bool:
    """Tell whether an ended job knows where its text stands."""
    return row.input.boxes != "none" and (row.output or {}).get("lines") is not None


def can_be_drawn(row: JobRow) -> bool:
    """Tell whether an ended job knows places that can be drawn on its pictures."""
    return has_places(row) or (row.output or {}).get("objects") is not None


def order_scan(
    row: JobRow,
    services: Services,
    form: ScanForm,
    title: str,
    language: Language,
    wanted: Callable[[Sheet], bool] = lambda _: True,
) -> ScanOrder:
    """Return the order for the wanted sheets of a job.

    Raises NoPlaces, and DocumentNotFound or ImageNotFound where what was read is gone.
    """
    if not (can_be_drawn(row) if form is ScanForm.SVG else has_places(row)):
        raise NoPlaces
    document = row.input.document
    sheets = _page_sheets(row, services, document) if document else _image_sheets(row)
    some = _with_lines([sheet for sheet in sheets if wanted(sheet)], row)
    is_file = form is ScanForm.PDF and document is not None and document.kind == DocumentKind.PDF

    def pictures() -> Iterator[bytes]:
        if form is ScanForm.HOCR:
            return
        if document is None:
            yield from _image_pictures(row, services, some)
        elif is_file:
            yield _file_of(row, services, document)
        else:
            yield from _page_pictures(row, services, document, some)

    return ScanOrder(form, title, language, some, pictures, is_file)


def _image_sheets(row: JobRow) -> list[Sheet]:
    return [
        Sheet("image", number, image["width"], image["height"])
        for number, image in enumerate(row.images, start=1)
    ]


def _page_sheets(row: JobRow, services: Services, document: DocumentInput) -> list[Sheet]:
    try:
        info = services.documents.header(row.tenant, document.id).info
    except NotFound:
        raise DocumentNotFound from None
    texts = (PageSource.TEXT_LAYER, PageSource.BLANK)
    pages = (row.output or {}).get("pages") or ()
    unread = {page["page"] for page in pages if page.get("source") in texts}
    return [
        Sheet(
            "page",
            number,
            info.pages[number - 1].width,
            info.pages[number - 1].height,
            is_read=number not in unread,
            has_points=info.kind == DocumentKind.PDF,
        )
        for number in document.pages
    ]


def _with_lines(sheets: Sequence[Sheet], row: JobRow) -> list[Sheet]:
    """Return the sheets with lines and objects; a line without a place is where the last one is."""
    by_number: dict[int, list[Mapping[str, Any]]] = {sheet.number: [] for sheet in sheets}
    first = 1 if row.input.document is None else row.input.document.pages[0]
    number = first
    for line in (row.output or {}).get("lines") or ():
        if line.get("page") is not None:
            number = line["page"]
        elif line.get("image") is not None:
            number = line["image"] + 1
        by_number.setdefault(number, []).append(line)
    objects = (row.output or {}).get("objects") or ()
    return [
        _upright(
            replace(
                sheet,
                lines=by_number[sheet.number],
                objects=[one for one in objects if _number_of(one) == sheet.number],
            )
        )
        for sheet in sheets
    ]


def _number_of(one: Mapping[str, Any]) -> int:
    """Return the number of the sheet that an object is on."""
    return int(one["page"]) if one.get("page") is not None else int(one.get("image") or 0) + 1


def _upright(sheet: Sheet) -> Sheet:
    """Return a sheet as its picture is seen: a file of pictures may ask for a turn."""
    if sheet.has_points or sheet.unit == "image":
        return sheet
    is_turned = any(box[2] > sheet.width + 1 or box[3] > sheet.height + 1 for box in sheet.boxes)
    return replace(sheet, width=sheet.height, height=sheet.width) if is_turned else sheet


def _image_pictures(row: JobRow, services: Services, sheets: Sequence[Sheet]) -> Iterator[bytes]:
    for sheet in sheets:
        png = services.images.pngs(row.tenant, [row.input.images[sheet.number - 1]])[0]
        if png is None:
            raise ImageNotFound
        yield png


def _page_pictures(
    row: JobRow, services: Services, document: DocumentInput, sheets: Sequence[Sheet]
) -> Iterator[bytes]:
    file = _file_of(row, services, document)
    for sheet in sheets:
        yield services.document_reader.render(
            file, sheet.number, _DPI, _MAX_PIXELS, turn=False, tenant=row.tenant
        ).png


def _file_of(row: JobRow, services: Services, document: DocumentInput) -> bytes:
    file = services.document_files.get(row.tenant, document.id)
    if file is None:
        raise DocumentNotFound
    return file
