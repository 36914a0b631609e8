"""The files inside of a PDF: their names, and whether its pages are nothing but their cover."""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Iterator
from itertools import islice

from pypdfium2 import raw

#: Names that are told, and their length.
_MOST_NAMES, _LONGEST_NAME = 10, 80
#: A cover has no more pages.
_MOST_COVER_PAGES = 3
_UTF16_BYTES = 2
#: What the catalogue of a portfolio has, unless it is compressed.
_MARK = b"/Collection"


def count_files(document: raw.FPDF_DOCUMENT) -> int:
    """Return how many other files are inside of a document."""
    return max(0, int(raw.FPDFDoc_GetAttachmentCount(document)))


def read_names(document: raw.FPDF_DOCUMENT) -> tuple[str, ...]:
    """Return the names of the first files inside of a document."""
    return tuple(islice(_names(document), _MOST_NAMES))


def _names(document: raw.FPDF_DOCUMENT) -> Iterator[str]:
    for index in range(min(count_files(document), 2 * _MOST_NAMES)):
        name = _read_name(raw.FPDFDoc_GetAttachment(document, index))
        if name:
            yield name


def _read_name(attachment: raw.FPDF_ATTACHMENT) -> str:
    size = raw.FPDFAttachment_GetName(attachment, None, 0) if attachment else 0
    if not _UTF16_BYTES < size < 1 << 16:
        return ""
    buffer = (ctypes.c_ushort * (size // _UTF16_BYTES))()
    raw.FPDFAttachment_GetName(attachment, buffer, size)
    text = bytes(buffer).decode("utf-16-le", "replace").rstrip("\0")
    # a name may not turn the sentence around in which it is told
    shown = "".join(char for char in text if not unicodedata.category(char).startswith("C"))
    name = " ".join(shown.split())
    return f"{name[:_LONGEST_NAME]}…" if len(name) > _LONGEST_NAME else name


def is_portfolio(document: raw.FPDF_DOCUMENT, data: bytes) -> bool:
    """Tell whether a document is made to be looked at by its files, and its pages are a cover."""
    if not count_files(document) or raw.FPDF_GetPageCount(document) > _MOST_COVER_PAGES:
        return False
    return bool(raw.FPDFDoc_GetPageMode(document) == raw.PAGEMODE_USEATTACHMENTS) or _MARK in data
