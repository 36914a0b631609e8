"""Boxes of lines stand on their ink, whatever frame, unit and turn a page is filed with."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pikepdf
import pytest
from PIL import Image

from shared.documents.model import PageText
from shared.documents.reader import DocumentReader
from tests.support.documents.drawn import pdf, rewritten, text_page

#: Points that are cut off at each side, and by which the page's own origin lies elsewhere.
CUT, OFFSET = 36, (300, -120)
Change = Callable[[pikepdf.Page], None]


def _shift(page: pikepdf.Page) -> None:
    """Move the origin of the page, with what stands on it."""
    x, y = OFFSET
    page.contents_add(f"q 1 0 0 1 {x} {y} cm".encode(), prepend=True)
    page.contents_add(b"Q")
    left, bottom, right, top = (float(edge) for edge in page.mediabox)
    page.mediabox = [left + x, bottom + y, right + x, top + y]


def _crop(page: pikepdf.Page) -> None:
    left, bottom, right, top = (float(edge) for edge in page.mediabox)
    page.cropbox = [left + CUT, bottom + CUT, right - CUT, top - CUT]


def _enlarge(page: pikepdf.Page) -> None:
    page.UserUnit = 2.5


def _page(*changes: Change, turn: int = 0) -> bytes:
    def change(document: pikepdf.Pdf) -> None:
        for step in changes:
            step(document.pages[0])
        document.pages[0].rotate(turn, relative=False)

    return rewritten(pdf(text_page(3, lines=12)), change)


def _ink_share(text: PageText, reader: DocumentReader, data: bytes) -> float:
    """Return the share of the picture's ink that the boxes of the lines cover."""
    rendered = reader.render(data, 1, dpi=72, max_pixels=4_000_000, turn=False)
    ink = np.asarray(Image.open(io.BytesIO(rendered.png)).convert("L")) < 160
    (page,) = reader.inspect(data).pages
    across, down = ink.shape[1] / page.width, ink.shape[0] / page.height
    covered = np.zeros_like(ink)
    for line in text.lines:
        left, top, right, bottom = line.box
        rows = slice(int(top * down) - 1, int(bottom * down) + 2)
        covered[rows, int(left * across) - 1 : int(right * across) + 2] = True
    assert covered.mean() < 0.5
    return float((ink & covered).sum() / ink.sum())


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize(
    "changes",
    [(_shift,), (_crop,), (_enlarge,), (_shift, _crop, _enlarge)],
    ids=["origin", "crop box", "user unit", "all of them"],
)
def test_boxes_stand_on_the_ink(
    reader: DocumentReader, changes: tuple[Change, ...], turn: int
) -> None:
    data = _page(*changes, turn=turn)
    text = reader.page_text(data, 1)
    assert text.trusted, text.doubt
    assert text.text == reader.page_text(_page(), 1).text
    assert _ink_share(text, reader, data) > 0.97
