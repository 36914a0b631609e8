"""What is known of a PDF without rendering it: sizes, rotations, how much text there is."""

from __future__ import annotations

import time

import numpy as np

from shared.documents.model import DocumentInfo, PageInfo, TextDoubt
from shared.documents.pdf.characters import read_codes
from shared.documents.pdf.file import PdfFile, PdfPage
from shared.documents.text.glyphs import SPACES
from shared.documents.text.plausibility import doubt_codes, doubt_density
from shared.errors import DocumentDamaged, PageTooLarge

#: Its multiples, taken modulo 1, spread evenly however many there are.
_GOLDEN = 0.6180339887498949


def inspect_pdf(pdf: PdfFile, *, password_given: bool, seconds: float) -> DocumentInfo:
    """Return what is known of all pages; those after `seconds` are measured only.

    What is looked at in this time is spread over the whole document. Raises DocumentDamaged if no
    page can be read.
    """
    deadline = time.monotonic() + seconds
    seen = {
        number: _inspect_page(pdf, number, check=time.monotonic() < deadline)
        for number in _spread(pdf.page_count)
    }
    pages = tuple(seen[number] for number in range(1, pdf.page_count + 1))
    if all(page.text_doubt == TextDoubt.DAMAGED for page in pages):
        raise DocumentDamaged("The document is damaged: none of its pages can be read.")
    return DocumentInfo(
        pdf.kind,
        pages,
        encrypted=pdf.encrypted and password_given,
        title=pdf.title,
        repaired=pdf.repaired,
        attachments=pdf.attachments,
        attached_names=pdf.attached_names,
        portfolio=pdf.is_portfolio,
        dynamic_form=pdf.has_dynamic_form,
    )


def _spread(count: int) -> list[int]:
    """Return the numbers from 1 up to `count` so that each beginning of them covers all evenly."""
    places = np.arange(1, count + 1) * _GOLDEN % 1
    ranks = np.empty(count, np.intp)
    ranks[np.argsort(places)] = np.arange(1, count + 1)
    return ranks.tolist()


def _inspect_page(pdf: PdfFile, number: int, *, check: bool) -> PageInfo:
    try:
        if not check:
            width, height = pdf.page_size(number)
            return _unread(number, TextDoubt.NOT_CHECKED, width, height)
        # the values of a form count as text, and what merges them is cheap where there is no form
        with pdf.page(number) as page:
            return _describe(page)
    except DocumentDamaged:
        return _unread(number, TextDoubt.DAMAGED)
    except PageTooLarge:
        return _unread(number, TextDoubt.TOO_LARGE)


def _unread(number: int, doubt: TextDoubt, width: float = 595.0, height: float = 842.0) -> PageInfo:
    return PageInfo(number, width, height, text_characters=None, text_doubt=doubt)


def _describe(page: PdfPage) -> PageInfo:
    characters, doubt = _count(page)
    return PageInfo(
        page.number,
        page.width,
        page.height,
        page.rotation,
        text_characters=characters,
        text_trusted=doubt is None,
        text_doubt=doubt,
        blank=True if page.is_empty else None,
    )


def _count(page: PdfPage) -> tuple[int, TextDoubt | None]:
    codes = read_codes(page)
    drawn = codes[~np.isin(codes, SPACES)]
    doubt = doubt_codes(drawn) or doubt_density(len(drawn), page.width, page.height)
    return len(drawn), doubt
