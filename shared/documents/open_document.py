"""A document that is open in a child: one shape for PDFs and for files of many pictures."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from shared.documents.frames.file import FramesFile
from shared.documents.ink.blank import is_blank
from shared.documents.model import DocumentInfo, PageFigure, PageText, RenderedPage, TextDoubt
from shared.documents.pdf.characters import read_glyphs
from shared.documents.pdf.cut_figures import cut_figures
from shared.documents.pdf.file import PdfFile, PdfPage
from shared.documents.pdf.inspection import inspect_pdf
from shared.documents.pdf.page_text import read_page_text
from shared.documents.pdf.pictures import check_pictures
from shared.documents.pdf.rendering import render_rgb
from shared.documents.picture import BLANK_SIDE, finish_page, fit_pixels, to_grey

#: Characters from which a text layer tells which way is up, and the share that must agree.
_LEAST_CHARACTERS = 20
_LEAST_AGREEING = 0.8


class OpenDocument(Protocol):
    """What a child can be asked about a document; all raise DocumentErrors."""

    def close(self) -> None:
        """Free its memory."""
        ...

    def inspect(self, max_pages: int, seconds: float) -> DocumentInfo:
        """Return what is known of all pages; those after `seconds` are measured only."""
        ...

    def unlock(self) -> bytes:
        """Return the file without encryption."""
        ...

    def page_text(self, page: int) -> PageText:
        """Return the text layer of a page, from 1."""
        ...

    def render(self, page: int, dpi: float, max_pixels: int, *, turn: bool) -> RenderedPage:
        """Return the picture of a page, from 1."""
        ...

    def figures(self, page: int, dpi: float, max_pixels: int) -> list[PageFigure] | None:
        """Return the figures of a page, from 1; None where nobody can tell them from its text."""
        ...


class PdfDocument:
    """A PDF."""

    def __init__(self, pdf: PdfFile, data: bytes, *, password_given: bool) -> None:
        self._pdf = pdf
        self._data = data
        self._password_given = password_given

    def close(self) -> None:
        """Free its memory."""
        self._pdf.close()

    def inspect(self, max_pages: int, seconds: float) -> DocumentInfo:
        """Return what is known of all pages; raises TooManyPages and DocumentDamaged."""
        self._pdf.check_pages(max_pages)
        return inspect_pdf(self._pdf, password_given=self._password_given, seconds=seconds)

    def unlock(self) -> bytes:
        """Return the file without encryption; raises DocumentDamaged."""
        return self._pdf.save_unlocked() if self._pdf.encrypted else self._data

    def page_text(self, page: int) -> PageText:
        """Return the text layer of a page; raises PageOutOfRange and DocumentDamaged."""
        with self._pdf.page(page) as opened:
            return read_page_text(opened)

    def render(self, page: int, dpi: float, max_pixels: int, *, turn: bool) -> RenderedPage:
        """Return the picture of a page; raises PageOutOfRange, PageTooLarge, DocumentDamaged."""
        with self._pdf.page(page) as opened:
            image, true_dpi = render_rgb(opened, dpi, max_pixels)
            known_turn = _turn_by_text(opened) if turn else 0
            rendered = finish_page(image, dpi=true_dpi, turn=known_turn)
            if rendered.blank:
                check_pictures(opened)
        return rendered

    def figures(self, page: int, dpi: float, max_pixels: int) -> list[PageFigure] | None:
        """Return the figures of a page; None where its own text cannot be trusted.

        Raises PageOutOfRange, PageTooLarge and DocumentDamaged.
        """
        text = self.page_text(page)
        if not text.trusted:
            return [] if text.blank else None
        if not text.figures:
            return []
        with self._pdf.page(page) as opened:
            picture, true_dpi = render_rgb(opened, dpi, max_pixels)
        return list(cut_figures(text, picture, true_dpi))


class FramesDocument:
    """A TIFF of many pages or an animation: no text layer."""

    def __init__(self, frames: FramesFile, data: bytes) -> None:
        self._frames = frames
        self._data = data

    def close(self) -> None:
        """Free its memory."""
        self._frames.close()

    def inspect(self, max_pages: int, _seconds: float) -> DocumentInfo:
        """Return the sizes of all frames; raises TooManyPages and DocumentDamaged."""
        return self._frames.inspect(max_pages)

    def unlock(self) -> bytes:
        """Return the file, which cannot be encrypted."""
        return self._data

    def page_text(self, page: int) -> PageText:
        """Return that there is no text; raises PageOutOfRange, PageTooLarge, DocumentDamaged."""
        image, _ = self._frames.read(page)
        blank = is_blank(to_grey(image, BLANK_SIDE))
        return PageText("", (), trusted=False, doubt=TextDoubt.NO_TEXT, ink_outside=1, blank=blank)

    def render(self, page: int, _dpi: float, max_pixels: int, *, turn: bool) -> RenderedPage:
        """Return a frame; raises PageOutOfRange, PageTooLarge and DocumentDamaged."""
        image, notices = self._frames.read(page)
        return finish_page(
            fit_pixels(image, max_pixels), dpi=None, turn=None if turn else 0, notices=notices
        )

    def figures(self, _page: int, _dpi: float, _max_pixels: int) -> None:
        """Return None: a frame is a picture as a whole."""
        return


def _turn_by_text(page: PdfPage) -> int | None:
    """Return the turn that the page's text asks for, None if it has too little of it."""
    glyphs = read_glyphs(page)
    rotations = Counter(glyphs.rotations[glyphs.drawn].tolist())
    if rotations.total() < _LEAST_CHARACTERS:
        return None
    rotation, count = rotations.most_common(1)[0]
    if rotation < 0 or count < _LEAST_AGREEING * rotations.total():
        return None
    return int(-rotation % 360)
