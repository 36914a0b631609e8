"""A result as a searchable PDF: the scan, and its text where it stands without being seen."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count

import pikepdf
from pikepdf import Dictionary, Name

from gateway.results.contents.blocks import DoesNotFit
from gateway.results.scans.picture import Picture, smallest_picture
from gateway.results.scans.quads import Corner
from gateway.results.scans.runs import runs_by_line
from gateway.results.scans.sheets import Sheet
from gateway.results.writers.hidden_font import HiddenFont
from gateway.results.writers.hidden_layer import Place, hidden_text
from gateway.results.writers.pdf_pages import DAMAGE, drop_hidden_text, place_on
from gateway.results.writers.safe_text import xml_text

#: Points of a pixel, of the shorter side of a page (A4's), and of the longest that viewers open.
_PIXEL, _SHORT, _LONG = 0.75, 595.0, 14_400.0
_PICTURE = "/Picture"


def write_pdf(sheets: Sequence[Sheet], pictures: Iterator[bytes], title: str) -> bytes:
    """Return a file with a page for each sheet, drawn with its picture, a PNG."""
    pdf = pikepdf.new()
    font = HiddenFont(pdf)
    for sheet, png in zip(sheets, pictures, strict=True):
        picture = smallest_picture(png)
        scale = _points(picture)
        page = pdf.add_blank_page(page_size=(picture.width * scale, picture.height * scale))
        page.obj.Resources = Dictionary(XObject=Dictionary({_PICTURE: _embed(pdf, picture)}))
        width, height = picture.width * scale, picture.height * scale
        draw = f"q {width:.4f} 0 0 {height:.4f} 0 0 cm {_PICTURE} Do Q\n"
        page.contents_add(draw.encode("ascii"))
        _add_text(page, sheet, _place_in(sheet, width, height), font)
    pdf.docinfo["/Title"] = xml_text(title)
    return _save(pdf, font)


def _points(picture: Picture) -> float:
    """Return the points of a pixel: a page is no larger than paper, unless it is long."""
    short, long = sorted((picture.width, picture.height))
    return min(_PIXEL, _SHORT / short, _LONG / long)


def _place_in(sheet: Sheet, width: float, height: float) -> Place:
    def place(corner: Corner) -> Corner:
        return corner[0] / sheet.width * width, height - corner[1] / sheet.height * height

    return place


def _embed(pdf: pikepdf.Pdf, picture: Picture) -> pikepdf.Object:
    data = picture.data if picture.kind == "jpeg" else b"".join(_png_rows(picture.data))
    image = pikepdf.Stream(pdf, data)
    image.Type, image.Subtype = Name.XObject, Name.Image
    image.Width, image.Height, image.BitsPerComponent = picture.width, picture.height, 8
    image.ColorSpace = Name.DeviceGray if picture.is_gray else Name.DeviceRGB
    if picture.kind == "jpeg":
        image.Filter = Name.DCTDecode
    else:
        # rows are packed in a PNG as a PDF may have them
        image.Filter = Name.FlateDecode
        image.DecodeParms = Dictionary(
            Predictor=15, Colors=3, BitsPerComponent=8, Columns=picture.width
        )
    return pdf.make_indirect(image)


def _png_rows(png: bytes) -> Iterator[bytes]:
    """Yield the packed rows of a PNG."""
    at = 8
    while at + 8 <= len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        if name == b"IDAT":
            yield png[at + 8 : at + 8 + length]
        at += length + 12


def add_layer(file: bytes, sheets: Sequence[Sheet]) -> bytes:
    """Return the pages of a PDF, with text on those that were read; raises DoesNotFit.

    Other pages stay as they are. A file of which every page is wanted keeps all else that it has.
    """
    try:
        with pikepdf.open(io.BytesIO(file)) as pdf:
            return _add_layer(pdf, sheets)
    except DAMAGE as error:
        raise DoesNotFit(f"The document's file is damaged: {error}.") from None


def _add_layer(pdf: pikepdf.Pdf, sheets: Sequence[Sheet]) -> bytes:
    font = HiddenFont(pdf)
    pages = [pdf.pages[sheet.number - 1] for sheet in sheets]
    for page, sheet in zip(pages, sheets, strict=True):
        if sheet.is_read and sheet.lines:
            with suppress(*DAMAGE):
                drop_hidden_text(pdf, page)
            # whatever state the page ends in, the text begins in a fresh one
            page.contents_add(b"q\n", prepend=True)
            page.contents_add(b"\nQ\n")
            _add_text(page, sheet, place_on(page, sheet), font)
    if [sheet.number for sheet in sheets] == list(range(1, len(pdf.pages) + 1)):
        return _save(pdf, font)
    font.finish()
    some = pikepdf.new()
    some.pages.extend(pages)
    return _save(some)


def _add_text(page: pikepdf.Page, sheet: Sheet, place: Place, font: HiddenFont) -> None:
    # names are drawn by chance otherwise, and the same result is the same file
    taken = page.resources.get(Name.Font, Dictionary())
    name = next(name for n in count() if (name := Name(f"/Hidden{n}")) not in taken)
    page.add_resource(font.object, Name.Font, name)
    page.contents_add(hidden_text(runs_by_line(sheet), place, font, str(name)))


def _save(pdf: pikepdf.Pdf, font: HiddenFont | None = None) -> bytes:
    if font:
        font.finish()
    out = io.BytesIO()
    mode = pikepdf.ObjectStreamMode.generate
    pdf.save(out, compress_streams=True, object_stream_mode=mode, deterministic_id=True)
    return out.getvalue()
