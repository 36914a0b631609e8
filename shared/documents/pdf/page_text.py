"""The text layer of a page, held against what the page shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.documents.ink.blank import is_blank
from shared.documents.ink.figures import find_figures
from shared.documents.ink.mask import Grey, find_ink
from shared.documents.model import PageText, TextDoubt, TextLine
from shared.documents.pdf.characters import MAX_CHARACTERS, belongs_to, read_glyphs, to_upright
from shared.documents.pdf.file import PdfPage
from shared.documents.pdf.rendering import ink_scale, render_grey
from shared.documents.pdf.signs import add_glyphs, outside_of, sign_glyphs
from shared.documents.pdf.text_objects import hide_text
from shared.documents.text.coverage import find_shown, share_outside
from shared.documents.text.glyphs import Flags, Glyphs
from shared.documents.text.layout import read_layout
from shared.documents.text.plausibility import (
    doubt_codes,
    doubt_density,
    doubt_stacks,
    doubt_words,
)
from shared.documents.text.vertical import turn_vertical

#: Share of the writing that may be outside of all characters.
_MOST_OUTSIDE = 0.04
#: Share of characters that do not show, from which the text belongs to a picture of the page.
_MOST_HIDDEN = 0.5
#: Of scripts beyond Latin, Greek and Cyrillic, a machine may have no font.
_FIRST_FOREIGN = 0x530


@dataclass(frozen=True, slots=True)
class _Looks:
    """The page as it is and without its text, in grey, at `scale` pixels per point."""

    whole: Grey
    textless: Grey
    scale: float
    #: Which characters were made to be invisible, and whose font the file has not; (n,).
    invisible: Flags
    fontless: Flags

    @classmethod
    def of(cls, page: PdfPage, glyphs: Glyphs) -> _Looks:
        whole = render_grey(page)
        objects = hide_text(page)
        invisible = _belong_to(page, objects.invisible, len(glyphs))
        # letters for these are on every machine
        foreign = objects.fontless if (glyphs.codes >= _FIRST_FOREIGN).any() else frozenset[int]()
        fontless = _belong_to(page, foreign, len(glyphs)) & (glyphs.codes >= _FIRST_FOREIGN)
        return cls(whole, render_grey(page), ink_scale(page), invisible, fontless)


def _belong_to(page: PdfPage, objects: frozenset[int], characters: int) -> Flags:
    return belongs_to(page, objects) if objects else np.zeros(characters, bool)


def read_page_text(page: PdfPage) -> PageText:
    """Return the text layer of an open page, whose text is hidden from then on.

    Raises DocumentDamaged.
    """
    glyphs = read_glyphs(page)
    if not glyphs.drawn.any() and not page.signs:
        blank = page.is_empty or is_blank(render_grey(page))
        return PageText("", (), trusted=False, doubt=TextDoubt.NO_TEXT, ink_outside=0, blank=blank)
    looks = _Looks.of(page, glyphs)
    seen = find_shown(glyphs, looks.whole, looks.textless, looks.scale) & ~looks.invisible
    fontless = glyphs.drawn & looks.fontless & ~seen & _on_page(glyphs, page)
    return _judge(page, glyphs, seen | fontless, fontless, looks)


def _on_page(glyphs: Glyphs, page: PdfPage) -> Flags:
    return ~outside_of(glyphs.boxes, np.array([[0, 0, page.width, page.height]]))


def _judge(page: PdfPage, glyphs: Glyphs, shown: Flags, fontless: Flags, looks: _Looks) -> PageText:
    hidden = 1 - shown.sum() / max(1, glyphs.drawn.sum())
    kept = glyphs if hidden > _MOST_HIDDEN else glyphs.select(shown | glyphs.spaces)
    text, lines = read_layout(_with_signs(page, turn_vertical(kept)), page.width, page.height)
    outside = share_outside(looks.whole, looks.textless, _area(glyphs, fontless, looks.scale))
    doubt = _doubt_text(page, glyphs.select(glyphs.drawn), text, lines)
    if hidden > _MOST_HIDDEN:
        doubt = doubt or TextDoubt.HIDDEN
    elif outside > _MOST_OUTSIDE:
        doubt = doubt or TextDoubt.INK_OUTSIDE
    return PageText(
        text,
        lines,
        trusted=doubt is None,
        doubt=doubt,
        ink_outside=round(outside, 4),
        figures=find_figures(find_ink(looks.textless), looks.whole != looks.textless, looks.scale),
        blank=bool(not shown.any()) and not page.signs and is_blank(looks.whole),
        fontless=int(fontless.sum()),
    )


def _area(glyphs: Glyphs, chosen: Flags, scale: float) -> float:
    """Return the pixels of some characters' boxes."""
    boxes = glyphs.boxes[chosen] * scale
    return float(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum())


def _with_signs(page: PdfPage, glyphs: Glyphs) -> Glyphs:
    """Return the characters with what annotations say, in the place of what is drawn there."""
    if not page.signs:
        return glyphs
    codes, places = sign_glyphs(page.signs)
    boxes = to_upright(places, page)
    instead = np.array([one.rect for one in page.signs if one.instead]).reshape(-1, 4)
    free = outside_of(glyphs.boxes, to_upright(instead, page))
    return add_glyphs(glyphs.select(free), codes, boxes)


def _doubt_text(
    page: PdfPage, drawn: Glyphs, text: str, lines: tuple[TextLine, ...]
) -> TextDoubt | None:
    too_many = TextDoubt.IMPLAUSIBLE if len(drawn) >= MAX_CHARACTERS else None
    if page.signs and not len(drawn):
        return None
    return (
        doubt_codes(drawn.codes)
        or too_many
        or doubt_density(len(drawn), page.width, page.height)
        or doubt_stacks(lines)
        or doubt_words(text)
    )
