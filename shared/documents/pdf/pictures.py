"""The pictures on a page that shows nothing: one that cannot be decoded is not an empty page."""

from __future__ import annotations

from itertools import islice

from pypdfium2 import raw

from shared.documents.pdf.file import PdfPage
from shared.documents.pdf.objects import objects_of
from shared.errors import DocumentDamaged

#: Pictures of a page that are tried; an empty page has few.
_MOST_TRIED = 20


def check_pictures(page: PdfPage) -> None:
    """Raise DocumentDamaged if a picture of a page that looks empty cannot be decoded."""
    pictures = islice(objects_of(page, raw.FPDF_PAGEOBJ_IMAGE), _MOST_TRIED)
    if not all(map(_is_decodable, pictures)):
        raise DocumentDamaged(
            f"The document is damaged: a picture on page {page.number} cannot be decoded."
        )


def _is_decodable(picture: raw.FPDF_PAGEOBJECT) -> bool:
    bitmap = raw.FPDFImageObj_GetBitmap(picture)
    if not bitmap:
        return False
    raw.FPDFBitmap_Destroy(bitmap)
    return True
