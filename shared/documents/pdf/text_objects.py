"""The text objects of a page: hidden, so that the rest is seen, and told apart by how they show."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from pypdfium2 import raw

from shared.documents.pdf.file import PdfPage
from shared.documents.pdf.objects import objects_of

#: Lighter or more transparent letters cannot be told from hidden ones.
_LIGHTEST, _LEAST_ALPHA = 200, 128


@dataclass(frozen=True, slots=True)
class TextObjects:
    """Addresses of the text objects of a page."""

    #: Made to be invisible.
    invisible: frozenset[int]
    #: In dark letters of a font that the file has not; whether they show is up to this machine.
    fontless: frozenset[int]


def hide_text(page: PdfPage) -> TextObjects:
    """Make all text of the open page invisible; return the objects that differed before."""
    invisible, fontless = set(), set()
    embedded: dict[int, bool] = {}
    for item in objects_of(page, raw.FPDF_PAGEOBJ_TEXT):
        if raw.FPDFTextObj_GetTextRenderMode(item) == raw.FPDF_TEXTRENDERMODE_INVISIBLE:
            invisible.add(_address(item))
        elif not _has_font(item, embedded) and _is_dark(item):
            fontless.add(_address(item))
        raw.FPDFTextObj_SetTextRenderMode(item, raw.FPDF_TEXTRENDERMODE_INVISIBLE)
    return TextObjects(frozenset(invisible), frozenset(fontless))


def _address(handle: object) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0  # type: ignore[arg-type]


def _has_font(item: raw.FPDF_PAGEOBJECT, embedded: dict[int, bool]) -> bool:
    """Tell whether the font of a text is in the file; `embedded` remembers it by font."""
    font = raw.FPDFTextObj_GetFont(item)
    key = _address(font)
    if key not in embedded:
        embedded[key] = not font or bool(raw.FPDFFont_GetIsEmbedded(font))
    return embedded[key]


def _is_dark(item: raw.FPDF_PAGEOBJECT) -> bool:
    parts = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFPageObj_GetFillColor(item, *parts):
        return False
    *colours, alpha = (part.value for part in parts)
    return min(colours) <= _LIGHTEST and alpha >= _LEAST_ALPHA
